"""How the profit of each strategy and each symbol grew over the test windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure as Drawing

from ftbt.report.blocks import Cell, Column, Figure, How, Table
from ftbt.report.figures import curves
from ftbt.report.figures.curves import PARTS, Curve
from ftbt.report.format import money
from ftbt.report.sections.equity import marks, periods
from ftbt.report.source import Floats, Source, milliseconds
from ftbt.report.theme import Layout

ALL, REST = "all together", "the others"


def profit_figure(source: Source, level: str, names: Sequence[str]) -> Figure:
    """Return the profits over time of *names*.

    Args:
        source: a run with trades.
        level: column of the trades, `strategy` or `symbol`.
        names: all of them.
    """
    made = _curves(source, level, names)
    best = max(made[1:], key=lambda curve: float(curve.value[-1]))
    worst = min(made[1:], key=lambda curve: float(curve.value[-1]))
    return Figure(
        anchor=f"profit-by-{level}",
        title=f"Profit after costs, by {level}",
        description=f"At the end: best {best.label} ({_end(best)}), worst {worst.label}"
        f" ({_end(worst)}); all together {_end(made[0])}.",
        draw=lambda layout: _draw(layout, made, source),
        table=_table(source, made),
        how=How(
            "Net profit of the trades closed so far, after fees and funding, in the money of the"
            " stitched curve.",
            "All out-of-sample trades; a trade counts from the bar of its exit on.",
            "trades.parquet in the run folder.",
        ),
    )


def _end(curve: Curve) -> str:
    return money(float(curve.value[-1]), sign=True)


def _draw(layout: Layout, made: Sequence[Curve], source: Source) -> Drawing:
    return curves.profits(layout, made, marks(source))


def _curves(source: Source, level: str, names: Sequence[str]) -> list[Curve]:
    """Return a curve of all and one of each name; of many, the last ones are taken together."""
    time, trades = source.equity.time, source.trades
    exits = milliseconds(trades["exit_time"])
    order = np.argsort(exits, kind="stable")
    closed = np.searchsorted(exits[order], time + source.bar_ms)
    whose = trades[level].to_numpy()[order]
    profit = trades["money"].to_numpy(np.float64)[order]

    def curve(label: str, role: str, mine: Sequence[str]) -> Curve:
        own = np.where(np.isin(whose, list(mine)), profit, 0.0)
        total: Floats = np.concatenate(([0.0], np.cumsum(own)))
        return Curve(label, time, total[closed], role)

    shown = list(names) if len(names) <= PARTS else list(names[: PARTS - 1])
    found = [curve(ALL, "all", names)]
    found += [curve(name, str(number), [name]) for number, name in enumerate(shown)]
    if len(shown) < len(names):
        found.append(curve(REST, "rest", names[len(shown) :]))
    return found


def _table(source: Source, made: Sequence[Curve]) -> Table:
    name, words = periods(source)
    labels = np.array(words)
    last = np.flatnonzero(np.append(labels[1:] != labels[:-1], True))
    values = np.column_stack([curve.value[last] for curve in [*made[1:], made[0]]])
    changes = np.diff(values, axis=0, prepend=0.0)
    rows: list[list[Cell | str]] = [
        [str(label), *map(_amount, row)]
        for label, row in zip(labels[last], changes.tolist(), strict=True)
    ]
    heads = [*(curve.label for curve in made[1:]), made[0].label]
    return Table(
        f"Net profit by {name.lower()} of the exit",
        [Column(name, numeric=False), *map(Column, heads)],
        rows,
    )


def _amount(value: float) -> Cell:
    if abs(value) < 0.005:
        return Cell("–", "muted")
    return Cell(money(value, sign=True), "gain" if value > 0 else "loss")
