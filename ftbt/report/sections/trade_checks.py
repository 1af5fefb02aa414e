"""What the assessment adds to the section on trades: concentration, and whether parts differ."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import cell, how, interval, toned
from ftbt.report.blocks import Block, Cell, Column, How, HowFold, Table
from ftbt.report.format import TIGHT, known, money, number, percent, plural, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import TradeGroup, Trades

LEAST = 30


def blocks(source: Source) -> Sequence[Block]:
    """Return how much hangs on few trades, and groups with intervals; nothing without trades."""
    found = source.assessment
    if found is None or not found.trades.count:
        return []
    item = found.trades
    made: list[Block] = [_concentration(item), HowFold(_how_top(item))]
    if item.groups:
        made += [_groups(item.groups), HowFold(_how_groups())]
    return made


def _concentration(item: Trades) -> Table:
    best = plural(item.top, "best trade")
    return Table(
        "How much hangs on few trades",
        [Column("", numeric=False), Column("Value"), Column("How to read it", numeric=False)],
        [
            [
                f"Part of the net profit from the {best}",
                cell(item.top_share, lambda value: percent(value, 0), "there was no net profit"),
                "an edge shows itself again and again; a few lucky trades prove little",
            ],
            [
                "Net profit without them",
                toned(item.net_without_top, lambda value: money(value, sign=True)),
                "what the rest of the trades made",
            ],
            [
                "Best trades that make all of the profit",
                whole(item.trades_to_zero),
                f"of {plural(item.count, 'trade')}; without so many nothing is left",
            ],
            [
                "Middle holding time",
                cell(item.median_bars, lambda value: f"{number(value, 0)}{TIGHT}bars"),
                "from entry to exit",
            ],
        ],
        stacked=True,
    )


def _how_top(item: Trades) -> How:
    return how(
        "Part = sum of the best trades / net profit of all, only if that is above zero.",
        f"{plural(item.count, 'out-of-sample trade')} after costs, money of the stitched curve.",
        "A rule of thumb of this program.",
    )


def _groups(groups: Sequence[TradeGroup]) -> Table:
    return Table(
        "Do parts differ?",
        [
            Column("By", numeric=False),
            Column("Which", numeric=False),
            *map(
                Column, ("Trades", "Net profit", "Win rate", "Mean, % of equity", "95 % interval")
            ),
        ],
        [_group(row) for row in groups],
        note="Intervals that overlap: the difference may be chance. Groups that are picked because"
        " they did well look good by luck.",
    )


def _group(row: TradeGroup) -> list[Cell | str]:
    def write(value: float) -> str:
        return f"{number(value, 3, sign=True)} %"

    few = f"fewer than {LEAST} trades" if row.trades < LEAST else ""
    return [
        row.kind,
        Cell(row.word, "muted" if few else "", few),
        whole(row.trades),
        toned(row.net, lambda value: money(value, sign=True)),
        cell(row.win_rate, percent),
        cell(row.mean, write),
        interval(row.low, row.high, write) if known(row.low) else Cell("–", "muted"),
    ]


def _how_groups() -> How:
    return how(
        "Mean result per trade as a percentage of the equity, with the 95 % interval of the mean"
        " (Student's t).",
        "Out-of-sample trades after costs.",
        "Plain arithmetic; trades are taken as independent.",
    )
