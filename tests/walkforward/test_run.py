"""Whole walk-forwards in this process: what the run folder holds, what fails and how."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.settings import Settings
from ftbt.config import make_experiment
from ftbt.data.candles import Candles
from ftbt.data.parquet import write_candles
from ftbt.data.resolve import load_markets
from ftbt.data.store import CandleStore
from ftbt.errors import ConfigError, DataError, InputError, ParameterError, StorageError
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.ledger import Ledger
from ftbt.walkforward.result import Run
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import FRAMES, load_run, read_manifest

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


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that must not differ."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "timing.json"
    }


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


BROKEN = """
from pathlib import Path
import sys
sys.path.append(str(Path(__file__).parent))


class Fragile({base}):
    '''Stops on the first bar after a moment.'''

    def next(self):
        if self.data.datetime.datetime(0).isoformat() >= "{moment}":
            raise ZeroDivisionError("no such price")
        super().next()
"""


def fragile(sma_file: Path, folder: Path, moment: str) -> Path:
    """Return a strategy that raises from *moment* on."""
    source = sma_file.read_text() + BROKEN.format(base="SmaCross", moment=moment)
    path = folder / "fragile.py"
    path.write_text(source)
    return path


def test_a_failed_window_is_a_value_with_a_reason(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """The others are kept, the curve is flat over it, and the place of the error is told."""
    strategy = fragile(sma_file, tmp_path, "2024-01-24")
    inputs = ask(sma_file, market_file, strategy={"name": f"{strategy}:Fragile"})
    found = load_run(walk_forward(inputs, tmp_path / "results").folder)

    # Window 3 (test 22 to 26 January) fails in its test, window 4 in all of its trials.
    assert list(found.windows["state"]) == ["done"] * 3 + ["failed"] * 2
    assert "ZeroDivisionError: no such price" in found.windows["reason"][3]
    assert found.windows["where"][3].startswith("fragile.py:")
    assert "all 6 trials failed" in found.windows["reason"][4]
    assert str(tmp_path) not in (found.folder / "summary.json").read_text()
    failed = found.trials[found.trials["window"] == 4]
    assert set(failed["state"]) == {"failed"}
    assert failed["error"].str.contains("no such price").all()
    curve = found.equity[found.equity["window"] >= 3]
    assert len(curve) == 192
    assert curve["equity"].max() == curve["equity"].min()
    assert curve["buy_and_hold"].nunique() > 100
    assert found.summary.failed_windows == 2
    assert any("window 3 failed" in note for note in found.summary.notes)
    states = [row.state for row in Ledger(tmp_path / "results").rows()]
    assert states == ["done"] * 3 + ["failed"] * 2


def test_too_few_trades_everywhere_is_a_reason(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """Nothing is chosen from noise: the window fails and says what would help."""
    inputs = ask(sma_file, market_file, search={"min_trades": 500})
    found = load_run(walk_forward(inputs, tmp_path).folder)

    assert set(found.windows["state"]) == {"failed"}
    assert "none of 6 trials made 500 trades in training (most: " in found.windows["reason"][0]
    assert set(found.trials["state"]) == {"few_trades"}
    assert found.summary.out_of_sample == {}
    assert found.summary.evidence.sentence == "No evidence of anything: every window failed."
    assert len(found.trades) == 0
    assert str(found.trades.dtypes["entry_time"]) == "datetime64[ms, UTC]"


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


def test_an_unfinished_run_is_neither_lost_nor_continued_unasked(
    tmp_path: Path, sma_file: Path, market_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error in the middle the same command explains itself; --resume goes on."""
    inputs = ask(sma_file, market_file)
    whole = walk_forward(inputs, tmp_path / "whole").folder
    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        walk_forward(inputs, tmp_path / "cut")
    monkeypatch.undo()
    folder = tmp_path / "cut" / inputs.manifest.run_id

    with pytest.raises(StorageError, match="unfinished run: continue it with --resume"):
        load_run(folder)
    with pytest.raises(InputError, match=r"3 of 5 windows done\): continue it with --resume"):
        walk_forward(inputs, tmp_path / "cut")
    walk_forward(inputs, tmp_path / "cut", resume=True)

    assert digests(folder) == digests(whole)
    assert load_run(folder).timing.resumed == 1
    assert sum(int(row.trials) for row in Ledger(tmp_path / "cut").rows()) == 30


def stop_after(windows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Ctrl-C arrive when so many windows are done."""
    from ftbt.walkforward import workers

    done: list[int] = []
    real = workers.run_window

    def interrupted(task: Any) -> int:
        if len(done) == windows:
            raise KeyboardInterrupt
        done.append(real(task))
        return done[-1]

    monkeypatch.setattr(workers, "run_window", interrupted)


def test_a_killed_run_is_counted_by_the_next_one(
    tmp_path: Path, sma_file: Path, market_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next writes down what the dead one could not."""
    first, second = ask(sma_file, market_file), ask(sma_file, market_file, search={"seed": 2})
    stop_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        walk_forward(first, tmp_path)
    monkeypatch.undo()
    (tmp_path / "ledger.csv").unlink()

    found = walk_forward(second, tmp_path)

    assert found.earlier.trials == found.earlier.of_strategy == 12
    counted = Ledger(tmp_path).counted(first.manifest.run_id)
    assert counted == {0: 6, 1: 6}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"search": {"objective": "sharp"}}, ConfigError, "did you mean 'sharpe'"),
        ({"backtest": {"engine": "referense"}}, ConfigError, "did you mean 'reference'"),
        ({"backtest": {"capital": -5.0}}, ConfigError, "capital must be from 1 to"),
        ({"data": {"symbols": ["BTC", "BTC"]}}, ConfigError, "BTC is given twice"),
        ({"data": {"fingerprint": "0123456789"}}, ConfigError, "the data changed since"),
        ({"strategy": {"parameters": {"fast": 99}}}, ParameterError, "from 2 to 6, not 99"),
        ({"walk_forward": {"train": "200d"}}, DataError, "too little data for one window"),
        ({"walk_forward": {"step": "1d"}}, ConfigError, "must not be shorter than test"),
        ({"walk_forward": {"train": "90m"}}, ConfigError, "not a whole number of 60-minute bars"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_computed(
    sma_file: Path, market_file: Path, change: dict[str, Any], error: type, message: str
) -> None:
    """One line each."""
    with pytest.raises(error, match=message):
        ask(sma_file, market_file, **change)


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


def test_two_processes_never_work_on_one_run(
    tmp_path: Path, sma_file: Path, market_file: Path
) -> None:
    """The second one is told so; it does not wait and it does not touch anything."""
    inputs = ask(sma_file, market_file)
    (tmp_path / ".locks").mkdir()
    lock = FileLock(tmp_path / ".locks" / f"{inputs.manifest.run_id}.lock")

    with lock, pytest.raises(StorageError, match="another process is at work on"):
        walk_forward(inputs, tmp_path)

    assert not (tmp_path / inputs.manifest.run_id).exists()
