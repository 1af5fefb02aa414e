"""Small walk-forwards of moving averages: how tests ask for them and compare their folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftbt.config import make_experiment
from ftbt.data.candles import Candles
from ftbt.walkforward.inputs import Inputs, prepare

Walk = Callable[..., Candles]


WINDOWS = {"train": "8d", "test": "4d"}


SEARCH = {"trials": 6, "min_trades": 3}


def ask(sma_file: Path, market_file: Path, **tables: dict[str, Any]) -> Inputs:
    """Return the inputs of a small walk-forward; *tables* change single keys."""
    plain: dict[str, dict[str, Any]] = {
        "strategy": {"name": str(sma_file)},
        "data": {"source": str(market_file), "timeframe": "1h"},
        "walk_forward": WINDOWS,
        "search": SEARCH,
        "risk": {"limits": "none"},
    }
    for name, table in tables.items():
        plain[name] = {**plain.get(name, {}), **table}
    return prepare(make_experiment(plain))


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that must not differ."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "timing.json"
    }
