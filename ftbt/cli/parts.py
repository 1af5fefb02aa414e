"""Who earned what, as a table at the end of `backtest` and `walkforward`."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.backtest.attribution import Part
from ftbt.cli.data_common import show_table

HEADS = ["strategy", "symbol", "trades", "net", "fees", "slippage", "funding", "mean R",
         "win rate", "deepest fall", "share of variance"]  # fmt: skip


def show_parts(parts: Sequence[Part]) -> None:
    """Print *parts* (see `Attribution.parts`) when there are several strategies or symbols."""
    strategies = len({one.strategy for one in parts} - {None})
    symbols = len({one.symbol for one in parts} - {None})
    if strategies * symbols < 2:
        return
    shown = [
        one
        for one in parts
        if (one.strategy is None or strategies > 1) and (one.symbol is None or symbols > 1)
    ]
    # The account comes last, as a sum does.
    rows = [_row(one) for one in [*shown[1:], shown[0]]]
    show_table(HEADS, rows, right=HEADS[2:])


def _row(one: Part) -> list[str]:
    return [
        one.strategy or "all",
        one.symbol or "all",
        f"{one.trades:,}",
        *(f"{value:,.2f}" for value in (one.net, one.fees, one.slippage, one.funding)),
        _or_none(one.mean_r, "{:+.3f}"),
        _or_none(one.win_rate, "{:.1%}"),
        f"{one.drawdown:,.2f}",
        _or_none(one.variance_share, "{:.0%}"),
    ]


def _or_none(value: float, form: str) -> str:
    return "n/a" if value != value else form.format(value)
