"""Walk-forward, assessed: does it keep working, where the profit came from, other splits (CPCV)."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report import matrix_blocks
from ftbt.report.assessed import (
    bins_table,
    cell,
    how,
    missing,
    of_sharpe,
    quantity,
    signed_percent,
    toned,
    why_not,
)
from ftbt.report.blocks import Block, Cell, Column, Figure, How, HowFold, Prose, Table
from ftbt.report.figures import counted, relations
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.common import short
from ftbt.report.figures.counted import Named
from ftbt.report.format import day, known, money, number, percent, plural, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import CpcvData, FanData, WalkForward, WindowRow

PARDO = "Pardo, The Evaluation and Optimization of Trading Strategies, 2008"
TRADESTATION = "TradeStation, Walk-Forward Optimizer"
_AFML = "López de Prado, Advances in Financial Machine Learning, 2018, chapters 7 and 12."


def blocks(source: Source) -> Sequence[Block]:
    """Return what the assessment says about the windows; one line for a run without one."""
    found = source.assessment
    if found is None:
        return _matrix(source)
    item = found.walk_forward
    made: list[Block] = [_table(item), HowFold(_how(item)), *_profits(item)]
    made += missing(source, "cpcv") if item.cpcv is None else _cpcv(item.cpcv)
    return [*made, *_matrix(source)]


def _matrix(source: Source) -> list[Block]:
    """Return the matrix that the run is a cell of, or why there is none."""
    if source.matrix is not None:
        return matrix_blocks.blocks(source.matrix, source.run.manifest.run_id)
    found = source.assessment
    why = "" if found is None else why_not(found, "matrix", default="")
    return [Prose([why])] if why else []


def _table(item: WalkForward) -> Table:
    windows = len(item.windows)
    rows: list[list[Cell | str]] = [
        [
            "Profitable windows",
            Cell(
                f"{item.profitable} of {windows}",
                detail=percent(item.share_profitable, 0) if windows else "",
            ),
            f"half or more: {TRADESTATION}",
        ],
        [
            "Part of the profit from the best window",
            cell(
                item.best_share,
                lambda value: percent(value, 0),
                "there was no profit to share",
                detail=f"window {item.best_window}" if known(item.best_share) else "",
            ),
            f"less than half: {TRADESTATION}",
        ],
        [
            "Walk-forward efficiency",
            cell(
                item.efficiency,
                lambda value: percent(value, 0),
                "in-sample growth is not above zero",
            ),
            f"half or more ({PARDO}); it hardly predicts, so it decides nothing",
        ],
        [
            "Longest run of losing windows",
            whole(item.longest_losing_run),
            "would you have gone on trading?",
        ],
        [
            "The middle window",
            toned(item.median_net, lambda value: money(value, sign=True), "no window finished"),
            "net profit, money of the stitched curve",
        ],
    ]
    return Table(
        "Does it keep working?",
        [Column("", numeric=False), Column("Value"), Column("How to read it", numeric=False)],
        rows,
        stacked=True,
    )


def _how(item: WalkForward) -> How:
    return how(
        "Efficiency = annual out-of-sample growth / annual in-sample growth, only if the latter is"
        " above zero. Best window's part = its net profit / net profit of all.",
        f"{plural(len(item.windows), 'window')}; a failed one counts as 0.",
        f"{PARDO}; {TRADESTATION}.",
    )


def _profits(item: WalkForward) -> list[Block]:
    if not item.windows:
        return []
    labels = [str(row.window) for row in item.windows]
    values = [row.net if known(row.net) else 0.0 for row in item.windows]
    return [
        Figure(
            anchor="window-profit",
            title="Which windows made the money",
            description=_describe(item),
            draw=lambda layout: drawings.columns(
                layout, labels, values, "Net profit, money of the stitched curve", short
            ),
            table=Table(
                "Windows",
                quantity(
                    [
                        "Window", "Test from", "to", "Net profit", "Growth per year: training",
                        "test", "Sharpe: training", "test", "Trades",
                    ]
                ),
                [_row(row) for row in item.windows],
            ),
            how=how(
                "Equity at the window's end − equity at its start.",
                "windows.parquet: the chosen parameters on their training and on the test days.",
                "Plain arithmetic.",
            ),
        )
    ]  # fmt: skip


def _describe(item: WalkForward) -> str:
    if known(item.best_share):
        return (
            f"Window {item.best_window} alone made {percent(item.best_share, 0)} of the net profit;"
            f" {item.profitable} of {len(item.windows)} windows made one."
        )
    return f"{item.profitable} of {len(item.windows)} windows made a profit; together they did not."


def _row(row: WindowRow) -> list[Cell | str]:
    why = "the window failed" if row.state != "done" else "undefined: no trade, or no variation"
    return [
        str(row.window),
        day(row.test_start_ms),
        day(row.test_end_ms - 1),
        toned(row.net, lambda value: money(value, sign=True), why),
        cell(row.train_annual_return, signed_percent, why),
        cell(row.test_annual_return, signed_percent, why),
        cell(row.train_sharpe, of_sharpe, why),
        cell(row.test_sharpe, of_sharpe, why),
        whole(row.trades),
    ]


def _cpcv(data: CpcvData) -> list[Block]:
    named = [
        Named("no edge", 0.0, "bound"),
        Named(f"mean {of_sharpe(data.mean)}", data.mean, "own"),
    ]
    paths = len(data.path_sharpes)
    made: list[Block] = [
        Figure(
            anchor="cpcv-paths",
            title="The same search on other splits of the training days (CPCV)",
            description=f"{plural(paths, 'path')}: mean annual Sharpe ratio {of_sharpe(data.mean)},"
            f" deviation {of_sharpe(data.deviation)}; {percent(data.share_negative, 0)} of the"
            " paths are below zero. A walk-forward is one order of windows; these are others.",
            draw=lambda layout: counted.counted(
                layout, data.histogram, "Annual Sharpe ratio of a path", "Paths", named
            ),
            table=bins_table("Annual Sharpe ratio of a path", data.histogram, of_sharpe, "Paths"),
            how=how(
                f"The days are cut into N = {data.groups} groups; each way to test on k ="
                f" {data.tested} of them trains on the rest, less {plural(data.purge, 'day')}"
                " purged on either side. One forecast of each group makes a path: C(N−1, k−1) of"
                " them per search. The deviation is no standard error: paths share their days, and"
                " training may lie after the test.",
                f"Daily returns of all trials in training; {plural(paths, 'path')} in all.",
                f"Combinatorial purged cross-validation: {_AFML}",
            ),
        )
    ]
    if data.fan is not None and data.fan.x:
        made.append(_fan(data.fan))
    return made


def _fan(data: FanData) -> Block:
    ends = [curve[-1] - 1.0 for curve in data.curves if curve]
    names = _level_names(data.levels)
    return Figure(
        anchor="cpcv-fan",
        title="The paths of the newest search",
        description="Growth of the lowest, the middle and the highest path: from"
        f" {signed_percent(min(ends))} to {signed_percent(max(ends))} at the end."
        if ends
        else "No path could be drawn.",
        draw=lambda layout: relations.fan(layout, data, "Days", "this run"),
        table=fan_table(data, names),
        how=how(
            "Product of (1 + daily return) along each path; paths ordered by their end.",
            "The newest window's search.",
            f"Combinatorial purged cross-validation: {_AFML}",
        ),
    )


def _level_names(levels: Sequence[float]) -> list[str]:
    return [
        "lowest" if level == 0 else "highest" if level == 1 else f"{number(100 * level, 0)} %"
        for level in levels
    ]


def fan_table(data: FanData, names: Sequence[str] | None = None, actual: str = "Real") -> Table:
    """Return a fan at up to a dozen places: one column per level."""
    titles = list(names or [f"{number(100 * level, 0)} %" for level in data.levels])
    if data.actual:
        titles.append(actual)
    every = max(1, -(-len(data.x) // 12))
    places = sorted({*range(0, len(data.x), every), len(data.x) - 1})
    rows: list[list[Cell | str]] = []
    for i in places:
        values = [curve[i] for curve in data.curves]
        values += [data.actual[i]] if data.actual else []
        rows.append([whole(data.x[i]), *[signed_percent(value - 1.0) for value in values]])
    return Table("Growth since the start", [Column("Day"), *map(Column, titles)], rows)
