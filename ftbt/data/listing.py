"""What the store holds: the names of its folders and one line per series."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from ftbt.data import parquet
from ftbt.data.parquet import FUNDING
from ftbt.data.problems import find_holes, zero_volume_runs
from ftbt.data.timeframe import Timeframe, from_ms
from ftbt.errors import FtbtError, InputError

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return *name* as a folder name that every system takes; `original_name` undoes it.

    Example:
        >>> safe_name("BTC/USDT:USDT")
        'BTC%2FUSDT%3AUSDT'
    """
    if not name.strip():
        raise InputError("exchange and symbol must not be empty")
    safe = re.sub(r"[^A-Za-z0-9_-]", lambda found: _percent(found[0]), name)
    return _percent(safe[0]) + safe[1:] if _RESERVED.match(safe) else safe


def original_name(folder: str) -> str:
    """Return the exchange or symbol that `safe_name` made *folder* from."""
    return unquote(folder)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """One line of `ftbt data list`.

    Attributes:
        timeframe: `15m`, or `funding` for a series of rates.
        bars: number of bars or rates.
        start: first open (or first payment); None when the file cannot be read.
        end: close of the last bar (or last payment).
        holes: stretches of missing bars.
        missing: bars missing in them.
        zero_volume: bars without volume.
        bytes: size of the file.
        broken: why the file cannot be read, or empty.
    """

    exchange: str
    symbol: str
    timeframe: str
    bars: int = 0
    start: datetime | None = None
    end: datetime | None = None
    holes: int = 0
    missing: int = 0
    zero_volume: int = 0
    synthetic: bool = False
    bytes: int = 0
    broken: str = ""


Listing = list[StoredSeries]


def listing_order(series: StoredSeries) -> tuple[str, str, float]:
    """Return the key that sorts by exchange, symbol and bar length, funding last."""
    length = np.inf
    if series.timeframe != FUNDING:
        try:
            length = Timeframe.parse(series.timeframe).ms
        except InputError:
            length = -1.0
    return series.exchange, series.symbol, length


def describe(path: Path) -> StoredSeries:
    """Return the line of one file; a damaged one says so instead of hiding the others."""
    exchange, symbol = (original_name(part) for part in path.parts[-3:-1])
    name, size = path.stem, path.stat().st_size
    try:
        if name == FUNDING:
            time, _, info = parquet.read_funding(path)
            span = (from_ms(time[0]), from_ms(time[-1]))
            return StoredSeries(
                exchange, symbol, name, len(time), *span, synthetic=info.synthetic, bytes=size
            )
        return _describe_candles(exchange, symbol, Timeframe.parse(name), path, size)
    except (FtbtError, IndexError, OverflowError, ValueError) as error:
        return StoredSeries(exchange, symbol, name, bytes=size, broken=str(error) or "no rows")


def _describe_candles(
    exchange: str, symbol: str, length: Timeframe, path: Path, size: int
) -> StoredSeries:
    bars, info = parquet.read_bars(path)
    holes = find_holes(bars, length)
    return StoredSeries(
        exchange,
        symbol,
        length.text,
        len(bars),
        from_ms(bars["time"][0]),
        from_ms(int(bars["time"][-1]) + length.ms),
        len(holes),
        sum(hole.bars for hole in holes),
        sum(run.bars for run in zero_volume_runs(bars)),
        info.synthetic,
        size,
    )
