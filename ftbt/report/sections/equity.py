"""Equity: stitched out-of-sample beside in-sample and buy-and-hold, the drawdown below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from ftbt.backtest.return_metrics import drawdowns
from ftbt.data.timeframe import DAY_MS, from_ms
from ftbt.report import live
from ftbt.report.blocks import Block, Cell, Column, Figure, How, Section, Table
from ftbt.report.figures import curves
from ftbt.report.figures.curves import Curve, Mark
from ftbt.report.format import MISSING, money, percent
from ftbt.report.sections import record
from ftbt.report.source import Floats, Series, Source, milliseconds
from ftbt.report.theme import Layout


def build(source: Source) -> Sequence[Block]:
    """Return the equity figure."""
    return [
        Figure(
            anchor="equity-curve",
            title="Equity after costs",
            description=_describe(source),
            draw=lambda layout: _draw(layout, source),
            table=_table(source),
            how=How(
                "Equity = cash + signed size × (close − entry price) − fees − funding, at each"
                " bar's close. Drawdown = equity / highest equity so far − 1.",
                "Out-of-sample: the test windows one after another, each flat at its start and end."
                " In-sample: of each training the last stretch, as long as the way to the next"
                " window, linked by growth, so that every day counts once. Before costs: fees,"
                " slippage and funding of the closed trades added back, not reinvested. Buy and"
                " hold: bought at the first tested bar, no costs.",
                "equity.parquet and in_sample.parquet in the run folder; walk-forward after Pardo,"
                " The Evaluation and Optimization of Trading Strategies (2008), chapter 11.",
            ),
            note=_note(source),
            chart=live.lines([("money", _curves(source)), ("percent", _drawdowns(source))]),
        ),
        *record.blocks(source),
    ]


def _curves(source: Source) -> list[Curve]:
    made = [
        Curve("Buy and hold", source.hold.time, source.hold.value, "hold"),
        Curve("In-sample", source.within.time, source.within.value, "within"),
        *_before_costs(source),
        Curve("Out-of-sample", source.equity.time, source.equity.value, "out"),
    ]
    return [curve for curve in made if len(curve.time)]


def _before_costs(source: Source) -> list[Curve]:
    if not len(source.trades):
        return []
    series = source.before_costs
    return [Curve("Before costs", series.time, series.value, "before")]


def _drawdown(source: Source, series: Series, label: str, role: str) -> Curve:
    return Curve(label, series.time, drawdowns(series.value, source.capital), role)


def _drawdowns(source: Source) -> list[Curve]:
    return [
        _drawdown(source, source.hold, "Buy and hold", "hold"),
        _drawdown(source, source.equity, "Out-of-sample", "out"),
    ]


def _draw(layout: Layout, source: Source) -> Drawing:
    below = _drawdowns(source)
    return curves.equity(layout, _curves(source), below, marks(source), source.capital)


def marks(source: Source) -> list[Mark]:
    """Return the test windows for a time axis."""
    frame = source.windows
    return [
        Mark(str(number), int(start), int(end), state != "done")
        for number, start, end, state in zip(
            frame["window"],
            milliseconds(frame["test_start"]),
            milliseconds(frame["test_end"]),
            frame["state"],
            strict=True,
        )
    ]


def _describe(source: Source) -> str:
    if not len(source.equity):
        return "No window finished, so there is no out-of-sample equity."
    last, held = source.equity.value[-1], source.hold.value[-1]
    return (
        f"{money(source.capital)} became {money(float(last))} out of sample;"
        f" buying and holding made it {money(float(held))}."
        " Thin vertical lines: where a test window begins."
    )


def _note(source: Source) -> str:
    parts = []
    if curves.wants_log(_curves(source), source.capital):
        parts.append("Log axis: equal distances are equal percentages.")
    if len(source.failed):
        parts.append("Shaded: a window failed; the curve is flat over it.")
    if source.ruined:
        parts.append("The account was ruined: after that nothing can be traded.")
    return " ".join(parts)


def periods(source: Source) -> tuple[str, list[str]]:
    """Return what a table over time counts by, `Month` for example, and each bar's period."""
    time = source.equity.time
    whole = (int(time[-1]) - int(time[0])) / DAY_MS
    name, pattern = ("Month", "%Y-%m") if whole > 100 else ("Week", "%G week %V")
    if whole <= 21:
        name, pattern = "Day", "%Y-%m-%d"
    days, place = np.unique(time // DAY_MS, return_inverse=True)
    words = np.array([f"{from_ms(int(day) * DAY_MS):{pattern}}" for day in days])
    return name, words[place].tolist()


def _table(source: Source) -> Table:
    columns = ["Equity", "Out-of-sample", "Buy and hold", "Drawdown at worst"]
    if not len(source.equity):
        return Table("Equity", [Column("Period", numeric=False), *map(Column, columns)], [])
    name, words = periods(source)
    labels = np.array(words)
    last = np.flatnonzero(np.append(labels[1:] != labels[:-1], True))
    equity, hold = source.equity.value, source.hold.value
    deep = drawdowns(equity, source.capital)
    rows: list[list[Cell | str]] = []
    first = 0
    for stop in last:
        rows.append(
            [
                str(labels[stop]),
                money(float(equity[stop])),
                _change(equity, first, int(stop), source.capital),
                _change(hold, first, int(stop), source.capital),
                percent(float(deep[first : stop + 1].min())),
            ]
        )
        first = int(stop) + 1
    return Table(
        f"By {name.lower()}, at its last bar",
        [Column(name, numeric=False), *map(Column, columns)],
        rows,
    )


def _change(values: Floats, first: int, last: int, capital: float) -> Cell:
    before = float(values[first - 1]) if first else capital
    if before <= 0:
        return Cell(MISSING, "muted", "nothing was left to trade")
    change = float(values[last]) / before - 1.0
    return Cell(percent(change, sign=True), "gain" if change > 0 else "loss" if change < 0 else "")


SECTION = Section("equity", "Equity", build, "The path of the money, window by window.")
