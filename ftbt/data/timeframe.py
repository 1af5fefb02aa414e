"""Bar lengths such as `15m`, `1h`, `1d`, as milliseconds, and the bar that holds an instant."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ftbt.errors import InputError

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
# 1970-01-05 was a Monday: weekly bars open on Monday 00:00 UTC, as on the exchanges.
WEEK_ORIGIN_MS = 4 * DAY_MS

_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": WEEK_MS}


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """A bar length. `ms` orders and compares; `text` is how users write it."""

    ms: int
    text: str = field(compare=False)

    @classmethod
    def of_ms(cls, ms: int) -> Timeframe:
        """Return the timeframe of *ms* milliseconds in its shortest writing (`1h`, not `60m`).

        Raises:
            InputError: when *ms* is not a whole number of minutes, or nothing.
        """
        for unit in "wdhm":
            if ms > 0 and ms % _UNITS[unit] == 0:
                return cls(ms, f"{ms // _UNITS[unit]}{unit}")
        raise InputError(f"a bar of {ms / 1000:g} seconds is not a whole number of minutes")

    @classmethod
    def parse(cls, text: str | Timeframe) -> Timeframe:
        """Return the timeframe written as `15m`, `1h`, `4h`, `1d` or `1w`; `60m` becomes `1h`.

        Raises:
            InputError: for anything else.
        """
        if isinstance(text, Timeframe):
            return text
        # Capital H, D and W are common, but a capital M is a month elsewhere.
        match = re.fullmatch(r"([1-9]\d{0,3})(m|[hdwHDW])", text.strip())
        if match is None:
            raise InputError(
                f"timeframe {text!r} is not understood: write a number and m, h, d or w,"
                " for example 15m, 1h, 4h, 1d"
            )
        return cls.of_ms(int(match[1]) * _UNITS[match[2].lower()])

    @property
    def origin_ms(self) -> int:
        """The instant that bars of this length are counted from, in ms since 1970 UTC."""
        return WEEK_ORIGIN_MS if self.ms % WEEK_MS == 0 else 0

    def floor(self, time_ms: int) -> int:
        """Return the open time of the bar that holds *time_ms*."""
        return (time_ms - self.origin_ms) // self.ms * self.ms + self.origin_ms

    @property
    def bars_per_year(self) -> float:
        """How many bars a year of 365 days has: crypto trades every hour of it."""
        return 365 * DAY_MS / self.ms

    def __str__(self) -> str:
        return self.text


def to_ms(moment: datetime) -> int:
    """Return *moment* in milliseconds since 1970 UTC.

    Raises:
        InputError: when *moment* has no time zone.
    """
    if moment.tzinfo is None:
        raise InputError(f"time {moment.isoformat()} has no time zone; ftbt uses UTC everywhere")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def from_ms(time_ms: int) -> datetime:
    """Return the aware UTC datetime of *time_ms* milliseconds since 1970."""
    return datetime.fromtimestamp(int(time_ms) / 1000, tz=UTC)


def show_ms(time_ms: int) -> str:
    """Return *time_ms* as `2026-01-31 08:15 UTC`."""
    return from_ms(time_ms).strftime("%Y-%m-%d %H:%M UTC")


def parse_time(text: str) -> datetime:
    """Return the aware UTC datetime written as `2025-01-31` or ISO 8601; without zone it is UTC.

    Raises:
        InputError: for anything else.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"time {text!r} is not understood: write 2025-01-31 or 2025-01-31T08:15+00:00"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
