"""What every result promises of its account, worked out a second way: from its list of fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ftbt.backtest.result import ExitReason, Kind, Result, Role, Status
from ftbt.data.candles import Bars

LOT = 1e-9


@dataclass
class RoundTrip:
    """A trade from flat to flat, added up from fills."""

    side: int
    entry_bar: int
    held: float = 0.0
    largest: float = 0.0
    cash: float = 0.0  # of its prices alone
    fees: float = 0.0
    slippage: float = 0.0
    exit_bar: int = -1
    reason: int = 0


@dataclass
class Ledger:
    """Cash, position and round trips after each fill."""

    cash: float
    held: float = 0.0
    trips: list[RoundTrip] = field(default_factory=list)
    open: RoundTrip | None = None

    def take(self, fill: Any) -> None:
        """Add a fill; one that turns the position is split in two."""
        signed, price = float(fill["side"] * fill["size"]), float(fill["price"])
        side, whole = float(fill["side"]), float(fill["size"])
        closing = min(abs(self.held), whole) if self.held * signed < 0 else 0.0
        parts = [(side * closing, True), (side * (whole - closing), False)]
        for size, closes in parts:
            if abs(size) > LOT:
                self._part(fill, size, price, abs(size / signed), closes)
        self.cash -= signed * price + float(fill["fee"])

    def _part(self, fill: Any, size: float, price: float, share: float, closes: bool) -> None:
        if self.open is None:
            self.open = RoundTrip(int(np.sign(size)), int(fill["bar"]))
        trip = self.open
        trip.held += size
        trip.largest = max(trip.largest, abs(trip.held))
        trip.cash -= size * price
        trip.fees += share * float(fill["fee"])
        trip.slippage += share * float(fill["slippage"])
        self.held += size
        if closes and abs(trip.held) < LOT:
            trip.exit_bar, trip.reason = int(fill["bar"]), int(fill["reason"])
            self.trips.append(trip)
            self.open, self.held = None, 0.0


def check_account(result: Result, bars: Bars, leverage: float) -> None:
    """Assert every identity of the account that does not need to know what was ordered."""
    scale = 1e-8 * result.settings.capital
    ledger = Ledger(result.settings.capital)
    paid = float(result.trades["funding"].sum())
    slack = scale + float(np.abs(result.trades["funding"]).sum())  # the list of fills has none
    for fill in result.fills:
        _check_fill(fill, result, bars)
        before, held = ledger.cash + ledger.held * fill["price"], ledger.held
        ledger.take(fill)
        if abs(ledger.held) > abs(held) + LOT or ledger.held * held < 0:
            needed = abs(ledger.held) * fill["price"] / leverage
            assert needed <= before * (1 + 1e-6) + slack, f"{fill} is beyond the margin"
    assert abs(ledger.held) < LOT, "the run ends flat"
    assert result.equity[-1] == pytest.approx(ledger.cash - paid, abs=scale)
    assert result.settings.capital + result.trades["net"].sum() == pytest.approx(
        result.equity[-1], abs=scale
    )
    assert result.equity.min() >= 0.0
    assert np.isfinite(result.equity).all()
    _check_trades(result, ledger, scale)
    _check_orders(result)


def _check_fill(fill: Any, result: Result, bars: Bars) -> None:
    rate = result.settings.maker_fee if fill["maker"] else result.settings.taker_fee
    assert fill["fee"] == pytest.approx(fill["size"] * fill["price"] * rate)
    plain = fill["price"] - fill["side"] * fill["slippage"] / fill["size"]
    low, high = bars["low"][fill["bar"]], bars["high"][fill["bar"]]
    ruined = result.equity[max(0, fill["bar"] - (len(bars) - len(result.equity)))] == 0.0
    if fill["reason"] != ExitReason.LIQUIDATION and not ruined:  # ruin may lie inside a gap
        assert low - 1e-9 * low <= plain <= high + 1e-9 * high, f"{fill} is outside of its bar"
    if fill["maker"]:
        assert fill["slippage"] == 0.0


def _check_trades(result: Result, ledger: Ledger, scale: float) -> None:
    trades = result.trades
    assert len(trades) == len(ledger.trips)
    for trade, trip in zip(trades, ledger.trips, strict=True):
        found = tuple(int(trade[name]) for name in ("side", "entry_bar", "exit_bar", "exit_reason"))
        assert found == (trip.side, trip.entry_bar, trip.exit_bar, trip.reason)
        assert trade["size"] == pytest.approx(trip.largest, abs=LOT)
        for name, value in (("gross", trip.cash), ("fees", trip.fees), ("slippage", trip.slippage)):
            assert trade[name] == pytest.approx(value, abs=scale)
        assert trade["net"] == pytest.approx(
            trade["gross"] - trade["fees"] - trade["funding"], abs=scale
        )
        assert trade["mae"] <= 0.0 <= trade["mfe"]
        assert trade["entry_time"] <= trade["exit_time"]
        assert trade["exit_bar"] >= trade["entry_bar"]
        assert trade["exit_reason"] in set(ExitReason)
    assert (np.diff(trades["entry_bar"]) >= 0).all()


def _check_orders(result: Result) -> None:
    orders, fills = result.orders, result.fills
    assert not (orders["status"] == Status.OPEN).any()
    assert (orders["end_bar"] >= orders["bar"]).all()
    assert (orders["id"] == np.arange(1, len(orders) + 1)).all()
    filled = orders[orders["status"] == Status.FILLED]
    assert sorted(fills["order"].tolist()) == filled["id"].tolist()
    for fill in fills:
        order = orders[fill["order"] - 1]
        assert (order["side"], order["end_bar"]) == (fill["side"], fill["bar"])
        assert order["filled"] == fill["size"] <= order["size"]
        forced = fill["reason"] in (ExitReason.END, ExitReason.LIQUIDATION)
        assert fill["bar"] > order["bar"] or forced, "an order never trades in its own bar"
    assert (orders["filled"][orders["status"] != Status.FILLED] == 0.0).all()


def check_protection(result: Result, bars: Bars) -> None:
    """Assert that each stop works from its entry's fill until the bar in which it ends."""
    orders = result.orders
    after = dict(zip(result.fills["order"].tolist(), np.cumsum(
        result.fills["side"] * result.fills["size"]).tolist(), strict=True))  # fmt: skip
    for stop in orders[(orders["parent"] > 0) & (orders["role"] == Role.STOP)]:
        entry = orders[stop["parent"] - 1]
        if entry["status"] != Status.FILLED:
            assert stop["status"] in (Status.CANCELLED, Status.REJECTED)
            continue
        if after[int(entry["id"])] * entry["side"] < LOT:
            continue  # it only made an opposite position smaller: there was nothing to protect
        begin, end = int(entry["end_bar"]), int(stop["end_bar"])
        assert end >= begin
        if stop["kind"] == Kind.STOP:
            low, high = bars["low"][begin:end], bars["high"][begin:end]
            passed = low <= stop["price"] if stop["side"] < 0 else high >= stop["price"]
            assert not passed.any(), f"{stop} was passed and did not fill"
        if stop["status"] == Status.CANCELLED:  # never for nothing: the position left otherwise
            others = result.fills[
                (result.fills["bar"] == end) & (result.fills["side"] == stop["side"])
            ]
            assert len(others), f"{stop} was cancelled and left a position unprotected"
