"""The account's events: each once, in order, and nothing missed over a gap."""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import pairwise

import pytest
from bars_kit import SOCKET, strikes, until

from ftbt.errors import NetworkError
from ftbt.hyperliquid.account import AccountStream, Broken, Truth
from ftbt.hyperliquid.records import Fill, Funding, OrderReport


@pytest.fixture
def client(patient):
    """Return the client whose requests only fail by a fault, each tried once."""
    patient.rest = patient.rest.once()
    return patient


@pytest.fixture
def open_stream(client):
    """Return a function that starts a stream; all are stopped afterwards."""
    opened = []

    def start(since=0, **more):
        opened.append(
            AccountStream(client.rest, client.account, since, socket_options=SOCKET, **more)
        )
        opened[-1].start()
        return opened[-1]

    yield start
    for one in opened:
        one.stop()


def gather(stream, kind, count, fits=lambda _: True):
    """Return all events up to the *count*-th of *kind*, or one of several, that fits."""
    found = []

    def enough():
        found.extend(stream.events())
        return sum(isinstance(event, kind) and fits(event) for event in found) >= count

    until(enough, f"{count} {kind}; {stream.health()} {stream.failure}")
    return found


def next_truth(stream):
    """Return the events up to one truth that is read from now on: what is to come has come."""
    now = time.monotonic()
    stream.reconcile()
    return gather(stream, Truth, 1, lambda truth: truth.read_at >= now)


def fills_in(events):
    """Return the fills among *events*."""
    return [event for event in events if isinstance(event, Fill)]


def trade(client, *, buy, size="0.01"):
    """Trade at once."""
    client.sender.place([client.market("BTC", buy=buy, size=size)], "trade")


def test_the_truth_is_read_before_anything_is_sent(client, open_stream):
    """Start returns with positions, orders and equity; earlier fills are told once."""
    trade(client, buy=True)
    client.sender.place([client.stop("BTC", buy=False, trigger="30000", size="0.01")], "stop")
    stream = open_stream()
    truth = stream.truth
    assert truth.state.positions["BTC"].size == Decimal("0.01")
    assert [order.trigger for order in truth.orders] == [Decimal(30_000)]
    assert truth.equity.value == truth.state.value
    assert truth.drift == {}
    assert len(fills_in(next_truth(stream))) == 1


def test_fills_of_an_earlier_process_are_not_told_again(client, open_stream):
    """What lies before the watermark was booked already."""
    trade(client, buy=True)
    stream = open_stream(since=client.net.market_time() + 1)
    assert fills_in(next_truth(stream)) == []
    assert stream.truth.state.positions["BTC"].size == Decimal("0.01")


def test_an_order_and_its_fill_are_told(client, open_stream):
    """The report of the order and the fill arrive once each, whatever comes first."""
    stream = open_stream()
    stream.events()
    trade(client, buy=True)
    seen = {Fill: 0, OrderReport: 0}
    while not all(seen.values()):
        for event in gather(stream, (Fill, OrderReport), 1):
            seen[Fill] += isinstance(event, Fill)
            seen[OrderReport] += isinstance(event, OrderReport) and event.status == "filled"
    for event in next_truth(stream):
        assert not isinstance(event, (Fill, OrderReport))
    assert seen == {Fill: 1, OrderReport: 1}


@pytest.mark.parametrize("fault", ["ws_drop", "ws_duplicate", "ws_unknown_dir", "ws_late"])
def test_whatever_happens_to_the_frame_the_fill_is_told_once(client, net, open_stream, fault):
    """Lost, doubled, late or with words that nobody knows."""
    stream = open_stream(every_s=0.2)
    stream.events()
    net.fault(fault, match={"channel": "userFills"}, seconds=0.3)
    trade(client, buy=True)
    events = gather(stream, Fill, 1)
    time.sleep(0.4)  # the late frame is there by now
    events += next_truth(stream)
    assert len(fills_in(events)) == 1


def test_what_happened_in_a_gap_is_told_when_it_is_over(client, net, open_stream):
    """Broken, then the missed fills, then the truth, without drift."""
    stream = open_stream()
    stream.events()
    net.fault("ws_refuse", lasts=3600.0)
    net.control("/sockets", {"do": "abort", "user": client.account})
    gather(stream, Broken, 1)
    trade(client, buy=True)
    trade(client, buy=True, size="0.02")
    net.control("/faults", method="DELETE")
    until(lambda: stream.health().connected, "the stream is back")
    events = next_truth(stream)
    assert [fill.size for fill in fills_in(events)] == [Decimal("0.01"), Decimal("0.02")]
    truths = [event for event in events if isinstance(event, Truth)]
    assert truths[-1].state.positions["BTC"].size == Decimal("0.03")
    # One that was read while the stream was down may lie between a trade and its position.
    assert all(truth.drift == {} for truth in truths if truth.heard)
    assert truths[-1].heard
    assert stream.health().gaps == 1


def test_fills_of_a_coin_follow_from_one_another(client, open_stream):
    """Each begins with the position that the one before left."""
    stream = open_stream()
    for buy in (True, False, True, True):
        trade(client, buy=buy)
    fills = fills_in(gather(stream, Fill, 4))
    for before, after in pairwise(fills):
        signed = before.size if before.is_buy else -before.size
        assert after.start == before.start + signed


def test_a_venue_that_changes_the_account_is_noticed(client, net, open_stream):
    """A liquidation is told as a fill that says so, and the truth follows."""
    trade(client, buy=True)
    stream = open_stream()
    stream.events()
    net.control("/position/liquidate", {"user": client.account, "coin": "BTC"})
    events = gather(stream, Truth, 1, lambda truth: truth.state.positions == {})
    events += next_truth(stream)
    assert [fill.liquidation for fill in fills_in(events)] == [True]


def test_a_payment_of_funding_is_told_by_its_frame_and_once(client, net, open_stream):
    """REST is slower than a fill at the same hour; when it has told as well, nothing is doubled."""
    trade(client, buy=True)
    stream = open_stream()
    next_truth(stream)
    net.fault("server_error", match={"type": "clearinghouseState"}, count=1000)
    net.control("/funding", {"coin": "BTC", "rate": 0.001})
    (paid,) = [event for event in gather(stream, Funding, 1) if isinstance(event, Funding)]
    assert (paid.coin, paid.amount < 0) == ("BTC", True)
    net.control("/faults", method="DELETE")
    later = next_truth(stream) + next_truth(stream)
    assert not [event for event in later if isinstance(event, Funding)]


def test_a_payment_that_was_missed_is_told_before_newer_ones_count(client, net, open_stream):
    """After a gap REST tells what was paid meanwhile, whatever the stream says first."""
    trade(client, buy=True)
    stream = open_stream()
    next_truth(stream)
    net.fault("server_error", match={"type": "clearinghouseState"}, count=1000)
    net.control("/sockets", {"do": "abort"})
    gather(stream, Broken, 1)
    until(lambda: stream.health().connected, "it is connected again")
    net.control("/funding", {"coin": "BTC", "rate": 0.001})
    time.sleep(0.3)
    assert not [event for event in stream.events() if isinstance(event, Funding)]
    net.control("/faults", method="DELETE")
    assert len([e for e in gather(stream, Funding, 1) if isinstance(e, Funding)]) == 1


def test_a_truth_that_can_not_be_read_is_tried_again(client, net, open_stream):
    """An outage of REST leaves the last truth in place, visibly old."""
    stream = open_stream()
    next_truth(stream)
    before = stream.truth
    net.fault("server_error", match={"type": "clearinghouseState"}, count=1000)
    stream.reconcile()
    strikes(net, "server_error", 2)
    assert stream.truth is before
    net.control("/faults", method="DELETE")
    gather(stream, Truth, 1)
    assert stream.truth is not before
    assert stream.failure is None


def test_a_stream_that_never_answers_stops_the_start(client, net):
    """Nothing is traded without it."""
    net.fault("ws_error_frame", count=100)
    stream = AccountStream(client.rest, client.account, 0, socket_options=SOCKET)
    with pytest.raises(NetworkError, match="stream does not answer"):
        stream.start(patience_s=1.0)
    stream.stop()


def test_a_large_snapshot_is_read_whole(client, net, open_stream):
    """The stream replays up to 2000 fills at each subscription."""
    trade(client, buy=True)
    net.fault("ws_big_snapshot", match={"channel": "userFills"})
    stream = open_stream()
    events = gather(stream, Fill, 2000)
    assert len({fill.key for fill in fills_in(events)}) == len(fills_in(events))
