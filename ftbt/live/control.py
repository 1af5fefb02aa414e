"""Orders of the owner to a bot: files in its state folder, so that they outlive every process.

A halt is a file that stays until it is lifted; a bot that finds it opens nothing, whenever it was
started. A wish (stop, kill, resume) is a file that the running bot takes away once it has done it.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ftbt.data.files import atomic_write
from ftbt.errors import InputError, StorageError
from ftbt.live.journal.database import BACKUPS
from ftbt.live.journal.writer import lock_of
from ftbt.live.locks import is_held

JOURNAL = "journal.db"
STATUS = "status.json"
PLACE = "session.json"
_HALT = "halt.json"
_WISHES = "wishes"


class Wish(StrEnum):
    """What a running bot can be asked for.

    STOP: end, positions stay with their stops. FLATTEN: end flat. RESUME: trade again after a halt
    or the drawdown breaker.
    """

    STOP = "stop"
    FLATTEN = "flatten"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Halt:
    """Why nothing may be opened.

    Attributes:
        reason: in words.
        by: who said so.
        wall_ms: when.
    """

    reason: str
    by: str
    wall_ms: int


def halt(state: Path, reason: str) -> Halt:
    """Forbid the deployment in *state* to open anything, from now on and after every restart.

    Raises:
        StorageError: it could not be written down, so it does not hold.
    """
    made = Halt(reason, _who(), int(time.time() * 1000))
    atomic_write(state / _HALT, json.dumps(asdict(made)))
    return made


def halted(state: Path) -> Halt | None:
    """Return the halt of *state*, None without one. One that can't be read is one."""
    try:
        found = json.loads((state / _HALT).read_text("utf-8"))
        return Halt(str(found["reason"]), str(found["by"]), int(found["wall_ms"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Halt(f"{state / _HALT} can't be read: {error}", "", 0)


def lift(state: Path) -> Halt | None:
    """Take the halt of *state* away and return it, None when there was none.

    Raises:
        StorageError: it can't be taken away, so it still holds.
    """
    found = halted(state)
    try:
        (state / _HALT).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {state / _HALT}: {error.strerror or error}") from error
    return found


def wish(state: Path, what: Wish, **more: str) -> None:
    """Ask the bot that runs in *state* for something."""
    body = {"by": _who(), "wall_ms": int(time.time() * 1000), **more}
    atomic_write(state / _WISHES / f"{what}.json", json.dumps(body))


def wishes(state: Path) -> dict[Wish, Mapping[str, Any]]:
    """Return what was asked for and not yet done; a wish that can't be read is one all the same."""
    found: dict[Wish, Mapping[str, Any]] = {}
    for what in Wish:
        path = state / _WISHES / f"{what}.json"
        try:
            found[what] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            found[what] = {}
    return found


def done(state: Path, what: Wish) -> None:
    """Note that a wish is done."""
    with suppress(OSError):
        (state / _WISHES / f"{what}.json").unlink(missing_ok=True)


def runs(state: Path) -> bool:
    """Tell whether a bot runs in *state*: its journal is taken."""
    return is_held(lock_of(state / JOURNAL))


def read_status(state: Path) -> dict[str, Any] | None:
    """Return the newest status of the bot in *state*, None when there is none that can be read."""
    try:
        found = json.loads((state / STATUS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def state_folder(named: str | None, root: Path) -> Path:
    """Return the state folder that a user means.

    Args:
        named: a folder, or the name of one below *root*; None: the only one there is.
        root: where state folders are kept.

    Raises:
        InputError: there is none of that name, none at all, or more than one to choose from.
    """
    known = sorted(path for path in root.glob("*") if _is_state(path))
    if named is not None:
        for path in (Path(named), root / named):
            if _is_state(path):
                return path
        names = ", ".join(path.name for path in known) or "none"
        raise InputError(f"no live session in {named}: known below {root} are {names}")
    if len(known) == 1:
        return known[0]
    if not known:
        raise InputError(f"no live session below {root}: `ftbt live` begins one")
    names = ", ".join(path.name for path in known)
    raise InputError(f"several live sessions below {root}: name one of {names}")


def _is_state(path: Path) -> bool:
    """Tell whether a bot has been in *path*: also one whose journal is gone has."""
    return any((path / name).exists() for name in (JOURNAL, STATUS, PLACE, BACKUPS))


def _who() -> str:
    try:
        return f"{getpass.getuser()} (pid {os.getpid()})"
    except (KeyError, OSError):
        return f"pid {os.getpid()}"
