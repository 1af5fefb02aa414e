"""Options by which a live session is watched: alerts, health, log; and what they ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ftbt.live.watch import WatchConfig

F = TypeVar("F", bound=Callable[..., Any])
NAMES = (
    "alerts_file", "alert", "mute", "health_port", "health_host", "health_beyond_loopback",
    "log_size", "log_keep", "log_level", "no_log", "heartbeat_file",
)  # fmt: skip


def watch_options() -> Callable[[F], F]:
    """Add all of them, passed on by the names in `NAMES`."""
    options = [
        click.option("--alerts-file", type=click.Path(path_type=Path, dir_okay=False),
                     metavar="FILE", show_default="$FTBT_ALERTS_FILE",
                     help="Where alerts go: a URL of Apprise on each line."),
        click.option("--alert", multiple=True, metavar="NAME=VALUE",
                     help="Set a threshold of alerts, see `ftbt alerts show`. Repeat for more."),
        click.option("--mute", multiple=True, metavar="TOPIC",
                     help="Leave out a topic of alerts. Repeat for more."),
        click.option("--heartbeat-file", type=click.Path(path_type=Path, dir_okay=False),
                     metavar="FILE", show_default="$FTBT_HEARTBEAT_FILE",
                     help="A URL that is asked for every minute while the session lives."),
        click.option("--health-port", type=int, metavar="PORT",
                     help="Tell /healthz, /readyz and /metrics on this port."),
        click.option("--health-host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
                     help="Address for --health-port."),
        click.option("--health-beyond-loopback", is_flag=True,
                     help="Let other machines read health: it has no password."),
        click.option("--log-size", type=int, default=10_000_000, show_default=True,
                     metavar="BYTES", help="Begin a new log.jsonl at this size."),
        click.option("--log-keep", type=int, default=10, show_default=True, metavar="N",
                     help="Older logs that are kept."),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning"]),
                     default="info", show_default=True,
                     help="debug: every event of the journal."),
        click.option("--no-log", is_flag=True, help="Write no log.jsonl; the journal stays."),
    ]  # fmt: skip

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def watch_config(
    options: Mapping[str, Any], *, deployment: str, network: str, state: Path,
    conceal: Callable[[str], str],
) -> WatchConfig:  # fmt: skip
    """Return what the options ask for.

    Args:
        options: by `NAMES`.
        deployment: name of what runs.
        network: where.
        state: folder of the session.
        conceal: takes the agent's key out of a text (`AgentKey.conceal`).

    Raises:
        ConfigError: a value out of its range, a target that can't be used, an address that others
            can reach without the flag.
    """
    import logging  # noqa: PLC0415 - help answers without these

    from ftbt.live.alerts import AlertSettings, load_targets  # noqa: PLC0415
    from ftbt.live.health import HealthConfig  # noqa: PLC0415
    from ftbt.live.heartbeat import load_heartbeat  # noqa: PLC0415
    from ftbt.live.logs import NAME, LogConfig  # noqa: PLC0415
    from ftbt.live.secrets import Redactor, environment_secrets  # noqa: PLC0415
    from ftbt.live.watch import WatchConfig  # noqa: PLC0415

    redact = Redactor(environment_secrets(os.environ), (conceal,))
    targets = load_targets(os.environ, options["alerts_file"], redact)
    port = options["health_port"]
    health = None if port is None else HealthConfig(
        port, options["health_host"], options["health_beyond_loopback"]
    )  # fmt: skip
    log = None if options["no_log"] else LogConfig(
        state / NAME, options["log_size"], options["log_keep"],
        getattr(logging, options["log_level"].upper()),
    )  # fmt: skip
    return WatchConfig(
        deployment, network, state, redact, targets,
        AlertSettings.parse(options["alert"], options["mute"]), health, log,
        heartbeat=load_heartbeat(os.environ, options["heartbeat_file"], redact),
    )  # fmt: skip
