"""Parameters of ordinary Backtrader strategies in the files of a result."""

from __future__ import annotations

import datetime as dt

from ftbt.strategy.parameters import written


def test_values_are_written_without_addresses() -> None:
    """Objects, functions and odd numbers become words that are the same in every process."""
    odd = {"a": object(), "b": len, "c": float("nan"), "d": dt.time(9), "e": frozenset({2, 1})}
    assert written(odd) == {"a": "object", "b": "len", "c": "nan", "d": "09:00:00", "e": ["1", "2"]}
