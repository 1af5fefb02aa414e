"""Example trades: price chart, zones known at the close before the entry, confidence."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.data.timeframe import Timeframe
from ftbt.report import live
from ftbt.report.blocks import Block, Cell, Column, Figure, How, Notice, Prose, Section, Table
from ftbt.report.figures import candles
from ftbt.report.figures.candles import ZONE_NAMES
from ftbt.report.format import moment, money, number, plain, plural, price
from ftbt.report.seen import Example
from ftbt.report.source import Source

NOT_WRITTEN = (
    "No example trades were kept with this run. They need the candles and the strategy, so they"
    " are written when the walk-forward ends."
)


def build(source: Source) -> Sequence[Block]:
    """Return one chart per example."""
    found = source.examples
    if found is None:
        return [Notice("No examples", NOT_WRITTEN)]
    blocks: list[Block] = []
    if found.examples:
        blocks.append(_legend())
    else:
        blocks.append(Notice("No examples", "There was no trade to show."))
    for number_, example in enumerate(found.examples, start=1):
        blocks.append(_chart(number_, example, named=len(source.strategies) > 1))
        if example.factors:
            blocks.append(_confidence(number_, example))
    if found.notes:
        blocks.append(Prose(list(found.notes)))
    return blocks


def _legend() -> Prose:
    text = (
        "Chosen by rule, not by eye: the best and worst trade, the one in the middle, a typical"
        " stop-out, and the middle one of each side if it is not among them yet. Zones are those"
        " known at the close before the entry (dotted line): strong up to there, faint after it."
        " Triangles mark confirmed swings; hollow candles rise."
    )
    return Prose([text])


def _title(number_: int, example: Example, *, named: bool) -> str:
    r = "" if example.r is None else f", {number(example.r, sign=True)} R"
    why = example.why[:1].upper() + example.why[1:]
    whose = f" by {example.strategy}" if named else ""
    return f"{number_}. {why}: {example.side} {example.symbol}{whose}{r}"


def _chart(number_: int, example: Example, *, named: bool) -> Figure:
    return Figure(
        anchor=f"example-{number_}",
        title=_title(number_, example, named=named),
        description=(
            f"{moment(example.entry_time)} UTC, window {example.window}. Entry:"
            f" {example.entry_reason}. Exit: {example.exit_reason}, after"
            f" {plural(example.bars, 'bar')}. Net {money(example.net, sign=True)}."
        ),
        draw=lambda layout: candles.chart(layout, example),
        table=_table(example),
        how=How(
            "A zone is drawn if it was still alive at the close before the entry; of many, those"
            " nearest to the price. Swings are drawn if they were confirmed by then.",
            f"Candles up to that close only, {example.lines}. Parameters of the window: "
            + (
                ", ".join(f"{k} = {plain(v)}" for k, v in sorted(example.parameters.items()))
                or "none"
            )
            + ".",
            "examples.json in the run folder; definitions in the documentation of the lines.",
        ),
        note=_note(example),
        chart=live.candles(example),
    )


def _note(example: Example) -> str:
    parts = []
    if example.candle_ms != example.bar_ms:
        length = Timeframe.of_ms(example.candle_ms)
        parts.append(f"A long trade: each candle stands for {length} of bars.")
    if example.cut:
        parts.append("The drawing ends before the exit.")
    outside = [
        f"{name} {price(value)}"
        for name, value in (
            ("stop", example.stop), ("target 1", example.target1), ("target 2", example.target2),
        )
        if value is not None and not _inside(example, value)
    ]  # fmt: skip
    if outside:
        parts.append(f"Outside of the drawing: {', '.join(outside)}.")
    return " ".join(parts)


def _inside(example: Example, value: float) -> bool:
    low, high = candles.price_range(example)
    return low <= value <= high


def _table(example: Example) -> Table:
    rows: list[list[Cell | str]] = [
        ["entry", price(example.entry_price), "", moment(example.entry_time), ""],
        ["exit", price(example.exit_price), "", moment(example.exit_time), example.exit_reason],
    ]
    levels = (("stop", example.stop), ("target 1", example.target1), ("target 2", example.target2))
    rows += [[name, price(value), "", "", ""] for name, value in levels if value is not None]
    for zone in example.zones:
        side = "bullish" if zone.side > 0 else "bearish"
        if zone.kind == "pool":
            name, top = "liquidity " + ("below" if zone.side > 0 else "above"), ""
        else:
            name, top = f"{side} {ZONE_NAMES[zone.kind]}", price(zone.top)
        rows.append([name, price(zone.bottom), top, moment(zone.known), zone.state])
    heads = (Column("Price"), Column("to"), Column("Known or traded (UTC)"))
    return Table(
        "Levels and zones",
        [Column("What", numeric=False), *heads, Column("State at the entry", numeric=False)],
        rows,
    )


def _confidence(number_: int, example: Example) -> Block:
    total = sum(item.points for item in example.factors)
    return Figure(
        anchor=f"example-{number_}-confidence",
        title="Confidence at the close before the entry",
        description=f"{number(total, 0)} points from the factors.{_decided(example, total)}",
        draw=lambda layout: candles.confidence(layout, example.factors),
        table=Table(
            "Confidence",
            [Column("Factor", numeric=False), Column("Points"), Column("of at most")],
            [[item.name, number(item.points, 1), number(item.most, 0)] for item in example.factors],
        ),
        how=How(
            "The sum of the factors, cut at 100; each factor is a line of its own.",
            "The strategy's own confidence line at the close before the entry.",
            "Definitions and weights: the documentation of the confidence line.",
        ),
    )


def _decided(example: Example, total: float) -> str:
    """Return what the strategy saw when it sent the order, if that differs."""
    seen = example.confidence
    if seen is None or abs(min(total, 100.0) - seen) < 0.5:
        return " The sum is cut at 100." if total > 100.0 else ""
    return f" The order was sent at an earlier close, with {number(seen, 0)}."


SECTION = Section(
    "examples",
    "Example trades",
    build,
    "A few trades on the chart, with what was known when the order was sent, and nothing more.",
)
