"""Numbers, times and spans as a reader wants them: true minus signs, no false precision."""

from __future__ import annotations

import math

from ftbt.data.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, from_ms

MINUS = "\N{MINUS SIGN}"
MISSING = "n/a"
HUGE = 1e12  # from here on digits only widen the page
TIGHT = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line


def known(value: object) -> bool:
    """Tell whether *value* is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def _with_minus(text: str) -> str:
    """Write a leading hyphen as a minus; a rounded -0.00 loses its sign."""
    if text.startswith(("-", "+")) and not any(digit in text for digit in "123456789"):
        return text[1:]
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def number(value: float | None, decimals: int = 2, *, sign: bool = False) -> str:
    """Return `1,234.50`; `n/a` for NaN and None, `∞` for infinity."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if abs(value) >= HUGE:
        return _with_minus(f"{value:{'+' if sign else ''}.3g}")
    return _with_minus(f"{value:{'+' if sign else ''},.{decimals}f}")


def money(value: float | None, *, sign: bool = False) -> str:
    """Return an amount: cents below 1,000, whole units above."""
    if value is None or not math.isfinite(value):
        return number(value)
    return number(value, 2 if abs(value) < 1000 else 0, sign=sign)


def percent(value: float | None, decimals: int = 1, *, sign: bool = False) -> str:
    """Return a fraction as `12.3 %`, with a space that does not break."""
    if value is None or not math.isfinite(value):
        return number(value)
    shown = decimals if abs(value) < 10.0 else 0
    return f"{number(100.0 * value, shown, sign=sign)}{TIGHT}%"


def probability(value: float | None) -> str:
    """Return a probability as `93.1 %`; never 0 or 100 %, which no sample can show."""
    if value is None or not math.isfinite(value):
        return number(value)
    if value > 0.999:
        return f"> 99.9{TIGHT}%"
    return f"< 0.1{TIGHT}%" if value < 0.001 else percent(value)


def price(value: float | None) -> str:
    """Return a price with five significant digits, as the venue quotes."""
    if value is None or not math.isfinite(value):
        return number(value)
    digits = 0 if value == 0 else max(0, min(10, 4 - math.floor(math.log10(abs(value)))))
    return number(value, digits)


def whole(value: float | None) -> str:
    """Return a count."""
    return number(value, 0)


def moment(time_ms: int) -> str:
    """Return `2026-01-31 08:15`, UTC."""
    return f"{from_ms(time_ms):%Y-%m-%d %H:%M}"


def day(time_ms: int) -> str:
    """Return `2026-01-31`, UTC."""
    return f"{from_ms(time_ms):%Y-%m-%d}"


def span(duration_ms: float) -> str:
    """Return a duration in at most two units: `45 min`, `3 h 15 min`, `2 d 4 h`."""
    if not math.isfinite(duration_ms):
        return MISSING
    minutes = round(duration_ms / MINUTE_MS)
    if duration_ms < HOUR_MS:
        return f"{minutes} min"
    if duration_ms < 2 * DAY_MS:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, rest = divmod(round(duration_ms / HOUR_MS), 24)
    return f"{days:,} d {rest} h" if rest and days < 30 else f"{days:,} d"


def plain(value: object) -> str:
    """Return a parameter's value: `true`, `0.25`, `close`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _with_minus(f"{value:.6g}") if math.isfinite(value) else number(value)
    return str(value)


def size_of(count: int) -> str:
    """Return a number of bytes as `812 B`, `3.4 KB`, `1.2 MB`."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} KB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def plural(count: int, word: str, many: str = "") -> str:
    """Return `1 trade`, `2,000 trades`."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"
