"""Actions against a local exchange: written first, sent once, and never again blindly."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from client_kit import HURRIED

from ftbt.errors import (
    ExchangeError,
    NetworkError,
    OutcomeUnknown,
    RateLimitError,
    StorageError,
    StorageFull,
)
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.orders import Grouping, Tif
from ftbt.hyperliquid.outcomes import Reason, State
from ftbt.hyperliquid.resolving import Resolver
from ftbt.hyperliquid.sending import ActionLost

ORDER = {"type": "order"}


def entry(client, size="0.01", **more):
    """Return a market order for BTC."""
    return client.market("BTC", buy=True, size=size, **more)


def deep(client, **more):
    """Return a limit order far below the market."""
    return client.order("BTC", buy=True, price="30000", size="0.01", **more)


def lose(client, *orders, **more):
    """Place *orders*, expecting no usable answer; return what was sent."""
    with pytest.raises(ActionLost) as caught:
        client.sender.place(orders, "test", **more)
    return caught.value.sent


# --- the usual course -----------------------------------------------------------------------------


def test_an_order_that_trades_is_filled(client):
    """Size and mean price are told, the exchange has the position, the journal is settled."""
    (outcome,) = client.sender.place([entry(client)], "entry")
    assert (outcome.state, outcome.filled) == (State.FILLED, Decimal("0.01"))
    assert outcome.average is not None
    assert client.position("BTC") == Decimal("0.01")
    assert client.journal.unanswered() == []


def test_an_order_rests_and_is_cancelled_by_its_id(client):
    """The second cancel comes too late, which is not an error."""
    order = deep(client)
    (outcome,) = client.sender.place([order], "entry")
    assert outcome.state is State.RESTING
    (first,) = client.sender.cancel([(order.asset, order.cloid)], "too old")
    (second,) = client.sender.cancel([(order.asset, order.cloid)], "too old")
    assert (first.state, second.state) == (State.CANCELED, State.GONE)
    assert client.rest.open_orders(client.account) == ()


def test_an_order_without_an_id_is_cancelled_by_its_number(client):
    """Orders by hand have no client order id."""
    body = {
        "user": client.account, "coin": "BTC", "is_buy": True, "price": "30000", "size": "0.01",
    }  # fmt: skip
    client.net.control("/orders/place", body)
    (order,) = client.rest.open_orders(client.account)
    assert not client.cloids.owns(order.cloid)
    (outcome,) = client.sender.cancel_oids([(client.universe["BTC"], order.oid)], "flatten")
    assert outcome.state is State.CANCELED


def test_a_bracket_waits_for_its_parent(client):
    """Children of a resting parent have no number yet."""
    parent = deep(client)
    stop = client.stop("BTC", buy=False, trigger="29000", size="0.01")
    found = client.sender.place([parent, stop], "bracket", grouping=Grouping.BRACKET)
    assert [one.state for one in found] == [State.RESTING, State.WAITING]


def test_refusals_are_told_per_order(client):
    """One order of a batch is refused, the other rests."""
    crossing = client.order("BTC", buy=True, price="50000", size="0.001", tif=Tif.ALO)
    found = client.sender.place([crossing, deep(client)], "two")
    assert [one.state for one in found] == [State.REFUSED, State.RESTING]
    assert found[0].reason is Reason.CROSSED


def test_leverage_is_set_and_a_refusal_is_an_error(client, net):
    """The venue's words are in the message."""
    client.sender.set_leverage(client.universe["BTC"], 5, cross=False)
    assert client.rest.leverage(client.account, "BTC") == (5, False)
    net.fault("leverage_refused")
    with pytest.raises(ExchangeError, match="Cannot switch leverage type"):
        client.sender.set_leverage(client.universe["BTC"], 5, cross=True)


def test_the_dead_mans_switch_says_why_it_is_refused(client):
    """Too little volume was traded; trading goes on without it."""
    with pytest.raises(ExchangeError, match="volume"):
        client.sender.arm_dead_man(client.rest.server_time() + 60_000)


def test_a_sub_account_trades_with_its_masters_agent(client):
    """Its address is part of what is signed."""
    sub = "0x" + "5c" * 20
    client.net.control("/sub-account", {"user": client.account, "sub": sub, "usd": 5000})
    sender = client.sender
    sender.account, sender._vault = sub, sub
    sender.place([entry(client)], "entry")
    assert client.rest.account(sub).positions["BTC"].size == Decimal("0.01")
    assert client.position("BTC") == 0


# --- written first --------------------------------------------------------------------------------


class Watching:
    """A journal that looks at the exchange at the moment of writing."""

    def __init__(self, client):
        self.client = client
        self.inner = client.journal
        self.seen = []

    def before_sending(self, sent):
        """Note what the exchange knows of the order now."""
        self.inner.before_sending(sent)
        known = [self.client.rest.order(self.client.account, one) for one in sent.cloids]
        self.seen.append((json.loads(sent.body), known))

    def after(self, sent, text, *, final):
        """Hand on."""
        self.inner.after(sent, text, final=final)

    def unanswered(self):
        """Hand on."""
        return self.inner.unanswered()


def test_the_signed_bytes_are_written_before_the_exchange_knows_them(client):
    """At the moment of writing there is no order; what is written is what was sent."""
    watching = client.sender.journal = Watching(client)
    order = entry(client)
    client.sender.place([order], "entry")
    ((body, known),) = watching.seen
    assert known == [None]
    assert body["action"]["orders"][0]["c"] == order.cloid
    assert set(body["signature"]) == {"r", "s", "v"}
    assert body["expiresAfter"] > body["nonce"]


def test_what_can_not_be_written_is_not_sent(client):
    """A journal on a full or broken disk stops trading."""
    client.journal.close()
    order = entry(client)
    with pytest.raises(StorageError):
        client.sender.place([order], "entry")
    assert client.rest.order(client.account, order.cloid) is None
    assert client.position("BTC") == 0


class Filling(Watching):
    """A journal whose disk is full as soon as an action is written."""

    def before_sending(self, sent):
        """Write, then leave no page for more."""
        self.inner.before_sending(sent)
        driver = self.inner._ends.file.connection.driver_connection
        driver.execute("PRAGMA max_page_count = 1")

    def after(self, sent, text, *, final):
        """Hand on more than a page has room for."""
        self.inner.after(sent, text + " " * 9_000, final=final)


def test_an_answer_that_can_not_be_written_is_still_an_answer(client):
    """The order is on the exchange: its sender must know, whatever the disk says."""
    client.sender.journal = Filling(client)
    order = deep(client)
    (outcome,) = client.sender.place([order], "entry")
    assert outcome.state is State.RESTING
    assert isinstance(client.journal.trouble, StorageFull)
    assert client.journal.unanswered() == []
    never = deep(client)
    with pytest.raises(StorageFull):
        client.sender.place([never], "entry")
    assert client.rest.order(client.account, never.cloid) is None
    client.journal._ends.file.connection.driver_connection.execute(
        "PRAGMA max_page_count = 1000000"
    )


def test_a_budget_that_is_used_up_sends_and_writes_nothing(client):
    """The last requests of the account stay for protection."""
    client.transport.budget.account_has(100)
    with pytest.raises(RateLimitError):
        client.sender.place([entry(client)], "entry")
    assert client.journal.unanswered() == []


def test_orders_sent_at_once_have_nonces_of_their_own(client):
    """Twelve threads, no duplicate nonce."""
    orders = [deep(client) for _ in range(12)]
    found = []
    threads = [
        threading.Thread(target=lambda one=one: found.extend(client.sender.place([one], "many")))
        for one in orders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.state for one in found] == [State.RESTING] * 12


# --- answers that do not come ---------------------------------------------------------------------

COMMITTED = ["commit_then_hang", "commit_then_drop", "commit_then_bad_gateway", "partial_body"]
NEVER = ["hang", "reset", "bad_gateway", "server_error", "not_json"]


@pytest.mark.parametrize("fault", COMMITTED)
def test_an_order_whose_answer_was_lost_is_found(client, net, fault):
    """It was carried out once; resolving finds it filled and sends nothing twice."""
    net.fault(fault, match=ORDER)
    sent = lose(client, entry(client))
    assert client.journal.unanswered() == [sent]

    (outcome,) = client.resolver.resolve(sent)
    assert (outcome.state, outcome.filled) == (State.FILLED, Decimal("0.01"))
    assert client.position("BTC") == Decimal("0.01")
    assert client.journal.unanswered() == []


@pytest.mark.parametrize("fault", NEVER)
def test_an_order_that_never_arrived_is_known_to_be_none(client, net, fault):
    """Its nonce is used up, so that it can't arrive later; then it counts as refused."""
    net.fault(fault, match=ORDER)
    sent = lose(client, entry(client))
    (outcome,) = client.resolver.resolve(sent)

    assert outcome.state is State.REFUSED
    assert "never reached" in outcome.text
    late = client.transport.act(sent.body, 1, Priority.PROTECT)  # the bytes arrive after all
    assert "duplicate nonce" in late["response"]
    assert client.position("BTC") == 0


def test_a_resting_order_whose_answer_was_lost_is_found(client, net):
    """So are its stop, and the number of each."""
    net.fault("commit_then_drop", match=ORDER)
    parent = deep(client)
    sent = lose(client, parent, deep(client))
    found = client.resolver.resolve(sent)
    assert [one.state for one in found] == [State.RESTING] * 2
    assert {one.oid for one in found} == {o.oid for o in client.rest.open_orders(client.account)}


def test_a_refused_order_whose_answer_was_lost_is_known(client, net):
    """The exchange keeps a record of the refusal."""
    net.fault("commit_then_drop", match=ORDER)
    crossing = client.order("BTC", buy=True, price="50000", size="0.001", tif=Tif.ALO)
    (outcome,) = client.resolver.resolve(lose(client, crossing))
    assert outcome.state is State.REFUSED
    assert client.rest.open_orders(client.account) == ()


def test_an_order_that_is_not_visible_yet_is_not_taken_for_none(client, net):
    """`unknownOid` right after a fill proves nothing."""
    net.fault("commit_then_drop", match=ORDER)
    net.fault("unknown_oid", match={"user": client.account}, count=3)
    (outcome,) = client.resolver.resolve(lose(client, entry(client)))
    assert (outcome.state, outcome.filled) == (State.FILLED, Decimal("0.01"))


def test_a_forgotten_order_is_known_by_its_fills(client, net):
    """The exchange forgets orders, not fills."""
    net.fault("commit_then_drop", match=ORDER)
    sent = lose(client, entry(client))
    (fill,) = client.rest.recent_fills(client.account)
    net.control("/orders/evict", {"user": client.account, "oid": fill.oid})
    (outcome,) = client.resolver.resolve(sent)
    assert (outcome.state, outcome.filled) == (State.FILLED, Decimal("0.01"))


def test_a_part_that_traded_is_counted_from_fills(client, net):
    """An IOC order in a thin book fills in part; the rest is no order any more."""
    net.control("/market/book", {"coin": "ETH", "asks": [["2300", "0.05"]], "bids": []})
    net.fault("commit_then_drop", match=ORDER)
    order = client.order("ETH", buy=True, price="2310", size="1", tif=Tif.IOC)
    (outcome,) = client.resolver.resolve(lose(client, order))
    net.control("/market/book", {"coin": "ETH"})
    assert outcome.state in (State.FILLED, State.CANCELED)
    assert outcome.filled == client.position("ETH") == Decimal("0.05")


def test_an_outage_settles_nothing(client, net):
    """While nothing answers the order is neither there nor not there."""
    net.fault("commit_then_drop", match=ORDER)
    sent = lose(client, entry(client))
    net.fault("server_error", count=500)
    quick = replace(HURRIED, longest_s=1.0)
    with pytest.raises(OutcomeUnknown, match="still not known"):
        Resolver(client.sender, client.rest, quick).resolve(sent)
    assert client.journal.unanswered() == [sent]

    net.control("/faults", method="DELETE")
    (outcome,) = client.resolver.resolve(sent)
    assert outcome.state is State.FILLED


def test_an_order_that_can_not_be_burnt_is_settled_by_its_expiry(client, net):
    """After `expiresAfter` it can't be carried out any more; looks after that prove it."""
    net.fault("hang", match=ORDER)
    sent = lose(client, entry(client), expires_ms=1_500)
    net.fault("server_error", match={"type": "noop"}, count=500)
    # A hurried resolver on a quick machine would look until no requests are left.
    calm = replace(HURRIED, poll_s=0.2)
    (outcome,) = Resolver(client.sender, client.rest, calm).resolve(sent)
    assert outcome.state is State.REFUSED
    assert client.sender.clock() > sent.expires_after
    late = client.transport.act(sent.body, 1, Priority.PROTECT)
    assert "expired" in late["response"].lower()


def test_a_cancel_whose_answer_was_lost_is_settled(client, net):
    """Carried out: gone. Never arrived: still resting, to be cancelled again."""
    for fault, state in (("commit_then_drop", State.GONE), ("reset", State.RESTING)):
        order = deep(client)
        client.sender.place([order], "entry")
        net.fault(fault, match={"type": "cancelByCloid"})
        with pytest.raises(ActionLost) as caught:
            client.sender.cancel([(order.asset, order.cloid)], "too old")
        (outcome,) = client.resolver.resolve(caught.value.sent)
        assert outcome.state is state


def test_a_delivery_that_happens_twice_trades_once(client, net):
    """A proxy that repeats the request can't double the order: the nonce is used."""
    net.fault("duplicate_delivery", match=ORDER)
    client.sender.place([entry(client)], "entry")
    assert client.position("BTC") == Decimal("0.01")


def test_fewer_answers_than_orders_leave_the_rest_to_be_found(client, net):
    """The action stays open in the journal until every order is known."""
    net.fault("fewer_statuses")
    found = client.sender.place([deep(client), deep(client)], "two")
    assert [one.state for one in found] == [State.RESTING, State.UNKNOWN]
    (sent,) = client.journal.unanswered()
    assert [one.state for one in client.resolver.resolve(sent)] == [State.RESTING] * 2


def test_no_connection_is_surely_not_sent(client, net):
    """Nothing was delivered, so there is nothing to find out."""
    net.control("/server/refuse", {"seconds": 1.0})
    client.transport.close()
    client.transport._threads.__dict__.clear()
    order = deep(client)
    with pytest.raises(NetworkError, match="no connection"):
        client.sender.place([order], "entry")
    assert client.journal.unanswered() == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nonce_too_low", Reason.NONCE), ("expired", Reason.EXPIRED),
        ("address_limit", Reason.REQUESTS), ("agent_unknown", Reason.SIGNER),
        ("insufficient_margin", Reason.MARGIN), ("action_error", Reason.OTHER),
    ],
)  # fmt: skip
def test_refusals_of_the_exchange_are_final(client, net, fault, reason):
    """Each is known by its words; nothing is open and nothing is sent again."""
    net.fault(fault)
    (outcome,) = client.sender.place([entry(client)], "entry")
    assert (outcome.state, outcome.reason) == (State.REFUSED, reason)
    assert client.journal.unanswered() == []
    assert client.position("BTC") == 0


# --- a new process --------------------------------------------------------------------------------


def test_a_new_process_settles_what_the_last_one_left_open(client, new_client, net):
    """Of two lost orders one was carried out; recovery says which, from the journal alone."""
    net.fault("commit_then_drop", match=ORDER)
    done = lose(client, entry(client))
    net.fault("reset", match=ORDER)
    never = lose(client, entry(client))
    client.journal.close()

    again = new_client()
    found = dict(again.resolver.recover())
    assert found[done][0].state is State.FILLED
    assert found[never][0].state is State.REFUSED
    assert again.position("BTC") == Decimal("0.01")
    assert again.resolver.recover() == []
