"""The strategies of a walk-forward: one, or several that share an account.

Each strategy is searched for itself on the training span, with the whole account. The shares come
from the daily returns of the chosen parameters there, and nothing else; the test then runs all of
them on one account. With several strategies a parameter is called `strategy.parameter`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftbt.backtest.portfolio import Sleeve
from ftbt.config import StrategyPart
from ftbt.data.timeframe import Timeframe
from ftbt.errors import ConfigError, ParameterError, did_you_mean
from ftbt.ranges import Range
from ftbt.risk.allocation import FIXED, Allocation
from ftbt.strategy.loader import StrategyRef, find_strategy
from ftbt.strategy.parameters import defaults_of, warmup_bars
from ftbt.walkforward.space import Space, space_of


@dataclass(frozen=True, slots=True)
class Member:
    """One strategy and what is searched of it.

    Attributes:
        strategy: which one.
        space: its own names.
        prefix: `name.` when there are several members, else empty.
    """

    strategy: StrategyRef
    space: Space
    prefix: str = ""

    def own(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """Return *named* parameters of a run by the strategy's own names."""
        return own_parameters(named, self.prefix)

    def named(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the strategy's *own* parameters by their names in the run."""
        return {self.prefix + name: value for name, value in own.items()}


@dataclass(frozen=True, slots=True)
class Ensemble:
    """All members in the order in which they decide."""

    members: tuple[Member, ...]
    allocation: Allocation

    @property
    def name(self) -> str:
        """The members' names as one."""
        return "+".join(one.strategy.name for one in self.members)

    @property
    def ranges(self) -> dict[str, Range]:
        """What is searched, by the names in the run."""
        return {
            name: limits
            for one in self.members
            for name, limits in one.named(one.space.ranges).items()
        }

    def trials(self, asked: int) -> tuple[int, ...]:
        """Return the trials of each member: a single one where nothing is searched."""
        return tuple(asked if one.space.ranges else 1 for one in self.members)

    def warmup_bars(self, timeframe: Timeframe) -> int:
        """Return the longest warm-up of all members."""
        return max(warmup_bars(one.strategy.load(), timeframe) for one in self.members)


def split_names(text: str) -> list[str]:
    """Return the names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def make_ensemble(part: StrategyPart, timeframe: Timeframe, allocation: Allocation) -> Ensemble:
    """Return the strategies that *part* names.

    Raises:
        ConfigError: none, one named twice, weights that do not fit.
        ParameterError: a parameter that belongs to none of them.
        StrategyNotFound, StrategyBroken: see `find_strategy`.
    """
    names = split_names(part.name)
    if not names:
        raise ConfigError("name a strategy: --strategy liquidity_sweep")
    found = [find_strategy(name) for name in names]
    called = [one.name for one in found]
    twice = [name for name in called if called.count(name) > 1]
    if twice:
        raise ConfigError(f"strategy {twice[0]} is given twice: give each of them once")
    if allocation.method == FIXED and len(allocation.weights) != len(found):
        raise ConfigError(
            f"{len(allocation.weights)} weights for {len(found)} strategies: give one for each, in"
            " their order"
        )
    prefixes = [f"{name}." if len(found) > 1 else "" for name in called]
    _check_owned(part.parameters, found, prefixes)
    _check_owned(part.ranges, found, prefixes)
    members = []
    for one, prefix in zip(found, prefixes, strict=True):
        fixed, narrowed = (
            own_parameters(part.parameters, prefix),
            own_parameters(part.ranges, prefix),
        )
        members.append(Member(one, space_of(one.load(), timeframe, fixed, narrowed), prefix))
    return Ensemble(tuple(members), allocation)


def own_parameters(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return what of *named* begins with *prefix*, without it."""
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }


def _check_owned(
    named: Mapping[str, Any], found: Sequence[StrategyRef], prefixes: Sequence[str]
) -> None:
    """Refuse parameters of nobody; with several strategies each is called `strategy.parameter`."""
    if len(found) == 1:
        return
    for name in named:
        if not any(name.startswith(prefix) for prefix in prefixes):
            raise ParameterError(
                f"parameter {name!r}: with several strategies write strategy.parameter"
                + near_parameter(name, found)
            )


def near_parameter(name: str, strategies: Sequence[StrategyRef]) -> str:
    """Return which `strategy.parameter` of *strategies* is meant by *name*, or an example."""
    known = [f"{one.name}.{own}" for one in strategies for own in defaults_of(one.load())]
    same = [full for full in known if full.partition(".")[2] == name]
    if same:
        return f" - did you mean {' or '.join(map(repr, same))}?"
    return did_you_mean(name, known) or f", for example {known[0]}"


def share_out(
    ensemble: Ensemble,
    chosen: Sequence[Mapping[str, Any] | None],
    returns: Sequence[Any],
) -> tuple[list[Sleeve], tuple[float, ...], tuple[str, ...]]:
    """Return the sleeves of a test, every member's weight, and notes.

    Args:
        ensemble: the members.
        chosen: parameters of each member by their names in the run; None: nothing was found for
            it in training, so it stays out.
        returns: daily returns of the chosen parameters in training, shape (days,) each; not read
            where nothing was chosen.
    """
    inside = [n for n, values in enumerate(chosen) if values is not None]
    names = [ensemble.members[n].strategy.name for n in inside]
    weights = np.zeros(len(chosen))
    notes: tuple[str, ...] = ()
    if ensemble.allocation.method == FIXED:
        # Who stays out leaves its share in cash: nobody asked for more of the others.
        every, notes = ensemble.allocation.weights_from(None, len(chosen))
        weights[inside] = every[inside]
    elif inside:
        table = np.column_stack([returns[n] for n in inside])
        weights[inside], notes = ensemble.allocation.weights_from(table, len(inside), names)
    sleeves = [
        Sleeve(
            ensemble.members[n].strategy,
            {**ensemble.members[n].space.fixed, **ensemble.members[n].own(chosen[n] or {})},
            float(weights[n]),
        )
        for n in inside
        if weights[n] > 0.0
    ]
    return sleeves, tuple(weights.tolist()), notes


def alone(member: Member, parameters: Mapping[str, Any]) -> Sleeve:
    """Return *member* with the whole account, for its search in training."""
    return Sleeve(member.strategy, {**member.space.fixed, **member.own(parameters)})
