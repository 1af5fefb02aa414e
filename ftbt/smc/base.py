"""What all shared lines have in common: one compiled step, used bar by bar and in a loop.

A *concept* is a causal state machine: `state, one bar -> outputs`. Its Backtrader indicator calls
the step once in `next()` (live) and the same step in a compiled loop in `once()` (research).
The contract, tested for every line: `next == once == any prefix`, bit for bit.

To write a new concept (see `swings.py` for a short one):

1. A state record type and an output record type whose fields are all float64.
2. `@compiled def step(state, bar, p, out)`: reads the bar and parameters, updates the state,
   sets every field of `out`. `init(state, p)` prepares a zeroed state.
3. `@compiled def run(states, bars, p, out)`: the loop over `step`, with `states[0]`. Or one that
   writes those outputs alone that somebody reads, see `rows.py` and `narrows`.
4. A `Concept` that names them, and an `SmcLine` subclass with its lines and params.
5. Enter the line in `ALL_LINES` of `__init__.py`: the contract test then runs over it.

A concept that needs another one nests its state record and its output record, and names it under
`inner`. Its step is then two calls: the inner step with its own `p`, whose defaults and ranges
include the inner ones, and a `follow(state, bar, inner outputs, p, out)` that reads of the inner
concept nothing but its outputs at this bar. `run(states, bars, inner outputs, p, out)` is the
loop over `follow`: in research the swings of five lines are found once (see `structure.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NoReturn

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import BAR, FIELDS, Bars, frozen
from ftbt.data.feed import base_milliseconds, from_bt_time, stamps_to_ms
from ftbt.data.timeframe import Timeframe
from ftbt.ranges import Choice, check_values
from ftbt.smc.aggregate import AGGREGATE, aggregate, aggregate_step
from ftbt.smc.concept import (
    NAN,
    Concept,
    Inner,
    Records,
    Step,
    after_unknown,
    compute_line,
    event_rows,
    held,
    higher,
    picked,
    run_line,
)

# What is written on top of this module needs both.
__all__ = [
    "CACHE",
    "NAN",
    "Concept",
    "Inner",
    "LineCache",
    "Records",
    "SmcLine",
    "Step",
    "Stream",
    "compute_line",
    "event_rows",
    "higher",
    "kept_line",
    "read_bar",
    "run_line",
]  # fmt: skip


class LineCache:
    """The outputs of lines over whole series, kept for the next strategy that asks.

    Keyed by concept, parameters, timeframe and the bars' fingerprint; the least recently used
    results go first once *limit_bytes* is reached.
    """

    def __init__(self, limit_bytes: int = 256 * 2**20) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._bytes = 0
        self.limit_bytes = limit_bytes

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return the array, or the tuple of arrays, under *key*, made by *make* when absent."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = make()
        for one in made if isinstance(made, tuple) else (made,):
            one.flags.writeable = False
        self._kept[key] = made
        self._bytes += _size(made)
        while self._bytes > self.limit_bytes and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        return made

    def known(self, key: tuple[Any, ...]) -> Any:
        """Return what is kept under *key*, None when nothing is."""
        return self._kept.get(key)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0


def _size(made: Any) -> int:
    return sum(one.nbytes for one in made) if isinstance(made, tuple) else int(made.nbytes)


CACHE = LineCache()


def kept_line(
    concept: Concept,
    bars: Bars,
    fingerprint: str,
    base_ms: int,
    parameters: Records,
    frame: Timeframe | None = None,
    fields: tuple[str, ...] = (),
) -> Records:
    """Return what `run_line` returns, read-only, from the cache where it is there.

    Args:
        concept: what to compute.
        bars: BAR array, shape (n,).
        fingerprint: of the candles, "" when they have none: then nothing is kept.
        base_ms: length of a base bar.
        parameters: from `concept.pack`.
        frame: the higher timeframe, None for the bars' own.
        fields: the outputs that are wanted, none: all of them. A search reads few of them, over
            and over; without the others between them they stay near the processor.
    """
    if not fingerprint:
        return frozen(run_line(concept, bars, base_ms, parameters, frame, fields))
    frame_ms = 0 if frame is None else frame.ms
    key = (concept.name, parameters.tobytes(), frame_ms, base_ms, fingerprint, fields)
    given = (concept, bars, fingerprint, base_ms, parameters)
    if frame is not None:
        found: Records = CACHE.get(key, lambda: _make_higher(*given, frame, fields))
    else:
        found = CACHE.get(key, lambda: _make_line(key, *given, fields))
    return found


def _make_line(
    key: tuple[Any, ...],
    concept: Concept,
    bars: Bars,
    fingerprint: str,
    base_ms: int,
    parameters: Records,
    fields: tuple[str, ...],
) -> Any:
    """Return the named outputs: out of more that are kept, or made now."""
    if fields:
        for more in (concept.core, ()):
            known: Records | None = CACHE.known((*key[:-1], more))
            if known is not None and set(fields) <= set(more or fields):
                return picked(known, fields)
    return concept.run_over(
        bars,
        parameters,
        base_ms,
        _inner(concept, bars, fingerprint, base_ms, parameters, fields),
        fields,
    )


def _inner(
    concept: Concept,
    bars: Bars,
    fingerprint: str,
    base_ms: int,
    parameters: Records,
    fields: tuple[str, ...],
) -> list[Any]:
    """Return what `concept.run` is given of other concepts, kept for the next that asks."""

    def make(
        one: Concept, given: Records, at: Timeframe | None, wanted: tuple[str, ...]
    ) -> tuple[Records, NDArray[np.int64]] | Records:
        if at is None:
            return kept_line(one, bars, fingerprint, base_ms, given, None, wanted)
        above, high_bars, place = _higher_bars(bars, fingerprint, base_ms, at)
        key = ("behind", one.name, given.tobytes(), above, wanted)

        def behind() -> Records:
            return after_unknown(one, kept_line(one, high_bars, above, at.ms, given, fields=wanted))

        return CACHE.get(key, behind), place

    return concept.inner_outputs(bars, parameters, base_ms, make, fields)


def _higher_bars(
    bars: Bars, fingerprint: str, base_ms: int, frame: Timeframe
) -> tuple[str, Bars, NDArray[np.int64]]:
    """Return fingerprint and bars of a higher timeframe, and how many are known at each bar."""
    # The higher bars are candles like any other: whatever else looks at them is kept with them.
    above = f"{fingerprint}|{base_ms}|{frame.ms}"

    def make() -> tuple[Records, NDArray[np.int64]]:
        return aggregate(bars, base_ms, frame.ms, frame.origin_ms)

    high_bars, place = CACHE.get(("bars", above), make)
    return above, high_bars, place


def _make_higher(
    concept: Concept,
    bars: Bars,
    fingerprint: str,
    base_ms: int,
    parameters: Records,
    frame: Timeframe,
    fields: tuple[str, ...],
) -> Records:
    above, high_bars, place = _higher_bars(bars, fingerprint, base_ms, frame)
    high_out = kept_line(concept, high_bars, above, frame.ms, parameters, fields=fields)
    return held(concept, high_out, place)


class Stream:
    """One line fed bar by bar: what `next()` does, without Backtrader.

    Args:
        concept: what to compute.
        parameters: from `concept.pack`.
        base_ms: length of the bars that will come.
        frame: the higher timeframe, None for the bars' own.
    """

    def __init__(
        self, concept: Concept, parameters: Records, base_ms: int, frame: Timeframe | None = None
    ) -> None:
        self.concept = concept
        self.base_ms = base_ms
        self.frame = frame
        self._parameters = parameters
        self._state = concept.fresh(parameters, base_ms if frame is None else frame.ms)
        self._aggregate = np.zeros(1, AGGREGATE)
        self._out = np.full(1, np.nan, concept.out)
        self._no_events()

    def _no_events(self) -> None:
        for name in self.concept.events:
            self._out[name] = 0.0

    @property
    def out(self) -> Any:
        """The outputs at the last bar, a record that the next bar overwrites."""
        return self._out[0]

    @property
    def memory(self) -> tuple[Records, Records, Records]:
        """Everything that is remembered between bars, as copies; set it to go on from there."""
        return self._state.copy(), self._aggregate.copy(), self._out.copy()

    @memory.setter
    def memory(self, saved: tuple[Records, Records, Records]) -> None:
        self._state[:], self._aggregate[:], self._out[:] = saved

    def take(self, bar: Bars) -> None:
        """Take the bar that has just closed, shape (1,)."""
        if self.frame is None:
            self.concept.step(self._state[0], bar[0], self._parameters[0], self._out[0])
        elif aggregate_step(
            self._aggregate[0], bar[0], self.base_ms, self.frame.ms, self.frame.origin_ms
        ):
            done = self._aggregate[0]["done"]
            self.concept.step(self._state[0], done, self._parameters[0], self._out[0])
        else:
            self._no_events()


class NeedsBacktraderError(AttributeError):
    """A line that was made for its outputs alone is asked for what only Backtrader's have."""


class _Absent:
    """Stands where a line made for its outputs alone has none of Backtrader's machinery."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NeedsBacktraderError(name)

    def __getitem__(self, index: Any) -> NoReturn:
        raise NeedsBacktraderError(str(index))

    def __len__(self) -> NoReturn:
        raise NeedsBacktraderError("len")


class _LineType(type(bt.Indicator)):  # type: ignore[misc]  # Backtrader's metaclass has no name
    """Makes a line without Backtrader's machinery when its feed promises that nobody needs it.

    Backtrader builds some hundred objects for a line: buffers, aliases, things to plot. A search
    makes thousands of lines and reads nothing but their outputs.
    """

    def __call__(cls, *datas: Any, **given: Any) -> Any:
        plain = cls.__init__ is SmcLine.__init__ and len(datas) == 1  # type: ignore[misc]
        if plain and getattr(datas[0], "outputs_alone", False):
            return cls._outputs_alone(datas[0], given)
        return super().__call__(*datas, **given)

    def _outputs_alone(cls, data: Any, given: Mapping[str, Any]) -> Any:
        known = tuple((name, type(value), value) for name, value in given.items())
        base_ms = base_milliseconds(data)
        try:
            pattern = _pattern(cls, known, base_ms)
        except TypeError:  # as in `_prepare`
            pattern = _pattern.__wrapped__(cls, known, base_ms)
        line: Any = twin(pattern)
        line.p = line.params = twin(pattern.p)
        line.data, line.datas = data, [data]
        return line


def twin(made: Any) -> Any:
    """Return another object with the same attributes; `copy` takes ten times as long."""
    other = object.__new__(type(made))
    other.__dict__.update(made.__dict__)
    return other


@lru_cache(maxsize=4096)
def _pattern(cls: Any, known: tuple[tuple[str, type, Any], ...], base_ms: int) -> Any:
    """Return a line without data, for its outputs alone, from which those on data are copied."""
    given = {name: value for name, _, value in known}
    line = cls.__new__(cls)
    values = cls.params()
    for name, default in cls.params._getitems():  # noqa: SLF001 - no public name
        setattr(values, name, given.pop(name, default))
    line.p = line.params = values
    line.lines = line.l = line.plotinfo = line.plotlines = _ABSENT
    line._prepare(given, base_ms)  # noqa: SLF001 - its own class
    return line


_ABSENT = _Absent()


@lru_cache(maxsize=4096)
def _checked(
    name: str, concept: Concept, given: tuple[tuple[str, type, Any], ...]
) -> tuple[dict[str, Any], Records]:
    """Return checked parameters and their record; a search asks for the same ones all the time.

    The types of the values are part of *given*: True is not 1.
    """
    values = check_values(name, concept.ranges, {key: value for key, _, value in given})
    record = concept.pack(values)
    record.flags.writeable = False
    return values, record


class SmcLine(bt.Indicator, metaclass=_LineType):
    """Base of all shared lines. Subclasses set `concept`, `lines` and `params`, nothing else."""

    concept: ClassVar[Concept]

    def __init__(self, *datas: Any, **unknown: Any) -> None:
        # Backtrader has taken the feeds and the declared params out of the call by now.
        super().__init__(*datas)
        self._prepare(unknown, base_milliseconds(self.data))

    def _prepare(self, unknown: Mapping[str, Any], base_ms: int) -> None:
        """Check the parameters; everything that bars are needed for comes later."""
        name, concept = type(self).__name__, self.concept
        if unknown:
            check_values(name, {**concept.ranges, "timeframe": Choice()}, unknown)
        values = ((key, getattr(self.p, key)) for key in concept.defaults)
        given = tuple((key, type(value), value) for key, value in values)
        try:
            checked = _checked(name, concept, given)
        except TypeError:  # a value that can't be hashed is no parameter; this tells what would be
            checked = _checked.__wrapped__(name, concept, given)
        self.values, self._parameters = checked
        self.base_ms = base_ms
        self.frame = higher(self.p.timeframe, base_ms)
        self._bars_taken = 0
        self.series: Records | None = None  # the outputs at every bar, once they are known

    @cached_property
    def stream(self) -> Stream:
        """What takes one bar after the other; research does without."""
        return Stream(self.concept, self._parameters, self.base_ms, self.frame)

    @cached_property
    def _bar(self) -> Bars:
        """Room for the current bar."""
        return np.zeros(1, BAR)

    @property
    def row(self) -> Any:
        """The outputs at the current bar, as the record that setup rules receive."""
        return self.stream.out if self.series is None else self.series[len(self) - 1]

    def next(self) -> None:
        """Take the bar that has just closed."""
        if len(self.data) == self._bars_taken:
            return  # called again for the same bar: only another feed of the strategy moved on
        self._bars_taken = len(self.data)
        read_bar(self.data, self._bar)
        self.stream.take(self._bar)
        for line, value in zip(self.lines.lines, self.stream.out.tolist(), strict=True):
            line[0] = value

    def oncestart(self, start: int, end: int) -> None:
        """Do nothing: `once` covers the first bar too."""

    def once(self, start: int, end: int) -> None:
        """Fill all lines at once by the compiled loop."""
        del start, end
        self.series = self.outputs()
        for line, name in zip(self.lines, self.concept.lines, strict=True):
            np.frombuffer(line.array)[:] = self.series[name]

    def outputs(self, fields: tuple[str, ...] = ()) -> Records:
        """Return the outputs at every preloaded bar, shape (n,), shared between strategies.

        All of them, or the named *fields* alone.
        """
        bars, fingerprint = all_bars(self.data)
        given = (self.base_ms, self._parameters, self.frame)
        return kept_line(self.concept, bars, fingerprint, *given, fields)


def read_bar(data: Any, bar: Bars) -> None:
    """Copy the current bar of a Backtrader feed into *bar*, shape (1,)."""
    values = (data.open[0], data.high[0], data.low[0], data.close[0], data.volume[0])
    bar[0] = (from_bt_time(data.datetime[0]), *values)


def all_bars(data: Any) -> tuple[Bars, str]:
    """Return all preloaded bars of a feed and their fingerprint ("" for a foreign feed)."""
    candles = getattr(data, "candles", None)
    if candles is not None:
        return candles.bars, candles.fingerprint
    bars = np.zeros(data.buflen(), BAR)
    bars["time"] = stamps_to_ms(np.frombuffer(data.lines.datetime.array))
    for name in FIELDS:
        bars[name] = np.frombuffer(getattr(data.lines, name).array)
    return bars, ""
