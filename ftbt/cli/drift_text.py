"""A session beside the back-test as tables, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import click

from ftbt.cli.data_common import show_table
from ftbt.data.timeframe import show_ms
from ftbt.live.drift import IDENTICAL, Drift, Spread, TradeDrift
from ftbt.robustness.assessment_files import to_plain

_TRADES = ["entered", "symbol", "strategy", "side", "status", "what", "back-test", "session",
           "cause", "detail", "cost"]  # fmt: skip
_CAUSES = ["cause", "trades", "differences", "cost"]
_SPREADS = ["drift", "trades", "mean", "median", "5 %", "95 %", "largest"]


def as_json(drift: Drift) -> str:
    """Return *drift* as docs/reference/drift.md describes it; same content, same bytes."""
    return json.dumps(
        to_plain(drift), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False
    )


def show_drift(drift: Drift) -> None:
    """Print what is not the same, why, and how far prices drifted."""
    for note in drift.notes:
        click.echo(note)
    differing = [one for one in drift.trades if one.differences]
    if differing:
        rows = [row for one in differing for row in _rows(one)]
        show_table(_TRADES, rows, right=["cost"])
    if drift.causes:
        causes = [
            [one.cause, f"{one.trades:,}", f"{one.differences:,}", f"{one.cost:,.2f}"]
            for one in drift.causes
        ]
        show_table(_CAUSES, causes, right=_CAUSES[1:])
    if drift.entry_ticks.count or drift.exit_ticks.count:
        show_table(_SPREADS, _spreads(drift), right=_SPREADS[1:])
    click.echo(headline(drift))


def headline(drift: Drift) -> str:
    """Return the drift in two sentences."""
    over = "+".join(drift.strategies)
    where = f"{over} on {', '.join(drift.symbols)} {drift.timeframe}"
    when = f"{show_ms(drift.start_ms)} .. {show_ms(drift.end_ms)}"
    if math.isnan(drift.share):
        return f"{where}, {when}: no trade on either side, so nothing was compared"
    parts = [f"{drift.identical} of {len(drift.trades)} trades identical ({drift.share:.1%})"]
    if drift.missing:
        parts.append(f"{drift.missing} missing")
    if drift.extra:
        parts.append(f"{drift.extra} extra")
    if drift.unexplained:
        parts.append(f"{drift.unexplained} differences unexplained")
    gap = "" if math.isnan(drift.equity_gap) else f", equity at most {drift.equity_gap:.3%} apart"
    return f"{where}, {when}: {', '.join(parts)}; the drift cost {drift.cost:,.2f}{gap}"


def _rows(trade: TradeDrift) -> list[list[str]]:
    rows = []
    for number, one in enumerate(trade.differences):
        head = [show_ms(trade.entry_ms), trade.symbol, trade.strategy, trade.side, trade.status]
        cost = f"{trade.cost:,.2f}" if trade.status != IDENTICAL else ""
        first = number == 0
        rows.append(
            [*(head if first else [""] * len(head)), one.what, one.expected, one.actual, one.cause,
             one.detail, cost if first else ""]
        )  # fmt: skip
    return rows


def _spreads(drift: Drift) -> list[list[str]]:
    named: Sequence[tuple[str, Spread]] = (
        ("entry, ticks worse", drift.entry_ticks),
        ("exit, ticks worse", drift.exit_ticks),
        ("entry, bp worse", drift.entry_bp),
        ("exit, bp worse", drift.exit_bp),
    )
    return [
        [name, f"{one.count:,}"]
        + [_number(x) for x in (one.mean, one.median, one.low, one.high, one.largest)]
        for name, one in named
    ]


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:+.2f}"
