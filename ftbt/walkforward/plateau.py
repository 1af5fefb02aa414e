"""Which trial a window takes into its test: the best one, or the middle of the best plateau.

A single high value among low neighbours is more likely luck than a rule of the market. The
plateau's score of a trial is the median of its own value and those of its nearest neighbours in
the space of searched parameters, each range scaled to 0 .. 1 (log ranges by their logarithm, two
different words a whole range apart). Distances are root mean squares over the parameters, so 0 is
the same set and 1 the opposite corner, whatever the number of parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.ranges import Bool, Choice, Range
from ftbt.walkforward.space import normalised

NEIGHBOURS = 4  # at most, the nearest first; the trial itself comes on top
LEAST_NEIGHBOURS = 2  # fewer: no plateau, a median of two would be its own maximum
RADIUS = 0.25


@dataclass(frozen=True, slots=True)
class Candidate:
    """One evaluated parameter set.

    Attributes:
        trial: its number.
        values: searched parameters.
        value: of the objective; WORST for too few trades.
        eligible: may be chosen; the others still count as neighbours.
    """

    trial: int
    values: Mapping[str, Any]
    value: float
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen trial.

    Attributes:
        trial: its number.
        score: what was compared: its value, or its neighbourhood's median.
        plateau: True when a neighbourhood decided.
    """

    trial: int
    score: float
    plateau: bool


def select_best(candidates: Sequence[Candidate]) -> Chosen | None:
    """Return the eligible trial of the highest value, the earliest of equal ones."""
    eligible = [one for one in candidates if one.eligible]
    if not eligible:
        return None
    best = min(eligible, key=lambda one: (-one.value, one.trial))
    return Chosen(best.trial, best.value, plateau=False)


def select_plateau(candidates: Sequence[Candidate], ranges: Mapping[str, Range]) -> Chosen | None:
    """Return the eligible trial with the highest neighbourhood median.

    Ties go to the higher value, then to the earlier trial. When no trial has at least
    LEAST_NEIGHBOURS within RADIUS there is no plateau, and the best trial is returned.

    Args:
        candidates: distinct parameter sets.
        ranges: of the searched parameters.
    """
    candidates = sorted(candidates, key=lambda one: one.trial)
    distance = distances([one.values for one in candidates], ranges)
    values = np.array([one.value for one in candidates])
    scored = [
        (-median, -one.value, one.trial)
        for row, one in enumerate(candidates)
        if one.eligible and (median := _median_around(row, distance, values)) is not None
    ]
    if not scored:
        return select_best(candidates)
    score, _, trial = min(scored)
    return Chosen(trial, -score, plateau=True)


def _median_around(
    row: int, distance: NDArray[np.float64], values: NDArray[np.float64]
) -> float | None:
    # A stable sort: equally distant neighbours are taken in order of their trials.
    order = np.argsort(distance[row], kind="stable")
    near = [int(i) for i in order if i != row and distance[row, i] <= RADIUS][:NEIGHBOURS]
    if len(near) < LEAST_NEIGHBOURS:
        return None
    return float(np.median(values[[row, *near]]))


def distances(
    sets: Sequence[Mapping[str, Any]], ranges: Mapping[str, Range]
) -> NDArray[np.float64]:
    """Return the distances between parameter sets, 0 to 1, shape (n, n)."""
    total = np.zeros((len(sets), len(sets)))
    for name, limits in ranges.items():
        place = np.array([normalised(limits, one[name]) for one in sets])
        apart = np.abs(place[:, None] - place[None, :])
        if isinstance(limits, Choice | Bool):
            apart = (apart > 0).astype(float)
        total += apart**2
    return np.sqrt(total / max(1, len(ranges)))
