"""Whether two engines say the same: the first difference between two results, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.result import Records, Result

RELATIVE = 1e-9
_TABLES = ("fills", "orders", "trades", "refusals")


def compare(one: Result, other: Result) -> str:
    """Return the first difference between two results of the same question, "" when there is none.

    Counts and codes must be equal; prices, sizes and money may differ by 1e-9, relative to the
    largest value in their column. An equity may differ by 1e-9 of itself.
    """
    for name in _TABLES:
        found = _compare_records(getattr(one, name), getattr(other, name))
        if found:
            return _told(f"{name.removesuffix('s')} {found[0]}", found[1:], one, other)
    if len(one.equity) != len(other.equity):
        return _told("bars of equity", (len(one.equity), len(other.equity)), one, other)
    wrong = _differing(one.equity, other.equity, np.maximum(abs(one.equity), abs(other.equity)))
    if len(wrong):
        bar = int(wrong[0])
        values = (float(one.equity[bar]), float(other.equity[bar]))
        return _told(f"equity at evaluated bar {bar + 1}", values, one, other)
    return ""


def _told(what: str, values: tuple[Any, ...], one: Result, other: Result) -> str:
    return f"{what}: {values[0]!r} ({one.engine}), {values[1]!r} ({other.engine})"


def _compare_records(one: Records, other: Records) -> tuple[str, Any, Any] | None:
    """Return (row and field, value, other value) of the first difference, None without one."""
    rows = min(len(one), len(other))
    first: tuple[int, str] | None = None
    for name in one.dtype.names or ():
        left, right = one[name][:rows], other[name][:rows]
        if left.dtype.kind == "f":
            known = np.abs(np.concatenate((left, right)))
            wrong = _differing(left, right, np.nanmax(known[np.isfinite(known)], initial=0.0))
        else:
            wrong = np.flatnonzero(left != right)
        if len(wrong) and (first is None or int(wrong[0]) < first[0]):
            first = int(wrong[0]), name
    if first is not None:
        row, name = first
        return f"{row + 1}, {name}", one[name][row].item(), other[name][row].item()
    if len(one) != len(other):
        return f"{rows + 1} is missing on one side; how many", len(one), len(other)
    return None


def _differing(
    one: NDArray[np.float64], other: NDArray[np.float64], scale: Any
) -> NDArray[np.intp]:
    """Return the rows where the values differ; NaN equals NaN only."""
    with np.errstate(invalid="ignore"):
        equal = (one == other) | (np.abs(one - other) <= RELATIVE * scale)
    return np.flatnonzero(~(equal | (np.isnan(one) & np.isnan(other))))
