"""Jobs that are handed in: alone or together, over a local exchange and a journal on the disk."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest

from ftbt.errors import InputError, RateLimitError, StorageError
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.outcomes import State
from ftbt.hyperliquid.sending import cancelling, placing
from ftbt.live.dispatch import Cancel, Dispatcher, Place
from ftbt.live.journal import read_journal


@pytest.fixture
def hand_in(client):
    """Yield a function that submits jobs together and returns what came of them, in their order."""
    found = {}
    told = threading.Condition()

    def deliver(done):
        with told:
            found[done.job] = done
            told.notify_all()

    dispatcher = Dispatcher(client.sender, client.resolver, client.rest, deliver)

    def submit(*jobs):
        with dispatcher.together():
            for job in jobs:
                dispatcher.submit(job)
        with told:
            assert told.wait_for(lambda: all(job in found for job in jobs), 30), found
        return [found[job] for job in jobs]

    submit.dispatcher = dispatcher
    yield submit
    dispatcher.close()
    assert dispatcher.busy == 0


def place(order, **more):
    """Return the job that places *order*."""
    return Place((order.cloid,), lambda _: [order], "test", **more)


def deep(client, price="30000"):
    """Return an order far below the market."""
    return client.order("BTC", buy=True, price=price, size="0.01")


def commits(client, monkeypatch):
    """Return a list to which each transaction of the journal adds the actions that it writes."""
    ends, found = client.journal._ends, []
    plain = ends._insert_once

    def insert():
        actions = [row["nonce"] for row in ends._logs["sent"].waiting]
        plain()
        if actions:
            found.append(actions)

    monkeypatch.setattr(ends, "_insert_once", insert)
    return found


def test_what_is_handed_in_together_is_written_in_one_go_before_any_of_it_leaves(
    client, hand_in, monkeypatch
):
    """Three orders and a cancel: one transaction, nonces of their own, an outcome each."""
    old = deep(client)
    client.sender.place([old], "before")
    written = commits(client, monkeypatch)
    orders = [deep(client, str(30_000 + number)) for number in range(3)]
    jobs = [*map(place, orders), Cancel(((old.asset, old.cloid),), "too old")]
    done = hand_in(*jobs)
    assert [one.outcomes[0].state for one in done] == [State.RESTING] * 3 + [State.CANCELED]
    (nonces,) = written
    assert len(set(nonces)) == 4
    assert client.journal.unanswered() == []
    with read_journal(client.journal.path) as reader:
        assert [one.sent.nonce for one in reader.sent()][1:] == nonces


def test_one_that_can_not_be_sent_holds_up_no_other(client, hand_in):
    """An order off the tick, and an entry without requests left: the cancel beside them leaves."""
    old = deep(client)
    client.sender.place([old], "before")

    def off_the_tick(_):
        return [client.order("BTC", buy=True, price="30000.123", size="0.01")]

    client.transport.budget.account_has(100)
    wrong = Place(("0x" + "0" * 32,), off_the_tick, "wrong")
    done = hand_in(wrong, place(deep(client)), Cancel(((old.asset, old.cloid),), "too old"))
    assert isinstance(done[0].error, InputError)
    assert isinstance(done[1].error, RateLimitError)
    assert done[2].outcomes[0].state is State.CANCELED
    assert client.rest.open_orders(client.account) == ()


def test_what_can_not_be_written_does_not_leave(client, hand_in):
    """With the journal gone all jobs fail, and the exchange hears of none."""
    orders = [deep(client), deep(client)]
    client.journal.close()
    done = hand_in(*map(place, orders))
    assert all(isinstance(one.error, StorageError) for one in done)
    assert [client.rest.order(client.account, one.cloid) for one in orders] == [None, None]


def test_what_needs_the_market_first_asks_for_it_and_the_rest_does_not_wait(client, hand_in):
    """An exit reads the mid prices when it is sent; the order beside it is written down before."""
    client.sender.place([client.market("BTC", buy=True, size="0.01")], "entry")
    asked = []

    def leave(mids):
        asked.append(mids["BTC"])
        bound = f"{mids['BTC'] * Decimal('0.95'):.3g}"
        price = f"{Decimal(bound):f}"
        return [client.order("BTC", buy=False, price=price, size="0.01", cloid=cloid)]

    cloid = client.cloids.make("test", 99)
    way_out = Place((cloid,), leave, "exit", priority=Priority.PROTECT, fresh=True)
    done = hand_in(way_out, place(deep(client)))
    assert not any(one.error for one in done)
    assert len(asked) == 1
    assert done[1].outcomes[0].state is State.RESTING


def test_a_group_within_a_group_leaves_with_it(client, hand_in):
    """What is decided within a decision is sent with it, once."""
    dispatcher, orders = hand_in.dispatcher, [deep(client), deep(client)]
    with dispatcher.together():
        with dispatcher.together():
            dispatcher.submit(place(orders[0]))
        assert client.journal.unanswered() == []
        dispatcher.submit(place(orders[1]))
        assert dispatcher.busy == 2
    end = time.monotonic() + 30
    while dispatcher.busy:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert len(client.rest.open_orders(client.account)) == 2


def test_connections_stand_before_a_close(client):
    """Each sender asks for something that changes nothing: at the start, and before a close."""
    before = client.transport.budget.spent().weight
    # For the last one of each kind of senders it is always just before the moment to ask.
    dispatcher = Dispatcher(
        client.sender, client.resolver, client.rest, lambda _: None, lambda: 10.55
    )
    end = time.monotonic() + 30
    while client.transport.budget.spent().weight < before + 2 * 12:  # nine at the start
        assert time.monotonic() < end
        time.sleep(0.01)
    dispatcher.close()


def test_a_greeting_waits_for_nobody(client, net):
    """Without room in the budget, or with a venue that hangs, it is left out."""
    net.fault("hang", match={"type": "exchangeStatus"}, path="/info")
    began = time.monotonic()
    client.transport.greet()
    client.transport.budget.venue_said_stop(60.0)
    client.transport.greet()
    assert time.monotonic() - began < 20.0


def test_actions_written_down_together_are_sent_each_for_itself(client):
    """Their order does not matter, and each has its outcome."""
    orders = [deep(client), deep(client)]
    actions = [placing([one], "test") for one in orders]
    sent = client.sender.write_down(actions)
    assert client.journal.unanswered() == sent
    for action, one in reversed(list(zip(actions, sent, strict=True))):
        assert client.sender.send(action, one)[0].state is State.RESTING
    cancels = [cancelling([(one.asset, one.cloid)], "test") for one in orders]
    assert [client.sender.carry_out(one)[0].state for one in cancels] == [State.CANCELED] * 2
    assert client.journal.unanswered() == []
