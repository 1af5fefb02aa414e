"""Reading files of candles or funding that other programs wrote: CSV in its dialects, Parquet."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from ftbt.data.columns import FIELD_NAMES, RATE_NAMES, TIME_NAMES, headerless, normal
from ftbt.data.parquet import SeriesInfo, info_of
from ftbt.errors import DataError, StorageError

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".feather")
_PACKED = (".gz", ".zip")
_DELIMITERS = ",;\t|"
# Some exports put an address or a title above the header.
_MOST_TITLE_LINES = 5


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """A table as read.

    Attributes:
        frame: the cells; times and numbers not interpreted yet.
        first_line: line of row 0 in a text file, counted from 1; None for binary files.
        info: what ftbt wrote into a file of its own, or None.
    """

    frame: pd.DataFrame
    first_line: int | None
    info: SeriesInfo | None


def looks_like_file(text: str) -> bool:
    """Return whether *text* is meant as a path of a table rather than as a name."""
    return Path(text).is_file() or kind_of(Path(text)) is not None


def kind_of(path: Path) -> str | None:
    """Return the suffix that says how to read *path* (`.csv` for `x.csv.gz`), or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".zip"] and suffixes[-2:-1] != [".csv"]:
        return ".csv"
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else None


def read_table(path: Path) -> RawTable:
    """Return the cells of a CSV (also .tsv, .txt, gzip, zip), Parquet or Feather file.

    A CSV may use comma, semicolon, tab or bar, may lack its header when its columns are those of
    a known dump, and may have a title above the header.

    Raises:
        DataError: not a table, or of a kind that is not read.
        StorageError: the file is missing, damaged or may not be read.
    """
    kind = kind_of(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder; name the files in it, for example {path}/*.csv")
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    if kind is None:
        raise DataError(f"{path}: only {', '.join(SUFFIXES)} are read (text also as .gz or .zip)")
    try:
        if kind in TEXT_SUFFIXES:
            return _read_text(path)
        return _read_arrow(path, kind)
    except (pa.ArrowException, gzip.BadGzipFile, zipfile.BadZipFile, EOFError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise StorageError(f"{path} cannot be read: {reason}") from error


def _read_arrow(path: Path, kind: str) -> RawTable:
    if kind == ".parquet":
        with pq.ParquetFile(path) as file:
            table = file.read()
    else:
        table = pyarrow.feather.read_table(path)
    try:
        info = info_of(table.schema)
    except (TypeError, ValueError):
        info = None
    return RawTable(table.to_pandas(), None, info)


def _read_text(path: Path) -> RawTable:
    text = _decoded(_unpacked(path), path)
    lines = text.splitlines()[: _MOST_TITLE_LINES + 1]
    start = next((row for row, line in enumerate(lines) if _is_table_line(line)), None)
    if start is None:
        raise DataError(f"{path}: no table found: neither a header nor rows of numbers on top")
    delimiter = _delimiter(lines[start])
    cells = lines[start].split(delimiter)
    names = None if _is_header(cells) else headerless(len(cells))
    if names is None and not _is_header(cells):
        raise DataError(
            f"{path}: {len(cells)} columns without a header; write a first line such as"
            " time,open,high,low,close,volume"
        )
    frame = _parsed(text, path, delimiter, start, names)
    filled = frame.notna().any(axis="columns").to_numpy()
    last = int(filled.nonzero()[0][-1]) + 1 if filled.any() else 0
    return RawTable(frame.iloc[:last], start + 1 + (names is None), None)


def _parsed(
    text: str, path: Path, delimiter: str, start: int, names: tuple[str, ...] | None
) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                skiprows=start,
                header=0 if names is None else None,
                names=names,
                index_col=False,
                skip_blank_lines=False,
                skipinitialspace=True,
                dtype=str,  # numbers are made in ftbt.data.cells, exact to the last bit
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise DataError(f"{path}: not a regular table: {' '.join(str(error).split())}") from error


def _unpacked(path: Path) -> bytes:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(TEXT_SUFFIXES)]
        if len(members) != 1:
            raise DataError(f"{path}: a zip must hold one CSV file, this one holds {len(members)}")
        return archive.read(members[0])


def _decoded(content: bytes, path: Path) -> str:
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8 (byte {error.start})") from error


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _is_table_line(line: str) -> bool:
    cells = line.split(_delimiter(line))
    return len(cells) > 1 and (_is_header(cells) or all(map(_is_value, cells[:5])))


def _is_header(cells: list[str]) -> bool:
    known = {*TIME_NAMES, *RATE_NAMES, *(name for names in FIELD_NAMES.values() for name in names)}
    return any(normal(_bare(cell)) in known - {""} for cell in cells)


def _is_value(cell: str) -> bool:
    return re.match(r"[-+]?\.?\d", _bare(cell)) is not None


def _bare(cell: str) -> str:
    return cell.strip().strip("\"'")
