"""Each row of the execution model's table in small numbers, mirrored, and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ftbt.backtest import fills as f

# A bar for the small numbers, and its mirror at 200 - price.
OPEN, HIGH, LOW, CLOSE = 100.0, 110.0, 90.0, 105.0


def check(function, side, levels, bar, expected):
    """Assert *function* for the given side, and for the mirrored bar the mirrored answer.

    Levels and prices are mirrored at 100, so a buy at 95 becomes a sell at 105.
    """

    def flip(price):
        return 200.0 - price

    flipped = {"high": flip(bar["low"]), "low": flip(bar["high"])} if "high" in bar else {}
    flipped |= {name: flip(value) for name, value in bar.items() if name not in flipped}
    for value, want in (
        (function(side, *levels, **bar), expected),
        (function(-side, *map(flip, levels), **flipped), flip_answer(expected, flip)),
    ):
        assert value == pytest.approx(want, nan_ok=True)


def flip_answer(expected, flip):
    """Return the mirrored answer: a price, or a pair of (triggered, price)."""
    if isinstance(expected, tuple):
        return (expected[0], flip(expected[1]))
    return flip(expected)


nan = math.nan


@pytest.mark.parametrize(
    ("limit", "open_", "expected"),
    [(100.0, 99.0, 99.0), (100.0, 100.0, 100.0), (100.0, 100.5, nan)],
)
def test_limit_at_the_open(limit, open_, expected):
    """A buy limit fills at the open when O <= limit, at the better price O."""
    check(f.limit_at_open, 1, (limit,), {"open_": open_}, expected)


@pytest.mark.parametrize(("limit", "expected"), [(90.0, nan), (90.5, 90.5), (89.0, nan)])
def test_limit_inside_the_bar(limit, expected):
    """A buy limit fills at its price when the bar trades through it, not when it only touches."""
    check(f.limit_inside, 1, (limit,), {"high": HIGH, "low": LOW}, expected)


@pytest.mark.parametrize(("stop", "expected"), [(99.0, OPEN), (100.0, OPEN), (100.5, nan)])
def test_stop_at_the_open(stop, expected):
    """A buy stop that the bar gaps over, or opens on, fills at the open."""
    check(f.stop_at_open, 1, (stop,), {"open_": OPEN}, expected)


@pytest.mark.parametrize(("stop", "expected"), [(110.0, 110.0), (104.0, 104.0), (110.5, nan)])
def test_stop_inside_the_bar(stop, expected):
    """A buy stop fills at its price when the high touches it."""
    check(f.stop_inside, 1, (stop,), {"high": HIGH, "low": LOW}, expected)


@pytest.mark.parametrize(
    ("trigger", "limit", "expected"),
    [
        (101.0, 105.0, (False, nan)),  # opens below the trigger
        (100.0, 101.0, (True, 101.0)),  # opens on the trigger and within the limit
        (95.0, 100.0, (True, 100.0)),  # opens exactly at the limit
        (95.0, 97.0, (True, 97.0)),  # opens beyond the limit, comes back through it
        (95.0, 90.0, (True, nan)),  # comes back to the limit without trading through
        (95.0, 120.0, (True, 110.0)),  # a limit above the bar pays the high at most
    ],
)
def test_stop_limit_at_the_open(trigger, limit, expected):
    """A stop-limit triggered at the open is a limit order that sees the whole bar."""
    bar = {"open_": OPEN, "high": HIGH, "low": LOW, "close": CLOSE}
    check(f.stop_limit_at_open, 1, (trigger, limit), bar, expected)


@pytest.mark.parametrize(
    ("trigger", "limit", "close", "expected"),
    [
        (111.0, 112.0, 105.0, (False, nan)),  # not reached
        (108.0, 109.0, 109.5, (True, 109.0)),  # the limit is above the trigger: filled at once
        (108.0, 108.0, 109.0, (True, nan)),  # limit only touched at the trigger, close above
        (108.0, 108.0, 107.0, (True, 108.0)),  # the way down to the close trades through it
        (108.0, 106.0, 107.0, (True, nan)),  # the low of 90 may have come before the trigger
        (108.0, 106.0, 106.0, (True, nan)),  # the close only touches
        (108.0, 106.0, 105.0, (True, 106.0)),  # the close is through
        (108.0, 115.0, 105.0, (True, 110.0)),  # a limit above the bar pays the high at most
    ],
)
def test_stop_limit_inside_the_bar(trigger, limit, close, expected):
    """In its trigger bar a stop-limit fills only on the path trigger, high, close."""
    bar = {"open_": OPEN, "high": HIGH, "low": LOW, "close": close}
    check(f.stop_limit_inside, 1, (trigger, limit), bar, expected)


def test_slippage_is_always_against_the_order():
    """A buy pays more and a sell gets less, by the fraction of the price."""
    assert f.slipped(1, 200.0, 0.01, 3) == 202.0
    assert f.slipped(-1, 200.0, 0.01, 3) == 198.0
    assert f.slipped(1, 200.123456, 0.0, 3) == 200.123456
    assert f.slipped(1, 200.0, 0.00012, 3) == 200.03
    assert f.slipped(-1, 200.0, 0.00012, 3) == 199.97


@pytest.mark.parametrize(
    ("price", "fraction", "paid"),
    [(0.0002, 0.0005, 0.0002), (0.0012, 0.5, 0.001), (100.0, 1.0, 0.001), (100.0, 3.0, 0.001)],
)
def test_nobody_sells_for_nothing(price, fraction, paid):
    """A sale that slips to zero or beyond gets the lowest price of the venue, or the market's."""
    assert f.slipped(-1.0, price, fraction, 3) == paid


def test_liquidation_by_hand():
    """A 10x long of 1,000 from 100 at most 20x leverage is liquidated at 92.307..., broke at 90."""
    fraction = f.maintenance_fraction(20.0)
    assert fraction == 0.025
    price = f.liquidation_price(10.0, 100.0, 100.0, fraction)
    assert price == pytest.approx(900.0 / 9.75)
    assert f.bankruptcy_price(10.0, 100.0, 100.0) == 90.0
    short = f.liquidation_price(-10.0, 100.0, 100.0, fraction)
    assert short == pytest.approx(1100.0 / 10.25)
    assert f.bankruptcy_price(-10.0, 100.0, 100.0) == 110.0


def test_no_liquidation_price():
    """No position and a long without leverage can't be liquidated; a short always can."""
    assert math.isnan(f.liquidation_price(0.0, 100.0, 1000.0, 0.025))
    assert math.isnan(f.liquidation_price(1.0, 100.0, 1000.0, 0.025))
    assert math.isnan(f.bankruptcy_price(1.0, 100.0, 100.0))
    assert f.liquidation_price(-1.0, 100.0, 1000.0, 0.025) == pytest.approx(1100.0 / 1.025)


prices = st.floats(10.0, 1000.0)
bars = st.lists(prices, min_size=4, max_size=4).map(
    lambda p: (p[0], max(p), min(p), p[1])  # open, high, low, close
)
sides = st.sampled_from([1.0, -1.0])


@settings(deadline=None)
@given(bars, prices, sides)
def test_limit_fills_lie_in_the_bar_and_are_never_worse_than_the_limit(bar, limit, side):
    """A limit fill lies inside [low, high], is no worse than the limit, and needs a reason."""
    open_, high, low, _ = bar
    price = f.limit_at_open(side, limit, open_)
    if math.isnan(price):
        price = f.limit_inside(side, limit, high, low)
    if math.isnan(price):
        assert side * (low if side > 0 else high) >= side * limit
    else:
        assert low <= price <= high
        assert side * price <= side * limit


@settings(deadline=None)
@given(bars, prices, sides)
def test_stop_fills_lie_in_the_bar_and_are_never_better_than_the_stop(bar, stop, side):
    """A stop fill lies inside [low, high] and is no better than the stop."""
    open_, high, low, _ = bar
    price = f.stop_at_open(side, stop, open_)
    if math.isnan(price):
        price = f.stop_inside(side, stop, high, low)
    if math.isnan(price):
        assert side * (high if side > 0 else low) < side * stop
    else:
        assert low <= price <= high
        assert side * price >= side * stop


@settings(deadline=None)
@given(bars, prices, prices, sides)
def test_stop_limit_fills_are_stops_and_limits_at_once(bar, trigger, limit, side):
    """A stop-limit triggers exactly when a stop does; its fill is in the bar, within the limit."""
    open_, high, low, close = bar
    stop_open = not math.isnan(f.stop_at_open(side, trigger, open_))
    stop_later = not math.isnan(f.stop_inside(side, trigger, high, low))
    at_open, price = f.stop_limit_at_open(side, trigger, limit, *bar)
    assert at_open == stop_open
    if not at_open:
        inside, price = f.stop_limit_inside(side, trigger, limit, *bar)
        assert inside == stop_later
        if not math.isnan(price):  # a fill after the trigger has the path to prove it
            assert min(side * trigger, side * close) < side * limit
    if not math.isnan(price):
        assert low <= price <= high
        assert side * price <= side * limit


@settings(deadline=None)
@given(bars, prices, prices)
def test_sells_mirror_buys(bar, level, other):
    """Every rule gives the mirrored answer for the market seen from below."""
    open_, high, low, close = bar
    mirror = (-open_, -low, -high, -close)
    pairs = [
        (f.limit_at_open(1.0, level, open_), f.limit_at_open(-1.0, -level, -open_)),
        (f.limit_inside(1.0, level, high, low), f.limit_inside(-1.0, -level, -low, -high)),
        (f.stop_at_open(1.0, level, open_), f.stop_at_open(-1.0, -level, -open_)),
        (f.stop_inside(1.0, level, high, low), f.stop_inside(-1.0, -level, -low, -high)),
        (
            f.stop_limit_at_open(1.0, level, other, *bar)[1],
            f.stop_limit_at_open(-1.0, -level, -other, *mirror)[1],
        ),
        (
            f.stop_limit_inside(1.0, level, other, *bar)[1],
            f.stop_limit_inside(-1.0, -level, -other, *mirror)[1],
        ),
    ]
    for buy, sell in pairs:
        assert buy == -sell or (math.isnan(buy) and math.isnan(sell))


@settings(deadline=None)
@given(st.floats(0.1, 50.0), sides, prices, st.floats(1.0, 5000.0), st.floats(1.0, 200.0))
def test_equity_at_the_liquidation_price_is_the_maintenance_margin(
    size, side, mark, equity, leverage
):
    """At the liquidation price equity equals the maintenance margin, and bankruptcy is beyond."""
    fraction = f.maintenance_fraction(leverage)
    signed = side * size
    price = f.liquidation_price(signed, mark, equity, fraction)
    assume(not math.isnan(price))
    scale = size * max(mark, price)
    left = equity + signed * (price - mark)
    assert left == pytest.approx(size * price * fraction, abs=1e-9 * scale)
    broke = f.bankruptcy_price(signed, mark, equity)
    assert math.isnan(broke) or side * broke <= side * price
