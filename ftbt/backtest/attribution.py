"""Who earned what: profit, risk and costs of a run by strategy, by symbol and by pair of both.

Profits are money and add up: the parts' sum is the whole, line by line and bar by bar. Each part
has a profit curve that is marked to market from its fills: what its position gained from close to
close, what each fill gained from its price to the close, minus fees. Funding is known per trade
and is booked in the trade's exit bar, so the sum of the curves is the account's equity minus its
capital wherever nothing is held, and apart by the funding of open trades in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ftbt.backtest.profit_curves import held_in_bar, positions_at_close, profit_curves
from ftbt.backtest.return_metrics import NAN, known, ratio
from ftbt.backtest.trade_metrics import expectancy_r, win_rate
from ftbt.data.timeframe import DAY_MS
from ftbt.errors import IntegrityError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = NDArray[np.void]

_SUMS = ("net", "gross", "fees", "funding", "slippage")


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a run did; money in the quote currency.

    Attributes:
        strategy: name, None for all strategies together.
        symbol: name, None for all symbols together.
        trades: finished ones.
        net: their profit after fees and funding.
        gross: their profit of prices alone, slippage included.
        fees: paid.
        funding: paid (positive) or received (negative).
        slippage: already inside gross; shown apart.
        open_profit: of fills that belong to no finished trade yet, marked at the last close,
            after fees; 0 for a run that ended flat.
        win_rate: share of trades with a profit, NaN without trades.
        mean_r: mean profit in units of the initial risk, over trades with a stop.
        risk: sum of the initial risks, size x |entry - stop|, of trades with a stop.
        mean_risk: their mean, NaN when no trade had a stop.
        bars_held: bars in which a position was held, if only for a part of the bar. A bar with
            two positions counts once, so parts may add up to more than the whole.
        drawdown: deepest fall of the part's own profit curve from its highest value, or from the
            start, <= 0.
        drawdown_of_capital: the same as a fraction of the account's capital.
        variance_share: covariance of the part's daily profit with the account's over the variance
            of the account's: 1 together, negative for a part that hedges the rest, NaN when the
            account's profit did not vary.
    """

    strategy: str | None
    symbol: str | None
    trades: int
    net: float
    gross: float
    fees: float
    funding: float
    slippage: float
    open_profit: float
    win_rate: float
    mean_r: float
    risk: float
    mean_risk: float
    bars_held: int
    drawdown: float
    drawdown_of_capital: float
    variance_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """The parts of a run, by each way to cut it.

    Attributes:
        strategies: names.
        symbols: names.
        time: opens of the evaluated bars, ms UTC, shape (n,).
        total: the whole account.
        by_strategy: in the order of *strategies*, idle ones too.
        by_symbol: in the order of *symbols*, idle ones too.
        by_pair: every strategy on every symbol, the symbols of the first strategy first.
        curves: profit since the start at each close, in the order of *by_pair*, shape
            (n, strategies x symbols).
        flat: at whose close nothing is held, shape (n,).
    """

    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    time: Ints
    total: Part
    by_strategy: tuple[Part, ...]
    by_symbol: tuple[Part, ...]
    by_pair: tuple[Part, ...]
    curves: Floats
    flat: Bools

    def strategy_curves(self) -> Floats:
        """Return the profit curve of each strategy, shape (n, strategies)."""
        return np.asarray(self._cube().sum(axis=2))

    def symbol_curves(self) -> Floats:
        """Return the profit curve of each symbol, shape (n, symbols)."""
        return np.asarray(self._cube().sum(axis=1))

    def total_curve(self) -> Floats:
        """Return the profit curve of the account, shape (n,)."""
        return np.asarray(self.curves.sum(axis=1))

    def largest_gap(self, equity: Floats, capital: float) -> float:
        """Return the largest difference to the account's own profit at bars that end flat.

        Args:
            equity: of the account at each close, shape (n,).
            capital: equity before the first bar.
        """
        apart = np.abs(equity - capital - self.total_curve())[self.flat]
        return float(apart.max()) if len(apart) else 0.0

    @property
    def parts(self) -> tuple[Part, ...]:
        """The whole account, each strategy, each symbol, each pair."""
        return (self.total, *self.by_strategy, *self.by_symbol, *self.by_pair)

    def frame(self) -> pd.DataFrame:
        """Return all parts as rows: `total`, each `strategy`, each `symbol`, each `pair`.

        Columns are `level` and the fields of `Part`; all strategies or symbols together: `all`.
        """
        names = [item.name for item in fields(Part)]
        cuts = (("strategy", self.by_strategy), ("symbol", self.by_symbol), ("pair", self.by_pair))
        rows = [("total", self.total), *((level, part) for level, cut in cuts for part in cut)]
        table = {"level": [level for level, _ in rows]}
        columns = {name: [getattr(part, name) for _, part in rows] for name in names}
        frame = pd.DataFrame({**table, **columns})
        for name in ("strategy", "symbol"):
            frame[name] = ["all" if one is None else one for one in columns[name]]
        return frame

    def curves_frame(self) -> pd.DataFrame:
        """Return the profit curves as rows of time, strategy, symbol and profit, by pair."""
        n, pairs = self.curves.shape
        opens = pd.to_datetime(np.tile(self.time, pairs), unit="ms", utc=True)
        return pd.DataFrame(
            {
                "time": opens.as_unit("ms"),
                "strategy": np.repeat([part.strategy for part in self.by_pair], n),
                "symbol": np.repeat([part.symbol for part in self.by_pair], n),
                "profit": self.curves.T.ravel(),
            }
        )

    def _cube(self) -> Floats:
        return self.curves.reshape(len(self.time), len(self.strategies), len(self.symbols))


def attribute(
    trades: Records,
    fills: Records,
    time: Ints,
    closes: Floats,
    capital: float,
    strategies: Sequence[str],
    symbols: Sequence[str],
    first_bar: int = 0,
) -> Attribution:
    """Return who earned what.

    Args:
        trades: TRADE records in order of time.
        fills: FILL records in order of time.
        time: opens of the evaluated bars, ms UTC, shape (n,).
        closes: closing prices of those bars, NaN where a symbol has none, shape (n, symbols).
        capital: equity before the first bar.
        strategies: names; `strategy` of the records is an index into them.
        symbols: names; `symbol` of the records is an index into them.
        first_bar: number, as in `bar` of the records, of the first evaluated bar.

    Raises:
        IntegrityError: a record of a bar, strategy or symbol that the run does not have.
    """
    shape = (len(time), len(strategies), len(symbols))
    _check(fills, "fill", ("bar",), first_bar, shape)
    _check(trades, "trade", ("entry_bar", "exit_bar"), first_bar, shape)
    positions = positions_at_close(fills, first_bar, shape)
    run = _Run(
        strategies=tuple(strategies),
        symbols=tuple(symbols),
        trades=trades,
        curves=profit_curves(trades, fills, closes, positions, first_bar),
        positions=positions,
        held=held_in_bar(fills, positions, first_bar),
        day_ends=_day_ends(time),
        capital=capital,
    )
    rows, columns = range(shape[1]), range(shape[2])
    return Attribution(
        strategies=run.strategies,
        symbols=run.symbols,
        time=time,
        total=run.part(),
        by_strategy=tuple(run.part(row=row) for row in rows),
        by_symbol=tuple(run.part(column=column) for column in columns),
        by_pair=tuple(run.part(row, column) for row in rows for column in columns),
        curves=run.curves.reshape(len(time), shape[1] * shape[2]),
        flat=np.asarray(~positions.any(axis=(1, 2)), np.bool_),
    )


def _check(
    records: Records,
    what: str,
    bars: tuple[str, ...],
    first_bar: int,
    shape: tuple[int, int, int],
) -> None:
    limits = dict.fromkeys(bars, (first_bar, shape[0]))
    limits |= {"strategy": (0, shape[1]), "symbol": (0, shape[2])}
    for name, (low, count) in limits.items():
        bad = (records[name] < low) | (records[name] >= low + count)
        if bad.any():
            row = int(np.argmax(bad))
            raise IntegrityError(
                f"{what} {row} has {name} {int(records[name][row])}, but the run has {low} to"
                f" {low + count - 1}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What the parts of a run are made from; cubes have the shape (n, strategies, symbols)."""

    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    trades: Records
    curves: Floats
    positions: Floats
    held: Bools
    day_ends: Ints
    capital: float

    def part(self, row: int | None = None, column: int | None = None) -> Part:
        """Return what strategy *row* did on symbol *column*, each None for all of them."""
        rows = slice(None) if row is None else slice(row, row + 1)
        columns = slice(None) if column is None else slice(column, column + 1)
        trades = self._trades_of(row, column)
        curve = self.curves[:, rows, columns].sum(axis=(1, 2))
        sums = {name: float(trades[name].sum()) for name in _SUMS}
        risk = trades["size"] * np.abs(trades["entry_price"] - trades["stop"])
        risk = risk[~np.isnan(risk)]
        fall = _deepest_fall(curve)
        ends_flat = not self.positions[-1:, rows, columns].any()
        return Part(
            strategy=None if row is None else self.strategies[row],
            symbol=None if column is None else self.symbols[column],
            trades=len(trades),
            **sums,
            open_profit=0.0 if ends_flat else float(curve[-1]) - sums["net"],
            win_rate=known(win_rate(np.ascontiguousarray(trades["net"]))),
            mean_r=known(expectancy_r(np.ascontiguousarray(trades["r"]))),
            risk=float(risk.sum()),
            mean_risk=float(risk.mean()) if len(risk) else NAN,
            bars_held=int(np.count_nonzero(self.held[:, rows, columns].any(axis=(1, 2)))),
            drawdown=fall,
            drawdown_of_capital=ratio(fall, self.capital),
            variance_share=_variance_share(
                self._daily(curve), self._daily(self.curves.sum(axis=(1, 2)))
            ),
        )

    def _trades_of(self, row: int | None, column: int | None) -> Records:
        mine = np.ones(len(self.trades), np.bool_)
        if row is not None:
            mine &= self.trades["strategy"] == row
        if column is not None:
            mine &= self.trades["symbol"] == column
        return self.trades[mine]

    def _daily(self, curve: Floats) -> Floats:
        """Return the profit of each UTC day that has a bar."""
        return np.diff(curve[self.day_ends], prepend=0.0)


def _deepest_fall(curve: Floats) -> float:
    """Return the deepest fall below the highest value so far, the start (0) included."""
    peak = np.maximum(np.maximum.accumulate(curve), 0.0)
    return float((curve - peak).min(initial=0.0))


def _variance_share(part: Floats, total: Floats) -> float:
    """Return cov(part, total) / var(total), NaN without variance."""
    if len(total) < 2:
        return NAN
    apart = total - total.mean()
    variance = float(apart @ apart)
    # Equal profits have a spread of rounding errors only.
    if not variance > len(total) * (1e-12 * float(np.abs(total).max())) ** 2:
        return NAN
    return float((part - part.mean()) @ apart) / variance


def _day_ends(time: Ints) -> Ints:
    """Return the number of each UTC day's last bar."""
    day = time // DAY_MS
    return np.flatnonzero(np.append(day[1:] != day[:-1], np.ones(min(1, len(day)), np.bool_)))
