"""What a session tells, in words for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftbt.backtest.result import TRADE, ExitReason
from ftbt.backtest.result import Status as OrderStatus
from ftbt.data.timeframe import show_ms
from ftbt.hyperliquid.bars import Revision
from ftbt.live.book import LiveBook
from ftbt.strategy.records import CANCEL, ENTER, EXIT, REFUSAL_WORDS, Refusal

_DOING = {ENTER: "enters", CANCEL: "takes its entry back", EXIT: "leaves"}
_SIDES = {1: "long", -1: "short"}


def decision_text(
    body: Mapping[str, Any], strategies: Sequence[Mapping[str, Any]], *, full: bool = True
) -> str:
    """Return a `decision` in words: what, how sure, why, and what refused it.

    Args:
        body: of the event; `coin` beside it is read when it is there.
        strategies: as the `session` event describes them.
        full: with what the confidence is made of.
    """
    owner = strategies[int(body["strategy"])]
    parts = [*_where(body, owner, alone=len(strategies) == 1), _what(body)]
    if body["side"]:
        parts.append(f"({_why(body, owner, full=full)})")
    if body["refusal"]:
        parts.append(f"- not taken: {REFUSAL_WORDS[Refusal(body['refusal'])]}")
    elif body["action"] == EXIT:
        parts.append(f"- {exit_word(body['exit_reason'])}")
    return " ".join(parts)


def _where(body: Mapping[str, Any], owner: Mapping[str, Any], *, alone: bool) -> list[str]:
    name = [] if alone else [f"{owner['name']}:"]
    return [*name, body["coin"]] if "coin" in body else name


def _what(body: Mapping[str, Any]) -> str:
    doing = _DOING.get(body["action"], "")
    side = _SIDES.get(body["side"], "")
    if body["refusal"] or not doing:
        return side or "nothing"
    return f"{doing} {side}" if body["action"] == ENTER else doing


def _why(body: Mapping[str, Any], owner: Mapping[str, Any], *, full: bool) -> str:
    reasons: Sequence[str] = owner["reasons"]
    known = 0 <= body["reason"] < len(reasons)
    told = [f"confidence {body['confidence']:.0f}", *([reasons[body["reason"]]] if known else [])]
    factors = _factors(body) if full else ""
    return ", ".join(told) + (f": {factors}" if factors else "")


def _factors(body: Mapping[str, Any]) -> str:
    """Return what the confidence of the side that was taken is made of."""
    prefix = f"{_SIDES[body['side']]}_"
    own = {
        name.removeprefix(prefix): value
        for name, value in body["factors"].items()
        if name.startswith(prefix) and value
    }
    return " + ".join(f"{name} {value:.3g}" for name, value in own.items())


def exit_word(number: int) -> str:
    """Return why a position was left."""
    known = number in [int(one) for one in ExitReason]
    return ExitReason(number).name.lower().replace("_", " ") if known else "exit"


def _trade(row: Sequence[float], coin: str) -> str:
    one = dict(zip(TRADE.names or (), row, strict=True))
    risk = "" if one["r"] != one["r"] else f" ({one['r']:+.2f} R)"
    why = exit_word(int(one["exit_reason"]))
    return f"{coin} {_SIDES[int(one['side'])]} closed by {why}: net {one['net']:+,.2f}{risk}"


def event_text(kind: str, body: Mapping[str, Any], coin: str) -> str | None:
    """Return what happened in words; None for what a person does not wait for."""
    if kind == "fill":
        signed = "maker" if body["maker"] else "taker"
        what = body["leg"] or "by somebody else"
        return f"{coin} filled {body['size']:g} at {body['price']:g} ({what}, {signed})"
    if kind == "trade":
        return _trade(body["row"], coin)
    if kind in ("refused", "refusal"):
        return f"{coin} refused: {body.get('text') or body.get('why')}"
    if kind in ("alarm", "note"):
        return f"{'trouble: ' * (kind == 'alarm')}{body['text']}"
    if kind == "error":
        return f"error: {body['what']}" + (f": {body['error']}" if "error" in body else "")
    return None


def held_text(book: LiveBook) -> str:
    """Return the position of *book* and what stands on the exchange to end it."""
    waiting = [w for w in book.children() if w.status == OrderStatus.OPEN and w.remaining]
    ends = [f"{'stop' if w.is_stop_kind else 'target'} {w.price:g}" for w in waiting]
    return f"{book.coin} {book.size:+g} at {book.position.price:g}, {', '.join(ends) or 'no stop'}"


def revised_text(one: Revision) -> str:
    """Return what has become of a bar that was decided on."""
    changes = [
        f"{name} {given:g}, now {now:g}"
        for name in ("open", "high", "low", "close", "volume")
        if (given := getattr(one.given, name)) != (now := getattr(one.now, name))
    ]
    return (
        f"the bar of {show_ms(one.given.opened)} was another one afterwards: {'; '.join(changes)}"
    )
