"""From finished runs to their comparison: common days, what they share, what follows in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np

from ftbt.data.timeframe import DAY_MS
from ftbt.errors import InputError
from ftbt.robustness.assessment_files import has_assessment, load_assessment
from ftbt.robustness.comparison import LEAST_DAYS, LEVEL, Comparison, Pair, compare
from ftbt.robustness.of_run import YEAR, RunArrays, floats, thinned
from ftbt.robustness.panel import Floats, Ints, sharpe_of
from ftbt.walkforward.ledger import Ledger, Row, share_data
from ftbt.walkforward.result import Run

FORMAT = 1
MOST_RUNS = 12
NOT_ASSESSED = "not assessed"
AFTER = (
    ". By the ledger they began when those were finished, on the same data. Whatever was changed in"
    " between was changed with the answer in sight; the strict deflation counts those trials."
)
OTHER_WINDOWS = (
    " chose their parameters on other stretches of the same data. Their difference is one of window"
    " lengths as much as of anything else."
)
CURVE_POINTS = 300


@dataclass(frozen=True, slots=True)
class Side:
    """One run as a whole, beside what it shows on the common days.

    Attributes:
        letter: A, B, .. by which the comparison calls it.
        run_id, strategy, symbols, timeframe, source: which run.
        train, test: lengths of its windows, as written.
        synthetic: True for a made-up market.
        verdict: state of its own assessment, or `not assessed`.
        headline: of it, or empty.
        start_ms, end_ms: its out-of-sample record.
        days, trades: of the whole record.
        total_return, sharpe: of the whole record; annual Sharpe, 0 when it never traded.
        trials: of the run.
    """

    letter: str
    run_id: str
    strategy: str
    symbols: str
    timeframe: str
    source: str
    train: str
    test: str
    synthetic: bool
    verdict: str
    headline: str
    start_ms: int
    end_ms: int
    days: int
    trades: int
    total_return: float
    sharpe: float
    trials: int


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Runs laid side by side.

    Attributes:
        format: of this structure.
        seed: of all random numbers here.
        start_ms, end_ms: first and last common day, the end exclusive.
        sides: in the order in which they were asked for: no ranking.
        result: on the common days.
        warnings: sentences on what the runs share and who was made after whom.
        conclusions: sentences on what can be told apart, and what can't.
        day: midnights of some of the common days, for the drawing.
        growth: of each run at their ends, 1 at the start; shape (runs, days drawn).
    """

    format: int
    seed: int
    start_ms: int
    end_ms: int
    sides: tuple[Side, ...]
    result: Comparison
    warnings: tuple[str, ...]
    conclusions: tuple[str, ...]
    day: tuple[int, ...]
    growth: tuple[tuple[float, ...], ...]


def compare_runs(runs: Sequence[Run], ledger: Ledger, seed: int = 1) -> RunComparison:
    """Return the comparison of finished runs.

    Args:
        runs: 2 to 12 different ones.
        ledger: of all trials that were ever made.
        seed: of the bootstrap.

    Raises:
        InputError: too few or too many runs, one given twice, or too few common days.
    """
    _check(runs)
    arrays = [RunArrays(one) for one in runs]
    day = _common([one.daily[0] for one in arrays], runs)
    panel = np.column_stack([_on(one, day) for one in arrays])
    rows = ledger.rows()
    looks = [1 + ledger.earlier(one.manifest).trials for one in runs]
    result = compare(panel, looks, seed)
    letters = [chr(ord("A") + number) for number in range(len(runs))]
    shown = thinned(len(day), CURVE_POINTS)
    grown = np.cumprod(1.0 + panel, axis=0)[shown]
    return RunComparison(
        format=FORMAT,
        seed=seed,
        start_ms=int(day[0]),
        end_ms=int(day[-1]) + DAY_MS,
        sides=tuple(_side(letter, one) for letter, one in zip(letters, arrays, strict=True)),
        result=result,
        warnings=_warnings(runs, letters, rows),
        conclusions=_conclusions(result, letters),
        day=tuple(day[shown].tolist()),
        growth=tuple(floats(one) for one in grown.T),
    )


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise InputError("name at least two runs to compare")
    if len(runs) > MOST_RUNS:
        raise InputError(f"at most {MOST_RUNS} runs can be compared, not {len(runs)}")
    ids = [one.manifest.run_id for one in runs]
    twice = [one for one in ids if ids.count(one) > 1]
    if twice:
        raise InputError(f"run {twice[0]} is given twice: a run is no other than itself")


def _common(days: Sequence[Ints], runs: Sequence[Run]) -> Ints:
    """Return the days that all records have."""
    found: Ints = reduce(np.intersect1d, days)
    if len(found) >= LEAST_DAYS:
        return found
    spans = "; ".join(
        f"{run.manifest.run_id} {_span(day)}" for run, day in zip(runs, days, strict=True)
    )
    raise InputError(
        f"the runs share {len(found)} out-of-sample days, a comparison needs {LEAST_DAYS}: {spans}"
    )


def _span(day: Ints) -> str:
    if not len(day):
        return "no day"
    first, last = (np.datetime64(int(one), "ms").astype("datetime64[D]") for one in day[[0, -1]])
    return f"{first} to {last}"


def _on(arrays: RunArrays, day: Ints) -> Floats:
    own, returns = arrays.daily
    return returns[np.searchsorted(own, day)]


def _side(letter: str, arrays: RunArrays) -> Side:
    run = arrays.run
    manifest, first = run.manifest, run.manifest.data[0]
    verdict = load_assessment(run.folder).verdict if has_assessment(run.folder) else None
    day, returns = arrays.daily
    return Side(
        letter=letter,
        run_id=manifest.run_id,
        strategy=manifest.strategy.name,
        symbols=", ".join(one.symbol for one in manifest.data),
        timeframe=first.timeframe,
        source=first.source,
        train=manifest.plan.train,
        test=manifest.plan.test,
        synthetic=manifest.synthetic,
        verdict=NOT_ASSESSED if verdict is None else verdict.state,
        headline="" if verdict is None else verdict.headline,
        start_ms=int(day[0]),
        end_ms=int(day[-1]) + DAY_MS,
        days=len(day),
        trades=len(arrays.trades),
        total_return=float(np.prod(1.0 + returns)) - 1.0,
        sharpe=float(sharpe_of(returns[:, None])[0]) * YEAR if arrays.moves else 0.0,
        trials=len(run.trials),
    )


# --- what they share -----------------------------------------------------------------------------


def _warnings(runs: Sequence[Run], letters: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
    pairs = list(combinations(range(len(runs)), 2))

    def named(found: list[tuple[int, int]]) -> str:
        inside = sorted({one for pair in found for one in pair})
        if len(inside) == len(runs):
            return "all runs" if len(runs) > 2 else "both runs"
        return _list([letters[one] for one in inside])

    made = []
    same = [(a, b) for a, b in pairs if share_data(runs[a].manifest, runs[b].manifest)]
    if same:
        made.append(
            f"Shared data: {named(same)} were tested on the same market over overlapping time. They"
            " share its luck: that several of them did well is no confirmation."
        )
    windows = [(a, b) for a, b in same if _tests(runs[a]) == _tests(runs[b])]
    if windows:
        made.append(f"Shared windows: the tests of {named(windows)} lie on the same days.")
    made += _looked(runs, letters, rows, same)
    made += _trained(runs, letters, same)
    if any(one.synthetic for one in runs) and not all(one.synthetic for one in runs):
        made.append("Some of these markets are made up, some are real: they are not comparable.")
    elif all(one.synthetic for one in runs):
        made.append("These markets are made up: nothing here says anything of a real one.")
    return tuple(made)


def _tests(run: Run) -> tuple[tuple[int, int], ...]:
    return tuple(one.test for one in run.manifest.windows)


def _looked(
    runs: Sequence[Run],
    letters: Sequence[str],
    rows: Sequence[Row],
    same: Sequence[tuple[int, int]],
) -> list[str]:
    """Return who began when another's result on the same data was there to be looked at."""
    begun, done = [_begun(run, rows) for run in runs], [_done(run, rows) for run in runs]
    after: dict[int, list[int]] = {}
    for first, second in same:
        for early, late in ((first, second), (second, first)):
            if done[early] <= begun[late]:
                after.setdefault(late, []).append(early)
    said = [
        f"{letters[late]} after {_list([letters[one] for one in earlier])}"
        for late, earlier in sorted(after.items())
    ]
    if not said:
        return []
    return ["Made after looking: " + "; ".join(said) + AFTER]


def _begun(run: Run, rows: Sequence[Row]) -> str:
    """Return when a run was first begun, ISO 8601; the ledger remembers what --force forgets."""
    return min([run.timing.started, *_times(run, rows)])


def _done(run: Run, rows: Sequence[Row]) -> str:
    """Return when its last search was first done."""
    return max(_times(run, rows), default=run.timing.finished)


def _times(run: Run, rows: Sequence[Row]) -> list[str]:
    return [row.time_utc for row in rows if row.run_id == run.manifest.run_id]


def _trained(
    runs: Sequence[Run], letters: Sequence[str], same: Sequence[tuple[int, int]]
) -> list[str]:
    """Return whose windows train, before the common days end, on later days than another's."""
    said = [
        f"{letters[a]} and {letters[b]}"
        for a, b in same
        if _tests(runs[a]) != _tests(runs[b]) and _reach(runs[a]) != _reach(runs[b])
    ]
    if not said:
        return []
    return ["Different windows: " + "; ".join(said) + OTHER_WINDOWS]


def _reach(run: Run) -> tuple[str, str]:
    return run.manifest.plan.train, run.manifest.plan.test


# --- what follows --------------------------------------------------------------------------------


def _conclusions(result: Comparison, letters: Sequence[str]) -> tuple[str, ...]:
    superior = [letters[n] for n, one in enumerate(result.runs) if one.superior]
    made = [
        f"Better than cash with all {len(letters)} runs allowed for (StepM, {LEVEL:.0%}): "
        + (_list(superior) if superior else "none")
        + "."
    ]
    if result.spa >= LEVEL:
        made.append(
            f"As a group they are not better than cash either (SPA p = {result.spa:.3f}): the best"
            " of them is what the best of as many lucky runs would look like."
        )
    apart = [one for one in result.pairs if one.apart]
    same = [one for one in result.pairs if not one.apart]
    if apart:
        made.append("More than luck: " + "; ".join(_stronger(one, letters) for one in apart) + ".")
    if same:
        made.append(_not_apart(same, len(result.pairs), letters))
    return tuple(made)


def _stronger(pair: Pair, letters: Sequence[str]) -> str:
    more, less = (pair.first, pair.second) if pair.low > 0.0 else (pair.second, pair.first)
    return f"{letters[more]} has a higher Sharpe ratio than {letters[less]}"


def _not_apart(same: Sequence[Pair], pairs: int, letters: Sequence[str]) -> str:
    names = [f"{letters[one.first]} and {letters[one.second]}" for one in same]
    which = "No two of them" if len(same) == pairs and pairs > 1 else None
    if which is None:
        return (
            f"Not to be told apart from luck: {'; '.join(names)}. Do not choose by the higher one."
        )
    return f"{which} can be told apart from luck. Do not choose by the highest one."


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
