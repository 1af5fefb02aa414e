"""Runs a live session in front of a person, or of a program that reads lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ftbt.cli.live_asked import Ask, ask, rehearsal
from ftbt.cli.live_view import View, make_view
from ftbt.errors import NetworkError
from ftbt.hyperliquid.session import Check
from ftbt.live.runner import LiveRun, interrupts


def run(options: Mapping[str, Any], typed: Ask) -> int:
    """Trade as the options of `ftbt live` ask for, until it ends; return the exit code.

    Raises:
        FtbtError: why it did not begin, or could not go on.
        Abort: stopped before it began.
    """
    config, checks = ask(options, typed)
    view = make_view(config, as_json=bool(options["as_json"]))
    session = LiveRun(config, _checked(view), view.status)
    session.listeners.append(view.event)
    view.watch(session)
    for check in checks:
        view.check(check)
    try:
        with interrupts(session, lambda _: view.stopping()), view:
            session.run()
    except NetworkError as error:
        if view.began:
            raise
        hint = rehearsal(options["strategy"])
        raise NetworkError(f"{error}; without a network you can rehearse: {hint}") from error
    view.summary()
    return 0


def _checked(view: View) -> Any:
    def tell(check: Check) -> None:
        view.check(check)
        if view.asked_to_stop:  # nothing is traded yet: there is nothing to wind up
            raise click.Abort

    return tell
