"""Which higher timeframes a trader looks at from a chart: one step up, and two."""

from __future__ import annotations

from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Timeframe

# The timeframes that are looked at, from short to long.
FRAMES = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")

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
_STEP = 3  # an unusual chart looks at timeframes at least so many times as long


def higher_timeframes(base_ms: int) -> tuple[str, str]:
    """Return the (fast, slow) higher timeframes for bars of *base_ms* milliseconds.

    Both are whole multiples of the bars; when only one is long enough it is both, and "" stands
    for none at all (bars of three days or of a week, for example).
    """
    if base_ms in _PAIRS:
        return _PAIRS[base_ms]
    fits = [name for name in FRAMES if _fits(name, base_ms)]
    if not fits:
        return "", ""
    fast = _first(fits, _STEP * base_ms)
    return fast, _first(fits, _STEP * Timeframe.parse(fast).ms)


def _fits(name: str, base_ms: int) -> bool:
    frame = Timeframe.parse(name)
    return frame.ms > base_ms and frame.ms % base_ms == 0


def _first(names: list[str], at_least_ms: int) -> str:
    """Return the shortest of *names* that is long enough, else the longest."""
    return next((name for name in names if Timeframe.parse(name).ms >= at_least_ms), names[-1])
