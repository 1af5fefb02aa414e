"""What keeps a session from being late at a close: collector, practice, closes."""

from __future__ import annotations

import gc
import weakref

import pytest
from live_kit import COIN, QUARTER, SETTINGS, START

from ftbt.data.timeframe import Timeframe
from ftbt.hyperliquid.orders import CloidMaker
from ftbt.hyperliquid.records import Asset
from ftbt.live.broker import Account
from ftbt.live.closes import Closes
from ftbt.live.practice import practise
from ftbt.live.promptness import collecting_in_pauses
from ftbt.live.status import Latencies, latency_text


class Loop:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_the_collector_runs_in_pauses_only() -> None:
    """However much is made: nothing is collected until a pause, and all as ever afterwards."""
    with collecting_in_pauses() as pauses, collecting_in_pauses():
        pauses.settle()
        assert not gc.isenabled()
        lost = weakref.ref(Loop())
        kept = [Loop() for _ in range(10_000)]
        assert lost() is not None
        pauses._young = 0.0
        pauses.pause()
        assert lost() is None
        pauses._all = 0.0
        old = weakref.ref(kept[0])
        kept.clear()
        pauses.pause()
        assert old() is None
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_sessions_of_one_process_share_the_collector() -> None:
    """It runs by itself again when the last of them has ended, however they ended."""
    with collecting_in_pauses():
        with pytest.raises(RuntimeError), collecting_in_pauses():
            raise RuntimeError
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.parametrize("price", [100.0, 0.00123, 98_765.0])
def test_practice_signs_what_a_trade_is_made_of_and_changes_nothing(price: float) -> None:
    """Entry with its guard, stop and target, the way out; whatever the coin costs."""
    assets = {COIN: Asset(COIN, 3, 2 if price > 1 else 0, 20, False, False)}
    account = Account(SETTINGS, assets, CloidMaker("test"))
    signed = []
    count = practise(account, COIN, (START, price), QUARTER.ms, signed.append)
    forms = [order for action in signed if not action.cancels for order in action.form["orders"]]
    assert count >= len(signed) >= 4
    assert {"limit", "trigger"} == {next(iter(order["t"])) for order in forms}
    assert any(order["r"] and "limit" in order["t"] for order in forms)


def test_a_status_tells_how_long_decisions_and_their_orders_took(scene) -> None:
    """Each close counts for decisions, those with orders for both; and nothing went unpractised."""
    one = scene()
    one.bars(2)
    assert set(one.seen.latency) == {"median", "p99", "last"}
    one.enter()
    latency = one.seen.latency
    assert 0.0 < latency["median"] <= latency["p99"]
    assert latency["last"] <= latency["sent_median"] <= latency["sent_p99"]
    assert "orders out in" in latency_text(latency)
    assert not [e for e in one.events("note") if "not practised" in e.body["text"]]


def test_latencies_are_of_the_newest_closes() -> None:
    """Median and 99 % of the last thousand."""
    kept = Latencies()
    assert kept.figures() == {}
    for number in range(2000):
        kept.add(number / 1000.0, None)
    kept.add(0.001, 0.002)
    assert kept.figures() == {
        "median": 1500.0, "p99": 1990.0, "last": 1.0, "sent_median": 2.0, "sent_p99": 2.0,
    }  # fmt: skip
    assert latency_text({"median": 4.04, "p99": 9.0}) == "decided in 4.0 ms (p99 9.0)"


class _At:
    """A clock of the market that stands."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """Return the time."""
        return self._now

    def saw(self, time_ms: int) -> None:
        """Do nothing."""

    def refresh(self) -> None:
        """Do nothing."""


def test_a_moment_is_calm_away_from_a_close() -> None:
    """Neither just before one nor just after; always where the market's time says nothing."""
    closes = Closes(Timeframe.parse("15m"), replay=False)
    assert closes.calm()
    for seconds, calm in ((2, False), (60, True), (880, True), (895, False)):
        closes.clock = _At(START + seconds * 1000)
        assert closes.calm() is calm
        assert closes.until_s() == 900 - seconds
    replayed = Closes(Timeframe.parse("15m"), replay=True)
    replayed.clock = _At(START)
    assert replayed.calm()
