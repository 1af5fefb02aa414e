"""What a finished walk-forward is: `Run`, read back by `ftbt.walkforward.store.load_run`.

Everything here is the same, byte for byte, whoever computed it and on how many workers; what is
not (times, counts of earlier questions) is in `Run.timing` alone. Times are bar OPENS in ms UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ftbt.backtest.attribution import Part

WindowState = Literal["done", "failed"]
Verdict = Literal["none", "weak", "some"]
TrialState = Literal["complete", "few_trades", "failed"]

# Bump when a file of the run folder changes its meaning.
FORMAT = 2


@dataclass(frozen=True)
class StrategyFacts:
    """Which strategy ran.

    Attributes:
        name: for people, for example `liquidity_sweep`; several strategies are joined by `+`, here
            and in the next fields, and their parameters are called `strategy.parameter`.
        names: of each strategy, in the order in which they decide.
        class_name: the class in its file.
        file: name of the file, without the folders of the machine.
        sha256: of the file's bytes.
        description: first line of the class's docstring, or empty.
        fixed: parameters that were set by hand and not searched.
        defaults: all parameters with the values of the first trial (defaults, the timeframe's
            preset, then *fixed*).
        space: searched parameters; each range as plain values:
            `{"kind": "int", "low": 2, "high": 20, "step": 1}`,
            `{"kind": "float", "low": 0.5, "high": 5.0, "step": None, "log": False}`,
            `{"kind": "choice", "words": ["1h", "4h"]}`, `{"kind": "bool"}`.
    """

    name: str
    names: tuple[str, ...]
    class_name: str
    file: str
    sha256: str
    description: str
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any]
    space: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class SymbolFacts:
    """The candles of one symbol.

    Attributes:
        symbol, timeframe, source, synthetic: as in `Candles`.
        start_ms: open of the first bar.
        end_ms: close of the last bar.
        bars: number of bars.
        segments: stretches without holes; 1 when nothing is missing.
        missing_bars: bars missing between them.
        fingerprint: sha256 of the candles (of all segments).
        funding: sha256 of the funding rates, or None: funding is not modelled.
        detail_timeframe: length of the finer bars that resolve the path inside a bar, or None.
        detail: sha256 of those bars, or None.
        size_decimals, max_leverage, min_notional: the venue's rules that were applied.
    """

    symbol: str
    timeframe: str
    source: str
    synthetic: bool
    start_ms: int
    end_ms: int
    bars: int
    segments: int
    missing_bars: int
    fingerprint: str
    funding: str | None
    detail_timeframe: str | None
    detail: str | None
    size_decimals: int
    max_leverage: float
    min_notional: float


@dataclass(frozen=True)
class PlanFacts:
    """How the windows were laid.

    Attributes:
        train, test, step, purge, embargo: as written, for example `90d` or `96 bars`.
        anchored: True when every training starts with the first one.
        short_last: True when a shorter last test window was kept.
        warmup_bars: bars before each window that only warm the lines up.
        untested_bars: bars after the last test window that nobody tested.
    """

    train: str
    test: str
    step: str
    purge: str
    embargo: str
    anchored: bool
    short_last: bool
    warmup_bars: int
    untested_bars: int


@dataclass(frozen=True)
class WindowFacts:
    """Where a window lies: spans in ms UTC, ends exclusive.

    Attributes:
        number: from 0.
        train: stretches of the training, `[start, end]` each; more than one with an embargo.
        test: `[start, end]`.
    """

    number: int
    train: tuple[tuple[int, int], ...]
    test: tuple[int, int]


@dataclass(frozen=True)
class SearchFacts:
    """How parameters were searched in each window.

    Attributes:
        trials: per window, repeated parameter sets included.
        objective: name in `ftbt.walkforward.objective.OBJECTIVES`.
        objective_text: what it is, in words.
        min_trades: fewer trades in training than this: the trial's value is the worst there is.
        selection: `best` or `plateau`.
        seed: of the whole run; each window's sampler is seeded from it and the window's number.
        sampler: name and all arguments.
    """

    trials: int
    objective: str
    objective_text: str
    min_trades: int
    selection: str
    seed: int
    sampler: str


@dataclass(frozen=True)
class Manifest:
    """Everything that determines the result; its hash is the end of the run id.

    Attributes:
        format: version of the run folder's layout.
        run_id: name of the run folder.
        title, hypothesis: from the experiment file; empty for a quick run.
        synthetic: True when any symbol is a made-up market: every output then says so.
        strategy, data, plan, windows, search: see there; `data` has one entry per symbol.
        settings: money and costs by name (`ftbt.backtest.settings.Settings.as_dict()`); limits on
            risk are a table in it.
        settings_text: the same in one line for people.
        allocation: how several strategies share the account
            (`ftbt.risk.allocation.Allocation.as_dict()`).
        engine: engine asked for: `auto`, `reference` or `compiled`.
        versions: name -> version of python, ftbt, optuna, numba, numpy, pandas, scipy, backtrader.
        code: sha256 over ftbt's own sources.
        command: what to type to get this result again.
    """

    format: int
    run_id: str
    title: str
    hypothesis: str
    synthetic: bool
    strategy: StrategyFacts
    data: tuple[SymbolFacts, ...]
    plan: PlanFacts
    windows: tuple[WindowFacts, ...]
    search: SearchFacts
    settings: Mapping[str, Any]
    settings_text: str
    allocation: Mapping[str, Any]
    engine: str
    versions: Mapping[str, str]
    code: str
    command: str


@dataclass(frozen=True)
class Evidence:
    """Whether the stitched out-of-sample result could be luck; see `ftbt.walkforward.evidence`.

    Attributes:
        days: number of daily returns (UTC).
        mean_daily, sharpe_daily: of them; Sharpe per day, not annual.
        t_statistic: mean / standard error, returns taken as independent; NaN when undefined.
        psr: probabilistic Sharpe ratio against 0 (Bailey and Lopez de Prado 2012), 0 to 1.
        verdict: `none`, `weak` or `some`.
        sentence: one honest sentence for people.
    """

    days: int
    mean_daily: float
    sharpe_daily: float
    t_statistic: float
    psr: float
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Summary:
    """The figures of the whole run.

    Attributes:
        run_id: name of the run folder.
        windows, failed_windows: how many.
        trials: of this run, repeats included.
        capital: equity at the start of the stitched curve.
        out_of_sample: metrics of the stitched result by the names of
            `ftbt.backtest.metrics.Metrics`; None where undefined or infinite.
        buy_and_hold_return: of the same bars, equal parts of each symbol, without costs; fraction.
        walk_forward_efficiency: annual out-of-sample return / annual in-sample return of the
            chosen parameters (Pardo 1992); None when in-sample is not above 0.
        profitable_windows: windows with a net profit out of sample.
        refused: why setups or orders were not taken out of sample, name -> count.
        engine: engine that ran: `reference` or `compiled` (`mixed` when windows differ).
        funding_modelled: False when any symbol had no funding rates.
        notes: sentences that belong beside the numbers.
        evidence: see there.
        parts: who earned what out of sample, in the money of the stitched curve: the account,
            each strategy, each symbol, each strategy on each symbol
            (`ftbt.backtest.attribution.Part`).
        compared_trades: out-of-sample trades that were made again on the reference engine; 0 when
            the reference engine made them in the first place.
        identical_trades: those that came out alike in every field.
    """

    run_id: str
    windows: int
    failed_windows: int
    trials: int
    capital: float
    out_of_sample: Mapping[str, float | int | None]
    buy_and_hold_return: float | None
    walk_forward_efficiency: float | None
    profitable_windows: int
    refused: Mapping[str, int]
    engine: str
    funding_modelled: bool
    notes: tuple[str, ...]
    evidence: Evidence
    parts: tuple[Part, ...] = ()
    compared_trades: int = 0
    identical_trades: int = 0


@dataclass(frozen=True)
class Timing:
    """What differs from one execution to the next; nothing else in a run folder does.

    Attributes:
        started, finished: UTC, ISO 8601.
        seconds: wall clock of all executions together, resumed parts included.
        jobs: workers of the last execution.
        resumed: how often the run was continued.
        earlier_trials: trials of other runs on the same or overlapping data, from the ledger.
        earlier_trials_of_strategy: those of the same strategy file name among them.
    """

    started: str
    finished: str
    seconds: float
    jobs: int
    resumed: int
    earlier_trials: int
    earlier_trials_of_strategy: int


@dataclass(frozen=True, eq=False)
class Run:
    """One finished walk-forward, as read from its folder. Time columns are `datetime64[ms, UTC]`.

    Attributes:
        folder: where it was read from.
        manifest, summary, timing: see there.
        windows: one row per window, in order:
            `window` int, from 0; `state` done/failed; `reason` why it failed, else empty; `where`
            file:line of the failure, else empty; `train_start`, `train_end`, `test_start`,
            `test_end` spans on the clock, ends exclusive; `train_bars`, `test_bars` bars that
            could be traded (all symbols together); `trials`, `failed_trials`, `repeated_trials`;
            `chosen_trial` int, of the first strategy with a choice, -1 when failed;
            `chosen_trials` JSON list, of each strategy; `weights` JSON list, share of the account
            of each strategy in the test; `score` what the selection compared (the
            objective, or the neighbourhood's median for `plateau`); `parameters` JSON object of
            the searched parameters, `{}` when failed; `train_value` objective of the chosen
            trial; `train_<metric>` and `test_<metric>` for each name in
            `ftbt.walkforward.stitch.WINDOW_METRICS`, NaN when failed; `buy_and_hold` fraction over
            the test; `scale` stitched equity at the window's start / capital; `start_equity`,
            `end_equity` of the stitched curve.
        trials: one row per trial of each window, in order of being asked:
            `window`, `trial` int; `strategy` whose search; `state` complete/few_trades/failed;
            `repeats` trial whose parameters these are again, -1 for none; `value` objective (the
            worst value for few_trades, NaN when failed); `error` text, else empty;
            `param_<name>` searched values, NaN or empty for those of another strategy;
            `metric_<name>` for every field of `Metrics`, over the training bars.
        trial_returns: daily returns (UTC days, by bar open) of every trial in training that was
            not failed or repeated: `window`, `trial`, `day`, `ret` (fraction).
        equity: the stitched out-of-sample curve, one row per bar of all test windows: `time`
            (bar open), `window`, `equity` (at the bar's close), `buy_and_hold` (same capital,
            equal parts, no costs).
        in_sample: of the chosen parameters in training: `window`, `time`, `equity` (each window
            starts at the capital).
        trades: all out-of-sample trades, in order of window and exit: `window`, `symbol`,
            `strategy`, `entry_time`, `exit_time`, `side` long/short, `size`, `entry_price`,
            `exit_price`, `stop`, `target1`, `target2`, `gross`, `fees`, `funding`, `slippage`,
            `net`, `r`, `mae`, `mfe`, `confidence`, `bars` (from entry to exit), `entry_reason`,
            `exit_reason`, `scale`. Money is on the window's own start capital; times `scale` it
            is money of the stitched curve.
    """

    folder: Path
    manifest: Manifest
    summary: Summary
    timing: Timing
    windows: pd.DataFrame
    trials: pd.DataFrame
    trial_returns: pd.DataFrame
    equity: pd.DataFrame
    in_sample: pd.DataFrame
    trades: pd.DataFrame

    @property
    def synthetic(self) -> bool:
        """True for a made-up market."""
        return self.manifest.synthetic

    def returns_of_window(self, window: int) -> pd.DataFrame:
        """Return the daily training returns of a window: days as rows, trials as columns.

        Trials that repeat another's parameters are left out; shape (days, distinct trials).
        """
        rows = self.trial_returns[self.trial_returns["window"] == window]
        return rows.pivot_table(index="day", columns="trial", values="ret", sort=True)
