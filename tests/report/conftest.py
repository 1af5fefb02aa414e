"""Makes the helper modules importable, and a true walk-forward to report on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ftbt.config import make_experiment
from ftbt.data.candles import Candles, make_bars
from ftbt.data.parquet import write_candles
from ftbt.data.store import CandleStore
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.run import walk_forward

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

START_MS = 1_704_067_200_000  # 2024-01-01
HOUR_MS = 3_600_000


def random_walk(bars: int, seed: int, symbol: str = "BTC") -> Candles:
    """Return a random walk of 1h bars with volume."""
    random = np.random.default_rng(seed)
    close = 40_000.0 * np.exp(np.cumsum(random.normal(0.0, 0.006, bars)))
    opens = np.concatenate(([40_000.0], close[:-1]))
    wick = 1.0 + np.abs(random.normal(0.0, 0.003, (2, bars)))
    high, low = np.maximum(opens, close) * wick[0], np.minimum(opens, close) / wick[1]
    time = START_MS + HOUR_MS * np.arange(bars)
    columns = (opens, high, low, close, random.uniform(1.0, 9.0, bars))
    return Candles.checked(symbol, "1h", make_bars(time, *columns), source="random walk")


@pytest.fixture(scope="session")
def true_inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Return the inputs of a small walk-forward of a shipped strategy."""
    path = tmp_path_factory.mktemp("candles") / "BTC-1h.parquet"
    write_candles(path, random_walk(2000, 5))
    plain = {
        "strategy": {
            "name": "liquidity_sweep",
            "parameters": {"min_confidence": 0, "bias": "none", "stop_atr": 0.5},
        },
        "data": {"source": str(path), "timeframe": "1h"},
        "walk_forward": {"train": "20d", "test": "15d"},
        "search": {"trials": 2, "min_trades": 1},
    }
    return prepare(make_experiment(plain))


@pytest.fixture(scope="session")
def true_run(true_inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of that walk-forward, without examples or report."""
    return walk_forward(true_inputs, tmp_path_factory.mktemp("results")).folder


@pytest.fixture(scope="session")
def true_portfolio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, Path]:
    """Return inputs and run folder of two shipped strategies on two symbols."""
    store = CandleStore(tmp_path_factory.mktemp("store"))
    for symbol, seed in (("BTC", 5), ("ETH", 6)):
        store.append("binance", random_walk(2000, seed, symbol).bars, symbol, "1h")
    names = ("liquidity_sweep", "fvg_fill")
    often = {"min_confidence": 0, "bias": "none", "stop_atr": 0.5}
    plain = {
        "strategy": {
            "name": ",".join(names),
            "parameters": {f"{one}.{name}": often[name] for one in names for name in often},
        },
        "data": {"source": "binance", "symbols": ["BTC", "ETH"], "timeframe": "1h"},
        "walk_forward": {"train": "20d", "test": "15d"},
        "search": {"trials": 2, "min_trades": 1},
        "allocation": {"method": "inverse-volatility"},
    }
    inputs = prepare(make_experiment(plain), store=store.root)
    return inputs, walk_forward(inputs, tmp_path_factory.mktemp("portfolios")).folder
