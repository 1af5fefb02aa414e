"""A working folder for commands: one strategy of the user's, one file of candles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftbt.data.candles import Candles, make_bars
from ftbt.data.parquet import write_candles
from ftbt.data.timeframe import HOUR_MS


def enter_place(folder: Path, monkeypatch: pytest.MonkeyPatch, cross: str) -> Path:
    """Make *folder* the working one, with strategies/cross.py and BTC-1h.parquet (20 days)."""
    (folder / "strategies").mkdir()
    (folder / "strategies" / "cross.py").write_text(cross)
    random = np.random.default_rng(2)
    close = 1000.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, 480)))
    opens = np.concatenate(([1000.0], close[:-1]))
    time = 1_704_067_200_000 + HOUR_MS * np.arange(480)
    high, low = np.maximum(opens, close) * 1.001, np.minimum(opens, close) / 1.001
    bars = make_bars(time, opens, high, low, close, np.ones(480))
    write_candles(folder / "BTC-1h.parquet", Candles.checked("BTC", "1h", bars))
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FTBT_STRATEGIES", raising=False)
    return folder
