"""The life of zones: what can happen to one, the book of those alive, the ledger of everything.

A *zone* is a price range that is waited for: a fair value gap, an order block, a liquidity pool
(top = bottom = its level). The *book* holds those that are still alive, at most CAPACITY on a
side; one that leaves it does so by an event. The *ledger* is the list of all events of a run: it
is only ever added to, so that failed zones stay as visible as those that worked.

Bullish and bearish zones run through the same code: a zone stands in its book as it is seen from
its own side, `near` being the edge that the price meets first, and a bearish one with its prices
negated. Negation is exact, so a mirrored market gives mirrored lines to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftbt.compiled import compiled, inlined
from ftbt.data.candles import Bars
from ftbt.errors import InputError
from ftbt.smc.base import NAN, Concept, Records, event_rows

# What can happen to a zone. `side` of an event is the side that the zone acts on after it.
# np.int64, since numba compiles a function anew for each plain int constant it is called with.
CREATED = np.int64(1)  # known from this bar's close on
TOUCHED = np.int64(2)  # gap: the price came back to its near edge
HALF = np.int64(3)  # gap: to its middle (consequent encroachment)
FILLED = np.int64(4)  # gap: to its far edge
INVERTED = np.int64(5)  # gap: closed beyond; it acts on the other side now
TESTED = np.int64(6)  # block: the price came (back) to its near edge; `count`: how often so far
MITIGATED = np.int64(7)  # block: the price went as deep as the parameters ask
BROKEN = np.int64(8)  # block: closed beyond
BREAKER = np.int64(9)  # block: after that it acts on the other side
RETESTED = np.int64(10)  # inverted gap or breaker: the price came back to its near edge
REMOVED = np.int64(11)  # inverted gap or breaker: closed back beyond
GROWN = np.int64(12)  # pool: one more touch
TAKEN = np.int64(13)  # pool: traded through
SWEPT = np.int64(14)  # pool: traded through and reclaimed
RUN = np.int64(15)  # pool: traded through and not reclaimed in time
SPENT = np.int64(16)  # pool: reclaimed, but without the wick that a sweep is asked for
EXPIRED = np.int64(17)  # too old, or replaced by the next day's, week's or session's level
CAPACITY = np.int64(18)  # pushed out of a full book by a newer one
KINDS = 19

KIND_NAMES: Mapping[np.int64, str] = {
    CREATED: "created",
    TOUCHED: "touched",
    HALF: "half",
    FILLED: "filled",
    INVERTED: "inverted",
    TESTED: "tested",
    MITIGATED: "mitigated",
    BROKEN: "broken",
    BREAKER: "breaker",
    RETESTED: "retested",
    REMOVED: "removed",
    GROWN: "grown",
    TAKEN: "taken",
    SWEPT: "swept",
    RUN: "run",
    SPENT: "spent",
    EXPIRED: "expired",
    CAPACITY: "capacity",
}
# A zone whose last event is one of these is no longer waited for.
ENDS = frozenset({BROKEN, REMOVED, TAKEN, SWEPT, RUN, SPENT, EXPIRED, CAPACITY})
# What may still follow an end: a broken block turns breaker, a taken pool is judged.
REOPENS = frozenset({BREAKER, SWEPT, RUN, SPENT})

SIZE = 64  # zones that a book can hold on one side

ZONE = np.dtype(
    [
        ("id", "i8"),  # 1, 2, ... in order of creation
        ("near", "f8"),
        ("far", "f8"),
        ("anchor", "i8"),  # bar where a chart draws it
        ("born", "i8"),  # bar since which it acts on this side
        ("stage", "i8"),  # how far its life has gone; each concept has its own scale
        ("count", "i8"),  # tests so far
        ("inside", "i8"),  # 1 while the price has not left it since the last test
        ("swept", "i8"),  # 1 once liquidity was swept on the side that it trades towards
    ],
    align=True,
)
BOOK = np.dtype(
    [
        ("zone", ZONE, (SIZE,)),
        ("n", "i8"),
        ("shown", "i8"),  # place of the zone that the lines hold, -1 for none
        ("open", "i8"),  # how many the lines count
        # Nothing happens to any of them while the price stays within these, see `at_rest`.
        ("floor", "f8"),
        ("ceiling", "f8"),
        ("shut", "f8"),
        ("due", "i8"),
    ],
    align=True,
)
EVENT = np.dtype(
    [
        ("kind", "i8"),
        ("id", "i8"),
        ("side", "i8"),  # +1 bullish, -1 bearish
        ("origin", "i8"),  # bars back to the anchor
        ("count", "i8"),
        ("top", "f8"),
        ("bottom", "f8"),
    ],
    align=True,
)
# The zone that the last event of a kind happened to; of several in one bar the newest zone.
HIT = np.dtype(
    [
        ("id", "i8"),  # 0 at a bar without such an event
        ("side", "f8"),
        ("top", "f8"),
        ("bottom", "f8"),
        ("age", "f8"),
        ("count", "f8"),
    ],
    align=True,
)
# A zone on the book has at most 5 events in one bar, a flipped one 3; a few more for new ones.
MOST_EVENTS = 2 * SIZE * 8 + 16

# What every concept with a zone book has in its state.
LEDGER_FIELDS = [
    ("events", EVENT, (MOST_EVENTS,)),
    ("n_events", "i8"),
    ("hit", HIT, (KINDS,)),
    ("last_id", "i8"),
    ("book", BOOK, (2,)),  # 0 bullish, 1 bearish
    ("flipped", BOOK, (2,)),  # zones that act on the side opposite to their birth
]


@compiled
def ledger_init(state):  # type: ignore[no-untyped-def]
    """Prepare the ledger part of a zeroed state."""
    for k in range(2):
        state.book[k].shown = -1
    for kind in range(KINDS):
        state.hit[kind].top = NAN
        state.hit[kind].bottom = NAN
        state.hit[kind].age = NAN
        state.hit[kind].count = NAN


@compiled
def ledger_next(state):  # type: ignore[no-untyped-def]
    """Begin a new bar: no events yet."""
    for i in range(state.n_events):
        state.hit[state.events[i].kind].id = 0
    state.n_events = 0


@inlined
def seen_low(bar, sign):  # type: ignore[no-untyped-def]
    """Return the bar's furthest price towards a zone of side *sign*, as seen from that side."""
    return bar.low if sign > 0 else -bar.high


@inlined
def seen_high(bar, sign):  # type: ignore[no-untyped-def]
    """Return the bar's furthest price away from a zone of side *sign*, as seen from that side."""
    return bar.high if sign > 0 else -bar.low


@inlined
def zone_top(zone, sign):  # type: ignore[no-untyped-def]
    """Return the upper price of *zone*, which stands on side *sign*."""
    return zone.near if sign > 0 else -zone.far


@inlined
def zone_bottom(zone, sign):  # type: ignore[no-untyped-def]
    """Return the lower price of *zone*, which stands on side *sign*."""
    return zone.far if sign > 0 else -zone.near


@compiled
def emit(state, kind, zone, sign, now):  # type: ignore[no-untyped-def]
    """Write into the ledger what happened to *zone* at bar *now*."""
    event = state.events[state.n_events]
    state.n_events += 1
    event.kind = kind
    event.id = zone.id
    event.side = sign
    event.origin = now - zone.anchor
    event.count = zone.count
    event.top = zone_top(zone, sign)
    event.bottom = zone_bottom(zone, sign)
    hit = state.hit[kind]
    if zone.id > hit.id:
        hit.id = zone.id
        hit.side = sign
        hit.top = event.top
        hit.bottom = event.bottom
        hit.age = now - zone.born
        hit.count = zone.count


@inlined
def signal(state, kind):  # type: ignore[no-untyped-def]
    """Return the side of this bar's event of *kind*, 0 when there is none."""
    return state.hit[kind].side if state.hit[kind].id > 0 else 0.0


@compiled
def make_room(state, book, sign, now, capacity):  # type: ignore[no-untyped-def]
    """Return a free place at the end of *book*; a full one loses its oldest zone."""
    if book.n >= capacity:
        emit(state, CAPACITY, book.zone[0], sign, now)
        for i in range(1, book.n):
            book.zone[i - 1] = book.zone[i]
        book.n -= 1
    book.n += 1
    book.floor = np.inf  # the next bar looks at all of them
    return book.zone[book.n - 1]


@inlined
def at_rest(book, probe, close, now):  # type: ignore[no-untyped-def]
    """Tell whether a bar leaves all zones of *book* as they are.

    Most bars do: a walk through the book sets the band in which the next ones may move.

    Args:
        book: BOOK.
        probe: the price that reaches an edge (at or below `floor`) or leaves one (above `ceiling`).
        close: the price that breaks a zone, below `shut`.
        now: the bar; a zone expires at the bar `due`.
    """
    # Without `and`: whichever of four jumps a processor guesses wrong takes longer than all four.
    inside = (probe > book.floor) & (probe <= book.ceiling)
    return inside & (close >= book.shut) & (now < book.due)


@compiled
def open_band(book):  # type: ignore[no-untyped-def]
    """Begin the walk that sets the band of *book*: nothing can happen to no zone."""
    book.floor = -np.inf
    book.ceiling = np.inf
    book.shut = -np.inf
    book.due = np.iinfo(np.int64).max


@compiled
def narrow_band(book, zone, reached, now_inside, max_age):  # type: ignore[no-untyped-def]
    """Take *zone*, which stays on *book*, into the band.

    Args:
        book: BOOK.
        zone: one of its zones; a close beyond its far edge ends it.
        reached: at this price, or below, something happens to it next.
        now_inside: 1 when something happens also above its near edge.
        max_age: bars after its birth that it lives.
    """
    book.floor = max(book.floor, reached)
    if now_inside == 1:
        book.ceiling = min(book.ceiling, zone.near)
    book.shut = max(book.shut, zone.far)
    book.due = min(book.due, zone.born + max_age + 1)


@compiled
def create(state, sign, near, far, anchor, now, capacity):  # type: ignore[no-untyped-def]
    """Open a new zone on side *sign* at bar *now*."""
    zone = make_room(state, state.book[0 if sign > 0 else 1], sign, now, capacity)
    state.last_id += 1
    zone.id = state.last_id
    zone.near = near
    zone.far = far
    zone.anchor = anchor
    zone.born = now
    zone.stage = 0
    zone.count = 0
    zone.inside = 0
    zone.swept = 0
    emit(state, CREATED, zone, sign, now)


@compiled
def flip(state, kind, zone, sign, now, capacity):  # type: ignore[no-untyped-def]
    """Let *zone* of side *sign* act on the other side from bar *now* on, by an event *kind*."""
    flipped = make_room(state, state.flipped[1 if sign > 0 else 0], -sign, now, capacity)
    flipped.id = zone.id
    flipped.near = -zone.far
    flipped.far = -zone.near
    flipped.anchor = zone.anchor
    flipped.born = now
    flipped.stage = 0
    flipped.count = 0
    flipped.inside = 0
    flipped.swept = zone.swept
    emit(state, kind, flipped, -sign, now)


@inlined
def advance_flipped(state, sign, bar, by_close, again, now, max_age):  # type: ignore[no-untyped-def]
    """Take one bar into the inverted gaps or breakers that act on side *sign*.

    They are retested when the price comes back (*again*: after each leave, else only once), removed
    at a close beyond their far edge, and expire.
    """
    book = state.flipped[0 if sign > 0 else 1]
    close = sign * bar.close
    probe = close if by_close else seen_low(bar, sign)
    if not at_rest(book, probe, close, now):
        _walk_flipped(state, book, sign, probe, close, again, now, max_age)


@compiled
def _walk_flipped(state, book, sign, probe, close, again, now, max_age):  # type: ignore[no-untyped-def]
    open_band(book)
    kept = 0
    for i in range(book.n):
        zone = book.zone[i]
        if now - zone.born > max_age:
            emit(state, EXPIRED, zone, sign, now)
            continue
        if probe > zone.near:
            zone.inside = 0
        elif zone.inside == 0 and (again or zone.count == 0):
            zone.inside = 1
            zone.count += 1
            emit(state, RETESTED, zone, sign, now)
        if close < zone.far:
            emit(state, REMOVED, zone, sign, now)
            continue
        waits = zone.inside == 0 and (again or zone.count == 0)
        narrow_band(book, zone, zone.near if waits else -np.inf, zone.inside, max_age)
        if kept != i:
            book.zone[kept] = zone
        kept += 1
    book.n = kept


@inlined
def choose_shown(state, stage, nearest):  # type: ignore[no-untyped-def]
    """Choose the zone of each side that the lines show: of those below *stage* the newest.

    Or the *nearest*: the one whose near edge the price meets first; of equal ones the newest.
    """
    if state.n_events > 0:  # else nothing has changed since the last bar
        _choose(state, stage, nearest)


@compiled
def _choose(state, stage, nearest):  # type: ignore[no-untyped-def]
    for k in range(2):
        book = state.book[k]
        book.shown = -1
        book.open = 0
        for i in range(book.n):
            if book.zone[i].stage < stage:
                book.open += 1
                if (
                    nearest == 0
                    or book.shown < 0
                    or book.zone[i].near >= book.zone[book.shown].near
                ):
                    book.shown = i


@dataclass(frozen=True, slots=True)
class Zone:
    """The whole life of one zone, as far as *bars* went.

    Attributes:
        id: number in order of creation, from 1.
        side: +1 bullish, -1 bearish, at its creation. A pool below the price is +1.
        top, bottom: its prices at its creation; equal for a pool.
        anchor: index of the bar where a chart begins to draw it.
        created: index of the bar at whose close it became known.
        events: its ledger records in order, see `ftbt.smc.base.event_rows`.
    """

    id: int
    side: int
    top: float
    bottom: float
    anchor: int
    created: int
    events: Records

    def bar(self, kind: np.int64) -> int | None:
        """Return the index of the bar of its first event of *kind*, None when there was none."""
        found = self.events["bar"][self.events["kind"] == kind]
        return int(found[0]) if len(found) else None

    @property
    def ended(self) -> int | None:
        """Index of the bar that ended it, None while it lives."""
        last = self.events[-1]
        return int(last["bar"]) if last["kind"] in ENDS else None

    @property
    def story(self) -> tuple[tuple[int, str], ...]:
        """Its events as (bar, name)."""
        return tuple((int(row["bar"]), KIND_NAMES[row["kind"]]) for row in self.events)


def zones(concept: Concept, bars: Bars, values: Mapping[str, Any] | None = None) -> list[Zone]:
    """Return every zone that ever was, in order of creation, with all that happened to it.

    Args:
        concept: one with a ledger: gaps, blocks, pools or sweeps.
        bars: BAR array, shape (n,).
        values: parameters that differ from the defaults.

    Raises:
        InputError: when the concept keeps no ledger.
    """
    if "events" not in (concept.state.names or ()):
        raise InputError(f"{concept.name} has no zones: it keeps no ledger of events")
    rows = event_rows(concept, bars, values)
    order = np.argsort(rows["id"], kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.diff(rows["id"], prepend=0))
    return [_zone(part) for part in np.split(rows, starts[1:])] if len(rows) else []


def _zone(rows: Records) -> Zone:
    first = rows[0]
    created = int(first["bar"])
    return Zone(
        id=int(first["id"]),
        side=int(first["side"]),
        top=float(first["top"]),
        bottom=float(first["bottom"]),
        anchor=created - int(first["origin"]),
        created=created,
        events=rows,
    )
