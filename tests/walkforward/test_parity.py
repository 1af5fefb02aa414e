"""Both engines on the bars that nobody optimised on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftbt.backtest.settings import Settings
from ftbt.data.sample import sample_market
from ftbt.errors import IntegrityError
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.evaluate import Evaluation, evaluate
from ftbt.walkforward.parity import Parity, checked_on_reference, compare
from ftbt.walkforward.pieces import Piece, SymbolPieces

STRATEGY = Path(__file__).parents[2] / "strategies" / "liquidity_sweep.py"
MONEY = Settings()
OFTEN = {"min_confidence": 0.0, "bias": "none", "min_rr": 0.5}


@pytest.fixture(scope="module")
def cls() -> type[Any]:
    """Return a strategy that the compiled engine runs."""
    return find_strategy(str(STRATEGY)).load()


@pytest.fixture(scope="module")
def pieces() -> tuple[SymbolPieces, ...]:
    """Return 40 days of the synthetic market, 30 of them warm-up."""
    market = sample_market(("BTC",), days=40, seed=5)["BTC"]
    return (SymbolPieces("BTC", (Piece(market, 2880),)),)


@pytest.fixture(scope="module")
def found(cls: type[Any], pieces: tuple[SymbolPieces, ...]) -> Evaluation:
    """Return what the compiled engine makes of it."""
    return evaluate(cls, pieces, OFTEN, MONEY)


def test_the_engines_agree_trade_for_trade(
    cls: type[Any], pieces: tuple[SymbolPieces, ...], found: Evaluation
) -> None:
    """Every trade of the compiled engine is also made by the reference."""
    assert found.engine == "compiled"

    parity = checked_on_reference(cls, pieces, OFTEN, MONEY, found)

    assert parity is not None
    assert parity.identical == parity.trades == found.metrics.trades > 3
    assert parity.equity_gap <= 1e-9


def changed(found: Evaluation, field: str, factor: float) -> Evaluation:
    """Return *found* with one field of its last trade changed."""
    trades = found.trades[0].trades.copy()
    trades[field][-1] *= factor
    return replace(found, trades=(replace(found.trades[0], trades=trades),))


@pytest.mark.parametrize(
    ("field", "factor"),
    [("exit_price", 1.0 + 1e-6), ("size", 1.001), ("side", -1.0), ("exit_time", 2.0), ("fees", 2)],
)
def test_a_single_different_figure_is_noticed(found: Evaluation, field: str, factor: float) -> None:
    """One trade less is identical."""
    count = found.metrics.trades

    assert compare(found, found) == Parity(count, count, 0.0)
    assert compare(found, changed(found, field, factor)) == Parity(count, count - 1, 0.0)


def test_a_missing_trade_is_noticed(found: Evaluation) -> None:
    """The engine that made more decides how many there are."""
    short = replace(found.trades[0], trades=found.trades[0].trades[:-1])
    count = found.metrics.trades

    assert compare(found, replace(found, trades=(short,))) == Parity(count, count - 1, 0.0)


def test_a_difference_is_an_error_that_says_what_to_do(
    cls: type[Any], pieces: tuple[SymbolPieces, ...], found: Evaluation
) -> None:
    """In a walk-forward it fails the window."""
    with pytest.raises(IntegrityError, match=r"the engines disagree: .* use --engine reference"):
        checked_on_reference(cls, pieces, OFTEN, MONEY, changed(found, "exit_price", 1.01))
    bent = replace(found, equity=found.equity * 1.0001)
    with pytest.raises(IntegrityError, match=r"equity differs by up to 0\.000"):
        checked_on_reference(cls, pieces, OFTEN, MONEY, bent)


def test_the_reference_engine_is_not_compared_with_itself(
    cls: type[Any], pieces: tuple[SymbolPieces, ...], found: Evaluation
) -> None:
    """There is nothing to compare."""
    by_reference = replace(found, engine="reference")

    assert checked_on_reference(cls, pieces, OFTEN, MONEY, by_reference) is None
