"""Civil time for compiled code: a time zone's offsets as a table, and windows of the day.

The offsets come from the IANA data through `zoneinfo`; a table covers 1970 to 2100 and is written
into a state before the first bar. Windows are half-open, [start, end), in civil time; one whose
start is not before its end runs over midnight.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import compiled
from ftbt.data.timeframe import DAY_MS, MINUTE_MS
from ftbt.errors import ParameterError, did_you_mean
from ftbt.ranges import Choice

MAX_CHANGES = 512
# The table's span in seconds since 1970 UTC; no zone changes its offset twice within a day.
_FIRST, _LAST, _DAY = 0, int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()), 86_400

CLOCK_STATE = np.dtype(
    [
        ("changes", "i8"),  # rows of the table
        ("row", "i8"),  # the row in force at the last bar
        ("since", "i8", (MAX_CHANGES,)),  # ms UTC; row 0 holds from the beginning of time
        ("offset", "i8", (MAX_CHANGES,)),  # ms to add to UTC
    ],
    align=True,
)


@cache
def zone_names() -> tuple[str, ...]:
    """Return all IANA time zones known here, sorted; compiled code sees the position."""
    return tuple(sorted(available_timezones()))


def _offset_ms(zone: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def _change_between(zone: ZoneInfo, start: int, end: int) -> int:
    """Return the first second after *start* at which *end*'s offset is in force."""
    offset = _offset_ms(zone, end)
    while end - start > 1:
        middle = (start + end) // 2
        if _offset_ms(zone, middle) == offset:
            end = middle
        else:
            start = middle
    return end


@cache
def offset_table(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when the offset of a zone changes and what it is from then on.

    Returns:
        Instants in ms since 1970 UTC, the first one the beginning of the table; offsets in ms
        to add to UTC; both int64, shape (changes,).
    """
    zone = ZoneInfo(name)
    rows = [(_FIRST, _offset_ms(zone, _FIRST))]
    for second in range(_FIRST, _LAST, _DAY):
        if _offset_ms(zone, second + _DAY) != rows[-1][1]:
            change = _change_between(zone, second, second + _DAY)
            rows.append((change, _offset_ms(zone, change)))
    table = np.array(rows, np.int64)
    return table[:, 0] * 1000, table[:, 1].copy()


def prepare_clock(clock: NDArray[np.void], zone: int) -> None:
    """Write the table of the zone at position *zone* of `zone_names()` into CLOCK_STATE records."""
    since, offset = offset_table(zone_names()[zone])
    clock["changes"] = len(since)
    clock["since"][..., : len(since)] = since
    clock["offset"][..., : len(offset)] = offset


@compiled
def civil_ms(clock, time, row):  # type: ignore[no-untyped-def]
    """Return the civil time of the instant *time*, in ms as if it were UTC, and its row.

    *row* is where the search starts; instants before it are looked for backwards.
    """
    while row + 1 < clock.changes and clock.since[row + 1] <= time:
        row += 1
    while row > 0 and clock.since[row] > time:
        row -= 1
    return time + clock.offset[row], row


@compiled
def window_day(civil, start, end):  # type: ignore[no-untyped-def]
    """Return the day (since 1970) on which the window holding *civil* began, -1 if none holds it.

    Args:
        civil: civil time in ms.
        start: minutes after midnight, inclusive.
        end: minutes after midnight, exclusive.
    """
    day = civil // DAY_MS
    minute = (civil - day * DAY_MS) // MINUTE_MS
    if start < end:
        return day if start <= minute < end else -1
    if minute >= start:
        return day
    return day - 1 if minute < end else -1


class ZoneName(Choice):
    """A parameter that is the name of an IANA time zone, for example `America/New_York`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(tune=False)

    def check(self, name: str, value: Any) -> str:
        """Return *value* or raise ParameterError."""
        if value not in zone_names():
            hint = did_you_mean(str(value), zone_names())
            raise ParameterError(
                f"{name} must be an IANA time zone such as 'America/New_York', not {value!r}{hint}"
            )
        return str(value)

    def pack(self, value: Any) -> float:
        """Return the position in `zone_names()`."""
        return zone_names().index(value)


class ClockTime(Choice):
    """A parameter that is a time of day, `HH:MM` from 00:00 to 24:00."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(tune=False)

    def check(self, name: str, value: Any) -> str:
        """Return *value* or raise ParameterError."""
        if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", value):
            raise ParameterError(f"{name} must be a time from '00:00' to '24:00', not {value!r}")
        return value

    def pack(self, value: Any) -> float:
        """Return minutes after midnight."""
        return int(value[:2]) * 60 + int(value[3:])
