"""Parameters: a plateau or a lone peak, what the whole scan earned, which parameters matter."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import (
    bins_table,
    cell,
    how,
    missing,
    of_sharpe,
    quantity,
    threshold,
    why_not,
)
from ftbt.report.blocks import Block, Cell, Column, Figure, Notice, Prose, Section, Table
from ftbt.report.figures import counted
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.common import percent_tick
from ftbt.report.figures.counted import Named
from ftbt.report.figures.rows import Grid, Row
from ftbt.report.format import known, number, percent, plural, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, HeatMap, ParameterFacts, PlateauRow

NOT_SEARCHED = "No parameter was searched: each window ran with the same ones."
CLEARLY = 1.1  # times the floor: what is beyond it stands out
MOST_WINDOWS = 24  # rows of the plateau figure; the table has all


def build(source: Source) -> Sequence[Block]:
    """Return landscape, plateau, permutation and importance of each searched strategy."""
    found = source.assessment
    if found is None or found.parameters is None:
        return missing(source, default=NOT_SEARCHED)
    item = found.parameters
    if not item.strategies:
        return [Notice("Not computed", NOT_SEARCHED)]
    blocks: list[Block] = [Prose([item.guided])] if item.guided else []
    for number_, facts in enumerate(item.strategies, start=1):
        if len(item.strategies) > 1:
            blocks.append(Prose([], title=facts.strategy))
        blocks += _strategy(found, number_, facts)
    return blocks


def _strategy(found: Assessment, number_: int, facts: ParameterFacts) -> list[Block]:
    made: list[Block] = []
    if facts.heat_map is not None:
        made.append(_heat(number_, facts.heat_map))
    made.append(_plateau(number_, facts, threshold(found, "plateau")))
    made.append(_permutation(number_, facts))
    if facts.importance:
        made.append(_importance(number_, facts))
    else:
        made.append(
            Notice("Importance of the parameters: not computed", why_not(found, "importance"))
        )
    if facts.drift:
        made.append(_drift(facts))
    return made


def _heat(number_: int, data: HeatMap) -> Figure:
    column, row = data.chosen
    grid = Grid(data.x_name, data.y_name, data.x_labels, data.y_labels, data.values, data.chosen)
    value = data.values[row][column]
    return Figure(
        anchor=f"landscape-{number_}",
        title=f"The landscape around the choice, window {data.window}",
        description=f"Median annual Sharpe ratio in training over {data.x_name} and {data.y_name}."
        f" Framed: what was chosen, {data.x_name} {data.x_labels[column]} and {data.y_name}"
        f" {data.y_labels[row]} ({of_sharpe(value)}). A region of similar values is a plateau; a"
        " lone strong cell is likely luck. Empty: nobody looked.",
        draw=lambda layout: drawings.heat(layout, grid, lambda shown: number(shown, 1)),
        table=Table(
            f"Median Sharpe ratio (trials): {data.y_name} by {data.x_name}",
            quantity([data.y_name, *data.x_labels]),
            [
                [
                    label,
                    *[
                        _landed(data.values[y][x], data.counts[y][x])
                        for x in range(len(data.x_labels))
                    ],
                ]
                for y, label in enumerate(data.y_labels)
            ],
        ),
        how=how(
            "Trials are sorted into cells by two parameters; each cell shows the median of its"
            " trials' Sharpe ratios, whatever their other parameters were.",
            f"All trials of window {data.window}, the newest that finished; the two parameters that"
            " matter most.",
            "Plain arithmetic on trial_returns.parquet.",
        ),
    )


def _landed(value: float, count: int) -> Cell:
    if not count or not known(value):
        return Cell("–", "muted")
    return Cell(of_sharpe(value), detail=f"({count})")


def _plateau(number_: int, facts: ParameterFacts, wanted: float) -> Figure:
    rows = [
        Row(f"window {row.window}", row.share, text=_neighbours(row))
        for row in facts.plateaus[-MOST_WINDOWS:]
    ]
    median = (
        f"In the middle window {percent(facts.plateau_share, 0)} of the neighbours do nearly as"
        f" well; {facts.judged_windows} of {len(facts.plateaus)} windows could be judged."
        if known(facts.plateau_share)
        else "No window had enough neighbours to be judged."
    )
    return Figure(
        anchor=f"plateau-{number_}",
        title="How well the neighbours of the choice did",
        description=f"{median} A choice whose neighbours fail was a lucky peak.",
        draw=lambda layout: drawings.bars(
            layout,
            rows,
            "Share of neighbours that nearly hold up",
            percent_tick,
            bound=("wanted", wanted) if known(wanted) else None,
            signed=False,
        ),
        table=_plateau_table(facts.plateaus),
        how=how(
            "Neighbours differ from the chosen trial by at most the given part of each value, all"
            " parameters together. Share: of those, how many reach the wanted part of the chosen"
            " Sharpe ratio. Percentile: share of all trials of the window that the chosen one"
            " beats. Median / best: Ehlers' ratio.",
            "All trials of each window's search.",
            "The plateau share is a rule of thumb of this program. System parameter permutation:"
            " Walton, 2014.",
        ),
        note=f"Drawn are the last {MOST_WINDOWS} windows."
        if len(facts.plateaus) > MOST_WINDOWS
        else "",
    )


def _neighbours(row: PlateauRow) -> str:
    if not known(row.share):
        return f"not judged, {plural(row.neighbours, 'neighbour')}"
    return f"{percent(row.share, 0)} of {row.neighbours}"


def _plateau_table(rows: Sequence[PlateauRow]) -> Table:
    few = "too few neighbours, or the chosen one is not above 0"
    return Table(
        "The choice among its neighbours and among all trials",
        quantity(
            [
                "Window", "Neighbours", "within", "Share that hold up", "Chosen Sharpe",
                "Median of all", "Percentile of the choice", "Median / best",
            ]
        ),
        [
            [
                str(row.window),
                whole(row.neighbours),
                percent(row.reach, 0),
                cell(row.share, lambda value: percent(value, 0), few),
                cell(row.chosen),
                cell(row.median),
                cell(row.percentile, lambda value: percent(value, 0)),
                cell(row.median_to_best, number, "the best is not above 0"),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _permutation(number_: int, facts: ParameterFacts) -> Figure:
    chosen = [row.chosen for row in facts.plateaus if known(row.chosen)]
    mean = sum(chosen) / len(chosen) if chosen else float("nan")
    named = [
        Named(f"median {of_sharpe(facts.permutation_median)}", facts.permutation_median, "middle"),
        Named(f"chosen, mean {of_sharpe(mean)}", mean, "own"),
    ]
    return Figure(
        anchor=f"permutation-{number_}",
        title="What the whole scan earned",
        description=f"Half of all parameter sets had an annual Sharpe ratio above"
        f" {of_sharpe(facts.permutation_median)} in training;"
        f" {percent(facts.share_positive, 0)} were above 0. With an edge that does not hang on one"
        " setting, the middle is well above 0.",
        draw=lambda layout: counted.counted(
            layout, facts.permutation, "Annual Sharpe ratio in training", "Trials", named
        ),
        table=bins_table("Annual Sharpe ratio in training", facts.permutation, of_sharpe, "Trials"),
        how=how(
            "System parameter permutation: the median over all parameter sets stands for what the"
            " idea earns without choosing.",
            "All trials of all windows in training.",
            "Walton, Know Your System! Turning Data Mining from Bias to Benefit through System"
            " Parameter Permutation, 2014.",
        ),
    )


def _importance(number_: int, facts: ParameterFacts) -> Figure:
    floor = facts.importance_floor
    rows = [
        Row(
            one.name,
            one.total,
            text=f"{number(one.total)}, alone {number(one.first)}",
            faint=known(floor) and one.total <= CLEARLY * floor,
            line=one.first,
        )
        for one in facts.importance
    ]
    top = facts.importance[0]
    leads = (
        f"Most of the difference between trials comes from {top.name}."
        if not known(floor) or top.total > CLEARLY * floor
        else "No parameter stands out from what chance leaves between trials."
    )
    return Figure(
        anchor=f"importance-{number_}",
        title="Which parameters matter",
        description=f"{leads} Wide bar: with all"
        " interactions; thin bar: alone. A bar not clearly beyond the dashed line means nothing.",
        draw=lambda layout: drawings.bars(
            layout,
            rows,
            "Share of the variance of training Sharpe ratios",
            number,
            bound=("means nothing below", floor) if known(floor) else None,
            signed=False,
        ),
        table=Table(
            "Importance of the parameters",
            quantity(["Parameter", "Alone", "With interactions"]),
            [[one.name, number(one.first), number(one.total)] for one in facts.importance],
            note=f"Floor: {number(floor)}." if known(floor) else "",
        ),
        how=how(
            "Alone: Var(E[Sharpe | parameter]) / Var(Sharpe). With interactions: what would be left"
            " to chance if all others were fixed. Other evaluators answer other questions and give"
            " other figures.",
            f"Evaluator: {facts.evaluator}; {plural(facts.importance_trials, 'trial')}.",
            "Sobol, 1993; Homma and Saltelli, Reliability Engineering and System Safety 52, 1996;"
            " Broto, Bachoc and Depecker, SIAM/ASA J. Uncertainty Quantification 8, 2020.",
        ),
    )


def _drift(facts: ParameterFacts) -> Table:
    return Table(
        "How often the choice moved",
        [Column("Parameter", numeric=False), Column("Different values chosen"), Column("Windows")],
        [[name, whole(values), whole(windows)] for name, values, windows in facts.drift],
        note="The section on walk-forward shows the values window by window.",
    )


SECTION = Section(
    "parameters",
    "Parameter landscape",
    build,
    "Is the choice part of a plateau, or a lone peak that luck put there?",
)
