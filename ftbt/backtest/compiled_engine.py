"""The compiled engine: the same strategy object, the same `decide`, one loop over all bars.

Backtrader makes the strategy with its lines and parameters, as always (see `objects.py`); only its
bar loop is left out. What the strategy says at each close is made at once by its compiled rule,
and `kernel_run` runs the execution model on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from backtrader.errors import StrategySkipError
from numpy.typing import NDArray

from ftbt.backtest.kernel_records import ACCOUNT, BOOK, LEG, SLEEVE
from ftbt.backtest.kernel_run import run
from ftbt.backtest.objects import OnMarkets
from ftbt.backtest.portfolio import Plan
from ftbt.backtest.prepared import joined
from ftbt.backtest.result import FILL, ORDER, REFUSED, TRADE
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.market import Instrument
from ftbt.errors import StrategyBroken
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import HOLDING, start_risk
from ftbt.room import ROOM, chained, copied, keep_freed_memory
from ftbt.strategy.base import SetupStrategy, own_methods
from ftbt.strategy.records import INTENT, RULES, SETUP, VIEW

Records = NDArray[np.void]


def why_not(cls: type[Any]) -> str:
    """Return why the compiled engine can't run *cls*, "" when it can."""
    if not issubclass(cls, SetupStrategy):
        return f"{cls.__name__} has a next() of its own"
    own = own_methods(cls)
    return f"{cls.__name__} has its own {own[0]}()" if own else ""


@lru_cache(maxsize=64)
def _books(rules: tuple[Instrument, ...], symbol_of: tuple[int, ...], leverage: float) -> Records:
    books = np.zeros(len(rules), BOOK)
    books["symbol"] = symbol_of
    books["price"] = np.nan
    books["filled_bar"] = books["begun"] = -1
    for book, one in zip(books, rules, strict=True):
        book["decimals"] = one.size_decimals
        book["leverage"] = min(leverage, one.max_leverage)
        book["maintenance"] = 1.0 / (2.0 * one.max_leverage)
    return books


@lru_cache(maxsize=64)
def _account(settings: Settings, allocation: Allocation) -> Records:
    account = np.zeros(1, ACCOUNT)
    account["cash"] = settings.capital
    account["taker"], account["maker"] = settings.taker_fee, settings.maker_fee
    account["risk"] = start_risk(settings.limits, settings.capital)
    account["shrinks"] = allocation.drawdown_aware
    account["cut_at"], account["floor"] = allocation.cut_at, allocation.floor
    return account


@lru_cache(maxsize=64)
def _sleeves(shares: tuple[float, ...], capital: float) -> Records:
    sleeves = np.zeros(len(shares), SLEEVE)
    sleeves["share"] = shares
    sleeves["start"] = sleeves["peak"] = np.array(shares) * capital
    sleeves["scale"] = 1.0
    return sleeves


@lru_cache(maxsize=64)
def _rules(rules: tuple[Instrument, ...], settings: Settings) -> Records:
    found = np.zeros(len(rules), RULES)
    for row, one in zip(found, rules, strict=True):
        row["size_decimals"] = one.size_decimals
        row["min_notional"] = one.min_notional
        row["leverage"] = min(settings.leverage, one.max_leverage)
        row["cost_rate"] = settings.taker_fee + settings.half_spread
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What all strategy objects say, one after the other.

    Attributes:
        legs: LEG records.
        heard: numbers of bars in their stretch.
        setups: what is said there.
        parameters: what `decide` reads, one record a sleeve.
    """

    legs: Records
    heard: NDArray[np.int64]
    setups: Records
    parameters: Records


def _listen(plan: Plan) -> _Said:
    """Make every strategy object and hear it out.

    Raises:
        StrategyBroken: a strategy raised an error; it is chained.
    """
    heard, setups, rows = [], [], []
    parameters: dict[int, Any] = {}
    objects = [
        OnMarkets(cls, values, plan.settings)
        for cls, values in zip(plan.classes, plan.values, strict=True)
    ]
    for leg in plan.legs():
        name, stretch = plan.names[leg.sleeve], plan.stretches[leg.stretch]
        with user_code(name):
            try:
                strategy = objects[leg.sleeve].on(stretch.market)
            except StrategySkipError:
                strategy = None
        if strategy is None:
            raise StrategyBroken(f"strategy {name} refused to start (StrategySkipError)")
        with user_code(name):
            first = max(stretch.trade_from, objects[leg.sleeve].first_decision)
            bars, said, common = strategy.decision_inputs(stretch.market.candles.bars, first)
        rows.append((leg.sleeve, leg.stretch, first))
        heard.append(bars)
        setups.append(said)
        parameters[leg.sleeve] = common
    legs = np.zeros(len(rows), LEG)
    stops = accumulate(map(len, heard))
    for row, (sleeve, number, first), stop, own in zip(legs, rows, stops, heard, strict=True):
        row["sleeve"], row["stretch"], row["first"] = sleeve, number, first
        row["k"], row["stop"] = stop - len(own), stop
    return _Said(
        legs=legs,
        heard=heard[0] if len(heard) == 1 else np.concatenate(heard),
        setups=setups[0] if len(setups) == 1 else chained(setups),
        parameters=np.concatenate([parameters[n] for n in range(len(parameters))]),
    )


class _Tables:
    """Room for everything that a run may write."""

    def __init__(self, bars: int, setups: int, stretches: int) -> None:
        # At most one entry a setup, each with up to three children and an exit.
        most = 6 * setups + 8 * stretches
        self.orders = ROOM.table("orders", most, ORDER)
        self.fills = ROOM.table("fills", most, FILL)
        self.trades = ROOM.table("trades", most, TRADE)
        self.refusals = ROOM.table("refusals", 2 * setups + stretches, REFUSED)
        self.equity = np.empty(bars)

    @property
    def all(self) -> tuple[Records, ...]:
        """The tables in the order of their counts."""
        return self.orders, self.fills, self.trades, self.refusals

    def found(self, account: Any, first_bar: int) -> dict[str, Any]:
        """Return what was written, by the names of `Result`."""
        names = ("orders", "fills", "trades", "refusals")
        filled = {
            name: copied(table[: account[name]])
            for name, table in zip(names, self.all, strict=True)
        }
        return {"equity": self.equity[first_bar:], "engine": "compiled", **filled}


def run_compiled(plan: Plan) -> dict[str, Any]:
    """Return equity, orders, fills, trades and refusals, by the names of `Result`."""
    keep_freed_memory()
    said = _listen(plan)
    known = joined(
        [one.market for one in plan.stretches],
        [one.trade_from for one in plan.stretches],
        plan.joint.start,
        plan.symbol_of,
        plan.settings,
    )
    instruments = tuple(one.market.instrument for one in plan.stretches)
    # What a run begins with is the same for all of a search; the run writes into copies.
    account = copied(_account(plan.settings, plan.allocation))[0]
    books = copied(_books(instruments, plan.symbol_of, plan.settings.leverage))
    groups = plan.joint.groups
    table = np.zeros((1, len(plan.symbols)), np.int64) if groups is None else groups.groups
    out = _Tables(len(plan.clock), int(np.count_nonzero(said.setups["side"])), len(plan.stretches))
    run(
        plan.clock, known.bars, known.costs, known.marks, known.detail, known.stretches,
        said.legs, said.heard, said.setups, np.zeros(1, SETUP)[0], said.parameters,
        copied(_rules(instruments, plan.settings)), books, account,
        copied(_sleeves(plan.shares, plan.settings.capital)),
        (np.zeros(len(plan.symbols), HOLDING), table, 0 if groups is None else groups.first_day),
        np.zeros(1, VIEW)[0], np.zeros(1, INTENT)[0], out.all, out.equity,
    )  # fmt: skip
    return out.found(account, plan.first_bar)
