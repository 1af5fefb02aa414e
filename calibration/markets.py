"""The markets of the calibration: two generators without an edge, and how an edge is planted.

`sample` is the embedded synthetic market (`ftbt.data.sample`): a 15-second martingale with
multifractal volatility, seasons, and hunts for stops, with funding. `garch` is another kind
altogether: hourly variance by GJR-GARCH(1,1), moves of Student's t with 4 degrees of freedom, no
season, no hunts, no funding. Both are martingales: no strategy has an expected gross profit.

**The planted edge.** A strategy with its own parameters is run over the path that has no edge,
without costs. After each bar in which it entered, the price drifts its way for HORIZON bars, in all
by `edge` units of local volatility (root mean square return of the last VOLATILITY_BARS bars, times
the root of HORIZON). What decides about the drift of a bar is known before that bar, so it is an
edge that a strategy can have; the walk-forward still has to find parameters that enter there, pays
all costs, and is never told. Only what a bar means is changed, not how wild it is.

Sources: Glosten, Jagannathan and Runkle, On the Relation between the Expected Value and the
Volatility of the Nominal Excess Return on Stocks, J. Finance 48(5), 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.settings import Settings
from ftbt.data.candles import BAR, Bars, Candles
from ftbt.data.market import Market, instrument_for
from ftbt.data.precision import round_price
from ftbt.data.sample import START, sample_market
from ftbt.data.timeframe import HOUR_MS, Timeframe, to_ms
from ftbt.errors import InputError, did_you_mean
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SYMBOL = "BTC"
TIMEFRAME = "1h"
HORIZON = 16
VOLATILITY_BARS = 96
MAX_EDGE = 3.0

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES: Mapping[str, Path] = MappingProxyType(
    {
        "liquidity_sweep": ROOT / "strategies" / "liquidity_sweep.py",
        "fvg_fill": ROOT / "strategies" / "fvg_fill.py",
        "bos_orderblock": ROOT / "strategies" / "bos_orderblock.py",
        "shock": Path(__file__).resolve().parent / "strategies" / "shock.py",
    }
)

# GJR-GARCH of an hour: persistence 0.985, half of the reaction to losses only.
_ALPHA, _GAMMA, _BETA = 0.05, 0.05, 0.91
_FREEDOM = 4.0
_INSIDE = 12  # moves in an hour
_DAILY = 0.025
_PRICE = 42_000.0
_FREE = Settings(
    taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0, limits=Limits.none()
)


def market(generator: str, seed: int, days: int, strategy: str, edge: float) -> Market:
    """Return one market.

    Args:
        generator: `sample` or `garch`.
        seed: of the path, 0 or more.
        days: length.
        strategy: whose entries the edge follows, a name of STRATEGIES.
        edge: drift after an entry in units of local volatility, -3 to 3; 0 for none.

    Raises:
        InputError: an unknown name or a value out of its range.
    """
    if generator not in GENERATORS:
        hint = did_you_mean(generator, GENERATORS) or f"; there are: {', '.join(GENERATORS)}"
        raise InputError(f"no market generator {generator!r}{hint}")
    if strategy not in STRATEGIES:
        hint = did_you_mean(strategy, STRATEGIES) or f"; there are: {', '.join(STRATEGIES)}"
        raise InputError(f"no strategy {strategy!r} in the calibration{hint}")
    if not abs(edge) <= MAX_EDGE:
        raise InputError(f"edge must be from -{MAX_EDGE:g} to {MAX_EDGE:g}, not {edge}")
    path = _without_edge(generator, seed, days)
    return path if edge == 0.0 else planted(path, STRATEGIES[strategy], edge)


@lru_cache(maxsize=2)
def _without_edge(generator: str, seed: int, days: int) -> Market:
    return GENERATORS[generator](seed, days)


def _sample(seed: int, days: int) -> Market:
    return sample_market((SYMBOL,), TIMEFRAME, days, seed=seed)[SYMBOL]


def _garch(seed: int, days: int) -> Market:
    """Return hourly bars of a GJR-GARCH martingale, each made of _INSIDE moves."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x6A72])))
    hours = days * 24
    draws = rng.standard_t(_FREEDOM, (hours, _INSIDE)) * np.sqrt((_FREEDOM - 2.0) / _FREEDOM)
    mean = _DAILY * _DAILY / 24.0
    variance = mean
    steps = np.empty((hours, _INSIDE))
    for hour in range(hours):
        steps[hour] = draws[hour] * np.sqrt(variance / _INSIDE)
        move = float(steps[hour].sum())
        shock = (_ALPHA + _GAMMA * (move < 0.0)) * move * move
        # A cap, as an exchange has: without it the fourth moment of such a market is infinite.
        variance = min(100.0 * mean, mean * (1 - _ALPHA - _GAMMA / 2 - _BETA)
                       + shock + _BETA * variance)  # fmt: skip
    prices = _PRICE * np.cumprod(1.0 + np.clip(steps, -0.5, 0.5).ravel()).reshape(hours, _INSIDE)
    opens = np.concatenate(([_PRICE], prices[:-1, -1]))
    bars = np.zeros(hours, BAR)
    bars["time"] = to_ms(START) + HOUR_MS * np.arange(hours, dtype=np.int64)
    bars["open"], bars["close"] = opens, prices[:, -1]
    bars["high"] = np.maximum(opens, prices.max(axis=1))
    bars["low"] = np.minimum(opens, prices.min(axis=1))
    bars["volume"] = np.abs(steps).sum(axis=1) / _DAILY * rng.standard_gamma(4.0, hours) * 1_000.0
    instrument = instrument_for(SYMBOL)
    return Market(_candles(_on_ticks(bars, instrument.size_decimals), "GJR-GARCH"), instrument)


GENERATORS: Mapping[str, Callable[[int, int], Market]] = MappingProxyType(
    {"sample": _sample, "garch": _garch}
)


def _candles(bars: Bars, source: str) -> Candles:
    return Candles(SYMBOL, Timeframe.parse(TIMEFRAME), bars, f"calibration, {source}", True)


def _on_ticks(bars: Bars, size_decimals: int) -> Bars:
    for name in ("open", "high", "low", "close"):
        bars[name] = [round_price(price, size_decimals) for price in bars[name].tolist()]
    return bars


def planted(path: Market, strategy: Path, edge: float) -> Market:
    """Return *path* with a drift of *edge* after each entry of *strategy*; see the module."""
    trades = run_backtest(find_strategy(str(strategy)), path, settings=_FREE).trades
    log_drift = drift_after(path.candles.close, trades["entry_bar"], trades["side"], edge)
    after = np.exp(np.cumsum(log_drift))
    before = np.concatenate(([1.0], after[:-1]))
    bars = np.array(path.candles.bars)
    bars["open"] *= before
    bars["close"] *= after
    middle = np.sqrt(before * after)
    bars["high"] = np.maximum.reduce([bars["high"] * middle, bars["open"], bars["close"]])
    bars["low"] = np.minimum.reduce([bars["low"] * middle, bars["open"], bars["close"]])
    bars = _on_ticks(bars, path.instrument.size_decimals)
    source = f"{path.candles.source}, edge {edge:g} after entries of {strategy.stem}"
    return replace(path, candles=_candles(bars, source))


def drift_after(close: Floats, entry_bar: Ints, side: Ints, edge: float) -> Floats:
    """Return the drift of each bar in logarithms of the price, shape (n,).

    One drift runs at a time: a new entry ends the last one.

    Args:
        close: of the path without an edge, shape (n,).
        entry_bar: bars in which a position was opened, rising, shape (m,).
        side: +1 or -1 of each, shape (m,).
        edge: sum of a whole drift, in units of local volatility.
    """
    moves = np.diff(np.log(close), prepend=np.log(close[0]))
    total = np.concatenate(([0.0], np.cumsum(moves * moves)))
    drift = np.zeros(len(close))
    for number, (bar, way) in enumerate(zip(entry_bar.tolist(), side.tolist(), strict=True)):
        if bar < VOLATILITY_BARS:
            continue
        last = len(close) if number + 1 == len(entry_bar) else int(entry_bar[number + 1]) + 1
        known = (total[bar + 1] - total[bar + 1 - VOLATILITY_BARS]) / VOLATILITY_BARS
        stop = min(bar + 1 + HORIZON, last)
        drift[bar + 1 : stop] = way * edge * np.sqrt(known * HORIZON) / HORIZON
    return drift
