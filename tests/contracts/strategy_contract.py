"""The audit of a strategy: nothing it did may depend on a bar that came later.

`first_difference` runs a strategy on a market, then again on the market cut short and on the same
market with another future, many times over. Whatever was decided, filled, closed and earned up to
the cut must be the same to the last bit. It is a pure function of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ORDER, ExitReason, Kind, Records, Result, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Bars, Candles
from ftbt.data.market import Market
from ftbt.data.precision import round_price
from ftbt.errors import InputError, StrategyBroken
from ftbt.strategy.loader import StrategyRef

_SENT = ("id", "parent", "bar", "side", "kind", "role", "size")
NO_FUTURE = "no bars after it"
RISING = "rising bars after it"
FALLING = "falling bars after it"


@dataclass(frozen=True)
class Difference:
    """The first thing that changed when only the future did.

    Attributes:
        what: "order", "fill", "trade", "equity" or "error".
        bar: the bar of the decision or fill that differs.
        cut: the last bar that both runs have in common.
        future: what came after the cut.
        detail: what was expected and what was found.
    """

    what: str
    bar: int
    cut: int
    future: str
    detail: str

    def __str__(self) -> str:
        return (
            f"{self.what} of bar {self.bar} is another one when bar {self.cut} has {self.future}:"
            f" {self.detail}"
        )


def first_difference(
    strategy: StrategyRef | type[Any],
    market: Market,
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    trade_from: int = 0,
    cuts: int | Sequence[int] = 20,
    seed: int = 0,
    engine: str = "reference",
) -> Difference | None:
    """Return the first thing that depends on a later bar, None when nothing does.

    Args:
        strategy: a reference or a class.
        market: candles, rules, and what else the run shall see.
        parameters: as of `run_backtest`, and so are the next two and the engine.
        settings: capital and costs.
        trade_from: bars at the front that only warm the lines up.
        cuts: after which bars to cut, or how many cuts; most are then placed at
            bars at whose close an entry was decided, the rest anywhere.
        seed: of the places and the other futures.
        engine: which engine makes all the runs.

    Raises:
        StrategyBroken: the strategy does not even run on the market as it is.
    """
    rng = np.random.default_rng(seed)

    def run(one: Market) -> Result:
        return run_backtest(
            strategy, one, parameters, settings, trade_from=trade_from, engine=engine
        )

    full = run(market)
    places = _places(full, trade_from, cuts, rng) if isinstance(cuts, int) else list(cuts)
    found = []
    for cut in places:
        for future in (NO_FUTURE, RISING, FALLING):
            try:
                other = run(_with_future(market, cut, future, rng))
            except StrategyBroken as error:
                return Difference("error", cut, cut, future, str(error))
            except InputError:
                continue  # fewer bars than its indicators need
            decimals = market.instrument.size_decimals
            found.append(_Pair(full, other, trade_from, cut, future, decimals).difference())
    differences = [one for one in found if one is not None]
    return min(differences, key=lambda one: one.bar) if differences else None


def _places(full: Result, trade_from: int, count: int, rng: np.random.Generator) -> list[int]:
    """Return bars to cut after: three of four where an entry was decided, the rest anywhere."""
    first, last = trade_from + 2, trade_from + len(full.time) - 2
    decided = np.unique(full.orders["bar"][full.orders["role"] == Role.ENTRY])
    decided = decided[(decided >= first) & (decided <= last)]
    chosen = rng.permutation(decided)[: count * 3 // 4]
    anywhere = rng.integers(first, last + 1, count - len(chosen))
    return sorted({*chosen.tolist(), *anywhere.tolist()})


def _with_future(market: Market, cut: int, future: str, rng: np.random.Generator) -> Market:
    """Return the market up to bar *cut* with nothing, or with a few wild bars, after it."""
    if future == NO_FUTURE:
        return market.slice(0, cut + 1)
    drift = 0.02 if future == RISING else -0.02
    bars = market.candles.bars[: cut + 4].copy()
    close = bars["close"][cut]
    for row in bars[cut + 1 :]:
        row["open"] = close * np.exp(drift * rng.random())
        row["close"] = close = row["open"] * np.exp(drift * (0.5 + rng.random()))
        row["high"] = max(row["open"], close) * (1 + 0.01 * rng.random())
        row["low"] = min(row["open"], close) / (1 + 0.01 * rng.random())
        row["volume"] *= rng.lognormal()
    candles = replace_bars(market.candles, bars)
    detail = market.detail
    if detail is not None:  # it must not show the future that was taken away
        rows = int(np.searchsorted(detail.time, bars["time"][cut] + market.candles.timeframe.ms))
        detail = detail.slice(0, rows) if rows else None
    return replace(market, candles=candles, detail=detail)


def replace_bars(candles: Candles, bars: Bars) -> Candles:
    """Return the same candles with other bars."""
    return Candles(candles.symbol, candles.timeframe, bars, candles.source, candles.synthetic)


@dataclass(frozen=True)
class _Pair:
    """The run on the whole market and one that shares its bars up to *cut*."""

    full: Result
    other: Result
    trade_from: int
    cut: int
    future: str
    decimals: int

    def difference(self) -> Difference | None:
        """Return the first difference up to the cut."""
        # A run without a future ends at the cut: nothing is decided there, and it ends flat.
        decided = self.cut - 1 if self.future == NO_FUTURE else self.cut
        orders = [_orders(result, decided) for result in (self.full, self.other)]
        fills = [self._until(result.fills, "bar", "reason") for result in (self.full, self.other)]
        trades = [
            self._until(result.trades, "exit_bar", "exit_reason")
            for result in (self.full, self.other)
        ]
        found = [
            *self._first("order", "bar", *orders, self._order_differs),
            *self._first("fill", "bar", *fills, _differs),
            *self._first("trade", "exit_bar", *trades, _differs),
            *self._equity(),
        ]
        return min(found, key=lambda one: one.bar) if found else None

    def _until(self, records: Records, bar: str, reason: str) -> Records:
        return records[(records[bar] <= self.cut) & (records[reason] != ExitReason.END)]

    def _first(
        self, what: str, bar: str, expected: Records, got: Records, differs: Any
    ) -> list[Difference]:
        for one, two in zip(expected, got, strict=False):
            if said := differs(one, two):
                return [self._said(what, min(one[bar], two[bar]), said)]
        if len(expected) == len(got):
            return []
        more, word = (expected, "missing") if len(expected) > len(got) else (got, "new")
        extra = more[min(len(expected), len(got))]
        return [self._said(what, extra[bar], f"{extra} is {word}")]

    def _said(self, what: str, bar: Any, said: str) -> Difference:
        return Difference(what, int(bar), self.cut, self.future, said)

    def _order_differs(self, one: Any, two: Any) -> str:
        """Compare an order as it was sent, and how it ended if that was by the cut."""
        ended = 0 <= one["end_bar"] <= self.cut
        open_two = two["end_bar"] > self.cut or (
            self.future == NO_FUTURE
            and two["end_bar"] == self.cut
            and two["status"] == Status.CANCELLED
        )
        if ended or not open_two:
            return _differs(one, two)
        said = _differs(one, two, _SENT)
        moved = self._moved(self.full, one) or self._moved(self.other, two)
        return said or ("" if moved else _differs(one, two, ("price", "limit")))

    def _moved(self, result: Result, order: Any) -> bool:
        """Tell whether the price of *order* may be where it was moved to, not where it was sent."""
        if order["kind"] in (Kind.TRAIL, Kind.TRAIL_LIMIT):
            return True
        entries = result.fills["price"][result.fills["order"] == order["parent"]]
        even = {round_price(float(price), self.decimals) for price in entries}
        return bool(order["role"] == Role.STOP) and float(order["price"]) in even

    def _equity(self) -> list[Difference]:
        forced = (self.other.fills["reason"] == ExitReason.END) & (
            self.other.fills["bar"] <= self.cut
        )
        stop = self.cut - self.trade_from + (0 if forced.any() else 1)
        left, right = self.full.equity[:stop], self.other.equity[:stop]
        if left.tobytes() == right.tobytes():
            return []
        at = int(np.argmax(left != right))
        said = f"{right[at]!r} instead of {left[at]!r}"
        return [self._said("equity", at + self.trade_from, said)]


def _orders(result: Result, last: int) -> Records:
    """Return the orders decided up to bar *last*, without the one that ends the run."""
    forced = result.fills["order"][result.fills["reason"] == ExitReason.END]
    orders = result.orders
    return orders[(orders["bar"] <= last) & ~np.isin(orders["id"], forced)]


def _differs(one: Any, two: Any, names: Sequence[str] = ()) -> str:
    """Return the first field in which two records differ, "" when none does."""
    for name in names or one.dtype.names:
        if one[name].tobytes() != two[name].tobytes():
            return f"{name} {two[name]} instead of {one[name]} in {one}"
    return ""


def must_be_same(one: Result, two: Result, what: str) -> None:
    """Assert that two results are the same orders, fills, trades and equity, bit for bit."""
    for name in ("orders", "fills", "trades"):
        left, right = getattr(one, name), getattr(two, name)
        assert len(left) == len(right), f"{what}: {len(right)} {name} instead of {len(left)}"
        for a, b in zip(left, right, strict=True):
            assert not _differs(a, b), f"{what}: {name}: {_differs(a, b)}"
    assert one.equity.tobytes() == two.equity.tobytes(), f"{what}: the equity differs"
    assert one.orders.dtype == ORDER
    assert dict(one.refused) == dict(two.refused), f"{what}: the refusals differ"
