"""`ftbt status`: what a bot is doing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from ftbt.cli.live_state import find_state, state_argument

_STALE_S = 30.0


@click.command(epilog="Example: ftbt status --watch")
@state_argument()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--watch", is_flag=True, help="Print again whenever something changes; Ctrl-C ends.")
def status(state: str | None, as_json: bool, watch: bool) -> int:
    """Show what the bot in STATE is doing: position, equity, orders, trouble, halt.

    STATE is a folder, or the name of one below results/live; it can be left out while there is
    only one. It reads files only: it needs no key, and never disturbs the bot. While none runs, the
    journal is checked as well. Exit code 3 when the bot should run and does not, or when it is in
    trouble.
    """
    folder = find_state(state)
    shown = ""
    while True:
        figures = _figures(folder)
        text = json.dumps(figures) if as_json else "\n".join(_lines(figures))
        if text != shown:
            click.echo(text)
        shown = text
        if not watch:
            return 3 if figures["trouble"] else 0
        time.sleep(1.0)


def _figures(folder: Path) -> dict[str, Any]:
    from ftbt.live.alerts.limiter import ALERTS, remembered_trouble  # noqa: PLC0415
    from ftbt.live.control import halted, read_status, runs  # noqa: PLC0415

    alive, found, halt = runs(folder), read_status(folder), halted(folder)
    said = found or {}
    age = time.time() - said["wall_ms"] / 1000.0 if "wall_ms" in said else None
    trouble = []
    if found is None:
        trouble.append("there is no status yet")
    elif not alive and not said.get("over"):
        trouble.append("the bot is dead: start it again with the same --state")
    elif alive and age is not None and age > _STALE_S:
        trouble.append(f"the bot has said nothing for {age:.0f} s")
    if not alive and (damage := _damage(folder)):
        trouble.append(damage)
    for coin, seconds in said.get("unprotected", {}).items():
        trouble.append(f"{coin} has had no working stop for {seconds:.0f} s")
    if alive and said.get("ready"):
        trouble.append(said["ready"])
    if alive and (untold := remembered_trouble(folder / ALERTS)):
        trouble.append(untold)
    return {
        "state": str(folder), "running": alive, "age_s": None if age is None else round(age, 1),
        "halt": None if halt is None else {"reason": halt.reason, "by": halt.by},
        "trouble": trouble, "status": found,
    }  # fmt: skip


def _damage(folder: Path) -> str:
    """Return what is wrong with the journal of a bot that does not run; empty: nothing."""
    from ftbt.errors import FtbtError  # noqa: PLC0415
    from ftbt.live.control import JOURNAL  # noqa: PLC0415
    from ftbt.live.journal import check_file, read_journal  # noqa: PLC0415

    try:
        read_journal(folder / JOURNAL).close()
        check_file(folder / JOURNAL)
    except FtbtError as error:
        return str(error)
    return ""


def _lines(figures: dict[str, Any]) -> list[str]:
    from ftbt.data.timeframe import show_ms  # noqa: PLC0415

    said = figures["status"] or {}
    running = "running" if figures["running"] else "ended" if said.get("over") else "not running"
    lines = [f"{figures['state']}: {running}" + (f" on {said['network']}" if said else "")]
    if said:
        lines.append(
            f"  market   {show_ms(said['market_ms'])}, last bar {show_ms(said['bar_ms'])}"
            if said["bar_ms"]
            else f"  market   {show_ms(said['market_ms'])}"
        )
        there = said["account_equity"]
        beside = "" if there is None else f" (account {there:,.2f})"
        lines.append(
            f"  equity   {said['equity']:,.2f}{beside}, {said['trades']} trades, {said['wins']} won"
        )
        for coin, size in said["positions"].items():
            entry, price = said["entries"][coin], said["prices"][coin]
            open_profit = size * (price - entry)
            lines.append(f"  {coin:8} {size:+g} at {entry:g}, now {price:g}: {open_profit:+,.2f}")
        if not said["positions"]:
            lines.append("  position flat")
        lines.append(f"  orders   {said['open_orders']} on the exchange")
        if said.get("latency"):
            from ftbt.live.status import latency_text  # noqa: PLC0415

            lines.append(f"  bars     {latency_text(said['latency'])} after their last frame")
    if figures["halt"]:
        lines.append(f"  HALTED   {figures['halt']['reason']} (by {figures['halt']['by']})")
    lines += [f"  TROUBLE  {text}" for text in figures["trouble"]]
    return lines
