"""What was promised, and what was kept: the figures of a soak as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.live.protection import UNPROTECTED_S
from soak.accounts import Compared
from soak.catalogue import NOT_MET
from soak.driving import Struck
from soak.intents import Intents
from soak.ledger import Ledger
from soak.limits import Kept
from soak.plan import STRATEGIES, Asked, Stroke
from soak.ward import Log
from soak.watching import Bare, Look

# A loop that has said nothing for so long can't manage anything.
BEAT_S = 5.0
LEAST_UP = 0.999
MOST_GROWTH = 0.02
LEAST_TRADES, LEAST_FAULTS, MOST_MINUTES = 100, 200, 30.0
_WHOLE_DAYS = 7.0
_FIRST_DAY_MS, _WINDOW_MS = DAY_MS, 6 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise.

    Attributes:
        name: short.
        words: what it says.
        figure, target: as they are shown.
        met: None when such a run can't tell.
    """

    name: str
    words: str
    figure: str
    target: str
    met: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """All that a soak has seen.

    Attributes:
        asked: what was soaked.
        strokes, struck: what was to go wrong, and what did.
        log: lives of the process; `looks` at it and `bare` positions, from outside.
        kept: limits; most_positions, most_leverage: at any moment.
        last: the accounts at the end; api_value: what the venue's own API says then.
        ledger: at the end. intents: orders meant and taken.
        bars: that were decided on, of `of`.
        seconds: of the whole run.
    """

    asked: Asked
    strokes: Sequence[Stroke]
    struck: Struck
    log: Log
    looks: Sequence[Look]
    bare: Sequence[Bare]
    kept: Sequence[Kept]
    most_positions: int
    most_leverage: float
    last: Compared
    api_value: float
    ledger: Ledger
    intents: Intents
    bars: int
    of: int
    seconds: float


def figures(seen: Seen) -> dict[str, Any]:
    """Return what is published."""
    return {
        "format": 1,
        "about": {
            "seed": seen.asked.seed, "days": seen.asked.days, "symbols": list(seen.asked.symbols),
            "strategies": {name: dict(values) for name, values in STRATEGIES.items()},
            "bars": seen.bars, "of": seen.of, "minutes": round(seen.seconds / 60.0, 2),
        },
        "promises": [asdict(one) for one in promises(seen)],
        "faults": fault_table(seen),
        "phases": phase_table(seen),
        "left_out": dict(NOT_MET),
        "money": _money(seen),
        "limits": [asdict(one) for one in seen.kept],
        "lives": _lives(seen),
        "memory": memory(seen.looks),
        "resumed": list(seen.struck.resumed),
    }  # fmt: skip


def promises(seen: Seen) -> list[Promise]:
    """Return each promise beside what came out."""
    whole = seen.asked.days >= _WHOLE_DAYS
    struck = len(seen.struck.done)
    trades = len(seen.ledger.rounds)
    classes = fault_table(seen)
    never = [name for name, row in classes.items() if not row["struck"]]
    apart = [text for one in seen.struck.compared for text in one.apart]
    up, down_s = uptime(seen.looks, seen.log)
    bare = longest_bare(seen)
    growth = memory(seen.looks)["growth"]
    broken = [text for one in seen.kept for text in one.broken]
    minutes = seen.seconds / 60.0
    return [
        Promise("days", "every bar was decided on, to the end",
                f"{seen.bars:,} of {seen.of:,} bars", "all", seen.bars == seen.of),
        Promise("trades", "trades from flat to flat, on the exchange", f"{trades:,}",
                f"at least {LEAST_TRADES}" if whole else "at least 1",
                trades >= (LEAST_TRADES if whole else 1)),
        Promise("faults", "faults, deaths and freezes that struck", f"{struck:,}",
                f"at least {LEAST_FAULTS}" if whole else "at least 1",
                struck >= (LEAST_FAULTS if whole else 1)),
        Promise("classes", "classes of faults that struck at least once",
                f"{len(classes) - len(never)} of {len(classes)}"
                + (f", not {', '.join(never)}" if never and whole else ""),
                "all" if whole else "not judged in less than a week",
                not never if whole else None),
        Promise("accounts", "exchange, journal and ledger agree to the cent, after each death and"
                " at the end", _compared(seen, apart), "never apart", not apart),
        Promise("booked", "trades that the journal has booked, of those on the exchange",
                f"{seen.intents.trades:,} of {trades:,}", "all", seen.intents.trades == trades),
        Promise("orders", "no order twice, none that was not meant, no entry larger than meant",
                _first(seen.intents.twice, f"{seen.intents.orders:,} orders, each once"),
                "none", not seen.intents.twice),
        Promise("protection", "longest time without a working stop, the process being there",
                f"{bare:.1f} s", f"at most {UNPROTECTED_S:g} s", bare <= UNPROTECTED_S),
        Promise("uptime", "able to manage positions, outside the forced absences",
                f"{up:.3%} ({down_s:.1f} s not)", f"at least {LEAST_UP:.1%}", up >= LEAST_UP),
        Promise("memory", "growth of memory after the first day of the longest life",
                "not measured" if growth is None else f"{growth:+.2%}",
                f"under {MOST_GROWTH:.0%}", None if growth is None else growth < MOST_GROWTH),
        Promise("limits", "every limit on risk was kept",
                _first(broken, f"{len(seen.kept)} limits, none broken"), "none broken", not broken),
        Promise("time", "minutes of the wall clock", f"{minutes:.1f}",
                f"under {MOST_MINUTES:g}", minutes < MOST_MINUTES),
    ]  # fmt: skip


def missed(found: dict[str, Any]) -> list[str]:
    """Return a line for each promise that was not kept."""
    return [
        f"{one['name']}: {one['figure']} (target: {one['target']})"
        for one in found["promises"] if one["met"] is False
    ]  # fmt: skip


# --- figures ----------------------------------------------------------------------------------


def fault_table(seen: Seen) -> dict[str, dict[str, int]]:
    """Return how many of each class were drawn, and have struck."""
    drawn = Counter(one.name for one in seen.strokes)
    struck = Counter(one.name for one in seen.strokes if one.number in seen.struck.done)
    return {name: {"drawn": n, "struck": struck[name]} for name, n in sorted(drawn.items())}


def phase_table(seen: Seen) -> dict[str, int]:
    """Return how many have struck what."""
    found = Counter(one.blow.phase for one in seen.strokes if one.number in seen.struck.done)
    return dict(sorted(found.items()))


def uptime(looks: Sequence[Look], log: Log) -> tuple[float, float]:
    """Return the share of time in which the loop turned, and the seconds in which it did not.

    A look stands for the time since the one before; what lies in a forced absence does not count.
    """
    up = down = 0.0
    before: Look | None = None
    for look in looks:
        if before is not None:
            begin, end = before.at + before.took_s, look.at + look.took_s
            absent = sum(one.overlap(begin, end) for one in log.absences)
            if not absent:
                alive = look.beat_s is not None and look.beat_s <= BEAT_S
                up, down = up + (end - begin) * alive, down + (end - begin) * (not alive)
        before = look
    return (up / (up + down) if up + down else 0.0), down


def longest_bare(seen: Seen, *, all_of_it: bool = False) -> float:
    """Return the longest time without a working stop, seconds.

    Args:
        seen: of the soak.
        all_of_it: with the time in which the process was gone, or the exchange took nothing.
    """
    return max((_bare_s(one, seen, all_of_it=all_of_it) for one in seen.bare), default=0.0)


def _bare_s(bare: Bare, seen: Seen, *, all_of_it: bool) -> float:
    whole = bare.ended - bare.began
    if all_of_it:
        return whole
    gone = sum(one.overlap(bare.began, bare.ended) for one in seen.log.absences)
    closed = sum(
        max(0.0, min(bare.ended, end) - max(bare.began, begin))
        for begin, end in seen.struck.outages
    )
    return max(0.0, whole - gone - closed)


def memory(looks: Sequence[Look]) -> dict[str, Any]:
    """Return how the longest life has grown after its first day, and its memory in MB."""
    by_life: dict[int, list[Look]] = {}
    for look in looks:
        if look.rss is not None:
            by_life.setdefault(look.life, []).append(look)
    found: dict[str, Any] = {"growth": None, "days": 0.0, "first_mb": None, "last_mb": None}
    own = max(by_life.values(), default=[], key=lambda rows: rows[-1].market_ms - rows[0].market_ms)
    if not own:
        return found
    begin, end = own[0].market_ms, own[-1].market_ms
    found["days"] = round((end - begin) / DAY_MS, 2)
    if end - begin < _FIRST_DAY_MS + 2 * _WINDOW_MS:
        return found
    from_ms = begin + _FIRST_DAY_MS
    first = _middle([one for one in own if from_ms <= one.market_ms < from_ms + _WINDOW_MS])
    last = _middle([one for one in own if one.market_ms >= end - _WINDOW_MS])
    return found | {
        "growth": last / first - 1.0, "first_mb": round(first / 1e6, 1),
        "last_mb": round(last / 1e6, 1),
    }  # fmt: skip


def _middle(looks: Sequence[Look]) -> float:
    return float(median(one.rss for one in looks if one.rss is not None))


def _money(seen: Seen) -> dict[str, Any]:
    ledger, last = seen.ledger, seen.last
    return {
        "deposits": f"{float(ledger.deposits):.2f}", "realised": f"{float(ledger.realised):.2f}",
        "fees": f"{float(ledger.fees):.2f}", "funding": f"{float(ledger.funding):.2f}",
        "exchange": f"{last.exchange:.4f}", "ledger": f"{last.ledger:.4f}",
        "journal": f"{last.journal:.4f}", "api": f"{seen.api_value:.4f}",
        "compared": len(seen.struck.compared),
    }  # fmt: skip


def _lives(seen: Seen) -> dict[str, Any]:
    lives, log = seen.log.lives, seen.log
    starts = [life.ready - life.began for life in lives if life.ready is not None]
    return {
        "count": len(lives),
        "ends": dict(sorted(Counter(life.end or "over" for life in lives).items())),
        "falls": log.falls,
        "start_s": round(median(starts), 2) if starts else None,
        "slowest_start_s": round(max(starts), 2) if starts else None,
        "absent_s": round(sum(
            one.ended - one.began for one in log.absences if one.ended is not None), 1),
        "slowest_beat_s": round(max(
            (look.beat_s for look in seen.looks if look.beat_s is not None), default=0.0), 2),
        "longest_bare_s": round(longest_bare(seen), 2),
        "longest_bare_all_s": round(longest_bare(seen, all_of_it=True), 2),
        "bare": len(seen.bare),
        "most_positions": seen.most_positions,
        "most_leverage": round(seen.most_leverage, 3),
    }  # fmt: skip


def _compared(seen: Seen, apart: Sequence[str]) -> str:
    return _first(apart, f"{len(seen.struck.compared)} times, never apart")


def _first(texts: Sequence[str], else_: str) -> str:
    """Return the first of *texts* and how many there are, or what is said without any."""
    if not texts:
        return else_
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return texts[0] + more
