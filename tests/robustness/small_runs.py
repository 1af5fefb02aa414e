"""Small whole walk-forwards for tests of the assessment, on markets with and without an edge."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ftbt.config import make_experiment
from ftbt.data.candles import Candles, make_bars
from ftbt.data.store import CandleStore
from ftbt.data.timeframe import HOUR_MS
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.result import Run
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import load_run

_HELPERS = Path(__file__).parents[1] / "walkforward" / "conftest.py"


def helpers() -> ModuleType:
    """Return the walk-forward tests' market and strategy."""
    spec = spec_from_file_location("walkforward_test_helpers", _HELPERS)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trending(symbol: str, bars: int, seed: int) -> Candles:
    """Return a market whose direction lasts for half a day: moving averages earn on it."""
    random = np.random.default_rng(seed)
    length = random.integers(8, 15, bars)
    side = np.where(np.arange(bars) % 2 == 0, 1.0, -1.0)
    drift = np.repeat(side, length)[:bars] * 0.007
    close = 1000.0 * np.exp(np.cumsum(drift + random.normal(0.0, 0.004, bars)))
    opens = np.concatenate(([1000.0], close[:-1]))
    wick = 1.0 + np.abs(random.normal(0.0, 0.001, (2, bars)))
    time = helpers().START_MS + HOUR_MS * np.arange(bars)
    high, low = np.maximum(opens, close) * wick[0], np.minimum(opens, close) / wick[1]
    columns = (opens, high, low, close, random.uniform(1.0, 9.0, bars))
    return Candles.checked(symbol, "1h", make_bars(time, *columns), source="trending")


def ask(
    folder: Path,
    candles: Sequence[Candles],
    strategies: Sequence[str] = ("sma_cross",),
    **tables: dict[str, Any],
) -> Inputs:
    """Return the inputs of a small walk-forward of moving averages on *candles*.

    Each of *strategies* is a file of its own with the same class; *tables* change single keys.
    """
    store = CandleStore(folder / "store")
    for one in candles:
        store.append("binance", one.bars, one.symbol, "1h")
    files = [folder / f"{name}.py" for name in strategies]
    for file in files:
        name = "".join(part.capitalize() for part in file.stem.split("_"))
        file.write_text(helpers().SMA_CROSS.replace("SmaCross", name))
    plain: dict[str, dict[str, Any]] = {
        "strategy": {"name": ",".join(map(str, files))},
        "data": {
            "source": "binance",
            "timeframe": "1h",
            "symbols": [one.symbol for one in candles],
            "holes": "split",
        },
        "walk_forward": {"train": "30d", "test": "10d"},
        "search": {"trials": 6, "min_trades": 3},
        "risk": {"limits": "none"},
    }
    for name, table in tables.items():
        plain[name] = {**plain.get(name, {}), **table}
    return prepare(make_experiment(plain), store=store.root)


def run_of(inputs: Inputs, results: Path) -> Run:
    """Return the finished run."""
    return load_run(walk_forward(inputs, results).folder)
