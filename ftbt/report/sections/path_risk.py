"""Path risk: how deep it could have gone with the same days or trades in another order."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import cell, how, missing, quantity, signed_percent, toned
from ftbt.report.blocks import (
    Block,
    Cell,
    Facts,
    Figure,
    HowFold,
    Section,
    Table,
    Tile,
    Tiles,
)
from ftbt.report.figures import counted, relations
from ftbt.report.figures.common import percent_tick
from ftbt.report.figures.counted import Named
from ftbt.report.format import known, number, percent, plural, probability, whole
from ftbt.report.sections.walkforward_checks import fan_table
from ftbt.report.source import Source
from ftbt.robustness.assessment import PathRisk, PathRow, RuinRow

NO_LIMIT = "no limit on drawdown was set"
_BLOCKS = (
    "Politis and Romano, The Stationary Bootstrap, JASA 89, 1994; block length after Politis and"
    " White, Econometric Reviews 23(1), 2004, corrected 2009."
)
_RUIN = (
    "Feller, An Introduction to Probability Theory I, 1968, chapter XIV; Kelly, A New"
    " Interpretation of Information Rate, 1956; Thorp, 1997."
)


def build(source: Source) -> Sequence[Block]:
    """Return fan, drawdown distributions, ruin and Kelly."""
    found = source.assessment
    if found is None or found.path_risk is None:
        return missing(source, "record", "path", default="There is no record to draw from.")
    item = found.path_risk
    made: list[Block] = [_tiles(item)]
    if item.fan.x:
        made.append(_fan(item))
    if item.rows:
        made.append(_depths(item))
    return [*made, *_ruin(item), *_size(item)]


def _tiles(item: PathRisk) -> Tiles:
    tiles = []
    if item.rows:
        first = item.rows[0]
        tiles.append(
            Tile(
                "Drawdown to be ready for",
                percent(first.depth_p95),
                f"1 in 20 paths falls deeper; the real one, measured alike (by days or trades, not"
                f" by bars), fell {percent(first.actual_depth)}",
            )
        )
        tiles.append(
            Tile(
                "Paths that end with a loss",
                percent(first.share_of_losses),
                first.how,
            )
        )
    limited = known(item.chance_of_limit)
    tiles.append(
        Tile(
            f"Chance of a fall of {percent(item.limit, 0)}" if limited else "Limit on drawdown",
            probability(item.chance_of_limit) if limited else "none",
            "your limit" if limited else NO_LIMIT,
        )
    )
    tiles.append(
        Tile(
            "Greatest growth at",
            f"{number(item.kelly, 1)} × this size" if known(item.kelly) else "n/a",
            "Kelly, in hindsight: half of it is already bold",
        )
    )
    return Tiles(tiles)


def _fan(item: PathRisk) -> Figure:
    ends = [curve[-1] - 1.0 for curve in item.fan.curves if curve]
    return Figure(
        anchor="path-fan",
        title="Other histories of the same days",
        description="Growth with the same daily returns drawn in blocks. At the end, most paths lie"
        f" between {signed_percent(min(ends))} and {signed_percent(max(ends))}.",
        draw=lambda layout: relations.fan(layout, item.fan, "Days", "this record"),
        table=fan_table(item.fan, actual="This record"),
        how=how(
            "Blocks of neighbouring days are drawn with replacement until a history is as long as"
            " the real one; bands are quantiles over all histories, day by day.",
            f"Daily returns of the stitched curve; {_samples(item)}.",
            _BLOCKS,
        ),
    )


def _samples(item: PathRisk) -> str:
    return plural(item.rows[0].samples, "history", "histories") if item.rows else "no histories"


def _title(row: PathRow) -> str:
    text = row.how[:1].upper() + row.how[1:]
    return f"{text} (path only)" if row.path_only else text


def _depths(item: PathRisk) -> Figure:
    drawn = [
        (
            _title(row),
            row.depths,
            [
                Named(f"middle {percent(row.depth_median)}", row.depth_median, "quantile"),
                Named(f"95 % {percent(row.depth_p95)}", row.depth_p95, "bound"),
                Named(f"real {percent(row.actual_depth)}", row.actual_depth, "own"),
            ],
        )
        for row in item.rows
    ]
    return Figure(
        anchor="path-depths",
        title="How deep the deepest drawdown could have been",
        description="Drawing days or trades again changes the result as well; reshuffling keeps"
        " the total and changes only the path. Paths and the real one are measured at the ends of"
        " days or trades: bar by bar the real one fell at least as deep.",
        draw=lambda layout: counted.panels(
            layout, drawn, "Deepest drawdown of a path", write=percent_tick
        ),
        table=_paths(item.rows),
        how=how(
            "Block bootstrap: other histories of the same days. Resampled trades: drawn with"
            " replacement, so the total varies. Reshuffled trades: the same ones in another order;"
            " total, mean and profit factor are the same in each, so only the path is shown.",
            "Stitched out-of-sample days and trades after costs; "
            + ", ".join(f"{row.how}: {whole(row.samples)} paths" for row in item.rows)
            + ".",
            _BLOCKS,
        ),
    )


def _paths(rows: Sequence[PathRow]) -> Table:
    names = [
        "", "Total: 5 %", "middle", "95 %", "Drawdown: 5 %", "middle", "95 %", "99 %", "real",
        "Deeper than real", "Under water: middle", "95 %", "real", "End with a loss",
    ]  # fmt: skip
    return Table("Paths", quantity(names), [_path(row) for row in rows])


def _path(row: PathRow) -> list[Cell | str]:
    def water(value: float) -> Cell:
        return cell(value, lambda shown: f"{whole(shown)} {row.unit}")

    return [
        _title(row),
        toned(row.total_p05, signed_percent),
        toned(row.total_median, signed_percent),
        toned(row.total_p95, signed_percent),
        cell(row.depth_p05, percent),
        cell(row.depth_median, percent),
        cell(row.depth_p95, percent),
        cell(row.depth_p99, percent),
        cell(row.actual_depth, percent),
        cell(row.share_deeper, percent),
        water(row.water_median),
        water(row.water_p95),
        water(row.actual_water),
        cell(row.share_of_losses, percent),
    ]


def _ruin(item: PathRisk) -> list[Block]:
    if not item.ruin:
        return []
    return [
        Table(
            "Risk of ruin",
            quantity(["Size", "Falls to", "Within", "Chance", "± (sampling)"]),
            [_ruined(row) for row in item.ruin],
            note="As if the trades to come were drawn from these trades. If they are worse, so is"
            " the risk.",
        ),
        HowFold(
            how(
                "Share of simulated accounts that fall to the given share of their start within as"
                " many trades, drawn in blocks from the real ones.",
                "Out-of-sample trades after costs, compounded.",
                _RUIN,
            )
        ),
    ]


def _ruined(row: RuinRow) -> list[Cell | str]:
    return [
        f"{number(row.size, 1).removesuffix('.0')} × what was traded",
        f"{percent(row.level, 0)} of the start",
        plural(row.trades, "trade"),
        cell(row.probability, probability),
        cell(row.standard_error, lambda value: percent(value, 2)),
    ]


def _size(item: PathRisk) -> list[Block]:
    risk = (
        f"{percent(item.risk_per_trade, 2)} of the equity"
        if known(item.risk_per_trade)
        else "n/a: the trades have no stop"
    )
    kelly = (
        "0: these trades have no edge to size"
        if item.kelly == 0
        else f"{number(item.kelly)} × the traded size; chosen in hindsight, so too high"
    )
    streak = (
        f"{plural(item.losing_streak, 'trade')}; chance of at least such a run at this win rate:"
        f" {probability(item.losing_streak_chance)}"
    )
    pairs = [
        ("Risked per trade, middle", risk),
        ("Kelly size", kelly if known(item.kelly) else "n/a"),
        ("Longest losing streak", streak),
    ]
    return [
        Facts(pairs, "Size and streaks"),
        HowFold(
            how(
                "Kelly: the multiple of the traded size with the greatest mean log growth on these"
                " very trades. Streak: exact chance of a run of losses at the observed win rate.",
                "Out-of-sample trades after costs.",
                _RUIN,
            )
        ),
    ]


SECTION = Section(
    "path-risk",
    "Path risk",
    build,
    "The order of good and bad days was luck. How deep could it have gone with another?",
)
