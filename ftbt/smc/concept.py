"""A concept: one compiled step over its state, and its outputs over whole series.

How to write one is told in `base.py`, whose lines are made of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import Bars, frozen
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError
from ftbt.ranges import Range, check_values, record_type
from ftbt.room import chained, copied
from ftbt.smc.aggregate import aggregate

Records = NDArray[np.void]
Step = Callable[..., None]
# What returns a concept's outputs (these fields, none: all) under its parameters on a timeframe.
Make = Callable[["Concept", Records, Timeframe | None, tuple[str, ...]], Any]

NAN = float("nan")
_STATES = 64  # fresh states that a concept keeps to copy from


@lru_cache(maxsize=1024)
def output_type(names: tuple[str, ...]) -> np.dtype[np.void]:
    """Return the record of a concept's outputs: one float64 per line."""
    return np.dtype([(name, "f8") for name in names])


class Inner(NamedTuple):
    """A concept whose outputs another one reads.

    Attributes:
        concept: the one that is read; it has the reader's parameters of the same name, or its
            defaults.
        timeframe: the reader's parameter that names a higher timeframe for it, "" for the bars'
            own. While there is no such timeframe - it is "", not longer than the bars or no
            multiple of them - all its outputs are NaN. `run` is given two arrays for it: the
            outputs at the higher bars, the first one NaN, and the place in them of what is known
            at each bar. It can have no events then.
        fields: what the reader reads of it, none: anything.
        hands_on: the reader has its fields among its own, under the same names: `run` is given
            those alone that somebody asked for.
    """

    concept: Concept
    timeframe: str = ""
    fields: tuple[str, ...] = ()
    hands_on: bool = False

    def wanted(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Return which fields are needed for those *asked* of the reader, none: all."""
        if not (self.hands_on and asked):
            return self.fields
        # Records without any field are no records.
        known = self.concept.lines
        return tuple(name for name in known if name in asked) or known[:1]


@dataclass(frozen=True, eq=False)
class Concept:
    """One Smart-Money concept as compiled functions and record types.

    Attributes:
        name: unique, lower case.
        fields: line name -> one sentence on its meaning and unit.
        events: the lines that are non-zero only at the bar where something happens. On a higher
            timeframe they show at the completing base bar only; all others are held.
        state: record type of the memory.
        init, step, run: see the module docstring.
        narrows: `run` takes one more argument before the last, an empty array of all outputs, and
            sets those fields alone that its outputs have (see `rows.py`).
        core: the outputs that others of these concepts read: whoever reads some of them finds
            them where they were made together.
        inner: the concepts whose outputs `run` is given, in this order.
        defaults: parameter -> default.
        ranges: parameter -> range.
        prepare: what compiled code can't do before the first bar, such as writing a time zone's
            transitions into the state. Called as `prepare(state, parameters)`, both arrays of one
            record, after `init`.
    """

    name: str
    fields: Mapping[str, str]
    events: tuple[str, ...]
    state: np.dtype[np.void]
    init: Step
    step: Step
    run: Step
    defaults: Mapping[str, Any]
    ranges: Mapping[str, Range]
    inner: tuple[Inner, ...] = ()
    prepare: Callable[[Records, Records], None] | None = None
    narrows: bool = False
    core: tuple[str, ...] = ()
    out: np.dtype[np.void] = field(init=False)
    parameters: np.dtype[np.void] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", output_type(self.lines))
        # A first field of its own: without it numba takes a concept's record for a subtype of the
        # record of a concept embedded in it, by an experimental feature that warns on use.
        fields = [(f"of_{self.name}", "i8"), *record_type(self.ranges).descr]
        object.__setattr__(self, "parameters", np.dtype(fields, align=True))
        check_values(self.name, self.ranges, self.defaults)

    @cached_property
    def usual(self) -> Records:
        """The defaults as `pack` returns them, to copy from."""
        return self.pack({})

    @cached_property
    def depth(self) -> int:
        """How many concepts lie below it, each inside the next."""
        return 1 + max((one.concept.depth for one in self.inner), default=-1)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Names of the output lines."""
        return tuple(self.fields)

    @property
    def params(self) -> tuple[tuple[str, Any], ...]:
        """Backtrader params: the defaults and `timeframe` ("" is the data's own)."""
        return (*self.defaults.items(), ("timeframe", ""))

    def pack(self, values: Mapping[str, Any]) -> Records:
        """Return checked parameters as one record; missing ones take their default."""
        checked = check_values(self.name, self.ranges, {**self.defaults, **values})
        record = np.zeros(1, self.parameters)
        for name, value in checked.items():
            record[name] = self.ranges[name].pack(value)
        return record

    def fresh(self, parameters: Records, base_ms: int = 0) -> Records:
        """Return a state before the first bar of *base_ms* milliseconds, as an array of one record.

        The length of the bars matters to concepts that build higher bars themselves: those have a
        field `base_ms` in their state. 0: not known.
        """
        key = (parameters.tobytes(), base_ms)
        state = self._fresh.get(key)
        if state is None:
            if len(self._fresh) >= _STATES:
                self._fresh.clear()
            state = self._fresh[key] = self._make_fresh(parameters, base_ms)
        return copied(state)

    @cached_property
    def _fresh(self) -> dict[tuple[bytes, int], Records]:
        """Fresh states: a search begins with the same ones all the time."""
        return {}

    def _make_fresh(self, parameters: Records, base_ms: int) -> Records:
        state = np.zeros(1, self.state)
        self.init(state[0], parameters[0])
        if self.prepare is not None:
            self.prepare(state, parameters)
        if "base_ms" in (self.state.names or ()):
            state["base_ms"] = base_ms
        return state

    def compute(self, bars: Bars, values: Mapping[str, Any] | None = None) -> Records:
        """Return the outputs at every bar of *bars*, shape (n,), on the bars' own timeframe.

        The length of a bar is the shortest distance between two.
        """
        base_ms = int(np.diff(bars["time"]).min()) if len(bars) > 1 else 0
        return self.run_over(bars, self.pack(values or {}), base_ms)

    def inner_outputs(
        self,
        bars: Bars,
        parameters: Records,
        base_ms: int,
        make: Make,
        fields: tuple[str, ...] = (),
    ) -> list[Any]:
        """Return what `run` is given of the inner concepts, each of shape (n,).

        One with records beside its lines (`taken.py`) gives these as a further array, one on a
        higher timeframe as `Inner` tells.

        Args:
            bars: BAR array, shape (n,).
            parameters: of this concept, from `pack`.
            base_ms: length of a bar, 0: not known.
            make: returns the outputs of a concept.
            fields: the outputs that are wanted of this concept, none: all of them.
        """
        found = []
        for one, (given, timeframe) in zip(self.inner, self._told(parameters), strict=True):
            frame = longer(timeframe, base_ms)
            if one.timeframe and frame is None:
                found += [unknown(one.concept, one.fields), np.zeros(len(bars), np.int64)]
            else:
                made = make(one.concept, given, frame, one.wanted(fields))
                found += made if isinstance(made, tuple) else (made,)
        return found

    def _told(self, parameters: Records) -> list[tuple[Records, str]]:
        """Return parameters and timeframe ("": the own) of each inner concept."""
        key = parameters.tobytes()
        told = self._told_last.get(key)
        if told is None:
            self._told_last.clear()
            told = self._told_last[key] = [self._tell(one, parameters) for one in self.inner]
        return told

    @cached_property
    def _told_last(self) -> dict[bytes, list[tuple[Records, str]]]:
        """What was said last: a search asks again and again."""
        return {}

    def _tell(self, one: Inner, parameters: Records) -> tuple[Records, str]:
        given = one.concept.usual.copy()
        for name in one.concept.ranges.keys() & self.ranges.keys():
            given[name] = parameters[name]
        given.flags.writeable = False
        if not one.timeframe:
            return given, ""
        words: Any = self.ranges[one.timeframe]
        return given, words.words[int(parameters[one.timeframe][0])]

    def run_over(
        self,
        bars: Bars,
        parameters: Records,
        base_ms: int,
        inner: Sequence[Records] | None = None,
        fields: tuple[str, ...] = (),
    ) -> Records:
        """Return the outputs at every bar of *base_ms* milliseconds.

        Args:
            bars: BAR array, shape (n,).
            parameters: from `pack`.
            base_ms: length of a bar.
            inner: outputs of the inner concepts at these bars, where they are known already.
            fields: the outputs that are wanted, none: all of them.
        """
        if inner is None:
            inner = self._inner(bars, parameters, base_ms, fields)
        # An array, not its record: numba takes a record apart field by field to hand it over.
        state = self.fresh(parameters, base_ms)
        given = (state, frozen(bars), *map(frozen, inner), parameters[0])
        if self.narrows:
            out = np.empty(len(bars), self.row_of(fields))
            self.run(*given, self._wide, out)
            return out
        # Zeros: a field that a step forgets is not left to chance.
        out = np.zeros(len(bars), self.out)
        self.run(*given, out)
        return picked(out, fields)

    @cached_property
    def _wide(self) -> Records:
        """What tells `run` the type of all outputs."""
        return frozen(np.zeros(0, self.out))

    def row_of(self, fields: tuple[str, ...]) -> np.dtype[np.void]:
        """Return the record of the named outputs, none: of all."""
        return output_type(fields) if fields else self.out

    def _inner(
        self, bars: Bars, parameters: Records, base_ms: int, fields: tuple[str, ...] = ()
    ) -> list[Records]:
        """Return what `run` is given of the inner concepts, computed here."""

        def make(
            concept: Concept, given: Records, frame: Timeframe | None, wanted: tuple[str, ...]
        ) -> Any:
            if frame is None:
                return concept.run_over(bars, given, base_ms, fields=wanted)
            high_bars, place = aggregate(bars, base_ms, frame.ms, frame.origin_ms)
            high_out = concept.run_over(high_bars, given, frame.ms, fields=wanted)
            return after_unknown(concept, high_out), place

        return self.inner_outputs(bars, parameters, base_ms, make, fields)


def unknown(concept: Concept, fields: tuple[str, ...] = ()) -> Records:
    """Return one record of the named outputs (none: of all) of which nothing is known."""
    kind = concept.row_of(fields)
    return np.full(len(kind.names or ()), np.nan).view(kind)


def after_unknown(concept: Concept, high_out: Records) -> Records:
    """Return outputs at higher bars behind one of which nothing is known, shape (m + 1,)."""
    nothing = unknown(concept, high_out.dtype.names or ())
    return chained([nothing, high_out])


def event_rows(concept: Concept, bars: Bars, values: Mapping[str, Any] | None = None) -> Records:
    """Return the ledger of *concept*: everything that ever happened to its zones, in order.

    The state of a concept with a ledger carries the records `events` (at least `kind`, `id`,
    `origin`, `top`, `bottom`) and their number `n_events` for the current bar. Nothing is erased.

    Returns:
        Records of the concept's event type with `bar` (index at whose close it became known)
        put in front, shape (number of events,).
    """
    parameters = concept.pack(values or {})
    state = concept.fresh(parameters)
    out = np.zeros(1, concept.out)
    kind = concept.state["events"].base
    rows: list[tuple[Any, ...]] = []
    for i in range(len(bars)):
        concept.step(state[0], bars[i], parameters[0], out[0])
        rows.extend((i, *event) for event in state[0]["events"][: state[0]["n_events"]].tolist())
    names = kind.names or ()
    return np.array(rows, np.dtype([("bar", "i8"), *((name, kind[name]) for name in names)]))


def higher(timeframe: str, base_ms: int) -> Timeframe | None:
    """Return the higher timeframe of a line, None when it is the data's own.

    Raises:
        InputError: when it is finer than the data or no multiple of it.
    """
    if not timeframe:
        return None
    frame = Timeframe.parse(timeframe)
    if frame.ms == base_ms:
        return None
    if frame.ms < base_ms or frame.ms % base_ms:
        raise InputError(
            f"timeframe={timeframe!r} can't be built from bars of {base_ms // 60_000} minutes:"
            " it must be a multiple of them"
        )
    return frame


@lru_cache(maxsize=1024)
def longer(timeframe: str, base_ms: int) -> Timeframe | None:
    """Return the timeframe that bars of *base_ms* make up, None when they make up none."""
    if not timeframe or base_ms <= 0:
        return None
    frame = Timeframe.parse(timeframe)
    return frame if frame.ms > base_ms and frame.ms % base_ms == 0 else None


def compute_line(
    concept: Concept, bars: Bars, base_ms: int, values: Mapping[str, Any], timeframe: str = ""
) -> Records:
    """Return the outputs of *concept* at every base bar, on *timeframe* (completed bars only).

    Args:
        concept: what to compute.
        bars: BAR array, shape (n,).
        base_ms: length of a base bar.
        values: parameters that differ from the defaults.
        timeframe: "" for the bars' own, else for example `4h`.
    """
    return run_line(concept, bars, base_ms, concept.pack(values), higher(timeframe, base_ms))


def run_line(
    concept: Concept,
    bars: Bars,
    base_ms: int,
    parameters: Records,
    frame: Timeframe | None,
    fields: tuple[str, ...] = (),
) -> Records:
    """Return what `compute_line` returns, with *parameters* from `concept.pack`.

    All outputs, or the named *fields* alone.
    """
    if frame is None:
        return concept.run_over(bars, parameters, base_ms, fields=fields)
    high_bars, place = aggregate(bars, base_ms, frame.ms, frame.origin_ms)
    high_out = concept.run_over(high_bars, parameters, frame.ms, fields=fields)
    return held(concept, high_out, place)


def picked(out: Records, fields: Sequence[str]) -> Records:
    """Return the named *fields* of outputs side by side, shape (n,); all of them for no names."""
    if not fields:
        return out
    made = np.empty(len(out), output_type(tuple(fields)))
    for name in fields:
        made[name] = out[name]
    return made


def held(concept: Concept, high_out: Records, place: NDArray[np.int64]) -> Records:
    """Return at every base bar what is known of a higher timeframe, shape (n,).

    Args:
        concept: whose outputs they are.
        high_out: outputs at the higher bars: all of them or some of its fields.
        place: how many higher bars are known at each base bar's close, shape (n,).
    """
    names = high_out.dtype.names or ()
    # As a plain matrix: numpy copies records field by field.
    known: Any = after_unknown(concept, high_out).view(np.float64).reshape(-1, len(names))
    out = known.take(place, axis=0) if len(names) > 1 else known.ravel().take(place).reshape(-1, 1)
    events = [k for k, name in enumerate(names) if name in concept.events]
    closes = np.flatnonzero(np.diff(place, prepend=0)) if events else place
    for k in events:
        out[:, k] = 0.0
        out[closes, k] = known[place[closes], k]
    return np.asarray(out.reshape(-1).view(high_out.dtype))
