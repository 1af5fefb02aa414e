"""`ftbt alerts`: where alerts go, what is told, and whether it arrives."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftbt.errors import ConfigError

if TYPE_CHECKING:
    from ftbt.live.alerts import Target


def _file_option() -> Callable[[Any], Any]:
    return click.option(
        "--alerts-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        show_default="$FTBT_ALERTS_FILE",
        help="With a URL of Apprise on each line; only you may read it.",
    )  # fmt: skip


@click.group(epilog="Example: ftbt alerts test")
def alerts() -> None:
    """Show what a live session tells its owner, and try whether it arrives.

    Targets are URLs of Apprise (mail, Telegram, Discord, ntfy, webhooks and a hundred more). They
    are secrets: they come from FTBT_ALERTS or from a file that only you can read, and are never
    shown.
    """


@alerts.command(epilog="Example: ftbt alerts test")
@_file_option()
def test(alerts_file: Path | None) -> int:
    """Send one alert to each target, now, and say what came of it.

    Exit code 3 when one did not arrive.
    """
    from ftbt import __version__  # noqa: PLC0415 - help answers without these
    from ftbt.live.alerts import Alert, Level, Topic  # noqa: PLC0415
    from ftbt.live.alerts.targets import NO_TARGET, SendFailed  # noqa: PLC0415

    targets = _targets(alerts_file)
    if not targets:
        raise ConfigError(NO_TARGET)
    text = f"ftbt {__version__} can reach you here. Nothing is wrong."
    alert = Alert(Topic.TEST, Level.INFO, "test", "ftbt: a test", text)
    failed = 0
    for target in targets:
        try:
            target.send(alert)
        except SendFailed as error:
            failed += 1
            click.echo(f"{target.name}: did not arrive: {error}")
        else:
            click.echo(f"{target.name}: taken")
    return 3 if failed else 0


@alerts.command(epilog="Example: ftbt alerts show")
@_file_option()
def show(alerts_file: Path | None) -> int:
    """Show the targets by number and service, what is told, and the thresholds."""
    from ftbt.live.alerts import model, settings  # noqa: PLC0415 - help answers without these
    from ftbt.live.alerts.targets import NO_TARGET  # noqa: PLC0415

    targets = _targets(alerts_file)
    click.echo("\n".join(f"target {one.name}" for one in targets) or NO_TARGET)
    click.echo("\nwhat is told:")
    for topic, meaning in model.MEANINGS.items():
        click.echo(f"  {topic:12} {meaning}")
    click.echo("\nthresholds:")
    usual = settings.AlertSettings()
    for name, meaning in settings.MEANINGS.items():
        value = getattr(usual, name)
        shown = str(value).lower() if isinstance(value, bool) else f"{value:g}"
        click.echo(f"  {name}={shown:8} {meaning}")
    return 0


def _targets(file: Path | None) -> tuple[Target, ...]:
    from ftbt.live.alerts import load_targets  # noqa: PLC0415
    from ftbt.live.secrets import Redactor  # noqa: PLC0415

    return load_targets(os.environ, file, Redactor())
