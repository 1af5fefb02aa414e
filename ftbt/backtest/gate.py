"""What stands between Backtrader's bar loop and a strategy: warm-up, early ends, refusals.

A strategy class runs as a subclass of itself that Backtrader's loop drives as always, except that
nothing of the user's is called before the warm-up is over and that what a back-test can't honour
is refused before the first bar.
"""

from __future__ import annotations

from typing import Any, cast

import backtrader as bt

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
    if any(timer.params.cheat for timer in strategy.cerebro._pretimers):  # noqa: SLF001
        raise StrategyBroken(
            "add_timer(cheat=True) is not supported: it would trade in a bar whose close it knows"
        )


def _refuse_too_few_bars(strategy: Any) -> None:
    """Raise InputError before Backtrader's indicators index beyond the end of their arrays."""
    period, bars = max(strategy._minperiods), strategy.broker.last_bar + 1  # noqa: SLF001
    if period > bars:
        raise InputError(
            f"{type(strategy).__name__}: its indicators need {period} bars, but there are {bars}:"
            " give more bars or shorter periods"
        )


def gated(cls: type[Any]) -> type[Any]:
    """Return the subclass of *cls* that runs in a back-test.

    Kept, because Backtrader keeps what belongs to a class for ever: one class for each run would
    make long searches slow and large. The broker knows where the warm-up ends (`trade_from`).
    """
    if cls in _MADE:
        return _MADE[cls]

    def _periodset(self: Any) -> None:
        super(made, self)._periodset()
        _refuse_too_few_bars(self)
        least = self.broker.trade_from + 1
        self._minperiods = [max(period, least) for period in self._minperiods]

    def _start(self: Any) -> None:
        _refuse_what_peeks(self)
        super(made, self)._start()

    def prenext(self: Any) -> None:
        # The usual `def prenext(self): self.next()` must not trade in the warm-up.
        if len(self) > self.broker.trade_from:
            super(made, self).prenext()

    def notify_timer(self: Any, timer: Any, when: Any, *args: Any, **keywords: Any) -> None:
        if len(self.data) > self.broker.trade_from:
            super(made, self).notify_timer(timer, when, *args, **keywords)

    def _stop(self: Any) -> None:
        if self.broker.stop_early():  # the strategy called cerebro.runstop()
            while (order := self.broker.get_notification()) is not None:
                self._addnotification(order)
            self._notify()
            self.clear()
        super(made, self)._stop()

    # `ftbt_gate` tells these methods from a strategy's own.
    own = (_periodset, _start, prenext, notify_timer, _stop)
    body: dict[str, Any] = {function.__name__: function for function in own}
    body |= {"__module__": cls.__module__, "ftbt_gate": True}
    metaclass: Any = type(cls)
    made = _MADE[cls] = metaclass(cls.__name__, (cls,), body)
    return cast("type[Any]", made)
