"""Running the tests of a walk-forward again, with something changed.

Each window's chosen parameters, with their shares of the account, are run on the bars of its test,
as the walk-forward did; the windows are chained as it chains them. Unchanged, the result is the
stored record to the last cent, which `Stress.reproduced` says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.return_metrics import daily_returns
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, Funding
from ftbt.data.market import Market
from ftbt.errors import InputError
from ftbt.robustness.candle_variants import noisy_bars
from ftbt.robustness.checks import varies
from ftbt.robustness.of_run import YEAR, RunArrays, deepest
from ftbt.robustness.panel import Floats, Ints, sharpe_of
from ftbt.walkforward.evaluate import Outline, outline
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.pieces import Piece, SymbolPieces

Sleeves = Sequence[Sleeve]
Pieces = tuple[SymbolPieces, ...]


@dataclass(frozen=True, slots=True, eq=False)
class WindowTest:
    """The test of one finished window.

    Attributes:
        number: of the window.
        sleeves: the chosen parameters with their shares.
        defaults: the first parameters of the same strategies with the same shares.
        pieces: what can be traded.
        trial: of the first strategy; seeds the strategy's own dice, as in the run.
    """

    number: int
    sleeves: tuple[Sleeve, ...]
    defaults: tuple[Sleeve, ...]
    pieces: Pieces
    trial: int

    @property
    def bars(self) -> int:
        """Bars of all symbols, warm-up included."""
        return sum(len(piece.market.candles) for one in self.pieces for piece in one.pieces)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A stitched record that could have been.

    Attributes:
        equity: at the closes of the run's own bars, shape (bars,).
        returns: daily, shape (days,).
        trades: round trips.
    """

    equity: Floats
    returns: Floats
    trades: int

    def sharpe(self) -> float:
        """Return the annual Sharpe ratio; NaN when the returns do not vary."""
        if len(self.returns) < 4 or not varies(self.returns):
            return float("nan")
        return float(sharpe_of(self.returns[:, None])[0]) * YEAR


class Reruns:
    """All finished windows of a run, ready to be run again."""

    def __init__(self, arrays: RunArrays, inputs: Inputs) -> None:
        """Find what each window ran.

        Raises:
            InputError: inputs of another run.
        """
        if inputs.manifest.run_id != arrays.run.manifest.run_id:
            raise InputError(
                f"the inputs are those of {inputs.manifest.run_id}, not of the run"
                f" {arrays.run.manifest.run_id}: data, settings or the program changed since"
            )
        self.arrays = arrays
        self.inputs = inputs
        self.tests = tuple(
            test
            for row in arrays.run.windows.to_dict("records")
            if row["state"] == "done" and (test := _window_test(inputs, row)) is not None
        )
        self._grid = arrays.run.equity["window"].to_numpy()

    @property
    def bars(self) -> int:
        """Bars that one variant runs over."""
        return sum(test.bars for test in self.tests)

    @property
    def newest(self) -> WindowTest:
        """The newest finished window; its parameters are those to be traded next."""
        return self.tests[-1]

    def run(
        self,
        *,
        settings: Settings | None = None,
        pieces: Callable[[WindowTest], Pieces] | None = None,
        defaults: bool = False,
    ) -> Curve:
        """Return the record with *settings*, with other *pieces*, or with the defaults."""
        made = {}
        for test in self.tests:
            bars = test.pieces if pieces is None else pieces(test)
            sleeves = test.defaults if defaults else test.sleeves
            made[test.number] = self._evaluate(test, sleeves, bars, settings)
        return self._chain(made)

    def _evaluate(
        self, test: WindowTest, sleeves: Sleeves, pieces: Pieces, settings: Settings | None
    ) -> Outline:
        # The dice of a strategy that throws some are the trial's own, as in the run.
        seed = self.inputs.experiment.search.seed
        sequence = np.random.SeedSequence(seed, spawn_key=(test.number, test.trial))
        dice = int(sequence.generate_state(1, np.uint32)[0])
        random.seed(dice)
        np.random.seed(dice)  # noqa: NPY002 - the global generator is the one that strategies use
        return outline(
            sleeves,
            pieces,
            settings or self.inputs.settings,
            self.inputs.experiment.backtest.engine,
            allocation=self.inputs.ensemble.allocation,
        )

    def _chain(self, made: Mapping[int, Outline]) -> Curve:
        """Return the windows chained on the run's own bars; flat over failed windows."""
        capital = self.arrays.capital
        equity = np.empty(len(self.arrays.time))
        level = capital
        for number in sorted(set(self._grid.tolist())):
            own = self._grid == number
            found = made.get(number)
            if found is None:
                equity[own] = level
                continue
            last = np.searchsorted(found.time, self.arrays.time[own], side="right")
            start = found.capital
            equity[own] = np.concatenate(([start], found.equity))[last] * (level / start)
            level = float(equity[own][-1])
        returns = daily_returns(self.arrays.time, equity, capital)[1]
        return Curve(equity, returns, sum(one.trades for one in made.values()))

    def depth(self, curve: Curve) -> float:
        """Return the deepest drawdown of a curve, >= 0."""
        return deepest(curve.equity, self.arrays.capital)


def _window_test(inputs: Inputs, row: Mapping[Any, Any]) -> WindowTest | None:
    number = int(row["window"])
    chosen, weights = json.loads(row["chosen_trials"]), json.loads(row["weights"])
    parameters = json.loads(row["parameters"])
    inside = [
        (member, weight)
        for member, trial, weight in zip(inputs.ensemble.members, chosen, weights, strict=True)
        if trial >= 0 and weight > 0.0
    ]
    if not inside:
        return None
    return WindowTest(
        number=number,
        sleeves=tuple(
            Sleeve(one.strategy, {**one.space.fixed, **one.own(parameters)}, weight)
            for one, weight in inside
        ),
        defaults=tuple(
            Sleeve(one.strategy, {**one.space.fixed, **one.space.first}, weight)
            for one, weight in inside
        ),
        pieces=inputs.task(inputs.windows[number], Path(), None).test,
        trial=next(trial for trial in chosen if trial >= 0),
    )


def with_costs(settings: Settings, factor: float) -> Settings:
    """Return *settings* with fees and slippage times *factor*; rebates are left as they are."""
    return replace(
        settings,
        taker_fee=settings.taker_fee * factor,
        maker_fee=settings.maker_fee * (factor if settings.maker_fee > 0.0 else 1.0),
        half_spread=settings.half_spread * factor,
        slippage_atr=settings.slippage_atr * factor,
    )


def with_slippage(settings: Settings, factor: float) -> Settings:
    """Return *settings* with slippage times *factor*."""
    return replace(
        settings,
        half_spread=settings.half_spread * factor,
        slippage_atr=settings.slippage_atr * factor,
    )


def map_markets(pieces: Pieces, change: Callable[[Market], Market]) -> Pieces:
    """Return *pieces* with every market changed."""
    return tuple(
        SymbolPieces(one.symbol, tuple(Piece(change(p.market), p.trade_from) for p in one.pieces))
        for one in pieces
    )


class ScaledFunding:
    """Markets whose funding rates are times a factor; the same rates are scaled once."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        # Engines tell funding apart by its identity: one object per original.
        self._made: dict[int, tuple[Funding, Funding]] = {}

    def __call__(self, market: Market) -> Market:
        """Return *market* with its funding scaled."""
        original = market.funding
        if original is None:
            return market
        if id(original) not in self._made:
            scaled = replace(original, rate=original.rate * self.factor)
            self._made[id(original)] = (original, scaled)
        return replace(market, funding=self._made[id(original)][1])


def noisy(market: Market, seed: Sequence[int]) -> Market:
    """Return *market* with noise on its candles; finer bars inside them are left out."""
    own = market.candles
    draw = int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint32)[0])
    bars = noisy_bars(own.bars, seed=draw)
    candles = Candles(own.symbol, own.timeframe, bars, f"{own.source}, with noise", own.synthetic)
    return replace(market, candles=candles, detail=None)


def bars_of(piece: Piece) -> tuple[Ints, Floats]:
    """Return the opens in time of the bars that can be traded, and their prices.

    Prices are those of the opens with the last close at the end, shape (bars + 1,).
    """
    bars = piece.market.candles.bars[piece.trade_from :]
    return bars["time"], np.concatenate((bars["open"], bars["close"][-1:]))
