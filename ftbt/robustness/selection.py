"""Selection bias of a walk-forward (section 4): which looks is the record deflated by?

A walk-forward asks two different questions, and they have different counts.

* The stitched out-of-sample RECORD: the parameters of each day were chosen before that day. The
  hundreds of trials of this run competed on other days; this record was looked at once. What it
  must be deflated by is every look that could have shaped the question: the trials of earlier runs
  on the same data. Lower end of the band: none of them was a new idea; centre: they are worth as
  much, in proportion, as this run's own trials (effective rank); upper end: each was independent.
  The gate reads the upper end.
* The SEARCH: in training the best of a window's trials was taken. Its in-sample record, each day
  once, is compared with what the luckiest of as many trials would have shown: `search`, shown for
  information. `all_trials` deflates the out-of-sample record as if it had been picked among all
  trials afterwards, which it was not: a reading for the strictest. Decision record 0015 has the
  measured power of both.

The variance of Sharpe ratios across trials is measured in each search, times its days (so that
searches of different lengths compare), averaged over the searches, and divided by the record's
days. It is capped at that of independent trials without skill, 1 / days: what exceeds it are real
differences between trials (one that trades itself to death), and those are not luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ftbt.robustness.assessment import Band, DeflatedAt, HaircutRow, SelectionBias
from ftbt.robustness.deflated import (
    deflated_sharpe,
    expected_maximum,
    minimum_backtest_length,
    tolerated_trials,
    trial_variance,
)
from ftbt.robustness.effective import EffectiveTrials, effective_trials
from ftbt.robustness.haircut import haircut_among_trials, haircut_for_tests
from ftbt.robustness.of_run import PERIODS, YEAR, RunArrays, Search, floats, years_of
from ftbt.robustness.panel import Floats, sharpe_of
from ftbt.robustness.record import finite, histogram
from ftbt.robustness.sharpe import Form, TrackRecord, probabilistic_sharpe

NAN = math.nan
CURVE_POINTS = 60
# The annual ratio whose minimum backtest length is shown.
TARGET = 1.0

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A search with the number of trials that it is worth.

    Attributes:
        search: its returns.
        effective: band of its trials.
        scatter: variance of its trials' Sharpe ratios x its days; about 1 for independent trials
            without skill, less where trials are alike.
    """

    search: Search
    effective: EffectiveTrials
    scatter: float

    @property
    def luck(self) -> float:
        """Daily ratio that the luckiest of its trials without skill would be expected to show."""
        spread = math.sqrt(min(1.0, self.scatter) / len(self.search.day))
        return spread * expected_maximum(self.effective.high)


def counted_searches(searches: Sequence[Search], tick: Tick | None = None) -> list[Counted]:
    """Return the usable searches with their effective numbers of trials."""
    usable = [one for one in searches if one.usable]
    made = []
    for number, one in enumerate(usable):
        scatter = trial_variance(one.returns) * len(one.day)
        made.append(Counted(one, effective_trials(one.returns), scatter))
        if tick is not None:
            tick(number + 1, len(usable))
    return made


def selection_bias(arrays: RunArrays, counted: Sequence[Counted]) -> SelectionBias:
    """Return section 4.

    Args:
        arrays: of the run.
        counted: its searches.
    """
    run = arrays.run
    earlier = run.timing.earlier_trials
    record = TrackRecord.of(arrays.returns) if arrays.moves else None
    spread = record_variance(arrays, counted)
    looks = looks_of(earlier, counted)
    distinct = sum(len(one.trials) for one in arrays.searches)
    own = _own_trials(counted)
    search, search_sharpe, search_days = _search_band(counted)
    most = _most(counted, own)
    return SelectionBias(
        trials=len(run.trials),
        distinct=distinct,
        flat=sum(int((~one.varying).sum()) for one in arrays.searches),
        earlier_trials=earlier,
        earlier_trials_of_strategy=run.timing.earlier_trials_of_strategy,
        mean_correlation=_mean([one.effective.mean_correlation for one in counted]),
        sharpes=histogram(_annual(arrays.searches)),
        chosen_sharpes=floats(_chosen(arrays.searches)),
        expected_maximum=_mean([one.luck for one in counted]) * YEAR,
        record=_band(record, spread, looks, _LOOK_NAMES),
        record_2025=_at(record, spread, looks[2], "2025"),
        curve=_curve(record, spread, 1.0 + earlier + distinct),
        all_trials=_band(record, spread, own, _OWN_NAMES) if counted else None,
        tolerated=finite(tolerated_trials(record, spread)) if record is not None else NAN,
        search=search,
        search_sharpe=search_sharpe,
        search_days=search_days,
        haircuts=_haircuts(arrays, record),
        backtest_years=years_of(run),
        needed_years=minimum_backtest_length(most, TARGET).years,
        needed_years_all=minimum_backtest_length(most + earlier, TARGET).years,
        needed_bound=minimum_backtest_length(most, TARGET).bound,
    )


_LOOK_NAMES = (
    "this record alone: its parameters were chosen before its days",
    "and earlier trials, worth as much in proportion as this run's own (effective rank)",
    "and every earlier trial, each taken as independent",
)
_OWN_NAMES = (
    "all windows searched among the same few ideas",
    "effective rank of each search, added up",
    "highest estimate of each search, added up",
)


def record_variance(arrays: RunArrays, counted: Sequence[Counted]) -> float:
    """Return the variance of a trial's daily Sharpe ratio over as many days as the record has."""
    weights = np.array([one.effective.trials - one.effective.flat - 1.0 for one in counted])
    scatter = np.array([one.scatter for one in counted])
    pooled = float(weights @ scatter / weights.sum()) if len(counted) else 1.0
    return min(1.0, pooled) / max(1, len(arrays.returns))


def looks_of(earlier: int, counted: Sequence[Counted]) -> tuple[float, float, float]:
    """Return the low, central and high number of looks that the record was exposed to."""
    known = sum(one.effective.trials - one.effective.flat for one in counted)
    worth = sum(one.effective.central for one in counted) / known if known else 1.0
    return 1.0, 1.0 + worth * earlier, 1.0 + earlier


def _own_trials(counted: Sequence[Counted]) -> tuple[float, float, float]:
    bands = [one.effective for one in counted]
    return (
        max((one.low for one in bands), default=1.0),
        sum(one.central for one in bands) or 1.0,
        sum(one.high for one in bands) or 1.0,
    )


def _most(counted: Sequence[Counted], own: tuple[float, float, float]) -> float:
    return max(1.0, own[2]) if counted else 1.0


def _at(
    record: TrackRecord | None, variance: float, trials: float, form: Form = "2012"
) -> DeflatedAt:
    hurdle = math.sqrt(variance) * expected_maximum(trials) * YEAR
    if record is None:
        return DeflatedAt(trials, hurdle, NAN)
    return DeflatedAt(trials, hurdle, deflated_sharpe(record, variance, trials, form))


def _band(
    record: TrackRecord | None,
    variance: float,
    trials: tuple[float, float, float],
    names: tuple[str, str, str],
) -> Band:
    low, central, high = (_at(record, variance, count) for count in trials)
    return Band(low, central, high, *names)


def _curve(record: TrackRecord | None, variance: float, most: float) -> tuple[DeflatedAt, ...]:
    counts = np.geomspace(1.0, max(2.0, most), CURVE_POINTS)
    return tuple(_at(record, variance, float(count)) for count in counts)


def _search_band(counted: Sequence[Counted]) -> tuple[Band | None, float, int]:
    """Return the deflated in-sample record of what was chosen, its annual ratio, its days."""
    returns, luck = in_sample_record([one for one in counted if one.search.chosen >= 0])
    if len(returns) < 4 or not returns.std() > 0.0:
        return None, NAN, len(returns)
    record = TrackRecord.of(returns)
    bands = [one.effective for one in counted]
    points = []
    for name in ("low", "central", "high"):
        # The hurdle of the high end, in proportion to the expected maximum of fewer trials.
        share = _mean(
            [
                expected_maximum(getattr(band, name)) / max(1e-9, expected_maximum(band.high))
                for band in bands
            ]
        )
        hurdle = luck * share / float(returns.std(ddof=1))
        trials = _mean([getattr(band, name) for band in bands])
        points.append(DeflatedAt(trials, hurdle * YEAR, probabilistic_sharpe(record, hurdle)))
    low, central, high = points
    band = Band(low, central, high, "lowest estimate", "effective rank", "highest estimate")
    return band, record.sharpe * YEAR, len(returns)


def in_sample_record(counted: Sequence[Counted]) -> tuple[Floats, float]:
    """Return the training returns of what was chosen, each day once, and the luck among them.

    Of each window's training the days after the last one used are taken (all of the first one's),
    the mean over the strategies. Luck: the mean daily return that the luckiest of as many trials
    without skill would be expected to show on these days.

    Args:
        counted: searches with a chosen trial.
    """
    returns: list[Floats] = []
    luck: list[Floats] = []
    used = -1
    for window in sorted({one.search.window for one in counted}):
        own = [one for one in counted if one.search.window == window]
        days = own[0].search.day
        fresh = days > used
        used = max(used, int(days[-1]))
        chosen = np.mean([one.search.returns[:, one.search.chosen] for one in own], axis=0)
        promised = np.mean(
            [one.luck * one.search.returns[:, one.search.chosen].std(ddof=1) for one in own]
        )
        returns.append(chosen[fresh])
        luck.append(np.full(int(fresh.sum()), promised))
    if not returns:
        return np.zeros(0), NAN
    return np.concatenate(returns), float(np.concatenate(luck).mean())


def _annual(searches: Sequence[Search]) -> Floats:
    parts = [sharpe_of(one.returns)[one.varying] * YEAR for one in searches if len(one.day) > 1]
    return np.concatenate(parts) if parts else np.zeros(0)


def _chosen(searches: Sequence[Search]) -> list[float]:
    return [
        float(sharpe_of(one.returns[:, [one.chosen]])[0]) * YEAR
        for one in searches
        if one.chosen >= 0 and len(one.day) > 1
    ]


def _haircuts(arrays: RunArrays, record: TrackRecord | None) -> tuple[HaircutRow, ...]:
    rows: list[HaircutRow] = []
    if record is not None:
        years = record.observations / PERIODS
        tests = 1 + arrays.run.timing.earlier_trials
        table = haircut_for_tests(record.sharpe * YEAR, years, tests)
        rows += [
            HaircutRow("out of sample", one.method, tests, table.sharpe, one.p_value, one.sharpe,
                       one.fraction)
            for one in table.haircuts
        ]  # fmt: skip
    newest = next((one for one in reversed(arrays.searches) if one.chosen >= 0), None)
    if newest is not None and len(newest.day) > 1:
        ratios = sharpe_of(newest.returns) * YEAR
        among = haircut_among_trials(ratios, newest.chosen, len(newest.day) / PERIODS)
        rows += [
            HaircutRow("newest search", one.method, among.tests, among.sharpe, one.p_value,
                       one.sharpe, one.fraction)
            for one in among.haircuts
        ]  # fmt: skip
    return tuple(rows)


def _mean(values: Sequence[float]) -> float:
    known = [one for one in values if math.isfinite(one)]
    return sum(known) / len(known) if known else NAN
