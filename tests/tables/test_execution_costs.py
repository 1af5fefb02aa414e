"""The execution model's money: fees, slippage, funding, lot and tick.

Tables as in `test_execution_model.py`, with costs switched on one at a time.
"""

from __future__ import annotations

import dataclasses

import pytest

from ftbt.backtest.result import ExitReason, Status
from ftbt.backtest.settings import Settings
from ftbt.risk.limits import Limits

FLAT = (100, 101, 99, 100)
FREE = Settings(
    taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0, limits=Limits.none()
)
FEES = dataclasses.replace(FREE, taker_fee=0.001, maker_fee=0.0002)
SPREAD = dataclasses.replace(FREE, half_spread=0.01)


# --- fees ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "bar", "fees"),
    [
        ({"side": 1}, FLAT, 0.1),  # market: taker, 100 x 0.1 %
        ({"side": 1, "kind": "stop", "price": 102}, (100, 103, 99, 102), 0.102),
        ({"side": 1, "kind": "limit", "price": 98}, (100, 101, 97, 100), 0.0196),
        (
            {"side": 1, "kind": "limit", "price": 98},
            (97, 98, 96, 97),
            0.097,
        ),  # behind the open: taker
        # A limit that the last close has passed already takes: it never rested.
        ({"side": 1, "kind": "limit", "price": 105}, FLAT, 0.1),
        # Rests at 102 only after its trigger, and is filled on the way back: maker.
        (
            {"side": 1, "kind": "stop-limit", "price": 102, "limit": 101},
            (100, 103, 99, 100),
            0.0202,
        ),
        # Its limit is beyond its trigger: it takes the moment it triggers.
        (
            {"side": 1, "kind": "stop-limit", "price": 102, "limit": 103},
            (100, 104, 99, 103.5),
            0.103,
        ),
    ],
)
def test_taker_and_maker_fees(table, order, bar, fees):
    """Market and stop fills pay the taker's fee on their notional, resting limits the maker's."""
    result = table.play([FLAT, bar, FLAT], {0: order}, settings=FEES)
    assert result.fills["fee"][0] == pytest.approx(fees)
    assert result.fills["maker"][0] == (fees < 0.05)


def test_fees_of_a_round_trip_are_in_the_trade_and_the_equity(table):
    """Entry as taker and target as maker: both fees are in the trade and in the equity."""
    order = {"side": 1, "stop": 95, "targets": [(110, 1.0)]}
    result = table.play([FLAT, (100, 111, 99, 110), FLAT], {0: order}, settings=FEES)
    trade = result.trades[0]
    assert trade["fees"] == pytest.approx(0.1 + 0.022)
    assert trade["net"] == pytest.approx(10 - 0.122)
    assert trade["r"] == pytest.approx((10 - 0.122) / 5)
    assert result.equity[-1] == pytest.approx(10_000 + 10 - 0.122)


def test_a_target_passed_at_the_open_of_the_entry_takes(table):
    """A target that is behind the open at which its entry fills never rested: taker's fee."""
    order = {"side": 1, "stop": 95, "targets": [(110, 1.0)]}
    result = table.play([FLAT, (112, 113, 111, 112), FLAT], {0: order}, settings=FEES)
    assert result.fills["price"].tolist() == [112, 112]
    assert result.fills["fee"].tolist() == pytest.approx([0.112, 0.112])


# --- slippage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "bar", "price"),
    [
        ({"side": 1}, FLAT, 101),  # market: O + 1 %
        ({"side": -1}, FLAT, 99),
        ({"side": 1, "kind": "stop", "price": 102}, (100, 103, 99, 102), 103.02),
        ({"side": 1, "kind": "stop", "price": 102}, (103, 104, 102, 103), 104.03),
        ({"side": -1, "kind": "stop", "price": 98}, (100, 101, 97, 98), 97.02),
        ({"side": 1, "kind": "limit", "price": 98}, (100, 101, 97, 100), 98),
        # It arrives when the open has passed it: it pays what a market order does, up to its limit.
        ({"side": 1, "kind": "limit", "price": 98}, (97, 98, 96, 97), 97.97),
        ({"side": 1, "kind": "limit", "price": 98}, (97.5, 98, 96, 97), 98),
        ({"side": -1, "kind": "limit", "price": 102}, (103, 104, 102, 103), 102),
        (
            {"side": 1, "kind": "stop-limit", "price": 102, "limit": 103},
            (100, 104, 99, 103.5),
            103,
        ),
    ],
)
def test_slippage_is_against_what_takes_liquidity(table, order, bar, price):
    """Market and stop fills are worse by the half spread; limits that rest have none."""
    result = table.play([FLAT, bar, FLAT], {0: order}, settings=SPREAD)
    fill = result.fills[0]
    assert fill["price"] == pytest.approx(price)
    behind = order.get("kind") == "limit" and order["side"] * (order["price"] - bar[0]) >= 0
    plain = {101: 100, 99: 100, 103.02: 102, 104.03: 103, 97.02: 98}.get(price, price)
    assert fill["slippage"] == pytest.approx(abs(price - (bar[0] if behind else plain)))


def test_slippage_grows_with_the_range_of_the_bars_before(table):
    """Once ATR(14) is known the larger of half spread and k x ATR of the bar before applies."""
    chosen = dataclasses.replace(FREE, half_spread=0.0005, slippage_atr=0.1)
    rows = [FLAT] * 15 + [(100, 120, 80, 100)] + [FLAT] * 2
    early = table.play(rows, {5: {"side": 1}}, settings=chosen)
    assert early.fills["price"][0] == pytest.approx(100.05)
    late = table.play(rows, {14: {"side": 1}}, settings=chosen)
    # The fill's own bar, 40 wide, is not known yet: ATR is still 2.
    assert late.fills["price"][0] == pytest.approx(100 * (1 + 0.1 * 2 / 100))


def test_slippage_of_stop_and_forced_exit_is_in_the_trade(table):
    """The slippage that a trade paid is shown apart, and is inside its gross profit."""
    order = {"side": 1, "stop": 95}
    result = table.play([FLAT, FLAT, (96, 97, 94, 95), FLAT], {0: order}, settings=SPREAD)
    trade = result.trades[0]
    assert trade["slippage"] == pytest.approx(1.0 + 0.95)
    assert trade["gross"] == pytest.approx(94.05 - 101)
    assert trade["net"] == trade["gross"]


# --- funding -------------------------------------------------------------------------------------

HOURS = [(0, 0.001), (60, 0.002), (120, -0.004), (180, 0.008)]


@pytest.mark.parametrize(
    ("side", "bars", "rate"),
    [
        (1, (1, 3), 0.0),  # 00:15 to 00:45: no payment falls due
        (1, (1, 6), 0.002),  # over 01:00: the long pays
        (-1, (1, 6), -0.002),  # the short receives
        (1, (1, 9), 0.002 - 0.004),  # over 01:00 and 02:00, the second received
        (1, (4, 6), 0.0),  # entered at 01:00 itself: was not held over it
        (1, (2, 4), 0.002),  # left at 01:00 itself: was held over it
    ],
)
def test_hourly_funding_on_15m_bars(table, side, bars, rate):
    """A position held over the full hour pays signed size x price x rate."""
    entry, leave = bars
    orders = {entry - 1: {"side": side, "size": 2.0}, leave - 1: {"do": "close"}}
    result = table.play([FLAT] * 14, orders, funding=HOURS, settings=FREE)
    assert result.funding_modelled
    assert result.trades["funding"][0] == pytest.approx(2.0 * 100 * rate)
    assert result.equity[-1] == pytest.approx(10_000 - 200 * rate)


def test_funding_inside_a_longer_bar(table):
    """On 4h bars a held position pays the rate at the open and those inside the bar."""
    funding = [(60 * hour, 0.001 * hour) for hour in range(13)]
    orders = {0: {"side": 1}, 1: {"do": "close"}}
    result = table.play([FLAT] * 4, orders, funding=funding, step=240, settings=FREE)
    # Held from 04:00 (entered there) to 08:00: 05:00, 06:00, 07:00 inside, 08:00 at the open.
    assert result.trades["funding"][0] == pytest.approx(100 * 0.001 * (5 + 6 + 7 + 8))


def test_funding_every_eight_hours(table):
    """Rates that come every 8 hours are charged every 8 hours."""
    funding = [(0, 0.001), (480, 0.002), (960, 0.004)]
    orders = {0: {"side": 1}, 10: {"do": "close"}}
    result = table.play([FLAT] * 13, orders, funding=funding, step=60, settings=FREE)
    assert result.trades["funding"][0] == pytest.approx(0.2)


def test_funding_on_the_way_of_detail_bars(table):
    """A position that a detail bar closes before the hour does not pay that hour."""
    rows = [(100, 101, 99, 100), (100, 101, 94, 100), (100, 101, 99, 100)]
    path = [(100, 101, 94, 96)] * 6 + [(96, 100, 95, 100)] * 6
    order = {"side": 1, "stop": 95}
    more = {"funding": [(90, 0.01)], "step": 60, "settings": FREE}
    whole = table.play(rows, {0: order}, **more)
    assert whole.trades["funding"][0] == pytest.approx(1.0)
    walked = table.play(rows, {0: order}, detail={1: path}, **more)
    assert walked.trades["funding"][0] == 0.0


def test_no_rates_are_told(table):
    """Without rates nothing is charged, and the result says so."""
    result = table.play([FLAT] * 6, {0: {"side": 1}}, settings=FREE)
    assert not result.funding_modelled
    assert "funding: not modelled" in result.notes
    assert result.trades["funding"][0] == 0.0


def test_rates_for_a_part_are_told(table):
    """When the rates end before the bars do, the result says for how much they lasted."""
    result = table.play([FLAT] * 16, {}, funding=HOURS[:2], settings=FREE)
    assert any("rates cover 50.0%" in note for note in result.notes)


# --- lot, tick, smallest order -------------------------------------------------------------------


def test_sizes_are_cut_to_the_lot_and_prices_rounded_to_the_tick(table):
    """A size of 1.2399 becomes 1.23; a limit of 98.00449 (5 figures) becomes 98.004."""
    order = {"side": 1, "size": 1.2399, "kind": "limit", "price": 98.00449}
    result = table.play([FLAT, (100, 101, 97, 100), FLAT], {0: order}, settings=FREE)
    assert result.fills["size"][0] == 1.23
    assert result.fills["price"][0] == 98.004
    assert result.orders["price"][0] == 98.004


def test_orders_below_the_smallest_notional_are_refused_and_counted(table):
    """Nothing below $10 is sent, its bracket neither, and the refusal is counted."""
    order = {"side": 1, "size": 0.09, "stop": 95, "targets": [(110, 0.09)]}
    result = table.play([FLAT] * 4, {0: order}, settings=FREE)
    assert len(result.fills) == 0
    assert result.refused == {"below the smallest order": 1}
    assert result.orders["status"][0] == Status.REJECTED
    allowed = table.play([FLAT] * 4, {0: {"side": 1, "size": 0.1}}, settings=FREE)
    assert len(allowed.fills) == 2
    assert allowed.refused == {}


def test_a_size_below_one_lot_is_refused(table):
    """A size that the lot cuts to nothing is refused, not filled with zero."""
    result = table.play([FLAT] * 3, {0: {"side": 1, "size": 0.004}}, settings=FREE)
    assert len(result.fills) == 0
    assert result.refused == {"below the smallest order": 1}


def test_a_small_rest_may_be_closed(table):
    """The smallest notional binds entries; what is left of a position can always be closed."""
    order = {"side": 1, "size": 1.0, "stop": 95, "targets": [(104, 0.95), (108, 0.05)]}
    rows = [FLAT, (100, 105, 99, 104), FLAT, FLAT, FLAT]
    result = table.play(rows, {0: order, 2: {"do": "close"}}, settings=FREE)
    assert result.fills["size"].tolist() == pytest.approx([1.0, 0.95, 0.05])
    assert result.trades["exit_reason"][0] == ExitReason.SIGNAL
