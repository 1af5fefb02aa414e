"""Stress: how much worse costs, delays, fills and prices may be before nothing is left."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import cell, how, missing, quantity, sentence, signed_percent, toned
from ftbt.report.blocks import Block, Cell, Figure, Notice, Points, Section, Table, Tile, Tiles
from ftbt.report.figures import relations
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.common import percent_tick
from ftbt.report.figures.rows import Row
from ftbt.report.format import known, money, number, percent, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Stress, StressRow

_COSTS = "all costs"
_NOISE = "noise"
_SOURCE = (
    "Costs, delay and missed trades: practice, for example StrategyQuant's what-if checks. Noise:"
    " after Build Alpha; an outside check found that it hardly discriminates, so it is supporting"
    " evidence only."
)


def build(source: Source) -> Sequence[Block]:
    """Return break-even, the curve over costs, all variants, and how they were made."""
    found = source.assessment
    if found is None or found.stress is None:
        return missing(source, "stress", default="No window finished, so nothing was run again.")
    item = found.stress
    made: list[Block] = [_tiles(item)]
    if not item.reproduced:
        made.append(
            Notice(
                "The record could not be made again to the last cent",
                "The variants compare with the re-made base below, not with the stored record.",
                "hold",
            )
        )
    made += _costs(item)
    made.append(_variants(item))
    if item.notes:
        made.append(Points([("", sentence(note)) for note in item.notes]))
    return made


def _break_even(item: Stress) -> str:
    if not known(item.break_even):
        return "n/a"
    if item.break_even <= 0:
        return "nothing"
    more = "more than " if item.break_even_open else ""
    return f"{more}×{number(item.break_even, 1)}"


def _tiles(item: Stress) -> Tiles:
    rows = {row.kind: row for row in item.rows}
    tiles = [
        Tile(
            "All costs may grow to",
            _break_even(item),
            "it loses even without costs" if item.break_even <= 0 else "before nothing is left",
        )
    ]
    if "delay" in rows:
        tiles.append(_variant_tile("One bar later", rows["delay"]))
    if "missed" in rows:
        tiles.append(_variant_tile(rows["missed"].label, rows["missed"]))
    if known(item.noise_share_profitable):
        tiles.append(
            Tile(
                "Noisy markets with a profit",
                percent(item.noise_share_profitable, 0),
                "supporting evidence only",
            )
        )
    return Tiles(tiles)


def _variant_tile(label: str, row: StressRow) -> Tile:
    value = row.total_return
    return Tile(
        label[:1].upper() + label[1:],
        signed_percent(value),
        f"Sharpe ratio {number(row.annual_sharpe)}",
        "gain" if value > 0 else "loss" if value < 0 else "",
    )


def _costs(item: Stress) -> list[Block]:
    rows = [row for row in item.rows if row.kind == _COSTS and known(row.level)]
    if len(rows) < 2:
        return []
    points = sorted({(1.0, item.base.total_return), *((r.level, r.total_return) for r in rows)})
    mark = (
        []
        if item.break_even_open or not item.break_even > 0
        else [(f"break-even {_break_even(item)}", item.break_even)]
    )
    return [
        Figure(
            anchor="stress-costs",
            title="What is left when all costs grow",
            description=f"Fees, slippage and funding together. Nothing is left at"
            f" {_break_even(item)} of what was assumed."
            if item.break_even > 0
            else "Fees, slippage and funding together.",
            draw=lambda layout: relations.over_multiple(
                layout,
                [x for x, _ in points],
                [y for _, y in points],
                "Multiple of all assumed costs",
                "Total return",
                [("as assumed", 1.0), *mark],
            ),
            table=Table(
                "Total return over costs",
                quantity(["Multiple of all costs", "Total return"]),
                [[f"×{number(x, 2)}", toned(y, signed_percent)] for x, y in points],
            ),
            how=how(
                "The same signals, run again with every cost multiplied; break-even by"
                " interpolation between the runs around it.",
                "All test windows, chosen parameters as they were.",
                "The multiple that must be survived is a rule of thumb; see the scorecard.",
            ),
        )
    ]


def _variants(item: Stress) -> Figure:
    noise = [row for row in item.rows if row.kind == _NOISE]
    drawn = [item.base, *(row for row in item.rows if row.kind != _NOISE), *noise[:6]]
    rows = [
        Row(
            row.label,
            row.total_return,
            row.low,
            row.high,
            signed_percent(row.total_return),
            faint=row is item.base,
        )
        for row in drawn
    ]
    worst = min(drawn[1:], key=lambda row: row.total_return, default=None)
    return Figure(
        anchor="stress-variants",
        title="Variants side by side",
        description="Grey: as it was assumed."
        + (
            f" Worst: {worst.label}, {signed_percent(worst.total_return)}."
            if worst is not None
            else ""
        ),
        draw=lambda layout: drawings.bars(layout, rows, "Total return", percent_tick),
        table=Table(
            "Variants",
            quantity(
                [
                    "Variant", "Total return", "5 to 95 %", "Net profit", "Sharpe ratio",
                    "Drawdown", "Trades",
                ]
            ),
            [_row(row) for row in [item.base, *item.rows]],
        ),
        how=how(
            "Each variant runs the same decisions under one changed condition.",
            "All test windows; where there is a range, 5 and 95 % of several samples.",
            _SOURCE,
        ),
        note=f"Drawn are the first 6 of {len(noise)} noisy markets." if len(noise) > 6 else "",
    )  # fmt: skip


def _row(row: StressRow) -> list[Cell | str]:
    both = known(row.low) and known(row.high)
    return [
        row.label,
        toned(row.total_return, signed_percent),
        f"{signed_percent(row.low)} to {signed_percent(row.high)}" if both else Cell("–", "muted"),
        toned(row.net_profit, lambda value: money(value, sign=True)),
        cell(row.annual_sharpe, number, "not computed, or the days do not vary"),
        cell(row.max_drawdown, percent),
        whole(row.trades),
    ]


SECTION = Section(
    "stress",
    "Stress",
    build,
    "How much worse may costs, delays and fills be before nothing is left?",
)
