"""The bar loop of research runs: Backtrader's own, without what one feed and one strategy need not.

Backtrader's loop asks at every bar which feed comes next, moves each line through three layers of
calls, and collects notifications that mostly do not exist; that is two thirds of the time of a
plain run. Here the same user code is called in the same order, with the same lines, lengths and
statuses. Whatever is not covered - several feeds, observers, writers - takes Backtrader's loop.
"""

# ruff: noqa: SLF001 - a loop of Backtrader's moves what Backtrader keeps to itself

from __future__ import annotations

from typing import Any

import backtrader as bt

_NAN = float("nan")
_TOLD_EACH_BAR = ("_notify", "notify_cashvalue", "notify_fund")


class BarLoop(bt.Cerebro):
    """A Cerebro with a quick research loop."""

    def _runonce(self, runstrats: list[Any]) -> None:
        if len(runstrats) == len(self.datas) == 1 and self._is_simple(runstrats[0]):
            self._run_simple(runstrats[0], self.datas[0])
        else:
            super()._runonce(runstrats)

    def _is_simple(self, strategy: Any) -> bool:
        observers = strategy._lineiterators[bt.LineIterator.ObsType]
        usual = type(strategy)._oncepost is bt.Strategy._oncepost
        return usual and not (observers or self.runwriters or self.p.cheat_on_open)

    def _run_simple(self, strategy: Any, data: Any) -> None:
        strategy._once()
        strategy.reset()  # it is moved bar by bar from here on
        moved_first = _buffers(data)
        indicators = strategy._lineiterators[bt.LineIterator.IndType]
        moved = [line for one in indicators for line in _buffers(one)]
        own, stamp_line = _buffers(strategy), strategy.lines.datetime
        cls = type(strategy)
        chatty = bool(strategy.analyzers) or any(
            getattr(cls, name) is not getattr(bt.Strategy, name) for name in _TOLD_EACH_BAR
        )
        period = strategy._minperiods[0]
        broker, timers = self._broker, self._timers
        for i, stamp in enumerate(data.lines.datetime.array[: data.buflen()]):
            count = i + 1
            for line in moved_first:
                line._idx, line.lencount = i, count
            broker.next()
            while (order := broker.get_notification()) is not None:
                order.owner._addnotification(order)
            if timers:
                self._check_timers([strategy], stamp)
            for line in moved:
                line._idx, line.lencount = i, count
            for line in own:
                line._idx, line.lencount = i, count
                line.array.append(_NAN)
            stamp_line[0] = stamp
            told = bool(strategy._orderspending or strategy._tradespending)
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
            if self._event_stop:
                return


def _buffers(item: Any) -> list[Any]:
    """Return the line buffers of a feed, an indicator, a strategy or a single line."""
    return list(getattr(item.lines, "lines", item.lines))
