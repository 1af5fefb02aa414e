"""One order after the other, in every way in which it can go."""

from __future__ import annotations

import time

import pytest
from live_kit import COIN, Scene, until

from ftbt.backtest.result import ExitReason, Status
from ftbt.live.desk import PastOrder

LIMIT, STOP = 2, 3


def reasons(one: Scene) -> list[int]:
    """Return the exit reasons of the trades so far."""
    return [int(row["exit_reason"]) for row in one.broker.desk.trade_records()]


def statuses(one: Scene) -> list[int]:
    """Return the statuses of all orders so far, by their numbers."""
    return [int(working.status) for working in one.broker.desk.orders]


def triggers(one: Scene) -> list[float]:
    """Return the prices of the stops that stand on the exchange."""
    return [float(o["triggerPx"]) for o in one.orders() if o["isTrigger"]]


# --- entries --------------------------------------------------------------------------------------


def test_a_trade_goes_through_both_targets_with_its_stop_at_the_entry_after_the_first(scene):
    """A market entry is guarded at once; target 1 moves the stop to the entry; target 2 ends it."""
    one = scene()
    one.enter()
    assert one.position() > 0
    assert len(one.orders()) == 3
    one.check()
    one.price(105.5)
    one.check()
    assert triggers(one) == [round(one.book.position.price, 2)]
    one.price(111)
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.TARGET2]
    assert one.bare < 5.0


def test_a_stop_closes_the_position_and_takes_the_targets_along(scene):
    """The exchange's own stop closes everything, and the targets are cancelled."""
    one = scene()
    one.enter(-1)
    assert one.position() < 0
    one.price(105.5)
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.STOP]


def test_a_limit_entry_waits_with_its_guard_and_is_protected_when_it_fills(scene):
    """A limit entry rests; its fill is a maker's; the guard is a stop from then on."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    assert len(one.orders()) == 2
    one.price(97.5)
    one.check()
    assert one.position() > 0
    assert triggers(one) == [95.0]
    assert one.events("fill")[0].body["maker"]


def test_a_limit_entry_that_is_not_reached_is_taken_back_after_its_bars(scene):
    """After `valid_bars` the waiting entry is cancelled on the exchange, with its guard."""
    one = scene(parameters={"valid_bars": 2})
    one.enter(kind=LIMIT, entry=98.0)
    one.bars(2)
    one.check()
    assert not one.orders()
    assert statuses(one) == [Status.CANCELLED] * 4


def test_an_invalidated_idea_takes_a_waiting_entry_back_and_closes_a_position(scene):
    """`exit_long` cancels what waits, and leaves at the market what is held."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    one.leave()
    one.bars()
    one.check()
    assert not one.orders()
    one.enter()
    one.leave()
    one.bars()
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.INVALIDATION]


def test_a_position_is_left_after_its_most_bars(scene):
    """The time exit is a market order of the session, and takes stop and targets along."""
    one = scene(parameters={"max_bars": 3})
    one.enter()
    one.bars(3)
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.TIME]


def test_an_entry_fills_as_far_as_the_book_goes_and_all_of_it_is_protected(scene):
    """What an immediate order could not get is not waited for; stop and targets fit the part."""
    one = scene()
    one.net.control("/market/depth", {"notional": 60})
    one.enter(stop=99.0, target1=102.0, target2=104.0)
    one.check()
    entry = one.broker.desk.orders[0]
    assert 0 < entry.filled < entry.size
    assert entry.status == Status.FILLED
    targets = [float(o["sz"]) for o in one.orders() if not o["isTrigger"]]
    assert sum(targets) == pytest.approx(one.position())
    assert triggers(one) == [99.0]
    one.net.control("/market/depth", {"notional": 1_000_000})
    one.price(98.5)
    one.check()
    assert not one.position()


def test_a_limit_entry_that_fills_in_parts_is_protected_part_by_part(scene):
    """Each part has a stop at once; the guard alone would wait for the whole entry."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    oid = one.orders()[0]["oid"]
    for size in (3, 5):
        one.net.control("/orders/fill", {"user": one.user, "oid": oid, "size": size})
        one.quiet()
        assert triggers(one) == [95.0, 95.0]  # one of them still waits for the whole entry
    assert one.position() == 8
    one.check()
    one.price(94)
    one.check()
    assert not one.position()
    assert one.bare < 5.0


def test_an_entry_that_filled_in_part_is_finished_at_the_close(scene):
    """The model fills as a whole: at the next close the rest of a part is taken back."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    oid = one.orders()[0]["oid"]
    one.net.control("/orders/fill", {"user": one.user, "oid": oid, "size": 10})
    one.quiet()
    one.bars()
    one.check()
    entry = one.broker.desk.orders[0]
    assert (entry.status, entry.filled) == (Status.FILLED, 10)
    assert sorted(float(o["sz"]) for o in one.orders() if not o["isTrigger"]) == [5, 5]


def test_a_market_entry_that_finds_nobody_is_tried_again_within_its_bar(scene):
    """With an empty book it is tried three times and then rejected; nothing is left over."""
    one = scene()
    one.net.control("/market/book", {"coin": COIN, "bids": [["99.99", "1"]], "asks": []})
    try:
        one.enter()
        one.check()
        assert not one.position()
        assert statuses(one)[0] == Status.REJECTED
        assert len([e for e in one.events("leg") if e.body["leg"] == "entry"]) == 3
    finally:
        one.net.control("/market/book", {"coin": COIN})


def test_a_market_entry_finds_at_the_second_try_what_was_not_there_at_the_first(scene):
    """One refusal for want of a match does not end an entry."""
    one = scene()
    text = "Order could not immediately match against any resting orders. asset=0"
    one.strike("order_error", text=text, match={"type": "order"})
    one.enter()
    one.check()
    assert one.position() > 0
    assert "order_error" in one.net.struck()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Insufficient margin to place order. asset=0", Status.MARGIN),
        ("Order has invalid price. asset=0", Status.REJECTED),
        ("Price must be divisible by tick size. asset=0", Status.REJECTED),
        ("Order must have minimum value of $10. asset=0", Status.REJECTED),
        ("Something that nobody has heard of", Status.REJECTED),
    ],
)
def test_an_entry_that_the_exchange_refuses_is_over(scene, text, status):
    """The strategy is told, nothing is left, and the next idea is free to come."""
    one = scene()
    one.strike("batch_error", text=text, match={"type": "order"})
    one.enter()
    one.check()
    assert statuses(one)[0] == status
    assert next(e.body["text"] for e in one.events("refused")) == text
    one.enter()
    one.check()
    assert one.position() > 0


@pytest.mark.parametrize("name", ["nonce_too_low", "expired", "address_limit", "duplicate_nonce"])
def test_an_entry_that_is_refused_for_something_else_is_sent_again(scene, name):
    """What is no fault of the order does not end it, and it opens once."""
    one = scene()
    one.strike(name, match={"type": "order"})
    one.enter()
    one.check()
    assert one.position() > 0
    assert len(one.fills()) == 1


# --- stops ----------------------------------------------------------------------------------------


def test_a_stop_whose_price_has_passed_closes_at_the_market(scene):
    """Price runs through the place of the stop while only a part is filled: out at once."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    stop = {"type": "order", "grouping": "positionTpsl"}  # not one of the targets beside it
    one.strike("order_error", text="Invalid TP/SL price. asset=0", match=stop)
    oid = one.orders()[0]["oid"]
    one.net.control("/orders/fill", {"user": one.user, "oid": oid, "size": 10})
    one.quiet()
    one.bars()
    one.check()
    assert not one.position()


def test_a_stop_that_is_refused_again_and_again_ends_the_position(scene):
    """Without a stop no position stays: after four refusals in a row it is closed."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    one.strike("order_error", text="no stops today", count=6, match={"type": "order"})
    oid = one.orders()[0]["oid"]
    one.net.control("/orders/fill", {"user": one.user, "oid": oid, "size": 10})
    one.quiet()
    one.bars()
    one.check()
    assert not one.position()
    assert one.bare < 10.0


def test_a_stop_that_moves_is_never_missed(scene):
    """The new stop stands before the old one is cancelled; refusals leave the old one."""
    one = scene()
    one.enter()
    one.strike("order_error", text="not now", count=3, match={"type": "order"})
    one.price(105.5)
    at_entry = [round(one.book.position.price, 2)]
    until(lambda: triggers(one) == at_entry, "the stop has moved")
    one.check()
    assert one.position() > 0
    assert one.bare == 0.0


def test_a_target_that_the_venue_does_not_take_leaves_the_stop(scene):
    """A target is no protection: one that is refused is given up, the position goes on."""
    one = scene()
    one.enter(kind=LIMIT, entry=98.0)
    text = "Order must have minimum value of $10. asset=0"
    one.strike("order_error", text=text, match={"type": "order", "reduceOnly": True})
    one.price(97.5)
    one.check()
    assert one.position() > 0
    assert triggers(one) == [95.0]
    assert len(one.orders()) == 2


# --- what others do -------------------------------------------------------------------------------


def test_a_position_that_was_closed_by_hand_is_closed_in_the_books(scene):
    """A fill of none of our orders that closes is booked, and nothing is left over."""
    one = scene()
    one.enter()
    one.net.control(
        "/orders/place",
        {"user": one.user, "coin": COIN, "is_buy": False, "price": 90, "size": one.position(),
         "tif": "Ioc", "reduce_only": True},
    )  # fmt: skip
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.SIGNAL]
    one.enter()
    assert one.position() > 0
    one.check()


def test_what_somebody_else_opens_is_left_alone_and_blocks_entries(scene):
    """A foreign position is told apart from ours; entries wait until it is closed."""
    one = scene()
    by_hand = {
        "user": one.user,
        "coin": COIN,
        "is_buy": True,
        "price": 110,
        "size": 2,
        "tif": "Ioc",
    }
    one.net.control("/orders/place", by_hand)
    one.foreign = 2.0
    one.quiet()
    until(lambda: one.seen.ready, "entries are blocked")
    one.enter()
    assert one.position() == 2
    assert statuses(one)[0] == Status.REJECTED
    one.net.control("/orders/place", {**by_hand, "is_buy": False, "price": 90})
    one.foreign = 0.0
    one.quiet()
    until(lambda: not one.seen.ready, "entries are free again")
    one.enter()
    assert one.position() > 2
    one.price(94)
    one.check(foreign=True)


def test_what_somebody_else_adds_to_our_position_is_not_ours(scene):
    """Ours ends by its stop; what was added stays, and is in no trade of ours."""
    one = scene()
    one.enter()
    ours = one.position()
    one.net.control(
        "/orders/place",
        {"user": one.user, "coin": COIN, "is_buy": True, "price": 110, "size": 3, "tif": "Ioc"},
    )
    one.foreign = 3.0
    one.quiet()
    assert one.book.size == pytest.approx(ours)
    one.price(94)
    assert one.position() == 3
    trades = one.broker.desk.trade_records()
    assert [float(row["size"]) for row in trades] == [pytest.approx(ours)]
    assert not one.orders()


def test_a_liquidation_is_booked_as_one(scene):
    """What the venue closes by force ends the trade with that reason."""
    one = scene()
    one.enter()
    one.net.control("/position/liquidate", {"user": one.user, "coin": COIN})
    one.quiet()
    assert not one.position()
    assert reasons(one) == [ExitReason.LIQUIDATION]
    assert not one.orders()


def test_a_part_that_is_deleveraged_leaves_the_rest_protected(scene):
    """The books follow, and stop and targets close no more than what is left."""
    one = scene()
    one.enter()
    half = round(one.position() / 2, 2)
    one.net.control("/position/deleverage", {"user": one.user, "coin": COIN, "size": half})
    one.check()
    assert one.position() == pytest.approx(one.book.size)
    one.price(94)
    one.check()
    assert not one.position()


@pytest.mark.parametrize("status", ["marginCanceled", "canceled", "openInterestCapCanceled"])
def test_a_stop_that_the_venue_cancels_is_put_back(scene, status):
    """A forced cancel of the stop leaves the position without one only for a moment."""
    one = scene()
    one.enter()
    stop = next(o for o in one.orders() if o["isTrigger"])
    one.net.control("/orders/cancel", {"user": one.user, "oid": stop["oid"], "status": status})
    until(lambda: triggers(one) == [95.0], "the stop is back")
    one.check()
    assert one.bare < 5.0


def test_all_orders_cancelled_by_hand_come_back_except_the_entry(scene):
    """Stop and targets of a position are put back; a waiting entry is over."""
    one = scene()
    one.enter()
    one.net.control("/orders/cancel", {"user": one.user})
    until(lambda: len(one.orders()) == 3, "all three are back")
    one.check()
    one.price(94)
    one.check()
    one.enter(kind=LIMIT, entry=98.0)
    one.net.control("/orders/cancel", {"user": one.user})
    until(lambda: statuses(one)[4] == Status.CANCELLED, "the entry is over")
    one.check()


def test_funding_is_booked_once(scene):
    """A payment reaches cash and trade, whoever told of it first."""
    one = scene()
    one.enter()
    one.net.control("/funding", {"coin": COIN, "rate": 0.001})
    until(lambda: one.events("funding"), "funding is booked")
    one.check()
    assert one.book.trade.funding == pytest.approx(one.position() * 100 * 0.001, abs=0.01)
    one.bars(2)
    one.check()
    assert len(one.events("funding")) == 1


def test_entries_that_could_not_go_out_in_their_bar_are_not_sent_later(scene):
    """A market entry is for the open of the next bar, and not for whenever the line is back."""
    one = scene()
    one.strike("server_error", lasts=600, match={"type": "order"})
    one.ask()
    one.bars(settle=False)
    until(lambda: "server_error" in one.net.struck(), "the entry was sent")
    one.bars(settle=False)
    one.net.control("/faults", method="DELETE")
    one.check()
    assert not one.position()
    assert statuses(one)[0] == Status.REJECTED
    time.sleep(0.5)
    one.check()
    assert not one.fills()


def test_requests_that_are_lost_are_no_refusals(scene):
    """A network that loses six orders in a row needs no person: the seventh opens."""
    one = scene()
    one.strike("reset", match={"type": "order"}, count=6)
    one.enter()
    until(one.position, "an order gets through")
    one.check()
    lost = [e for e in one.events("refused") if e.body["text"] == "never reached the exchange"]
    assert len(lost) > 5
    assert "refusals" not in {e.body["what"] for e in one.events("alarm")}


def test_what_was_told_is_not_kept_for_ever(scene):
    """After many orders a strategy holds on to none that it was told of."""
    one = scene()
    for _ in range(3):
        one.enter()
        one.leave()
        one.bars(4)
    assert one.run is not None
    assert len(one.broker.desk.orders) >= 6
    assert [strategy._orders for strategy in one.run.cerebro.runningstrats] == [[]]


def test_a_bar_that_the_exchange_tells_otherwise_afterwards_is_told(scene):
    """It was decided on as it came, and stays so; a person reads of it."""
    one = scene()
    one.bars()
    one.net.control("/faults", {"name": "candle_volume", "match": {"coin": COIN}, "count": 50,
                                "factor": "1.5"})  # fmt: skip
    one.bars(2)
    until(lambda: one.run.data.nudge() or one.events("error"), "it is told")
    assert "was another one afterwards: volume" in one.events("error")[0].body["what"]


@pytest.mark.parametrize("seconds", [90, -90])
def test_a_venue_whose_clock_is_set_gets_its_stops_all_the_same(scene, seconds):
    """What it calls expired is sent again by its own time; nothing new is opened meanwhile."""
    one = scene()
    one.enter()
    one.net.control("/clock", {"wall_offset_ms": seconds * 1000})
    try:
        one.price(105.5)
        one.check()
        assert triggers(one) == [round(one.book.position.price, 2)]
        assert one.bare < 5.0
        one.price(94)
        one.check()
        assert not one.position()
        if seconds > 0:
            assert "clock" in one.broker.events.trouble
    finally:
        one.net.control("/clock", {"wall_offset_ms": 0})


def test_little_is_kept_of_orders_that_ended_long_ago(scene):
    """A session may run for months: what can't change any more is small; the rest goes on."""
    one = scene()
    one.enter()
    one.price(94)
    one.price(100, settle=False)
    one.enter()
    legs = len(one.broker.legs._by_cloid)
    one.bars(2)
    one.broker.forget(1)
    past = [isinstance(working.order, PastOrder) for working in one.broker.desk.orders]
    assert past == [True] * 4 + [False] * 4
    assert len(one.broker.legs._by_cloid) == legs - 4
    one.check()
    one.price(94)
    one.check()
    assert reasons(one) == [ExitReason.STOP] * 2
    one.die()
    one.again()
    one.check()
