"""Whole walk-forwards in this process: what the run folder holds, and that it is repeatable."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from run_kit import ask, digests

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.settings import Settings
from ftbt.data.resolve import load_markets
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.ledger import Ledger
from ftbt.walkforward.result import Run
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import FRAMES, load_run, read_manifest


@pytest.fixture(scope="module")
def run(sma_file: Path, market_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run of five windows."""
    results = tmp_path_factory.mktemp("results")
    return load_run(walk_forward(ask(sma_file, market_file), results).folder)


def test_the_folder_has_all_files_and_nothing_else(run: Run) -> None:
    """Checkpoints are gone; each file is one of the documented ones."""
    names = {path.name for path in run.folder.iterdir()}

    assert names == {"manifest.json", "summary.json", "timing.json"} | {
        f"{name}.parquet" for name in FRAMES
    }


def test_windows_tell_where_they_lie_and_what_was_chosen(run: Run) -> None:
    """30 days: one of warm-up, eight of training, five tests of four days, one day left over."""
    frame = run.windows

    assert list(frame["state"]) == ["done"] * 5
    assert frame["train_start"][0] == pd.Timestamp("2024-01-02", tz="UTC")
    assert frame["test_start"][0] == pd.Timestamp("2024-01-10", tz="UTC")
    assert list(frame["test_start"][1:]) == list(frame["test_end"][:-1])
    assert list(frame["train_bars"]) == [192] * 5
    assert list(frame["test_bars"]) == [96] * 5
    assert run.manifest.plan.warmup_bars == 24
    assert run.manifest.plan.untested_bars == 24
    for row in frame.to_dict("records"):
        own = run.trials[(run.trials["window"] == row["window"])]
        best = own[own["state"] == "complete"]["value"].max()
        assert row["train_value"] == row["score"] == best == row["train_sharpe"]
        chosen = own[own["trial"] == row["chosen_trial"]].iloc[0]
        for name, value in json.loads(row["parameters"]).items():
            assert chosen[f"param_{name}"] == value


def test_trials_are_all_there_with_their_daily_returns(run: Run) -> None:
    """Six per window; each distinct one has as many daily returns as the training has days."""
    frame = run.trials

    assert list(frame.groupby("window")["trial"].count()) == [6] * 5
    assert run.summary.trials == 30
    first = frame[frame["trial"] == 0]
    assert set(first["param_fast"]) == {3}
    matrix = run.returns_of_window(2)
    distinct = frame[(frame["window"] == 2) & (frame["repeats"] < 0)]
    assert matrix.shape == (8, len(distinct))
    for _, trial in distinct.iterrows():
        grown = float(np.prod(1.0 + matrix[trial["trial"]].to_numpy()))
        assert grown == pytest.approx(1.0 + trial["metric_total_return"])


def test_the_stitched_curve_chains_the_windows(run: Run) -> None:
    """Each window starts with what the one before left; trades add up to the profit."""
    frame, windows = run.equity, run.windows

    assert len(frame) == 5 * 96
    assert frame["time"].is_monotonic_increasing
    growth = 1.0
    for row in windows.to_dict("records"):
        assert row["start_equity"] == pytest.approx(10_000.0 * growth)
        growth *= 1.0 + row["test_total_return"]
        own = frame[frame["window"] == row["window"]]["equity"]
        assert own.iloc[-1] == pytest.approx(10_000.0 * growth) == row["end_equity"]
        assert row["scale"] == row["start_equity"] / 10_000.0
    profit = run.summary.out_of_sample["net_profit"]
    assert profit == pytest.approx(frame["equity"].iloc[-1] - 10_000.0)
    assert (run.trades["net"] * run.trades["scale"]).sum() == pytest.approx(profit)
    assert run.summary.out_of_sample["trades"] == len(run.trades) > 10
    assert run.summary.evidence.days == 20


def test_a_window_can_be_repeated_by_hand(run: Run, sma_file: Path, market_file: Path) -> None:
    """The engine alone, with the parameters and the bars that the table names, agrees."""
    (market,) = load_markets(str(market_file), "BTC", "1h")
    row = run.windows.iloc[3]
    start = int(np.searchsorted(market.candles.time, row["test_start"].timestamp() * 1000))
    part = market.slice(start - 24, start + 96)
    own = run_backtest(
        find_strategy(str(sma_file)),
        part,
        json.loads(row["parameters"]),
        Settings(limits=Limits.none()),
        trade_from=24,
    )

    assert own.equity[-1] == pytest.approx(10_000.0 * (1.0 + row["test_total_return"]), rel=1e-14)
    curve = run.equity[run.equity["window"] == 3]["equity"].to_numpy()
    np.testing.assert_allclose(own.equity * row["scale"], curve, rtol=1e-14)
    hold = run.equity["buy_and_hold"].to_numpy()
    opened = float(market.candles.open[24 + 192])
    np.testing.assert_allclose(hold, 10_000.0 * market.candles.close[216:696] / opened)


def test_the_manifest_says_everything_and_nothing_of_the_machine(run: Run) -> None:
    """No path, no time of execution; a command that repeats the run."""
    text = (run.folder / "manifest.json").read_text()

    assert str(run.folder.parent) not in text
    assert os.path.expanduser("~") + "/" not in text  # noqa: PTH111 - the text is searched
    assert run.manifest.strategy.file == "sma_cross.py"
    assert run.manifest.strategy.space["slow"] == {"kind": "int", "low": 8, "high": 20, "step": 4}
    assert run.manifest.data[0].bars == 720
    assert run.manifest.versions["optuna"] == "5.0.0"
    assert run.manifest.command.startswith(
        "ftbt walkforward --strategy sma_cross.py:SmaCross --data BTC-1h.parquet --symbol BTC"
    )
    assert read_manifest(run.folder) == run.manifest


def test_the_same_question_is_not_computed_twice(run: Run, sma_file: Path,
                                                 market_file: Path) -> None:  # fmt: skip
    """The folder is found again and left alone; --force makes the same bytes anew."""
    before = digests(run.folder)
    results = run.folder.parent
    inputs = ask(sma_file, market_file)

    assert walk_forward(inputs, results).reused
    again = walk_forward(inputs, results, force=True)

    assert not again.reused
    assert digests(run.folder) == before
    assert sum(int(row.trials) for row in Ledger(results).rows()) == 30


@pytest.mark.parametrize(
    "change",
    [
        {"search": {"seed": 2}},
        {"search": {"objective": "profit_factor"}},
        {"walk_forward": {"train": "9d"}},
        {"strategy": {"parameters": {"fast": 3}}},
        {"backtest": {"taker_fee": 0.001}},
        {"risk": {"limits": "default"}},
        {"risk": {"limits": "default", "positions": 2}},
        {"allocation": {"drawdown_aware": True}},
        {"data": {"to": "2024-01-30"}},
    ],
)
def test_another_question_is_another_run(
    run: Run, sma_file: Path, market_file: Path, change: dict[str, Any]
) -> None:
    """Whatever changes the result changes the name of the folder."""
    other = ask(sma_file, market_file, **change).manifest.run_id

    assert other.startswith("sma_cross-BTC-1h-")
    assert other != run.manifest.run_id


DICE = """
import random

import numpy as np


class Dice(SmaCross):
    # Buys and sells by chance.

    def next(self):
        if random.random() < 0.3 and np.random.random() < 0.9:
            self.close() if self.position.size else self.buy(size=1.0)
"""


def test_a_strategy_that_throws_dice_is_repeatable(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """Python's and numpy's global generators are set for every trial."""
    path = tmp_path / "dice.py"
    path.write_text(sma_file.read_text() + DICE)
    inputs = ask(sma_file, market_file, strategy={"name": f"{path}:Dice"})
    one = walk_forward(inputs, tmp_path / "one").folder
    two = walk_forward(inputs, tmp_path / "two").folder

    assert digests(one) == digests(two)
    found = load_run(one)
    assert found.trials["metric_net_profit"].nunique() > 20
    chosen = found.windows.iloc[0]
    assert chosen["train_sharpe"] == chosen["train_value"]
