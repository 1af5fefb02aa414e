"""Everything wrong or odd with series, for reading rather than for refusing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ftbt.data import parquet
from ftbt.data.candles import Bars, Ints
from ftbt.data.columns import bars_from_frame, funding_from_frame, is_funding
from ftbt.data.funding import check_funding
from ftbt.data.parquet import FUNDING
from ftbt.data.store import CandleStore
from ftbt.data.symbols import match_symbol
from ftbt.data.tables import read_table
from ftbt.data.timeframe import Timeframe, show_ms
from ftbt.data.validate import LAST_TIME_MS, Problem, ZeroVolumeRun, find_problems, zero_volume_runs
from ftbt.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Inspection:
    """One series: what it is in a line, every problem, every run without volume."""

    title: str
    problems: list[Problem]
    zero_volume: list[ZeroVolumeRun]
    first_line: int | None = None


def inspect_file(path: Path, timeframe: str | None = None, sort: bool = False) -> Inspection:
    """Return what is to be said of a CSV, Parquet or Feather file of candles or funding.

    Raises:
        DataError: no such columns, an unclear timeframe, or funding that cannot be used.
        StorageError: the file cannot be read.
    """
    raw = read_table(path)
    kind = "synthetic market, " if raw.info is not None and raw.info.synthetic else ""
    if is_funding(raw.frame.columns):
        time, _ = funding_from_frame(raw.frame, str(path), sort=sort)
        return Inspection(f"{path}: {kind}{_funding_span(time)}", [], [])
    table = bars_from_frame(raw.frame, str(path), sort=sort, first_line=raw.first_line)
    length = table.timeframe(timeframe)
    title = f"{path}: {kind}{_span(table.bars, length)}"
    runs = zero_volume_runs(table.bars)
    return Inspection(title, table.problems(length), runs, table.first_line)


def inspect_store(
    store: CandleStore, exchange: str, symbol: str | None = None, timeframe: str | None = None
) -> list[Inspection]:
    """Return what is to be said of the stored series of *exchange*, at least of one.

    Raises:
        DataError: no such series.
        StorageError: a file cannot be read.
    """
    exchanges = store.exchanges()
    if exchange not in exchanges:
        known = ", ".join(exchanges) or "nothing yet"
        raise DataError(
            f"{exchange!r} is neither a file nor an exchange in the store {store.root}"
            f"{did_you_mean(exchange, exchanges)}; there is: {known}"
        )
    symbols = store.symbols(exchange)
    if symbol is not None:
        symbols = [match_symbol(symbol, symbols, exchange)]
    found = [one for name in symbols for one in _inspect_symbol(store, exchange, name, timeframe)]
    if not found:
        raise DataError(f"{exchange} has no {timeframe} candles; see ftbt data list")
    return found


def _inspect_symbol(
    store: CandleStore, exchange: str, symbol: str, timeframe: str | None
) -> list[Inspection]:
    wanted = None if timeframe is None else Timeframe.parse(timeframe)
    found = []
    for length in store.timeframes(exchange, symbol):
        if wanted is None or length == wanted:
            bars, info = parquet.read_bars(store.path(exchange, symbol, length))
            kind = "synthetic market, " if info.synthetic else ""
            title = f"{exchange} {symbol}: {kind}{_span(bars, length)}"
            found.append(Inspection(title, find_problems(bars, length), zero_volume_runs(bars)))
    path = store.path(exchange, symbol, FUNDING)
    if wanted is None and path.exists():
        time, rate, _ = parquet.read_funding(path)
        check_funding(time, rate, str(path))
        found.append(Inspection(f"{exchange} {symbol}: {_funding_span(time)}", [], []))
    return found


def _span(bars: Bars, length: Timeframe) -> str:
    if len(bars) == 0:
        return f"{length}, no bars"
    first, last = int(bars["time"][0]), int(bars["time"][-1])
    if not (0 <= first < LAST_TIME_MS and 0 <= last < LAST_TIME_MS):
        return f"{length}, {len(bars)} bars, span unknown"
    return f"{length}, {len(bars)} bars, {show_ms(first)} to {show_ms(last + length.ms)}"


def _funding_span(time: Ints) -> str:
    return f"funding, {len(time)} rates, {show_ms(time[0])} to {show_ms(time[-1])}"
