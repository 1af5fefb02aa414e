"""A day or a week of a live session in figures, all of them from its journal."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.result import ExitReason, Result, Role
from ftbt.data.timeframe import DAY_MS, show_ms
from ftbt.errors import InputError
from ftbt.live.journal import Event, JournalReader
from ftbt.live.record import KINDS, Record, read_record
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

WEEK_MS = 7 * DAY_MS
# 1970-01-01 was a Thursday; weeks begin on Monday.
_MONDAY_MS = 4 * DAY_MS
BANDS = (0.0, 40.0, 55.0, 70.0, 85.0, 100.0)
_LIMITS = {
    "daily_loss": ("loss of the day", "day_start"),
    "weekly_loss": ("loss of the week", "week_start"),
    "drawdown": ("drawdown", "peak"),
}
# Reports need no orders before, so what these say is looked at apart from the record.
_MORE = ("session", "stop", "funding", "equity", "critical", "alarm", "error", "fill")


@dataclass(frozen=True, slots=True)
class Band:
    """Closed trades whose confidence lay in a range.

    Attributes:
        low, high: of the confidence; the upper end excluded, but for 100.
        trades, wins: how many.
        net: of all, quote currency.
        r: mean of net / initial risk.
    """

    low: float
    high: float
    trades: int
    wins: int
    net: float
    r: float


@dataclass(frozen=True, slots=True)
class Slipped:
    """Slippage of fills that took liquidity, fractions of the price; worse is positive.

    Attributes:
        role: entry, stop, exit.
        fills: how many.
        mean, worst: as it was.
        assumed: what the back-test takes at the least; with a wide bar it takes more.
    """

    role: str
    fills: int
    mean: float
    worst: float
    assumed: float


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a limit is used at the end.

    Attributes:
        name: of the limit in words.
        value: now.
        limit: at most.
        share: both are fractions of the equity, else they are counts.
    """

    name: str
    value: float
    limit: float
    share: bool


@dataclass(frozen=True, slots=True)
class Uptime:
    """When the bot ran, by the market's clock.

    Attributes:
        share: of the period since the deployment began; NaN for no time at all.
        down_ms: length of all gaps.
        starts, crashes: how often it began, and ended without saying so.
        gaps: begin and end of each, ms.
    """

    share: float
    down_ms: int
    starts: int
    crashes: int
    gaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """What happened.

    Attributes:
        kind: daily or weekly.
        start_ms, end_ms: of it, end excluded.
        until_ms: what is known ends there.
        deployment, network, strategies, symbols, timeframe: of the session.
        begin, end: equity; `profit`, their difference, includes what is open.
        drawdown: largest fall of the equity at closes of bars, fraction <= 0.
        trades: TRADE records that closed, an object each; `wins` counts, `net` adds them up.
        fees, funding: that were paid, of all fills.
        slippage: beyond the meant price, by role.
        expected_fees: what the back-test's rates would have been.
        bands: by confidence.
        limits: used.
        refused: setups that were not taken, by reason: how often.
        said_no: refused orders, in the exchange's words: how often.
        trouble: alarms and errors, in words, with how often.
        uptime: of the process.
        time: opens of the bars, ms, shape (n,).
        equity: at their closes, shape (n,).
        notes: what must be known beside it.
    """

    kind: str
    start_ms: int
    end_ms: int
    until_ms: int
    deployment: str
    network: str
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    timeframe: str
    begin: float
    end: float
    drawdown: float
    trades: NDArray[np.void]
    fees: float
    funding: float
    slippage: tuple[Slipped, ...]
    expected_fees: float
    bands: tuple[Band, ...]
    limits: tuple[Used, ...]
    refused: Mapping[str, int]
    said_no: Mapping[str, int]
    trouble: Mapping[str, int]
    uptime: Uptime
    time: NDArray[np.int64]
    equity: NDArray[np.float64]
    notes: tuple[str, ...]

    @property
    def wins(self) -> int:
        """Closed trades that earned something."""
        return int((self.trades["net"] > 0.0).sum())

    @property
    def net(self) -> float:
        """What the closed trades earned."""
        return float(self.trades["net"].sum())

    @property
    def profit(self) -> float:
        """By how much the equity changed, open positions included."""
        return self.end - self.begin

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: NaN becomes None."""
        plain = {
            name: getattr(self, name)
            for name in self.__slots__
            if name not in ("trades", "time", "equity", "bands", "slippage", "limits", "uptime")
        }
        names = self.trades.dtype.names or ()
        found = {
            **plain, "profit": self.profit, "net": self.net, "wins": self.wins,
            "bands": [asdict(one) for one in self.bands],
            "slippage": [asdict(one) for one in self.slippage],
            "limits": [asdict(one) for one in self.limits], "uptime": asdict(self.uptime),
            "trades": [
                {**dict(zip(names, row.tolist(), strict=True)),
                 "symbol": self.symbols[int(row["symbol"])],
                 "strategy": self.strategies[int(row["strategy"])],
                 "exit_reason": exit_word(int(row["exit_reason"]))}
                for row in self.trades
            ],
            "time": self.time.tolist(), "equity": self.equity.tolist(),
        }  # fmt: skip
        return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def exit_word(number: int) -> str:
    """Return an exit's reason in words."""
    return ExitReason(number).name.lower().replace("_", " ")


def span_of(kind: str, moment: int) -> tuple[int, int]:
    """Return begin and end (ms UTC) of the day or the week, from Monday on, that holds *moment*."""
    if kind == "daily":
        start = moment // DAY_MS * DAY_MS
        return start, start + DAY_MS
    start = (moment - _MONDAY_MS) // WEEK_MS * WEEK_MS + _MONDAY_MS
    return start, start + WEEK_MS


def read_period(reader: JournalReader, kind: str, moment: int | None = None) -> Period:
    """Return the day or week of the journal that holds *moment*.

    Args:
        reader: of the journal.
        kind: `daily` or `weekly`.
        moment: ms UTC of the market; None: the newest there is.

    Raises:
        InputError: no bar was decided on, or none in that time.
        StorageDamaged: the journal is not what was written.
    """
    record = read_record(reader.events(kinds=KINDS))
    more = list(reader.events(kinds=_MORE))
    result = record.result
    newest = int(result.time[-1]) + result.timeframe.ms
    start, end = span_of(kind, newest - 1 if moment is None else moment)
    within = (result.time >= start) & (result.time < end)
    if not within.any():
        first, last = show_ms(int(result.time[0])), show_ms(newest)
        raise InputError(
            f"no bar was decided on from {show_ms(start)} to {show_ms(end)}: the session runs"
            f" from {first} to {last}"
        )
    return _period(reader, record, more, (kind, start, end), within)


def _period(
    reader: JournalReader,
    record: Record,
    more: Sequence[Event],
    asked: tuple[str, int, int],
    within: NDArray[np.bool_],
) -> Period:
    result, (kind, start, end) = record.result, asked
    time, equity = result.time[within], result.equity[within]
    first = int(np.argmax(within))
    begin = float(result.equity[first - 1]) if first else result.settings.capital
    path = np.concatenate([[begin], equity])
    trades, fills = _in(result.trades, "exit_time", asked), _in(result.fills, "time", asked)
    refused = _in(result.refusals, "time", asked)
    now = [one for one in more if start <= one.market_ms < end]
    said_no = [one.text for one in record.evidence.refusals if start <= one.time_ms < end]
    until = int(time[-1]) + result.timeframe.ms
    words = Counter(REFUSAL_WORDS[Refusal(int(rule))] for rule in refused["rule"])
    return Period(
        kind, start, end, until, reader.summary().deployment, record.network,
        tuple(result.strategies), tuple(result.symbols), str(result.timeframe),
        begin, float(equity[-1]), float((path / np.maximum.accumulate(path) - 1.0).min()),
        trades, float(fills["fee"].sum()), _funding(now), _slippage(now, result),
        _expected_fees(fills, result), tuple(_bands(trades)), tuple(_limits(now, result)),
        dict(words.most_common()), dict(Counter(said_no).most_common()), _trouble(now),
        _uptime(more, start, min(end, until)), time, equity, tuple(_notes(record)),
    )  # fmt: skip


def _in(rows: NDArray[np.void], name: str, asked: tuple[str, int, int]) -> NDArray[np.void]:
    _, start, end = asked
    return rows[(rows[name] >= start) & (rows[name] < end)]


def _notes(record: Record) -> Iterable[str]:
    if record.network == "localnet":
        yield "on a local exchange: no real money, and its market is a replay"
    yield (
        "costs are compared with what the back-test assumes; trade by trade, against the same bars:"
        " ftbt parity"
    )


def _funding(events: Iterable[Event]) -> float:
    return sum(float(one.body["paid"]) for one in events if one.kind == "funding")


def _expected_fees(fills: NDArray[np.void], result: Result) -> float:
    """Return what the fills cost at the assumed rates."""
    rate = np.where(fills["maker"] != 0, result.settings.maker_fee, result.settings.taker_fee)
    return float((fills["size"] * fills["price"] * rate).sum())


def _slippage(events: Iterable[Event], result: Result) -> tuple[Slipped, ...]:
    """Return slippage by role: as noted with each fill that took liquidity."""
    roles = {int(one["id"]): Role(int(one["role"])).name.lower() for one in result.orders}
    found: dict[str, list[float]] = {}
    for one in events:
        if one.kind == "fill" and not one.body["maker"] and "slip" in one.body:
            found.setdefault(roles[int(one.body["order"])], []).append(float(one.body["slip"]))
    assumed = result.settings.half_spread
    return tuple(
        Slipped(role, len(each), float(np.mean(each)), max(each), assumed)
        for role, each in sorted(found.items())
    )


def _bands(trades: NDArray[np.void]) -> Iterable[Band]:
    for low, high in itertools.pairwise(BANDS):
        sure = trades["confidence"]
        mine = trades[(sure >= low) & ((sure < high) | ((high == BANDS[-1]) & (sure <= high)))]
        if len(mine):
            known = mine["r"][~np.isnan(mine["r"])]
            yield Band(
                low, high, len(mine), int((mine["net"] > 0.0).sum()), float(mine["net"].sum()),
                float(known.mean()) if len(known) else math.nan,
            )  # fmt: skip


def _limits(events: Sequence[Event], result: Result) -> Iterable[Used]:
    last = next((one for one in reversed(events) if one.kind == "equity"), None)
    if last is None:
        return
    state, equity, limits = last.body["limits"], float(last.body["equity"]), result.settings.limits
    for name, (words, since) in _LIMITS.items():
        begin = float(state[since])
        lost = max(0.0, 1.0 - equity / begin) if begin > 0.0 else 0.0
        yield Used(words, lost, float(getattr(limits, name)), share=True)
    day = [one for one in events if one.kind == "equity"]
    most = max(float(one.body["limits"]["trades_today"]) for one in day)
    yield Used("most trades of a day", most, float(limits.trades_per_day), share=False)


def _trouble(events: Iterable[Event]) -> dict[str, int]:
    words = Counter(
        str(one.body.get("text") or one.body.get("what"))
        for one in events if one.kind in ("critical", "alarm", "error")
    )  # fmt: skip
    return dict(words.most_common())


def _uptime(events: Sequence[Event], start: int, end: int) -> Uptime:
    """Return when a process was there: from its `session` to the last that it noted."""
    spans: list[list[int]] = []
    starts = crashes = 0
    clean = True
    for one in events:
        if one.kind == "session":
            inside = start <= one.market_ms < end
            starts += inside
            crashes += inside and not clean
            spans.append([one.market_ms, one.market_ms])
            clean = False
        elif spans:
            spans[-1][1] = max(spans[-1][1], one.market_ms)
            clean = one.kind == "stop"
    cut = [(max(a, start), min(b, end)) for a, b in spans if b >= start and a < end]
    begin = max(start, spans[0][0]) if spans else start
    gaps = []
    at = begin
    for a, b in cut:
        if a > at:
            gaps.append((at, a))
        at = max(at, b)
    if at < end:
        gaps.append((at, end))
    down = sum(b - a for a, b in gaps)
    whole = end - begin
    share = 1.0 - down / whole if whole > 0 else math.nan
    return Uptime(share, down, starts, crashes, tuple(gaps))
