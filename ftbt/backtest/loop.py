"""The bar loop of research runs: Backtrader's own, without what strategies of one data need not.

Backtrader's loop asks at every bar which feed comes next, moves each line through three layers of
calls, and collects notifications that mostly do not exist; that is two thirds of the time of a
plain run. Here the same user code is called in the same order, with the same lines, lengths and
statuses. Whatever is not covered - observers, writers - takes Backtrader's loop.

Strategies that are nothing but lines, parameters and a rule have said in advance at which bars they
have anything to say: between these, while nobody has an order or a position, bars are passed over.
"""

# ruff: noqa: SLF001 - a loop of Backtrader's moves what Backtrader keeps to itself

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NoReturn

import backtrader as bt

from ftbt.errors import StrategyBroken

_NAN = float("nan")
_TOLD_EACH_BAR = ("_notify", "notify_cashvalue", "notify_fund")
_FEEDING = ("adddata", "resampledata", "replaydata", "chaindata", "rolloverdata")

Step = Callable[[int], None]


class BarLoop(bt.Cerebro):
    """A Cerebro with a quick research loop, for the project's broker and gated strategies."""

    def runstrategies(self, *given: Any, **keywords: Any) -> Any:
        """Make the strategies and run them; from now on there are no more feeds."""
        for name in _FEEDING:
            setattr(self, name, partial(_refuse_feeding, name))
        return super().runstrategies(*given, **keywords)

    def _runonce(self, runstrats: list[Any]) -> None:
        if all(map(self._is_simple, runstrats)):
            self._run_simple(runstrats)
        else:
            super()._runonce(runstrats)

    def _is_simple(self, strategy: Any) -> bool:
        observers = strategy._lineiterators[bt.LineIterator.ObsType]
        usual = type(strategy).ftbt_quick
        return usual and not (observers or self.runwriters or self.p.cheat_on_open)

    def _run_simple(self, strategies: list[Any]) -> None:
        for strategy in strategies:
            strategy._once()
            strategy.reset()  # it is moved bar by bar from here on
        broker, timers = self._broker, self._timers
        told = broker.notifications
        loud = None if timers else self._loud(strategies)
        for first, stop, feeds, steps in self._spans(strategies):
            moved = [(_buffers(data), start) for data, start in feeds]
            data, start = feeds[0]
            stamps = data.lines.datetime.array
            i = first - 1
            while (i := i + 1) < stop:
                if loud is not None and not told and broker.is_idle:
                    ahead = min(loud[bisect_left(loud, i)], broker.due, stop - 1)
                    if ahead > i:
                        broker.pass_over(ahead - i)
                        i = ahead
                for lines, begin in moved:
                    row, count = i - begin, i - begin + 1
                    for line in lines:
                        line._idx, line.lencount = row, count
                broker.next()
                while told:
                    order = told.popleft()
                    order.owner._addnotification(order)
                if timers:
                    self._check_timers(strategies, stamps[i - start])
                for step in steps:
                    step(i)
                    if self._event_stop:
                        return

    def _loud(self, strategies: list[Any]) -> list[int] | None:
        """Return the numbers on the clock of all bars at which a strategy may have to decide.

        None when that is not known of one of them.
        """
        bars: set[int] = set()
        for one in strategies:
            own = getattr(one, "ftbt_loud", None)
            if own is None or one.analyzers:
                return None
            bars.update((own + self._broker.books[one.data].start).tolist())
        return [*sorted(bars), sys.maxsize]

    def _spans(
        self, strategies: list[Any]
    ) -> Iterator[tuple[int, int, list[tuple[Any, int]], list[Step]]]:
        """Yield parts of the run's clock on which the same feeds have bars.

        These are their first bar and the one after their last, the feeds with the number on the
        clock of their own first bar, and what moves the strategies on them.
        """
        start = {data: self._broker.books[data].start for data in self.datas}
        stop = {data: start[data] + data.buflen() for data in self.datas}
        steps = [(one.data, _step_of(one, start[one.data])) for one in strategies]
        bounds = sorted({*start.values(), *stop.values()})
        for low, high in pairwise(bounds):
            feeds = [(data, at) for data, at in start.items() if at <= low < stop[data]]
            on = {data for data, _ in feeds}
            yield low, high, feeds, [step for data, step in steps if data in on]


def _step_of(strategy: Any, start: int) -> Step:
    """Return what moves *strategy* to a bar; its data's first bar has number *start*."""
    data = strategy.data
    stamps = data.lines.datetime.array
    indicators = strategy._lineiterators[bt.LineIterator.IndType]
    moved = [line for one in indicators for line in _buffers(one)]
    stamp_line = strategy.lines.datetime
    own = [line for line in _buffers(strategy) if line is not stamp_line]
    cls = type(strategy)
    chatty = bool(strategy.analyzers) or any(
        getattr(cls, name) is not getattr(bt.Strategy, name) for name in _TOLD_EACH_BAR
    )
    period = strategy._minperiods[0]
    written = stamp_line.array
    # Of one that is nothing but lines, parameters and a rule, nobody sees the bars at which it has
    # nothing to decide.
    unseen = not chatty and getattr(strategy, "ftbt_loud", None) is not None

    def step(i: int) -> None:
        row = i - start
        count = row + 1
        told = strategy._orderspending or strategy._tradespending
        if unseen and not told and strategy.ftbt_rests(count):
            return
        if len(written) < row:  # bars were passed over
            passed = row - len(written)
            for line in own:
                line.array.extend([_NAN] * passed)
            written.extend(stamps[row - passed : row])
        for line in moved:
            line._idx, line.lencount = row, count
        for line in own:
            line._idx, line.lencount = row, count
            line.array.append(_NAN)
        stamp_line._idx, stamp_line.lencount = row, count
        written.append(stamps[row])
        if told or chatty:
            strategy._notify()
        strategy._minperstatus = status = period - count
        if status < 0:
            strategy.next()
        elif status == 0:
            strategy.nextstart()
        else:
            strategy.prenext()
        if chatty:
            strategy._next_analyzers(status, once=True)
        if told:
            strategy.clear()

    return step


def _refuse_feeding(name: str, *_: Any, **__: Any) -> NoReturn:
    raise StrategyBroken(
        f"cerebro.{name}() is not supported in a strategy: its feed is given by the run; for a"
        ' longer timeframe use a line, for example smc.Structure(self.data, timeframe="4h")'
    )


def _buffers(item: Any) -> list[Any]:
    """Return the line buffers of a feed, an indicator, a strategy or a single line."""
    return list(getattr(item.lines, "lines", item.lines))
