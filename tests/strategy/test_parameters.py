"""Parameters: ranges, presets, search space, and what a wrong one says."""

from __future__ import annotations

import backtrader as bt
import pytest

from ftbt.data.timeframe import Timeframe
from ftbt.errors import ParameterError, StrategyBroken
from ftbt.ranges import Bool, Choice, Float, Int, pack
from ftbt.strategy import SetupStrategy
from ftbt.strategy.parameters import ranges_of, resolve, tunable, warmup_bars


class Wide(SetupStrategy):
    """A strategy that widens a base range and presets one timeframe."""

    params = dict(swing=5, min_rr=2.0)
    ranges = dict(swing=Int(2, 20), min_rr=Float(1.0, 9.0))
    presets = {"1h": dict(swing=3)}


class Plain(bt.Strategy):
    """An ordinary Backtrader strategy."""

    params = (("fast", 10), ("label", "x"), ("factor", 1.5), ("on", True), ("anything", None))


def test_defaults_then_preset_then_given() -> None:
    """What the user gives beats the timeframe's preset, which beats the default."""
    assert resolve(Wide, {}, "15m")["swing"] == 5
    assert resolve(Wide, {}, "1h")["swing"] == 3
    assert resolve(Wide, {"swing": 9}, "1h")["swing"] == 9


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_rr": -5}, "min_rr must be a number from 1 to 9, not -5"),
        ({"swing": 2.5}, "swing must be a whole number from 2 to 20, not 2.5"),
        ({"swign": 3}, "did you mean 'swing'?"),
        ({"direction": "up"}, "'both', 'long', 'short'"),
        ({"break_even": "perhaps"}, "break_even must be true or false"),
        ({"risk_per_trade": float("nan")}, "risk_per_trade must be a number"),
        ({"swing": True}, "swing must be a whole number"),
    ],
)
def test_a_wrong_parameter_says_what_is_right(given: dict[str, object], message: str) -> None:
    """The error names the strategy, the parameter, the value and the range or nearest name."""
    with pytest.raises(ParameterError, match="Wide") as caught:
        resolve(Wide, given)

    assert message in str(caught.value)


def test_only_declared_tunable_ranges_are_searched() -> None:
    """The search space is the strategy's own ranges, not the base's risk settings."""
    assert set(tunable(Wide)) == {"swing", "min_rr"}
    assert tunable(Plain) == {}


def test_a_plain_strategy_keeps_its_types() -> None:
    """Parameters of an ordinary Backtrader strategy are held to the type of their default."""
    assert resolve(Plain, {"fast": 20})["fast"] == 20
    assert resolve(Plain, {})["anything"] is None
    with pytest.raises(ParameterError, match="fast must be a whole number"):
        resolve(Plain, {"fast": 1.5})


def test_a_class_that_breaks_its_own_ranges_is_broken() -> None:
    """Defaults outside of the declared ranges, or ranges without a parameter, are told apart."""

    class Outside(SetupStrategy):
        params = dict(swing=50)
        ranges = dict(swing=Int(2, 20))

    class Missing(SetupStrategy):
        ranges = dict(nothing=Int(2, 20))

    with pytest.raises(StrategyBroken, match="swing must be"):
        resolve(Outside, {})
    with pytest.raises(StrategyBroken, match="'nothing'"):
        ranges_of(Missing)


def test_warm_up_covers_the_stated_days() -> None:
    """The warm-up follows the class's days, at least the stated number of bars."""
    assert warmup_bars(Wide, Timeframe.parse("15m")) == 30 * 96
    assert warmup_bars(Wide, Timeframe.parse("1d")) == 300
    assert warmup_bars(Plain, Timeframe.parse("15m")) == 300


def test_values_can_be_written_on_a_command_line() -> None:
    """Text becomes a value of the parameter's kind, or a clear error."""
    assert Int(1, 5).parse("n", "3") == 3
    assert Float(0, 1).parse("x", "0.5") == 0.5
    assert Bool().parse("b", "yes") is True
    assert Choice("up", "down").parse("c", "up") == "up"
    with pytest.raises(ParameterError, match="n must be a whole number from 1 to 5, not 'three'"):
        Int(1, 5).parse("n", "three")
    with pytest.raises(ParameterError, match="did you mean 'down'"):
        Choice("up", "down").parse("c", "dwon")


def test_packing_keeps_every_value() -> None:
    """Compiled code sees words as positions and truth as 0 or 1."""
    ranges = dict(n=Int(0, 9), x=Float(0, 1), c=Choice("a", "b"), b=Bool())

    packed = pack(ranges, dict(n=3, x=0.25, c="b", b=True))

    assert packed[0].tolist() == (3, 0.25, 1, 1)
