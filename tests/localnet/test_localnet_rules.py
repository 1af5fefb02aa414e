"""The core: what is refused, with the venue's words, and what reduce-only means."""

from __future__ import annotations

from decimal import Decimal

import pytest
from localnet_kit import fills, funded, one_coin, order, place, statuses

D = Decimal
BAR = (100.0, 101.0, 99.0, 100.5)


@pytest.fixture
def venue():
    """Return a venue at the open of its first bar, price 100, SOL: two size decimals."""
    venue = one_coin(BAR, BAR, BAR)
    venue.advance(venue.next_bar())
    return venue


@pytest.mark.parametrize(
    ("request_", "text", "status"),
    [
        (order(True, 1, "100.001"), "Price must be divisible by tick size. asset=0",
         "tickRejected"),
        (order(True, "0.09", 100), "Order must have minimum value of $10. asset=0",
         "minTradeNtlRejected"),
        (order(True, 1_000_000, 99), "Insufficient margin to place order. asset=0",
         "perpMarginRejected"),
        (order(True, 1, 100, reduce_only=True),
         "Reduce only order would increase position. asset=0", "reduceOnlyRejected"),
        (order(True, 1, "100.01", tif="Alo"),
         "Post only order would have immediately matched, bbo was 99.99@100.01. asset=0",
         "badAloPxRejected"),
        (order(True, 1, 110, stop=99), "Invalid TP/SL price. asset=0", "badTriggerPxRejected"),
    ],
)  # fmt: skip
def test_an_order_is_refused_with_the_venues_words(venue, request_, text, status):
    """Each refusal has the venue's text, and leaves a record with its status."""
    user = funded(venue)
    assert place(venue, user, request_) == [{"error": text}]
    assert statuses(venue, user) == [status]
    assert (
        venue.core.orders.history(user)[0]["order"]["sz"]
        == (venue.core.orders.history(user)[0]["order"]["origSz"])
    )


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (order(True, "1.001", 100), "Order has invalid size."),
        (order(True, 0, 100), "Order has zero size."),
        (order(True, 1, 0), "Order has invalid price."),
        (order(True, 1, 196),
         "Order price cannot be more than 95% away from the reference price"),
    ],
)  # fmt: skip
def test_a_static_fault_ends_the_whole_batch(venue, request_, text):
    """One unreadable order refuses its batch with a single status, and leaves no record."""
    user = funded(venue)
    assert place(venue, user, order(True, 1, 99), request_) == [{"error": text}]
    assert venue.core.orders.live(user) == []
    assert venue.core.orders.history(user) == []


def test_errors_are_per_order(venue):
    """A refusal for business reasons leaves the other orders of the batch alone."""
    user = funded(venue)
    found = place(venue, user, order(True, 1, "99.9999"), order(True, 1, 99))
    assert "error" in found[0]
    assert "resting" in found[1]


def test_closing_a_small_position_is_exempt_from_the_minimum(venue):
    """The whole of a position below $10 may be closed, a part of it may not."""
    user = funded(venue)
    place(venue, user, order(True, "0.2", 105, tif="Ioc"))
    place(venue, user, order(False, "0.12", 95, tif="Ioc"))
    assert venue.core.account(user).size_of("SOL") == D("0.08")
    for reduce_only in (False, True):
        [part] = place(venue, user, order(False, "0.05", 95, tif="Ioc", reduce_only=reduce_only))
        assert part == {"error": "Order must have minimum value of $10. asset=0"}
    [whole] = place(venue, user, order(False, "0.08", 95, tif="Ioc"))
    assert whole["filled"]["totalSz"] == "0.08"


def test_a_larger_reduce_only_order_is_shrunk(venue):
    """It closes the position and no more, and answers filled."""
    user = funded(venue)
    place(venue, user, order(True, 1, 105, tif="Ioc"))
    [status] = place(venue, user, order(False, 5, 95, tif="Ioc", reduce_only=True))
    assert status["filled"]["totalSz"] == "1.0"
    assert venue.core.account(user).positions == {}


def test_a_resting_reduce_only_order_follows_the_position(venue):
    """It rests with the position's size, shrinks with it, and ends when it is gone."""
    user = funded(venue)
    place(venue, user, order(True, 2, 105, tif="Ioc"))
    [status] = place(venue, user, order(False, 5, 103, reduce_only=True))
    resting = venue.core.orders.get(status["resting"]["oid"])
    assert resting.basic()["sz"] == "2.0"
    assert resting.basic()["origSz"] == "5.0"
    place(venue, user, order(False, "0.5", 95, tif="Ioc"))
    assert resting.basic()["sz"] == "1.5"
    venue.drain()
    place(venue, user, order(False, 3, 95, tif="Ioc"))
    events = [e for e in venue.drain() if e.key == user]
    assert [e.data["status"] for e in events if e.kind == "order"] == [
        "open",
        "reduceOnlyCanceled",
        "filled",
    ]
    assert not [e for e in events if e.kind == "cancel"]
    assert venue.core.account(user).size_of("SOL") == D("-1.5")


def test_children_wait_for_the_whole_parent(venue):
    """The children of a bracket are shown, but work only once the parent has filled whole."""
    user = funded(venue)
    found = place(
        venue, user,
        order(True, 4, "99.5"),
        order(False, 4, 90, stop="98", reduce_only=True),
        order(False, 4, 105, target=105, reduce_only=True),
        grouping="normalTpsl",
    )  # fmt: skip
    assert found[1:] == ["waitingForFill", "waitingForFill"]
    parent = venue.core.orders.get(found[0]["resting"]["oid"])
    children = [venue.core.orders.get(oid) for oid in parent.children]
    assert [c["oid"] for c in venue.core.orders.children(parent)] == parent.children
    venue.fill_by_market(parent, D(1))
    assert all(child.waiting for child in children)
    venue.drain()
    venue.cancel(user, "SOL", parent.oid)
    assert statuses(venue, user) == ["canceled"] * 3
    assert {child.status_time for child in children} == {parent.status_time}


def test_children_of_a_filled_parent_work(venue):
    """After the last part of the parent the stop and the target are alive."""
    user = funded(venue)
    place(
        venue, user,
        order(True, 4, "99.5"),
        order(False, 4, 90, stop="98", reduce_only=True),
        order(False, 4, 105, target=105, reduce_only=True),
        grouping="normalTpsl",
    )  # fmt: skip
    venue.advance(venue.next_bar())
    live = venue.core.orders.live(user)
    assert [o.kind() for o in live] == ["Stop Market", "Take Profit Market"]
    assert not any(o.waiting for o in live)
    venue.walking.jump("SOL", D(97), venue.time)
    assert fills(venue, user)[-1][:2] == ("A", D(4))
    assert venue.core.orders.live(user) == []


def test_a_position_tpsl_follows_the_position(venue):
    """Size 0 is the whole position, whatever it becomes; a fixed size does not grow."""
    user = funded(venue)
    place(venue, user, order(True, 2, 105, tif="Ioc"))
    found = place(
        venue, user,
        order(False, 0, 90, stop=98, reduce_only=True),
        order(False, 1, 90, stop=97, reduce_only=True),
        grouping="positionTpsl",
    )  # fmt: skip
    assert found == ["waitingForTrigger", "waitingForTrigger"]
    place(venue, user, order(True, 3, 105, tif="Ioc"))
    assert [o.size for o in venue.core.orders.live(user)] == [D(5), D(1)]
    assert all(o.full([])["isPositionTpsl"] for o in venue.core.orders.live(user))
    venue.walking.jump("SOL", D("97.5"), venue.time)
    assert venue.core.account(user).positions == {}
    assert venue.core.orders.live(user) == []


@pytest.mark.parametrize("grouping", ["normalTpsl", "positionTpsl"])
def test_grouped_triggers_must_be_reduce_only(venue, grouping):
    """A group with a trigger that could open is refused as a whole."""
    user = funded(venue)
    requests = [order(True, 1, 99), order(False, 1, 90, stop=98)]
    found = place(venue, user, *requests[grouping == "positionTpsl" :], grouping=grouping)
    assert found == [{"error": "TP/SL orders must be reduce only."}]


def test_leverage_rules(venue):
    """Mode and value are set together; an open position keeps its mode."""
    user = funded(venue, usd=1000)
    assert venue.set_leverage(user, "SOL", is_cross=True, leverage=21) == "Invalid leverage value"
    assert venue.set_leverage(user, "SOL", is_cross=True, leverage=10) is None
    place(venue, user, order(True, 80, 105, tif="Ioc"))
    assert venue.set_leverage(user, "SOL", is_cross=False, leverage=10) == (
        "Cannot switch leverage type with open position."
    )
    assert venue.set_leverage(user, "SOL", is_cross=True, leverage=20) is None
    refused = venue.set_leverage(user, "SOL", is_cross=True, leverage=2)
    assert refused.startswith("Cross position does not have sufficient margin")


def test_the_maker_must_still_have_its_margin(venue):
    """A resting order whose margin is gone when it is hit is cancelled."""
    maker, taker = funded(venue, "m", 110), funded(venue, "t")
    venue.set_leverage(maker, "SOL", is_cross=True, leverage=1)
    venue.core.books["SOL"].pin([], [])
    place(venue, maker, order(True, 1, 100))
    venue.core.account(maker).deposit(D(-50))
    venue.drain()
    place(venue, taker, order(False, 1, 99, tif="Ioc"))
    assert statuses(venue, maker) == ["marginCanceled"]


def test_only_post_only_orders_in_the_window_after_an_upgrade(venue):
    """Other orders are refused without a record."""
    user = funded(venue)
    venue.core.behaviour.post_only = True
    [refused] = place(venue, user, order(True, 1, 105, tif="Ioc"))
    assert refused["error"].startswith("Only post-only orders allowed immediately after")
    assert "resting" in place(venue, user, order(True, 1, 99, tif="Alo"))[0]
    assert len(venue.core.orders.history(user)) == 1


def test_a_parent_that_finds_nothing_takes_its_children_along(venue):
    """An immediate parent without a fill ends, and with it the children that waited."""
    user = funded(venue)
    found = place(
        venue, user,
        order(True, 1, "99.5", tif="Ioc"),
        order(False, 1, 90, stop="98", reduce_only=True),
        grouping="normalTpsl",
    )  # fmt: skip
    assert found[0]["error"].startswith("Order could not immediately match")
    assert venue.core.orders.live(user) == []


def test_the_history_is_kept_by_count(venue):
    """An ended order is forgotten once enough newer ones have ended; live ones never are."""
    user = funded(venue)
    venue.core.orders.kept = 3
    oids = []
    for _ in range(5):
        [status] = place(venue, user, order(True, 1, 99))
        oids.append(status["resting"]["oid"])
        venue.cancel(user, "SOL", oids[-1])
    known = [venue.core.orders.status(user, oid) is not None for oid in oids]
    assert known == [False, False, True, True, True]
