"""Two strategies on three symbols and one account, walked forward from search to summary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ftbt.config import make_experiment
from ftbt.data.candles import Candles
from ftbt.data.store import CandleStore
from ftbt.errors import ConfigError, InputError, ParameterError
from ftbt.risk.allocation import equal_risk, inverse_volatility
from ftbt.walkforward import tasks
from ftbt.walkforward.evaluate import evaluate
from ftbt.walkforward.inputs import Inputs, prepare
from ftbt.walkforward.ledger import Ledger
from ftbt.walkforward.result import Run
from ftbt.walkforward.run import walk_forward
from ftbt.walkforward.store import load_run

FOLDER = Path(__file__).parents[2] / "strategies"
SWEEP, FILL = "liquidity_sweep", "fvg_fill"
BOTH = f"{FOLDER / SWEEP}.py,{FOLDER / FILL}.py"
SYMBOLS = ("BTC", "ETH", "SOL")
OFTEN = {f"{name}.{key}": value for name in (SWEEP, FILL)
         for key, value in {"min_confidence": 0, "bias": "none"}.items()}  # fmt: skip
# A day of warm-up is 24 bars: 30 days, then trainings of 20 and tests of 8.
BARS, TRIALS = 24 * (30 + 20 + 2 * 8), 6
LAST_TEST = 24 * (30 + 20 + 8)

Walk = Callable[..., Candles]
Bars = np.ndarray[Any, Any]


def bars_of(walk: Walk, number: int) -> Bars:
    """Return the bars of one symbol, calm enough for positions of the usual size."""
    bars = walk(SYMBOLS[number], BARS, 20 + number).bars.copy()
    for name in ("open", "high", "low", "close"):
        bars[name] = 1000.0 * (bars[name] / 1000.0) ** 0.5
    return bars


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, walk: Walk) -> Path:
    """Return a store with three symbols."""
    found = CandleStore(tmp_path_factory.mktemp("store"))
    for number, symbol in enumerate(SYMBOLS):
        found.append("binance", bars_of(walk, number), symbol, "1h")
    return found.root


def ask(store: Path, **tables: dict[str, Any]) -> Inputs:
    """Return the inputs of a small walk-forward of both; *tables* change single keys."""
    plain: dict[str, dict[str, Any]] = {
        "strategy": {"name": BOTH, "parameters": OFTEN},
        "data": {"source": "binance", "symbols": list(SYMBOLS), "timeframe": "1h"},
        "walk_forward": {"train": "20d", "test": "8d"},
        "search": {"trials": TRIALS, "min_trades": 3},
        "allocation": {"method": "equal-risk"},
    }
    for name, table in tables.items():
        plain[name] = {**plain.get(name, {}), **table}
    return prepare(make_experiment(plain), store=store)


@pytest.fixture(scope="module")
def inputs(store: Path) -> Inputs:
    """Return the inputs that most tests share."""
    return ask(store)


@pytest.fixture(scope="module")
def run(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the finished run of two windows, made on one process."""
    return load_run(walk_forward(inputs, tmp_path_factory.mktemp("results")).folder)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that must not differ."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "timing.json"
    }


def lists(column: pd.Series[Any]) -> list[list[float]]:
    """Return a column of JSON lists."""
    return [json.loads(text) for text in column]


def test_all_trade_on_one_account_and_the_engines_agree(run: Run) -> None:
    """Both strategies and all symbols are in the trades, and the profit is that of the account."""
    assert list(run.windows["state"]) == ["done", "done"]
    assert set(run.trades["strategy"]) == {SWEEP, FILL}
    assert set(run.trades["symbol"]) == set(SYMBOLS)
    profit = run.summary.out_of_sample["net_profit"]
    assert (run.trades["net"] * run.trades["scale"]).sum() == pytest.approx(profit)
    assert run.equity["equity"].iloc[-1] == pytest.approx(10_000.0 + profit)
    assert run.summary.engine == "compiled"
    assert run.summary.identical_trades == run.summary.compared_trades == len(run.trades) > 20


def test_the_manifest_names_both(run: Run) -> None:
    """Names, hashes and parameters of each; the command that repeats the run."""
    facts = run.manifest.strategy

    assert (facts.name, facts.names) == (f"{SWEEP}+{FILL}", (SWEEP, FILL))
    assert len(facts.sha256.split("+")) == 2
    assert set(facts.fixed) == set(OFTEN)
    assert {name.partition(".")[0] for name in facts.space} == {SWEEP, FILL}
    assert f"{FILL}.depth" in facts.space
    assert run.manifest.allocation["method"] == "equal-risk"
    assert run.manifest.search.trials == 2 * TRIALS
    assert "--symbol BTC --symbol ETH --symbol SOL" in run.manifest.command
    assert "--allocation equal-risk" in run.manifest.command
    assert run.manifest.run_id.startswith(f"{SWEEP}_{FILL}-BTC+ETH+SOL-1h-")


def test_each_strategy_is_searched_for_itself(run: Run) -> None:
    """Its trials have its own parameters only; the best of them is what the test ran with."""
    frame = run.trials

    assert list(frame.groupby(["window", "strategy"])["trial"].count()) == [TRIALS] * 4
    for _, own in frame.groupby("window"):
        assert list(own["trial"]) == list(range(2 * TRIALS))
        assert list(own["strategy"]) == [SWEEP] * TRIALS + [FILL] * TRIALS
    sweeps = frame[frame["strategy"] == SWEEP]
    assert sweeps[f"param_{SWEEP}.swing"].notna().all()
    assert sweeps[f"param_{FILL}.depth"].isna().all()
    for row in run.windows.to_dict("records"):
        for name, number in zip((SWEEP, FILL), json.loads(row["chosen_trials"]), strict=True):
            own = frame[(frame["window"] == row["window"]) & (frame["strategy"] == name)]
            chosen = own[own["trial"] == number].iloc[0]
            assert chosen["value"] == own[own["state"] == "complete"]["value"].max()
            parameters = json.loads(row["parameters"])
            mine = {key: one for key, one in parameters.items() if key.startswith(f"{name}.")}
            assert mine
            assert all(chosen[f"param_{key}"] == one for key, one in mine.items())


def test_shares_follow_from_the_training_returns_of_what_was_chosen(run: Run) -> None:
    """Equal risk: computed again from the tables of the run folder."""
    weights = lists(run.windows["weights"])

    for window, chosen in enumerate(lists(run.windows["chosen_trials"])):
        returns = run.returns_of_window(window)[chosen].to_numpy()
        np.testing.assert_allclose(weights[window], equal_risk(returns), rtol=1e-9)
        assert sum(weights[window]) == pytest.approx(1.0)
    assert weights[0] != weights[1]


def test_every_method_shares_as_it_says(store: Path, inputs: Inputs, tmp_path: Path) -> None:
    """The searches are the same whatever the method; only the shares and the tests differ."""
    methods: dict[str, dict[str, Any]] = {
        "equal": {},
        "inverse-volatility": {},
        "fixed": {"weights": [3.0, 1.0]},
    }
    found = {}
    for name, more in methods.items():
        asked = ask(store, allocation={"method": name, **more})
        found[name] = load_run(walk_forward(asked, tmp_path).folder)

    one = found["equal"]
    for other in found.values():
        pd.testing.assert_frame_equal(one.trials, other.trials)
        assert list(one.windows["parameters"]) == list(other.windows["parameters"])
    assert lists(one.windows["weights"]) == [[0.5, 0.5]] * 2
    assert lists(found["fixed"].windows["weights"]) == [[0.75, 0.25]] * 2
    assert any("used as 75.0%, 25.0%" in note for note in found["fixed"].summary.notes)
    other = found["inverse-volatility"]
    for window, chosen in enumerate(lists(other.windows["chosen_trials"])):
        returns = other.returns_of_window(window)[chosen].to_numpy()
        wanted = inverse_volatility(returns)
        np.testing.assert_allclose(lists(other.windows["weights"])[window], wanted, rtol=1e-9)
    _sized_by_share(found["fixed"], {SWEEP: 0.75, FILL: 0.25})


def _sized_by_share(run: Run, shares: dict[str, float]) -> None:
    """Each trade risks at most 2 % of the strategy's share of the equity, and some nearly do."""
    trades = run.trades
    risked = trades["size"] * (trades["entry_price"] - trades["stop"]).abs()
    for name, share in shares.items():
        own = risked[trades["strategy"] == name]
        assert 0.5 * 0.02 * share * 10_000 < own.max() <= 0.02 * share * 10_000 * 1.2


def test_the_test_has_no_part_in_any_choice(run: Run, walk: Walk, tmp_path: Path) -> None:
    """Other candles in the last test: trials, parameters and shares stay, the result changes."""
    other = CandleStore(tmp_path / "store")
    for number, symbol in enumerate(SYMBOLS):
        bars = bars_of(walk, number)
        late = bars[LAST_TEST:]
        flipped = {"open": "open", "high": "low", "low": "high", "close": "close"}
        anchor = float(bars["close"][LAST_TEST - 1])
        for name, source in flipped.items():
            late[name] = anchor**2 / bars_of(walk, number)[LAST_TEST:][source]
        other.append("binance", bars, symbol, "1h")

    found = load_run(walk_forward(ask(other.root), tmp_path / "results").folder)

    pd.testing.assert_frame_equal(found.trials, run.trials)
    pd.testing.assert_frame_equal(found.trial_returns, run.trial_returns)
    same = ["weights", "parameters", "chosen_trials", "score", "train_sharpe", "train_value"]
    pd.testing.assert_frame_equal(found.windows[same], run.windows[same])
    assert found.windows["test_total_return"][0] == run.windows["test_total_return"][0]
    assert found.windows["test_total_return"][1] != run.windows["test_total_return"][1]


def test_a_strategy_is_searched_alone_as_beside_others(
    store: Path, run: Run, tmp_path: Path
) -> None:
    """The first strategy's trials are the same, one by one, without the second."""
    alone = {name.partition(".")[2]: one for name, one in OFTEN.items()}
    asked = ask(store, strategy={"name": f"{FOLDER / SWEEP}.py", "parameters": alone})
    found = load_run(walk_forward(asked, tmp_path).folder)

    beside = run.trials[run.trials["strategy"] == SWEEP].reset_index(drop=True)
    own = found.trials.rename(
        columns={name: name.replace("param_", f"param_{SWEEP}.") for name in found.trials}
    )
    assert len(own) == 2 * TRIALS
    pd.testing.assert_frame_equal(beside[list(own.columns)], own, check_dtype=False)
    assert lists(found.windows["weights"]) == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("allocation", "left"),
    [({"method": "inverse-volatility"}, 1.0), ({"method": "fixed", "weights": [0.3, 0.7]}, 0.3)],
)
def test_a_strategy_without_acceptable_trials_stays_out(
    store: Path, tmp_path: Path, allocation: dict[str, Any], left: float
) -> None:
    """A note says why; the other gets the account, but no more than a fixed share of it."""
    rarely = {**OFTEN, f"{FILL}.min_size_atr": 1.5, f"{FILL}.valid_bars": 4, f"{FILL}.depth": 1.0}
    asked = ask(store, strategy={"parameters": rarely}, search={"min_trades": 12},
                allocation=allocation)  # fmt: skip
    found = load_run(walk_forward(asked, tmp_path).folder)

    assert lists(found.windows["weights"]) == [[left, 0.0]] * 2
    assert [row[1] for row in lists(found.windows["chosen_trials"])] == [-1, -1]
    assert set(found.trades["strategy"]) == {SWEEP}
    assert not any(FILL in text for text in found.windows["parameters"])
    (note, _) = [text for text in found.summary.notes if "stays out" in text]
    assert f"window 0: {FILL} stays out: none of {TRIALS} trials made 12 trades" in note
    idle = next(one for one in found.summary.parts if (one.strategy, one.symbol) == (FILL, None))
    assert (idle.trades, idle.net) == (0, 0.0)


def test_two_workers_give_the_same_bytes(inputs: Inputs, run: Run, tmp_path: Path) -> None:
    """Whatever ran which window."""
    assert digests(walk_forward(inputs, tmp_path, jobs=2).folder) == digests(run.folder)


def test_killed_in_the_second_search_it_resumes_to_the_same_bytes(
    inputs: Inputs, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first strategy's trials are not made again, and every trial counts once."""
    made: list[str] = []

    def counting(sleeves: Any, *more: Any, **options: Any) -> Any:
        # One batch of the second search is kept, and a half is lost.
        if made.count(FILL) == tasks.BATCH + 1:
            raise KeyboardInterrupt
        made.append("+".join(one.strategy.name for one in sleeves))
        return evaluate(sleeves, *more, **options)

    monkeypatch.setattr(tasks, "evaluate", counting)
    with pytest.raises(KeyboardInterrupt):
        walk_forward(inputs, tmp_path)
    assert made.count(SWEEP) == TRIALS
    made.clear()
    monkeypatch.setattr(tasks, "evaluate", recording(made))

    folder = walk_forward(inputs, tmp_path, resume=True).folder

    assert digests(folder) == digests(run.folder)
    first = made[: made.index(f"{SWEEP}+{FILL}")]
    assert first == [FILL] * (TRIALS - tasks.BATCH)
    assert sum(int(row.trials) for row in Ledger(tmp_path).rows()) == 2 * 2 * TRIALS


def recording(made: list[str]) -> Callable[..., Any]:
    """Return `evaluate`, writing down which strategies it ran."""

    def recorded(sleeves: Any, *more: Any, **options: Any) -> Any:
        made.append("+".join(one.strategy.name for one in sleeves))
        return evaluate(sleeves, *more, **options)

    return recorded


def test_who_earned_what_adds_up_to_the_stitched_result(run: Run) -> None:
    """By strategy, by symbol and by pair: trades, net, fees and slippage are the account's."""
    parts = run.summary.parts
    cuts = {
        "all": [one for one in parts if one.strategy is None and one.symbol is None],
        "strategy": [one for one in parts if one.strategy is not None and one.symbol is None],
        "symbol": [one for one in parts if one.strategy is None and one.symbol is not None],
        "pair": [one for one in parts if one.strategy is not None and one.symbol is not None],
    }
    figures = run.summary.out_of_sample

    assert [len(cut) for cut in cuts.values()] == [1, 2, 3, 6]
    for cut in cuts.values():
        assert sum(one.trades for one in cut) == figures["trades"]
        assert sum(one.net for one in cut) == pytest.approx(figures["net_profit"])
        for name in ("fees", "slippage", "funding"):
            assert sum(getattr(one, name) for one in cut) == pytest.approx(figures[name])
        assert sum(one.variance_share for one in cut) == pytest.approx(1.0)
    trades = run.trades.assign(money=run.trades["net"] * run.trades["scale"])
    for one in cuts["pair"]:
        own = trades[(trades["strategy"] == one.strategy) & (trades["symbol"] == one.symbol)]
        assert one.net == pytest.approx(own["money"].sum())
        assert one.drawdown <= 0.0
    (whole,) = cuts["all"]
    assert whole.mean_r == pytest.approx(run.trades["r"].mean())
    equity = np.concatenate(([10_000.0], run.equity["equity"].to_numpy()))
    fall = float((equity - np.maximum.accumulate(equity)).min())
    assert whole.drawdown == pytest.approx(fall, abs=1e-3)


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        ({"parameters": {"swing": 5}}, ParameterError, f"did you mean '{SWEEP}.swing'"),
        (
            {"parameters": {"depth": 0.5}},
            ParameterError,
            rf"with several strategies write strategy.parameter - did you mean '{FILL}.depth'\?",
        ),
        ({"parameters": {"bias": "slow"}}, ParameterError, f"'{SWEEP}.bias' or '{FILL}.bias'"),
        ({"parameters": {f"{FILL}.dept": 0.5}}, ParameterError, "did you mean 'depth'"),
        ({"parameters": {f"{FILL}.depth": 7.0}}, ParameterError, "from 0 to 1, not 7"),
        ({"ranges": {"fvg_fil.depth": [0, 1]}}, ParameterError, f"did you mean '{FILL}.depth'"),
        ({"ranges": {f"{SWEEP}.swing": [9, 5]}}, ConfigError, "is upside down"),
        ({"name": f"{FOLDER / SWEEP}.py,{FOLDER / SWEEP}.py"}, ConfigError, "is given twice"),
        ({"name": " , "}, ConfigError, "name a strategy"),
    ],
)
def test_a_parameter_belongs_to_one_of_them(
    store: Path, strategy: dict[str, Any], error: type, message: str
) -> None:
    """`strategy.parameter`, or one line that names the nearest."""
    given = {"parameters": {}, **strategy}
    with pytest.raises(error, match=message):
        ask(store, strategy=given)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"allocation": {"method": "fixed", "weights": [1.0]}}, "1 weights for 2 strategies"),
        ({"allocation": {"method": "fixed"}}, "must have a sum above 0"),
        ({"allocation": {"method": "equal-rsk"}}, "did you mean 'equal-risk'"),
        ({"allocation": {"method": "equal", "weights": [1, 1]}}, "are for the method fixed"),
        ({"allocation": {"cut_at": 2.0}}, "cut_at must be from 0.01 to 1, not 2.0"),
        ({"risk": {"limits": "none", "positions": 2}}, 'given beside limits = "none"'),
        ({"risk": {"positions": 0}}, "limit positions must be from 1 to 1000, not 0"),
        ({"data": {"symbols": ["BTC", "ETH", "BTC"]}}, "symbol BTC is given twice"),
        ({"data": {"symbols": ["BTC", "btc"]}}, "BTC is meant twice"),
    ],
)
def test_impossible_shares_and_limits_are_refused_before_anything_is_computed(
    store: Path, tables: dict[str, dict[str, Any]], message: str
) -> None:
    """One line each."""
    with pytest.raises(InputError, match=message):
        ask(store, **tables)
