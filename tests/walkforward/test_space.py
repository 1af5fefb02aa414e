"""Which parameters are searched, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftbt.data.timeframe import Timeframe
from ftbt.errors import ConfigError, ParameterError
from ftbt.ranges import Bool, Choice, Float, Int
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.space import describe, normalised, space_of


@pytest.fixture(scope="module")
def cls(sma_file: Path) -> type[Any]:
    """Return the strategy class."""
    return find_strategy(str(sma_file)).load()


def test_all_tunable_parameters_are_searched_from_the_defaults(
    cls: type[Any], hour: Timeframe
) -> None:
    """What is declared not to be tuned keeps out; the first trial is the strategy's own."""
    space = space_of(cls, hour, {}, {})

    assert list(space.ranges) == ["fast", "slow", "band", "side", "flip"]
    # `slow` moves in steps of 4 from 8, so its default 10 can't be asked for: 8 is nearest (even).
    assert space.first == {"fast": 3, "slow": 8, "band": 0.001, "side": "both", "flip": False}
    assert space.defaults["note"] == "x"


def test_a_fixed_parameter_leaves_the_search(cls: type[Any], hour: Timeframe) -> None:
    """It keeps its value in every trial."""
    space = space_of(cls, hour, {"fast": 4}, {})

    assert "fast" not in space.ranges
    assert space.fixed == {"fast": 4}
    assert space.defaults["fast"] == 4


def test_ranges_can_be_narrowed(cls: type[Any], hour: Timeframe) -> None:
    """Numbers by [low, high], choices by their words; the first trial moves inside."""
    narrowed = {"slow": (14, 19), "band": (0.002, 0.005), "side": ("long",), "note": ("x", "y")}
    space = space_of(cls, hour, {}, narrowed)

    assert space.ranges["slow"] == Int(14, 18, 4)
    assert space.ranges["band"] == Float(0.002, 0.005, log=True)
    assert space.ranges["side"] == Choice("long")
    assert space.ranges["note"] == Choice("x", "y")
    assert space.first == {
        "fast": 3,
        "slow": 14,
        "band": 0.002,
        "side": "long",
        "flip": False,
        "note": "x",
    }


@pytest.mark.parametrize(
    ("narrowed", "message"),
    [
        ({"fsat": (2, 3)}, "has no parameter 'fsat' - did you mean 'fast'"),
        ({"fast": (1, 3)}, "fast must be a whole number from 2 to 6, not 1"),
        ({"fast": (5, 3)}, r"the range \[5, 3\] is upside down"),
        ({"fast": (3,)}, r"a range is \[low, high\], not \[3\]"),
        ({"side": ("short",)}, "side must be one of 'both', 'long', not 'short'"),
        ({"flip": (False, True)}, "flip is true or false: fix it"),
    ],
)
def test_impossible_ranges_are_refused(
    cls: type[Any], hour: Timeframe, narrowed: dict[str, Any], message: str
) -> None:
    """Each with its own sentence."""
    with pytest.raises((ConfigError, ParameterError), match=message):
        space_of(cls, hour, {}, narrowed)


def test_a_parameter_is_fixed_or_searched(cls: type[Any], hour: Timeframe) -> None:
    """Not both."""
    with pytest.raises(ConfigError, match="'fast' is both fixed and searched"):
        space_of(cls, hour, {"fast": 3}, {"fast": (2, 4)})


def test_ranges_are_described_in_plain_values() -> None:
    """What the manifest shows can be read without ftbt."""
    assert describe(Int(2, 20, 3)) == {"kind": "int", "low": 2, "high": 20, "step": 3}
    assert describe(Float(0.5, 5.0, log=True)) == {
        "kind": "float",
        "low": 0.5,
        "high": 5.0,
        "step": None,
        "log": True,
    }
    assert describe(Choice("1h", "4h")) == {"kind": "choice", "words": ["1h", "4h"]}
    assert describe(Bool()) == {"kind": "bool"}


def test_values_are_scaled_to_their_range() -> None:
    """Numbers linearly, log ranges by the logarithm, a range of one value to 0."""
    assert normalised(Int(2, 12), 7) == 0.5
    assert normalised(Float(0.01, 1.0, log=True), 0.1) == pytest.approx(0.5)
    assert normalised(Int(3, 3), 3) == 0.0
    assert normalised(Bool(), True) == 1.0
