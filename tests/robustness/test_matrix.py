"""The contiguous good area of a matrix."""

from __future__ import annotations

from itertools import product

import pytest

from ftbt.errors import InputError
from ftbt.robustness.matrix import largest_area, matrix_of


@pytest.mark.parametrize(
    ("rows", "area"),
    [
        (["...", "..."], []),
        ([".X.", "..."], [1]),
        (["X.X", ".X."], [0]),
        (["XX.", "..X"], [0, 1]),
        (["X.X", "X.X", "X.X"], [0, 3, 6]),
        (["XXX", "X.X", "XXX"], [0, 1, 2, 3, 5, 6, 7, 8]),
        (["..X", "X.."], [2]),
    ],
)
def test_neighbours_share_a_side(rows: list[str], area: list[int]) -> None:
    """Corners don't touch, the end of a row is not beside the start of the next one."""
    cells = [one == "X" for row in rows for one in row]

    assert largest_area(cells, len(rows[0])) == area


def _by_spreading(cells: tuple[bool, ...], columns: int) -> int:
    """Return the size of the largest area by letting labels spread until nothing changes."""
    labels = [n if one else -1 for n, one in enumerate(cells)]
    changed = True
    while changed:
        changed = False
        for a, b in product(range(len(cells)), repeat=2):
            beside = abs(a // columns - b // columns) + abs(a % columns - b % columns) == 1
            if beside and labels[a] >= 0 and labels[b] > labels[a]:
                labels[b] = labels[a]
                changed = True
    return max((labels.count(one) for one in set(labels) if one >= 0), default=0)


def test_every_pattern_of_three_by_three() -> None:
    """All 512 patterns agree with a slow second way of counting."""
    for cells in product([False, True], repeat=9):
        assert len(largest_area(cells, 3)) == _by_spreading(cells, 3)


def test_a_matrix_needs_a_run_for_each_pair() -> None:
    """A wrong number of runs is one clear line."""
    with pytest.raises(InputError, match="2 x 2 lengths needs as many runs"):
        matrix_of([], ["30d", "60d"], ["10d", "20d"])
