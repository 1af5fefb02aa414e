"""The table player: rows of prices, orders as plain data, expected fills, and all of it mirrored.

Rows are (open, high, low, close) of 15m bars near 100. Orders are dicts under the bar at whose
close they are sent. Every table is played twice: as written, and mirrored at 100 with sides
swapped, so that no rule holds for longs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason, Result
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, Funding, make_bars
from ftbt.data.market import Instrument, Market
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.risk.limits import Limits

START = 473_000 * 60 * MINUTE_MS  # 2023-12-17 08:00 UTC, a full hour and a funding time of 8h
FREE = Settings(
    taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0, limits=Limits.none()
)
RULES = Instrument("TEST", size_decimals=2, max_leverage=20.0)
KINDS = {
    "market": bt.Order.Market,
    "limit": bt.Order.Limit,
    "stop": bt.Order.Stop,
    "stop-limit": bt.Order.StopLimit,
}


class Scripted(bt.Strategy):
    """Sends what the table says; `script` is set by the player."""

    script: dict[int, list[dict[str, Any]]]

    def __init__(self):
        self.sent = {}

    def next(self):
        for order in self.script.get(len(self) - 1, ()):
            self.act(**order)

    def act(self, do="enter", **order):
        """Carry out one entry of the script."""
        if do == "close":
            self.close()
        elif do == "trail":
            leave = self.sell if order["side"] > 0 else self.buy
            leave(size=1.0, exectype=bt.Order.StopTrail, trailamount=order["amount"])
        elif do == "cancel":
            self.cancel(self.sent[order["name"]])
        else:
            self.enter(**order)

    def enter(
        self, side, kind="market", price=None, limit=None, size=1.0, stop=None, targets=(),
        break_even=False, valid=None, name="", stop_size=None,
    ):  # fmt: skip
        """Send an entry with its stop and its targets, (price, size) each."""
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        children = ([] if stop is None else [("stop", stop, stop_size or size)]) + [
            ("limit", *target) for target in targets
        ]
        entry = enter(
            size=size, exectype=KINDS[kind], price=price, plimit=limit, valid=valid,
            transmit=not children,
        )  # fmt: skip
        self.sent[name] = entry
        for number, (what, level, part) in enumerate(children):
            more = {"break_even": break_even} if what == "stop" else {"target": number}
            if what == "limit" and stop is None:
                more = {"target": number + 1}
            leave(
                size=part, exectype=KINDS[what], price=level, parent=entry,
                transmit=number == len(children) - 1, **more,
            )  # fmt: skip


def candles_of(rows, step=15, start=START, volume=None, symbol="TEST"):
    """Return checked candles of *rows*, *step* minutes apart."""
    table = np.array(rows, float)
    time = start + step * MINUTE_MS * np.arange(len(rows))
    bars = make_bars(time, *table.T, np.ones(len(rows)) if volume is None else volume)
    return Candles.checked(symbol, Timeframe.of_ms(step * MINUTE_MS), bars)


def detail_of(rows, detail, step=15, fine=5):
    """Return fine candles for the bars named in *detail*; they must add up to the bar."""
    times, prices = [], []
    for bar, parts in sorted(detail.items()):
        assert len(parts) <= step // fine
        if len(parts) == step // fine:
            whole = (parts[0][0], max(p[1] for p in parts), min(p[2] for p in parts), parts[-1][3])
            assert whole == tuple(rows[bar]), "detail rows must add up to their bar"
        for k, part in enumerate(parts):
            times.append(START + (bar * step + k * fine) * MINUTE_MS)
            prices.append(part)
    bars = make_bars(times, *np.array(prices, float).T, np.ones(len(times)))
    return Candles("TEST", Timeframe.of_ms(fine * MINUTE_MS), bars)


def flip(price):
    """Mirror a price at 100."""
    return None if price is None else 200.0 - price


def flip_rows(rows):
    """Mirror rows of open, high, low, close."""
    return [(flip(o), flip(low), flip(high), flip(c)) for o, high, low, c in rows]


def flip_order(order):
    """Mirror one order of a script."""
    mirrored = dict(order)
    if "side" in mirrored:
        mirrored["side"] = -mirrored["side"]
    for name in ("price", "limit", "stop"):
        if name in mirrored:
            mirrored[name] = flip(mirrored[name])
    if "targets" in mirrored:
        mirrored["targets"] = [(flip(price), size) for price, size in mirrored["targets"]]
    return mirrored


@dataclass(frozen=True)
class Player:
    """Plays tables; see the module docstring."""

    free: Settings = FREE
    rules: Instrument = RULES
    start: int = START

    @staticmethod
    def candles(rows, **more):
        """Return checked candles of *rows*."""
        return candles_of(rows, **more)

    @staticmethod
    def play(
        rows, orders, *, detail=None, funding=None, settings=FREE, rules=RULES, step=15,
        trade_from=0,
    ) -> Result:  # fmt: skip
        """Return the result of the table as written.

        *orders* maps a bar to an order or a list of them; *funding* lists (minute, rate).
        """
        script = {bar: [o] if isinstance(o, dict) else list(o) for bar, o in orders.items()}
        strategy = type("Table", (Scripted,), {"script": script})
        rates = None
        if funding is not None:
            minutes, rate = np.array(funding, float).T
            rates = Funding("TEST", START + minutes.astype(np.int64) * MINUTE_MS, rate)
        fine = None if detail is None else detail_of(rows, detail, step)
        market = Market(candles_of(rows, step), rules, rates, fine)
        return run_backtest(strategy, market, {}, settings, trade_from=trade_from)

    def check(self, rows, orders, fills, *, reason=None, **more) -> Result:
        """Play the table and its mirror; *fills* are (bar, signed size, price), in order.

        The forced exit at the end of the run is not listed. *reason* is that of the last fill.
        """
        result = self.play(rows, orders, **more)
        self.compare(result, fills, reason)
        mirrored = {
            bar: [flip_order(o) for o in ([item] if isinstance(item, dict) else item)]
            for bar, item in orders.items()
        }
        if more.get("detail") is not None:
            more["detail"] = {bar: flip_rows(parts) for bar, parts in more["detail"].items()}
        other = self.play(flip_rows(rows), mirrored, **more)
        self.compare(other, [(bar, -size, flip(price)) for bar, size, price in fills], reason)
        assert other.equity == pytest.approx(result.equity), "the mirrored table earns the same"
        return result

    @staticmethod
    def compare(result, fills, reason=None):
        """Assert that *result* has exactly *fills* (and the reason of the last one)."""
        listed = result.fills[result.fills["reason"] != ExitReason.END]
        found = [
            (int(f["bar"]), float(f["side"] * f["size"]), round(float(f["price"]), 6))
            for f in listed
        ]
        assert found == [(bar, size, round(price, 6)) for bar, size, price in fills]
        if reason is not None:
            assert ExitReason(int(listed[-1]["reason"])) == reason


@pytest.fixture(scope="session")
def table() -> Player:
    """The table player."""
    return Player()
