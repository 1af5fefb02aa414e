"""The market goes as fast as a process follows: a real exchange and a real follower."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.sample import sample_market
from ftbt.errors import DataError, ExternalError
from ftbt.localnet.process import localnet
from ftbt.rehearsal.faults import PlannedFault
from ftbt.rehearsal.pacing import Pace, Pacer
from ftbt.rehearsal.plan import Plan, make_plan
from ftbt.rehearsal.run import exchange_options
from ftbt.rehearsal.sitter import live_process, until_ready
from ftbt.risk.allocation import Allocation
from ftbt.strategy.loader import find_strategy

FOLLOWER = Path(__file__).with_name("follower.py")
HOURS = 3


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Three hours of two coins with minutes, after a warm-up of fifty bars."""
    markets = sample_market(("BTC", "SOL"), "15m", days=2, detail=True)
    sleeve = Sleeve(find_strategy("liquidity_sweep"))
    return make_plan(
        [sleeve], [[one] for one in markets.values()], 50, Settings(), Allocation(),
        days=HOURS / 24,
    )  # fmt: skip


def drive(plan, state, *words, faults=(), patience=20.0, tell=lambda _: None):
    """Drive the plan for a follower; return (what was paced, what stopped it, exchange's state)."""
    with localnet(exchange_options(plan), plan.markets) as net:
        step = str(plan.timeframe.ms)
        program = [sys.executable, str(FOLLOWER), net.url, ",".join(plan.symbols), str(state), step]
        with live_process([*program, *words], state) as sitter:
            until_ready(sitter, 30.0)
            pacer = Pacer(net, sitter, net.user.address, plan.span(), patience, tuple(faults), tell)
            error = None
            try:
                pacer.drive()
            except ExternalError as stopped:
                error = stopped
            return pacer.paced, error, net.state()


def test_every_bar_is_waited_for(plan, tmp_path):
    """Each bar and each fill is seen before the market goes on, up to the end, none twice."""
    seen: list[Pace] = []
    paced, error, state = drive(plan, tmp_path, tell=seen.append)
    bars = json.loads((tmp_path / "bars.json").read_text())
    step, first = plan.timeframe.ms, plan.begin_ms + plan.timeframe.ms
    assert error is None
    assert bars == list(range(first, plan.end_ms + 1, step))
    assert paced.reached_ms == plan.end_ms == state["time"]
    assert [one.bars for one in seen if one.bars] == sorted(one.bars for one in seen)
    assert seen[-1].bars == seen[-1].of == plan.bars == HOURS * 4
    assert paced.stops > plan.bars  # fills inside bars stopped the market as well
    assert state["balanced"]


@pytest.mark.slow
def test_a_slow_follower_sees_the_same_market(plan, tmp_path):
    """A process that needs long for each bar trades the same as a quick one."""
    found = []
    for name, words in (("quick", []), ("slow", ["--sleep", "0.05"])):
        _, error, state = drive(plan, tmp_path / name, *words)
        assert error is None
        found.append({key: state[key] for key in ("fills", "marks", "accounts", "time")})
    assert found[0] == found[1]


def test_a_process_that_dies_ends_the_drive_with_its_words(plan, tmp_path):
    """What it printed last and its exit code are told; how far it came is kept."""
    paced, error, _ = drive(plan, tmp_path, "--die-at", "5")
    assert "ended with 7" in str(error)
    assert "the follower dies" in str(error)
    assert paced.reached_ms == plan.begin_ms + 4 * plan.timeframe.ms


@pytest.mark.slow
def test_a_process_that_does_not_follow_is_not_waited_for_for_ever(plan, tmp_path):
    """After its patience the drive says what it waited for and what it was told."""
    paced, error, _ = drive(plan, tmp_path, "--sleep", "60", patience=1.0)
    assert "did not follow for 1 s: wanted bar" in str(error)
    assert paced.reached_ms == plan.begin_ms


@pytest.mark.slow
def test_a_process_that_says_nothing_is_never_ready(plan, tmp_path):
    """A process without a status of its own is refused, also beside an old file of another."""
    (tmp_path / "status.json").write_text(json.dumps({"pid": 1, "connected": True, "busy": 0}))
    with localnet(exchange_options(plan), plan.markets) as net:
        words = [sys.executable, str(FOLLOWER), net.url, "BTC", str(tmp_path), "900000", "--mute"]
        with live_process(words, tmp_path) as sitter:
            with pytest.raises(ExternalError, match="not ready after 2 s"):
                until_ready(sitter, 2.0)
            process = sitter.process
        assert process.returncode in (-signal.SIGINT, 1)


@pytest.mark.slow
def test_faults_are_queued_before_their_bar(plan, tmp_path):
    """A planned fault reaches the exchange before its bar opens, and is told with that time."""
    faults = [
        PlannedFault(3, "/faults", {"name": "candle_repeat", "match": {"channel": "candle"}}),
        PlannedFault(0, "/limits", {"ip": False}),
    ]
    paced, error, _ = drive(plan, tmp_path, faults=faults)
    assert error is None
    step = plan.timeframe.ms
    assert paced.struck == ((plan.begin_ms, "limits"), (plan.begin_ms + 3 * step, "candle_repeat"))


def test_a_quiet_open_is_proved_by_the_others(tmp_path):
    """Where a coin has no trade at an open, the market goes on a little before anyone waits."""
    markets = list(sample_market(("BTC", "SOL"), "15m", days=2, detail=True).values())
    minutes = markets[1].detail.bars.copy()
    quiet = int(markets[1].candles.time[-10])
    minutes["volume"][minutes["time"] == quiet] = 0.0
    object.__setattr__(markets[1], "detail", type(markets[1].detail)(
        "SOL", markets[1].detail.timeframe, minutes, synthetic=True))  # fmt: skip
    plan = make_plan(
        [Sleeve(find_strategy("liquidity_sweep"))], [[one] for one in markets], 50, Settings(),
        Allocation(), days=HOURS / 24,
    )  # fmt: skip
    assert plan.span().quiet == {quiet}
    paced, error, _ = drive(plan, tmp_path)
    assert (error, paced.quiet) == (None, 1)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"begin_ms": 0}, "needs 50 bars of 15m before it"),
        ({"days": 10.0}, "fewer --days"),
    ],
)
def test_candles_that_do_not_reach_are_refused(more, text):
    """A rehearsal needs its warm-up before it and some bars after it."""
    markets = sample_market(("BTC",), "15m", days=2)
    with pytest.raises(DataError, match=text):
        make_plan(
            [Sleeve(find_strategy("liquidity_sweep"))], [list(markets.values())], 50, Settings(),
            Allocation(), **more,
        )  # fmt: skip
