"""What all shared lines have in common: one compiled step, used bar by bar and in a loop.

A *concept* is a causal state machine: `state, one bar -> outputs`. Its Backtrader indicator calls
the step once in `next()` (live) and the same step in a compiled loop in `once()` (research).
The contract, tested for every line: `next == once == any prefix`, bit for bit.

To write a new concept (see `swings.py` for a short one):

1. A state record type and an output record type whose fields are all float64.
2. `@compiled def step(state, bar, p, out)`: reads the bar and parameters, updates the state,
   sets every field of `out`. `init(state, p)` prepares a zeroed state.
3. `@compiled def run(state, bars, p, out)`: the three-line loop over `step`.
4. A `Concept` that names them, and an `SmcLine` subclass with its lines and params.
5. Enter the line in `ALL_LINES` of `__init__.py`: the contract test then runs over it.

A concept that needs another one nests its state record and calls its step with its own `p`, whose
defaults and ranges include the inner ones (see `structure.py`, which embeds swings).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NoReturn

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from ftbt.data.candles import BAR, FIELDS, Bars, frozen
from ftbt.data.feed import base_milliseconds, from_bt_time, stamps_to_ms
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError
from ftbt.ranges import Choice, Range, check_values, record_type
from ftbt.smc.aggregate import AGGREGATE, aggregate, aggregate_step

Records = NDArray[np.void]
Step = Callable[..., None]

NAN = float("nan")


def output_type(fields: Mapping[str, str]) -> np.dtype[np.void]:
    """Return the record of a concept's outputs: one float64 per line."""
    return np.dtype([(name, "f8") for name in fields])


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
    prepare: Callable[[Records, Records], None] | None = None
    out: np.dtype[np.void] = field(init=False)
    parameters: np.dtype[np.void] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", output_type(self.fields))
        # A first field of its own: without it numba takes a concept's record for a subtype of the
        # record of a concept embedded in it, by an experimental feature that warns on use.
        fields = [(f"of_{self.name}", "i8"), *record_type(self.ranges).descr]
        object.__setattr__(self, "parameters", np.dtype(fields, align=True))
        check_values(self.name, self.ranges, self.defaults)

    @property
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

    def run_over(self, bars: Bars, parameters: Records, base_ms: int) -> Records:
        """Return the outputs at every bar of *base_ms* milliseconds; *parameters* from `pack`."""
        out = np.zeros(len(bars), self.out)
        self.run(self.fresh(parameters, base_ms)[0], frozen(bars), parameters[0], out)
        return out


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


class LineCache:
    """The outputs of lines over whole series, kept for the next strategy that asks.

    Keyed by concept, parameters, timeframe and the bars' fingerprint; the least recently used
    results go first once *limit_bytes* is reached.
    """

    def __init__(self, limit_bytes: int = 256 * 2**20) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Records] = OrderedDict()
        self._bytes = 0
        self.limit_bytes = limit_bytes

    def get(self, key: tuple[Any, ...], make: Callable[[], Records]) -> Records:
        """Return the result under *key*, made by *make* when absent."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = make()
        made.flags.writeable = False
        self._kept[key] = made
        self._bytes += made.nbytes
        while self._bytes > self.limit_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0


CACHE = LineCache()


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
    concept: Concept, bars: Bars, base_ms: int, parameters: Records, frame: Timeframe | None
) -> Records:
    """Return what `compute_line` returns, with *parameters* from `concept.pack`."""
    if frame is None:
        return concept.run_over(bars, parameters, base_ms)
    high_bars, last = aggregate(bars, base_ms, frame.ms, frame.origin_ms)
    high_out = concept.run_over(high_bars, parameters, frame.ms)
    # As a plain matrix: numpy copies records field by field, ten times slower.
    width = len(concept.lines)
    out = np.full((len(bars), width), np.nan)
    first = np.searchsorted(last, 0)
    out[first:] = high_out.view(np.float64).reshape(-1, width)[last[first:]]
    held = np.diff(last, prepend=-1) == 0
    for name in concept.events:
        out[held, concept.lines.index(name)] = 0.0
    return out.view(concept.out).reshape(-1)


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

    def _outputs_alone(cls, data: Any, given: dict[str, Any]) -> Any:
        line: Any = cls.__new__(cls)
        values = cls.params()
        for name, default in cls.params._getitems():  # noqa: SLF001 - no public name
            setattr(values, name, given.pop(name, default))
        line.p = line.params = values
        line.lines = line.l = line.plotinfo = line.plotlines = _ABSENT
        line.data, line.datas = data, [data]
        line._prepare(given)  # noqa: SLF001 - its own class
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
        self._prepare(unknown)

    def _prepare(self, unknown: Mapping[str, Any]) -> None:
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
        self.base_ms = base_milliseconds(self.data)
        self.frame = higher(self.p.timeframe, self.base_ms)
        self._bar = np.zeros(1, BAR)
        self._bars_taken = 0
        self.series: Records | None = None  # the outputs at every bar, once they are known

    @cached_property
    def stream(self) -> Stream:
        """What takes one bar after the other; research does without."""
        return Stream(self.concept, self._parameters, self.base_ms, self.frame)

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

    def outputs(self) -> Records:
        """Return the outputs at every preloaded bar, shape (n,), shared between strategies."""
        bars, fingerprint = all_bars(self.data)
        frame_ms = 0 if self.frame is None else self.frame.ms
        key = (self.concept.name, self._parameters.tobytes(), frame_ms, self.base_ms, fingerprint)

        def make() -> Records:
            return run_line(self.concept, bars, self.base_ms, self._parameters, self.frame)

        return CACHE.get(key, make) if fingerprint else make()


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
