"""Were the limits on risk kept? Judged by the exchange's own records, not by the bot's word."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.data.timeframe import DAY_MS, show_ms
from soak.ledger import NOTHING, Ledger

# Between the close at which a size is decided and the fill the market moves on.
SLACK = 1.05
# Of a limit on losses that a close has reached the bot hears with that close; what it has sent by
# then may still fill, and faults may hold up the close itself.
LATE_BARS = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """One limit.

    Attributes:
        name: as `--limit` has it.
        limit: as asked.
        most: that was found, in the limit's unit.
        reached: how often it stood in the way, as far as that can be seen from outside.
        broken: in words; empty when it was kept.
    """

    name: str
    limit: float
    most: float
    reached: int
    broken: tuple[str, ...]


def limits_kept(
    records: Mapping[str, Any], markets: Sequence[Market], settings: Settings
) -> list[Kept]:
    """Return each limit beside what happened.

    Args:
        records: of the account, of the control API.
        markets: that were traded: marks between fills.
        settings: with the limits.
    """
    walk = _Walk(records, markets, settings)
    walk.run()
    limits = settings.limits
    return [
        _most("positions", limits.positions, walk.positions),
        _most("total_exposure", limits.total_exposure, walk.exposure, SLACK),
        _most("risk_per_trade", limits.risk_per_trade, walk.risk, SLACK),
        _most("trades_per_day", limits.trades_per_day,
              [(day * DAY_MS, float(n)) for day, n in walk.opened.items()]),
        walk.losses("daily_loss", limits.daily_loss, DAY_MS),
    ]  # fmt: skip


def _most(name: str, limit: float, seen: Sequence[tuple[int, float]], slack: float = 1.0) -> Kept:
    broken = tuple(
        f"{name} {value:.4g} at {show_ms(at)}, the limit is {limit:g}"
        for at, value in seen if value > limit * slack
    )  # fmt: skip
    most = max((value for _, value in seen), default=0.0)
    return Kept(name, limit, most, sum(value >= limit for _, value in seen), broken)


class _Walk:
    """Goes through the life of an account, fill by fill and close by close."""

    def __init__(
        self, records: Mapping[str, Any], markets: Sequence[Market], settings: Settings
    ) -> None:
        self._records, self._settings = records, settings
        self._bars = {market.symbol: market.candles for market in markets}
        first = next(iter(self._bars.values()))
        self._step = first.timeframe.ms
        self._ledger = Ledger()
        self._stops = _stops(records["orders"])
        self.positions: list[tuple[int, float]] = []
        self.exposure: list[tuple[int, float]] = []
        self.risk: list[tuple[int, float]] = []
        self.opened: Counter[int] = Counter()
        self._closes: list[tuple[int, Fraction]] = []  # (close, worth)

    def run(self) -> None:
        """Go through it."""
        for row in self._records["ledger"]:
            self._ledger.move(row)
        rows = [(int(row["time"]), 0, row) for row in self._records["funding"]]
        rows += [(int(row["time"]), 1, row) for row in self._records["fills"]]
        rows.sort(key=lambda one: one[:2])
        begin = rows[0][0] if rows else 0
        at = begin // self._step * self._step
        for time, kind, row in rows:
            at = self._mark(at, time)
            if kind == 0:
                self._ledger.pay(row)
            else:
                self._fill(row)
        last = max((int(bars.time[-1]) for bars in self._bars.values()), default=at)
        self._mark(at, last)

    def _mark(self, at: int, until: int) -> int:
        """Note what the account is worth at each close from *at* up to *until*."""
        while at + self._step <= until:
            at += self._step
            self._closes.append((at, self._ledger.worth(self._prices(at))))
        return at

    def _prices(self, close: int) -> dict[str, Fraction]:
        """Return the newest closes at a moment."""
        found = {}
        for coin, bars in self._bars.items():
            row = int(np.searchsorted(bars.time, close - self._step, side="right")) - 1
            found[coin] = Fraction(float(bars.close[max(0, row)]))
        return found

    def _fill(self, row: Mapping[str, Any]) -> None:
        coin, time = str(row["coin"]), int(row["time"])
        before = self._ledger.size(coin)
        self._ledger.fill(row)
        after = self._ledger.size(coin)
        if abs(after) <= abs(before):
            return
        if not before:
            self.opened[time // DAY_MS] += 1
        held = self._ledger.held
        prices = self._prices(time // self._step * self._step)
        worth = float(self._ledger.worth({**prices, coin: Fraction(row["px"])}))
        margin = float(sum((abs(one.cost) for one in held.values()), NOTHING))
        margin /= float(self._settings.leverage)
        self.positions.append((time, float(len(held))))
        self.exposure.append((time, margin / worth))
        stop = self._stops.get(coin, {}).get(int(row["oid"]))
        if stop is not None:
            lost = abs(float(stop) - float(row["px"])) * float(abs(after))
            self.risk.append((time, lost / worth))

    def losses(self, name: str, limit: float, span_ms: int) -> Kept:
        """Return whether nothing was opened after a loss of *limit* within a day."""
        start: dict[int, Fraction] = {}
        reached: dict[int, int] = {}
        most, before = 0.0, self._ledger.deposits
        for close, worth in self._closes:
            number = (close - 1) // span_ms
            base = start.setdefault(number, before)
            lost = float(1 - worth / base)
            most = max(most, lost)
            if lost >= limit:
                reached.setdefault(number, close)
            before = worth
        broken = []
        for order in self._records["orders"]:
            time = int(order["order"]["timestamp"])
            since = reached.get(time // span_ms)
            opens = not order["order"]["reduceOnly"]
            if since is not None and opens and time > since + LATE_BARS * self._step:
                broken.append(f"opened at {show_ms(time)}, {name} was reached at {show_ms(since)}")
        return Kept(name, limit, most, len(reached), tuple(broken))


def _stops(orders: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, str]]:
    """Return, by coin and number of the entry, the price of the stop that was sent with it."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    entry: Mapping[str, Any] | None = None
    for row in sorted(orders, key=lambda one: int(one["order"]["oid"])):
        order = row["order"]
        if not order["reduceOnly"]:
            entry = order
        elif (
            entry is not None and order["isTrigger"] and order["coin"] == entry["coin"]
            and int(order["oid"]) == int(entry["oid"]) + 1
        ):  # fmt: skip
            found[order["coin"]][int(entry["oid"])] = order["triggerPx"]
    return found
