"""Data snooping: is it better than what luck, or doing nothing, would have earned?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ftbt.report.assessed import (
    bins_table,
    cell,
    figures,
    how,
    missing,
    p_value,
    quantity,
    sentence,
    signed_percent,
    toned,
    why_not,
)
from ftbt.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Fold,
    How,
    HowFold,
    Notice,
    Section,
    Table,
)
from ftbt.report.figures import counted
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.counted import Named
from ftbt.report.figures.rows import Row
from ftbt.report.format import number, percent, plural, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, ChanceTest, SearchTest, SnoopingTest

_HANSEN = (
    "Hansen, A Test for Superior Predictive Ability, Journal of Business and Economic Statistics"
    " 23, 2005; White, A Reality Check for Data Snooping, Econometrica 68, 2000."
)
SHOWN = 40
_FRACTION = "fraction"
BASIS_POINTS = 10_000.0
_CHANCES = {
    "random entries": "Against the same trades at random times",
    "permuted returns": "Against the same positions on shuffled returns",
}


def build(source: Source) -> Sequence[Block]:
    """Return the tests of the record, of its parts, of the searches, and against chance."""
    found = source.assessment
    if found is None:
        return missing(source)
    item = found.snooping
    made: list[Block] = []
    if item.tests:
        made += [_tests(item.tests), HowFold(_how_tests(item.tests))]
    else:
        made += missing(source, "record", default="The out-of-sample record does not move.")
    for number_, test in enumerate((item.random_entries, item.permutation)):
        made += [_chance(number_, test)] if test is not None else [_no_chance(found, number_)]
    return [*made, *_components(found), *_searches(item.searches)]


def _tests(tests: Sequence[SnoopingTest]) -> Table:
    return Table(
        "The out-of-sample record against simple alternatives",
        [
            Column("Against", numeric=False),
            Column("Better by, per year"),
            Column("p-value (SPA)"),
            Column("lower to upper"),
            Column("Reality check"),
            Column("t"),
            Column("Mean block"),
        ],
        [
            [
                test.benchmark,
                toned(test.excess_annual, signed_percent),
                cell(test.spa_consistent, p_value),
                f"{p_value(test.spa_lower)} to {p_value(test.spa_upper)}",
                cell(test.reality_check, p_value),
                cell(test.statistic),
                f"{number(test.block, 1)} days",
            ]
            for test in tests
        ],
        note="p-value: how often luck alone would look at least as good. Below 0.05 is the usual"
        " asking; above 0.20 luck explains it well. Own defaults: the strategy with its first"
        " parameters, never searched.",
        stacked=True,
    )


def _how_tests(tests: Sequence[SnoopingTest]) -> How:
    first = tests[0]
    return how(
        "T = max(0, √n · mean excess / w), against the same over stationary bootstrap samples of"
        " the days, recentred as Hansen proposes (consistent; lower and upper bracket it). w:"
        f" {first.studentise}. The reality check is the same without scaling.",
        f"Daily returns of the stitched curve less those of the alternative;"
        f" {plural(first.resamples, 'bootstrap sample')}.",
        _HANSEN,
    )


def _readable(test: ChanceTest) -> ChanceTest:
    """Return *test* in hundredths of a percent when its values are tiny fractions."""
    if not test.unit.startswith(_FRACTION):
        return test
    return replace(
        test,
        unit=f"hundredths of a percent{test.unit.removeprefix(_FRACTION)}",
        observed=test.observed * BASIS_POINTS,
        lower=test.lower * BASIS_POINTS,
        median=test.median * BASIS_POINTS,
        upper=test.upper * BASIS_POINTS,
        histogram=replace(
            test.histogram, edges=tuple(edge * BASIS_POINTS for edge in test.histogram.edges)
        ),
    )


def _chance(number_: int, test: ChanceTest) -> Figure:
    test = _readable(test)
    title = _CHANCES.get(test.name, test.name[:1].upper() + test.name[1:])
    named = [
        Named(f"5 % of chance {figures(test.lower)}", test.lower, "quantile"),
        Named(f"middle of chance {figures(test.median)}", test.median, "chance"),
        Named(f"95 % of chance {figures(test.upper)}", test.upper, "quantile"),
        Named(f"this record {figures(test.observed)}", test.observed, "own"),
    ]
    return Figure(
        anchor=f"chance-{number_}",
        title=title,
        description=f"{percent(test.percentile, 0)} of {plural(test.simulations, 'random result')}"
        f" were worse; p-value {p_value(test.p_value)}.",
        draw=lambda layout: counted.counted(
            layout, test.histogram, test.unit, "Random results", named
        ),
        table=bins_table(f"{title}: {test.unit}", test.histogram, figures, "Results"),
        how=how(
            "p = (1 + random results at least as good) / (1 + random results). "
            + sentence(test.note),
            f"{plural(test.simulations, 'simulation')}; observed {figures(test.observed)}, unit:"
            f" {test.unit}; 5, 50 and 95 % of chance: {figures(test.lower)},"
            f" {figures(test.median)}, {figures(test.upper)}.",
            "Aronson, Evidence-Based Technical Analysis, 2006; Masters, Permutation and"
            " Randomization Tests for Trading System Development, 2020.",
        ),
        note=sentence(test.note),
    )


def _no_chance(found: Assessment, number_: int) -> Notice:
    name, title = list(_CHANCES.items())[number_]
    return Notice(f"{title}: not computed", why_not(found, name))


def _components(found: Assessment) -> list[Block]:
    parts = found.snooping.components
    if not parts:
        return []
    rows = [
        Row(
            part.name,
            part.mean_annual,
            text=f"p {p_value(part.p_value)}" + (", beats cash" if part.superior else ""),
        )
        for part in parts
    ]
    good = sum(part.superior for part in parts)
    return [
        Figure(
            anchor="components",
            title="Part by part",
            description=f"{good} of {plural(len(parts), 'part')} beat cash at 5 %, the number of"
            " parts allowed for.",
            draw=lambda layout: drawings.bars(layout, rows, "Profit per year / equity", _tick),
            table=Table(
                "Strategies and symbols against cash",
                quantity(["Part", "Trades", "Profit per year / equity", "Adjusted p-value", ""]),
                [
                    [
                        part.name,
                        whole(part.trades),
                        toned(part.mean_annual, signed_percent),
                        cell(part.p_value, p_value),
                        "beats cash" if part.superior else "does not",
                    ]
                    for part in parts
                ],
            ),
            how=how(
                "Stepwise multiple testing: the chance of even one false `beats cash` is held at"
                " 5 %.",
                "Profit realised per UTC day / equity, of each strategy, symbol, or both.",
                "Romano and Wolf, Stepwise Multiple Testing as Formalized Data Snooping,"
                " Econometrica 73, 2005.",
            ),
        )
    ]


def _tick(value: float) -> str:
    return percent(value, 0 if abs(value) >= 0.1 else 1)


def _searches(searches: Sequence[SearchTest]) -> list[Block]:
    if not searches:
        return []
    several = len({row.strategy for row in searches}) > 1
    heads = ["Window", *(["Strategy"] if several else [])]
    heads += ["Trials", "Days", "p-value (SPA)", "Reality check"]
    rows: list[list[Cell | str]] = [
        [
            str(row.window),
            *([row.strategy] if several else []),
            whole(row.trials),
            whole(row.days),
            cell(row.spa_consistent, p_value),
            cell(row.reality_check, p_value),
        ]
        for row in searches[:SHOWN]
    ]
    more = len(searches) - SHOWN
    note = (
        f" {plural(more, 'more search', 'more searches')} in robustness.json." if more > 0 else ""
    )
    summary = "Did any trial of a window's search beat cash in training?"
    table = Table(
        summary,
        [Column(head, numeric=head not in ("Window", "Strategy")) for head in heads],
        rows,
        note="All trials of the search are allowed for. For information: it judges the search, not"
        f" the record.{note}",
    )
    return [
        Fold(
            summary,
            [
                table,
                HowFold(
                    how(
                        "The same tests, over all trials of one search at once.",
                        "Daily returns in training of every trial that neither failed nor repeats"
                        " another.",
                        _HANSEN,
                    )
                ),
            ],
        )
    ]


SECTION = Section(
    "snooping",
    "Against luck",
    build,
    "Data snooping: is it better than what luck, or doing nothing, would have earned?",
)
