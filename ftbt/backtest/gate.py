"""What stands between Backtrader's bar loop and a strategy: warm-up, early ends, refusals.

A strategy class runs as a subclass of itself that Backtrader's loop drives as always, except that
nothing of the user's is called before the warm-up is over or when its own data has no new bar, that
positions of other strategies are not shown to it, and that what a back-test can't honour is
refused before the first bar.
"""

# ruff: noqa: SLF001 - it stands between what Backtrader keeps to itself

from __future__ import annotations

from typing import Any

import backtrader as bt
from backtrader.position import Position

from ftbt.backtest.one_feed import one_feed
from ftbt.errors import InputError, StrategyBroken

_MADE: dict[type[Any], type[Any]] = {}
_AT_THE_OPEN = ("next_open", "nextstart_open", "prenext_open")


def _refuse_what_peeks(strategy: Any) -> None:
    """Raise StrategyBroken for what would decide inside a bar; plain Backtrader ignores it."""
    for name in _AT_THE_OPEN:
        if getattr(type(strategy), name) is not getattr(bt.Strategy, name):
            raise StrategyBroken(
                f"{name}() is not supported: a strategy decides at the close of a bar, in next()"
            )
    if any(timer.params.cheat for timer in strategy.cerebro._pretimers):
        raise StrategyBroken(
            "add_timer(cheat=True) is not supported: it would trade in a bar whose close it knows"
        )


def _refuse_too_few_bars(strategy: Any) -> None:
    """Raise InputError before Backtrader's indicators index beyond the end of their arrays."""
    book = strategy.broker.books[strategy.data]
    period, bars = max(strategy._minperiods), book.last_bar + 1
    if period > bars:
        raise InputError(
            f"{type(strategy).__name__}: its indicators need {period} bars, but there are {bars}"
            f" of {book.market.symbol}: give more bars or shorter periods"
        )


def _has_new_bar(strategy: Any) -> bool:
    """Tell whether the strategy's own data have moved; with several symbols others may have."""
    return len(strategy) < len(strategy.data)


def gated(cls: type[Any]) -> type[Any]:
    """Return the subclass of *cls* that runs in a back-test.

    Kept, because Backtrader keeps what belongs to a class for ever: one class for each run would
    make long searches slow and large. The broker's books know where the warm-up ends.
    """
    if cls not in _MADE:
        usual: Any = bt.Strategy
        body = {**_lifecycle(cls), **_bars(cls), **_positions(cls), **one_feed(cls)}
        # `ftbt_gate` tells these methods from a strategy's own.
        body |= {"__module__": cls.__module__, "ftbt_gate": True}
        body["ftbt_quick"] = cls._next is usual._next and cls._oncepost is usual._oncepost
        metaclass: Any = type(cls)
        _MADE[cls] = metaclass(cls.__name__, (cls,), body)
    return _MADE[cls]


def _named(*functions: Any) -> dict[str, Any]:
    return {function.__name__: function for function in functions}


def _lifecycle(cls: Any) -> dict[str, Any]:
    """Return what happens before the first bar and after the last one."""

    def _periodset(self: Any) -> None:
        cls._periodset(self)
        _refuse_too_few_bars(self)
        self.ftbt_trade_from = self.broker.books[self.data].trade_from
        least = self.ftbt_trade_from + 1
        self._minperiods = [max(period, least) for period in self._minperiods]

    def _start(self: Any) -> None:
        _refuse_what_peeks(self)
        cls._start(self)

    def _stop(self: Any) -> None:
        if self.broker.stop_early():  # a strategy called cerebro.runstop()
            while (order := self.broker.get_notification()) is not None:
                order.owner._addnotification(order)
            self._notify()
            self.clear()
        cls._stop(self)

    return _named(_periodset, _start, _stop)


def _bars(cls: Any) -> dict[str, Any]:
    """Return what happens at a bar."""

    def _next(self: Any) -> None:
        if _has_new_bar(self):
            cls._next(self)

    def _oncepost(self: Any, stamp: float) -> None:
        if _has_new_bar(self):
            cls._oncepost(self, stamp)

    def prenext(self: Any) -> None:
        # The usual `def prenext(self): self.next()` must not trade in the warm-up.
        if len(self) > self.ftbt_trade_from:
            cls.prenext(self)

    def notify_timer(self: Any, timer: Any, when: Any, *args: Any, **keywords: Any) -> None:
        if len(self.data) > self.ftbt_trade_from and _has_new_bar(self):
            cls.notify_timer(self, timer, when, *args, **keywords)

    return _named(_next, _oncepost, prenext, notify_timer)


def _positions(cls: Any) -> dict[str, Any]:
    """Return how a strategy sees positions: those of others are not its own."""

    def getposition(self: Any, data: Any = None, broker: Any = None) -> Any:
        shared = self.broker.shared
        if shared and not self.broker.has(self, self.data if data is None else data):
            return Position()
        return cls.getposition(self, data, broker)

    found = _named(getposition)
    usual: Any = bt.Strategy
    if cls.position is usual.position:
        found["position"] = property(getposition)
    return found
