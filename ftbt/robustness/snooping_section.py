"""Against luck and against doing nothing (section 7).

The stitched record is one series, made by a rule that was fixed before its days: the walk-forward
itself. So it is tested as one strategy, against cash, against buy and hold, and against the
strategy's own first parameters held over all tests. With one strategy Hansen's test is a bootstrap
t-test that keeps streaks of days together, which the Sharpe statistics of H1 do not.

The trials themselves were seen in training only. `searches` asks of each window whether ANY of its
trials beat cash there, all of them allowed for: what Reality Check and SPA were made for.

`components` asks which strategies and symbols beat cash, all at once (StepM): picking the best
symbol of the result afterwards is snooping too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ftbt.data.timeframe import DAY_MS
from ftbt.robustness.assessment import ComponentRow, SearchTest, SnoopingTest
from ftbt.robustness.checks import varies
from ftbt.robustness.of_run import PERIODS, RunArrays, Search, TradeArrays
from ftbt.robustness.panel import Flags, Floats, Ints
from ftbt.robustness.snooping import (
    Studentise,
    bootstrap_means,
    reality_check,
    step_m,
    superior_ability,
)

RESAMPLES = 2000
SEARCH_RESAMPLES = 500
# From this mean block length on, the deviation of a single trial is too noisy to divide by.
LONG_BLOCK = 5.0
LEVEL = 0.05

Tick = Callable[[int, int], None]


def record_tests(
    arrays: RunArrays, seed: int, defaults: Floats | None = None
) -> tuple[SnoopingTest, ...]:
    """Return the tests of the stitched record, cash first; none when it does not vary.

    Args:
        arrays: of the run.
        seed: of the bootstrap.
        defaults: daily returns of the first parameters over the record's days; None: not made.
    """
    if not arrays.moves:
        return ()
    returns = arrays.returns
    against: list[tuple[str, Floats]] = [
        ("cash", np.zeros(len(returns))),
        ("buy and hold", arrays.hold),
    ]
    if defaults is not None and len(defaults) == len(returns):
        against.append(("own defaults", defaults))
    return tuple(
        _record_test(name, returns, other, seed)
        for name, other in against
        if varies(returns - other)
    )


def _record_test(name: str, returns: Floats, benchmark: Floats, seed: int) -> SnoopingTest:
    boot = bootstrap_means(returns, benchmark, resamples=RESAMPLES, seed=seed)
    ability, check = superior_ability(boot), reality_check(boot)
    return SnoopingTest(
        benchmark=name,
        excess_annual=float((returns - benchmark).mean()) * PERIODS,
        statistic=ability.statistic,
        spa_lower=ability.lower,
        spa_consistent=ability.consistent,
        spa_upper=ability.upper,
        reality_check=check.p_value,
        block=boot.block,
        resamples=RESAMPLES,
        studentise=ability.studentise,
    )


def studentise_for(block: float) -> Studentise:
    """Return how many alike trials are best scaled at a mean block length."""
    return "pooled" if block >= LONG_BLOCK else "hansen"


def search_tests(
    searches: Sequence[Search], seed: int, tick: Tick | None = None
) -> tuple[SearchTest, ...]:
    """Return the tests of every usable search in training."""
    usable = [one for one in searches if one.usable]
    made = []
    for number, one in enumerate(usable):
        boot = bootstrap_means(one.returns, resamples=SEARCH_RESAMPLES, seed=seed + number)
        ability = superior_ability(boot, studentise=studentise_for(boot.block))
        made.append(
            SearchTest(
                window=one.window,
                strategy=one.strategy,
                trials=one.returns.shape[1],
                days=len(one.day),
                spa_consistent=ability.consistent,
                reality_check=reality_check(boot).p_value,
            )
        )
        if tick is not None:
            tick(number + 1, len(usable))
    return tuple(made)


def component_tests(arrays: RunArrays, seed: int) -> tuple[ComponentRow, ...]:
    """Return StepM over strategies and symbols; empty when there is only one part."""
    trades, day, manifest = arrays.trades, arrays.daily[0], arrays.run.manifest
    parts = components_of(trades, manifest.strategy.names, [one.symbol for one in manifest.data])
    if len(parts) < 2 or not arrays.moves:
        return ()
    panel = np.column_stack([realised(trades, chosen, day) for _, chosen in parts])
    boot = bootstrap_means(panel, resamples=RESAMPLES, seed=seed)
    found = step_m(boot, LEVEL, studentise=studentise_for(boot.block))
    superior = set(found.superior.tolist())
    return tuple(
        ComponentRow(
            name=name,
            trades=int(chosen.sum()),
            mean_annual=float(panel[:, number].mean()) * PERIODS,
            p_value=float(found.p_values[number]),
            superior=number in superior,
        )
        for number, (name, chosen) in enumerate(parts)
    )


def components_of(
    trades: TradeArrays, strategies: Sequence[str], symbols: Sequence[str]
) -> list[tuple[str, Flags]]:
    """Return names and trades of the parts; none where one part is everything."""
    parts: list[tuple[str, Flags]] = []
    if len(strategies) > 1:
        parts += [(f"strategy {one}", trades.strategy == one) for one in strategies]
    if len(symbols) > 1:
        parts += [(f"symbol {one}", trades.symbol == one) for one in symbols]
    if len(strategies) > 1 and len(symbols) > 1:
        parts += [
            (f"{one} on {other}", (trades.strategy == one) & (trades.symbol == other))
            for one in strategies
            for other in symbols
        ]
    return parts


def realised(trades: TradeArrays, chosen: Flags, day: Ints) -> Floats:
    """Return the profit that *chosen* trades realised on each day, fractions of the equity."""
    made = np.zeros(len(day))
    place = np.searchsorted(day, trades.exit[chosen] // DAY_MS * DAY_MS)
    np.add.at(made, np.minimum(place, len(day) - 1), trades.fraction[chosen])
    return made
