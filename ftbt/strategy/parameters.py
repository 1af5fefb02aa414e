"""Parameters of a strategy class: their ranges, presets, search space, warm-up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.errors import StrategyBroken
from ftbt.ranges import Bool, Float, Int, Range, check_values

_PLAIN_WARMUP_BARS = 300
_HUGE = 10**12


def _implied(value: Any) -> Range | None:
    """Return a range that keeps a plain Backtrader parameter to its type; None: anything goes."""
    if isinstance(value, bool):
        return Bool(tune=False)
    if isinstance(value, int):
        return Int(-_HUGE, _HUGE, tune=False)
    if isinstance(value, float):
        return Float(-float(_HUGE), float(_HUGE), tune=False)
    return None


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the parameters of a Backtrader strategy class with their defaults."""
    return dict(cls.params._getitems())  # type: ignore[attr-defined]  # noqa: SLF001


def ranges_of(cls: type) -> dict[str, Range]:
    """Return the range of every parameter, the base class's after the strategy's own.

    An ordinary Backtrader strategy needs no `ranges`: its parameters then keep their type and are
    not searched.

    Raises:
        StrategyBroken: when `ranges` names a parameter that `params` does not have.
    """
    declared: dict[str, Range] = {}
    for base in cls.__mro__:
        for name, limits in vars(base).get("ranges", {}).items():
            declared.setdefault(name, limits)
    defaults = defaults_of(cls)
    for name in declared:
        if name not in defaults:
            raise StrategyBroken(f"{cls.__name__}.ranges has {name!r}, but params has not")
    implied = {name: _implied(value) for name, value in defaults.items() if name not in declared}
    return {**declared, **{name: found for name, found in implied.items() if found is not None}}


def preset(cls: type, timeframe: str) -> dict[str, Any]:
    """Return the values that the class sets for *timeframe* in `presets`."""
    presets: Mapping[str, Mapping[str, Any]] = getattr(cls, "presets", {})
    return dict(presets.get(timeframe, {}))


def resolve(cls: type, given: Mapping[str, Any], timeframe: str = "") -> dict[str, Any]:
    """Return all parameters: defaults, then the timeframe's preset, then what was *given*.

    Raises:
        ParameterError: an unknown name or a value out of its range.
        StrategyBroken: when the class's own defaults or presets break its ranges.
    """
    ranges, defaults, own = _standing(cls, timeframe)
    # A word or None of an ordinary strategy tells nothing of what it may be: it is taken as given.
    free = {name: given[name] for name in given if name in defaults and name not in ranges}
    held = {name: value for name, value in given.items() if name not in free}
    return {**own, **free, **check_values(cls.__name__, ranges, held)}


@lru_cache(maxsize=64)
def _standing(cls: type, timeframe: str) -> tuple[dict[str, Range], dict[str, Any], dict[str, Any]]:
    """Return ranges, defaults and what holds where nothing is given; a search asks all the time."""
    ranges = ranges_of(cls)
    defaults = defaults_of(cls)
    own = {**defaults, **preset(cls, timeframe)}
    known = {name: own[name] for name in own if name in ranges}
    try:
        valid = check_values(cls.__name__, ranges, known)
    except Exception as error:
        raise StrategyBroken(f"its defaults or presets break its own ranges: {error}") from error
    return ranges, defaults, {**own, **valid}


def written(value: Any) -> Any:
    """Return *value* in JSON's types only.

    An ordinary Backtrader strategy may have anything among its parameters, a class of indicators or
    a time. What JSON lacks is written by its name, never by its address: results are the same bytes
    every time.
    """
    if isinstance(value, Mapping):
        return {str(key): written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, map(written, value)))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date | time | timedelta):
        return str(value)
    named = value if hasattr(value, "__qualname__") else type(value)
    return str(named.__qualname__)


def tunable(cls: type) -> dict[str, Range]:
    """Return the search space: declared ranges with `tune` on."""
    return {name: limits for name, limits in ranges_of(cls).items() if limits.tune}


def warmup_bars(cls: type, timeframe: Timeframe) -> int:
    """Return how many bars the strategy's lines need before its decisions count.

    From the class's `warmup_days` (at least `warmup_bars` bars); an ordinary Backtrader strategy
    without either gets 300 bars.
    """
    days = float(getattr(cls, "warmup_days", 0.0))
    least = int(getattr(cls, "warmup_bars", _PLAIN_WARMUP_BARS))
    return max(least, int(days * DAY_MS // timeframe.ms))
