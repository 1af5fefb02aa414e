"""Selection bias: how many questions were asked, and what luck alone answers to so many."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import (
    bins_table,
    cell,
    how,
    missing,
    of_sharpe,
    p_value,
    quantity,
    why_not,
)
from ftbt.report.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    How,
    HowFold,
    Prose,
    Section,
    Table,
    Tile,
    Tiles,
)
from ftbt.report.figures import counted, relations
from ftbt.report.figures.counted import Named
from ftbt.report.figures.relations import Point
from ftbt.report.format import MISSING, known, number, percent, plural, probability, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, Band, DeflatedAt, HaircutRow, SelectionBias

METHODS = {
    "bonferroni": "Bonferroni",
    "sidak": "Šidák",
    "holm": "Holm",
    "bhy": "Benjamini, Hochberg, Yekutieli",
}
_DEFLATED = "Bailey and López de Prado, The Deflated Sharpe Ratio, JPM 40(5), 2014."
_CHANCE = "daily returns do not vary, or there are too few days"


def build(source: Source) -> Sequence[Block]:
    """Return the counts, the trials' histogram, the deflated ratio, haircuts, needed length."""
    found = source.assessment
    if found is None:
        return missing(source)
    selection = found.selection
    return [
        _tiles(selection),
        Prose([_flat(selection)]),
        *([_histogram(selection)] if selection.sharpes.counts else []),
        _deflated(selection),
        HowFold(_how_deflated(found)),
        *_curve(found),
        *_haircuts(selection),
        _length(selection),
        HowFold(_how_length()),
    ]


def _tiles(selection: SelectionBias) -> Tiles:
    looks = whole(selection.tolerated) if known(selection.tolerated) else "any number"
    if not known(selection.record.central.probability):
        looks = MISSING
    return Tiles(
        [
            Tile(
                "Parameter sets tried by this run",
                whole(selection.trials),
                f"{whole(selection.distinct)} of them different, with returns in training",
            ),
            Tile(
                "Tried before on the same data",
                whole(selection.earlier_trials),
                f"{whole(selection.earlier_trials_of_strategy)} of them of this strategy",
            ),
            Tile(
                "Luckiest without skill would show",
                of_sharpe(selection.expected_maximum),
                "annual Sharpe ratio in training, E[max]",
            ),
            Tile(
                "Chance of a true edge, looks allowed for",
                probability(selection.record.central.probability),
                "deflated Sharpe ratio, DSR",
            ),
            Tile("Looks that the record stands up to", looks, "at 95 %"),
            Tile(
                "Likeness of the trials",
                number(selection.mean_correlation),
                "mean correlation of their daily returns",
            ),
        ]
    )


def _flat(selection: SelectionBias) -> str:
    text = (
        "The more parameter sets are tried, the better the best of them looks, even when none has"
        " an edge. This section asks what is left after allowing for that."
    )
    if selection.flat:
        was = "never traded" if selection.flat == 1 else "never traded at all"
        text += f" {plural(selection.flat, 'set')} {was} in training."
    return text


def _histogram(selection: SelectionBias) -> Figure:
    chosen = [value for value in selection.chosen_sharpes if known(value)]
    mean = sum(chosen) / len(chosen) if chosen else float("nan")
    named = [
        Named(f"luckiest without skill {of_sharpe(selection.expected_maximum)}",
              selection.expected_maximum, "bound"),
        Named(f"chosen, mean {of_sharpe(mean)}", mean, "own"),
    ]  # fmt: skip
    beaten = sum(value > selection.expected_maximum for value in chosen)
    return Figure(
        anchor="trial-sharpes",
        title="All trials, and what luck alone would reach",
        description=f"Annual Sharpe ratios in training. {beaten} of {plural(len(chosen), 'choice')}"
        " did better than the luckiest of as many trials without any skill would be expected to"
        " (triangles: what was chosen).",
        draw=lambda layout: counted.counted(
            layout, selection.sharpes, "Annual Sharpe ratio in training", "Trials", named,
            chosen=chosen,
        ),
        table=bins_table(
            "Annual Sharpe ratio in training", selection.sharpes, of_sharpe, "Trials"
        ),
        how=how(
            "E[max] = √V · ((1−γ) Z⁻¹[1−1/N] + γ Z⁻¹[1−1/(N e)]) per window, γ = 0.5772, V the"
            " variance of the trials' Sharpe ratios, N their effective number; shown is the mean"
            " over windows.",
            f"{whole(selection.distinct)} parameter sets with daily returns in training; chosen:"
            f" {', '.join(map(of_sharpe, chosen)) or 'none'}.",
            f"False strategy theorem: {_DEFLATED}",
        ),
    )  # fmt: skip


def _deflated(selection: SelectionBias) -> Table:
    rows = _band("This record (gate H2)", selection.record)
    rows.append(
        _row(
            "The same in the form of 2025",
            "high",
            selection.record.high_name,
            selection.record_2025,
        )
    )
    if selection.all_trials is not None:
        rows += _band("If it had been picked among this run's trials", selection.all_trials)
    if selection.search is not None:
        rows += _band("What the search chose, in training", selection.search)
    note = (
        "One look: the parameters were chosen before the days of the test, so the record itself"
        " was not picked. Every earlier trial on these data counts as a look more. Estimates of"
        " how many trials are worth one independent trial differ; a verdict that flips between"
        " them is none."
    )
    if selection.search is not None:
        note += (
            f" In training: {plural(selection.search_days, 'day')}, annual Sharpe ratio"
            f" {of_sharpe(selection.search_sharpe)}."
        )
    return Table(
        "Deflated Sharpe ratio",
        [
            Column("Which record", numeric=False),
            Column("Estimate", numeric=False),
            Column("Looks"),
            Column("Luckiest would show"),
            Column("Chance of a true edge"),
        ],
        rows,
        note=note,
    )


def _band(name: str, band: Band) -> list[list[Cell | str]]:
    return [
        _row(name, "low", band.low_name, band.low),
        _row(name, "central", band.central_name, band.central),
        _row(name, "high", band.high_name, band.high),
    ]


def _row(name: str, level: str, estimate: str, at: DeflatedAt) -> list[Cell | str]:
    return [
        name,
        Cell(level, detail=estimate),
        cell(at.trials, lambda value: number(value, 1).removesuffix(".0")),
        cell(at.hurdle),
        cell(at.probability, probability, _CHANCE),
    ]


def _how_deflated(found: Assessment) -> How:
    return how(
        "DSR = PSR against E[max] in place of 0: the probability that the true Sharpe ratio is"
        " above what the luckiest of N trials without skill would show.",
        f"The stitched record of {whole(found.record.days)} days; looks: 1 and the"
        f" {whole(found.selection.earlier_trials)} earlier trials of the ledger, at the lowest,"
        " the central and the highest estimate of their effective number.",
        _DEFLATED,
    )


def _curve(found: Assessment) -> list[Block]:
    selection = found.selection
    curve = [at for at in selection.curve if known(at.probability)]
    if not curve:
        return [Prose([why_not(found, "record", default=_CHANCE)])]
    limit = next((gate.limit for gate in found.gates if gate.id == "H2"), float("nan"))
    limit = limit if known(limit) else 0.95
    record = selection.record
    points = [
        Point(name, at.trials, at.probability)
        for name, at in _distinct(("low", record.low), ("central", record.central),
                                  ("high", record.high))
    ]  # fmt: skip
    last = curve[-1]
    return [
        Figure(
            anchor="deflated-curve",
            title="What is left of the record, the more looks there were",
            description=f"At {number(record.central.trials, 0)} looks the chance of a true edge is"
            f" {probability(record.central.probability)}; had all"
            f" {number(last.trials - 1.0, 0)} trials ever made been independent looks beside it,"
            f" it would be {probability(last.probability)}.",
            draw=lambda layout: relations.over_count(
                layout,
                [at.trials for at in curve],
                [at.probability for at in curve],
                "Independent looks at these data",
                "Deflated Sharpe ratio",
                points,
                (f"needed {percent(limit, 0)}", limit),
            ),
            table=Table(
                "Deflated Sharpe ratio over looks",
                [Column("Looks"), Column("Luckiest would show"), Column("Chance of a true edge")],
                [
                    [number(at.trials, 1), of_sharpe(at.hurdle), probability(at.probability)]
                    for at in curve
                ],
            ),
            how=how(
                "DSR at each number of looks, with the variance of the trials' Sharpe ratios as"
                " it was measured.",
                f"The stitched record; 1 to {number(last.trials, 0)} looks.",
                _DEFLATED,
            ),
        )
    ]


def _distinct(*points: tuple[str, DeflatedAt]) -> list[tuple[str, DeflatedAt]]:
    """Return known points, those at the same place under one name."""
    kept: dict[tuple[float, float], list[str]] = {}
    where: dict[tuple[float, float], DeflatedAt] = {}
    for name, at in points:
        if known(at.trials) and known(at.probability):
            kept.setdefault((at.trials, at.probability), []).append(name)
            where[(at.trials, at.probability)] = at
    return [(" and ".join(names) if len(names) < 3 else "low to high", where[place])
            for place, names in kept.items()]  # fmt: skip


def _haircuts(selection: SelectionBias) -> list[Block]:
    if not selection.haircuts:
        return []
    table = Table(
        "Haircut: what is left after so many tests",
        quantity(["Record", "Tests", "Before", "After", "Cut off", "Adjusted p-value"]),
        [_haircut(row) for row in selection.haircuts],
        note="A p-value is the chance of such a result without any edge; adjusted, of such a one"
        " among as many tests.",
    )
    return [
        table,
        HowFold(
            how(
                "t = annual Sharpe · √years, two-sided p-value. Bonferroni: M p. Šidák:"
                " 1 − (1−p)^M. Holm: the k-th smallest times M − k + 1. Benjamini, Hochberg,"
                " Yekutieli: times M c(M) / k, c(M) = Σ 1/i. The haircut Sharpe ratio is the one"
                " with the adjusted p-value in a single test.",
                "P-values of the trials that were really made.",
                "Harvey and Liu, Backtesting, JPM 42(1), 2015.",
            )
        ),
    ]


def _haircut(row: HaircutRow) -> list[Cell | str]:
    return [
        f"{row.record[:1].upper()}{row.record[1:]}, {METHODS.get(row.method, row.method)}",
        whole(row.tests),
        cell(row.before),
        cell(row.sharpe),
        cell(row.fraction, percent, "there was nothing above 0 to cut"),
        cell(row.p_value, p_value),
    ]


def _length(selection: SelectionBias) -> Table:
    def years(value: float) -> Cell:
        return cell(value, lambda known_: f"{number(known_, 1)} years", "no trials to allow for")

    return Table(
        "How long a back-test must be for so many trials",
        quantity(["", "Length"]),
        [
            ["This back-test, training and test", years(selection.backtest_years)],
            ["Needed for this run's effective trials", years(selection.needed_years)],
            ["Needed with all earlier trials", years(selection.needed_years_all)],
            ["Upper bound, 2 ln N", years(selection.needed_bound)],
        ],
        note="A shorter back-test is expected to show an annual Sharpe ratio of 1 in training by"
        " luck alone.",
    )


def _how_length() -> How:
    return how(
        "MinBTL = (E[max of N] / 1)² years < 2 ln N, for a Sharpe ratio of 1 per year.",
        "The effective number of trials at its highest estimate.",
        "Bailey, Borwein, López de Prado and Zhu, Pseudo-Mathematics and Financial Charlatanism,"
        " Notices of the AMS 61(5), 2014.",
    )


SECTION = Section(
    "selection",
    "Selection bias",
    build,
    "How many questions were asked of these data, and what luck alone would have answered.",
)
