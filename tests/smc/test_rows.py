"""A step's row and the fields of it that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ftbt.compiled import inlined, looped
from ftbt.data.candles import frozen
from ftbt.smc.rows import asks, blank, keep, own

WIDE = np.dtype([("a", "f8"), ("b", "f8"), ("c", "f8")])
_tells_a = asks("a", "z")


@inlined
def _step(number: Any, out: Any) -> None:
    out.a = number
    out.b = 2.0 * number
    if number > 1.0:
        out.c = -number


@looped
def _run(numbers: Any, wide: Any, out: Any) -> Any:
    row = blank(wide)
    for i in range(numbers.shape[0]):
        _step(numbers[i], row)
        keep(row, out[i])
    return _tells_a(out[0])


def _outputs(*names: str) -> tuple[Any, bool]:
    out = np.full(3, np.nan, [(name, "f8") for name in names])
    told = _run(np.array([1.0, 2.0, 3.0]), frozen(np.zeros(0, WIDE)), out)
    return out, told


def test_a_row_begins_with_zeros_and_stays_from_bar_to_bar() -> None:
    """A field that a step does not set is what it was before: zero at first."""
    out, _ = _outputs("a", "b", "c")
    assert out.tolist() == [(1.0, 2.0, 0.0), (2.0, 4.0, -2.0), (3.0, 6.0, -3.0)]


def test_the_named_fields_are_kept_in_their_own_order() -> None:
    """Outputs take the fields that they have, wherever these stand in the row."""
    out, _ = _outputs("c", "a")
    assert out.tolist() == [(0.0, 1.0), (-2.0, 2.0), (-3.0, 3.0)]


def test_a_field_that_the_row_lacks_is_left_alone() -> None:
    """Outputs of several steps share one record: each step sets its own."""
    out, _ = _outputs("b", "other")
    assert out["b"].tolist() == [2.0, 4.0, 6.0]
    assert np.isnan(out["other"]).all()


def test_compiled_code_knows_which_fields_are_asked_for() -> None:
    """It is told so by the type of the outputs."""
    assert _outputs("a", "b")[1]
    assert not _outputs("b")[1]


STATE = np.dtype([("sum", "f8"), ("inner", WIDE), ("ring", "i8", (4,))])


@looped
def _sums(state: Any, numbers: Any, sums: Any) -> Any:
    mine = own(state)
    for i in range(numbers.shape[0]):
        mine.sum += numbers[i]
        mine.inner.b = mine.sum
        mine.ring[i & 3] += i
        sums[i] = mine
    return mine.sum + mine.inner.a


def test_an_own_copy_begins_as_the_record_and_leaves_it_alone() -> None:
    """It has all that the record held, nested records and arrays too; changes stay in the copy."""
    state = np.zeros(1, STATE)
    state["sum"], state["inner"]["a"], state["ring"] = 10.0, 0.5, (7, 7, 7, 7)
    before = state.copy()
    sums = np.zeros(6, STATE)
    assert _sums(state[0], np.arange(6.0), sums) == 25.5
    assert state.tobytes() == before.tobytes()
    assert sums["sum"].tolist() == sums["inner"]["b"].tolist() == [10, 11, 13, 16, 20, 25]
    assert sums["ring"][-1].tolist() == [11, 13, 9, 10]
