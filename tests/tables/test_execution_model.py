"""The execution model row by row: which order fills when, and at what price.

Each table is also played mirrored (see `conftest.py`).
"""

from __future__ import annotations

import datetime as dt

import pytest

from ftbt.backtest.result import ExitReason, Status

FLAT = (100, 101, 99, 100)  # a bar in which nothing happens


# --- time ----------------------------------------------------------------------------------------


def test_an_order_first_trades_in_the_bar_after_its_decision(table):
    """What is ordered at the close of a bar neither sees nor fills in that bar."""
    rows = [(100, 120, 80, 100), (102, 103, 101, 102), FLAT]
    table.check(rows, {0: {"side": 1, "kind": "limit", "price": 90}}, [])
    table.check(rows, {0: {"side": 1, "kind": "stop", "price": 110}}, [])
    table.check(rows, {0: {"side": 1}}, [(1, 1.0, 102)])


def test_an_order_of_the_last_bar_never_trades(table):
    """An order sent at the close of the last bar has no bar to trade in."""
    result = table.check([FLAT, FLAT], {1: {"side": 1}}, [])
    assert len(result.trades) == 0


# --- one row of the table each -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((97, 99, 96, 98), 97),  # O <= limit: the better open
        ((98, 99, 97, 98), 98),  # O == limit
        ((100, 101, 97.5, 100), 98),  # traded through
        ((100, 101, 98, 100), None),  # only touched
        ((100, 101, 98.5, 100), None),  # not reached
    ],
)
def test_limit(table, bar, expected):
    """A buy limit at 98 fills at min(O, 98) when O <= 98 or L < 98, and not on a mere touch."""
    fills = [] if expected is None else [(1, 1.0, expected)]
    table.check([FLAT, bar, FLAT], {0: {"side": 1, "kind": "limit", "price": 98}}, fills)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((103, 104, 101, 103), 103),  # gap over the stop: O
        ((102, 104, 101, 103), 102),  # O == stop
        ((100, 102, 99, 100), 102),  # touched
        ((100, 101.5, 99, 100), None),  # not reached
    ],
)
def test_stop(table, bar, expected):
    """A buy stop at 102 fills at max(O, 102) when H >= 102."""
    fills = [] if expected is None else [(1, 1.0, expected)]
    table.check([FLAT, bar, FLAT], {0: {"side": 1, "kind": "stop", "price": 102}}, fills)


@pytest.mark.parametrize(
    ("trigger", "limit", "bar", "expected"),
    [
        (102, 103, (100, 104, 99, 103.5), 103),  # limit above the trigger: filled at once
        (102, 102, (100, 104, 99, 101), 102),  # the close comes back through the limit
        (102, 102, (100, 104, 99, 102), None),  # the close only touches it
        (102, 101, (100, 104, 99, 101.5), None),  # the low may have come before the trigger
        (102, 103, (100, 101.5, 99, 100), None),  # not triggered
        (102, 104, (103, 105, 102.5, 104.5), 104),  # triggered at the open, within the limit
        (102, 102.5, (103, 104, 102, 103), 102.5),  # triggered at the open, comes back through
        (102, 102.5, (103, 104, 102.5, 103), None),  # comes back, but only touches
    ],
)
def test_stop_limit_in_its_trigger_bar(table, trigger, limit, bar, expected):
    """In its trigger bar a stop-limit fills only if the path after the trigger passes the limit."""
    fills = [] if expected is None else [(1, 1.0, expected)]
    order = {"side": 1, "kind": "stop-limit", "price": trigger, "limit": limit}
    table.check([FLAT, bar, (110, 111, 109, 110)], {0: order}, fills)


def test_stop_limit_rests_as_a_limit_after_its_trigger(table):
    """Once triggered and not filled, a stop-limit is an ordinary limit in later bars."""
    order = {"side": 1, "kind": "stop-limit", "price": 102, "limit": 101}
    triggered = (100, 104, 99, 103)
    table.check([FLAT, triggered, (103, 104, 100.5, 103), FLAT], {0: order}, [(2, 1.0, 101)])
    table.check([FLAT, triggered, (103, 104, 101, 103), FLAT], {0: order}, [(3, 1.0, 100)])


def test_stop_limit_does_not_fill_before_its_trigger(table):
    """A bar below both prices does not fill an untriggered stop-limit, limit or not."""
    order = {"side": 1, "kind": "stop-limit", "price": 102, "limit": 101}
    table.check([FLAT, (100, 101.5, 95, 96), FLAT], {0: order}, [])


# --- brackets: alive at once ---------------------------------------------------------------------

BRACKET = {"side": 1, "stop": 95, "targets": [(110, 1.0)]}


@pytest.mark.parametrize(
    ("bar", "price", "reason"),
    [
        ((100, 104, 94, 96), 95, ExitReason.STOP),  # stopped in the bar of the entry
        ((100, 111, 99, 108), 110, ExitReason.TARGET1),  # a parent at the open sees the whole bar
        ((100, 111, 94, 100), 95, ExitReason.STOP),  # both inside: the stop
    ],
)
def test_children_live_in_the_bar_of_a_market_entry(table, bar, price, reason):
    """Stop and target work from the moment the entry fills at the open; the stop comes first."""
    fills = [(1, 1.0, 100), (1, -1.0, price)]
    table.check([FLAT, bar, FLAT, FLAT], {0: BRACKET}, fills, reason=reason)


def test_both_inside_a_later_bar_is_the_stop(table):
    """Where one bar holds stop and target, OHLC cannot tell the order: the stop fills."""
    rows = [FLAT, FLAT, (100, 112, 94, 108), FLAT]
    fills = [(1, 1.0, 100), (2, -1.0, 95)]
    table.check(rows, {0: BRACKET}, fills, reason=ExitReason.STOP)


@pytest.mark.parametrize(
    ("bar", "price", "reason"),
    [
        ((112, 113, 94, 100), 112, ExitReason.TARGET1),  # opens beyond the target, stop later
        ((94, 112, 93, 111), 94, ExitReason.STOP),  # opens beyond the stop, target later
        ((95, 112, 94, 111), 95, ExitReason.STOP),  # opens on the stop
        ((110, 111, 94, 100), 110, ExitReason.TARGET1),  # opens on the target
    ],
)
def test_gaps_over_stop_and_target(table, bar, price, reason):
    """A gap over the stop fills at the worse open, one over the target at the better open."""
    rows = [FLAT, FLAT, bar, FLAT]
    table.check(rows, {0: BRACKET}, [(1, 1.0, 100), (2, -1.0, price)], reason=reason)


def test_target_needs_to_be_traded_through(table):
    """A target is a limit: a bar that only touches it does not fill it."""
    rows = [FLAT, (100, 110, 99, 105), (105, 110.5, 104, 106), FLAT]
    table.check(rows, {0: BRACKET}, [(1, 1.0, 100), (2, -1.0, 110)])


LIMIT_ENTRY = {"side": 1, "kind": "limit", "price": 98, "stop": 95, "targets": [(104, 1.0)]}
STOP_ENTRY = {"side": 1, "kind": "stop", "price": 102, "stop": 98, "targets": [(106, 1.0)]}


@pytest.mark.parametrize(
    ("entry", "bar", "fills"),
    [
        (LIMIT_ENTRY, (100, 101, 94, 96), [(1, 1.0, 98), (1, -1.0, 95)]),
        (LIMIT_ENTRY, (100, 105, 97, 104.5), [(1, 1.0, 98), (2, -1.0, 104)]),
        (LIMIT_ENTRY, (100, 105, 94, 104.5), [(1, 1.0, 98), (1, -1.0, 95)]),
        (STOP_ENTRY, (100, 103, 97, 99), [(1, 1.0, 102), (1, -1.0, 98)]),
        (STOP_ENTRY, (100, 107, 99, 103), [(1, 1.0, 102), (2, -1.0, 106)]),
        (STOP_ENTRY, (100, 107, 97, 103), [(1, 1.0, 102), (1, -1.0, 98)]),
    ],
)
def test_parent_filled_inside_may_be_stopped_but_not_profit(table, entry, bar, fills):
    """A parent that fills inside a bar may be stopped in it; its target waits for the next bar."""
    table.check([FLAT, bar, (103.5, 107, 103, 104), FLAT], {0: entry}, fills)


@pytest.mark.parametrize(
    ("entry", "bar", "fills"),
    [
        (LIMIT_ENTRY, (97, 105, 96, 100), [(1, 1.0, 97), (1, -1.0, 104)]),
        (LIMIT_ENTRY, (97, 105, 94, 100), [(1, 1.0, 97), (1, -1.0, 95)]),
        (STOP_ENTRY, (103, 107, 102, 103), [(1, 1.0, 103), (1, -1.0, 106)]),
        (STOP_ENTRY, (103, 107, 97, 103), [(1, 1.0, 103), (1, -1.0, 98)]),
    ],
)
def test_limit_or_stop_parent_filled_at_the_open_sees_the_whole_bar(table, entry, bar, fills):
    """An entry that a gap fills at the open is in the market for the whole bar, target included."""
    table.check([FLAT, bar, FLAT, FLAT], {0: entry}, fills)


def test_a_stop_limit_parent_filled_inside_may_be_stopped_in_that_bar(table):
    """The bracket of a stop-limit entry obeys the same rule: stop at once, target a bar later."""
    entry = {
        "side": 1,
        "kind": "stop-limit",
        "price": 102,
        "limit": 103,
        "stop": 98,
        "targets": [(106, 1.0)],
    }
    rows = [FLAT, (100, 104, 97, 103.5), FLAT]
    table.check(rows, {0: entry}, [(1, 1.0, 103), (1, -1.0, 98)])
    rows = [FLAT, (100, 107, 99, 104), (104, 107, 103, 104), FLAT]
    table.check(rows, {0: entry}, [(1, 1.0, 103), (2, -1.0, 106)])


def test_one_child_ends_the_other(table):
    """After the stop has filled the target is gone, and no later bar opens a short with it."""
    rows = [FLAT, (100, 101, 94, 96), (96, 120, 90, 100), FLAT]
    result = table.check(rows, {0: BRACKET}, [(1, 1.0, 100), (1, -1.0, 95)])
    assert result.orders["status"].tolist() == [Status.FILLED, Status.FILLED, Status.CANCELLED]
    assert len(result.trades) == 1


def test_children_of_a_cancelled_entry_die_with_it(table):
    """Stop and target of an entry that was cancelled never trade."""
    rows = [FLAT, FLAT, (100, 120, 80, 100), FLAT]
    orders = {0: {**LIMIT_ENTRY, "name": "a"}, 1: {"do": "cancel", "name": "a"}}
    result = table.check(rows, orders, [])
    assert set(result.orders["status"].tolist()) == {Status.CANCELLED}


def test_a_market_exit_takes_the_children_along(table):
    """When the strategy leaves by itself, stop and target of the position are cancelled."""
    rows = [FLAT, FLAT, FLAT, (100, 120, 80, 100), FLAT]
    orders = {0: BRACKET, 1: {"do": "close"}}
    table.check(rows, orders, [(1, 1.0, 100), (2, -1.0, 100)], reason=ExitReason.SIGNAL)


def test_an_exit_at_the_open_comes_before_a_stop_later_in_the_bar(table):
    """A market exit fills at the open; the stop that the same bar reaches later has no effect."""
    rows = [FLAT, FLAT, (99, 100, 94, 96), FLAT]
    orders = {0: BRACKET, 1: {"do": "close"}}
    table.check(rows, orders, [(1, 1.0, 100), (2, -1.0, 99)], reason=ExitReason.SIGNAL)


@pytest.mark.parametrize("bar", [(93, 94, 92, 93), (112, 113, 111, 112)])
def test_an_exit_at_the_open_comes_before_the_child_that_the_gap_passed(table, bar):
    """When a gap passes stop or target, the market exit is first in line at the same open."""
    orders = {0: BRACKET, 1: {"do": "close"}}
    fills = [(1, 1.0, 100), (2, -1.0, bar[0])]
    table.check([FLAT, FLAT, bar, FLAT], orders, fills, reason=ExitReason.SIGNAL)


def test_children_do_not_outlive_their_position(table):
    """After a market exit the old stop is gone: it does not close a position opened later."""
    rows = [FLAT, FLAT, FLAT, FLAT, (100, 101, 94, 96), FLAT]
    orders = {0: BRACKET, 1: {"do": "close"}, 2: {"side": 1}}
    fills = [(1, 1.0, 100), (2, -1.0, 100), (3, 1.0, 100)]
    result = table.check(rows, orders, fills)
    assert result.orders["end_bar"][1:3].tolist() == [2, 2]


def test_each_bracket_closes_only_what_it_opened(table):
    """Of two brackets the stop of the first, larger than its entry, leaves the second alone."""
    first = {"side": 1, "stop": 95, "stop_size": 2.0}
    second = {"side": 1, "stop": 90}
    rows = [FLAT, FLAT, (100, 101, 94, 96), (96, 97, 89, 90), FLAT]
    fills = [(1, 1.0, 100), (1, 1.0, 100), (2, -1.0, 95), (3, -1.0, 90)]
    result = table.check(rows, {0: [first, second]}, fills)
    assert len(result.trades) == 1


def test_a_target_takes_its_own_stop_along(table):
    """The first bracket's stop is gone with its target, though the second still holds."""
    first = {"side": 1, "stop": 95, "targets": [(104, 1.0)]}
    second = {"side": 1, "stop": 90}
    rows = [FLAT, FLAT, (100, 105, 99, 104), (104, 105, 94, 96), FLAT]
    fills = [(1, 1.0, 100), (1, 1.0, 100), (2, -1.0, 104)]
    table.check(rows, {0: [first, second]}, fills)


# --- detail bars ---------------------------------------------------------------------------------


def test_detail_bars_show_that_the_target_came_first(table):
    """Stop and target in one bar: the path on the detail bars decides."""
    rows = [FLAT, FLAT, (100, 111, 94, 96), FLAT]
    path = [(100, 111, 99, 108), (108, 109, 100, 101), (101, 102, 94, 96)]
    fills = [(1, 1.0, 100), (2, -1.0, 110)]
    table.check(rows, {0: BRACKET}, fills, detail={2: path}, reason=ExitReason.TARGET1)


def test_pessimism_holds_inside_a_detail_bar(table):
    """When one detail bar holds both, the stop fills, whatever came in the coarse bar's end."""
    rows = [FLAT, FLAT, (100, 111, 94, 96), FLAT]
    path = [(100, 101, 99, 100), (100, 111, 94, 108), (108, 109, 96, 96)]
    fills = [(1, 1.0, 100), (2, -1.0, 95)]
    table.check(rows, {0: BRACKET}, fills, detail={2: path}, reason=ExitReason.STOP)


def test_detail_bars_let_an_inside_entry_take_profit_later_in_the_bar(table):
    """An entry filled in one detail bar may reach its target in the next one."""
    bar = (100, 105, 97, 104.5)
    path = [(100, 101, 97, 98), (98, 105, 97.5, 104), (104, 105, 103, 104.5)]
    fills = [(1, 1.0, 98), (1, -1.0, 104)]
    result = table.check([FLAT, bar, FLAT], {0: LIMIT_ENTRY}, fills, detail={1: path})
    minutes = (result.fills["time"] - table.start) // 60_000
    assert minutes.tolist() == [15, 20]  # fills carry the time of their detail bar


def test_detail_bars_let_a_stop_entry_see_the_low_come_first(table):
    """A low below the stop before the entry's trigger does not stop the position."""
    bar = (100, 103, 97, 102.5)
    path = [(100, 101, 98.5, 99), (99, 103, 99, 102), (102, 103, 97, 102.5)]
    entry = {**STOP_ENTRY, "stop": 96}
    table.check([FLAT, bar, FLAT], {0: entry}, [(1, 1.0, 102)], detail={1: path})


def test_a_bar_covered_only_in_part_is_walked_whole(table):
    """Two of three detail bars are no path: the bar is walked by its own OHLC."""
    rows = [FLAT, FLAT, (100, 111, 94, 96), FLAT]
    path = [(100, 111, 99, 108), (108, 109, 100, 101)]
    fills = [(1, 1.0, 100), (2, -1.0, 95)]
    table.check(rows, {0: BRACKET}, fills, detail={2: path}, reason=ExitReason.STOP)


# --- scale-out and break-even --------------------------------------------------------------------

SPLIT = {"side": 1, "size": 1.0, "stop": 95, "targets": [(104, 0.4), (108, 0.6)]}
EVEN = {**SPLIT, "break_even": True}


def test_scale_out_at_two_targets(table):
    """The first fraction leaves at target 1, the rest at target 2."""
    rows = [FLAT, (100, 105, 99, 104), (104, 109, 103, 108), FLAT]
    fills = [(1, 1.0, 100), (1, -0.4, 104), (2, -0.6, 108)]
    result = table.check(rows, {0: SPLIT}, fills, reason=ExitReason.TARGET2)
    assert len(result.trades) == 1
    assert result.trades["exit_price"][0] == pytest.approx(0.4 * 104 + 0.6 * 108)
    assert result.trades["net"][0] == pytest.approx(0.4 * 4 + 0.6 * 8)


def test_both_targets_in_one_bar(table):
    """A bar that trades through both targets fills both, the nearer one first."""
    rows = [FLAT, (100, 109, 99, 108), FLAT]
    table.check(rows, {0: SPLIT}, [(1, 1.0, 100), (1, -0.4, 104), (1, -0.6, 108)])


def test_the_stop_closes_only_what_is_left(table):
    """After target 1 the stop is for the rest alone."""
    rows = [FLAT, (100, 105, 99, 104), (104, 105, 94, 96), FLAT]
    fills = [(1, 1.0, 100), (1, -0.4, 104), (2, -0.6, 95)]
    table.check(rows, {0: SPLIT}, fills, reason=ExitReason.STOP)


def test_break_even_from_the_next_bar(table):
    """Without detail bars the stop stands at the entry from the bar after target 1."""
    # The bar of target 1 comes back below the entry, which may have been before: no exit there.
    rows = [FLAT, (100, 105, 98, 103), (103, 104, 99, 102), FLAT]
    fills = [(1, 1.0, 100), (1, -0.4, 104), (2, -0.6, 100)]
    table.check(rows, {0: EVEN}, fills, reason=ExitReason.BREAK_EVEN)


def test_break_even_from_the_next_detail_bar(table):
    """With detail bars the moved stop works in the same bar, once target 1 has traded."""
    bar = (100, 105, 98, 103)
    path = [(100, 105, 99, 104), (104, 104, 98, 99), (99, 103, 98.5, 103)]
    fills = [(1, 1.0, 100), (1, -0.4, 104), (1, -0.6, 100)]
    table.check([FLAT, bar, FLAT], {0: EVEN}, fills, detail={1: path}, reason=ExitReason.BREAK_EVEN)


def test_no_break_even_before_target_1(table):
    """The stop stays where it is until target 1 has traded, and without the option for ever."""
    rows = [FLAT, (100, 104, 99, 103), (103, 104, 99, 102), (102, 103, 94, 96), FLAT]
    table.check(rows, {0: EVEN}, [(1, 1.0, 100), (3, -1.0, 95)], reason=ExitReason.STOP)
    rows[1] = (100, 105, 99, 103)
    fills = [(1, 1.0, 100), (1, -0.4, 104), (3, -0.6, 95)]
    table.check(rows, {0: SPLIT}, fills, reason=ExitReason.STOP)


def test_a_gap_over_the_moved_stop_fills_at_the_open(table):
    """A bar that opens below the break-even stop fills it at the open."""
    rows = [FLAT, (100, 105, 99, 103), (98, 99, 97, 98), FLAT]
    fills = [(1, 1.0, 100), (1, -0.4, 104), (2, -0.6, 98)]
    table.check(rows, {0: EVEN}, fills, reason=ExitReason.BREAK_EVEN)


def test_a_trailing_stop_follows_the_close(table):
    """A trailing stop of 5 stands at close - 5, rises with higher closes and never falls."""
    rows = [FLAT, (100, 105, 96, 104), (104, 104, 100, 101), (101, 102, 98.5, 100), FLAT]
    orders = {0: [{"side": 1}, {"do": "trail", "side": 1, "amount": 5.0}]}
    table.check(rows, orders, [(1, 1.0, 100), (3, -1.0, 99)], reason=ExitReason.STOP)


# --- ends without a fill -------------------------------------------------------------------------


def test_an_entry_whose_stop_trades_first_is_cancelled(table):
    """A stop entry that waits while its stop level trades is cancelled at that bar's end."""
    entry = {**STOP_ENTRY, "price": 105}
    rows = [FLAT, (100, 101, 97.5, 99), (99, 110, 98.5, 108), FLAT]
    result = table.check(rows, {0: entry}, [])
    assert set(result.orders["status"].tolist()) == {Status.CANCELLED}
    assert result.orders["end_bar"].tolist() == [1, 1, 1]


def test_a_waiting_entry_survives_a_bar_short_of_its_stop(table):
    """A bar that stays above the stop level leaves the waiting entry alone."""
    rows = [FLAT, (100, 101, 98.5, 99), (99, 103, 98.5, 102.5), FLAT]
    table.check(rows, {0: STOP_ENTRY}, [(2, 1.0, 102)])


def test_an_order_expires_at_its_time(table):
    """An order with a validity trades in the last bar that opens before it ends, not later."""
    touch, miss = (100, 101, 97, 100), FLAT
    until = dt.timedelta(minutes=30)
    order = {**LIMIT_ENTRY, "valid": until}
    table.check([FLAT, miss, touch, FLAT], {0: order}, [(2, 1.0, 98)])
    result = table.check([FLAT, miss, miss, touch, FLAT], {0: order}, [])
    assert result.orders["status"][0] == Status.EXPIRED
