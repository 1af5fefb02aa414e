"""The search space: which parameters are searched, in which ranges, and from which first guess."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbt.data.timeframe import Timeframe
from ftbt.errors import ConfigError, ParameterError, did_you_mean
from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.strategy.parameters import ranges_of, resolve, tunable


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched and what is not.

    Attributes:
        ranges: searched parameters, in the order of the strategy.
        fixed: parameters set by hand.
        first: searched values of the first trial: the strategy's own.
        defaults: all parameters of the first trial.
    """

    ranges: Mapping[str, Range]
    fixed: Mapping[str, Any]
    first: Mapping[str, Any]
    defaults: Mapping[str, Any]


def space_of(
    cls: type,
    timeframe: Timeframe,
    fixed: Mapping[str, Any],
    narrowed: Mapping[str, Sequence[Any]],
) -> Space:
    """Return the search space of strategy *cls*.

    Args:
        cls: the strategy class.
        timeframe: chooses the preset.
        fixed: values that leave the search.
        narrowed: `[low, high]` of a number or the words of a choice, inside the strategy's range;
            a parameter that is not searched by itself joins the search.

    Raises:
        ParameterError: a parameter that is not there, or a value out of its range.
        ConfigError: a parameter both fixed and searched.
    """
    own = resolve(cls, fixed, timeframe.text)
    known = ranges_of(cls)
    ranges = {name: limits for name, limits in tunable(cls).items() if name not in fixed}
    for name, limits in narrowed.items():
        if name not in known:
            raise ParameterError(f"{cls.__name__} has no parameter {name!r}" + _near(name, known))
        if name in fixed:
            raise ConfigError(f"parameter {name!r} is both fixed and searched: drop one")
        ranges[name] = _narrow(f"{cls.__name__}: {name}", known[name], limits)
    ordered = {name: _on_grid(ranges[name]) for name in known if name in ranges}
    first = {name: _nearest(limits, own[name]) for name, limits in ordered.items()}
    given = {name: own[name] for name in fixed}
    return Space(ordered, given, first, {**own, **first})


def _near(name: str, known: Mapping[str, Range]) -> str:
    return did_you_mean(name, known) or f"; it has: {', '.join(known)}"


def _narrow(name: str, limits: Range, wanted: Sequence[Any]) -> Range:
    if isinstance(limits, Choice):
        return Choice(*(limits.check(name, word) for word in wanted))
    if isinstance(limits, Bool):
        raise ConfigError(f"{name} is true or false: fix it, or leave its range out")
    if len(wanted) != 2:
        raise ConfigError(f"{name}: a range is [low, high], not {list(wanted)!r}")
    low, high = (limits.check(name, value) for value in wanted)
    if low > high:
        raise ConfigError(f"{name}: the range [{low}, {high}] is upside down")
    if isinstance(limits, Int):
        return Int(int(low), int(high), limits.step)
    return Float(low, high, limits.step, limits.log)


def _on_grid(limits: Range) -> Range:
    """Return *limits* with its upper end on a step: a search can't reach beyond it anyway."""
    if isinstance(limits, Int):
        return Int(limits.low, limits.high - (limits.high - limits.low) % limits.step, limits.step)
    if isinstance(limits, Float) and limits.step is not None:
        steps = math.floor((limits.high - limits.low) / limits.step + 1e-9)
        # 0.1 + 14 * 0.1 is 1.5000000000000002, which Optuna finds off the grid.
        return Float(limits.low, round(limits.low + steps * limits.step, 12), limits.step)
    return limits


def _nearest(limits: Range, value: Any) -> Any:
    """Return the value inside *limits* (and on its steps) that is nearest to *value*."""
    if isinstance(limits, Choice):
        return value if value in limits.words else limits.words[0]
    if isinstance(limits, Bool):
        return bool(value)
    inside = min(max(value, limits.low), limits.high)
    if limits.step is None:
        return inside
    near = limits.low + round((inside - limits.low) / limits.step) * limits.step
    # A value on a step stays as it was written: 0.3, not 0.30000000000000004.
    return inside if abs(near - inside) < 1e-9 * limits.step else min(near, limits.high)


def describe(limits: Range) -> dict[str, Any]:
    """Return a range as plain values for the manifest; see `StrategyFacts.space`."""
    if isinstance(limits, Int):
        return {"kind": "int", "low": limits.low, "high": limits.high, "step": limits.step}
    if isinstance(limits, Float):
        return {
            "kind": "float",
            "low": limits.low,
            "high": limits.high,
            "step": limits.step,
            "log": limits.log,
        }
    if isinstance(limits, Choice):
        return {"kind": "choice", "words": list(limits.words)}
    return {"kind": "bool"}


def normalised(limits: Range, value: Any) -> float:
    """Return where *value* lies in a number's range, 0 to 1; a choice's position, a bool's 0 or 1.

    Positions of choices have no distance of their own: `ftbt.walkforward.plateau` counts two
    different words as the whole range apart.
    """
    if isinstance(limits, Choice | Bool):
        return limits.pack(value)
    low, high = float(limits.low), float(limits.high)
    if high <= low:
        return 0.0
    if isinstance(limits, Float) and limits.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (float(value) - low) / (high - low)
