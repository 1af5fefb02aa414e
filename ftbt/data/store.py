"""The store of candles and funding: one Parquet file per exchange, symbol and timeframe.

    data/binance/BTC%2FUSDT%3AUSDT/15m.parquet
    data/binance/BTC%2FUSDT%3AUSDT/funding.parquet

A reader sees a whole file or none: writers fill a temporary file and rename it. Two writers take
turns by a lock beside the file, and each merges into what the other left. A series may have
holes, as exchanges have outages; who reads it says what to do about them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ftbt.data import parquet
from ftbt.data.candles import BAR, Bars, Candles, Floats, Funding, Ints
from ftbt.data.checks import check_bars, check_policy, split_candles
from ftbt.data.funding import check_funding
from ftbt.data.listing import Listing, describe, listing_order, original_name, safe_name
from ftbt.data.parquet import FUNDING, SeriesInfo
from ftbt.data.timeframe import Timeframe, show_ms
from ftbt.errors import DataError, StorageError, did_you_mean

LOCK_SECONDS = 120.0

_LENGTH = re.compile(r"[1-9]\d{0,3}[mhdw]")
_NO_BARS = np.zeros(0, BAR)


def default_root() -> Path:
    """Return the folder of the store: `$FTBT_STORE`, or `data` in the current folder."""
    return Path(os.environ.get("FTBT_STORE") or "data")


class CandleStore:
    """Candles and funding under one *root* folder, safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> Path:
        """Return the file of a series, whether it exists or not; `funding` is a timeframe here."""
        name = FUNDING if timeframe == FUNDING else Timeframe.of_ms(Timeframe.parse(timeframe).ms)
        return self.root / safe_name(exchange) / safe_name(symbol) / f"{name}.parquet"

    def exchanges(self) -> list[str]:
        """Return the exchanges that have at least one series, sorted."""
        return sorted({original_name(path.parts[-3]) for path in self._files()})

    def symbols(self, exchange: str) -> list[str]:
        """Return the symbols stored of *exchange*, sorted."""
        folder = self.root / safe_name(exchange)
        return sorted({original_name(path.parts[-2]) for path in folder.glob("*/*.parquet")})

    def timeframes(self, exchange: str, symbol: str) -> list[Timeframe]:
        """Return the stored bar lengths of a symbol, shortest first, without funding."""
        folder = self.root / safe_name(exchange) / safe_name(symbol)
        names = (path.stem for path in folder.glob("*.parquet"))
        return sorted(Timeframe.parse(name) for name in names if _LENGTH.fullmatch(name))

    def info(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> SeriesInfo:
        """Return what a series says of itself.

        Raises:
            DataError: no such series. StorageError: a damaged file.
        """
        return parquet.read_info(self._existing(exchange, symbol, timeframe))

    def read_bars(
        self, exchange: str, symbol: str, timeframe: str | Timeframe
    ) -> tuple[Bars, SeriesInfo]:
        """Return a series as stored, holes and all, sound in every other way.

        Raises:
            DataError: no such series (with what there is), or bars that must not be traded on.
            StorageError: a damaged file.
        """
        path = self._existing(exchange, symbol, timeframe)
        bars, info = parquet.read_bars(path)
        check_bars(bars, Timeframe.parse(timeframe), str(path), holes="split")
        return bars, info

    def read_segments(
        self, exchange: str, symbol: str, timeframe: str | Timeframe, holes: str = "refuse"
    ) -> list[Candles]:
        """Return the stretches of a series without holes; with `refuse` there is only one.

        Raises:
            DataError: no such series, a hole under `refuse`, or bars that must not be traded on.
            StorageError: a damaged file.
        """
        bars, info = self.read_bars(exchange, symbol, timeframe)
        length = Timeframe.parse(info.timeframe)
        check_policy(holes)
        if holes == "refuse":
            check_bars(bars, length, f"{exchange} {info.symbol} {length}")
        return split_candles(bars, info.symbol, length, info.source, info.synthetic)

    def read(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> Candles:
        """Return a series without holes; like `read_segments` with `refuse`."""
        return self.read_segments(exchange, symbol, timeframe)[0]

    def append(
        self,
        exchange: str,
        bars: Bars,
        symbol: str,
        timeframe: str | Timeframe,
        synthetic: bool = False,
        *,
        source: str | None = None,
        overwrite: bool = False,
    ) -> int:
        """Merge closed *bars* (BAR array, sorted, holes allowed) into a series.

        Returns:
            How many bars were not there before.

        Raises:
            DataError: unsound bars; a bar that differs from the stored one (unless *overwrite*);
                made-up bars beside real ones.
            StorageError: the file cannot be read, written or locked.
        """
        length = Timeframe.of_ms(Timeframe.parse(timeframe).ms)
        where = f"{exchange} {symbol} {length}"
        check_bars(bars, length, where, holes="split")
        path = self.path(exchange, symbol, length)
        new = SeriesInfo(exchange, symbol, length.text, source or exchange, synthetic)
        with _locked(path):
            old, info = parquet.read_bars(path) if path.exists() else (_NO_BARS, new)
            _same_kind(info, synthetic, where)
            merged = _merge(old, bars, where, overwrite)
            if len(merged) > len(old) or overwrite:
                parquet.write_bars(path, merged, info)
        return len(merged) - len(old)

    def append_funding(
        self,
        exchange: str,
        symbol: str,
        time: Ints,
        rate: Floats,
        synthetic: bool = False,
        *,
        source: str | None = None,
        overwrite: bool = False,
    ) -> int:
        """Merge funding *rate* (fraction, positive: longs pay) due at *time* (ms UTC).

        Shapes (n,), times strictly rising. Returns how many rates were not there before.

        Raises:
            DataError: unsorted times, a rate that is not finite or beyond 10 %, a rate that
                differs from the stored one (unless *overwrite*), made-up rates beside real ones.
            StorageError: the file cannot be read, written or locked.
        """
        where = f"{exchange} {symbol} funding"
        check_funding(time, rate, where)
        path = self.path(exchange, symbol, FUNDING)
        new = SeriesInfo(exchange, symbol, FUNDING, source or exchange, synthetic)
        fresh = _rates(time, rate)
        with _locked(path):
            old, info = self._stored_rates(path) if path.exists() else (fresh[:0], new)
            _same_kind(info, synthetic, where)
            merged = _merge(old, fresh, where, overwrite)
            if len(merged) > len(old) or overwrite:
                parquet.write_funding(path, merged["time"], merged["rate"], info)
        return len(merged) - len(old)

    def first_open(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> int | None:
        """Return the open of the first stored bar, ms UTC, or None without a series."""
        times = self._times(self.path(exchange, symbol, timeframe))
        return int(times[0]) if len(times) else None

    def last_open(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> int | None:
        """Return the open of the last stored bar, ms UTC, or None without a series."""
        times = self._times(self.path(exchange, symbol, timeframe))
        return int(times[-1]) if len(times) else None

    def last_funding(self, exchange: str, symbol: str) -> int | None:
        """Return when the last stored funding fell due, ms UTC, or None without a series."""
        return self.last_open(exchange, symbol, FUNDING)

    def read_funding(self, exchange: str, symbol: str) -> Funding | None:
        """Return the funding of a symbol, or None when none is stored.

        Raises:
            DataError: rates that must not be used.
            StorageError: a damaged file.
        """
        path = self.path(exchange, symbol, FUNDING)
        if not path.exists():
            return None
        time, rate, info = parquet.read_funding(path)
        check_funding(time, rate, str(path))
        return Funding(info.symbol, time, rate, info.source)

    def list(self) -> Listing:
        """Return one entry per stored series, by exchange, symbol and length, funding last."""
        return sorted((describe(path) for path in self._files()), key=listing_order)

    def _files(self) -> Iterator[Path]:
        return (path for path in self.root.glob("*/*/*.parquet") if not path.name.startswith("."))

    def _times(self, path: Path) -> Ints:
        return parquet.read_times(path) if path.exists() else np.zeros(0, np.int64)

    def _stored_rates(self, path: Path) -> tuple[NDArray[np.void], SeriesInfo]:
        time, rate, info = parquet.read_funding(path)
        return _rates(time, rate), info

    def _existing(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> Path:
        path = self.path(exchange, symbol, timeframe)
        if path.exists():
            return path
        raise DataError(f"the store {self.root} {self._what_is_there(exchange, symbol, timeframe)}")

    def _what_is_there(self, exchange: str, symbol: str, timeframe: str | Timeframe) -> str:
        if exchange not in (exchanges := self.exchanges()):
            return _absent(f"exchange {exchange!r}", exchange, exchanges)
        if symbol not in (symbols := self.symbols(exchange)):
            return _absent(f"symbol {symbol!r} of {exchange}", symbol, symbols)
        lengths = [length.text for length in self.timeframes(exchange, symbol)]
        return _absent(f"{timeframe} candles of {exchange} {symbol}", str(timeframe), lengths)


def _absent(what: str, wrong: str, known: list[str]) -> str:
    if not known:
        return f"has no {what}; fill it with `ftbt data fetch` or `ftbt data import`"
    return f"has no {what}{did_you_mean(wrong, known)}; there is: {', '.join(known)}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS)
        lock.acquire()
    except Timeout:
        raise StorageError(
            f"{path} has been locked by another process for {LOCK_SECONDS:g} s; try again"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot lock {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _same_kind(stored: SeriesInfo, synthetic: bool, where: str) -> None:
    if stored.synthetic != synthetic:
        kinds = ("synthetic", "real") if synthetic else ("real", "synthetic")
        raise DataError(
            f"{where}: {kinds[0]} values cannot join a {kinds[1]} series;"
            " store them under another exchange name"
        )


def _merge(
    old: NDArray[np.void], new: NDArray[np.void], where: str, overwrite: bool
) -> NDArray[np.void]:
    """Return both in order of time; at equal times *new*, which must equal *old* or be meant."""
    _, in_old, in_new = np.intersect1d(
        old["time"], new["time"], assume_unique=True, return_indices=True
    )
    differ = np.flatnonzero(old[in_old] != new[in_new])
    if len(differ) and not overwrite:
        first = int(differ[0])
        raise DataError(_difference(old[in_old[first]], new[in_new[first]], where, len(differ)))
    kept = np.delete(old, in_old)
    both = np.concatenate((kept, new)).astype(old.dtype, copy=False)
    ordered: NDArray[np.void] = both[np.argsort(both["time"], kind="stable")]
    return ordered


def _difference(old: np.void, new: np.void, where: str, count: int) -> str:
    names = [name for name in old.dtype.names or () if old[name] != new[name]]
    values = ", ".join(f"{name} {old[name]:.10g} stored, {new[name]:.10g} new" for name in names)
    more = f" and {count - 1} more" if count > 1 else ""
    return (
        f"{where}: {show_ms(old['time'])}{more} differs from the stored one: {values};"
        " nothing was changed; --overwrite takes the new values"
    )


def _rates(time: Ints, rate: Floats) -> NDArray[np.void]:
    rates = np.zeros(len(time), [("time", "i8"), ("rate", "f8")])
    rates["time"], rates["rate"] = time, rate
    return rates
