"""Sections 8 to 13 of an assessment: parameters, paths, stress, regimes, trades, limits.

Plain values only; see `ftbt.robustness.assessment` for the units and the map to the report.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftbt.robustness.assessment_search import FanData, Histogram


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Median training Sharpe ratio over two parameters, of the newest finished window.

    Attributes:
        window: number.
        x_name, y_name: parameters.
        x_labels, y_labels: what each cell means, in order.
        values: annual Sharpe, rows are y, columns x; NaN where nobody looked.
        counts: trials in each cell, same shape.
        chosen: (column, row) of the chosen trial.
    """

    window: int
    x_name: str
    y_name: str
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    counts: tuple[tuple[int, ...], ...]
    chosen: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PlateauRow:
    """The neighbourhood of a window's chosen trial, and its place among all trials.

    Attributes:
        window: number.
        share: of neighbours that reach *fraction* of the chosen Sharpe ratio; NaN: not judged.
        neighbours: how many.
        reach: they differ by at most this fraction of each value.
        chosen: annual training Sharpe of the chosen trial.
        median: of all trials of the window (system parameter permutation).
        percentile: of the chosen trial among all.
        median_to_best: Ehlers' ratio, NaN unless the best is above 0.
    """

    window: int
    share: float
    neighbours: int
    reach: float
    chosen: float
    median: float
    percentile: float
    median_to_best: float


@dataclass(frozen=True, slots=True)
class ImportanceRow:
    """How much of the training Sharpe ratio's variance a parameter explains.

    Attributes:
        name: of the parameter.
        first: alone, 0 to 1.
        total: with its interactions, 0 and more.
    """

    name: str
    first: float
    total: float


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """One strategy's parameters.

    Attributes:
        strategy: name.
        heat_map: None with fewer than two searched parameters.
        plateaus: one row per finished window.
        plateau_share: median over the windows that could be judged; NaN for none.
        judged_windows: how many those are.
        permutation_median: median training Sharpe of all trials of all windows, annual.
        permutation: histogram of them.
        share_positive: share of trials above 0.
        importance: one row per searched parameter, most important (total) first; empty when it
            could not be estimated.
        importance_floor: what is left between trials that are nearest in all parameters; a total
            not clearly above it means nothing. NaN without importance.
        importance_trials: how many were used.
        evaluator: name of the method.
        drift: (parameter, distinct values chosen, windows) in order of the parameters.
    """

    strategy: str
    heat_map: HeatMap | None
    plateaus: tuple[PlateauRow, ...]
    plateau_share: float
    judged_windows: int
    permutation_median: float
    permutation: Histogram
    share_positive: float
    importance: tuple[ImportanceRow, ...]
    importance_floor: float
    importance_trials: int
    evaluator: str
    drift: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Section 8. A guided search looks more often where it found something: shares look better.

    Attributes:
        strategies: one entry per strategy that was searched; empty: nothing was.
        guided: a sentence about that.
    """

    strategies: tuple[ParameterFacts, ...]
    guided: str


@dataclass(frozen=True, slots=True)
class PathRow:
    """A distribution of paths.

    Attributes:
        how: `block bootstrap`, `resampled trades` or `reshuffled trades`.
        path_only: the total is the same in every path; only the way there differs.
        samples: paths.
        total_p05, total_median, total_p95: gain, fraction.
        depth_p05, depth_median, depth_p95, depth_p99: deepest drawdown >= 0, fraction.
        water_median, water_p95: longest time under water, in *unit*.
        unit: `days` or `trades`.
        actual_depth, actual_water: of the real path.
        share_of_losses: paths that end below the start.
        share_deeper: paths that fall at least as deep as the real one.
        depths: histogram.
    """

    how: str
    path_only: bool
    samples: int
    total_p05: float
    total_median: float
    total_p95: float
    depth_p05: float
    depth_median: float
    depth_p95: float
    depth_p99: float
    water_median: float
    water_p95: float
    unit: str
    actual_depth: float
    actual_water: float
    share_of_losses: float
    share_deeper: float
    depths: Histogram


@dataclass(frozen=True, slots=True)
class RuinRow:
    """The risk of falling to a share of the start.

    Attributes:
        size: multiple of the size that was traded.
        level: share of the initial equity.
        trades: horizon.
        probability: within the horizon.
        standard_error: by the number of samples.
    """

    size: float
    level: float
    trades: int
    probability: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class PathRisk:
    """Section 9: how deep it could have gone.

    Attributes:
        fan: of bootstrapped equity, with the real curve.
        rows: block bootstrap of days first, then trades drawn again, then trades reshuffled.
        limit: the user's limit on drawdown, fraction; 1: none.
        chance_of_limit: share of bootstrapped paths that reach it; NaN without a limit.
        ruin: at half, once and twice the size that was traded.
        risk_per_trade: median fraction of the equity that a trade risked; NaN without stops.
        kelly: multiple of the traded size with the greatest growth on these trades; 0 without an
            edge. In-hindsight and too high: half of it is already bold.
        losing_streak: longest run of losing trades.
        losing_streak_chance: chance of at least such a run at this win rate.
    """

    fan: FanData
    rows: tuple[PathRow, ...]
    limit: float
    chance_of_limit: float
    ruin: tuple[RuinRow, ...]
    risk_per_trade: float
    kelly: float
    losing_streak: int
    losing_streak_chance: float


@dataclass(frozen=True, slots=True)
class StressRow:
    """The record when something is worse (or better) than assumed.

    Attributes:
        kind: `all costs`, `slippage`, `funding`, `delay`, `missed`, `noise` or `defaults`.
        label: for people, for example `all costs x 2`.
        level: multiple of the costs, share of missed trades, number of the noisy market; NaN.
        total_return: fraction; the median of several samples for `missed`.
        net_profit: money of the stitched curve.
        annual_sharpe: of daily returns; NaN when not computed or they do not vary.
        max_drawdown: >= 0, fraction.
        trades: round trips.
        low, high: 5 and 95 % of the total return where it is a distribution; NaN.
    """

    kind: str
    label: str
    level: float
    total_return: float
    net_profit: float
    annual_sharpe: float
    max_drawdown: float
    trades: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stress:
    """Section 10: how much worse may it get?

    Attributes:
        base: as it was assumed, made again.
        reproduced: the base is the stored record, to the last cent.
        rows: all variants.
        break_even: multiple of ALL costs at which nothing is left; NaN: not computed.
        break_even_open: True: still a profit at the highest multiple tried, *break_even* is that
            multiple; the true one is higher.
        noise_share_profitable: of noisy markets; NaN without.
        notes: how the variants were made.
    """

    base: StressRow
    reproduced: bool
    rows: tuple[StressRow, ...]
    break_even: float
    break_even_open: bool
    noise_share_profitable: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegimeLine:
    """The trades entered in one regime.

    Attributes:
        word: the regime.
        trades: how many.
        net: money of the stitched curve.
        win_rate: NaN without trades.
        mean: mean result of a trade in *unit* of the table; NaN without.
        low, high: 95 % interval (Student's t); NaN for fewer than two.
        enough: False: fewer than 30 trades, show in grey.
    """

    word: str
    trades: int
    net: float
    win_rate: float
    mean: float
    low: float
    high: float
    enough: bool


@dataclass(frozen=True, slots=True)
class RegimeTable:
    """Trades by one kind of regime.

    Attributes:
        name: what the days are told apart by.
        causal: the label was known as the day began.
        unit: of the means: `R` or `% of equity`.
        rows: in order.
    """

    name: str
    causal: bool
    unit: str
    rows: tuple[RegimeLine, ...]


@dataclass(frozen=True, slots=True)
class Regimes:
    """Section 11.

    Attributes:
        tables: trend, volatility, funding (as far as the data allow), calendar years.
    """

    tables: tuple[RegimeTable, ...]


@dataclass(frozen=True, slots=True)
class TradeDot:
    """One trade of the MAE/MFE figure, fractions of the entry price.

    Attributes:
        mae: worst price against the entry, <= 0.
        mfe: best price for it, >= 0.
        result: net profit / notional.
    """

    mae: float
    mfe: float
    result: float


@dataclass(frozen=True, slots=True)
class TradeGroup:
    """Trades that have something in common.

    Attributes:
        kind: `side`, `symbol`, `strategy` or `exit`.
        word: which.
        trades: how many.
        net: money of the stitched curve.
        win_rate: share with a profit.
        mean: mean result, % of equity.
        low, high: 95 % interval (Student's t); NaN for fewer than two.
    """

    kind: str
    word: str
    trades: int
    net: float
    win_rate: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trades:
    """Section 12.

    Attributes:
        count: round trips.
        dots: MAE and MFE, thinned to every n-th trade.
        durations: histogram of bars held.
        median_bars: of them.
        top: number of best trades taken out.
        top_share: their part of the net profit; NaN unless that is above 0.
        net_without_top: money of the stitched curve.
        trades_to_zero: fewest best trades whose loss leaves no profit.
        groups: by side, symbol, strategy, exit.
    """

    count: int
    dots: tuple[TradeDot, ...]
    durations: Histogram
    median_bars: float
    top: int
    top_share: float
    net_without_top: float
    trades_to_zero: int
    groups: tuple[TradeGroup, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that could not be computed, or that must be known when reading the rest.

    Attributes:
        what: the statistic or assumption.
        why: one sentence.
    """

    what: str
    why: str
