"""Backtrader over live bars: the state that research has, one turn per timestamp, told live."""

from __future__ import annotations

import threading
import time
from typing import Any

import backtrader as bt
import numpy as np
from bars_kit import COINS, QUARTER, WARM_UP, last_closed, outage, until

from ftbt.data.feed import CandleFeed, from_bt_time
from ftbt.hyperliquid.feed import QCHECK_S, FeedGroup
from ftbt.smc import ALL_LINES
from ftbt.strategy.loader import find_strategy

SWEEP = find_strategy("liquidity_sweep").load()
# A week: the levels of the higher timeframes are there, and something is swept.
LONG_WARM_UP = 600


class Watcher(bt.Strategy):
    """Keeps what every shared line says at every bar, and how it was told."""

    params = (("seen", None),)

    def __init__(self) -> None:
        self.watched = [
            made(data, **more)
            for data in self.datas
            for made in ALL_LINES
            for more in ({}, {"timeframe": "4h"} if "timeframe" in made.concept.defaults else {})
        ]

    def prenext(self) -> None:
        """Take every bar from the first on."""
        self.next()

    def next(self) -> None:
        """Note stamps, liveness and all outputs."""
        seen = self.p.seen
        seen["rows"].append(b"".join(line.row.tobytes() for line in self.watched))
        seen["times"].append(tuple(from_bt_time(data.datetime[0]) for data in self.datas))
        seen["live"].append(tuple(getattr(data, "live", False) for data in self.datas))

    def notify_data(self, data: Any, status: int, *_: Any, **__: Any) -> None:
        """Note the status."""
        self.p.seen["status"].append((data._name, data._getstatusname(status)))


class SweepWatcher(SWEEP):
    """`liquidity_sweep` with its own lines and rule; it notes instead of ordering."""

    params = dict(seen=None)

    def start(self) -> None:
        """Make what research knows of the whole series at once, where there is one."""
        self._check_made()
        candles = getattr(self.data, "candles", None)
        if candles is not None:
            rows = [line.outputs() for line in self.setup.lines]
            setups = self.setup.series(candles.bars, self._packed[0])
            self.p.seen[self.data._name] = [
                (int(opened), *(row[i].tobytes() for row in rows), setups[i].tobytes())
                for i, opened in enumerate(candles.time)
            ]

    def next(self) -> None:
        """Note the open, every line and the setup, as the live strategy has them."""
        if hasattr(self.data, "candles"):
            return  # all was noted at the start
        setup = self._setup_now(len(self) - 1)
        rows = [line.row.tobytes() for line in self.setup.lines]
        noted = self.p.seen.setdefault(self.data._name, [])
        noted.append((int(self._bar[0]["time"]), *rows, setup.tobytes()))
        self.p.seen["sides"] = self.p.seen.get("sides", 0) + abs(int(setup["side"]))


class OneEach:
    """Makes one strategy of a class per coin."""

    def __init__(self, cls: Any, number: int, **values: Any) -> None:
        self.cls, self.number, self.values = cls, number, values

    def __call__(self, *datas: Any) -> Any:
        """Return the strategy of this coin."""
        return self.cls(datas[self.number], **self.values)


def new_cerebro(feeds, *, research_mode):
    """Return a Cerebro with *feeds*, by coin."""
    cerebro = bt.Cerebro(stdstats=False, runonce=research_mode, preload=research_mode)
    for coin, feed in feeds.items():
        cerebro.adddata(feed, name=coin)
    return cerebro


def new_seen():
    """Return where a `Watcher` puts what it sees."""
    return {"rows": [], "times": [], "live": [], "status": []}


def research_feeds(research, first, last):
    """Return feeds of the candles that open from *first* to *last*."""
    feeds = {}
    for coin in COINS:
        begin, end = np.searchsorted(research[coin].time, (first, last))
        feeds[coin] = CandleFeed(candles=research[coin].slice(int(begin), int(end) + 1))
    return feeds


def run_live(net, data, cerebro_of, steps):
    """Run a Cerebro over live feeds and *steps*, each with all bars that it closes."""
    group = FeedGroup(data)
    cerebro = cerebro_of({feed.coin: feed for feed in group.make_feeds()})
    wrong: list[BaseException] = []

    def all_told():
        return data.failure or (data.health().last_bar == last_closed(net) and not data.ready())

    def drive():
        try:
            for step in steps:
                step()
                until(all_told, "the bars of a step")
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            wrong.append(error)
        data.stop()

    driver = threading.Thread(target=drive)
    driver.start()
    cerebro.run()
    driver.join()
    assert data.failure is None
    assert not wrong, wrong


def watch(net, data, steps, seen=None):
    """Run a `Watcher` live over *steps* and return what it has seen."""
    seen = new_seen() if seen is None else seen

    def cerebro_of(feeds):
        cerebro = new_cerebro(feeds, research_mode=False)
        cerebro.addstrategy(Watcher, seen=seen)
        return cerebro

    run_live(net, data, cerebro_of, steps)
    return seen


# --- the state of the lines -----------------------------------------------------------------------


def test_every_line_is_live_what_it_is_in_research(net, open_data, research):
    """Warm-up and live bars leave all lines of all coins in the very state, bit for bit."""
    seen = watch(net, open_data(), [net.step] * 12)
    wanted = new_seen()
    feeds = research_feeds(research, seen["times"][0][0], seen["times"][-1][0])
    cerebro = new_cerebro(feeds, research_mode=True)
    cerebro.addstrategy(Watcher, seen=wanted)
    cerebro.run()

    assert len(seen["rows"]) == WARM_UP + 12
    assert seen["times"] == wanted["times"]
    assert seen["rows"] == wanted["rows"]


def test_liquidity_sweep_reads_live_what_it_reads_in_research(net, open_data, research):
    """Its own lines and setups by `next()` over live feeds are the compiled series, bit for bit."""

    def with_sweeps(feeds, seen, *, research_mode):
        cerebro = new_cerebro(feeds, research_mode=research_mode)
        for number in range(len(COINS)):
            cerebro.addstrategy(OneEach(SweepWatcher, number, seen=seen))
        return cerebro

    live: dict[str, Any] = {}
    data = open_data(LONG_WARM_UP)
    run_live(
        net, data, lambda feeds: with_sweeps(feeds, live, research_mode=False), [net.step] * 12
    )
    wanted: dict[str, Any] = {}
    feeds = research_feeds(research, live["BTC"][0][0], live["BTC"][-1][0])
    with_sweeps(feeds, wanted, research_mode=True).run()

    for coin in COINS:
        assert len(live[coin]) == LONG_WARM_UP + 12
        assert live[coin] == wanted[coin]
    assert live["sides"] > 0


# --- turns and status -----------------------------------------------------------------------------


def test_all_coins_of_a_time_are_one_turn(net, open_data):
    """`next()` is called once per timestamp, with both coins at it, warm-up included."""
    seen = watch(net, open_data(), [net.step] * 5)
    assert all(len(set(times)) == 1 for times in seen["times"])
    stamps = [times[0] for times in seen["times"]]
    assert len(stamps) == WARM_UP + 5
    assert (np.diff(stamps) == QUARTER.ms).all()


def test_live_is_said_with_the_first_live_bar_and_taken_back(net, open_data):
    """History is DELAYED; an outage is CONNBROKEN, what it missed DELAYED, then LIVE again."""
    data, seen = open_data(), new_seen()

    def break_down():
        with outage(net, data):
            until(lambda: ("BTC", "CONNBROKEN") in seen["status"], "the outage is told")
            net.step(4)

    watch(net, data, [net.step, net.step, break_down, net.step, net.step], seen)
    told = [status for name, status in seen["status"] if name == "BTC"]
    assert told == ["DELAYED", "LIVE", "CONNBROKEN", "DELAYED", "LIVE", "DISCONNECTED"]
    live = [set(flags) for flags in seen["live"]]
    assert live == [{False}] * WARM_UP + [{True}] * 2 + [{False}] * 3 + [{True}] * 3


def test_a_waiting_loop_sleeps(net, open_data):
    """Between two bars the loop looks a few times a second; Backtrader's default would spin."""
    data = open_data()
    take, waits, spans = data.take, [], []

    def counted(wait_s):
        waits.append(wait_s)
        return take(wait_s)

    def pause():
        until(lambda: not data.ready(), "the history is read")
        time.sleep(0.3)
        data.take, began = counted, time.monotonic()
        time.sleep(1.0)
        data.take = take
        spans.append(time.monotonic() - began)
        net.step(1)

    watch(net, data, [pause])
    assert len(waits) <= spans[0] / QCHECK_S + 2
