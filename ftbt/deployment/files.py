"""The deployment file: sorted JSON with a hash over its own content; same run, same bytes.

The hash is no secret: it tells that somebody changed the file, not who. A changed deployment is one
that no run stands behind, so it is not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ftbt.data.files import atomic_write
from ftbt.deployment.model import FORMAT, Deployment
from ftbt.errors import FtbtError, InputError, StorageError, did_you_mean

HASH = "sha256"
AGAIN = "make it again with `ftbt promote`"


def write_deployment(path: Path, deployment: Deployment) -> Path:
    """Write *deployment* to *path* and return it.

    Raises:
        StorageError: when the file can't be written.
    """
    plain = asdict(deployment)
    text = json.dumps(
        {**plain, HASH: content_hash(plain)},
        indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False,
    )  # fmt: skip
    atomic_write(path, text + "\n")
    return path


def content_hash(plain: Mapping[str, Any]) -> str:
    """Return the sha256 over the values of a deployment, however they are laid out in the file."""
    content = {name: value for name, value in plain.items() if name != HASH}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_deployment(path: Path) -> Deployment:
    """Return the deployment in *path*, every value of it checked.

    Raises:
        InputError: no such file, a key or value that a deployment can't have, another format, or a
            file that was changed after it was made.
        StorageError: the file can't be read.
    """
    plain = _read(path)
    found = plain.get("format")
    if found != FORMAT:
        raise InputError(
            f"{path} is a deployment of format {found!r}, this ftbt reads {FORMAT}; {AGAIN}"
        )
    _known_keys(plain, Deployment, path, "")
    if plain.get(HASH) != content_hash(plain):
        raise InputError(
            f"{path} was changed after it was made: no run stands behind it any more; {AGAIN}"
        )
    content = {name: value for name, value in plain.items() if name != HASH}
    try:
        made: Deployment = TypeAdapter(Deployment).validate_json(json.dumps(content))
    except ValidationError as error:
        raise InputError(f"{path}: {_problem(error)}; {AGAIN}") from None
    except (FtbtError, TypeError) as error:
        raise InputError(f"{path}: {error}; {AGAIN}") from error
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = did_you_mean(path.name, (item.name for item in path.parent.glob("*.json")))
        hint = near or "; make one with `ftbt promote RUN`"
        raise InputError(f"no deployment file {path}{hint}") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} is no deployment: not JSON ({error}); {AGAIN}") from error
    if not isinstance(plain, dict):
        raise InputError(f"{path} is no deployment: not a JSON object; {AGAIN}")
    return plain


def _known_keys(plain: Any, kind: type[Any], path: Path, where: str) -> None:
    """Refuse a key that *kind* has no field for: it would be read by nobody and trusted by one."""
    hints = get_type_hints(kind)
    known = [*hints, HASH] if kind is Deployment else list(hints)
    for key, value in plain.items():
        if key not in known:
            hint = did_you_mean(key, known) or f"; known here: {', '.join(known)}"
            raise InputError(f"{path}: unknown key {where}{key}{hint}")
        inner = next((one for one in (hints.get(key), *get_args(hints.get(key)))
                      if isinstance(one, type) and is_dataclass(one)), None)  # fmt: skip
        if inner is None:
            continue
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, dict):
                place = f"{key}[{number}]" if isinstance(value, list) else key
                _known_keys(one, inner, path, f"{where}{place}.")


def _problem(error: ValidationError) -> str:
    """Return the first thing that is wrong, with its place and value."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(one) for one in first["loc"]) or "deployment"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}, not {first['input']!r}"
