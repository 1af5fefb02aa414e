"""Where each window's training and test lie: pure index arithmetic on a clock of even bars.

Index 0 is the first bar of the data; index i opens i bar lengths later, whether that bar is there
or not (holes are the business of `ftbt.walkforward.pieces`). Spans are half-open.

    rolling     warm-up |--- train ---| purge |- test -|
                             step >>  |--- train ---| purge |- test -|
    anchored    warm-up |--- train ---| purge |- test -|
                        |------- train --------| purge |- test -|

* The warm-up bars at the front belong to no window: lines form on them. Every later window finds
  its warm-up in the bars before it.
* The purge is a gap between the end of a training and its test: what was decided in training may
  reach that far (a trade that is open, a label of that length). The training keeps its length.
* The embargo leaves bars out of LATER trainings: those right after each earlier test. A walk
  forward never trains on bars after its own test, so nothing leaks without an embargo; it thins
  out bars whose prices still carry what the last choice was tested on. It matters where a training
  reaches back over an earlier test: always when anchored, and whenever train > step.

Sources: Pardo, The Evaluation and Optimization of Trading Strategies (2008), ch. 11; purging and
embargo after Lopez de Prado, Advances in Financial Machine Learning (2018), 7.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ftbt.config import WalkForwardPart
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Bars *first* .. *stop* - 1."""

    first: int
    stop: int

    def __len__(self) -> int:
        return max(0, self.stop - self.first)


@dataclass(frozen=True, slots=True)
class Window:
    """One training and the test that follows it.

    Attributes:
        number: from 0.
        train: stretches of the training, in order; more than one only with an embargo.
        test: the out-of-sample bars.
    """

    number: int
    train: tuple[Span, ...]
    test: Span

    @property
    def train_span(self) -> Span:
        """From the first to the last bar of the training; empty when an embargo took it all."""
        if not self.train:
            return Span(self.test.first, self.test.first)
        return Span(self.train[0].first, self.train[-1].stop)

    @property
    def train_bars(self) -> int:
        """How many bars the training has."""
        return sum(map(len, self.train))


@dataclass(frozen=True, slots=True)
class Plan:
    """Lengths in bars; see the module.

    Attributes:
        train, test, step, purge, embargo, anchored, short_last: as in `WalkForwardPart`.
        warmup: bars before the first training.
    """

    train: int
    test: int
    step: int
    purge: int = 0
    embargo: int = 0
    anchored: bool = False
    short_last: bool = False
    warmup: int = 0

    def __post_init__(self) -> None:
        for name in ("train", "test", "step"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least one bar, not {getattr(self, name)}")
        if self.step < self.test:
            raise ConfigError(
                f"step ({self.step} bars) must not be shorter than test ({self.test} bars): tests"
                " would overlap and the same out-of-sample bars be counted twice"
            )

    @property
    def first_test(self) -> int:
        """Where the first test starts."""
        return self.warmup + self.train + self.purge

    @property
    def needed(self) -> int:
        """Bars of data that the first window needs."""
        return self.first_test + (1 if self.short_last else self.test)


def plan_of(part: WalkForwardPart, timeframe: Timeframe, warmup: int) -> Plan:
    """Return the plan that an experiment asks for, in bars of *timeframe*.

    Raises:
        ConfigError: a length that is not a whole number of bars, or impossible.
    """

    def bars(name: str) -> int:
        length = getattr(part, name)
        return int(length.bars(timeframe.ms, name))

    return Plan(
        train=bars("train"),
        test=bars("test"),
        step=bars("test" if part.step is None else "step"),
        purge=bars("purge"),
        embargo=bars("embargo"),
        anchored=part.anchored,
        short_last=part.short_last,
        warmup=warmup,
    )


def lay_windows(bars: int, plan: Plan) -> list[Window]:
    """Return the windows that fit into *bars* bars, in order of time; none when nothing fits.

    Example:
        >>> [(w.train[0], w.test) for w in lay_windows(6, Plan(train=2, test=1, step=1))][0]
        (Span(first=0, stop=2), Span(first=2, stop=3))
    """
    windows: list[Window] = []
    start = plan.first_test
    while start + (1 if plan.short_last else plan.test) <= bars:
        test = Span(start, min(start + plan.test, bars))
        train = _train_before(test, plan)
        embargoed = (Span(w.test.stop, w.test.stop + plan.embargo) for w in windows)
        windows.append(Window(len(windows), exclude(train, embargoed), test))
        start += plan.step
    return windows


def _train_before(test: Span, plan: Plan) -> Span:
    stop = test.first - plan.purge
    return Span(plan.warmup if plan.anchored else stop - plan.train, stop)


def exclude(span: Span, removed: Iterable[Span]) -> tuple[Span, ...]:
    """Return what is left of *span* without the *removed* spans, in order, nothing empty."""
    left = [span]
    for gap in removed:
        if not len(gap):
            continue
        cut = [
            part
            for one in left
            for part in (
                Span(one.first, min(one.stop, gap.first)),
                Span(max(one.first, gap.stop), one.stop),
            )
        ]
        left = [part for part in cut if len(part)]
    return tuple(sorted(left))


def guarded(test: Span, purge: int, embargo: int) -> Span:
    """Return *test* with what must not be trained on around it.

    Purge bars before it (their outcome reaches into the test), purge and embargo bars after it
    (the test's outcome reaches into them). For trainings that lie on both sides of a test, as in
    combinatorial cross-validation.
    """
    return Span(test.first - purge, test.stop + purge + embargo)


def require_windows(windows: list[Window], bars: int, plan: Plan, timeframe: Timeframe) -> None:
    """Pass when there is at least one window.

    Raises:
        DataError: what is needed and what is there.
    """
    if windows:
        return
    purge = f" + purge {show_bars(plan.purge, timeframe)}" if plan.purge else ""
    raise DataError(
        f"too little data for one window: needed are {show_bars(plan.needed, timeframe)}"
        f" (warm-up {show_bars(plan.warmup, timeframe)} + train"
        f" {show_bars(plan.train, timeframe)}{purge} + test {show_bars(plan.test, timeframe)}),"
        f" there are {show_bars(bars, timeframe)}: take more data or shorter windows"
        " (--train, --test)"
    )


def show_bars(bars: int, timeframe: Timeframe) -> str:
    """Return a number of bars for people, for example `2,880 bars (30 d)`."""
    return f"{bars:,} bars ({round(bars * timeframe.ms / DAY_MS, 1):g} d)"
