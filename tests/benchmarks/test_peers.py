"""The benchmarks beside other back-testers: what is compared is the same thing on all sides."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks import _peers, _stopwatch, lines_speed, peers_sweep, peers_w1
from benchmarks._bare_loop import SIGNAL, STOP, TARGET, bare
from benchmarks._bracketed_market import CASH, FEE, SETTINGS, SWEEP, bars, market, strategy
from benchmarks.common import NotMeasured
from benchmarks.walkforward_cost import PARTS, Replay, recorded
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason
from ftbt.ranges import Float, Int
from ftbt.walkforward.search import Study

SHORT = 6_000
WORDS = {STOP: ExitReason.STOP, TARGET: ExitReason.TARGET1, SIGNAL: ExitReason.INVALIDATION}


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    """Two months of the bars that the peers get."""
    return bars(SHORT)


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without the peers' environment."""
    monkeypatch.delenv(_peers.ENVIRONMENT, raising=False)
    return


def test_the_bars_are_what_makes_sides_comparable():
    """No gaps, whole cents, 0.3 % a bar, prices at which the cap on the notional is one unit."""
    whole = bars()
    assert len(whole) == 35_040
    assert (whole["open"][1:] == whole["close"][:-1]).all()
    for name in ("open", "high", "low", "close"):
        assert (whole[name] == np.round(whole[name])).all()
    assert np.diff(np.log(whole["close"])).std() == pytest.approx(0.003, rel=0.02)
    cap = 0.01 * CASH
    assert cap / 2 < 0.99 * whole["low"].min()
    assert whole["high"].max() < 0.99 * cap


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("values", [peers_w1.VALUES, *SWEEP[::37]], ids=str)
def test_the_bracketed_cross_gives_the_figures_of_the_bare_loop(data, engine, values):
    """Same bars, prices and reasons of every trade, one unit each, and the same equity."""
    result = run_backtest(strategy(), market(data), values, SETTINGS, engine=engine)
    orders, trades, equity = bare(data, values, FEE, CASH)
    ours = result.trades
    assert len(ours) == len(trades) > 20
    assert set(ours["size"]) == {1.0}
    assert (ours["entry_bar"] == trades["entry_bar"]).all()
    assert (ours["entry_price"] == trades["entry"]).all()
    closed = trades["exit_bar"] >= 0  # the bare loop leaves the last one open
    assert (ours["exit_bar"][closed] == trades["exit_bar"][closed]).all()
    assert (ours["exit_price"][closed] == trades["exit"][closed]).all()
    reasons = [WORDS[code] for code in trades["reason"][closed]]
    assert ours["exit_reason"][closed].tolist() == reasons
    assert len(orders) == len(trades) + closed.sum()
    np.testing.assert_allclose(result.equity[:-1], equity[:-1], rtol=1e-12)


def test_all_ways_out_are_taken():
    """The comparison is about signal exits, stops and targets, each of them many times."""
    floor = peers_w1.bare_figures(bars(), peers_w1.VALUES)
    assert min(floor[reason] for reason in ("signal", "stop", "target")) > 40
    assert floor["entries"] == floor["signal"] + floor["stop"] + floor["target"] + floor["open"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_peers")
def test_without_the_environment_rows_say_how_to_make_it():
    """Our own figures are there and right; the peers' rows have none, miss nothing, and help."""
    rows = {row.name: row for row in peers_w1.run()}
    assert rows["bracketed cross: equity apart from the bare loop's"].met
    assert rows["bracketed cross: ftbt, lines made anew"].figure > 0
    for peer in ("Backtrader", "vectorbt numba", "vectorbt rust", "backtesting.py"):
        row = rows[f"bracketed cross: {peer}'s time / ftbt's"]
        assert np.isnan(row.figure)
        assert row.met is None
        assert "FTBT_PEERS_PYTHON is not set" in row.how
        assert "pip install 'backtrader==1.9.78.123' 'vectorbt[rust]==1.2.0'" in row.how


@pytest.mark.usefixtures("no_peers")
def test_the_slow_rows_of_the_sweep_are_left_out_likewise(data):
    """Every peer of the sweep has a row that says why it has no figure."""
    with _peers.peers(data) as others:
        rows = peers_sweep.slow_rows(others, took=0.1)
        here, why = peers_sweep.vectorbt_engines(others)
    assert len(rows) == 2
    assert not here
    told = [row.how for row in rows] + list(why.values())
    assert len(told) == 4
    assert all("pip install" in one for one in told)


def test_the_peer_of_the_lines_is_left_out_likewise(monkeypatch):
    """An environment without smartmoneyconcepts is told, not broken."""
    monkeypatch.setenv(_peers.ENVIRONMENT, sys.executable)
    with pytest.raises(NotMeasured, match=r"No module named 'smartmoneyconcepts'.*pip install"):
        lines_speed.peer_seconds(lines_speed.walk(300), _peers.peers_python())


def test_a_wrong_environment_is_told(data, monkeypatch):
    """A path that is no program is named."""
    monkeypatch.setenv(_peers.ENVIRONMENT, "/nowhere/python")
    with _peers.peers(data, ["vectorbt"]) as others, pytest.raises(NotMeasured) as told:
        others["vectorbt"]
    assert "FTBT_PEERS_PYTHON is /nowhere/python, which is no program" in str(told.value)


def test_a_peer_that_is_there_answers_and_one_that_is_not_is_told(data, monkeypatch):
    """Plain Backtrader gives the bare loop's figures; a missing package is named."""
    monkeypatch.setenv(_peers.ENVIRONMENT, sys.executable)  # it has Backtrader, and no vectorbt
    with _peers.peers(data, ["Backtrader", "vectorbt"]) as others:
        peer = others["Backtrader"]
        said = peer.ask("cross", values=peers_w1.VALUES, cash=CASH, fee=FEE)
        with pytest.raises(NotMeasured, match="KeyError"):
            peer.ask("another work")
    assert peer.name == "Backtrader 1.9.78.123"
    assert said.pop("wall") > 0
    assert said.pop("processor") > 0
    assert said == pytest.approx(peers_w1.bare_figures(data, peers_w1.VALUES), rel=1e-12)
    assert "No module named 'vectorbt'" in others.missing["vectorbt"]
    assert "pip install" in others.missing["vectorbt"]


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(_peers.ENVIRONMENT), reason="FTBT_PEERS_PYTHON is not set")
def test_all_peers_trade_the_same_cross(data):
    """backtesting.py agrees to the cent, vectorbt but for the exits that are known to be wrong."""
    floor = peers_w1.bare_figures(data, peers_w1.VALUES)
    question = dict(values=peers_w1.VALUES, cash=CASH, fee=FEE)
    with _peers.peers(data, ["vectorbt", "backtesting.py"]) as others:
        exact = others["backtesting.py"].ask("cross", **question)
        wrong = others["vectorbt"].ask("trades", **question)
    assert {name: exact[name] for name in floor} == pytest.approx(floor, rel=1e-12)
    assert wrong["entries"] == floor["entries"]
    assert wrong["signal"] == floor["signal"] - wrong["wrong"]
    # Its stops are not on whole cents.
    assert wrong["equity"] + wrong["wrong_cost"] == pytest.approx(floor["equity"], abs=100.0)


def test_the_stopwatch_gives_each_second_to_one_label(monkeypatch):
    """What happens in a watched function inside of another is the inner one's alone."""
    clock = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    monkeypatch.setattr(_stopwatch.time, "process_time", lambda: next(clock))
    watch = _stopwatch.Stopwatch()
    inner = watch.watched("inner", lambda: None)

    def both() -> None:
        inner()
        inner()

    watch.watched("outer", both)()
    assert watch.seconds == {"outer": 1.0 + 3.0 + 5.0, "inner": 2.0 + 4.0}
    assert watch.calls == {"outer": 1, "inner": 2}
    assert watch.total == 15.0


def test_what_is_watched_is_there():
    """The parts of a walk-forward are functions of today's code, each counted once."""
    watched = [place for places in PARTS.values() for place in places]
    assert len(set(watched)) == len(watched) > 10
    assert all(callable(vars(owner)[name]) for owner, name in watched)


def test_watching_leaves_no_trace():
    """Afterwards the functions are the ones that they were, even when something broke."""
    before = vars(Study)["ask"]

    def breaks() -> None:
        with _stopwatch.watching(_stopwatch.Stopwatch(), {"sampler": [(Study, "ask")]}):
            assert vars(Study)["ask"] is not before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks()
    assert vars(Study)["ask"] is before


def test_a_study_can_be_done_again_without_its_objective():
    """The replay asks for the same parameter sets, and notices when they are others."""
    ranges = {"length": Int(2, 50), "stop": Float(0.1, 2.0, step=0.1)}
    replays: dict[int, Replay] = {}
    with recorded(replays):
        study = Study.start(ranges, {"length": 5, "stop": 1.0}, 3)
        for _ in range(6):
            for one in study.ask(4):
                study.tell(one.number, -abs(one.values["length"] - 20.0))
    (replay,) = replays.values()
    assert sum(verb == "ask" for verb, _, _ in replay.calls) == 6
    replay.again()
    replay.calls = [
        (verb, first, -second if verb == "tell" else second) for verb, first, second in replay.calls
    ]
    with pytest.raises(AssertionError, match="other parameters"):
        replay.again()
