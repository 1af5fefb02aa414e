"""`SetupStrategy`: the base of all shipped strategies. It turns setups into orders by `decide`.

A strategy file declares its lines, its parameters with their ranges and its setup rule:

    class MyStrategy(SetupStrategy):
        params = dict(swing=5)
        ranges = dict(swing=Int(2, 20))

        def __init__(self):
            super().__init__()
            self.setup = Setup(rule, smc.Sweeps(self.data, left=self.p.swing))

Everything else - size, orders, exits - is done here, and is the same in a back-test and live.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from types import FunctionType
from typing import Any, ClassVar

import backtrader as bt
import numpy as np

from ftbt.data.candles import BAR, Bars
from ftbt.data.precision import nearest_size
from ftbt.errors import StrategyBroken
from ftbt.ranges import Bool, Choice, Float, Int, Range, pack, record_type
from ftbt.smc.base import read_bar
from ftbt.strategy import records
from ftbt.strategy.decide import decide
from ftbt.strategy.parameters import ranges_of
from ftbt.strategy.records import INTENT, RULES, VIEW
from ftbt.strategy.setup import Setup

_EXEC_TYPES = {
    records.MARKET: bt.Order.Market,
    records.LIMIT: bt.Order.Limit,
    records.STOP: bt.Order.Stop,
    records.STOP_LIMIT: bt.Order.StopLimit,
}

_METHODS = (FunctionType, property, classmethod, staticmethod)


class SetupStrategy(bt.Strategy):
    """Sizes, enters and leaves positions for the setups of a rule.

    Attributes:
        ranges: parameter -> range, used to validate and as the search space.
        presets: timeframe -> values that replace the defaults there.
        reasons: names of the entry reasons that the rule sets by number.
        warmup_days: history that the lines need before their values are settled.
        setup: the rule bound to its lines; set in `__init__`.
        ftbt_sleeve: which of the strategies of a run it belongs to; set by whoever runs it.
        ftbt_loud: bars at whose close it has to be asked even when it holds nothing and waits for
            nothing, rising; None when any bar may be one. Known in research, once started.
    """

    params: Any = dict(  # noqa: RUF012 - Backtrader's form
        direction="both",
        min_confidence=0.0,
        min_rr=1.0,
        risk_per_trade=0.02,
        confidence_sizing=0.5,
        max_notional=3.0,
        scale_out=0.5,
        break_even=True,
        valid_bars=8,
        max_bars=96,
        exit_on_choch=True,
    )
    ranges: ClassVar[Mapping[str, Range]] = dict(
        direction=Choice("both", "long", "short", tune=False),
        min_confidence=Float(0, 100, step=5, tune=False),
        min_rr=Float(0.5, 5.0, step=0.25, tune=False),
        risk_per_trade=Float(0.0005, 0.05, tune=False),
        confidence_sizing=Float(0.0, 1.0, tune=False),
        max_notional=Float(0.01, 50.0, tune=False),
        scale_out=Float(0.0, 1.0, tune=False),
        break_even=Bool(tune=False),
        valid_bars=Int(1, 500, tune=False),
        max_bars=Int(1, 5000, tune=False),
        exit_on_choch=Bool(tune=False),
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    reasons: ClassVar[tuple[str, ...]] = ("setup",)
    warmup_days: ClassVar[float] = 30.0
    setup: Setup
    ftbt_sleeve = 0
    ftbt_loud: Any = None

    def __init__(self) -> None:
        super().__init__()
        own: Any = type(self)
        values = tuple([getattr(self.p, name) for name in _layout(own)[0]])
        self._packed, self._common = _records(own, values)
        self._view = np.zeros(1, VIEW)
        self._intent = np.zeros(1, INTENT)
        self._rules = np.zeros(1, RULES)
        self._bar = np.zeros(1, BAR)
        self._setups: Any = None
        self._loud: list[bool] = []  # bars whose setup says something
        self._clock_line = self.lines.datetime
        self._wake = 0  # bar from which a held or waiting order needs a decision even so
        self._entry: Any = None
        self._leaving: Any = None
        self._entry_asked = 0
        self._entry_filled = 0

    def _check_made(self) -> None:
        if not hasattr(self, "_packed"):
            raise StrategyBroken(
                f"{type(self).__name__}.__init__ must begin with super().__init__()"
            )
        if not isinstance(getattr(self, "setup", None), Setup):
            raise StrategyBroken(
                f"{type(self).__name__}.__init__ must set self.setup = Setup(rule, lines...)"
            )

    def start(self) -> None:
        """Check the class and, in research, make all setups at once."""
        self._check_made()
        self.broker.fill_rules(self.data, self._rules[0])
        candles = getattr(self.data, "candles", None)
        if candles is not None and self.cerebro._dorunonce:  # noqa: SLF001 - no public name
            self._setups = self.setup.series(candles.bars, self._packed[0])
            names = ("side", "exit_long", "exit_short")
            loud = np.logical_or.reduce([self._setups[name] != 0 for name in names])
            self._loud = loud.tolist()
            if not own_methods(type(self)):
                self.ftbt_loud = np.flatnonzero(loud)
                # Nobody reads the lines bar by bar: Backtrader need not move them.
                self._lineiterators[bt.LineIterator.IndType].clear()

    def setups_and_parameters(self) -> tuple[Any, Any]:
        """Return the setups at every bar, once started, and the rule's parameters."""
        return self._setups, self._packed

    def decision_inputs(self, bars: Bars, first: int = 0) -> tuple[Any, Any, Any]:
        """Return all that the compiled engine needs of a strategy, before it is started.

        These are the indices of the *bars* at whose close the rule says something, what it says
        there (records of SETUP), and the parameters of `decide` as one record, shape (1,). Bars
        before number *first*, which only warm the lines up, are left out.
        """
        self._check_made()
        return *self.setup.heard(bars, self._packed[0], first), self._common

    def prepare(self) -> None:
        """Load all that a decision needs, without deciding: compiling it can take seconds."""
        view, intent = np.zeros(1, VIEW)[0], np.zeros(1, INTENT)[0]
        self.broker.fill_view(self, view)
        setup = self._setup_now(len(self) - 1)
        decide(view, setup, self._bar[0], self._common[0], self._rules[0], intent)

    def resume(self, entry: Any, leaving: Any, asked: int, filled: int) -> None:
        """Go on with an entry of an earlier process.

        Args:
            entry: its order.
            leaving: the order that closes it, None when there is none.
            asked: bars of this run at whose close it was sent (as `len(self)` then).
            filled: the same of its first fill; up to *asked* when nothing has filled.
        """
        self._entry, self._leaving = entry, leaving
        self._entry_asked, self._entry_filled = asked, filled

    def notify_order(self, order: Any) -> None:
        """Follow the entry from its fill to the flat position after it."""
        entry = self._entry
        if entry is None:
            return
        told = order.ref == entry.ref and order.status in (bt.Order.Completed, bt.Order.Partial)
        if told and self._entry_filled <= self._entry_asked:  # of several parts the first
            self._entry_filled = len(self)
            self._wake = len(self) + self.p.max_bars - 1
        if not entry.alive() and not self.position.size:
            self._entry = self._leaving = None

    def ftbt_rests(self, now: int) -> bool:
        """Return whether there is nothing to decide at the close of the bar with count *now*."""
        if self._setups is None or self._loud[now - 1]:
            return False
        return self._entry is None or (now < self._wake and not self.broker.halted)

    def next(self) -> None:
        """Decide at the close of the current bar."""
        now, entry = self._clock_line.lencount, self._entry  # len(self) takes three calls
        if self.ftbt_rests(now):
            return
        broker = self.broker
        if broker.is_finished(self.data):
            return  # what is ordered at the last close can't trade any more
        view = self._view[0]
        # Whatever the symbol holds is another strategy's while there is no entry of one's own.
        position = 0.0 if entry is None else self.position.size
        view["position"] = position
        view["bars_held"] = now - self._entry_filled + 1 if position else 0
        view["pending"] = 0
        if entry is not None and not position and entry.alive():
            view["pending"] = 1 if entry.isbuy() else -1
            view["pending_bars"] = now - self._entry_asked
        view["leaving"] = self._leaving is not None
        broker.fill_view(self, view)
        intent = self._intent[0]
        setup = self._setup_now(now - 1)
        decide(view, setup, self._bar[0], self._common[0], self._rules[0], intent)
        if intent["refusal"]:
            broker.refuse(self, intent)
        broker.decided(self, setup, intent)
        self._act(intent)

    def _setup_now(self, index: int) -> Any:
        if self._setups is not None:
            self._bar[0] = self.data.candles.bars[index]
            return self._setups[index]
        read_bar(self.data, self._bar)
        return self.setup.at_close(self._bar[0], self._packed[0])

    def _act(self, intent: Any) -> None:
        action = intent["action"]
        if action == records.ENTER:
            self._enter(intent)
        elif action == records.CANCEL:
            self.cancel(self._entry)
        elif action == records.EXIT:
            self._leaving = self.close(exit_reason=int(intent["exit_reason"]))

    def _enter(self, intent: Any) -> None:
        """Send the entry with its stop and targets; the children live from the entry's fill."""
        buy = intent["side"] > 0
        enter, leave = (self.buy, self.sell) if buy else (self.sell, self.buy)
        kind = int(intent["kind"])
        size, size1 = float(intent["size"]), float(intent["size1"])
        targets = [(float(intent["target1"]), size1), (float(intent["target2"]), size - size1)]
        targets = [(price, part) for price, part in targets if price == price and part > 0]
        if len(targets) == 2:
            # size - size1 in binary is a hair off the lot.
            decimals = int(self._rules[0]["size_decimals"])
            targets[1] = (targets[1][0], nearest_size(targets[1][1], decimals))
        entry = enter(
            size=size,
            exectype=_EXEC_TYPES[kind],
            price=None if kind == records.MARKET else float(intent["entry"]),
            plimit=float(intent["limit"]) if kind == records.STOP_LIMIT else None,
            transmit=False,
            confidence=float(intent["confidence"]),
            reason=int(intent["reason"]),
            targets=(float(intent["target1"]), float(intent["target2"])),
            decided=True,
        )
        leave(
            size=size,
            exectype=bt.Order.Stop,
            price=float(intent["stop"]),
            parent=entry,
            transmit=not targets,
            break_even=bool(self.p.break_even) and len(targets) > 1,
        )
        for number, (price, part) in enumerate(targets, start=1):
            last = number == len(targets)
            leave(
                size=part,
                exectype=bt.Order.Limit,
                price=price,
                parent=entry,
                transmit=last,
                target=2 if price == float(intent["target2"]) else 1,
            )
        self._entry, self._entry_asked, self._leaving = entry, len(self), None
        self._wake = len(self) + self.p.valid_bars


@cache
def _layout(cls: Any) -> tuple[Mapping[str, Range], np.dtype[np.void]]:
    """Return the ranges of *cls* and the record of its parameters; a search asks all the time."""
    ranges = ranges_of(cls)
    return ranges, record_type(ranges)


@lru_cache(maxsize=64)
def _records(cls: Any, values: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the rule's and the decisions' parameters as records; equal *values* pack equally.

    A search makes an object with the same ones for each symbol.
    """
    ranges, layout = _layout(cls)
    named = dict(zip(ranges, values, strict=True))
    packed = pack(ranges, named, layout)
    # What `decide` reads, packed by the base's ranges: one compiled `decide` serves all
    # strategies, and a strategy that narrows a choice of words does not change their numbers.
    every: Any = SetupStrategy
    common, layout = _layout(every)
    shared = pack(common, {name: named[name] for name in common}, layout)
    packed.flags.writeable = shared.flags.writeable = False
    return packed, shared


def own_methods(cls: type[Any]) -> list[str]:
    """Return the methods of `SetupStrategy` that *cls* replaces, `__init__` aside.

    A strategy without any is nothing but lines, parameters and a rule.
    """
    found: set[str] = set()
    for base in cls.__mro__:
        if base is SetupStrategy:
            break
        if "ftbt_gate" not in vars(base):  # the back-test's own subclass
            found |= {name for name, item in vars(base).items() if isinstance(item, _METHODS)}
    return sorted(name for name in found if name != "__init__" and hasattr(SetupStrategy, name))
