"""What the limits on risk promise, recomputed from a result alone, in another way than ftbt does.

Nothing here calls ftbt's risk code. Positions are sums of fills, groups come from numpy.corrcoef,
losses from the equity curve. Whatever is not as promised becomes a line of text.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from limits_kit import Question

from ftbt.backtest.result import Result, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.strategy.records import Refusal

DAY = 86_400_000
HAIR = 1e-9
LIMIT_ORDER_PRICE = {1: None, 2: "price", 3: "price", 4: "limit"}  # by kind: market to stop-limit


class UnclearError(Exception):
    """A figure lies on its limit but for rounding: nothing can be said."""


class Ledger:
    """What an account held after every close of the clock, read off a result.

    Attributes:
        equity, last: at every close; prices shape (n, symbols), the last known ones.
        position: signed, shape (n, symbols).
        entries: dictionaries of all entry orders, with the bars at whose close they wait.
        waiting: entries that wait after the close, notional at their worst price, and how many.
    """

    def __init__(self, question: Question, result: Result) -> None:
        self.question, self.result = question, result
        self.settings: Settings = question.account
        self.clock = question.times[question.kept]
        count, symbols = question.closes.shape
        self.equity = np.full(count, self.settings.capital)
        self.equity[result.first_bar :] = result.equity
        np.testing.assert_array_equal(result.closes, question.closes[result.first_bar :])
        self.last = pd.DataFrame(question.closes).ffill().to_numpy()
        self.position = np.zeros((count, symbols))
        for fill in result.fills:
            self.position[fill["bar"] :, fill["symbol"]] += fill["side"] * fill["size"]
        self.position[np.abs(self.position) < HAIR] = 0.0
        self.waiting = np.zeros((count, symbols))
        self.orders_waiting = np.zeros((count, symbols), int)
        self.entries = [self._entry(row) for row in result.orders if row["role"] == Role.ENTRY]
        for one in self.entries:
            bars = slice(one["bar"], one["end"])
            self.waiting[bars, one["symbol"]] += one["size"] * one["worst"]
            self.orders_waiting[bars, one["symbol"]] += 1
        self.leverage = np.array(
            [
                min(self.settings.leverage, rules.get("max_leverage", 20.0))
                for rules in question.rules[:symbols]
            ]
        )
        held = np.abs(self.position) * np.nan_to_num(self.last)
        self.margin = (held + self.waiting) / self.leverage
        self.busy = (self.position != 0.0) | (self.orders_waiting > 0)
        self.day = self.clock // DAY
        self.groups = cache(self._groups)

    def _entry(self, row: Any) -> dict[str, Any]:
        bar, symbol = int(row["bar"]), int(row["symbol"])
        named = LIMIT_ORDER_PRICE[int(row["kind"])]
        worst = float(row[named]) if named else float(self.last[bar, symbol])
        end = int(row["end_bar"]) if row["end_bar"] >= 0 else len(self.clock)
        return dict(
            id=int(row["id"]), bar=bar, end=end, symbol=symbol, strategy=int(row["strategy"]),
            size=float(row["size"]), worst=worst, filled=row["filled"] > 0, status=row["status"],
        )  # fmt: skip

    def stop_of(self, entry: dict[str, Any]) -> float:
        """Return the stop that *entry* was sent with; the order itself may have moved."""
        if entry["filled"]:
            trades = self.result.trades
            mine = (trades["entry_bar"] == entry["end"]) & (trades["symbol"] == entry["symbol"])
            return float(trades["stop"][mine][0])
        orders = self.result.orders
        child = (orders["parent"] == entry["id"]) & (orders["role"] == Role.STOP)
        return float(orders["price"][child][0])

    def trades_opened(self, day: int) -> list[int]:
        """Return the bars of *day* in which trades were opened."""
        bars = [int(bar) for bar in self.result.trades["entry_bar"]]
        return [bar for bar in bars if self.day[bar] == day]

    def _groups(self, day: int) -> np.ndarray:
        """Return a group number for each symbol, from the returns of the full days before."""
        limits = self.settings.limits
        closes = self.question.closes
        before, after = self.clock[:-1], self.clock[1:]
        inside = (before // DAY >= day - limits.correlation_days) & (
            (after + self.question.step - 1) // DAY < day
        )
        inside &= after - before == self.question.step
        returns = np.log(closes[1:] / closes[:-1])[inside]
        needed = max(10, np.ceil(limits.correlation_days * DAY / self.question.step / 2))
        symbols = closes.shape[1]
        linked = np.eye(symbols, dtype=bool)
        for a in range(symbols):
            for b in range(a):
                both = returns[:, [a, b]]
                both = both[~np.isnan(both).any(axis=1)]
                linked[a, b] = linked[b, a] = _linked(both, needed, limits.correlation)
        reach = np.linalg.matrix_power(linked.astype(int), symbols) > 0
        return np.argmax(reach, axis=1)


def _linked(returns: np.ndarray, needed: float, threshold: float) -> bool:
    if len(returns) < needed or (returns.std(axis=0) < 1e-12).any():
        return True
    found = float(np.corrcoef(returns.T)[0, 1])
    if abs(found - threshold) < HAIR:
        raise UnclearError
    return found > threshold


# --- losses --------------------------------------------------------------------------------------


def _reached(equity: float, start: float, limit: float) -> bool:
    """Tell whether *equity* is down by *limit* from *start*."""
    border = start * (1.0 - limit)
    # Exactly nothing is no rounding error.
    if equity != border and abs(equity - border) <= 1e-12 * start:
        raise UnclearError
    return equity <= border


def losses(book: Ledger) -> dict[Refusal, np.ndarray]:
    """Return, for each limit on losses, whether it is reached at every close."""
    limits = book.settings.limits
    count = len(book.clock)
    before = np.concatenate(([book.settings.capital], book.equity[:-1]))
    week = (book.day + 3) // 7  # Thursday 1970-01-01 lies in a week that began on Monday
    found = {}
    for rule, period, limit in (
        (Refusal.DAILY_LOSS, book.day, limits.daily_loss),
        (Refusal.WEEKLY_LOSS, week, limits.weekly_loss),
    ):
        lost = np.zeros(count, bool)
        for number in np.unique(period):
            bars = np.flatnonzero(period == number)
            hit = [_reached(book.equity[i], before[bars[0]], limit) for i in bars]
            lost[bars] = np.maximum.accumulate(hit)
        found[rule] = lost
    found[Refusal.DRAWDOWN] = _fallen(book, before)
    return found


def _fallen(book: Ledger, before: np.ndarray) -> np.ndarray:
    limits = book.settings.limits
    fallen = np.zeros(len(book.clock), bool)
    peak, until = book.settings.capital, None
    for i, time in enumerate(book.clock):
        if until is not None and time // DAY * DAY >= until:
            until, peak = None, before[i]
        peak = max(peak, book.equity[i])
        if until is None and _reached(book.equity[i], peak, limits.drawdown):
            until = time + limits.breaker_days * DAY
        fallen[i] = until is not None
    return fallen


# --- promises ------------------------------------------------------------------------------------


def broken(question: Question, result: Result) -> dict[Refusal, list[str]]:
    """Return what *result* does that the limits of *question* forbid, by rule; empty when none."""
    book = Ledger(question, result)
    found: dict[Refusal, list[str]] = {}

    def note(rule: Refusal, i: int, text: str) -> None:
        found.setdefault(rule, []).append(f"bar {i}: {text}")

    limits = book.settings.limits
    for one in book.entries:
        _check_exposure(book, one, note)
        _check_risk(book, one, note)
    for i in np.flatnonzero(book.busy.sum(axis=1) > limits.positions):
        note(Refusal.POSITIONS, i, f"{book.busy[i].sum()} positions and entries")
    crowd = book.orders_waiting + (book.position != 0.0)
    for i, symbol in zip(*np.nonzero(crowd > 1), strict=True):
        note(Refusal.ONE_PER_SYMBOL, i, f"symbol {symbol} twice")
    for day, count in Counter(book.day[result.trades["entry_bar"]].tolist()).items():
        if count > limits.trades_per_day:
            note(Refusal.TRADES_PER_DAY, day, f"{count} trades on this day")
    decided = {one["bar"] for one in book.entries}
    for rule, lost in losses(book).items():
        for i in np.flatnonzero(lost):
            if i in decided:
                note(rule, i, "an entry in spite of the loss")
            if book.orders_waiting[i].any():
                note(rule, i, "an entry goes on waiting in spite of the loss")
    return found


def _check_exposure(book: Ledger, entry: dict[str, Any], note: Any) -> None:
    """Check what all positions and entries tie up after the close at which *entry* was sent."""
    limits, i = book.settings.limits, entry["bar"]
    equity = book.equity[i]
    in_use = book.margin[i].sum()
    if limits.total_exposure < 10.0 and in_use > limits.total_exposure * equity * (1 + HAIR):
        note(Refusal.TOTAL_EXPOSURE, i, f"{in_use / equity:.6f} in use")
    if limits.group_exposure >= 10.0:
        return
    groups = book.groups(int(book.day[i]))
    in_group = book.margin[i][groups == groups[entry["symbol"]]].sum()
    if in_group > limits.group_exposure * equity * (1 + HAIR):
        note(Refusal.GROUP_EXPOSURE, i, f"{in_group / equity:.6f} in a group of {groups}")


def _check_risk(book: Ledger, entry: dict[str, Any], note: Any) -> None:
    """Check what *entry* would lose at its stop, costs of both fills included."""
    money, i = book.settings, entry["bar"]
    stop, worst = book.stop_of(entry), entry["worst"]
    each = abs(worst - stop) + (money.taker_fee + money.half_spread) * (worst + stop)
    loss = entry["size"] * each / book.equity[i]
    if loss > money.limits.risk_per_trade * (1 + HAIR):
        note(Refusal.RISK_PER_TRADE, i, f"{loss:.6f} at risk")


# --- refusals ------------------------------------------------------------------------------------


def miscounted(question: Question, result: Result) -> list[str]:
    """Return setups that were not either taken or refused once, and refusals without a setup."""
    book = Ledger(question, result)
    refusals = result.refusals[result.refusals["rule"] != Refusal.NO_MARGIN]
    answers = Counter((one["bar"], one["symbol"], one["strategy"]) for one in book.entries)
    answers.update((int(row["bar"]), int(row["symbol"]), int(row["strategy"])) for row in refusals)
    asked = Counter(question.setups())
    found = [f"{n} answers to a setup at (bar, symbol, strategy) {at}" for at, n in
             (answers - asked).items()]  # fmt: skip
    found += [f"no answer to the setup at (bar, symbol, strategy) {at}" for at in asked - answers]
    at_fill = result.refusals[result.refusals["rule"] == Refusal.NO_MARGIN]
    without = sum(one["status"] == Status.MARGIN for one in book.entries)
    if len(at_fill) != without:
        found.append(f"{len(at_fill)} refusals at a fill, {without} orders without margin")
    return found


def unfounded(question: Question, result: Result) -> list[str]:
    """Return refusals whose rule does not hold, or whose figures are not what they should be."""
    book = Ledger(question, result)
    lost = losses(book)
    found = []
    for row in result.refusals:
        rule, i = Refusal(int(row["rule"])), int(row["bar"])
        if row["time"] != book.clock[i]:
            found.append(f"bar {i}: {rule.name} at another time")
        if rule in lost and not lost[rule][i]:
            found.append(f"bar {i}: {rule.name} without a loss")
        if rule in _FOUNDED and not _FOUNDED[rule](book, row, i):
            found.append(f"bar {i}: {rule.name} without a reason: {row}")
        name = rule.name.lower()
        setting = getattr(book.settings.limits, name, None)
        if setting is not None and row["limit"] != setting:
            found.append(f"bar {i}: {rule.name} of {row['limit']}, not {setting}")
    return found


def _then(book: Ledger, i: int) -> list[dict[str, Any]]:
    """Return the entries that may have waited at some time of the decisions at close *i*."""
    return [one for one in book.entries if one["bar"] <= i <= one["end"]]


def _positions(book: Ledger, row: Any, i: int) -> bool:
    held = {*np.flatnonzero(book.position[i]).tolist(), *(one["symbol"] for one in _then(book, i))}
    return book.settings.limits.positions <= row["figure"] <= len(held)


def _trades(book: Ledger, row: Any, i: int) -> bool:
    opened = [bar for bar in book.trades_opened(int(book.day[i])) if bar <= i]
    most = len(opened) + len(_then(book, i))
    return book.settings.limits.trades_per_day <= row["figure"] <= most


def _taken(book: Ledger, row: Any, i: int) -> bool:
    symbol, strategy = row["symbol"], row["strategy"]
    entries = [one for one in book.entries if one["symbol"] == symbol and one["bar"] <= i]
    return bool(entries) and entries[-1]["strategy"] != strategy


def _exposed(book: Ledger, row: Any, i: int) -> bool:
    """Tell whether the figure is a possible share of the account, at that time."""
    held = np.abs(book.position[i]) * np.nan_to_num(book.last[i]) / book.leverage
    most = held.sum() + sum(
        one["size"] * one["worst"] / book.leverage[one["symbol"]] for one in _then(book, i)
    )
    return 0.0 <= row["figure"] * book.equity[i] <= most * (1 + HAIR)


_FOUNDED: dict[Refusal, Any] = {
    Refusal.POSITIONS: _positions,
    Refusal.TRADES_PER_DAY: _trades,
    Refusal.ONE_PER_SYMBOL: _taken,
    Refusal.TOTAL_EXPOSURE: _exposed,
    Refusal.GROUP_EXPOSURE: _exposed,
}
