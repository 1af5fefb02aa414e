"""Outages of ours and live bars: nothing is decided upon without a coin, and nothing is missed."""

from __future__ import annotations

import pytest
from bars_kit import (
    COINS,
    QUARTER,
    WARM_UP,
    cut_rest,
    cut_stream,
    last_closed,
    must_be_research,
    outage,
    strikes,
    take_all,
    until,
)

from ftbt.hyperliquid.bars import Source

CANDLES = {"channel": "candle"}


def be_quiet(net, *coins):
    """Let no frame of the candles of *coins* come, until the faults are deleted."""
    for coin in coins:
        net.fault("candle_silence", match={**CANDLES, "coin": coin}, lasts=3600.0)


def only_the_newest_is_live(groups, net):
    """Assert that all but the newest are too old to trade on."""
    assert groups[-1].group.opened == last_closed(net)
    assert [taken.live for taken in groups] == [False] * (len(groups) - 1) + [True]


def nothing_was_handed_out(data, groups):
    """Assert that the groups end with the last of *groups*."""
    assert not data.ready()
    assert data.health().last_bar == groups[-1].group.opened


def test_what_a_broken_connection_missed_is_filled_and_is_not_live(net, open_data, research):
    """Bars of an outage come from REST, in order; only the newest is new enough to trade on."""
    data = open_data()
    take_all(data, WARM_UP)
    net.step(2)
    groups = take_all(data, 2)
    with outage(net, data, rest=False):
        net.step(5)
        nothing_was_handed_out(data, groups)
    groups += take_all(data, 5)
    only_the_newest_is_live(groups[2:], net)
    net.step(1)
    groups += take_all(data, 1)
    must_be_research(groups, research)
    assert groups[-1].live
    assert data.health().gaps == 1


@pytest.mark.parametrize("quiet", [("ETH",), ("BTC",), COINS], ids=["ETH", "BTC", "both"])
def test_no_group_goes_without_a_coin_that_rest_can_not_tell(net, open_data, research, quiet):
    """While REST fails, market time passes over many bars, and all wait for the silent coins."""
    data = open_data()
    groups = take_all(data, WARM_UP)
    with outage(net, data, stream=False):
        be_quiet(net, *quiet)
        for _ in range(4):
            net.step(1)
        net.run_until(net.market_time() + 6 * 60_000)
        until(lambda: data.health().awaited >= set(quiet), "the silent coins are asked for")
        failed = data.health().unread
        until(lambda: data.health().unread >= failed + 4, "four more reads fail")
        nothing_was_handed_out(data, groups)
    groups += take_all(data, 4)
    only_the_newest_is_live(groups[WARM_UP:], net)
    must_be_research(groups, research)
    assert data.health().awaited == frozenset()
    assert data.health().flat == 0


@pytest.mark.parametrize("quiet", [("ETH",), COINS], ids=["one coin", "both"])
def test_an_outage_that_begins_while_others_wait_changes_nothing(net, open_data, research, quiet):
    """A bar is over and not there yet when REST and then the stream go: it still comes first."""
    data = open_data()
    groups = take_all(data, WARM_UP)
    be_quiet(net, *quiet)
    cut_rest(net)
    net.step(1)
    net.run_until(net.market_time() + 6 * 60_000)
    until(lambda: data.health().awaited >= set(quiet), "the silent coins are asked for")
    cut_stream(net, data)
    net.step(3)
    data._clock.saw(net.market_time())  # as the clock of the wall would tell
    failed = data.health().unread
    until(lambda: data.health().unread >= failed + 4, "four reads fail without a stream")
    nothing_was_handed_out(data, groups)
    net.control("/faults", method="DELETE")
    groups += take_all(data, 4)
    only_the_newest_is_live(groups[WARM_UP:], net)
    must_be_research(groups, research)


def test_reads_of_bars_can_fail_for_a_while(net, open_data, research):
    """Bars of the stream go on while REST fails; what needs REST waits for it and then comes."""
    data = open_data()
    take_all(data, WARM_UP)
    net.step(1)
    groups = take_all(data, 1)
    cut_rest(net)
    net.step(1)
    groups += take_all(data, 1)
    net.control("/sockets", {"do": "abort"})
    until(lambda: data.health().gaps == 1, "the loss of the connection is noticed")
    net.step(3)
    until(lambda: data.health().unread >= 3, "three reads fail")
    nothing_was_handed_out(data, groups)
    net.control("/faults", method="DELETE")
    groups += take_all(data, 3)
    must_be_research(groups, research)


def test_without_the_stream_a_missing_row_proves_nothing(net, open_data):
    """REST lacks a coin's row again and again: it counts as no trade once the stream stands."""
    data = open_data()
    before = take_all(data, WARM_UP)[-1]
    missing = before.group.opened + QUARTER.ms
    net.fault("candle_missing", match={"coin": "ETH"}, count=100_000, time=missing)
    be_quiet(net, "ETH")
    cut_stream(net, data)
    net.step(1)
    data._clock.saw(net.market_time() + 60_000)
    strikes(net, "candle_missing", 8)
    nothing_was_handed_out(data, [before])
    assert data.health().awaited == {"ETH"}

    net.control("/faults", method="DELETE")
    net.fault("candle_missing", match={"coin": "ETH"}, count=100_000, time=missing)
    taken = take_all(data, 1)[0]
    assert taken.group.bars["ETH"].source is Source.FLAT
    assert taken.group.bars["ETH"].close == before.group.bars["ETH"].close
    assert taken.group.bars["BTC"].source is Source.REST


def test_a_coin_that_is_known_to_have_traded_is_never_flat(net, open_data, research):
    """REST that lacks the row of a bar with frames is behind: its row is waited for."""
    data = open_data()
    before = take_all(data, WARM_UP)[-1]
    missing = before.group.opened + QUARTER.ms
    net.run_until(net.market_time() + 6 * 60_000)  # frames of the bar that will be missing
    net.fault("candle_missing", match={"coin": "ETH"}, count=100_000, time=missing)
    net.control("/sockets", {"do": "abort"})
    until(lambda: data.health().gaps == 1, "the loss of the connection is noticed")
    until(lambda: data.connected, "the stream is back")
    be_quiet(net, "ETH")
    net.step(1)
    net.run_until(net.market_time() + 6 * 60_000)
    strikes(net, "candle_missing", 8)
    nothing_was_handed_out(data, [before])
    net.control("/faults", method="DELETE")
    must_be_research(take_all(data, 1), research)


def test_a_newest_bar_that_is_late_when_we_begin_is_waited_for(net, open_data, research):
    """The history ends before it; it comes first, with its numbers."""
    net.step(1)
    newest = last_closed(net) + QUARTER.ms  # once the session has begun, at the next open
    net.fault("candle_missing", match={"coin": "ETH"}, count=2, time=newest)
    data = open_data()
    groups = take_all(data, WARM_UP - 1)
    net.run_until(net.market_time() + 6 * 60_000)
    groups += take_all(data, 1)
    must_be_research(groups, research)
    assert groups[-1].group.bars["ETH"].source is Source.REST
    assert data.health().flat == 0


def test_bars_without_the_stream_are_not_live(net, open_data, research):
    """REST alone brings bars in time, but without the stream nothing is traded on them."""
    data = open_data()
    take_all(data, WARM_UP)
    cut_stream(net, data)
    net.step(1)
    data._clock.saw(net.market_time() + 60_000)
    alone = take_all(data, 1)
    must_be_research(alone, research)
    assert not alone[0].live
    net.control("/faults", method="DELETE")
    until(lambda: data.connected, "the stream is back")
    net.step(1)
    assert take_all(data, 1)[0].live


def test_an_outage_leaves_no_queue_of_questions(net, open_data):
    """At most one question about each coin waits, however long REST says nothing."""
    data = open_data()
    take_all(data, WARM_UP)
    net.fault("hang", match={"type": "candleSnapshot"}, count=1, seconds=1.0)
    cut_rest(net)
    be_quiet(net, *COINS)
    net.step(2)
    until(lambda: data.health().awaited == set(COINS), "both are asked for")
    most = 0

    def answered():
        nonlocal most
        most = max(most, data._questions.qsize())
        return data.health().unread >= 4

    until(answered, "four reads fail")
    assert most <= len(COINS)
