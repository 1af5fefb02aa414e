"""Files of candles or funding into the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ftbt.data.columns import bars_from_frame, funding_from_frame, is_funding
from ftbt.data.parquet import FUNDING
from ftbt.data.store import CandleStore
from ftbt.data.symbols import symbol_of_name
from ftbt.data.tables import RawTable, read_table
from ftbt.data.timeframe import from_ms
from ftbt.data.validate import Hole, ZeroVolumeRun, find_holes, zero_volume_runs
from ftbt.errors import InputError

IMPORTED = "imported"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What one file brought.

    Attributes:
        exchange: where in the store it went; with symbol and timeframe it names the series.
        timeframe: `15m`, or `funding`.
        rows: in the file.
        added: rows that were not in the store before.
        start: first open or payment of the file.
        end: close of its last bar, or its last payment.
        holes: missing bars inside the file.
        zero_volume: runs of bars without volume.
        synthetic: True for a made-up market.
    """

    path: Path
    exchange: str
    symbol: str
    timeframe: str
    rows: int
    added: int
    start: datetime
    end: datetime
    holes: tuple[Hole, ...] = ()
    zero_volume: tuple[ZeroVolumeRun, ...] = ()
    synthetic: bool = False


def import_file(
    path: Path,
    store: CandleStore,
    exchange: str | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
    sort: bool = False,
    overwrite: bool = False,
) -> ImportReport:
    """Check a CSV, Parquet or Feather file of candles or funding and merge it into *store*.

    Args:
        path: the file; a column with funding rates and none with prices makes it funding.
        store: where it goes. Holes are allowed there; who reads says what to do about them.
        exchange: name in the store; None: `imported` (`synthetic` for a made-up market).
        symbol: None takes it from the file or its name (`BTCUSDT-15m.csv`).
        timeframe: None takes the commonest step between rows.
        sort: put the rows in order of time instead of refusing them.
        overwrite: take the file's values where the store has others.

    Raises:
        DataError: naming file, row, column and value; nothing is stored then.
        InputError: no symbol given and none found.
        StorageError: the file or the store cannot be read or written.
    """
    raw = read_table(path)
    own = raw.info
    synthetic = own is not None and own.synthetic
    exchange = exchange or (SYNTHETIC if synthetic else IMPORTED)
    symbol = symbol or symbol_of(path, raw)
    if symbol is None:
        raise InputError(f"{path}: its name does not tell the symbol; give --symbol")
    source = own.source if own is not None and synthetic else None
    if is_funding(raw.frame.columns):
        return _import_funding(path, raw, store, exchange, symbol, sort, overwrite, source)
    table = bars_from_frame(raw.frame, str(path), sort=sort, first_line=raw.first_line)
    length = table.timeframe(timeframe)
    table.check(length, holes="split")
    bars = table.bars
    added = store.append(
        exchange, bars, symbol, length, synthetic, source=source, overwrite=overwrite
    )
    return ImportReport(
        path,
        exchange,
        symbol,
        length.text,
        len(bars),
        added,
        from_ms(bars["time"][0]),
        from_ms(int(bars["time"][-1]) + length.ms),
        tuple(find_holes(bars, length)),
        tuple(zero_volume_runs(bars)),
        synthetic,
    )


def symbol_of(path: Path, raw: RawTable) -> str | None:
    """Return the symbol that the file holds: as it says itself, else as its name tells."""
    return raw.info.symbol if raw.info is not None else symbol_of_name(path)


def _import_funding(
    path: Path,
    raw: RawTable,
    store: CandleStore,
    exchange: str,
    symbol: str,
    sort: bool,
    overwrite: bool,
    source: str | None,
) -> ImportReport:
    synthetic = raw.info is not None and raw.info.synthetic
    time, rate = funding_from_frame(raw.frame, str(path), sort=sort)
    added = store.append_funding(
        exchange, symbol, time, rate, synthetic, source=source, overwrite=overwrite
    )
    span = from_ms(time[0]), from_ms(time[-1])
    return ImportReport(
        path, exchange, symbol, FUNDING, len(time), added, *span, synthetic=synthetic
    )
