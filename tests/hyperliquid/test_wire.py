"""Prices and sizes in decimals: valid, exact, and the same as a back-test's."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hyperliquid.utils.signing import float_to_wire
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.precision import floor_size, round_price
from ftbt.errors import InputError
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.wire import Toward

QUICK = settings(deadline=None, max_examples=300)
DECIMALS = st.integers(0, 6)
PRICES = st.floats(1e-5, 1e8)


@pytest.mark.parametrize(
    ("price", "decimals", "valid"),
    [
        ("1234.5", 1, True), ("1234.56", 1, False), ("0.001234", 0, True),
        ("0.0012345", 0, False), ("0.01234", 1, True), ("0.012345", 1, False),
        ("123456", 5, True), ("12345.6", 0, False), ("100", 5, True), ("100.10", 2, True),
    ],
)  # fmt: skip
def test_the_examples_of_the_documentation_are_judged_as_it_does(price, decimals, valid):
    """Five significant figures, 6 - size_decimals decimals, whole numbers always."""
    assert wire.is_valid_price(Decimal(price), decimals) is valid


@QUICK
@given(PRICES, DECIMALS)
def test_a_price_of_a_back_test_is_sent_to_the_digit(price, decimals):
    """The decimal on the wire reads back as the float that the back-test used."""
    sent = wire.decimal_price(price, decimals) if round_price(price, decimals) > 0 else None
    if sent is not None:
        assert float(wire.text(sent)) == round_price(price, decimals)
        assert wire.is_valid_price(sent, decimals)


@QUICK
@given(st.decimals("0.00002", "900000", places=8), DECIMALS)
def test_a_price_moves_to_the_side_that_was_asked_for(price, decimals):
    """Down is not above, up is not below, and both are on the tick and less than a tick away."""
    up = wire.move_price(price, decimals, Toward.UP)
    assert up >= price
    assert wire.is_valid_price(up, decimals)
    try:
        down = wire.move_price(price, decimals, Toward.DOWN)
    except InputError:  # below the smallest tick
        return
    assert down <= price
    assert wire.is_valid_price(down, decimals)
    assert down == up or wire.move_price((down + up) / 2, decimals, Toward.NEAREST) in (down, up)


@QUICK
@given(st.floats(0, 1e7), DECIMALS)
def test_a_size_of_a_back_test_is_sent_to_the_digit(size, decimals):
    """The decimal on the wire reads back as the float, and is a whole number of lots."""
    sent = wire.decimal_size(size, decimals)
    assert float(wire.text(sent)) == floor_size(size, decimals)
    assert sent == 0 or wire.is_valid_size(sent, decimals)


@QUICK
@given(st.decimals("0", "1000000", places=6))
def test_numbers_are_written_as_the_sdk_writes_them(number):
    """No exponent, no zeros behind: the same text and so the same hash."""
    assert wire.text(number) == float_to_wire(float(number))


@pytest.mark.parametrize("number", ["-1", "0.000000001", "1.123456789"])
def test_what_the_venue_can_not_read_is_not_written(number):
    """Negative numbers and a ninth decimal are refused here."""
    with pytest.raises(InputError):
        wire.text(Decimal(number))


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_price_is_refused(price):
    """Zero, negative, NaN and infinity never reach an order."""
    with pytest.raises(InputError):
        wire.decimal_price(price, 2)
    with pytest.raises(InputError):
        wire.move_price(Decimal(price), 2, Toward.UP)


@pytest.mark.parametrize("written", [None, 1, 1.5, "", "abc", "NaN", "Infinity", True])
def test_only_finite_numbers_in_strings_are_read(written):
    """Anything else in the place of a number is an error, not a zero."""
    with pytest.raises(ValueError, match="number"):
        wire.parse(written)


@pytest.mark.parametrize("written", ["1e18", "-1E20", "1000000000000000000.5"])
def test_a_number_that_could_not_be_added_up_exactly_is_refused(written):
    """A position of 1E20 coins is an error in the answer, and must not end a calculation later."""
    with pytest.raises(ValueError, match="too large"):
        wire.parse(written)


def test_binary_tails_are_read_exactly():
    """Numbers with the noise of binary floats, as the venue sends them, lose no digit."""
    assert wire.parse("2703997.4500000002") == Decimal("2703997.4500000002")
