"""Both engines on the bars that nobody optimised on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.sample import sample_market
from ftbt.errors import IntegrityError
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.evaluate import Evaluation, evaluate
from ftbt.walkforward.parity import Parity, checked_on_reference, compare
from ftbt.walkforward.pieces import Piece, SymbolPieces

FOLDER = Path(__file__).parents[2] / "strategies"
MONEY = Settings()
OFTEN = {"min_confidence": 0.0, "bias": "none", "min_rr": 0.5}


@pytest.fixture(scope="module")
def sleeves() -> list[Sleeve]:
    """Return two strategies that the compiled engine runs."""
    return [
        Sleeve(find_strategy(str(FOLDER / f"{name}.py")), OFTEN, share)
        for name, share in (("liquidity_sweep", 0.7), ("fvg_fill", 0.3))
    ]


@pytest.fixture(scope="module")
def pieces() -> tuple[SymbolPieces, ...]:
    """Return 35 days of two symbols of the synthetic market, 30 of them warm-up."""
    markets = sample_market(("BTC", "ETH"), days=35, seed=5)
    return tuple(SymbolPieces(symbol, (Piece(markets[symbol], 2880),)) for symbol in ("BTC", "ETH"))


@pytest.fixture(scope="module")
def found(sleeves: list[Sleeve], pieces: tuple[SymbolPieces, ...]) -> Evaluation:
    """Return what the compiled engine makes of it."""
    return evaluate(sleeves, pieces, MONEY)


def test_the_engines_agree_trade_for_trade(
    sleeves: list[Sleeve], pieces: tuple[SymbolPieces, ...], found: Evaluation
) -> None:
    """Every trade of the compiled engine, of each strategy and symbol, is one of the reference."""
    assert found.engine == "compiled"
    whose = set(
        zip(found.trades["strategy"].tolist(), found.trades["symbol"].tolist(), strict=True)
    )
    assert whose == {(0, 0), (0, 1), (1, 0), (1, 1)}

    parity = checked_on_reference(sleeves, pieces, MONEY, found)

    assert parity is not None
    assert parity.identical == parity.trades == found.metrics.trades > 10
    assert parity.equity_gap <= 1e-9


def changed(found: Evaluation, field: str, factor: float) -> Evaluation:
    """Return *found* with one field of its last trade changed."""
    trades = found.trades.copy()
    trades[field][-1] *= factor
    return replace(found, trades=trades)


@pytest.mark.parametrize(
    ("field", "factor"),
    [("exit_price", 1.0 + 1e-6), ("size", 1.001), ("side", -1.0), ("exit_time", 2.0), ("fees", 2)],
)
def test_a_single_different_figure_is_noticed(found: Evaluation, field: str, factor: float) -> None:
    """One trade less is identical."""
    count = found.metrics.trades

    assert compare(found, found) == Parity(count, count, 0.0)
    assert compare(found, changed(found, field, factor)) == Parity(count, count - 1, 0.0)


@pytest.mark.parametrize("field", ["strategy", "symbol"])
def test_another_owner_is_noticed(found: Evaluation, field: str) -> None:
    """The same trade of another strategy or symbol is another trade."""
    trades = found.trades.copy()
    trades[field][-1] = 1 - trades[field][-1]
    count = found.metrics.trades

    assert compare(found, replace(found, trades=trades)) == Parity(count, count - 1, 0.0)


def test_a_missing_trade_is_noticed(found: Evaluation) -> None:
    """The engine that made more decides how many there are."""
    count = found.metrics.trades

    assert compare(found, replace(found, trades=found.trades[:-1])) == Parity(count, count - 1, 0.0)


def test_a_difference_is_an_error_that_says_what_to_do(
    sleeves: list[Sleeve], pieces: tuple[SymbolPieces, ...], found: Evaluation
) -> None:
    """In a walk-forward it fails the window."""
    with pytest.raises(IntegrityError, match=r"the engines disagree: .* use --engine reference"):
        checked_on_reference(sleeves, pieces, MONEY, changed(found, "exit_price", 1.01))
    bent = replace(found, equity=found.equity * 1.0001)
    with pytest.raises(IntegrityError, match=r"equity differs by up to 0\.000"):
        checked_on_reference(sleeves, pieces, MONEY, bent)


def test_the_reference_engine_is_not_compared_with_itself(
    sleeves: list[Sleeve], pieces: tuple[SymbolPieces, ...], found: Evaluation
) -> None:
    """There is nothing to compare."""
    by_reference = replace(found, engine="reference")

    assert checked_on_reference(sleeves, pieces, MONEY, by_reference) is None
