"""Several symbols and strategies on one account: hand-written rows, orders as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import backtrader as bt
import numpy as np
from user_kit import FREE, START

from ftbt.backtest.engine import run_portfolio
from ftbt.backtest.portfolio import Sleeve, Stretch
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.ranges import Float, Int
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.smc import AverageTrueRange
from ftbt.strategy import Setup, SetupStrategy, setup_rule

Row = tuple[float, float, float, float]
BAR_MS = 15 * MINUTE_MS
FLAT: Row = (100.0, 101.0, 99.0, 100.0)
RUNS: list[Any] = []


def stretch(
    symbol: str,
    rows: Sequence[Row],
    setups: dict[int, int] | None = None,
    *,
    start: int = 0,
    trade_from: int = 0,
    max_leverage: float = 20.0,
) -> Stretch:
    """Rows of a symbol, beginning *start* bars after the clock; setups at their bars, by code."""
    time = START + BAR_MS * (start + np.arange(len(rows)))
    volume = [(setups or {}).get(n, 0) for n in range(len(rows))]
    bars = make_bars(time, *np.array(rows, float).T, volume)
    candles = Candles.checked(symbol, Timeframe.parse("15m"), bars)
    rules = Instrument(symbol, size_decimals=2, max_leverage=max_leverage)
    return Stretch(Market(candles, rules), trade_from)


def limited(**limits: Any) -> Settings:
    """No costs, and no limits but these."""
    return dataclasses.replace(FREE, limits=dataclasses.replace(Limits.none(), **limits))


def play(
    sleeves: Sequence[Any],
    stretches: Sequence[Stretch],
    settings: Settings = FREE,
    engine: str = "reference",
    allocation: Allocation | None = None,
) -> Result:
    """Run strategies - a class, or (class, parameters, share) - on one account."""
    RUNS.clear()
    made = [one if isinstance(one, tuple) else (one, {}, 1.0 / len(sleeves)) for one in sleeves]
    return run_portfolio(
        [Sleeve(*one) for one in made], stretches, settings, allocation=allocation, engine=engine
    )


@setup_rule
def by_code(bar, atr, p, setup):
    """Enter at a volume of `code` (long) or `-code` plus 100 (short)."""
    side = 0
    if bar.volume == p.code:
        side = 1
    elif bar.volume == p.code + 100:
        side = -1
    if side == 0:
        return
    setup.side = side
    setup.kind = p.kind
    setup.entry = bar.close * (1.0 + side * p.away)
    setup.limit = setup.entry
    base = bar.close if p.kind == 1 else setup.entry
    setup.stop = base * (1.0 - side * p.stop)
    setup.target1 = base * (1.0 + side * 0.5)
    setup.confidence = 100.0


class Coded(SetupStrategy):
    """Setups at the volumes that are its code: 2 % at risk, stop 5 % away, so 0.4 x equity."""

    params: ClassVar = dict(code=1, kind=1, away=0.0, stop=0.05, max_notional=50.0)
    ranges: ClassVar = dict(
        code=Int(1, 99), kind=Int(1, 4), away=Float(-0.5, 0.5), stop=Float(0.001, 0.5)
    )
    warmup_days: ClassVar = 0.0

    def __init__(self):
        super().__init__()
        self.setup = Setup(by_code, AverageTrueRange(self.data))


class Scripted(bt.Strategy):
    """Does what `script` says: (symbol, number of its own bar, from 1) -> actions."""

    script: ClassVar[dict[tuple[str, int], Any]] = {}

    def __init__(self):
        super().__init__()
        self.told: list[tuple[int, str, float]] = []
        self.seen: list[tuple[int, float]] = []
        self.sent: list[Any] = []
        RUNS.append(self)

    def notify_order(self, order):
        self.told.append((len(self), order.getstatusname(), order.executed.size))

    def next(self):
        self.seen.append((len(self), self.position.size))
        for action in self.script.get((self.data._name, len(self)), ()):
            self.sent.append(action(self))


def scripted(script: dict[tuple[str, int], Any]) -> type[Scripted]:
    """A strategy of a user's own; one action or a list of them at each place."""
    lists = {at: do if isinstance(do, list) else [do] for at, do in script.items()}
    return type("Scripted", (Scripted,), {"script": lists})


def leg(symbol: str, number: int = 0) -> Any:
    """The strategy object of the last run on *symbol*, the *number*-th of them."""
    return [one for one in RUNS if one.data._name == symbol][number]
