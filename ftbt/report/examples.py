"""Picks example trades, cuts their candles and keeps what was known before each entry.

It runs once, when the walk-forward ends and the candles are at hand; the report is then rendered
from the run folder alone. The choice is by rule, so the same run gives the same file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ftbt.data.candles import Bars
from ftbt.data.market import Market
from ftbt.data.timeframe import to_ms
from ftbt.report.known import Known, known_at_close, lines_of
from ftbt.report.seen import Example, save
from ftbt.report.source import Source, milliseconds
from ftbt.strategy.parameters import resolve
from ftbt.walkforward.ensemble import Ensemble, Member
from ftbt.walkforward.store import load_run

BEFORE = 70  # bars shown before the entry
AFTER = 18  # and after the exit
WIDEST = 160  # candles of a drawing; longer trades get coarser candles
COARSEST = 12  # bars in a candle at most; a still longer trade is cut


def write_examples(
    run_folder: Path, markets: Mapping[str, Sequence[Market]], ensemble: Ensemble
) -> Path:
    """Write `examples.json` into the finished run in *run_folder* and return its path.

    Args:
        run_folder: as `ftbt.walkforward.store.load_run` reads it.
        markets: the segments of each symbol that the run was made on.
        ensemble: the strategies that ran.

    Raises:
        StorageError: when there is no finished run, or the file can't be written.
    """
    source = Source(load_run(run_folder))
    maker = _Maker(source, markets, ensemble)
    picked = pick(source.trades)
    examples = [made for why, index in picked if (made := maker.make(why, index)) is not None]
    return save(run_folder, examples, maker.notes)


def pick(trades: pd.DataFrame) -> list[tuple[str, int]]:
    """Return why and position of the example trades; each trade once, at most six.

    The best and the worst, the one in the middle of all, the one in the middle of all stop-outs,
    and the middle one of a side that is not among them. Results are compared in R where every
    trade has a stop, else in money; of equal ones the earlier trade counts as smaller.
    """
    if not len(trades):
        return []
    r = trades["r"].to_numpy(np.float64)
    value = r if np.isfinite(r).all() else trades["money"].to_numpy(np.float64)
    order = np.argsort(value, kind="stable")
    stops = order[(trades["exit_reason"].to_numpy() == "stop")[order]]
    sides = trades["side"].to_numpy()
    found: dict[int, str] = {}
    for why, ranked in (
        ("best trade", order[-1:]),
        ("worst trade", order[:1]),
        ("middle of all trades", order),
        ("typical stop-out", stops),
    ):
        _add(found, why, ranked)
    for side in ("long", "short"):
        if not any(sides[index] == side for index in found):
            _add(found, f"middle of the {side} trades", order[sides[order] == side])
    return [(why, index) for index, why in found.items()]


def _add(found: dict[int, str], why: str, ranked: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Add the middle one of *ranked*, or the one nearest to it that is not there yet."""
    middle = (len(ranked) - 1) // 2
    for index in sorted(range(len(ranked)), key=lambda place: (abs(place - middle), place)):
        if int(ranked[index]) not in found:
            found[int(ranked[index])] = why
            return


class _Maker:
    """Makes examples of one run."""

    def __init__(
        self, source: Source, markets: Mapping[str, Sequence[Market]], ensemble: Ensemble
    ) -> None:
        self.source, self.markets = source, markets
        self.members = {one.strategy.name: one for one in ensemble.members}
        self.notes: list[str] = []
        self._entries = milliseconds(source.trades["entry_time"])
        self._exits = milliseconds(source.trades["exit_time"])

    def make(self, why: str, index: int) -> Example | None:
        """Return the example of the trade at *index*, None when its candles are not given."""
        row = self.source.trades.iloc[index]
        entry, exit_ = int(self._entries[index]), int(self._exits[index])
        market = _segment(self.markets.get(row["symbol"], ()), entry)
        if market is None:
            self.notes.append(f"The candles of {row['symbol']} around a trade were not given.")
            return None
        time = market.candles.time
        first_bar = int(np.searchsorted(time, entry, side="right")) - 1
        last_bar = int(np.searchsorted(time, exit_, side="right")) - 1
        side = 1 if row["side"] == "long" else -1
        member = self.members[row["strategy"]]
        known = self._known(market, first_bar, int(row["window"]), side, member)
        bars, each, cut = cut_candles(market.candles.bars, first_bar, last_bar)
        start = int(bars[0]["time"])
        return Example(
            why=why,
            window=int(row["window"]),
            strategy=str(row["strategy"]),
            symbol=str(row["symbol"]),
            side=str(row["side"]),
            entry_reason=str(row["entry_reason"]),
            exit_reason=str(row["exit_reason"]),
            entry_time=entry,
            exit_time=exit_,
            known=int(time[first_bar]),
            entry_price=float(row["entry_price"]),
            exit_price=float(row["exit_price"]),
            stop=_finite(row["stop"]),
            target1=_finite(row["target1"]),
            target2=_finite(row["target2"]),
            net=float(row["money"]),
            r=_finite(row["r"]),
            bars=int(row["bars"]),
            confidence=_finite(row["confidence"]),
            candle_ms=each * market.candles.timeframe.ms,
            bar_ms=market.candles.timeframe.ms,
            candles=tuple(
                (
                    int(bar["time"]),
                    float(bar["open"]),
                    float(bar["high"]),
                    float(bar["low"]),
                    float(bar["close"]),
                )
                for bar in bars
            ),
            cut=cut,
            zones=known.zones,
            swings=tuple(swing for swing in known.swings if swing.time >= start),
            factors=known.factors,
            lines=known.lines,
            parameters=self._parameters(int(row["window"]), member),
        )

    def _known(
        self, market: Market, entry_bar: int, window: int, side: int, member: Member
    ) -> Known:
        """Return what was known at the close before the entry, from the bars the run itself had."""
        plan = self.source.run.manifest.plan
        facts = self.source.run.manifest.windows[window]
        at = int(np.searchsorted(market.candles.time, facts.test[0]))
        first = max(at, plan.warmup_bars) - plan.warmup_bars
        if entry_bar <= first:
            return Known((), (), (), "no bar before the entry")
        seen = market.slice(first, entry_bar)
        return known_at_close(seen, self._lines(seen, window, member), side)

    def _lines(self, market: Market, window: int, member: Member) -> list[Any]:
        cls = member.strategy.load()
        given = {**member.space.fixed, **self._parameters(window, member)}
        values = resolve(cls, given, market.candles.timeframe.text)
        try:
            return list(lines_of(cls, values, market))
        # A user's strategy may do anything; a missing drawing must not cost a finished run.
        except Exception as error:  # noqa: BLE001
            note = (
                "The strategy's own lines could not be drawn"
                f" ({type(error).__name__}: {error}); zones are by the default lines."
            )
            if note not in self.notes:
                self.notes.append(note)
            return []

    def _parameters(self, window: int, member: Member) -> dict[str, Any]:
        frame = self.source.windows
        return member.own(frame.loc[frame["window"] == window, "parameters"].iloc[0])


def _segment(segments: Sequence[Market], time_ms: int) -> Market | None:
    """Return the segment that holds *time_ms*."""
    for market in segments:
        if market.candles.time[0] <= time_ms < to_ms(market.candles.end):
            return market
    return None


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def cut_candles(bars: Bars, entry_bar: int, exit_bar: int) -> tuple[Bars, int, bool]:
    """Return the candles around a trade.

    Args:
        bars: all bars, shape (n,).
        entry_bar: index of the bar of the entry.
        exit_bar: index of the bar of the exit.

    Returns:
        Candles, how many bars each stands for, and whether the exit was cut off.
    """
    first = max(0, entry_bar - BEFORE)
    stop = min(len(bars), exit_bar + 1 + AFTER)
    each = -(-(stop - first) // WIDEST)
    cut = each > COARSEST
    if cut:
        each = COARSEST
        stop = first + WIDEST * each
    return _coarser(bars[first:stop], each), each, cut and exit_bar >= stop


def _coarser(bars: Bars, each: int) -> Bars:
    """Return candles of *each* bars, the last perhaps of fewer."""
    if each == 1:
        return bars
    starts = np.arange(0, len(bars), each)
    made = bars[starts].copy()
    made["high"] = np.maximum.reduceat(bars["high"], starts)
    made["low"] = np.minimum.reduceat(bars["low"], starts)
    made["close"] = bars["close"][np.append(starts[1:], len(bars)) - 1]
    made["volume"] = np.add.reduceat(bars["volume"], starts)
    return made
