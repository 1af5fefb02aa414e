"""Makes the helper modules importable, and a true walk-forward to report on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ftbt.config import make_experiment
from ftbt.data.candles import Candles, make_bars
from ftbt.data.parquet import write_candles
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.run import walk_forward

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

START_MS = 1_704_067_200_000  # 2024-01-01
HOUR_MS = 3_600_000


def random_walk(bars: int, seed: int) -> Candles:
    """Return a random walk of 1h bars with volume."""
    random = np.random.default_rng(seed)
    close = 40_000.0 * np.exp(np.cumsum(random.normal(0.0, 0.006, bars)))
    opens = np.concatenate(([40_000.0], close[:-1]))
    wick = 1.0 + np.abs(random.normal(0.0, 0.003, (2, bars)))
    high, low = np.maximum(opens, close) * wick[0], np.minimum(opens, close) / wick[1]
    time = START_MS + HOUR_MS * np.arange(bars)
    columns = (opens, high, low, close, random.uniform(1.0, 9.0, bars))
    return Candles.checked("BTC", "1h", make_bars(time, *columns), source="random walk")


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
