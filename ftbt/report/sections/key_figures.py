"""Key figures: in-sample, out-of-sample and buy-and-hold beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ftbt.report.blocks import Block, Cell, Column, How, HowFold, Section, Table
from ftbt.report.format import MISSING, money, number, percent, whole
from ftbt.report.source import Source


@dataclass(frozen=True, slots=True)
class Row:
    """One metric: field of `Metrics`, its name for people, how it is written."""

    metric: str
    name: str
    write: Callable[[float], str]
    toned: bool = False


def _signed_percent(value: float) -> str:
    return percent(value, sign=True)


def _signed_money(value: float) -> str:
    return money(value, sign=True)


ROWS = (
    Row("net_profit", "Net profit", _signed_money, toned=True),
    Row("total_return", "Total return", _signed_percent, toned=True),
    Row("cagr", "Growth per year (CAGR)", _signed_percent, toned=True),
    Row("volatility", "Volatility, annual", percent),
    Row("sharpe", "Sharpe ratio, annual", number),
    Row("sortino", "Sortino ratio, annual", number),
    Row("max_drawdown", "Deepest drawdown", percent),
    Row("days_under_water", "Longest time under water, days", whole),
    Row("calmar", "Calmar ratio", number),
    Row("trades", "Trades", whole),
    Row("win_rate", "Win rate", percent),
    Row("profit_factor", "Profit factor", number),
    Row("payoff_ratio", "Mean gain / mean loss", number),
    Row("expectancy_r", "Mean result per trade, R", number),
    Row("longest_losing_streak", "Longest losing streak, trades", whole),
    Row("exposure", "Time in the market", percent),
    Row("turnover", "Turnover per year, times equity", whole),
    Row("fees", "Fees paid", money),
    Row("slippage", "Slippage paid (inside the prices)", money),
    Row("funding", "Funding paid", money),
)


def build(source: Source) -> Sequence[Block]:
    """Return the table of key figures."""
    rows: list[list[Cell | str]] = [
        [row.name, _within(source, row), _out(source, row), _held(source, row)] for row in ROWS
    ]
    table = Table(
        "After all costs",
        [
            Column("", numeric=False),
            Column("In-sample, median window"),
            Column("Out-of-sample, stitched"),
            Column("Buy and hold"),
        ],
        rows,
        note="Out-of-sample is what counts: nothing in it was seen when the parameters were chosen."
        " In-sample shows what the search believed; the gap between the two is what it fooled"
        " itself about.",
    )
    return [table, _how(source)]


def _tone(row: Row, value: float) -> str:
    return "" if not row.toned or not value else "gain" if value > 0 else "loss"


def _out(source: Source, row: Row) -> Cell:
    value = source.out(row.metric)
    if row.metric == "funding" and not source.run.summary.funding_modelled:
        return Cell(MISSING, "muted", "funding: not modelled (no rates came with the data)")
    if np.isnan(value):
        return Cell(MISSING, "muted", source.why_missing(row.metric))
    return Cell(row.write(value), _tone(row, value))


def _within(source: Source, row: Row) -> Cell:
    if row.metric == "funding" and not source.run.summary.funding_modelled:
        return Cell(MISSING, "muted", "funding: not modelled (no rates came with the data)")
    value = source.within_median(row.metric)
    if np.isnan(value):
        why = "no window finished" if not len(source.done) else "undefined in every window"
        return Cell(MISSING, "muted", why)
    return Cell(row.write(value), "muted")


def _held(source: Source, row: Row) -> Cell:
    value = source.held.get(row.metric)
    if value is None or np.isnan(value):
        return Cell("–", "muted")
    return Cell(row.write(value), "muted")


def _how(source: Source) -> Block:
    manifest = source.run.manifest
    return HowFold(
        How(
            "Sharpe = mean / standard deviation of daily returns (UTC days) × √365, risk-free rate"
            " 0. Sortino: the same over the downside deviation. Drawdown: equity / highest equity"
            " so far − 1, at each bar's close. Profit factor: gains / losses of trades after"
            " costs. R: net profit / (size × distance from entry to the first stop).",
            "Out-of-sample: all test windows one after another, each starting with the equity the"
            " one before left. In-sample: of each window the metrics of the chosen parameters on"
            f" its training bars{_together(source)}; shown is the median over the windows. Buy and"
            " hold:"
            f" {'equal parts of each symbol' if len(manifest.data) > 1 else 'the symbol'} bought"
            " at the first tested bar, without costs.",
            "Definitions: Bacon, Practical Portfolio Performance Measurement and Attribution"
            " (2008); Sharpe 1994; Sortino and Price 1994; Young 1991; Tharp 1998 for R.",
        )
    )


def _together(source: Source) -> str:
    if len(source.strategies) == 1:
        return ""
    return ", all strategies together with the shares of the test"


SECTION = Section(
    "figures",
    "Key figures",
    build,
    "What was believed in training, what came of it, and what doing nothing would have made.",
)
