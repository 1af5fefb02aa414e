"""Sections 4 to 7 of an assessment: what the search did, and what its result is worth.

Plain values only; see `ftbt.robustness.assessment` for the units and the map to the report.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in even bins.

    Attributes:
        edges: rising, one more than *counts*; empty without values.
        counts: values in each bin; the last bin holds its upper edge.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FanData:
    """Quantiles of many curves over time.

    Attributes:
        x: observation (days) after the start, thinned, rising.
        levels: of the quantiles, rising.
        curves: one per level, each as long as *x*; growth of 1 unit of money.
        actual: the real curve at the same places; empty when there is none to compare.
    """

    x: tuple[float, ...]
    levels: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...]
    actual: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordFigures:
    """The stitched out-of-sample record (sections 1, 2 and 4).

    Attributes:
        days: daily returns (UTC days), T.
        start_ms, end_ms: midnight that begins the first day, and that after the last, UTC.
        trades: round trips.
        net_profit: money of the stitched curve, after costs.
        capital: equity before the first bar.
        total_return: fraction.
        max_drawdown: >= 0, fraction of the highest equity at the close of a bar.
        annual_sharpe: of daily returns x sqrt(365); NaN when they do not vary.
        annual_low, annual_high: 95 % interval, form of 2012.
        annual_sharpe_autocorrelated: with the record's serial correlation (Lo 2002).
        psr_2012, psr_2025, psr_2025_ar1: probability that the true ratio is above 0.
        min_days_2012, min_days_2025, min_days_2025_ar1: minimum track record, days; NaN: none
            suffices.
        skewness, kurtosis, autocorrelation: of daily returns; kurtosis not excess.
        mean_low, mean_high: 95 % bootstrap interval of the mean daily return.
        block: mean block length of that bootstrap, days.
        monthly: (year * 100 + month, return) of each month, fraction.
    """

    days: int
    start_ms: int
    end_ms: int
    trades: int
    net_profit: float
    capital: float
    total_return: float
    max_drawdown: float
    annual_sharpe: float
    annual_low: float
    annual_high: float
    annual_sharpe_autocorrelated: float
    psr_2012: float
    psr_2025: float
    psr_2025_ar1: float
    min_days_2012: float
    min_days_2025: float
    min_days_2025_ar1: float
    skewness: float
    kurtosis: float
    autocorrelation: float
    mean_low: float
    mean_high: float
    block: float
    monthly: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class DeflatedAt:
    """The deflated Sharpe ratio at one number of trials.

    Attributes:
        trials: effective number of independent trials.
        hurdle: annual Sharpe ratio that the luckiest of so many would be expected to show.
        probability: deflated Sharpe ratio, 0 to 1.
    """

    trials: float
    hurdle: float
    probability: float


@dataclass(frozen=True, slots=True)
class Band:
    """A deflated Sharpe ratio over the band of effective trial numbers.

    Attributes:
        low, central, high: at the lowest, central and highest estimate.
        low_name, central_name, high_name: where these numbers come from.
    """

    low: DeflatedAt
    central: DeflatedAt
    high: DeflatedAt
    low_name: str
    central_name: str
    high_name: str


@dataclass(frozen=True, slots=True)
class HaircutRow:
    """What one adjustment for many tests leaves of a Sharpe ratio.

    Attributes:
        record: which ratio: `out of sample` or `newest search`.
        method: `bonferroni`, `sidak`, `holm` or `bhy`.
        tests: number of tests allowed for.
        before: annual ratio before.
        p_value: adjusted, two-sided.
        sharpe: annual ratio that is left.
        fraction: cut off, 0 to 1; NaN when there was nothing above 0 to cut.
    """

    record: str
    method: str
    tests: int
    before: float
    p_value: float
    sharpe: float
    fraction: float


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """Section 4: how many questions were asked, and what luck alone answers to so many.

    Attributes:
        trials: made by this run, repeats and failures included.
        distinct: of them, parameter sets with daily returns in training.
        flat: of those, sets that never traded.
        earlier_trials: of other runs on the same or overlapping data, from the ledger.
        earlier_trials_of_strategy: those of the same strategy among them.
        mean_correlation: of the trials of a window, mean over windows; NaN without pairs.
        sharpes: annual Sharpe ratios in training of all distinct trials of all windows.
        chosen_sharpes: those of the chosen trials, one per finished window and strategy.
        expected_maximum: annual ratio in training that the luckiest of a window's trials without
            skill would show, mean over windows (the E[max] line).
        record: the out-of-sample record deflated by the looks that it was exposed to: its own
            (its parameters were chosen before its days, so one), and every earlier trial. Gate H2
            reads this.
        record_2025: its high end in the form of 2025.
        curve: the record's deflated ratio over the number of looks, from 1 to all trials ever.
        all_trials: the same if the record had been picked, having seen it, among all of this run's
            trials: low, central and high effective numbers. Stricter than what happened.
        tolerated: independent looks that the record stands up to at 95 %; NaN: any number.
        search: the in-sample record of what the search chose, each day once, against the best of
            as many lucky trials; its trials are per window, means over windows.
        search_sharpe: annual ratio of that record.
        search_days: its length.
        haircuts: one row per record and method.
        backtest_years: years of data in training and test together.
        needed_years: minimum backtest length for this run's effective trials (high end) and an
            annual ratio of 1.
        needed_years_all: the same with all earlier trials.
        needed_bound: its upper bound 2 ln N.
    """

    trials: int
    distinct: int
    flat: int
    earlier_trials: int
    earlier_trials_of_strategy: int
    mean_correlation: float
    sharpes: Histogram
    chosen_sharpes: tuple[float, ...]
    expected_maximum: float
    record: Band
    record_2025: DeflatedAt
    curve: tuple[DeflatedAt, ...]
    all_trials: Band | None
    tolerated: float
    search: Band | None
    search_sharpe: float
    search_days: int
    haircuts: tuple[HaircutRow, ...]
    backtest_years: float
    needed_years: float
    needed_years_all: float
    needed_bound: float


@dataclass(frozen=True, slots=True)
class WindowOverfitting:
    """PBO of one window's search.

    Attributes:
        window: number.
        strategy: whose search.
        trials, days, blocks: size of the panel and into how many blocks it was cut.
        pbo: probability of backtest overfitting.
        null_lower, null_median: 5 % and 50 % quantiles without skill.
        p_value: share of the null at or below *pbo*.
        probability_of_loss: share of halves in which the trial chosen on the other half lost.
    """

    window: int
    strategy: str
    trials: int
    days: int
    blocks: int
    pbo: float
    null_lower: float
    null_median: float
    p_value: float
    probability_of_loss: float


@dataclass(frozen=True, slots=True)
class DominanceData:
    """Distribution functions of the other half's Sharpe ratio: chosen trials against all trials.

    Attributes:
        grid: annual Sharpe ratios, rising.
        chosen, every: share at or below each.
        first_order, second_order: whether choosing dominates drawing at random.
    """

    grid: tuple[float, ...]
    chosen: tuple[float, ...]
    every: tuple[float, ...]
    first_order: bool
    second_order: bool


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Section 5: does what was best on one half of the training stay good on the other?

    Figures without `windows` are means over the searches (windows x strategies). Trials are steps
    of a guided search, see *guided*.

    Attributes:
        pbo: probability of backtest overfitting.
        null_lower, null_median, null_upper: 5, 50 and 95 % quantiles of the mean without skill,
            taking the windows' nulls as moving together, which is the widest they can be.
        p_value: share of that null at or below *pbo*.
        probability_of_loss: share of halves in which the chosen trial lost.
        loss_null_lower, loss_null_median: of the same null.
        loss_p_value: share of that null at or below *probability_of_loss*.
        logits: of all combinations of all searches, ln(w / (1 - w)).
        scatter: (in-sample, out-of-sample) annual Sharpe ratios of chosen trials, thinned.
        slope, intercept, r_squared: regression of out-of-sample on in-sample over all of them.
        dominance: see there.
        windows: one row per search.
        guided: a sentence: what the trials are.
    """

    pbo: float
    null_lower: float
    null_median: float
    null_upper: float
    p_value: float
    probability_of_loss: float
    loss_null_lower: float
    loss_null_median: float
    loss_p_value: float
    logits: Histogram
    scatter: tuple[tuple[float, float], ...]
    slope: float
    intercept: float
    r_squared: float
    dominance: DominanceData
    windows: tuple[WindowOverfitting, ...]
    guided: str


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window, in and out of sample.

    Attributes:
        window: number.
        state: `done` or `failed`.
        test_start_ms, test_end_ms: span of the test, UTC, end exclusive.
        train_sharpe, test_sharpe: annual; NaN when undefined.
        train_annual_return, test_annual_return: growth per year, fraction.
        net: profit of the test, money of the stitched curve.
        trades: in the test.
        parameters: (name, value as text) of what was chosen, sorted by name.
    """

    window: int
    state: str
    test_start_ms: int
    test_end_ms: int
    train_sharpe: float
    test_sharpe: float
    train_annual_return: float
    test_annual_return: float
    net: float
    trades: int
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CpcvData:
    """Combinatorial purged cross-validation of every window's search in training.

    Attributes:
        groups, tested: N and k.
        purge: days.
        path_sharpes: annual ratio of every path of every search.
        mean, deviation, share_negative: of them; the paths share data, so the deviation is no
            standard error.
        histogram: of them.
        fan: growth of the newest search's paths; lowest, median and highest path by end.
    """

    groups: int
    tested: int
    purge: int
    path_sharpes: tuple[float, ...]
    mean: float
    deviation: float
    share_negative: float
    histogram: Histogram
    fan: FanData | None


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Section 6: from window to window.

    Attributes:
        windows: one row each.
        efficiency: annual out-of-sample / annual in-sample return; NaN unless the latter is > 0.
        profitable: windows above 0; failed windows count as 0.
        share_profitable: of all windows.
        best_window: number of the most profitable one.
        best_share: its part of the net profit; NaN unless that is above 0.
        longest_losing_run: windows in a row at or below 0.
        median_net: of windows, money of the stitched curve.
        cpcv: None when no search had enough trials or days.
    """

    windows: tuple[WindowRow, ...]
    efficiency: float
    profitable: int
    share_profitable: float
    best_window: int
    best_share: float
    longest_losing_run: int
    median_net: float
    cpcv: CpcvData | None


@dataclass(frozen=True, slots=True)
class SnoopingTest:
    """The out-of-sample record against a benchmark.

    Attributes:
        benchmark: `cash`, `buy and hold` or `own defaults` (the strategy's first parameters held
            over all tests).
        excess_annual: mean excess return x 365.
        statistic: studentised.
        spa_lower, spa_consistent, spa_upper: Hansen's p-values; quote the consistent one.
        reality_check: White's p-value.
        block: mean block length, days.
        resamples: bootstrap samples.
        studentise: how it was scaled.
    """

    benchmark: str
    excess_annual: float
    statistic: float
    spa_lower: float
    spa_consistent: float
    spa_upper: float
    reality_check: float
    block: float
    resamples: int
    studentise: str


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A part of the record, tested together with all other parts (StepM, Romano and Wolf 2005).

    Attributes:
        name: `strategy x`, `symbol y`, or `x on y`.
        trades: of this part.
        mean_annual: realised profit per day / equity, x 365.
        p_value: adjusted for all parts.
        superior: beats cash at 5 %, the chance of a single false one held.
    """

    name: str
    trades: int
    mean_annual: float
    p_value: float
    superior: bool


@dataclass(frozen=True, slots=True)
class SearchTest:
    """Whether any trial of a window's search beat cash in training, all its trials allowed for.

    Attributes:
        window: number.
        strategy: whose search.
        trials, days: of the panel.
        spa_consistent: Hansen's p-value.
        reality_check: White's.
    """

    window: int
    strategy: str
    trials: int
    days: int
    spa_consistent: float
    reality_check: float


@dataclass(frozen=True, slots=True)
class ChanceTest:
    """An observed result among those of chance.

    Attributes:
        name: `random entries` or `permuted returns`.
        observed: the record's own.
        unit: of all values.
        p_value: share of chance at least as good, the observed one counted.
        percentile: share of chance below, 0 to 1.
        lower, median, upper: 5, 50 and 95 % quantiles of chance.
        histogram: of chance.
        simulations: how many.
        note: what it keeps and what it destroys.
    """

    name: str
    observed: float
    unit: str
    p_value: float
    percentile: float
    lower: float
    median: float
    upper: float
    histogram: Histogram
    simulations: int
    note: str


@dataclass(frozen=True, slots=True)
class Snooping:
    """Section 7: is it better than what luck, or doing nothing, would have earned?

    Attributes:
        tests: of the stitched record, `cash` first. Gate H4 reads that one.
        components: StepM over strategies and symbols; empty when there is only one part.
        searches: of each window's trials in training.
        random_entries: None when it could not be made (see `Assessment.limits`).
        permutation: the same.
    """

    tests: tuple[SnoopingTest, ...]
    components: tuple[ComponentRow, ...]
    searches: tuple[SearchTest, ...]
    random_entries: ChanceTest | None
    permutation: ChanceTest | None
