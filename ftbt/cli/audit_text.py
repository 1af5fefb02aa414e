"""The verdict of an audit, written for a trader."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ftbt.cli.data_common import show_table
from ftbt.data.market import Market
from ftbt.data.timeframe import show_ms
from ftbt.robustness.audit import Audit, Finding
from ftbt.robustness.lookahead.verdict import LOOK_AHEAD, OUTSIDE, UNSTEADY

_HEADS = {
    LOOK_AHEAD: "LOOK-AHEAD: what it decides depends on bars that come later",
    OUTSIDE: "NOT CLEAN: it has bars at hand that it was not given",
    UNSTEADY: "NOT CLEAN: it does not do the same with the same bars",
}
MOST = 10  # further findings that are listed


def show_audit(audit: Audit, market: Market) -> None:
    """Print the verdict, the first order that changes, what was looked at, and what else to know.

    Args:
        audit: the verdict.
        market: the bars it is about.
    """
    candles = market.candles
    kind = ", synthetic market" if candles.synthetic else ""
    click.echo(
        f"{audit.strategy} on {audit.symbol} {audit.timeframe}{kind}: {audit.bars:,} bars from"
        f" {show_ms(int(candles.time[0]))}, {audit.trade_from:,} of them to warm up"
    )
    if audit.clean:
        _say("CLEAN: no order depends on a later bar", "green")
    else:
        _say(_HEADS[audit.verdict], "red")
        _show_first(audit.findings[0], market)
        _show_more(audit.findings[1:])
    _show_facts(audit)
    for warning in audit.warnings:
        _say(f"note: {warning}", "yellow")


def _say(text: str, colour: str) -> None:
    bold = colour != "yellow"
    click.echo(click.style(text, fg=colour, bold=bold) if sys.stdout.isatty() else text)


def _show_first(found: Finding, market: Market) -> None:
    for title, text in _rows(found, market):
        click.echo(f"  {title:<9} {text}")


def _rows(found: Finding, market: Market) -> list[tuple[str, str]]:
    """Return title and text of all that is known of a finding."""
    rows = []
    if found.bar >= 0:
        rows.append((f"{found.what}", f"of the bar {show_ms(found.time)} (number {found.bar:,})"))
    if found.place is not None:
        rows.append(("line", f"{found.place}: {found.place.code}"))
    if found.before:
        rows.append(("sent", found.before))
        rows.append(("but", f"{found.after}, when {show_ms(found.cut_time)} has {found.future}"))
    else:
        rows.append(("what", found.detail))
    if found.value is not None:
        one = found.value
        at = "" if one.bar < 0 else f" at the bar {show_ms(int(market.candles.time[one.bar]))}"
        rows.append(("because", f"{one.name} is {one.after:g} instead of {one.before:g}{at}"))
    if found.needs:
        rows.append(("ahead", f"{found.needs:,} bar{'s' * (found.needs > 1)} at least"))
    return rows


def _show_more(findings: Sequence[Finding]) -> None:
    if not findings:
        return
    click.echo(f"{len(findings):,} more:")
    rows = [
        [
            "" if one.bar < 0 else show_ms(one.time),
            one.what,
            one.detail,
            "" if one.place is None else str(one.place),
        ]
        for one in findings[:MOST]
    ]
    show_table(["bar", "", "what is another one", "line"], rows, right=[])
    if len(findings) > MOST:
        click.echo(f"... and {len(findings) - MOST:,} others; --json has them all")


def _show_facts(audit: Audit) -> None:
    click.echo(
        f"looked at: {audit.orders:,} orders, {audit.orders_compared:,} comparisons in"
        f" {audit.runs:,} runs, cut at {audit.prefixes:,} places; engines:"
        f" {', '.join(audit.engines)}; {audit.seconds:.1f} s"
    )
    warm_up = audit.warm_up
    if warm_up is not None and warm_up.settled is not None and warm_up.orders:
        click.echo(
            f"warm-up: the orders are the same from {warm_up.settled:,} bars of history on;"
            f" it declares {warm_up.declared:,}"
        )
