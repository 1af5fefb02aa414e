"""Which higher timeframes belong to a chart."""

from __future__ import annotations

import pytest

from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.smc import CONFIDENCE, higher_timeframes


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (1, ("5m", "15m")),
        (5, ("15m", "1h")),
        (10, ("30m", "2h")),
        (15, ("1h", "4h")),
        (45, ("6h", "1d")),
        (60, ("4h", "1d")),
        (180, ("12h", "1w")),
        (240, ("1d", "1w")),
        (1440, ("1w", "1w")),
        (7 * 60, ("1w", "1w")),
        (7 * 1440, ("", "")),
        (3 * 1440, ("", "")),
    ],
)
def test_the_ladder_of_timeframes(minutes: int, expected: tuple[str, str]) -> None:
    """A chart looks one step up and two; a chart above all steps looks at none."""
    assert higher_timeframes(minutes * MINUTE_MS) == expected


def test_the_ladder_offers_only_what_can_be_built() -> None:
    """For every length in minutes both timeframes are longer whole multiples that can be chosen."""
    for minutes in [*range(1, 1441), 2880, 4320, 10_080, 20_160]:
        pair = higher_timeframes(minutes * MINUTE_MS)
        CONFIDENCE.pack({"fast": pair[0], "slow": pair[1]})
        for name in filter(None, pair):
            ms = Timeframe.parse(name).ms
            assert ms > minutes * MINUTE_MS, (minutes, pair)
            assert ms % (minutes * MINUTE_MS) == 0, (minutes, pair)
