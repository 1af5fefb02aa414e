"""The landscape of the parameters (section 8), read from the trials that were made anyway.

The metric is the annual Sharpe ratio in training, whatever the search maximised: it has the same
meaning in every window, and 0 is what cash earns. A trial that never traded counts as 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ftbt.errors import InputError
from ftbt.robustness.assessment import (
    HeatMap,
    ImportanceRow,
    ParameterFacts,
    Parameters,
    PlateauRow,
)
from ftbt.robustness.importance import EVALUATOR, Importance, parameter_importance
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.panel import Flags, Floats, Ints
from ftbt.robustness.parameters import plateau_share, system_parameter_permutation
from ftbt.robustness.record import histogram

CELLS = 8
GUIDED = (
    "The trials are those of a guided search, which looks more often where it found something:"
    " shares and medians over them look better than those of an even scan."
)

Space = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The distinct trials of one strategy in all windows.

    Attributes:
        names: searched parameters by their names in the run.
        points: parameters as numbers (a word by its position), shape (trials, parameters).
        sharpe: annual, in training; NaN for failed trials, shape (trials,).
        window, trial: numbers, shape (trials,).
        words: True for parameters whose numbers have no order, shape (parameters,).
        steps: smallest step of each, 0 for continuous ones, shape (parameters,).
    """

    names: tuple[str, ...]
    points: Floats
    sharpe: Floats
    window: Ints
    trial: Ints
    words: Flags
    steps: Floats


def parameters_section(arrays: RunArrays) -> Parameters | None:
    """Return section 8; None when nothing was searched."""
    facts = [
        _facts(arrays, name, table)
        for name in arrays.run.manifest.strategy.names
        if (table := table_of(arrays, name)) is not None
    ]
    return Parameters(tuple(facts), GUIDED) if facts else None


def table_of(arrays: RunArrays, strategy: str) -> Table | None:
    """Return the trials of *strategy*; None when it has no searched parameter or no trial."""
    space = arrays.run.manifest.strategy.space
    several = len(arrays.run.manifest.strategy.names) > 1
    names = tuple(one for one in space if not several or one.startswith(f"{strategy}."))
    known = arrays.figures_of_trials()
    rows = (known["strategy"] == strategy).to_numpy()
    if not names or not rows.any():
        return None
    frame = arrays.run.trials.loc[known.index[rows]]
    columns = [_numbers(frame[f"param_{name}"], space[name]) for name in names]
    return Table(
        names=names,
        points=np.column_stack(columns),
        sharpe=known["sharpe"].to_numpy(np.float64)[rows],
        window=known["window"].to_numpy(np.int64)[rows],
        trial=known["trial"].to_numpy(np.int64)[rows],
        words=np.array([space[name]["kind"] in ("choice", "bool") for name in names]),
        steps=np.array([float(space[name].get("step") or 0.0) for name in names]),
    )


def _numbers(column: pd.Series[Any], limits: Mapping[str, Any]) -> Floats:
    if limits["kind"] == "choice":
        place = {word: number for number, word in enumerate(limits["words"])}
        return np.array([place[word] for word in column], dtype=np.float64)
    return np.asarray(column.astype(np.float64), np.float64)


def _facts(arrays: RunArrays, strategy: str, table: Table) -> ParameterFacts:
    chosen = _chosen_rows(arrays, strategy, table)
    plateaus = tuple(_plateau(table, window, row) for window, row in chosen)
    shares = [one.share for one in plateaus if math.isfinite(one.share)]
    known = table.sharpe[np.isfinite(table.sharpe)]
    weights = _importance(table)
    rows = _importance_rows(weights)
    return ParameterFacts(
        strategy=strategy,
        heat_map=_heat_map(arrays, table, chosen, rows),
        plateaus=plateaus,
        plateau_share=float(np.median(shares)) if shares else math.nan,
        judged_windows=len(shares),
        permutation_median=float(np.median(known)) if len(known) else math.nan,
        permutation=histogram(known),
        share_positive=float((known > 0.0).mean()) if len(known) else math.nan,
        importance=rows,
        importance_floor=math.nan if weights is None else weights.floor,
        importance_trials=0 if weights is None else weights.trials,
        evaluator=EVALUATOR,
        drift=_drift(arrays, table.names),
    )


def _chosen_rows(arrays: RunArrays, strategy: str, table: Table) -> list[tuple[int, int]]:
    """Return (window, row of the chosen trial) of each window that chose one."""
    number = arrays.run.manifest.strategy.names.index(strategy)
    found = []
    for row in arrays.run.windows.to_dict("records"):
        chosen = json.loads(row["chosen_trials"])
        trial = chosen[number] if number < len(chosen) else -1
        place = np.flatnonzero((table.window == row["window"]) & (table.trial == trial))
        if len(place) and math.isfinite(table.sharpe[place[0]]):
            found.append((int(row["window"]), int(place[0])))
    return found


def _plateau(table: Table, window: int, row: int) -> PlateauRow:
    own = np.flatnonzero(table.window == window)
    chosen = int(np.flatnonzero(own == row)[0])
    values = table.sharpe[own]
    near = plateau_share(
        table.points[own], values, chosen, steps=table.steps, categorical=list(table.words)
    )
    scan = system_parameter_permutation(values, chosen)
    return PlateauRow(
        window=window,
        share=near.share,
        neighbours=len(near.neighbours),
        reach=near.reach,
        chosen=scan.chosen,
        median=scan.median,
        percentile=scan.percentile,
        median_to_best=scan.median_to_best,
    )


def _importance(table: Table) -> Importance | None:
    # Windows differ in how good they were for all trials; that is no merit of a parameter.
    values = table.sharpe.copy()
    for window in np.unique(table.window):
        own = (table.window == window) & np.isfinite(values)
        values[own] -= values[own].mean() if own.any() else 0.0
    try:
        return parameter_importance(table.points, values, table.names, list(table.words))
    except InputError:  # too few trials, or a metric that does not vary
        return None


def _importance_rows(found: Importance | None) -> tuple[ImportanceRow, ...]:
    if found is None:
        return ()
    rows = [
        ImportanceRow(name, float(found.first[i]), float(found.total[i]))
        for i, name in enumerate(found.names)
    ]
    return tuple(sorted(rows, key=lambda row: -row.total))


def _drift(arrays: RunArrays, names: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Return how many different values of each parameter the finished windows chose."""
    chosen = [json.loads(text) for text in arrays.run.windows["parameters"]]
    made = []
    for name in names:
        values = [one[name] for one in chosen if name in one]
        made.append((name, len({json.dumps(value) for value in values}), len(values)))
    return tuple(made)


def _heat_map(
    arrays: RunArrays,
    table: Table,
    chosen: Sequence[tuple[int, int]],
    importance: Sequence[ImportanceRow],
) -> HeatMap | None:
    """Return the map over the two most important parameters in the newest finished window."""
    if len(table.names) < 2 or not chosen:
        return None
    window, row = chosen[-1]
    ranked = [one.name for one in importance] or list(table.names)
    x, y = (table.names.index(name) for name in ranked[:2])
    space = arrays.run.manifest.strategy.space
    own = (table.window == window) & np.isfinite(table.sharpe)
    x_cell, x_labels = _cells(table.points[:, x], own, space[table.names[x]])
    y_cell, y_labels = _cells(table.points[:, y], own, space[table.names[y]])
    values = np.full((len(y_labels), len(x_labels)), np.nan)
    counts = np.zeros(values.shape, np.int64)
    for cell in {(int(a), int(b)) for a, b in zip(y_cell[own], x_cell[own], strict=True)}:
        inside = own & (y_cell == cell[0]) & (x_cell == cell[1])
        values[cell], counts[cell] = float(np.median(table.sharpe[inside])), int(inside.sum())
    return HeatMap(
        window=window,
        x_name=table.names[x],
        y_name=table.names[y],
        x_labels=x_labels,
        y_labels=y_labels,
        values=tuple(tuple(float(one) for one in line) for line in values),
        counts=tuple(tuple(int(one) for one in line) for line in counts),
        chosen=(int(x_cell[row]), int(y_cell[row])),
    )


def _cells(points: Floats, own: Flags, limits: Mapping[str, Any]) -> tuple[Ints, tuple[str, ...]]:
    """Return the cell of each trial along one parameter, and the cells' labels."""
    kind = limits["kind"]
    if kind == "choice":
        return points.astype(np.int64), tuple(str(word) for word in limits["words"])
    if kind == "bool":
        return points.astype(np.int64), ("false", "true")
    seen = np.unique(points[own])
    if len(seen) <= CELLS:
        place = np.minimum(np.searchsorted(seen, points), len(seen) - 1)
        return place.astype(np.int64), tuple(f"{value:g}" for value in seen)
    low, high = float(limits["low"]), float(limits["high"])
    if limits.get("log"):
        edges = np.geomspace(low, high, CELLS + 1)
    else:
        edges = np.linspace(low, high, CELLS + 1)
    cell = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, CELLS - 1)
    labels = tuple(f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges))
    return cell.astype(np.int64), labels
