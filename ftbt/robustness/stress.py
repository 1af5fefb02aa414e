"""How much worse may it get (section 10): costs, delay, missed fills, noise, no optimisation.

Costs, noise and the strategy's own first parameters are run again (`rerun`). Delay and missed fills
are computed from the trades that were made:

* Delay: every entry one bar late, see `delay`.
* Missed fills: a random share of the trades is left out.

How many variants are run depends on the amount of work alone, never on the clock: the same run
gives the same figures on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ftbt.robustness.assessment import Limit, Stress, StressRow
from ftbt.robustness.delay import DELAY_NOTE, delay_rows
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.panel import Floats
from ftbt.robustness.path_risk import missed_trades
from ftbt.robustness.rerun import (
    Curve,
    Pieces,
    Reruns,
    ScaledFunding,
    WindowTest,
    map_markets,
    noisy,
    with_costs,
    with_slippage,
)

NAN = math.nan
# Bars of all variants together; a bar on the reference engine costs as much as 100 compiled ones.
BUDGET = 8_000_000
SLOW = 100
NOISE_BUDGET = 1_200_000
MOST_NOISE, LEAST_NOISE = 6, 3
MISSED = (0.1, 0.2, 0.3)
MISSED_SAMPLES = 500
COST_STEPS = (2.0, 4.0, 0.0, 3.0, 0.5)
PART_STEPS = (2.0, 4.0, 3.0, 0.5)

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """One re-run: what is it, and how is it made."""

    kind: str
    label: str
    level: float
    make: Callable[[], Curve]


def stress_section(
    arrays: RunArrays, reruns: Reruns, seed: int, tick: Tick | None = None
) -> tuple[Stress, Floats | None, list[Limit]]:
    """Return section 10, the defaults' daily returns (None: not run), and what was left out.

    Args:
        arrays: of the run.
        reruns: its windows.
        seed: of noise and missed fills.
        tick: told (variants done, all).
    """
    wanted = _variants(reruns, seed)
    cost = reruns.bars * (1 if arrays.run.summary.engine == "compiled" else SLOW)
    affordable = max(3, BUDGET // max(1, cost))
    made, left_out = wanted[:affordable], wanted[affordable:]
    curves = []
    for number, one in enumerate(made):
        curves.append(one.make())
        if tick is not None:
            tick(number + 1, len(made))
    rows = [
        _row(reruns, one.kind, one.label, one.level, curve)
        for one, curve in zip(made, curves, strict=True)
    ]
    base, rows = rows[0], rows[1:]
    rows = [*rows, *delay_rows(arrays, reruns), *_missed_rows(arrays, seed)]
    break_even, is_open = break_even_multiple([base, *rows])
    noise = [row.total_return > 0.0 for row in rows if row.kind == "noise"]
    stress = Stress(
        base=base,
        reproduced=_same(arrays.equity, curves[0].equity),
        rows=tuple(sorted(rows, key=_place)),
        break_even=break_even,
        break_even_open=is_open,
        noise_share_profitable=float(np.mean(noise)) if noise else NAN,
        notes=(_COSTS, DELAY_NOTE, _NOISE),
    )
    own = [n for n, one in enumerate(made) if one.kind == "defaults"]
    return stress, curves[own[0]].returns if own else None, _limits(left_out)


_COSTS = (
    "Costs are fees and slippage together; funding is scaled by itself, and with all costs where it"
    " is known."
)
_NOISE = (
    "Noise disturbs the candles of each test, warm-up included, by up to a third of the average"
    " true range; it hardly tells good strategies from bad ones and decides nothing."
)
_KINDS = ("all costs", "slippage", "funding", "delay", "missed", "defaults", "noise")


def _place(row: StressRow) -> tuple[int, float]:
    return _KINDS.index(row.kind), row.level if math.isfinite(row.level) else 0.0


def _limits(left_out: Sequence[Variant]) -> list[Limit]:
    if not left_out:
        return []
    names = ", ".join(one.label for one in left_out)
    why = "so many bars on this engine would take too long"
    return [Limit("stress variants", f"not run ({why}): {names}")]


def _same(one: Floats, two: Floats) -> bool:
    return len(one) == len(two) and bool(np.allclose(one, two, rtol=1e-9, atol=0.0))


def _variants(reruns: Reruns, seed: int) -> list[Variant]:
    """Return all variants, the most telling ones first; the first is the unchanged one."""
    settings = reruns.inputs.settings
    funded = all(segments[0].funding is not None for segments in reruns.inputs.markets.values())

    def all_costs(factor: float) -> Callable[[], Curve]:
        scale = ScaledFunding(factor)
        return lambda: reruns.run(
            settings=with_costs(settings, factor),
            pieces=lambda test: map_markets(test.pieces, scale),
        )

    def slippage(factor: float) -> Callable[[], Curve]:
        return lambda: reruns.run(settings=with_slippage(settings, factor))

    def funding(factor: float) -> Callable[[], Curve]:
        scale = ScaledFunding(factor)
        return lambda: reruns.run(pieces=lambda test: map_markets(test.pieces, scale))

    found = [Variant("all costs", "as assumed", 1.0, reruns.run)]
    found += [_scaled("all costs", step, all_costs(step)) for step in COST_STEPS[:3]]
    found.append(Variant("defaults", "first parameters", NAN, lambda: reruns.run(defaults=True)))
    found += [_scaled("all costs", step, all_costs(step)) for step in COST_STEPS[3:]]
    found += [_scaled("slippage", step, slippage(step)) for step in PART_STEPS]
    if funded:
        found += [_scaled("funding", step, funding(step)) for step in PART_STEPS]
    return found + [_noise(reruns, seed, number) for number in range(noise_repeats(reruns.bars))]


def _scaled(kind: str, step: float, make: Callable[[], Curve]) -> Variant:
    return Variant(kind, f"{kind} x {step:g}", step, make)


def noise_repeats(bars: int) -> int:
    """Return how many noisy markets are run over so many bars."""
    return min(MOST_NOISE, max(LEAST_NOISE, NOISE_BUDGET // max(1, bars)))


def _noise(reruns: Reruns, seed: int, number: int) -> Variant:
    def pieces(test: WindowTest) -> Pieces:
        count = iter(range(10**6))
        return map_markets(
            test.pieces, lambda market: noisy(market, (seed, number, test.number, next(count)))
        )

    return Variant(
        "noise",
        f"noisy market {number + 1}",
        number + 1.0,
        lambda: reruns.run(pieces=pieces),
    )


def _row(reruns: Reruns, kind: str, label: str, level: float, curve: Curve) -> StressRow:
    capital = reruns.arrays.capital
    end = float(curve.equity[-1]) if len(curve.equity) else capital
    return StressRow(
        kind=kind,
        label=label,
        level=level,
        total_return=end / capital - 1.0,
        net_profit=end - capital,
        annual_sharpe=curve.sharpe(),
        max_drawdown=reruns.depth(curve),
        trades=curve.trades,
        low=NAN,
        high=NAN,
    )


def break_even_multiple(rows: Sequence[StressRow]) -> tuple[float, bool]:
    """Return the multiple of all costs that leaves nothing, and whether it lies beyond the tried.

    Between two multiples the total return is taken as a straight line. NaN, False: nothing to
    go by. 0: not even without any costs is there a profit.
    """
    known = sorted((row.level, row.total_return) for row in rows if row.kind == "all costs")
    if len(known) < 2:
        return NAN, False
    if known[0][1] <= 0.0:
        return (0.0, False) if known[0][0] == 0.0 else (NAN, False)
    for (low, before), (high, after) in pairwise(known):
        if after <= 0.0:
            return low + (high - low) * before / (before - after), False
    return known[-1][0], True


def _missed_rows(arrays: RunArrays, seed: int) -> list[StressRow]:
    trades = arrays.trades
    if len(trades) < 2:
        return []
    rows = []
    for number, share in enumerate(MISSED):
        rng = np.random.default_rng([seed, 7, number])
        found = missed_trades(trades.fraction, share, MISSED_SAMPLES, rng, compounded=True)
        rows.append(
            StressRow(
                kind="missed",
                label=f"{share:.0%} of the trades missed",
                level=share,
                total_return=found.total.median,
                net_profit=found.total.median * arrays.capital,
                annual_sharpe=NAN,
                max_drawdown=found.depth.median,
                trades=len(trades) - round(share * len(trades)),
                low=found.total.p05,
                high=found.total.p95,
            )
        )
    return rows
