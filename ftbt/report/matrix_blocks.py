"""The walk-forward matrix as blocks: for the report of one of its runs, and for its own page."""

from __future__ import annotations

from ftbt.report.assessed import cell, of_sharpe, p_value, quantity, words
from ftbt.report.blocks import Block, Cell, Column, Figure, How, Notice, Prose, Table
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.rows import Grid
from ftbt.report.format import number, percent, plural, probability, whole
from ftbt.robustness.matrix import PSR, Matrix, MatrixCell

UNDEFINED = "its record does not vary"
NO_PROFIT = "there was no profit to share"
NO_GROWTH = "in-sample growth is not above zero"
_SOURCES = (
    "Criteria: TradeStation, Walk-Forward Optimizer; contiguous areas: Pardo, The Evaluation and"
    " Optimization of Trading Strategies, 2008. Values: matrix.json in the folder."
)


def blocks(found: Matrix, run_id: str = "") -> list[Block]:
    """Return the matrix: what it says, the map, all cells, what making it has cost.

    Args:
        found: the matrix.
        run_id: the run whose report this is; framed in the map. Empty: none of them.
    """
    return [
        Notice(
            "Walk-forward matrix: " + found.sentence,
            f"The probabilistic Sharpe ratio reaches {PSR:.2f} in"
            f" {percent(found.share_psr, 0)} of the cells, after Holm's adjustment for"
            f" {len(found.cells)} looks in {percent(found.share_holm, 0)}.",
            "gain" if 2 * found.area >= len(found.cells) else "hold" if found.area else "loss",
        ),
        _map(found, run_id),
        _records(found, run_id),
        _criteria(found, run_id),
        Prose([found.looks]),
    ]


def _map(found: Matrix, run_id: str) -> Figure:
    columns = len(found.tests)
    rows = [found.cells[i : i + columns] for i in range(0, len(found.cells), columns)]
    mine = next((n for n, one in enumerate(found.cells) if one.run_id == run_id), -1)
    grid = Grid(
        "Length of test",
        "Length of training",
        found.tests,
        found.trains,
        [[one.sharpe for one in row] for row in rows],
        (mine % columns, mine // columns) if mine >= 0 else None,
    )
    framed = " Framed: this run." if mine >= 0 else ""
    return Figure(
        anchor="matrix-map",
        title="The same walk-forward with other lengths",
        description="Annual Sharpe ratio of the stitched out-of-sample record of each pair. Look"
        f" for an area of similar good cells; a lone one is likely luck.{framed} Cells with longer"
        f" trainings are tested on fewer days; {plural(found.common_days, 'day')} are common to"
        " all.",
        draw=lambda layout: drawings.heat(layout, grid, lambda shown: number(shown, 1)),
        table=Table(
            "Annual Sharpe ratio (criteria met): length of training by length of test",
            [Column("Training", numeric=False), *(Column(one) for one in found.tests)],
            [
                [label, *(_landed(one) for one in row)]
                for label, row in zip(found.trains, rows, strict=True)
            ],
        ),
        how=How(
            "Each cell is a walk-forward of its own: searches, tests, stitched record. Sharpe"
            " ratio: mean / standard deviation of its daily returns x √365.",
            f"{plural(len(found.cells), 'run')} with {plural(found.trials, 'trial')} in all.",
            _SOURCES,
        ),
    )


def _landed(one: MatrixCell) -> Cell:
    met = f"{sum(one.met)} of {len(one.met)}"
    return cell(one.sharpe, of_sharpe, UNDEFINED, detail=f"{met}{', pass' if one.passed else ''}")


def _records(found: Matrix, run_id: str) -> Table:
    heads = (
        "Windows",
        "Trades",
        "Return",
        "Sharpe",
        "PSR",
        "p, Holm",
        "Sharpe, common days",
        "PSR",
    )
    return Table(
        "The record of each pair",
        quantity(["Training, test", *heads]),
        [_record(one, run_id) for one in found.cells],
        note="PSR: chance that the true Sharpe ratio is above 0, as if no other cell had been"
        f" looked at; p, Holm: 1 − PSR adjusted for {len(found.cells)} looks. Common days: the"
        f" {whole(found.common_days)} that all cells have.",
    )


def _record(one: MatrixCell, run_id: str) -> list[Cell | str]:
    tone = "gain" if one.total_return > 0 else "loss" if one.total_return < 0 else ""
    return [
        _named(one, run_id),
        Cell(whole(one.windows), detail=f"{one.failed} failed" if one.failed else ""),
        whole(one.trades),
        Cell(percent(one.total_return, sign=True), tone),
        cell(one.sharpe, of_sharpe, UNDEFINED),
        cell(one.psr, probability, UNDEFINED),
        p_value(one.p_holm),
        cell(one.common_sharpe, of_sharpe, UNDEFINED),
        cell(one.common_psr, probability, UNDEFINED),
    ]


def _criteria(found: Matrix, run_id: str) -> Table:
    area = set(found.area_cells)
    heads = ("Efficiency", "Profitable windows", "Best window's part", "Deepest window")
    told = "; ".join(f"{number_}. {text}" for number_, text in enumerate(found.criteria, start=1))
    return Table(
        "The criteria",
        [*quantity(["Training, test", *heads]), Column("All criteria", numeric=False)],
        [_judged(n, one, run_id, area) for n, one in enumerate(found.cells)],
        note=words(f"{told}."),
    )


def _judged(number_: int, one: MatrixCell, run_id: str, area: set[int]) -> list[Cell | str]:
    missed = [str(n) for n, met in enumerate(one.met, start=1) if not met]
    return [
        _named(one, run_id),
        cell(one.efficiency, lambda value: percent(value, 0), NO_GROWTH),
        cell(one.share_profitable, lambda value: percent(value, 0), "no window"),
        cell(one.largest_share, lambda value: percent(value, 0), NO_PROFIT),
        cell(one.deepest, percent, "no window finished"),
        Cell("PASS", "outcome gain", detail="in the area" if number_ in area else "alone")
        if one.passed
        else Cell(f"missed: {', '.join(missed)}", "muted"),
    ]


def _named(one: MatrixCell, run_id: str) -> Cell:
    return Cell(f"{one.train}, {one.test}", detail="this run" if one.run_id == run_id else "")
