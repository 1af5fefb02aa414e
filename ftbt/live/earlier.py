"""What an earlier session has left in a journal, and whether the one that begins may go on with it.

Orders and positions of a journal are those of one account, on one network, of the same strategies.
Carried into another account they would be traded there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftbt.data.timeframe import MINUTE_MS, show_ms
from ftbt.errors import InputError
from ftbt.live.journal import LiveJournal

# What must be the same, and how a person calls it.
_SAME = {
    "network": "network",
    "url": "exchange",
    "account": "account",
    "dry_run": "dry run",
    "symbols": "symbols",
    "timeframe": "timeframe",
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """The last session of a journal.

    Attributes:
        description: its `session` event.
        market_ms: newest time of the market that the journal has.
    """

    description: Mapping[str, Any]
    market_ms: int


def last_session(journal: LiveJournal) -> Earlier | None:
    """Return the last session that *journal* tells of, None for a new one."""
    description: Mapping[str, Any] | None = None
    newest = 0
    for event in journal.events(kinds=("session", "equity", "fill", "stop")):
        newest = max(newest, event.market_ms)
        if event.kind == "session":
            description = event.body
    return None if description is None else Earlier(description, newest)


def require_same(earlier: Earlier, now: Mapping[str, Any], state: Path) -> None:
    """Pass when the session described by *now* may go on with *earlier*'s orders and positions.

    Raises:
        InputError: another network, account, symbols, timeframe, strategies or capital.
    """
    for what, before, wanted in _differences(earlier.description, now):
        raise InputError(
            f"{state} is of another session: its {what} was {before}, now it is {wanted}; give the"
            " same, or another --state"
        )


def require_past(earlier: Earlier, market_ms: int, state: Path) -> None:
    """Pass when the market is not before the journal's end, as it is in a replay begun anew.

    Raises:
        InputError: it is.
    """
    if market_ms < earlier.market_ms - MINUTE_MS:
        raise InputError(
            f"{state} is of a session that ended at {show_ms(earlier.market_ms)}, and on this"
            f" exchange it is {show_ms(market_ms)}: a replay that began anew knows nothing of its"
            " orders; give another --state"
        )


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, object, object]]:
    for key, words in _SAME.items():
        if before[key] != now[key]:
            yield words, _text(before[key]), _text(now[key])
    if _names(before) != _names(now):
        yield "strategies", _names(before), _names(now)
    capital, wanted = before["settings"]["capital"], now["settings"]["capital"]
    if capital != wanted:
        yield "capital", f"{capital:g}", f"{wanted:g}"


def _names(description: Mapping[str, Any]) -> str:
    return ", ".join(str(one["name"]) for one in description["strategies"])


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
