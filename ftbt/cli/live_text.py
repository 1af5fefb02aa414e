"""Status and summary of a live session in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ftbt.data.timeframe import show_ms
from ftbt.live.runner import LiveRun
from ftbt.live.status import Status, latency_text
from ftbt.live.words import decision_text, held_text
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

Strategies = list[dict[str, Any]]


def bar_line(status: Status, strategies: Strategies) -> str:
    """Return one line about the bar that was decided on last."""
    parts = [show_ms(status.market_ms), *_prices(status), *_held(status)]
    parts.append(f"orders {status.open_orders}")
    parts.append(f"equity {status.equity:,.2f}")
    trouble = _trouble(status)
    if status.latency:
        parts.append(f"decided in {status.latency['last']:.1f} ms")
    decided = _decided(status, strategies)
    parts += [decided] if decided else []
    return " | ".join([*parts, *([f"TROUBLE: {trouble}"] if trouble else [])])


def status_lines(status: Status, strategies: Strategies) -> list[str]:
    """Return the lines of a terminal's status."""
    feet = f"{status.trades} trades, {status.wins} won"
    if status.latency:
        feet += f" | {latency_text(status.latency)}"
    feet += f" | requests left {status.weight_left:.0%}"
    lines = [
        " | ".join([f"{status.network} {show_ms(status.market_ms)}", *_prices(status)]),
        " | ".join([*_held(status), f"orders {status.open_orders}",
                    f"equity {status.equity:,.2f}", *_account(status)]),
        feet,
    ]  # fmt: skip
    if status.decision:
        lines.append(f"last decision: {decision_text(status.decision, strategies)}")
    trouble = _trouble(status)
    return [*lines, f"TROUBLE: {trouble}"] if trouble else lines


def _prices(status: Status) -> list[str]:
    return [f"{coin} {price:g}" for coin, price in status.prices.items()]


def _held(status: Status) -> list[str]:
    found = []
    for coin, size in status.positions.items():
        entry = status.entries[coin]
        profit = size * (status.prices[coin] - entry)
        found.append(f"{coin} {size:+g} at {entry:g} ({profit:+,.2f})")
    return found or ["flat"]


def _account(status: Status) -> list[str]:
    there = status.account_equity
    return [] if there is None else [f"account {there:,.2f}"]


def _decided(status: Status, strategies: Strategies) -> str:
    """Return the decision of the newest bar, empty when there was none."""
    fresh = status.decision and status.decision["bar"] == status.bar_ms
    return decision_text(status.decision, strategies, full=False) if fresh else ""


def _trouble(status: Status) -> str:
    bare = [f"{coin} has no stop for {s:.0f} s" for coin, s in status.unprotected.items() if s > 5]
    lost = [] if status.connected else ["not connected"]
    return "; ".join([*([status.ready] if status.ready else lost), *bare])


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a session, earlier ones of its journal included.

    Attributes:
        trades, wins, net, fees, funding: of closed trades; money in the quote currency.
        fills: of all orders; equity: at the end.
        refused: how often by rule, in words.
        stays: each position that stays, in words.
        waits: orders that stay on the exchange.
        journal: path.
    """

    trades: int
    wins: int
    net: float
    fees: float
    funding: float
    fills: int
    equity: float
    refused: dict[str, int]
    stays: list[str]
    waits: int
    journal: str


def summary_of(run: LiveRun) -> Summary:
    """Return the summary of *run*, which is over."""
    desk = run.broker.desk
    trades, fills, refused = desk.trade_records(), desk.fill_records(), desk.refusal_records()
    words = Counter(REFUSAL_WORDS[Refusal(int(rule))] for rule in refused["rule"])
    return Summary(
        trades=len(trades), wins=int((trades["net"] > 0.0).sum()),
        net=float(trades["net"].sum()), fees=float(fills["fee"].sum()),
        funding=float(trades["funding"].sum()), fills=len(fills), equity=desk.equity(),
        refused=dict(words.most_common()), stays=_stays(run),
        waits=sum(1 for _ in run.broker.legs.all_alive()),
        journal=str(run.config.state / "journal.db"),
    )  # fmt: skip


def _stays(run: LiveRun) -> list[str]:
    bare = run.broker.unprotected()
    held = [book for book in run.broker.coins.values() if book.size]
    return [
        held_text(book) + (" - NO STOP STANDS THERE" if book.coin in bare else "") for book in held
    ]


def summary_lines(found: Summary) -> list[str]:
    """Return the summary in words."""
    money = (
        f"{found.trades} trades, {found.wins} won, net {found.net:+,.2f}"
        f" (fees {found.fees:,.2f}, funding {found.funding:+,.2f}), {found.fills} fills,"
        f" equity {found.equity:,.2f}"
    )
    lines = [money]
    if found.refused:
        words = ", ".join(f"{word} {count:,}" for word, count in found.refused.items())
        lines.append(f"not taken: {words}")
    lines += [f"stays on the exchange: {one}" for one in found.stays] or ["no position stays"]
    if found.waits:
        lines.append(f"{found.waits} orders stay on the exchange")
    return [*lines, f"journal: {found.journal}"]
