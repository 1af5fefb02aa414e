"""What a run is made of: strategies with their shares, stretches of symbols, one clock.

A *sleeve* is one strategy with its parameters and its share of the account. A *stretch* is an
unbroken row of candles of one symbol; a symbol with holes has several, and is flat between them.
Every sleeve trades every stretch: a *leg* is one strategy object on one stretch. Both engines take
the same `Plan`, and go through symbols and legs in its order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.aligned import Aligned, aligned
from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError
from ftbt.risk.allocation import Allocation
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import resolve

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sleeve:
    """A strategy, what its parameters are, and what share of the account it sizes by."""

    strategy: StrategyRef | type[Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """An unbroken row of candles; the first *trade_from* bars only warm the lines up."""

    market: Market
    trade_from: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """One strategy object to be: sleeve and stretch by number."""

    sleeve: int
    stretch: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A checked run, the same for both engines.

    Attributes:
        names, classes, values, shares: of the sleeves.
        stretches: in order of their symbols, then of time.
        symbols: each once.
        symbol_of: symbol of each stretch, by number.
        first_bar: number on the clock of the first bar that may be traded.
        joint: the clock, see there.
        settings: money, costs, limits.
        allocation: whether shares shrink in a drawdown.
    """

    names: tuple[str, ...]
    classes: tuple[type[Any], ...]
    values: tuple[dict[str, Any], ...]
    shares: tuple[float, ...]
    stretches: tuple[Stretch, ...]
    symbols: tuple[str, ...]
    symbol_of: tuple[int, ...]
    first_bar: int
    joint: Aligned
    settings: Settings
    allocation: Allocation

    @property
    def timeframe(self) -> Timeframe:
        """Bar length, the same for all."""
        return self.stretches[0].market.candles.timeframe

    @property
    def clock(self) -> Ints:
        """Opens of all bars that any stretch has, ms UTC, shape (n,)."""
        return self.joint.clock

    @property
    def closes(self) -> NDArray[np.float64]:
        """Closing prices on the clock, NaN where a symbol has no bar, shape (n, symbols)."""
        return self.joint.closes

    def legs(self) -> Iterator[Leg]:
        """Yield every strategy object to be made, in the order in which they decide."""
        for sleeve in range(len(self.classes)):
            for stretch in range(len(self.stretches)):
                yield Leg(sleeve, stretch)


def make_plan(
    sleeves: Sequence[Sleeve],
    stretches: Sequence[Stretch],
    settings: Settings,
    allocation: Allocation | None = None,
) -> Plan:
    """Return the checked plan.

    Raises:
        InputError: nothing to trade, other bar lengths, stretches of a symbol that overlap.
        ParameterError: unknown parameter or value out of range.
    """
    if not sleeves or not stretches:
        raise InputError("a run needs at least one strategy and one symbol")
    _check(sleeves, stretches)
    symbols = tuple(dict.fromkeys(one.market.symbol for one in stretches))
    ordered = tuple(
        sorted(
            stretches,
            key=lambda one: (symbols.index(one.market.symbol), int(one.market.candles.time[0])),
        )
    )
    symbol_of = tuple(symbols.index(one.market.symbol) for one in ordered)
    joint = aligned(
        [one.market for one in ordered],
        [one.trade_from for one in ordered],
        symbol_of,
        settings.limits,
    )
    classes = tuple(
        one.strategy.load() if isinstance(one.strategy, StrategyRef) else one.strategy
        for one in sleeves
    )
    timeframe = ordered[0].market.candles.timeframe.text
    return Plan(
        names=_names(sleeves),
        classes=classes,
        values=tuple(
            resolve(cls, one.parameters, timeframe)
            for one, cls in zip(sleeves, classes, strict=True)
        ),
        shares=tuple(float(one.share) for one in sleeves),
        stretches=ordered,
        symbols=symbols,
        symbol_of=symbol_of,
        first_bar=int(
            min(first + one.trade_from for first, one in zip(joint.start, ordered, strict=True))
        ),
        joint=joint,
        settings=settings,
        allocation=allocation or Allocation(),
    )


def _names(sleeves: Sequence[Sleeve]) -> tuple[str, ...]:
    """Return a name for each sleeve; a strategy that is there twice is told apart by a number."""
    found: list[str] = []
    for sleeve in sleeves:
        one = sleeve.strategy
        name = one.name if isinstance(one, StrategyRef) else one.__name__
        count = sum(other.partition("#")[0] == name for other in found)
        found.append(f"{name}#{count + 1}" if count else name)
    return tuple(found)


def _check(sleeves: Sequence[Sleeve], stretches: Sequence[Stretch]) -> None:
    first = stretches[0].market
    for one in stretches:
        candles = one.market.candles
        if candles.timeframe != first.candles.timeframe:
            raise InputError(
                f"{one.market.symbol} has {candles.timeframe} bars, {first.symbol}"
                f" {first.candles.timeframe}: one account needs one bar length"
            )
        if not 0 <= one.trade_from < len(candles):
            raise InputError(
                f"{one.market.symbol}: {len(candles)} bars, but the first {one.trade_from} only"
                " warm the lines up"
            )
    rules = {one.market.symbol: one.market.instrument for one in stretches}
    for one in stretches:
        if one.market.instrument != rules[one.market.symbol]:
            raise InputError(
                f"{one.market.symbol}: its stretches have different rules of the venue"
            )
    for sleeve in sleeves:
        if not 0.0 <= sleeve.share <= 1.0:
            raise InputError(f"a strategy's share must be from 0 to 1, not {sleeve.share!r}")
    if sum(sleeve.share for sleeve in sleeves) > 1.0 + 1e-9:
        raise InputError("the shares of the strategies must not add up to more than 1")
