"""Runs a live session in front of a person, or of a program that reads lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from ftbt.cli.live_asked import Ask, ask, rehearsal
from ftbt.cli.live_view import View, make_view
from ftbt.cli.watch_options import watch_config
from ftbt.errors import NetworkError
from ftbt.hyperliquid.session import Check
from ftbt.live.interrupts import interrupts
from ftbt.live.runner import LiveRun
from ftbt.live.status import Status
from ftbt.live.watch import Watch


def run(options: Mapping[str, Any], typed: Ask) -> int:
    """Trade as the options of `ftbt live` ask for, until it ends; return the exit code.

    Raises:
        FtbtError: why it did not begin, or could not go on.
        Abort: stopped before it began.
    """
    config, checks = ask(options, typed)
    watched = watch_config(
        options, deployment=config.deployment, network=str(config.endpoint.network),
        state=config.state, conceal=config.key.conceal,
    )  # fmt: skip
    view = make_view(config, as_json=bool(options["as_json"]))
    with Watch(watched) as watch:
        session = LiveRun(config, _checked(view), _both(view.status, watch.show))
        session.listeners.append(view.event)
        watch.hear(session)
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
        except click.Abort:
            stopped = True  # by a person: no error to be told
        else:
            stopped = False
    if stopped:
        raise click.Abort
    view.summary()
    return 0


def _both(
    first: Callable[[Status], None], second: Callable[[Status], None]
) -> Callable[[Status], None]:
    def show(status: Status) -> None:
        first(status)
        second(status)

    return show


def _checked(view: View) -> Any:
    def tell(check: Check) -> None:
        view.check(check)
        if view.asked_to_stop:  # nothing is traded yet: there is nothing to wind up
            raise click.Abort

    return tell
