"""`robustness.json` in a run folder: the assessment as sorted JSON; same content, same bytes.

Any frozen dataclass of plain values, tuples and further such dataclasses goes both ways. A float
that is NaN or infinite is written as null and read as NaN.
"""

from __future__ import annotations

import json
import math
import types
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ftbt.data.files import atomic_write
from ftbt.errors import StorageError
from ftbt.robustness.assessment import FORMAT, Assessment

NAME = "robustness.json"
AGAIN = "make it with the run's own `ftbt walkforward` command, which judges a finished run"

T = TypeVar("T")


def write_assessment(folder: Path, assessment: Assessment) -> Path:
    """Write *assessment* into a run folder and return the file's path.

    Raises:
        StorageError: when the file cannot be written.
    """
    path = folder / NAME
    text = json.dumps(
        to_plain(assessment), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    atomic_write(path, text + "\n")
    return path


def has_assessment(folder: Path) -> bool:
    """Return whether a run folder holds an assessment."""
    return (folder / NAME).is_file()


def load_assessment(folder: Path) -> Assessment:
    """Return the assessment of a run folder.

    Raises:
        StorageError: when there is none, it is damaged, or of another version of ftbt.
    """
    path = folder / NAME
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        found = plain["format"]
    except FileNotFoundError:
        raise StorageError(f"{folder} has no {NAME}: {AGAIN}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} cannot be read ({error}); {AGAIN}") from error
    if found != FORMAT:
        raise StorageError(
            f"{path} was written by another version of ftbt (format {found}, this one reads"
            f" {FORMAT}); {AGAIN}"
        )
    try:
        return from_plain(Assessment, plain)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is damaged ({error}); {AGAIN}") from error


def to_plain(value: Any) -> Any:
    """Return dataclasses as dicts, tuples as lists, numbers without a value as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float):
        # float(): a numpy scalar is a float, too, but not of JSON's.
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"an assessment holds plain values only, not {type(value).__name__}")


def from_plain(kind: type[T], plain: Any) -> T:
    """Return what `to_plain` made of a *kind*.

    Raises:
        KeyError, TypeError, ValueError: anything else.
    """
    made: T = _read(kind, plain)
    return made


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, plain: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return None if plain is None else _read(inner, plain)
    if origin is tuple:
        return _read_tuple(get_args(kind), plain)
    if origin is Literal:
        if plain not in get_args(kind):
            raise ValueError(f"{plain!r} is not one of {get_args(kind)}")
        return plain
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        return kind(**{item.name: _read(hints[item.name], plain[item.name])
                       for item in fields(kind)})  # type: ignore[operator]  # fmt: skip
    return _read_single(kind, plain)


def _read_tuple(kinds: tuple[Any, ...], plain: Any) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise TypeError(f"a list is needed, not {plain!r}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], item) for item in plain)
    return tuple(_read(one, item) for one, item in zip(kinds, plain, strict=True))


def _read_single(kind: Any, plain: Any) -> Any:
    if kind is float:
        return math.nan if plain is None else float(plain)
    if not isinstance(plain, kind) or (kind is int and isinstance(plain, bool)):
        raise TypeError(f"{plain!r} is not of type {kind.__name__}")
    return plain
