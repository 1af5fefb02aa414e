"""Which higher timeframes a trader looks at from a chart: one step up, and two."""

from __future__ import annotations

from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS

# Chart -> (fast, slow), as discretionary traders pair them; 15m with 1h and 4h is the classic.
_PAIRS = {
    MINUTE_MS: ("5m", "15m"),
    3 * MINUTE_MS: ("15m", "1h"),
    5 * MINUTE_MS: ("15m", "1h"),
    15 * MINUTE_MS: ("1h", "4h"),
    30 * MINUTE_MS: ("2h", "8h"),
    HOUR_MS: ("4h", "1d"),
    2 * HOUR_MS: ("8h", "1d"),
    4 * HOUR_MS: ("1d", "1w"),
    6 * HOUR_MS: ("1d", "1w"),
    8 * HOUR_MS: ("1d", "1w"),
    12 * HOUR_MS: ("1d", "1w"),
    DAY_MS: ("1w", "1w"),
}


def higher_timeframes(base_ms: int) -> tuple[str, str]:
    """Return the (fast, slow) higher timeframes for bars of *base_ms* milliseconds.

    For an unusual length these are the day and the week.
    """
    return _PAIRS.get(base_ms, ("1d", "1w"))
