"""Trades: how results, durations and excursions are spread, why trades ended, the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ftbt.report.blocks import Block, Cell, Column, Fold, Notice, Section, Table
from ftbt.report.format import MISSING, moment, money, number, percent, plural, price, span, whole
from ftbt.report.sections import trade_checks, trade_figures
from ftbt.report.sections.risk_limits import limit_of
from ftbt.report.source import Source, milliseconds

SHOWN = 25  # first and last trades in the table; all of them are in trades.parquet


def build(source: Source) -> Sequence[Block]:
    """Return splits, distributions and the list of trades."""
    trades = source.trades
    if not len(trades):
        return [Notice("No trades", _why_none(source), "loss")]
    blocks: list[Block] = [_split(trades, "side", "Long against short", "Side")]
    if len(set(trades["entry_reason"])) > 1:
        blocks.append(_split(trades, "entry_reason", "By reason of entry", "Reason"))
    blocks += trade_checks.blocks(source)
    blocks += trade_figures.figures(source)
    blocks += _lists(source)
    blocks += _refused(source)
    return blocks


def _why_none(source: Source) -> str:
    if not len(source.done):
        return "No window finished, so nothing was traded out of sample."
    refused = source.run.summary.refused
    if not refused:
        return "The strategy found no setup in the test windows."
    words = ", ".join(f"{name} ({whole(count)})" for name, count in _ordered(refused))
    return f"The strategy found setups, but none was taken: {words}."


def _ordered(counts: Any) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _split(trades: pd.DataFrame, by: str, caption: str, head: str) -> Table:
    heads = ["Trades", "Win rate", "Net profit", "Profit factor", "Mean R", "Mean duration"]
    parts = [(str(name), part) for name, part in trades.groupby(by, sort=True)]
    rows = [_split_row(name, part) for name, part in [*parts, ("all", trades)]]
    return Table(caption, [Column(head, numeric=False), *map(Column, heads)], rows)


def _split_row(name: str, part: pd.DataFrame) -> list[Cell | str]:
    money_ = part["money"].to_numpy(np.float64)
    r = part["r"].to_numpy(np.float64)
    r = r[~np.isnan(r)]
    gains, losses = float(money_[money_ > 0].sum()), -float(money_[money_ < 0].sum())
    total = float(money_.sum())
    factor = (
        Cell(number(gains / losses)) if losses > 0 else Cell(MISSING, "muted", "no losing trade")
    )
    mean_r = (
        Cell(number(float(r.mean()), sign=True)) if len(r) else Cell(MISSING, "muted", "no stop")
    )
    return [
        name,
        whole(len(part)),
        percent(float(np.mean(money_ > 0))),
        Cell(money(total, sign=True), "gain" if total > 0 else "loss" if total < 0 else ""),
        factor,
        mean_r,
        span(float(part["duration"].mean())),
    ]


def _lists(source: Source) -> list[Block]:
    trades = source.trades
    heads = ["Exit (UTC)", "Entry price", "Stop", "Exit price", "Net", "R", "Worst", "Best"]
    columns = [
        Column("#", numeric=False),
        *([Column("Strategy", numeric=False)] if len(source.strategies) > 1 else []),
        Column("Symbol", numeric=False),
        Column("Side", numeric=False),
        Column("Entry (UTC)"),
        *map(Column, heads),
        Column("Ended by", numeric=False),
    ]
    note = (
        "Net: after fees and funding, money of the stitched curve. Worst and best: furthest price"
        " against and for the entry. All trades with all columns: trades.parquet."
    )
    entries, exits = milliseconds(trades["entry_time"]), milliseconds(trades["exit_time"])
    rows = [
        _row(number_, row, int(entry), int(exit_), named=len(source.strategies) > 1)
        for number_, (row, entry, exit_) in enumerate(
            zip(_records(trades), entries, exits, strict=True), start=1
        )
        if number_ <= SHOWN or number_ > len(trades) - SHOWN
    ]
    if len(trades) <= 2 * SHOWN:
        table = Table(f"All {plural(len(trades), 'trade')}", columns, rows, note)
        return [Fold(f"List of all {plural(len(trades), 'trade')}", [table])]
    first = Table(f"First {SHOWN} trades", columns, rows[:SHOWN])
    last = Table(f"Last {SHOWN} trades", columns, rows[SHOWN:], note)
    summary = f"List of the first and last {SHOWN} of {plural(len(trades), 'trade')}"
    return [Fold(summary, [first, last])]


def _records(trades: pd.DataFrame) -> list[dict[str, Any]]:
    return trades.drop(columns=["entry_time", "exit_time"]).to_dict("records")  # type: ignore[return-value]


def _row(
    number_: int, row: dict[str, Any], entry: int, exit_: int, *, named: bool
) -> list[Cell | str]:
    """Return a trade; *named*: with its strategy."""
    net = float(row["money"])
    return [
        whole(number_),
        *([str(row["strategy"])] if named else []),
        str(row["symbol"]),
        str(row["side"]),
        moment(entry),
        moment(exit_),
        price(row["entry_price"]),
        Cell(price(row["stop"])) if row["stop"] == row["stop"] else Cell("–", "muted"),
        price(row["exit_price"]),
        Cell(money(net, sign=True), "gain" if net > 0 else "loss" if net < 0 else ""),
        number(row["r"], sign=True),
        percent(row["mae"]),
        percent(row["mfe"], sign=True),
        str(row["exit_reason"]),
    ]


def _refused(source: Source) -> list[Block]:
    refused = source.run.summary.refused
    if not refused:
        return []
    limits = source.settings.limits
    rows: list[list[Cell | str]] = [
        [name, limit_of(name, limits), whole(count)] for name, count in _ordered(refused)
    ]
    bound = any(row[1] for row in rows)
    table = Table(
        "Setups and orders that were not taken, out of sample",
        [Column("Reason", numeric=False), *([Column("Limit")] if bound else []), Column("Times")],
        rows if bound else [[row[0], row[2]] for row in rows],
    )
    return [Fold("Setups and orders that were not taken", [table])]


SECTION = Section(
    "trades", "Trades", build, "Every round trip of the test windows, from flat to flat."
)
