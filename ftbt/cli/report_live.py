"""A day or week of a live session as text, page or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ftbt.data.files import atomic_write
from ftbt.data.timeframe import parse_time, show_ms, to_ms
from ftbt.live.control import JOURNAL
from ftbt.live.journal import read_journal
from ftbt.live.period import Period, read_period
from ftbt.report.format import number, percent, plural, span


def period_report(
    folder: Path, kind: str, date: str | None, page: Path | None, *, as_json: bool
) -> int:
    """Print or write the report of the session in *folder*; return the exit code.

    Raises:
        InputError: nothing was decided then. StorageError: it can't be read or written.
    """
    moment = None if date is None else to_ms(parse_time(date))
    with read_journal(folder / JOURNAL) as reader:
        found = read_period(reader, kind, moment)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
    elif page is None:
        click.echo("\n".join(text_lines(found)))
    if page is not None:
        from ftbt.report.period_page import render_period  # noqa: PLC0415 - matplotlib

        atomic_write(page, render_period(found))
        if not as_json:
            click.echo(page)
    return 0


def text_lines(found: Period) -> list[str]:
    """Return the report for a terminal."""
    over = found.until_ms < found.end_ms
    head = f"{found.kind} report of {found.deployment} on {found.network}"
    lines = [
        head,
        f"{show_ms(found.start_ms)} to {show_ms(min(found.until_ms, found.end_ms))}"
        + (" so far" if over else ""),
        "",
        (
            f"equity        {number(found.end)}: {number(found.profit, sign=True)}"
            f" ({percent(found.profit / found.begin, 2, sign=True)}), worst fall"
            f" {percent(found.drawdown, 2)}"
        ),
        (
            f"closed        {plural(len(found.trades), 'trade')}, {found.wins} won,"
            f" net {number(found.net, sign=True)}"
        ),
    ]
    lines += [*_costs(found), *_confidence(found), *_limits(found), *_refusals(found)]
    return [*lines, *_uptime(found), *(f"note          {one}" for one in found.notes)]


def _costs(found: Period) -> list[str]:
    lines = [
        (
            f"costs         fees {number(found.fees)} (assumed {number(found.expected_fees)}),"
            f" funding {number(found.funding, sign=True)}"
        )
    ]
    lines += [
        f"slippage      {one.role}: {percent(one.mean, 3)} of the price in"
        f" {plural(one.fills, 'fill')}, worst {percent(one.worst, 3)}; assumed at least"
        f" {percent(one.assumed, 3)}"
        for one in found.slippage
    ]
    return lines


def _confidence(found: Period) -> list[str]:
    return [
        f"confidence    {one.low:g} to {one.high:g}: {plural(one.trades, 'trade')}, {one.wins} won,"
        f" net {number(one.net, sign=True)}, mean {number(one.r, sign=True)} R"
        for one in found.bands
    ]


def _limits(found: Period) -> list[str]:
    return [
        f"limit         {one.name}: "
        + (
            f"{percent(one.value, 2)} of {percent(one.limit)}"
            if one.share
            else f"{one.value:g} of {one.limit:g}"
        )
        for one in found.limits
    ]


def _refusals(found: Period) -> list[str]:
    return [
        *(f"not taken     {word}: {count}" for word, count in found.refused.items()),
        *(f"exchange      refused {word}: {count}" for word, count in found.said_no.items()),
        *(f"trouble       {word}: {count}" for word, count in found.trouble.items()),
    ]


def _uptime(found: Period) -> list[str]:
    up = found.uptime
    lines = [
        (
            f"uptime        {percent(up.share, 2)}, {plural(up.starts, 'start')},"
            f" {plural(up.crashes, 'end')} without a word"
        )
    ]
    lines += [f"down          {show_ms(a)} for {span(b - a)}" for a, b in up.gaps]
    return lines
