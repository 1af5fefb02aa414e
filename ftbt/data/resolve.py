"""What `--data`, `--symbol`, `--timeframe`, `--from`, `--to`, `--holes`, `--detail` mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ftbt.data.candles import Bars, Candles, Funding
from ftbt.data.columns import bars_from_frame, is_funding
from ftbt.data.importer import symbol_of
from ftbt.data.market import Market, instrument_for
from ftbt.data.resample import whole_bars
from ftbt.data.sample import SYMBOLS, default_sample, sample_market
from ftbt.data.store import CandleStore, default_root
from ftbt.data.symbols import match_symbol
from ftbt.data.tables import kind_of, read_table
from ftbt.data.timeframe import Timeframe, show_ms, to_ms
from ftbt.data.validate import check_bars, check_policy, find_holes, segments, split_candles
from ftbt.errors import DataError, InputError, did_you_mean

SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class _Source:
    """One symbol somewhere: the bar lengths there, shortest first, and how to get them."""

    label: str
    symbol: str
    synthetic: bool
    lengths: tuple[Timeframe, ...]
    bars: Callable[[Timeframe], Bars]
    funding: Callable[[], Funding | None]


@dataclass(frozen=True, slots=True)
class _Span:
    """Asked part of the data; None is an open end. ms UTC."""

    start: int | None
    end: int | None


def load_markets(
    data: str | None,
    symbol: str,
    timeframe: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    holes: str = "refuse",
    detail: str | None = None,
    store_root: Path | None = None,
) -> list[Market]:
    """Return the market that the options name: one item per stretch of candles without a hole.

    Args:
        data: None or `sample` is the embedded synthetic market; a path is that file; else the
            name of an exchange in the store.
        symbol: `BTC` finds `BTCUSDT` or `BTC/USDT:USDT` when only one fits.
        timeframe: bar length; made of shorter bars when it is not there itself.
        start: first open, aware; None takes all.
        end: close of the last bar, aware; None takes all.
        holes: `refuse` or `split`; only holes between *start* and *end* count. With `split`, bars
            that a hole of the detail touches are left out as well.
        detail: shorter bar length that resolves the path inside a bar; None for none. Bars before
            the first or after the last detail bar have none.
        store_root: folder of the store; None is `$FTBT_STORE` or `data`.

    Raises:
        InputError: an option that cannot be used.
        DataError: no such data, or data that must not be traded on.
        StorageError: a file that cannot be read.
    """
    check_policy(holes)
    length = Timeframe.parse(timeframe)
    span = _span(start, end)
    source = _open(data, symbol, store_root)
    bars, label = _series(source, length, span, holes)
    fine = None
    if detail is not None:
        fine = _detail(source, length, Timeframe.parse(detail), span, holes)
        bars = _untouched(bars, length, fine)
    if len(bars) == 0:
        raise DataError(f"{source.label} {source.symbol}: no whole {length} bar is left")
    funding = source.funding()
    return [
        Market(candles, instrument_for(candles.symbol), funding, _inside(fine, candles))
        for candles in split_candles(bars, source.symbol, length, label, source.synthetic)
    ]


def finest_detail(
    data: str | None, symbol: str, timeframe: str, store_root: Path | None = None
) -> Timeframe | None:
    """Return the shortest bars that could tell the path inside those of *timeframe*, if any.

    Raises:
        InputError, DataError: as `load_markets`.
    """
    length = Timeframe.parse(timeframe)
    lengths = _open(data, symbol, store_root).lengths
    fits = [one for one in lengths if one.ms < length.ms and length.ms % one.ms == 0]
    return fits[0] if fits else None


def _span(start: datetime | None, end: datetime | None) -> _Span:
    span = _Span(None if start is None else to_ms(start), None if end is None else to_ms(end))
    if span.start is not None and span.end is not None and span.start >= span.end:
        raise InputError(f"--from {show_ms(span.start)} must lie before --to {show_ms(span.end)}")
    return span


def _open(data: str | None, symbol: str, store_root: Path | None) -> _Source:
    if data is None or data == SAMPLE:
        return _sample(symbol)
    store = CandleStore(store_root or default_root())
    exchanges = store.exchanges()
    if data in exchanges:
        return _stored(store, data, symbol)
    path = Path(data)
    if path.is_file() or kind_of(path) is not None:
        return _file(path, symbol)
    if path.is_dir():
        raise InputError(f"--data {data} is a folder: give one file, or an exchange of the store")
    known = [SAMPLE, *exchanges]
    raise DataError(
        f"--data {data!r} is neither a file nor an exchange in the store"
        f" {store.root}{did_you_mean(data, known)}; there is: {', '.join(known)}"
    )


def _sample(symbol: str) -> _Source:
    name = match_symbol(symbol, SYMBOLS, "the synthetic market")
    market = default_sample()[name]
    usual = market.candles.timeframe

    def bars(length: Timeframe) -> Bars:
        # One path makes all lengths, so shorter bars are the same market seen closer.
        return (market if length == usual else sample_market((name,), length)[name]).candles.bars

    lengths = (Timeframe.parse("1m"), usual)
    return _Source(market.candles.source, name, True, lengths, bars, lambda: market.funding)


def _stored(store: CandleStore, exchange: str, symbol: str) -> _Source:
    name = match_symbol(symbol, store.symbols(exchange), exchange)
    lengths = store.timeframes(exchange, name)
    if not lengths:
        raise DataError(f"{exchange} {name}: there is funding in the store, but no candles")
    info = store.info(exchange, name, lengths[0])
    return _Source(
        exchange if info.source == exchange else f"{exchange}: {info.source}",
        name,
        info.synthetic,
        tuple(lengths),
        lambda length: store.read_bars(exchange, name, length)[0],
        lambda: store.read_funding(exchange, name),
    )


def _file(path: Path, symbol: str) -> _Source:
    raw = read_table(path)
    if is_funding(raw.frame.columns):
        raise DataError(f"{path} holds funding, not candles; `ftbt data import` takes it")
    table = bars_from_frame(raw.frame, str(path), first_line=raw.first_line)
    length = table.timeframe(None)
    table.check(length, holes="split")
    own = symbol_of(path, raw)
    name = symbol if own is None else match_symbol(symbol, [own], path.name)
    synthetic = raw.info is not None and raw.info.synthetic
    label = f"{path.name}, {raw.info.source}" if raw.info and synthetic else path.name
    return _Source(label, name, synthetic, (length,), lambda _: table.bars, lambda: None)


def _series(source: _Source, length: Timeframe, span: _Span, holes: str) -> tuple[Bars, str]:
    """Return the asked bars of *length*, holes and all where allowed, and what made them."""
    base = _base(source, length)
    bars = _cut(source, base, span)
    if holes == "refuse":
        check_bars(bars, base, f"{source.label} {source.symbol} {base}")
    if base == length:
        return bars, source.label
    whole = [whole_bars(bars[a:b], base, length) for a, b in segments(bars, base)]
    return np.concatenate(whole), f"{source.label}, resampled from {base}"


def _base(source: _Source, length: Timeframe) -> Timeframe:
    """Return the longest bars there that make up bars of *length*."""
    fits = [short for short in source.lengths if length.ms % short.ms == 0]
    if not fits:
        there = ", ".join(str(known) for known in source.lengths)
        raise DataError(
            f"{source.label} {source.symbol} has candles of {there}: {length} bars cannot be made"
            " of them"
        )
    return fits[-1]


def _cut(source: _Source, length: Timeframe, span: _Span) -> Bars:
    """Return the bars that open at or after the start and close at or before the end."""
    bars = source.bars(length)
    time = bars["time"]
    first = 0 if span.start is None else int(np.searchsorted(time, span.start))
    stop = len(time)
    if span.end is not None:
        stop = int(np.searchsorted(time, span.end - length.ms, side="right"))
    if stop <= first:
        last = show_ms(int(time[-1]) + length.ms)
        raise DataError(
            f"{source.label} {source.symbol} {length}: no bar between --from and --to;"
            f" the data run from {show_ms(time[0])} to {last}"
        )
    return bars[first:stop]


def _detail(
    source: _Source, length: Timeframe, fine: Timeframe, span: _Span, holes: str
) -> Candles:
    """Return the detail bars as one Candles that may still have holes; callers cut it."""
    if fine.ms >= length.ms or length.ms % fine.ms:
        raise InputError(f"--detail {fine} must be a whole fraction of --timeframe {length}")
    bars, label = _series(source, fine, span, holes)
    return Candles(source.symbol, fine, bars, label, source.synthetic)


def _untouched(bars: Bars, length: Timeframe, detail: Candles) -> Bars:
    """Return the bars that no hole between detail bars touches."""
    keep = np.ones(len(bars), dtype=bool)
    for hole in find_holes(detail.bars, detail.timeframe):
        first = np.searchsorted(bars["time"], hole.first_ms - length.ms, side="right")
        keep[first : np.searchsorted(bars["time"], hole.last_ms, side="right")] = False
    return bars[keep]


def _inside(detail: Candles | None, candles: Candles) -> Candles | None:
    if detail is None:
        return None
    first, stop = np.searchsorted(detail.time, [to_ms(candles.start), to_ms(candles.end)])
    return detail.slice(int(first), int(stop)) if stop > first else None
