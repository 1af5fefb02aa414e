"""What a strategy computes, so that the value that changes first can be named.

A strategy of the project has its lines and its setups; any other one has indicators, and arrays
and numbers that it made before the first bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.robustness.lookahead.compare import near
from ftbt.strategy.base import SetupStrategy

Floats = NDArray[np.float64]

_NAMED = ("self.", "class.")
# What Backtrader and the project themselves put into a strategy object.
_OWN = frozenset({
    "data", "datas", "dnames", "env", "cerebro", "broker", "p", "params", "l", "line", "lines",
    "stats", "observers", "analyzers", "writers", "plotinfo", "plotlines", "prenext_signal",
    "setup", "refused", "array", "lines_indicators", "ddatas",
})  # fmt: skip


@dataclass(frozen=True)
class ValueChange:
    """A value that is another one when only later bars are.

    Attributes:
        name: of the line, array or number.
        bar: the first bar with another value; -1 for a number that holds for all bars.
        before: with the bars as they are.
        after: with other bars, or none, after the cut.
    """

    name: str
    bar: int
    before: float
    after: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values; what is not a number is null."""
        return {
            "name": self.name,
            "bar": self.bar,
            "before": None if self.before != self.before else self.before,
            "after": None if self.after != self.after else self.after,
        }


# Name -> values at each bar, shape (n,), or one value, shape ().
Values = Mapping[str, Floats]


def first_value_change(
    full: Values, other: Values, cut: int, tolerance: float
) -> ValueChange | None:
    """Return the first value up to and including bar *cut* that differs between two runs."""
    found = []
    for name, values in full.items():
        if name in other and (change := _change(name, values, other[name], cut, tolerance)):
            found.append(change)
    # A number that holds for all bars is the cause of what differs bar by bar; of several, one
    # that the strategy has a name for says more.
    return min(found, key=lambda one: (one.bar, not one.name.startswith(_NAMED)), default=None)


def _change(name: str, one: Floats, two: Floats, cut: int, tolerance: float) -> ValueChange | None:
    if one.ndim == two.ndim == 0:
        if near(float(one), float(two), tolerance):
            return None
        return ValueChange(name, -1, float(one), float(two))
    if one.ndim != 1 or two.ndim != 1:
        return None
    by_bar = min(len(one), len(two)) > cut
    if not by_bar and len(one) != len(two):
        return None
    left, right = one[: cut + 1], two[: cut + 1]
    with np.errstate(invalid="ignore"):
        scale = np.maximum(np.abs(left), np.abs(right))
        same = (left == right) | (np.abs(left - right) <= tolerance * scale)
    same |= np.isnan(left) & np.isnan(right)
    if same.all():
        return None
    at = int(np.argmin(same))
    if by_bar:
        return ValueChange(name, at, float(left[at]), float(right[at]))
    return ValueChange(f"{name}[{at}]", -1, float(left[at]), float(right[at]))


# --- a strategy with setups -----------------------------------------------------------------------


class _Seen(BaseException):
    """Ends a run before its first bar: all that was wanted has been seen."""


@dataclass
class OfSetups:
    """What a setup strategy makes of a market.

    Attributes:
        lines: all lines that its rule reads, and its setups, at every bar.
        made: numbers and arrays that the object itself holds.
        rule: the rule.
    """

    lines: dict[str, Floats] = field(default_factory=dict)
    made: dict[str, Floats] = field(default_factory=dict)
    rule: Any = None


def values_of_setups(cls: type[Any], parameters: Mapping[str, Any], market: Market) -> OfSetups:
    """Return what the setup strategy *cls* makes of *market*.

    The strategy object is made as always; no bar is run.

    Args:
        cls: a `SetupStrategy`.
        parameters: all of its parameters.
        market: whose candles it gets.
    """
    found = OfSetups()

    def start(self: Any) -> None:
        found.made, found.rule = early_values(self), self.setup.rule
        for word, line in zip(self.setup.rule.line_names, self.setup.lines, strict=True):
            outputs = line.outputs()
            for name in outputs.dtype.names:
                found.lines[f"{word}.{name} ({type(line).__name__})"] = outputs[name]
        bars = market.candles.bars
        heard, setups, _ = self.decision_inputs(bars)
        for name in setups.dtype.names:
            series = np.full(len(bars), np.nan if setups.dtype[name].kind == "f" else 0.0)
            series[heard] = setups[name]
            found.lines[f"setup.{name}"] = series
        raise _Seen

    metaclass: Any = type(cls)
    probe = metaclass(cls.__name__, (cls,), {"start": start, "__module__": cls.__module__})
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(candles=market.candles, instrument=market.instrument))
    cerebro.addstrategy(probe, **parameters)
    with suppress(_Seen):
        cerebro.run()
    return found


def has_setups(cls: type[Any]) -> bool:
    """Tell whether *cls* decides by a setup rule."""
    return issubclass(cls, SetupStrategy)


# --- any other strategy ---------------------------------------------------------------------------


def line_values(strategy: Any) -> dict[str, Floats]:
    """Return the values of all indicators of a strategy object, inner ones included."""
    names = {id(item): name for name, item in vars(strategy).items()}
    found: dict[str, Floats] = {}
    for indicator in _indicators(strategy):
        own = names.get(id(indicator), "")
        title = f"self.{own} ({type(indicator).__name__})" if own else type(indicator).__name__
        for at, line in enumerate(_buffers(indicator)):
            alias = _alias(indicator, at)
            name = f"{title}.{alias}" if alias else title
            while name in found:
                name += "'"
            found[name] = np.array(line.array, np.float64)
    return found


def _indicators(owner: Any) -> Iterator[Any]:
    for indicator in owner.getindicators():
        yield from _indicators(indicator)
        yield indicator


def _buffers(item: Any) -> list[Any]:
    lines = getattr(item.lines, "lines", item.lines)
    return [line for line in lines if hasattr(line, "array")]


def _alias(indicator: Any, at: int) -> str:
    try:
        return str(indicator.lines._getlinealias(at))  # noqa: SLF001 - Backtrader has no public name
    except (AttributeError, IndexError):
        return ""


def early_values(strategy: Any) -> dict[str, Floats]:
    """Return the numbers and arrays that a strategy object holds, for example before its first bar.

    Attributes of the object and of its own classes.
    """
    found: dict[str, Floats] = {}
    for base in reversed(type(strategy).__mro__):
        if issubclass(base, bt.Strategy) and not base.__module__.startswith(
            ("ftbt.", "backtrader")
        ):
            _gather(vars(base), "class.", found)
    _gather(vars(strategy), "self.", found)
    _gather(strategy.p._getkwargs(), "self.p.", found)  # noqa: SLF001 - no public name
    return found


def _gather(items: Mapping[str, Any], prefix: str, found: dict[str, Floats]) -> None:
    for name, item in list(items.items()):
        if name.startswith("_") or name in _OWN:
            continue
        for inner, values in numbers_in(item):
            found[f"{prefix}{name}{inner}"] = values


def numbers_in(item: Any) -> Iterator[tuple[str, Floats]]:
    """Yield the numbers that *item* holds, with what to write after its name."""
    if isinstance(item, bool | int | float | np.number):
        yield "", np.array(float(item))
    elif isinstance(item, np.ndarray):
        yield from _arrays(item)
    elif hasattr(item, "columns") and hasattr(item, "to_numpy"):  # a data frame
        for column in item.columns:
            for inner, values in numbers_in(item[column].to_numpy()):
                yield f"[{column!r}]{inner}", values
    elif hasattr(item, "to_numpy") and callable(item.to_numpy):  # a series
        yield from numbers_in(item.to_numpy())
    elif isinstance(item, list | tuple):
        yield from _arrays(_as_array(item))
    elif isinstance(item, Mapping):
        yield from _arrays(_as_array(list(item.values())))


def _as_array(items: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    """Return a list of numbers, or of rows of numbers, as an array; an empty one for others."""
    try:
        made = np.asarray(items)
    except (ValueError, TypeError):
        return np.zeros(0)
    return made if made.dtype.kind in "biuf" else np.zeros(0)


def _arrays(item: NDArray[Any]) -> Iterator[tuple[str, Floats]]:
    if item.dtype.names:
        for name in item.dtype.names:
            yield from ((f"[{name!r}]{inner}", one) for inner, one in _arrays(item[name]))
    elif item.dtype.kind in "biuf" and item.ndim == 1:
        yield "", item.astype(np.float64)
    elif item.dtype.kind in "biuf" and item.ndim == 2 and item.shape[1] <= 64:
        for column in range(item.shape[1]):
            yield f"[:, {column}]", item[:, column].astype(np.float64)
