"""What the commands beside a bot have in common: which state folder, which key."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ftbt.hyperliquid.keys import AgentKey

LIVE = Path("results") / "live"


def state_argument() -> Callable[[Any], Any]:
    """Return the argument STATE of a command."""
    return click.argument("state", metavar="[STATE]", required=False)


def find_state(named: str | None) -> Path:
    """Return the state folder that a user means; see `ftbt.live.control.state_folder`."""
    from ftbt.live.control import state_folder  # noqa: PLC0415 - help answers without it

    return state_folder(named, LIVE)


def key_for(network: str, file: Path | None) -> AgentKey:
    """Return the agent's key; on a local exchange the public one when no other is given.

    Raises:
        ConfigError: as `load_key`.
    """
    from ftbt.hyperliquid.keys import FILE_VARIABLE, KEY_VARIABLE, load_key  # noqa: PLC0415

    if network == "localnet" and file is None:
        named = any(os.environ.get(name) for name in (FILE_VARIABLE, KEY_VARIABLE))
        if not named:
            from ftbt.localnet.process import named_key  # noqa: PLC0415

            return load_key({KEY_VARIABLE: named_key("agent").secret})
    ask = _ask if sys.stdin.isatty() else None
    return load_key(os.environ, file, ask)


def _ask(prompt: str) -> str:
    return str(click.prompt(prompt.rstrip(": "), hide_input=True))
