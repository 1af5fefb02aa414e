"""What the account's channels bring, each thing once.

Fills come as a snapshot after every subscription, again as frames, and again by REST after a gap.
They are told apart by their number, never by whether a frame calls itself a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ftbt.hyperliquid.answers import Node
from ftbt.hyperliquid.chain import in_order
from ftbt.hyperliquid.records import Fill, OrderReport

_REMEMBERED = 20_000


class FillStream:
    """Lets each fill through once.

    Args:
        since: fills before this time (ms) are old: they were booked by an earlier process.
        remembered: how many are remembered; the venue replays at most 2000.
    """

    def __init__(self, since: int = 0, remembered: int = _REMEMBERED) -> None:
        self._since = since
        self._remembered = remembered
        self._seen: dict[tuple[int, str, int], None] = {}
        self._held: dict[str, Decimal] = {}  # by the fills so far
        self.watermark = since

    def __len__(self) -> int:
        return len(self._seen)

    def frame(self, data: Any) -> list[Fill]:
        """Return the new fills of a `userFills` frame, oldest first.

        Raises:
            Unreadable: a fill of another form; the truth has to be read by REST.
        """
        return self.take(Node(data, "userFills").at("fills").each(Fill.read))

    def take(self, fills: Iterable[Fill]) -> list[Fill]:
        """Return those of *fills* that are new, in the order in which they happened."""
        unseen = {
            fill.key: fill
            for fill in fills
            if fill.time >= self._since and fill.key not in self._seen
        }
        new = in_order(unseen.values(), self._held)
        for fill in new:
            self._seen[fill.key] = None
            self._held[fill.coin] = fill.end
            self.watermark = max(self.watermark, fill.time)
        while len(self._seen) > self._remembered:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            # What is forgotten must not come back as new.
            self._since = max(self._since, oldest[0] + 1)
        return new


def order_reports(data: Any) -> tuple[OrderReport, ...]:
    """Return the reports of an `orderUpdates` frame, in the order in which they happened.

    Raises:
        Unreadable: a report of another form.
    """
    return Node(data, "orderUpdates").each(OrderReport.read)
