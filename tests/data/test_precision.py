"""Ticks and lots: what a price and a size may be, in exact arithmetic beside binary."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ftbt.data.precision import floor_size, nearest_size, price_decimals, round_price, tick_size

QUICK = settings(deadline=None, max_examples=400)
DECIMALS = st.integers(0, 6)
PRICES = st.floats(1e-6, 1e9)


@QUICK
@given(PRICES, DECIMALS)
@example(99.99999999999999, 0)
@example(100.0, 0)
@example(0.1, 0)
def test_a_price_has_five_figures_and_no_more_decimals_than_the_venue_takes(price, size_decimals):
    """Five significant figures, at most 6 - size_decimals decimals, whole numbers always."""
    figures = 4 - Decimal(price).adjusted()
    assert price_decimals(price, size_decimals) == max(0, min(6 - size_decimals, figures))
    assert tick_size(price, size_decimals) == 10.0 ** -price_decimals(price, size_decimals)


@QUICK
@given(PRICES, DECIMALS)
@example(9.999999, 2)
def test_rounding_a_price_goes_to_the_nearest_valid_one_and_stays_there(price, size_decimals):
    """A rounded price is within half a tick, and is rounded to itself."""
    rounded = round_price(price, size_decimals)
    assert abs(rounded - price) <= tick_size(price, size_decimals) * (0.5 + 1e-9)
    assert round_price(rounded, size_decimals) == rounded


def test_what_is_no_price_is_not_rounded():
    """NaN stays NaN; zero and less stay what they are."""
    assert round_price(float("nan"), 2) != round_price(float("nan"), 2)
    assert [round_price(price, 2) for price in (0.0, -1.234567)] == [0.0, -1.234567]


@QUICK
@given(st.integers(0, 10**15), DECIMALS)
@example(328_947_368_42108, 5)
@example(69935058304_8582, 5)
def test_a_size_on_the_lot_is_cut_to_itself(lots, size_decimals):
    """A multiple of the lot stays, up to more lots than any venue has; so cutting twice is once."""
    size = lots / 10.0**size_decimals
    assert floor_size(size, size_decimals) == size
    assert nearest_size(size, size_decimals) == size
    assert nearest_size(-size, size_decimals) == -size


@QUICK
@given(st.floats(0.0, 1e9), DECIMALS)
@example(976562495.169188, 5)
def test_a_size_is_cut_down_to_the_lot(size, size_decimals):
    """The cut size is at most the size, but for rounding errors, and less than a lot below it."""
    cut = floor_size(size, size_decimals)
    lot = 10.0**-size_decimals
    # What is forgiven is 2e-15 of the size; the product and the quotient are rounded as well.
    assert size - lot * (1 + 1e-6) - size * 1e-15 < cut <= size + lot * 1e-6 + size * 2.4e-15


def test_no_size_has_more_lots_than_can_be_told_apart():
    """Beyond 1e15 lots a size is cut to that many: there adding and rounding make lots up."""
    assert floor_size(1e12, 5) == 1e10
    assert floor_size(42962963631.98351, 5) == 1e10
    assert floor_size(1e10, 5) == 1e10


def test_rounding_errors_do_not_lose_a_lot():
    """A size that misses the lot by a last bit is the lot."""
    assert floor_size(0.3 - 0.1, 1) == 0.2
    assert floor_size(0.29, 2) == 0.29
    assert floor_size(20.0 * (1.0 - 1e-16), 2) == 20.0
    assert floor_size(123_456_789.12 * (1.0 - 1e-16), 2) == 123_456_789.12
