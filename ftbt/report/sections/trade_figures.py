"""The figures of the trades section."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ftbt.report.blocks import Cell, Column, Figure, How, Table
from ftbt.report.figures import distributions
from ftbt.report.figures.common import short
from ftbt.report.figures.distributions import Bins, bins_of
from ftbt.report.format import money, number, percent, plural, whole
from ftbt.report.source import Floats, Source

DAY_HOURS = 24.0


def figures(source: Source) -> list[Figure]:
    """Return the figures, for a run with at least one trade."""
    made = [_r(source), _net(source), _duration(source), _excursions(source), _exits(source)]
    return [figure for figure in made if figure is not None]


def _how(formula: str) -> How:
    return How(
        formula,
        "All out-of-sample trades, after costs; a trade is a round trip from flat to flat.",
        "trades.parquet in the run folder.",
    )


def _bin_table(caption: str, bins: Bins, write: Callable[[float], str]) -> Table:
    shown = [i for i in range(len(bins.counts)) if bins.counts[i]]
    total = int(bins.counts.sum())
    return Table(
        caption,
        [Column("From"), Column("to"), Column("Trades"), Column("Share")],
        [
            [
                write(float(bins.edges[i])),
                write(float(bins.edges[i + 1])),
                whole(int(bins.counts[i])),
                percent(float(bins.counts[i]) / total),
            ]
            for i in shown
        ],
        note="The first and last rows also hold what lies beyond them." if bins.clipped else "",
    )


def _histogram(
    anchor: str, title: str, description: str, values: Floats, label: str,
    write: Callable[[float], str], how: How, *, mark: str = "", signed: bool = True,
) -> Figure:  # fmt: skip
    bins = bins_of(values)
    centre = float(values.mean())
    named = (f"{mark} {write(centre)}", centre) if mark else None
    return Figure(
        anchor=anchor,
        title=title,
        description=description,
        draw=lambda layout: distributions.histogram(
            layout, bins, label, mark=named, signed=signed, write=short
        ),
        table=_bin_table(title, bins, write),
        how=how,
        note="The outermost bars also hold what lies beyond them." if bins.clipped else "",
    )


def _r(source: Source) -> Figure | None:
    r = source.trades["r"].to_numpy(np.float64)
    known = r[np.isfinite(r)]
    if not len(known):
        return None
    without = len(r) - len(known)
    missing = f" {plural(without, 'trade')} without a stop left out." if without else ""
    return _histogram(
        "trade-r",
        "Result per trade, in units of the risk taken (R)",
        f"−1 R is a full stop-out before costs. Mean {number(float(known.mean()), sign=True)} R,"
        f" median {number(float(np.median(known)), sign=True)} R.{missing}",
        known,
        "R",
        lambda value: number(value, sign=True),
        _how("R = net profit / (size × |entry price − first stop|)."),
        mark="mean",
    )


def _net(source: Source) -> Figure:
    values = source.trades["money"].to_numpy(np.float64)
    gains = np.sort(values[values > 0])[::-1]
    top = float(gains[:5].sum())
    total = float(values.sum())
    share = (
        f" The five best trades made {money(top)}, {percent(top / total, 0)} of the net profit."
        if total > 0 and len(gains)
        else f" The five best trades made {money(top)}; all together {money(total, sign=True)}."
    )
    return _histogram(
        "trade-net",
        "Net profit per trade",
        f"Mean {money(float(values.mean()), sign=True)}.{share}",
        values,
        "Net profit, money of the stitched curve",
        lambda value: money(value, sign=True),
        _how("Net = gross − fees − funding, times the stitched equity at the window's start /"
             " capital."),
        mark="mean",
    )  # fmt: skip


def _duration(source: Source) -> Figure:
    hours = (source.trades["duration"].to_numpy(np.float64) + 0.0) / 3_600_000
    days = float(np.median(hours)) > 3 * DAY_HOURS
    values = hours / DAY_HOURS if days else hours
    unit = "days" if days else "hours"
    return _histogram(
        "trade-duration",
        "Duration of trades",
        f"Median {number(float(np.median(values)), 1)} {unit}, longest"
        f" {number(float(values.max()), 1)} {unit}.",
        values,
        f"From entry to exit, {unit}",
        lambda value: number(value, 1),
        _how("Open of the exit's bar − open of the entry's bar."),
        mark="mean",
        signed=False,
    )


def _excursions(source: Source) -> Figure:
    trades = source.trades
    mae, mfe = (trades[name].to_numpy(np.float64) for name in ("mae", "mfe"))
    won = (trades["money"] > 0).to_numpy()
    rows = []
    for name, chosen in (("winners", won), ("losers", ~won)):
        for word, values in (("worst", mae[chosen]), ("best", mfe[chosen])):
            rows.append([f"{name}, {word} price", whole(len(values)), *_quantiles(values)])
    every = -(-len(trades) // distributions.MOST_POINTS)
    return Figure(
        anchor="trade-excursions",
        title="How far price went against and for each trade",
        description="Losers that were well in profit first (high up) point to exits that come too"
        " late; winners far to the left to stops that were nearly hit.",
        draw=lambda layout: distributions.excursions(layout, mae, mfe, won),
        table=Table(
            "Excursion, fraction of the entry price",
            [
                Column("", numeric=False),
                *map(Column, ("Trades", "5 %", "25 %", "Median", "75 %", "95 %")),
            ],
            rows,
        ),
        how=_how(
            "Maximum adverse and favourable excursion: lowest and highest price over the bars of"
            " the trade / entry price − 1, sign by side (Sweeney 1996)."
        ),
        note=f"Drawn is every {every}th trade." if every > 1 else "",
    )


def _quantiles(values: Floats) -> list[Cell | str]:
    if not len(values):
        return [Cell("–", "muted")] * 5
    return [
        percent(float(item), 2, sign=True)
        for item in np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
    ]


def _exits(source: Source) -> Figure:
    grouped = source.trades.groupby("exit_reason")["money"].agg(["size", "sum", "mean"])
    grouped = grouped.sort_values(["size"], ascending=False, kind="stable")
    names = [str(name) for name in grouped.index]
    counts = [int(item) for item in grouped["size"]]
    sums = [float(item) for item in grouped["sum"]]
    total = sum(counts)
    return Figure(
        anchor="trade-exits",
        title="Why trades ended",
        description=f"Most often by: {names[0]} ({percent(counts[0] / total, 0)} of the trades).",
        draw=lambda layout: distributions.counts_by_name(layout, names, counts, sums),
        table=Table(
            "Exit reasons",
            [
                Column("Reason", numeric=False),
                *map(Column, ("Trades", "Share", "Net profit", "Mean")),
            ],
            [
                [
                    name,
                    whole(count),
                    percent(count / total),
                    Cell(
                        money(total_, sign=True),
                        "gain" if total_ > 0 else "loss" if total_ < 0 else "",
                    ),
                    money(total_ / count, sign=True),
                ]
                for name, count, total_ in zip(names, counts, sums, strict=True)
            ],
        ),
        how=_how("Reason of the last fill of each trade; net profit summed per reason."),
    )
