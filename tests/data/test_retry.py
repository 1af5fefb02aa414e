"""Waits, policies and the words of errors, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.retry import Retry, reason, retry_after_s, shorten
from ftbt.errors import InputError


@given(failures=st.integers(1, 60) | st.integers(61, 100_000), jitter=st.floats(0, 1))
@settings(deadline=None)
def test_waits_double_up_to_a_cap(failures: int, jitter: float) -> None:
    """A wait lies between half and the whole of the doubled base, and below the cap."""
    policy = Retry(base_s=0.5, cap_s=30.0)
    full = 30.0 if failures > 60 else 0.5 * 2 ** (failures - 1)
    full = min(30.0, full)
    assert full / 2 <= policy.wait_s(failures, jitter) <= full


def test_retry_policy_out_of_range_is_refused() -> None:
    """Zero tries or negative waits are no policy."""
    for wrong in ({"attempts": 0}, {"attempts": 51}, {"base_s": -1.0}, {"budget": -1}):
        with pytest.raises(InputError):
            Retry(**wrong)


def test_retry_after_is_read_in_both_forms() -> None:
    """Seconds and HTTP dates are understood, anything else is as good as no header."""
    assert retry_after_s({"retry-AFTER": "7"}) == 7.0
    later = datetime.now(UTC) + timedelta(seconds=90)
    date = later.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert retry_after_s({"Retry-After": date}) == pytest.approx(90, abs=5)
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after_s({"Retry-After": "soon"}) is None
    assert retry_after_s({}) is None


def test_error_pages_become_one_short_line() -> None:
    """Markup and line breaks are dropped, long texts cut, causes preferred."""
    page = "<html><style>a{}</style><h1>502\nBad Gateway</h1></html>" + "x" * 500
    assert shorten(page).startswith("502 Bad Gateway x")
    assert len(shorten(page)) == 200
    error = RuntimeError("outer")
    error.__cause__ = OSError("inner")
    assert reason(error) == "inner"
