"""What a walk-forward is asked reaches it: parameters, holes, symbols, lengths, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from run_kit import SEARCH, WINDOWS, Walk, ask

from ftbt.backtest.settings import Settings
from ftbt.config import make_experiment
from ftbt.data.parquet import write_candles
from ftbt.data.store import CandleStore
from ftbt.errors import DataError
from ftbt.risk.limits import Limits
from ftbt.walkforward.inputs import prepare
from ftbt.walkforward.ledger import Ledger
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import load_run


def test_a_repeated_parameter_set_is_evaluated_once_and_counted(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """Two possible sets, twelve trials: ten repeats with the same value."""
    fixed = {"fast": 3, "slow": 8, "band": 0.001, "side": "both"}
    inputs = ask(sma_file, market_file, strategy={"parameters": fixed}, search={"trials": 12})
    found = load_run(walk_forward(inputs, tmp_path).folder)

    own = found.trials[found.trials["window"] == 0]
    assert len(own) == 12
    assert (own["repeats"] >= 0).sum() == 10
    assert own.groupby("param_flip")["value"].nunique().max() == 1
    assert found.returns_of_window(0).shape[1] == 2
    assert found.windows["repeated_trials"][0] == 10
    assert sum(int(row.trials) for row in Ledger(tmp_path).rows()) == 60


def test_nothing_to_search_is_one_trial(tmp_path: Path, sma_file: Path, market_file: Path) -> None:
    """A strategy with all parameters fixed is tested as it is."""
    fixed = {"fast": 3, "slow": 8, "band": 0.001, "side": "both", "flip": False}
    inputs = ask(sma_file, market_file, strategy={"parameters": fixed})
    found = load_run(walk_forward(inputs, tmp_path).folder)

    assert found.summary.trials == 5
    assert found.manifest.search.trials == 1
    assert set(found.windows["parameters"]) == {"{}"}


def test_holes_split_and_never_cross(tmp_path: Path, sma_file: Path, walk: Walk) -> None:
    """Refused by default; split, no trade spans the hole, and a window with too little fails."""
    candles = walk("BTC", 720, 3)
    store = CandleStore(tmp_path / "store")
    kept = np.concatenate((candles.bars[:300], candles.bars[330:480], candles.bars[570:]))
    store.append("binance", kept, "BTC", "1h")
    plain: dict[str, Any] = {
        "strategy": {"name": str(sma_file)},
        "data": {"source": "binance", "timeframe": "1h"},
        "walk_forward": WINDOWS,
        "search": SEARCH,
    }
    with pytest.raises(DataError, match="missing"):
        prepare(make_experiment(plain), store=store.root)
    plain["data"]["holes"] = "split"

    inputs = prepare(make_experiment(plain), store=store.root)
    found = load_run(walk_forward(inputs, tmp_path / "results").folder)

    assert inputs.manifest.data[0].segments == 3
    assert inputs.manifest.data[0].missing_bars == 120
    # Tests: 216-312, 312-408, 408-504, 504-600, 600-696; missing 300-329 and 480-569; after each
    # hole 24 bars of warm-up. The last training (408-600) has 72 + 6 bars.
    assert list(found.windows["test_bars"]) == [84, 54, 72, 0, 0]
    assert "only 6 of 96 test bars can be traded" in found.windows["reason"][3]
    assert "only 78 of 192 training bars can be traded" in found.windows["reason"][4]
    time = candles.time
    for first, last in ((300, 330), (480, 570)):
        before = found.trades["entry_time"] < pd.Timestamp(int(time[first]), unit="ms", tz="UTC")
        after = found.trades["exit_time"] >= pd.Timestamp(int(time[last]), unit="ms", tz="UTC")
        assert not (before & after).any()
    profit = found.summary.out_of_sample["net_profit"]
    assert (found.trades["net"] * found.trades["scale"]).sum() == pytest.approx(profit)


def test_several_symbols_share_parameters_and_account(
    tmp_path: Path, sma_file: Path, walk: Walk
) -> None:
    """One choice per window for both; one account; the clock is what they share."""
    store = CandleStore(tmp_path / "store")
    store.append("binance", walk("BTC", 720, 3).bars, "BTC", "1h")
    store.append("binance", walk("ETH", 700, 4).bars[10:], "ETH", "1h")
    plain: dict[str, Any] = {
        "strategy": {"name": str(sma_file)},
        "data": {"source": "binance", "timeframe": "1h", "symbols": ["BTC", "ETH"]},
        "walk_forward": {**WINDOWS, "anchored": True, "embargo": "6h", "purge": "2h"},
        "search": {**SEARCH, "selection": "plateau"},
    }
    inputs = prepare(make_experiment(plain), store=store.root)
    found = load_run(walk_forward(inputs, tmp_path / "results").folder)

    assert inputs.manifest.run_id.startswith("sma_cross-BTC+ETH-1h-")
    assert inputs.clock.bars == 690
    assert set(found.trades["symbol"]) == {"BTC", "ETH"}
    assert len(found.windows["parameters"]) == len(found.windows)
    profit = found.summary.out_of_sample["net_profit"]
    assert (found.trades["net"] * found.trades["scale"]).sum() == pytest.approx(profit)
    assert found.equity["buy_and_hold"].iloc[0] == pytest.approx(10_000.0, rel=0.05)


def test_a_matching_fingerprint_is_accepted(sma_file: Path, market_file: Path) -> None:
    """Its first digits are enough."""
    own = ask(sma_file, market_file).manifest.data[0].fingerprint

    assert ask(sma_file, market_file, data={"fingerprint": own[:12]}).manifest.data[0].bars == 720


def test_a_shorter_last_test_is_kept_when_asked(sma_file: Path, market_file: Path) -> None:
    """30 days end one day after the fifth test."""
    inputs = ask(sma_file, market_file, walk_forward={"short_last": True})

    assert [len(window.test) for window in inputs.windows] == [96] * 5 + [24]


def test_settings_reach_every_backtest(tmp_path: Path, sma_file: Path, market_file: Path) -> None:
    """Higher fees make the same trades cost more."""
    inputs = ask(sma_file, market_file, backtest={"taker_fee": 0.005, "capital": 2000.0})
    found = load_run(walk_forward(inputs, tmp_path).folder)

    assert inputs.settings == Settings(capital=2000.0, taker_fee=0.005, limits=Limits.none())
    assert found.summary.capital == 2000.0
    assert found.manifest.settings["taker_fee"] == 0.005
    notional = (found.trades["size"] * found.trades["entry_price"]).sum() * 2
    assert found.trades["fees"].sum() == pytest.approx(0.005 * notional, rel=0.1)


def test_candles_of_a_file_are_named_without_their_folder(tmp_path: Path, sma_file: Path,
                                                          walk: Walk) -> None:  # fmt: skip
    """Results can be shown to others."""
    path = tmp_path / "private" / "ETH-1h.parquet"
    write_candles(path, walk("ETH", 720, 5))
    inputs = ask(sma_file, path, data={"symbols": ["ETH"]})

    assert "private" not in json.dumps(inputs.manifest.command)
    assert "private" not in inputs.manifest.data[0].source
