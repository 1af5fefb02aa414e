"""Overfitting: does what was best on one half of the training stay good on the other?"""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import bins_table, cell, how, interval, missing, p_value, quantity
from ftbt.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Fold,
    Prose,
    Section,
    Table,
    Tile,
    Tiles,
)
from ftbt.report.figures import counted, relations
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.common import percent_tick
from ftbt.report.figures.counted import Named
from ftbt.report.figures.relations import Line
from ftbt.report.figures.rows import Row
from ftbt.report.format import number, percent, plural, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Overfitting, WindowOverfitting

_PAPER = (
    "Bailey, Borwein, López de Prado and Zhu, The Probability of Backtest Overfitting, Journal of"
    " Computational Finance 20(4), 2017."
)
_CSCV = (
    "Combinatorially symmetric cross-validation (CSCV): the days of training are cut into equal"
    " blocks; each way to put half of the blocks on one side chooses the best trial there and ranks"
    " it on the other. "
)
SHOWN = 40  # windows in the table; all of them are in robustness.json


def build(source: Source) -> Sequence[Block]:
    """Return PBO with its null, logits, scatter, dominance, and the windows."""
    found = source.assessment
    if found is None or found.overfitting is None:
        return missing(source, "overfitting", "pbo")
    item = found.overfitting
    return [
        _tiles(item),
        Prose([item.guided] if item.guided else []),
        _against_null(item),
        _logits(item),
        _scatter(item),
        _dominance(item),
        Fold("Search by search", [_windows(item.windows)]),
    ]


def _tiles(item: Overfitting) -> Tiles:
    return Tiles(
        [
            Tile(
                "Probability of backtest overfitting (PBO)",
                percent(item.pbo, 0),
                f"without any skill about {percent(item.null_median, 0)}",
            ),
            Tile(
                "As low a PBO without skill",
                p_value(item.p_value),
                "p-value, calibrated on these very trials",
            ),
            Tile(
                "The choice lost on the other half",
                percent(item.probability_of_loss, 0),
                f"without any skill about {percent(item.loss_null_median, 0)}",
            ),
            Tile(
                "As few losses without skill",
                p_value(item.loss_p_value),
                "p-value, calibrated on these very trials",
            ),
        ]
    )


def _against_null(item: Overfitting) -> Figure:
    rows = [
        Row(
            "PBO",
            item.pbo,
            item.null_lower,
            item.null_upper,
            percent(item.pbo, 0),
            line=item.null_median,
        ),
        Row(
            "The choice lost on the other half",
            item.probability_of_loss,
            item.loss_null_lower,
            item.loss_null_median,
            percent(item.probability_of_loss, 0),
            line=item.loss_null_median,
        ),
    ]
    return Figure(
        anchor="overfitting-null",
        title="Measured, and what searching without skill gives",
        description="Dot: measured. Band: what the same trials give when each one's mean is taken"
        " away (5 % to 95 %, for the losses up to the middle); tick: its middle. A dot left of its"
        " band is a search that found something.",
        draw=lambda layout: drawings.intervals(
            layout, rows, "Share of combinations", percent_tick, bound=("no better than luck", 0.5)
        ),
        table=Table(
            "Measured against no skill",
            quantity(["", "Measured", "No skill: 5 %", "50 %", "95 %", "p-value"]),
            [
                [
                    "PBO",
                    cell(item.pbo, percent),
                    cell(item.null_lower, percent),
                    cell(item.null_median, percent),
                    cell(item.null_upper, percent),
                    cell(item.p_value, p_value),
                ],
                [
                    "The choice lost on the other half",
                    cell(item.probability_of_loss, percent),
                    cell(item.loss_null_lower, percent),
                    cell(item.loss_null_median, percent),
                    Cell("–", "muted"),
                    cell(item.loss_p_value, p_value),
                ],
            ],
        ),
        how=how(
            f"{_CSCV}PBO = share of the ways in which the chosen trial is at or below the middle of"
            " the other half. No skill: each trial's mean is taken out, days are drawn with"
            " replacement, PBO is computed again. p-value: share of those at or below the"
            " measured one.",
            f"Means over {plural(len(item.windows), 'search', 'searches')}.",
            f"{_PAPER} The calibration is that of this program; PBO without skill is about 0.5,"
            " not 1.",
        ),
    )


def _logits(item: Overfitting) -> Figure:
    middle = [Named("middle of the field", 0.0, "bound")]
    return Figure(
        anchor="overfitting-logits",
        title="Where the choice ended on the other half",
        description="0: in the middle of all trials. Right of it the choice stayed in the better"
        f" half, left of it ({percent(item.pbo, 0)}) it did not.",
        draw=lambda layout: counted.counted(
            layout, item.logits, "Logit of the rank on the other half", "Combinations", middle
        ),
        table=bins_table("Logit of the rank", item.logits, number, "Combinations"),
        how=how(
            f"{_CSCV}Relative rank w = rank / (N + 1), rank N the best; logit = ln(w / (1 − w)).",
            "All ways of all searches.",
            _PAPER,
        ),
    )


def _scatter(item: Overfitting) -> Figure:
    slope = f"slope {number(item.slope)}"
    falls = (
        "The better the choice looked, the worse it became."
        if item.slope < 0
        else "The better the choice looked, the better it stayed."
        if item.slope > 0
        else "How good the choice looked says nothing about the other half."
    )
    xs = [x for x, _ in item.scatter]
    ys = [y for _, y in item.scatter]
    return Figure(
        anchor="overfitting-scatter",
        title="How good the choice looked, and how good it was",
        description=f"{falls} Each point: the chosen trial of one way to halve the days."
        if item.scatter
        else "No combination could be drawn.",
        draw=lambda layout: relations.scatter(
            layout,
            item.scatter,
            Line(item.slope, item.intercept, slope),
            ("Annual Sharpe ratio where it was chosen", "on the other half"),
        ),
        table=Table(
            "Regression of the other half on the chosen one",
            quantity(["", "Value"]),
            [
                ["Slope", cell(item.slope)],
                ["Intercept", cell(item.intercept)],
                ["Share of the variation explained (R²)", cell(item.r_squared, percent)],
                ["Points drawn", whole(len(item.scatter))],
                ["Chosen half, lowest to highest", _ends(xs)],
                ["Other half, lowest to highest", _ends(ys)],
            ],
        ),
        how=how(
            "Least squares: other half = intercept + slope × chosen half.",
            "All ways of all searches; thinned in the drawing.",
            f"Performance degradation: {_PAPER}",
        ),
    )


def _ends(values: Sequence[float]) -> str:
    return interval(min(values), max(values)) if values else "n/a"


def _dominance(item: Overfitting) -> Figure:
    data = item.dominance
    first = "yes" if data.first_order else "no"
    second = "yes" if data.second_order else "no"
    every = max(1, len(data.grid) // 20)
    return Figure(
        anchor="overfitting-dominance",
        title="Choosing against drawing a trial at random",
        description=f"Better at every level (first order): {first}. Better for anyone who dislikes"
        f" risk (second order): {second}. The further right a curve, the better.",
        draw=lambda layout: relations.shares(
            layout,
            data.grid,
            data.chosen,
            data.every,
            ("what was chosen", "any trial"),
            "Annual Sharpe ratio on the other half",
        ),
        table=Table(
            "Share at or below each Sharpe ratio",
            [Column("Annual Sharpe ratio"), Column("Chosen"), Column("Any trial")],
            [
                [number(x), percent(a), percent(b)]
                for x, a, b in list(zip(data.grid, data.chosen, data.every, strict=True))[::every]
            ],
        ),
        how=how(
            "First order: the chosen trials' share is nowhere above that of all. Second order: the"
            " same for the areas below the curves.",
            "Sharpe ratios on the other half of all ways and all searches.",
            f"Stochastic dominance: {_PAPER}",
        ),
    )


def _windows(windows: Sequence[WindowOverfitting]) -> Table:
    more = len(windows) - SHOWN
    several = len({row.strategy for row in windows}) > 1
    heads = ["Window", *(["Strategy"] if several else []), "Trials", "Days", "Blocks", "PBO"]
    heads += ["No skill: 5 %", "50 %", "p-value", "Choice lost"]
    return Table(
        "Search by search",
        [Column(head, numeric=head not in ("Window", "Strategy")) for head in heads],
        [_window(row, several=several) for row in windows[:SHOWN]],
        note=f"{plural(more, 'more search', 'more searches')} in robustness.json."
        if more > 0
        else "",
    )


def _window(row: WindowOverfitting, *, several: bool) -> list[Cell | str]:
    return [
        str(row.window),
        *([row.strategy] if several else []),
        whole(row.trials),
        whole(row.days),
        whole(row.blocks),
        cell(row.pbo, percent),
        cell(row.null_lower, percent),
        cell(row.null_median, percent),
        cell(row.p_value, p_value),
        cell(row.probability_of_loss, percent),
    ]


SECTION = Section(
    "overfitting",
    "Overfitting",
    build,
    "Does what was best on one half of the training days stay good on the other half?",
)
