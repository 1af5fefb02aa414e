"""The walk-forward matrix: is the result one of a strategy, or of one lucky pair of lengths?

The same walk-forward is made with several lengths of training and test. Each cell is a whole run
with searches of its own. Cells are judged by the five criteria of TradeStation's walk-forward
optimizer, and one looks for a contiguous area of cells that pass, not for the best one (Pardo, The
Evaluation and Optimization of Trading Strategies, 2008; TradeStation's cluster analysis and
StrategyQuant's matrix work this way).

A matrix is as many looks at the same market as it has cells. They are not independent, so each
cell's probabilistic Sharpe ratio is also adjusted for their number by Holm's method, which holds
under any dependence. Cells with longer trainings are tested on fewer days: `common` figures are of
the days that all cells have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ftbt.errors import InputError
from ftbt.robustness.checks import varies
from ftbt.robustness.concentration import window_statistics
from ftbt.robustness.haircut import holm
from ftbt.robustness.of_run import YEAR, RunArrays
from ftbt.robustness.panel import Floats, Ints
from ftbt.robustness.sharpe import TrackRecord, probabilistic_sharpe
from ftbt.robustness.thresholds import Thresholds
from ftbt.robustness.windows_section import window_rows
from ftbt.walkforward.result import Run

FORMAT = 1
_NEEDED = Thresholds()
EFFICIENCY, PROFITABLE = _NEEDED["efficiency"], _NEEDED["profitable_windows"]
PSR = _NEEDED["psr"]
# TradeStation, Walk-Forward Optimizer: test results summary. Gate S1 of the verdict is laxer.
LARGEST = 0.5
DRAWDOWN = 0.4
CRITERIA = (
    "the tests together make a profit",
    f"walk-forward efficiency of at least {EFFICIENCY:.0%}",
    f"at least {PROFITABLE:.0%} of the windows make a profit",
    f"no window makes {LARGEST:.0%} of the profit or more",
    f"no window falls by {DRAWDOWN:.0%} or more",
)
NAN = math.nan


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One walk-forward.

    Attributes:
        train, test: lengths, as written.
        run_id: folder of the run.
        windows, failed: how many.
        days, trades, trials: of the record; of the searches.
        total_return: of the stitched record, after costs; fraction.
        sharpe: of it, annual; NaN when it does not vary.
        psr: probabilistic Sharpe ratio against 0; NaN when undefined.
        p_holm: 1 - psr adjusted for the number of cells; 1 when undefined.
        efficiency: walk-forward efficiency; NaN when training did not grow.
        share_profitable: of the windows; a failed one made no profit.
        largest_share: of the net profit by one window; NaN without a net profit.
        deepest: deepest fall inside one window's test, >= 0, fraction.
        met: for each of `CRITERIA` in order: 1 met, 0 not met. What is undefined is not met.
        passed: True: all of them are met.
        common_sharpe, common_psr: of the days that all cells have; NaN when undefined.
    """

    train: str
    test: str
    run_id: str
    windows: int
    failed: int
    days: int
    trades: int
    trials: int
    total_return: float
    sharpe: float
    psr: float
    p_holm: float
    efficiency: float
    share_profitable: float
    largest_share: float
    deepest: float
    met: tuple[int, ...]
    passed: bool
    common_sharpe: float
    common_psr: float


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells, row by row: one row per training length, one column per test length.

    Attributes:
        format: of this structure.
        name: what ran.
        synthetic: True for a made-up market.
        trains, tests: lengths, as written, in the order in which they were given.
        cells: row by row.
        criteria: what `met` of a cell speaks of.
        passed: cells that meet all criteria.
        share_passed: of all cells.
        share_psr: of the cells whose probabilistic Sharpe ratio reaches 0.95.
        share_holm: of the cells that still do after Holm's adjustment.
        area: cells of the largest contiguous area that passes; neighbours share a side.
        area_cells: their places in *cells*.
        common_days: out-of-sample days that all cells have.
        trials: of all cells together, all of them in the ledger.
        sentence: what the matrix says, in words.
        looks: what making it has cost, in words.
    """

    format: int
    name: str
    synthetic: bool
    trains: tuple[str, ...]
    tests: tuple[str, ...]
    cells: tuple[MatrixCell, ...]
    criteria: tuple[str, ...]
    passed: int
    share_passed: float
    share_psr: float
    share_holm: float
    area: int
    area_cells: tuple[int, ...]
    common_days: int
    trials: int
    sentence: str
    looks: str


def matrix_of(runs: Sequence[Run], trains: Sequence[str], tests: Sequence[str]) -> Matrix:
    """Return the matrix of finished runs.

    Args:
        runs: row by row, shape (trains x tests,).
        trains: lengths of training, as written.
        tests: lengths of test, as written.

    Raises:
        InputError: not one run per pair, or fewer than two.
    """
    if len(runs) != len(trains) * len(tests) or len(runs) < 2:
        raise InputError(
            f"a matrix of {len(trains)} x {len(tests)} lengths needs as many runs and at least 2,"
            f" not {len(runs)}"
        )
    arrays = [RunArrays(one) for one in runs]
    shared: Ints = reduce(np.intersect1d, [one.daily[0] for one in arrays])
    chances = [_psr(one.returns) for one in arrays]
    adjusted = holm(np.array([1.0 if math.isnan(one) else 1.0 - one for one in chances]))
    pairs = [(train, test) for train in trains for test in tests]
    cells = tuple(
        _cell(one, pairs[n], shared, chances[n], float(adjusted[n])) for n, one in enumerate(arrays)
    )
    area = largest_area([one.passed for one in cells], len(tests))
    count, passed = len(cells), sum(one.passed for one in cells)
    trials = sum(one.trials for one in cells)
    return Matrix(
        format=FORMAT,
        name=runs[0].manifest.strategy.name,
        synthetic=any(one.synthetic for one in runs),
        trains=tuple(trains),
        tests=tuple(tests),
        cells=cells,
        criteria=CRITERIA,
        passed=passed,
        share_passed=passed / count,
        share_psr=sum(one.psr >= PSR for one in cells) / count,
        share_holm=sum(one.p_holm <= 1.0 - PSR for one in cells) / count,
        area=len(area),
        area_cells=tuple(area),
        common_days=len(shared),
        trials=trials,
        sentence=_sentence(count, passed, len(area)),
        looks=_looks(count, trials),
    )


def _cell(
    arrays: RunArrays, pair: tuple[str, str], shared: Ints, chance: float, p_holm: float
) -> MatrixCell:
    run = arrays.run
    day, returns = arrays.daily
    common = returns[np.searchsorted(day, shared)]
    rows = window_rows(arrays)
    spread = window_statistics([row.net if math.isfinite(row.net) else 0.0 for row in rows])
    efficiency = run.summary.walk_forward_efficiency
    falls = np.abs(run.windows["test_max_drawdown"].to_numpy(np.float64))
    total = float(np.prod(1.0 + returns)) - 1.0
    figures = {
        "efficiency": NAN if efficiency is None else float(efficiency),
        "share_profitable": spread.share_profitable,
        "largest_share": spread.best_share,
        "deepest": float(np.nanmax(falls)) if np.isfinite(falls).any() else NAN,
    }
    met = (
        spread.net > 0.0,
        figures["efficiency"] >= EFFICIENCY,
        figures["share_profitable"] >= PROFITABLE,
        figures["largest_share"] < LARGEST,
        figures["deepest"] < DRAWDOWN,
    )
    return MatrixCell(
        train=pair[0],
        test=pair[1],
        run_id=run.manifest.run_id,
        windows=run.summary.windows,
        failed=run.summary.failed_windows,
        days=len(returns),
        trades=len(run.trades),
        trials=len(run.trials),
        total_return=total,
        sharpe=_sharpe(returns),
        psr=chance,
        p_holm=p_holm,
        met=tuple(int(one) for one in met),
        passed=all(met),
        common_sharpe=_sharpe(common),
        common_psr=_psr(common),
        **figures,
    )


def _record(returns: Floats) -> TrackRecord | None:
    return TrackRecord.of(returns) if len(returns) >= 4 and varies(returns) else None


def _sharpe(returns: Floats) -> float:
    record = _record(returns)
    return NAN if record is None else record.sharpe * YEAR


def _psr(returns: Floats) -> float:
    record = _record(returns)
    return NAN if record is None else probabilistic_sharpe(record)


def largest_area(passed: Sequence[bool], columns: int) -> list[int]:
    """Return the places of the largest area of True cells, the first of equal ones.

    Args:
        passed: row by row.
        columns: cells in a row; neighbours share a side.
    """
    left = {place for place, one in enumerate(passed) if one}
    best: list[int] = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        area, edge = [start], [start]
        while edge:
            near = [one for one in _neighbours(edge.pop(), columns) if one in left]
            left.difference_update(near)
            area += near
            edge += near
        if len(area) > len(best):
            best = sorted(area)
    return best


def _neighbours(place: int, columns: int) -> list[int]:
    column = place % columns
    sides = [place - columns, place + columns]
    return sides + [place - 1] * (column > 0) + [place + 1] * (column < columns - 1)


def _sentence(count: int, passed: int, area: int) -> str:
    if not passed:
        return f"None of the {count} pairs of lengths meets all criteria."
    if passed == count:
        return f"All {count} pairs of lengths meet all criteria: the lengths decide little."
    told = f"{passed} of {count} pairs of lengths meet all criteria"
    if area == 1:
        return f"{told}, none of them beside another: a lone good cell is likely luck."
    if 2 * area < count:
        return f"{told}; the largest contiguous area has {area}, less than half: no stable ground."
    return f"{told}; {area} of them are neighbours: the result does not hang on one pair."


def _looks(count: int, trials: int) -> str:
    return (
        f"This matrix was {count} looks at the same market, with {trials:,} trials, all of them in"
        " the ledger: every later run on these data is judged against them. To take the best cell"
        " is a choice made on the tests themselves; no day is left that has not seen it."
    )
