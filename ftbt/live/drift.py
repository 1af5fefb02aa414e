"""How far a session drifted from the back-test: figures and trades, in plain values."""

from __future__ import annotations

from dataclasses import dataclass

# Bump when a field changes its meaning.
FORMAT = 1

IDENTICAL = "identical"
DIFFERS = "differs"
MISSING = "missing"
EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about a trade that is not the same.

    Attributes:
        what: trade, entry bar, size, entry price, exit, exit price, fees or funding.
        expected: in the back-test, in words.
        actual: in the session, in words.
        cause: one of the named causes.
        detail: what speaks for the cause.
    """

    what: str
    expected: str
    actual: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class TradeDrift:
    """One trade of the back-test, the session, or both.

    Attributes:
        symbol, strategy: whose it is.
        side: long or short.
        entry_ms: open of the bar in which it was entered in the back-test (in the session, for an
            extra trade), ms UTC.
        status: `identical`, `differs`, `missing` (in the session) or `extra`.
        size: in the back-test (in the session, for an extra trade).
        entry_ticks, exit_ticks: how many ticks the session's price was worse, NaN where there is
            nothing to compare.
        entry_bp, exit_bp: the same in hundredths of a percent of the back-test's price.
        cost: net profit of the back-test less that of the session, quote currency; a missing
            trade costs its profit, an extra one its loss.
        differences: what is not the same. An identical trade may have other fees or funding.
    """

    symbol: str
    strategy: str
    side: str
    entry_ms: int
    status: str
    size: float
    entry_ticks: float
    exit_ticks: float
    entry_bp: float
    exit_bp: float
    cost: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure is distributed over trades; positive is worse than the back-test.

    Attributes:
        count: trades with such a figure.
        mean, median: of all.
        low, high: 5th and 95th percentile.
        largest: the one furthest from zero.
    """

    count: int
    mean: float
    median: float
    low: float
    high: float
    largest: float


@dataclass(frozen=True, slots=True)
class CauseDrift:
    """What one cause did.

    Attributes:
        cause: its name.
        trades: whose first difference it explains.
        differences: how many it explains in all.
        cost: of those trades, quote currency.
    """

    cause: str
    trades: int
    differences: int
    cost: float


@dataclass(frozen=True, slots=True)
class Drift:
    """A session compared with the back-test on the same bars.

    Attributes:
        format: version of this structure.
        strategies, symbols, timeframe: what was traded.
        start_ms: open of the first bar that is compared.
        end_ms: close of the last one.
        expected, actual: trades of the back-test and of the session, open ones included.
        identical: trades with the same bars, side, size and reasons, and prices within one tick.
        missing: trades that the session lacks.
        extra: trades that the back-test lacks.
        unexplained: differences without a known cause.
        share: identical trades as a part of all trades of either side; NaN without any.
        entry_ticks, entry_bp: of entries in the same bar.
        exit_ticks, exit_bp: of exits in the same bar and for the same reason.
        cost: net profit of the back-test less that of the session, over all trades.
        equity_gap: largest distance of both equity curves, as a fraction of the capital.
        causes: the most expensive first.
        trades: in order of their entries.
        notes: sentences that belong beside the figures.
    """

    format: int
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    timeframe: str
    start_ms: int
    end_ms: int
    expected: int
    actual: int
    identical: int
    missing: int
    extra: int
    unexplained: int
    share: float
    entry_ticks: Spread
    exit_ticks: Spread
    entry_bp: Spread
    exit_bp: Spread
    cost: float
    equity_gap: float
    causes: tuple[CauseDrift, ...]
    trades: tuple[TradeDrift, ...]
    notes: tuple[str, ...]
