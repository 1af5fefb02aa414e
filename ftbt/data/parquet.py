"""Series as Parquet files: the same content gives the same bytes, damage is noticed on reading."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ftbt.data.candles import FIELDS, Bars, Candles, Floats, Ints, make_bars
from ftbt.data.files import atomic_path
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError, StorageError

TIME = "time"
RATE = "funding_rate"
FUNDING = "funding"

_KEY = b"ftbt"
# Page checksums do not cover the footer, where a changed offset makes one column another's.
_CHECKSUM = b"ftbt.crc32"
_TIME_TYPE = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What a series file says of itself in its schema metadata.

    Attributes:
        exchange: where the series is stored under.
        symbol: as the exchange writes it, whatever the file is called.
        timeframe: `15m`, or `funding`.
        source: where the values came from.
        synthetic: True for a made-up market.
    """

    exchange: str
    symbol: str
    timeframe: str
    source: str
    synthetic: bool = False


def write_bars(path: Path, bars: Bars, info: SeriesInfo) -> None:
    """Write BAR array *bars*, shape (n,), to *path*, all or nothing.

    Raises:
        StorageError: when the folder or file cannot be written.
    """
    columns = {TIME: _times(bars[TIME])} | {name: pa.array(bars[name]) for name in FIELDS}
    _write(path, columns, info)


def write_candles(path: Path, candles: Candles, exchange: str = "file") -> None:
    """Write *candles* as one file that `ftbt data import` and `--data` read back bit for bit."""
    info = SeriesInfo(
        exchange, candles.symbol, candles.timeframe.text, candles.source, candles.synthetic
    )
    write_bars(path, candles.bars, info)


def write_funding(path: Path, time: Ints, rate: Floats, info: SeriesInfo) -> None:
    """Write funding *rate* due at *time* (ms UTC), shapes (n,), to *path*, all or nothing."""
    _write(path, {TIME: _times(time), RATE: pa.array(rate)}, info)


def read_bars(path: Path) -> tuple[Bars, SeriesInfo]:
    """Return the bars and what the file says of itself.

    Raises:
        StorageError: when the file is damaged or was not written by ftbt.
    """
    with _reading(path):
        table, info = _read(path, (TIME, *FIELDS))
        values = [_floats(table, name) for name in FIELDS]
        return make_bars(_ints(table), *values), info


def read_funding(path: Path) -> tuple[Ints, Floats, SeriesInfo]:
    """Return times (ms UTC), rates and what the file says of itself.

    Raises:
        StorageError: when the file is damaged or was not written by ftbt.
    """
    with _reading(path):
        table, info = _read(path, (TIME, RATE))
        return _ints(table), _floats(table, RATE), info


def read_times(path: Path) -> Ints:
    """Return only the times of a candles or funding file, ms UTC, shape (n,)."""
    with _reading(path):
        return _ints(_read(path, (TIME,))[0])


def read_info(path: Path) -> SeriesInfo:
    """Return what a series file says of itself, without reading its values."""
    with _reading(path):
        return _read(path, ())[1]


def info_of(schema: Any) -> SeriesInfo | None:
    """Return what ftbt wrote into an Arrow *schema*, or None for a file of other make."""
    text = (schema.metadata or {}).get(_KEY)
    return None if text is None else SeriesInfo(**json.loads(text))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, InputError, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise StorageError(
            f"{path} cannot be read ({reason}): move it away, then fetch or import it again"
        ) from error


def _read(path: Path, columns: tuple[str, ...]) -> tuple[Any, SeriesInfo]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        info = info_of(file.schema_arrow)
        table = file.read(columns=list(columns))
    if info is None:
        raise ValueError("it does not come from ftbt")
    if info.timeframe != FUNDING:
        Timeframe.parse(info.timeframe)
    for name in columns:
        if table.column(name).null_count:
            raise ValueError(f"column {name} has empty cells")
    if len(columns) > 1 and table.schema.metadata.get(_CHECKSUM) != _checksum(table):
        raise ValueError("its values are not those that were written")
    return table, info


def _checksum(table: Any) -> bytes:
    crc = 0
    for column in table.columns:
        for chunk in column.chunks:
            values = chunk.cast(pa.int64()) if pa.types.is_timestamp(chunk.type) else chunk
            crc = zlib.crc32(values.to_numpy().tobytes(), crc)
    return str(crc).encode()


def _write(path: Path, columns: dict[str, Any], info: SeriesInfo) -> None:
    table = pa.table(columns)
    said = json.dumps(asdict(info), sort_keys=True, ensure_ascii=False).encode()
    table = table.replace_schema_metadata({_KEY: said, _CHECKSUM: _checksum(table)})
    with atomic_path(path) as temporary:
        # Prices hardly repeat: plain pages compress better than dictionaries, and faster.
        pq.write_table(
            table, temporary, compression="zstd", use_dictionary=False, write_page_checksum=True
        )


def _times(time: Ints) -> Any:
    return pa.array(np.ascontiguousarray(time), pa.int64()).cast(_TIME_TYPE)


def _ints(table: Any) -> Ints:
    column: Ints = table.column(TIME).cast(_TIME_TYPE).cast(pa.int64()).to_numpy()
    return column


def _floats(table: Any, name: str) -> Floats:
    column: Floats = table.column(name).cast(pa.float64()).to_numpy()
    return column
