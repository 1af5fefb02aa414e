"""Which pipelines are run: scenarios, their counts, and the strengths of the planted edges.

A strategy's edge is planted in units of drift (`calibration.markets`), which mean nothing to a
trader. STRENGTHS says how much of it is worth a stitched out-of-sample annual Sharpe ratio of about
0, 0.5, 1, 1.5 and 2 after all costs; `python -m calibration tune` measures that. What the pipelines
really reached is measured again in every calibration and published beside each rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from calibration.pipeline import Size, Task
from ftbt.errors import InputError

ROTATION = ("liquidity_sweep", "fvg_fill", "bos_orderblock", "shock")
SEED = 20_260

STRENGTHS: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {
        "liquidity_sweep": {0.0: 0.20, 0.5: 0.36, 1.0: 0.49, 1.5: 0.63, 2.0: 0.71},
        "fvg_fill": {0.0: 0.09, 0.5: 0.27, 1.0: 0.44, 1.5: 0.76, 2.0: 0.95},
        "bos_orderblock": {0.0: 0.23, 0.5: 0.46, 1.0: 0.70, 1.5: 0.98, 2.0: 1.27},
        "shock": {0.0: 0.11, 0.5: 0.20, 1.0: 0.31, 1.5: 0.355, 2.0: 0.50},
    }
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Pipelines of one kind.

    Attributes:
        name: in file names and tables.
        generator: of the market.
        target: annual Sharpe ratio that the edge is meant to be worth; None: no edge at all.
        count: pipelines, a multiple of the number of strategies.
        words: for people.
        trials: of each window; None: as usual.
    """

    name: str
    generator: str
    target: float | None
    count: int
    words: str
    trials: int | None = None


SCENARIOS = (
    Scenario("null", "sample", None, 200, "no edge: costs make every strategy lose"),
    Scenario("null_garch", "garch", None, 100, "no edge, another kind of market"),
    Scenario("zero", "sample", 0.0, 100, "an edge that just pays the costs"),
    Scenario("edge_0.5", "sample", 0.5, 40, "an edge worth 0.5"),
    Scenario("edge_1.0", "sample", 1.0, 40, "an edge worth 1.0"),
    Scenario("edge_1.5", "sample", 1.5, 160, "an edge worth 1.5"),
    Scenario("edge_2.0", "sample", 2.0, 40, "an edge worth 2.0"),
    Scenario("edge_1.5_wide", "sample", 1.5, 20, "the same with three times the trials", 60),
)


def strength(strategy: str, target: float | None) -> float:
    """Return the drift that is worth *target* to *strategy*."""
    return 0.0 if target is None else STRENGTHS[strategy][target]


def tasks(
    seed: int = SEED,
    pipelines: int | None = None,
    size: Size | None = None,
    scenarios: tuple[Scenario, ...] = SCENARIOS,
) -> list[Task]:
    """Return all pipelines in the order in which they are run.

    Those of one number come together, because they share their path; those of a scenario with few
    pipelines are spread over all numbers, so that a run that is stopped has a part of each.

    Args:
        seed: of everything.
        pipelines: of the largest scenario, the others in proportion; None: as in SCENARIOS.
        size: of each; None: the usual one.
        scenarios: which.

    Raises:
        InputError: fewer pipelines than strategies.
    """
    most = max(one.count for one in scenarios)
    wanted = most if pipelines is None else pipelines
    if wanted < len(ROTATION):
        raise InputError(f"pipelines must be at least {len(ROTATION)}, not {wanted}")
    found: list[tuple[int, int, Task]] = []
    rounds = -(-wanted // len(ROTATION))
    for place, one in enumerate(scenarios):
        own = max(1, round(one.count * rounds / most))
        for chosen in range(own):
            block = chosen * rounds // own
            for step, strategy in enumerate(ROTATION):
                number = block * len(ROTATION) + step
                drift = strength(strategy, one.target)
                own_size = size or replace(Size(), trials=one.trials or Size().trials)
                task = Task(one.name, number, one.generator, strategy, drift, seed, own_size)
                found.append((number, place, task))
    return [task for _, _, task in sorted(found, key=lambda item: item[:2])]
