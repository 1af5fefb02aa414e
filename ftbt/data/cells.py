"""Cells of a table as numbers: times in any common writing or unit, prices to the last bit."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ftbt.data.candles import Floats, Ints

# Stands for a time that could not be read; no candle can have it.
NO_TIME = np.iinfo(np.int64).min

# Smallest number that is an instant in each unit: 1973 onwards. Bars of crypto markets are far
# above in every unit, so the magnitude tells the unit beyond doubt until the year 5138.
_UNITS = ((1e8, 1e11, 1000.0), (1e11, 1e14, 1.0), (1e14, 1e17, 1e-3), (1e17, 1e19, 1e-6))
_ISO = r"\d{4}-\d{2}-\d{2}(?:$|[ T]\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?(?:Z|\s?[+-]\d{2}:?\d{2})?$)"
_YEAR_FIRST = r"^(\d{4})[./-](\d{1,2})[./-](\d{1,2})(?:[ T]+(\d{1,2}):|$)"
_COMPACT = r"^(\d{4})(\d{2})(\d{2})(?:[ T](\d{2}):?(\d{2}):?(\d{2})?)?$"
# Below the smallest instant in seconds: days written as 20240131.
_CALENDAR = (19700101, 21001231)


def times_ms(column: pd.Series) -> Ints:
    """Return a column of times as ms since 1970 UTC, shape (n,); NO_TIME where unreadable.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size; texts are ISO
    8601 or year-first dates; without a time zone they are UTC.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return _instants(pd.DatetimeIndex(column))
    if pd.api.types.is_bool_dtype(column.dtype):
        return np.full(len(column), NO_TIME)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _numbers(column)
    numeric = pd.to_numeric(column, errors="coerce")
    if numeric.notna().sum() * 2 > len(column):
        return _numbers(numeric)
    return _texts(column)


def floats(column: pd.Series) -> tuple[Floats, list[int]]:
    """Return a column as float64, shape (n,), and the rows whose cell is not a number.

    Empty cells are NaN and not listed: they are missing, not unreadable. Texts are read to the
    last bit, whatever pandas' own reading of floats would make of them.
    """
    if pd.api.types.is_bool_dtype(column.dtype):
        return np.full(len(column), np.nan), list(range(len(column)))
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan), []
    try:
        exact = pa.array(column.astype("str")).cast(pa.float64())
    except pa.ArrowInvalid:
        return _one_by_one(column.to_numpy(object))
    return np.array(exact.to_numpy(zero_copy_only=False)), []


def _one_by_one(cells: NDArray[np.object_]) -> tuple[Floats, list[int]]:
    values, unreadable = np.full(len(cells), np.nan), []
    for row, cell in enumerate(cells):
        try:
            values[row] = float(cell)
        except (TypeError, ValueError):
            if not pd.isna(cell):
                unreadable.append(row)
        else:
            if "_" in str(cell):  # a number in Python's source, but not in a table
                unreadable.append(row)
    return values, unreadable


def _instants(index: pd.DatetimeIndex) -> Ints:
    if index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    # pandas counts in whatever unit the source had: only after as_unit is an integer ms.
    return np.array(index.as_unit("ms").asi8, dtype=np.int64)


def _numbers(column: pd.Series) -> Ints:
    values = column.to_numpy(np.float64, na_value=np.nan)
    if len(values) and values.min() >= _CALENDAR[0] and values.max() <= _CALENDAR[1]:
        return _texts(pd.Series([f"{value:.0f}" for value in values]))
    times = np.full(len(values), NO_TIME)
    for low, high, factor in _UNITS:
        rows = (values >= low) & (values < high)
        times[rows] = np.rint(values[rows] * factor).astype(np.int64)
    return times


def _texts(column: pd.Series) -> Ints:
    cells = column.astype("str").str.strip()
    odd = ~cells.str.match(_ISO).to_numpy(bool, na_value=False)
    if odd.any():
        texts = cells.to_numpy(object).copy()
        texts[odd] = [_as_iso(str(cell)) for cell in texts[odd]]
        cells = pd.Series(texts, dtype="str")
    parsed = pd.to_datetime(cells, utc=True, format="ISO8601", errors="coerce")
    return _instants(pd.DatetimeIndex(parsed))


def _as_iso(cell: str) -> str:
    """Return a year-first time in ISO form, or an empty text: other orders are guesses."""
    cell = re.sub(r"\s*(?:UTC|GMT)$", "+00:00", cell, flags=re.IGNORECASE)
    cell = re.sub(_COMPACT, _spelled_out, cell)
    cell = re.sub(_YEAR_FIRST, _dashed, cell)
    return cell if re.match(_ISO, cell) else ""


def _spelled_out(found: re.Match[str]) -> str:
    year, month, day, hour, minute, second = found.groups()
    return f"{year}-{month}-{day} {hour or '00'}:{minute or '00'}:{second or '00'}"


def _dashed(found: re.Match[str]) -> str:
    year, month, day, hour = found.groups()
    return f"{year}-{month:0>2}-{day:0>2}" + (f" {hour:0>2}:" if hour else "")
