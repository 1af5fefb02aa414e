"""Small sessions by hand: bars of 15 minutes, a few orders, their fills and trades.

A `Leg` is one trade; a table of legs becomes a whole `Result`, so that one changed number makes one
difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ftbt.backtest.result import (
    FILL,
    ORDER,
    REFUSED,
    TRADE,
    ExitReason,
    Kind,
    Result,
    Role,
    Status,
)
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import MINUTE_MS, Timeframe

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
FRAME = 15 * MINUTE_MS
BARS = 20
NAN = math.nan
RULES = Instrument("SOL", size_decimals=2)  # tick 0.001 below 100, 0.01 from there on
TAKER, MAKER = 0.00045, 0.00015


@dataclass(frozen=True)
class Leg:
    """One trade: decided at the close of `bar - 1`, entered in *bar*, left in *out*.

    `sent` is the size of the entry order, of which `size` was filled. `exit_sent` likewise.
    """

    bar: int = 3
    out: int = 5
    side: int = 1
    size: float = 2.0
    entry: float = 100.0
    exit: float = 103.0
    stop: float = 98.0
    target: float = 103.0
    why: ExitReason = ExitReason.TARGET1
    kind: Kind = Kind.MARKET
    decided: int | None = None
    sent: float | None = None
    exit_sent: float | None = None
    order_price: float = NAN
    exit_price: float = NAN  # of the order; NaN: a target's or stop's own
    entry_maker: bool = False
    exit_maker: bool | None = None
    fee_factor: float = 1.0
    funding: float = 0.0
    symbol: int = 0
    finished: bool = True


_ROLE = {ExitReason.STOP: Role.STOP, ExitReason.TARGET1: Role.TARGET1}


def opened(bar: int) -> int:
    """Return the open of bar *bar*, ms."""
    return START + bar * FRAME


def session(
    *legs: Leg,
    unfilled: Sequence[dict[str, Any]] = (),
    refusals: Sequence[tuple[int, int, float, float]] = (),
    equity: float = 10_000.0,
    bars: int = BARS,
    symbols: tuple[str, ...] = ("SOL",),
    capital: float = 10_000.0,
    modelled: bool = True,
) -> Result:
    """Return a result with *legs*; *unfilled* are orders, *refusals* bar, rule, figure, limit."""
    orders: list[Any] = []
    fills: list[Any] = []
    trades: list[Any] = []
    for leg in legs:
        _add(leg, orders, fills, trades)
    for one in unfilled:
        row = {
            "id": len(orders) + 1, "parent": 0, "side": 1, "kind": Kind.LIMIT, "role": Role.ENTRY,
            "size": 2.0, "price": 100.0, "limit": NAN, "filled": 0.0, "status": Status.CANCELLED,
            "end_bar": -1, "symbol": 0, "strategy": 0, **one,
        }  # fmt: skip
        orders.append(tuple(row[name] for name in ORDER.names))
    trades.sort(key=lambda row: row[3])
    return Result(
        strategies=("sweep",),
        parameter_sets=({},),
        entry_reasons=((),),
        symbols=symbols,
        timeframe=Timeframe.parse("15m"),
        first_bar=100,
        time=START + FRAME * np.arange(bars, dtype=np.int64),
        equity=np.full(bars, equity),
        closes=np.full((bars, len(symbols)), 100.0),
        orders=np.array(orders, ORDER),
        fills=np.array(sorted(fills, key=lambda row: row[2]), FILL),
        trades=np.array(trades, TRADE),
        refusals=np.array(
            [
                (100 + bar, opened(bar), rule, figure, limit, 0, 0)
                for bar, rule, figure, limit in refusals
            ],
            REFUSED,
        ),
        settings=Settings(capital=capital),
        funding_modelled=modelled,
        synthetic=True,
    )


def _add(leg: Leg, orders: list[Any], fills: list[Any], trades: list[Any]) -> None:
    first, last = len(orders) + 1, len(orders) + 2
    decided = leg.bar - 1 if leg.decided is None else leg.decided
    sent = leg.size if leg.sent is None else leg.sent
    orders.append((first, 0, 100 + decided, leg.side, leg.kind, Role.ENTRY, sent, leg.order_price,
                   NAN, leg.size, Status.FILLED, 100 + leg.bar, leg.symbol, 0))  # fmt: skip
    fee = leg.size * leg.entry * (MAKER if leg.entry_maker else TAKER)
    fills.append((first, 100 + leg.bar, opened(leg.bar), leg.side, leg.size, leg.entry,
                  fee * leg.fee_factor, 0.0, leg.entry_maker, 0, leg.symbol, 0))  # fmt: skip
    if not leg.finished:
        return
    role = _ROLE.get(leg.why, Role.EXIT)
    maker = role == Role.TARGET1 if leg.exit_maker is None else leg.exit_maker
    price = {Role.TARGET1: leg.target, Role.STOP: leg.stop}.get(role, NAN)
    price = price if math.isnan(leg.exit_price) else leg.exit_price
    kind = {Role.TARGET1: Kind.LIMIT, Role.STOP: Kind.STOP}.get(role, Kind.MARKET)
    exit_sent = leg.size if leg.exit_sent is None else leg.exit_sent
    orders.append((last, first, 100 + leg.out - 1, -leg.side, kind, role, exit_sent, price, NAN,
                   leg.size, Status.FILLED, 100 + leg.out, leg.symbol, 0))  # fmt: skip
    out = leg.size * leg.exit * (MAKER if maker else TAKER)
    fills.append((last, 100 + leg.out, opened(leg.out), -leg.side, leg.size, leg.exit,
                  out * leg.fee_factor, 0.0, maker, leg.why, leg.symbol, 0))  # fmt: skip
    gross = leg.side * leg.size * (leg.exit - leg.entry)
    fees = (fee + out) * leg.fee_factor
    trades.append((100 + leg.bar, 100 + leg.out, opened(leg.bar), opened(leg.out), leg.side,
                   leg.size, leg.entry, leg.exit, leg.stop, leg.target, NAN, gross, fees,
                   leg.funding, 0.0, gross - fees - leg.funding, NAN, 0.0, 0.0, NAN, 0, leg.why,
                   leg.symbol, 0))  # fmt: skip


def candles(
    changed: dict[int, tuple[float, float, float, float]] | None = None, *, detail: bool = False
) -> Market:
    """Return bars at 100 with a range of 0.2; *changed* rows are open, high, low, close.

    With *detail* every bar has fifteen minutes that stand at its open, the first with its range.
    """
    rows = [(100.0, 100.1, 99.9, 100.0)] * BARS
    for bar, row in (changed or {}).items():
        rows[bar] = row
    bars = make_bars(START + FRAME * np.arange(BARS), *np.array(rows).T, np.ones(BARS))
    frame = Timeframe.parse("15m")
    fine = None
    if detail:
        minutes = [(r if k == 0 else (r[3],) * 4) for r in rows for k in range(15)]
        time = START + MINUTE_MS * np.arange(len(minutes))
        columns = np.array(minutes).T
        fine = Candles("SOL", Timeframe.parse("1m"), make_bars(time, *columns, np.ones(len(time))))
    return Market(Candles("SOL", frame, bars), RULES, None, fine)


__all__ = ["FRAME", "START", "Leg", "candles", "opened", "replace", "session"]
