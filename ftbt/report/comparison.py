"""The page of a comparison: what can be told apart comes first, no run before another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ftbt import __version__
from ftbt.data.files import atomic_write
from ftbt.report.assessed import cell, interval, of_sharpe, p_value, quantity
from ftbt.report.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Figure,
    How,
    HowFold,
    Notice,
    Points,
    Ruling,
    Table,
)
from ftbt.report.figures import curves
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.common import plain_tick
from ftbt.report.figures.curves import Curve
from ftbt.report.figures.rows import Row
from ftbt.report.format import day, number, percent, plural, probability, whole
from ftbt.report.matrix_page import FOOTER, built, synthetic
from ftbt.report.page import page
from ftbt.robustness.compare_runs import RunComparison, Side
from ftbt.robustness.comparison import LEVEL, Pair, RunFigures

PAGE = "comparison.html"
FILE = "Values: comparison.json beside this page."
UNDEFINED = "its returns do not vary on these days"
STAKE = 100.0
GROUP = (
    "Hansen's test (SPA) of the best of them, with all of them allowed for. Below"
    f" {LEVEL:.2f}: at least one is better than cash."
)


def write_comparison_page(folder: Path, found: RunComparison) -> Path:
    """Write `comparison.html` into *folder* and return its path.

    Raises:
        StorageError: when the file can't be written.
    """
    path = folder / PAGE
    atomic_write(path, render_comparison(found))
    return path


def render_comparison(found: RunComparison) -> str:
    """Return the page of a comparison: same comparison, same bytes."""
    return page(
        title=f"{plural(len(found.sides), 'run')} compared",
        subtitle=f"{plural(found.result.days, 'common out-of-sample day')} from"
        f" {day(found.start_ms)} to {day(found.end_ms - 1)}",
        kind="comparison of runs",
        head=synthetic(all(one.synthetic for one in found.sides)),
        sections=[
            built("apart", "What can be told apart", [_ruling(found), *_warnings(found)]),
            built("runs", "The runs", [_sides(found)], "Each as a whole, in the order asked for."),
            built(
                "common",
                "On the common days",
                _common(found),
                "The same days for all; p-values before and after allowing for all runs.",
            ),
            built(
                "pairs",
                "Two by two",
                _pairs(found),
                "An interval that holds 0: these two can't be told apart.",
            ),
        ],
        footer=f"Made by ftbt {__version__} from comparison.json; seed {found.seed}. {FOOTER}",
    )


def _ruling(found: RunComparison) -> Ruling:
    apart = [one for one in found.result.pairs if one.apart]
    state = "NOT TOLD APART" if not apart else "PARTLY" if _some(found) else "TOLD APART"
    pairs = len(found.result.pairs)
    return Ruling(
        state=state,
        headline=f"{len(apart)} of {plural(pairs, 'difference')} more than luck explains",
        sentence=" ".join(found.conclusions),
        points=[
            (
                "As a group against cash",
                f"p = {p_value(found.result.spa)}",
                GROUP,
            ),
            (
                "The runs are",
                f"{len(found.sides)} looks",
                "A comparison ranks nothing. Of several lucky runs one is always the highest.",
            ),
        ],
        tone="hold" if state != "TOLD APART" else "",
    )


def _some(found: RunComparison) -> bool:
    return any(not one.apart for one in found.result.pairs)


def _warnings(found: RunComparison) -> list[Block]:
    if not found.warnings:
        return []
    items = []
    for text in found.warnings:
        head, colon, rest = text.partition(": ")
        items.append((f"{head}:", rest) if colon and len(head) < 30 else ("", text))
    return [Notice("Read this first", "", "hold"), Points(items)]


def _sides(found: RunComparison) -> Table:
    heads = ("Verdict", "Windows", "Record", "Days", "Trades", "Trials", "Return", "Sharpe")
    return Table(
        "The runs as a whole",
        [
            Column("Run", numeric=False),
            *(Column(one, numeric=False) for one in heads[:3]),
            *map(Column, heads[3:]),
        ],
        [_side(one) for one in found.sides],
        stacked=True,
    )


def _side(one: Side) -> list[Cell | str]:
    return [
        Cell(f"{one.letter} · {one.strategy}", detail=f"{one.run_id}; {one.source}"),
        Cell(one.verdict, detail=one.headline.partition("– ")[2]),
        f"{one.train}, {one.test}",
        f"{day(one.start_ms)} to {day(one.end_ms - 1)}",
        whole(one.days),
        whole(one.trades),
        whole(one.trials),
        _toned(one.total_return),
        of_sharpe(one.sharpe),
    ]


def _toned(value: float) -> Cell:
    tone = "gain" if value > 0 else "loss" if value < 0 else ""
    return Cell(percent(value, sign=True), tone)


# --- on the common days --------------------------------------------------------------------------


def _common(found: RunComparison) -> list[Block]:
    made: list[Block] = [_sharpes(found), _adjusted(found), HowFold(_how_adjusted(found))]
    if len(found.sides) <= curves.PARTS:
        made.append(_growth(found))
    return made


def _sharpes(found: RunComparison) -> Figure:
    pairs = list(zip(found.sides, found.result.runs, strict=True))
    drawn = [
        Row(f"{side.letter} {side.strategy}", one.sharpe, one.low, one.high, of_sharpe(one.sharpe))
        for side, one in pairs
    ]
    return Figure(
        anchor="sharpes",
        title="Annual Sharpe ratio with its 95 % interval",
        description="Width, not height: intervals that overlap widely say little about who is"
        " better, and one that holds 0 does not even say that there is an edge.",
        draw=lambda layout: drawings.intervals(layout, drawn, "Annual Sharpe ratio", plain_tick),
        table=Table(
            "Annual Sharpe ratio on the common days",
            quantity(["Run", "Sharpe ratio", "95 % interval", "Return"]),
            [
                [
                    f"{side.letter} · {side.strategy}",
                    of_sharpe(one.sharpe),
                    cell(one.low, lambda _, one=one: interval(one.low, one.high), UNDEFINED),  # type: ignore[misc]
                    _toned(one.total_return),
                ]
                for side, one in pairs
            ],
        ),
        how=How(
            "Mean / standard deviation of the daily returns x √365; interval from the standard"
            " error of 2012 (skewness and kurtosis allowed for).",
            f"{plural(found.result.days, 'daily return')} (UTC days) of each stitched record.",
            f"Bailey and López de Prado, Journal of Risk 15(2), 2012. {FILE}",
        ),
    )


def _adjusted(found: RunComparison) -> Table:
    heads = ("PSR", "p alone", "p, Holm", "p, BHY", "p, StepM", "Deflated", "strict", "Looks")
    return Table(
        "Is it better than cash?",
        quantity(["Run", *heads]),
        [
            _adjusted_row(side, one)
            for side, one in zip(found.sides, found.result.runs, strict=True)
        ],
        note="Alone: one-sided, as if no other run had been made. The others allow for all runs"
        " here. Deflated: by the compared runs; strict: by every trial that other runs made on"
        " these data, as the ledger counts them (Looks).",
        stacked=True,
    )


def _adjusted_row(side: Side, one: RunFigures) -> list[Cell | str]:
    step = Cell(p_value(one.p_step_m), "gain" if one.superior else "")
    return [
        Cell(f"{side.letter} · {side.strategy}"),
        cell(one.psr, probability, UNDEFINED),
        p_value(one.p_value),
        p_value(one.p_holm),
        p_value(one.p_bhy),
        step,
        cell(one.deflated, probability, UNDEFINED),
        cell(one.deflated_strict, probability, UNDEFINED),
        whole(one.looks),
    ]


def _how_adjusted(found: RunComparison) -> How:
    return How(
        "PSR: chance that the true Sharpe ratio is above 0; p alone = 1 − PSR. Holm holds the"
        " chance of any false discovery, BHY their share, StepM the former by bootstrap. Deflated:"
        " chance to be above the best of as many records without skill, whose ratios have the"
        " variance 1 / days.",
        f"{plural(found.result.days, 'day')}; stationary bootstrap, mean block"
        f" {number(found.result.block, 1)} days, {whole(found.result.resamples)} samples; the same"
        " days are drawn for all runs.",
        "Holm 1979; Benjamini and Yekutieli 2001; Romano and Wolf 2005; Hansen 2005; Bailey and"
        f" López de Prado 2012, 2014. {FILE}",
    )


def _growth(found: RunComparison) -> Figure:
    time = np.array(found.day, np.int64)
    lines = [
        Curve(f"{side.letter} {side.strategy}", time, STAKE * (np.array(grown) - 1.0), str(n))
        for n, (side, grown) in enumerate(zip(found.sides, found.growth, strict=True))
    ]
    ends = ", ".join(f"{one.label}: {number(one.value[-1], 1, sign=True)}" for one in lines)
    places = np.unique(np.linspace(0, len(time) - 1, min(13, len(time))).astype(int))
    return Figure(
        anchor="growth",
        title=f"What {number(STAKE, 0)} put in on the first common day gained or lost",
        description=f"At the end: {ends}. That one line ends above another is what luck does, too.",
        draw=lambda layout: curves.profits(layout, lines, []),
        table=Table(
            "Gain or loss",
            quantity(["Day", *(one.label for one in lines)]),
            [
                [day(int(time[n])), *(number(one.value[n], 2, sign=True) for one in lines)]
                for n in places
            ],
        ),
        how=How(
            f"{number(STAKE, 0)} x (product of (1 + daily return) − 1), common days only.",
            "Daily returns of the stitched out-of-sample records, after all costs.",
            f"Plain arithmetic. {FILE}",
        ),
    )


# --- two by two ----------------------------------------------------------------------------------


def _pairs(found: RunComparison) -> list[Block]:
    level = percent(found.result.pair_level, 2 if len(found.result.pairs) > 1 else 0)
    names = [one.letter for one in found.sides]
    drawn = [
        Row(_versus(one, names), one.difference, one.low, one.high, of_sharpe(one.difference),
            faint=not one.apart)
        for one in found.result.pairs
    ]  # fmt: skip
    figure = Figure(
        anchor="differences",
        title="Difference of annual Sharpe ratios",
        description=f"With {level} intervals, wide enough for all"
        f" {plural(len(found.result.pairs), 'pair')} at once. Grey: not to be told apart.",
        draw=lambda layout: drawings.intervals(
            layout, drawn, "First minus second, annual Sharpe ratio", plain_tick
        ),
        table=Table(
            "Differences",
            quantity(["Pair", "Difference", "Interval", "Correlation", "Told apart"]),
            [_pair(one, names) for one in found.result.pairs],
        ),
        how=How(
            "Difference ± t · its standard deviation over samples of blocks of days, drawn for both"
            f" runs alike; t: Student's, days / block − 1 degrees of freedom, {level} = 1 −"
            f" {LEVEL:g} / pairs.",
            f"{whole(found.result.resamples)} samples, mean block"
            f" {number(found.result.block, 1)} days (Politis and White).",
            "Politis and Romano, JASA 89, 1994; paired as in Ledoit and Wolf, Journal of Empirical"
            f" Finance 15, 2008; Bonferroni for the number of pairs. {FILE}",
        ),
    )
    return [figure, Facts([(one.letter, one.run_id) for one in found.sides], style="compact")]


def _versus(one: Pair, names: Sequence[str]) -> str:
    return f"{names[one.first]} − {names[one.second]}"


def _pair(one: Pair, names: Sequence[str]) -> list[Cell | str]:
    return [
        _versus(one, names),
        number(one.difference, sign=True),
        interval(one.low, one.high),
        cell(one.correlation, number, UNDEFINED),
        Cell("yes", "outcome") if one.apart else Cell("no", "muted"),
    ]
