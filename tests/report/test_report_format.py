"""Numbers and times of the report."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.report.format import (
    MINUS,
    moment,
    money,
    number,
    percent,
    plain,
    plural,
    price,
    probability,
    span,
)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(1234.5), "1,234.50"),
        (number(-0.001), "0.00"),
        (number(-1.5), f"{MINUS}1.50"),
        (number(1.5, sign=True), "+1.50"),
        (number(0.0, sign=True), "0.00"),
        (number(math.nan), "n/a"),
        (number(None), "n/a"),
        (number(math.inf), "∞"),
        (number(3.4e13), "3.4e+13"),
        (money(999.994), "999.99"),
        (money(-12345.6), f"{MINUS}12,346"),
        (percent(0.1234), "12.3\xa0%"),
        (percent(-0.5, sign=True), f"{MINUS}50.0\xa0%"),
        (percent(17.5), "1,750\xa0%"),
        (probability(0.99999), "> 99.9\xa0%"),
        (probability(1e-9), "< 0.1\xa0%"),
        (probability(0.5), "50.0\xa0%"),
        (price(64123.4), "64,123"),
        (price(0.00012345), "0.00012345"),
        (moment(1_704_067_200_000), "2024-01-01 00:00"),
        (span(45 * 60_000), "45 min"),
        (span(3.25 * 3_600_000), "3 h 15 min"),
        (span(52 * 3_600_000), "2 d 4 h"),
        (span(math.nan), "n/a"),
        (plain(True), "true"),
        (plain(0.30000000000000004), "0.3"),
        (plain("close"), "close"),
        (plural(1, "try", "tries"), "1 try"),
        (plural(2000, "try", "tries"), "2,000 tries"),
    ],
)
def test_values_are_written_as_a_reader_wants_them(shown: str, expected: str) -> None:
    """Each kind of value has one form, with a true minus and no sign on zero."""
    assert shown == expected


@given(st.floats(-1e11, 1e11), st.integers(0, 4))
@settings(deadline=None)
def test_a_written_number_is_the_number(value: float, decimals: int) -> None:
    """Reading back what was written gives the value to the shown decimals."""
    read = float(number(value, decimals).replace(",", "").replace(MINUS, "-"))
    assert read == pytest.approx(value, abs=0.5000001 * 10**-decimals, rel=1e-12)
