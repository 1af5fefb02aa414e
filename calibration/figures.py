"""From rows to the figures of `calibration.json`: rates with intervals, gates, p-values.

Intervals are Clopper and Pearson's (exact, Biometrika 26, 1934), 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import beta, kstest, norm

from calibration.pipeline import outcomes
from calibration.plan import ROTATION, SCENARIOS, STRENGTHS, Scenario

FORMAT = 1
STATES = ("PASS", "INCONCLUSIVE", "FAIL", "NOT JUDGED")
LEVEL = 0.05
MOST_FALSE, LEAST_FOUND = 0.05, 0.80
# Scenarios that differ by the strength of their edge alone.
ON_CURVE = ("zero", "edge_0.5", "edge_1.0", "edge_1.5", "edge_2.0")
P_VALUES = ("psr_2012", "psr_2025", "spa_p", "pbo_p", "loss_p", "entries_p")
Row = Mapping[str, Any]


def interval(hits: int, count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    if count == 0:
        return 0.0, 1.0
    low = 0.0 if hits == 0 else float(beta.ppf(LEVEL / 2, hits, count - hits + 1))
    high = 1.0 if hits == count else float(beta.ppf(1 - LEVEL / 2, hits + 1, count - hits))
    return low, high


def rate(hits: int, count: int) -> dict[str, float | int]:
    """Return a share with its interval and its counts."""
    low, high = interval(hits, count)
    share = hits / count if count else 0.0
    return {
        "count": count, "hits": hits, "rate": round(share, 4),
        "low": round(low, 4), "high": round(high, 4),
    }  # fmt: skip


def figures(rows: Sequence[Row], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that is published.

    Args:
        rows: of all finished pipelines.
        about: what was run: seed, size, versions, how many were planned.
    """
    found = {
        one.name: _scenario(one, [row for row in rows if row["scenario"] == one.name])
        for one in SCENARIOS
    }
    return {
        "format": FORMAT,
        "about": dict(about),
        "strengths": {name: {f"{key:g}": value for key, value in own.items()}
                      for name, own in STRENGTHS.items()},
        "targets": {"most_false": MOST_FALSE, "least_found": LEAST_FOUND},
        "pass_at_1.5": pass_at(1.5, _points(found)),
        "scenarios": found,
    }  # fmt: skip


def pass_at(sharpe: float, points: Sequence[tuple[float, int, int]]) -> dict[str, float] | None:
    """Return the PASS rate at a measured Sharpe ratio, with a 95 % interval, by a probit line.

    A test of level a has the power Phi(S sqrt(years) - z_a) at a true ratio S: a straight line in
    probits. It is fitted to the counts by maximum likelihood; the interval is that of the delta
    method (Fisher information).

    Args:
        sharpe: at which.
        points: measured mean Sharpe ratio, passes and pipelines of each scenario.

    Returns:
        None with fewer than two scenarios, or where no line can be fitted (all or none passed).
    """
    known = [point for point in points if point[2]]
    hits, every = sum(point[1] for point in known), sum(point[2] for point in known)
    if len(known) < 2 or hits in (0, every):
        return None
    x, k, n = (np.array(column, np.float64) for column in zip(*known, strict=True))

    def loss(line: NDArray[np.float64]) -> float:
        z = line[0] + line[1] * x
        return -float(k @ norm.logcdf(z) + (n - k) @ norm.logcdf(-z))

    line = minimize(loss, np.array([0.0, 1.0]), method="Nelder-Mead").x
    z = line[0] + line[1] * x
    weight = n * norm.pdf(z) ** 2 / np.maximum(norm.cdf(z) * norm.cdf(-z), 1e-12)
    design = np.column_stack((np.ones_like(x), x))
    covariance = np.linalg.pinv(design.T @ (weight[:, None] * design))
    at = np.array([1.0, sharpe])
    middle, error = float(line @ at), float(np.sqrt(at @ covariance @ at))
    low, high = (norm.cdf(middle + side * 1.959964 * error) for side in (-1.0, 1.0))
    return {
        "rate": round(float(norm.cdf(middle)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def _points(found: Mapping[str, Any]) -> list[tuple[float, int, int]]:
    own = [found[name] for name in ON_CURVE if found[name]["sharpe"]["count"]]
    return [
        (one["sharpe"]["mean"], one["states"]["PASS"]["hits"], one["states"]["PASS"]["count"])
        for one in own
    ]


def _scenario(scenario: Scenario, rows: Sequence[Row]) -> dict[str, Any]:
    sharpes = _column(rows, "annual_sharpe")
    judged = [row for row in rows if row["state"] != "NOT JUDGED"]
    return {
        "words": scenario.words,
        "generator": scenario.generator,
        "target": scenario.target,
        "planned": scenario.count,
        "states": {one: rate(_count(rows, one), len(rows)) for one in STATES},
        "pass_of_judged": rate(_count(rows, "PASS"), len(judged)),
        "sharpe": _spread(sharpes),
        "trades": _spread(_column(rows, "trades")),
        "gates": _gates(rows),
        "soft_fails": _soft_fails(rows),
        "p_values": {name: _p_values(name, rows) for name in P_VALUES},
        "strategies": {
            one: {
                "pass": rate(_count(own, "PASS"), len(own)),
                "sharpe": _spread(_column(own, "annual_sharpe")),
                "trades": _spread(_column(own, "trades")),
            }
            for one in ROTATION
            if (own := [row for row in rows if row["strategy"] == one])
        },
    }


def _count(rows: Sequence[Row], state: str) -> int:
    return sum(row["state"] == state for row in rows)


def _column(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row[name] is not None]


def _spread(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"count": 0, "mean": None, "sd": None, "p05": None, "median": None, "p95": None}
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return {
        "count": len(values),
        "mean": round(float(np.mean(values)), 4),
        "sd": round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else None,
        "p05": round(float(low), 4),
        "median": round(float(middle), 4),
        "p95": round(float(high), 4),
    }


def _gates(rows: Sequence[Row]) -> dict[str, Any]:
    """Return for each gate how often it came out how, and what it alone cost.

    `only` counts the pipelines that would have passed but for this gate.
    """
    names = dict.fromkeys(name for row in rows for name in row["gates"])
    found: dict[str, Any] = {}
    for name in names:
        own = [outcomes(row).get(name, "not judged") for row in rows]
        found[name] = {
            outcome.replace(" ", "_"): rate(own.count(outcome), len(own))
            for outcome in ("pass", "inconclusive", "fail", "not judged")
        }
        found[name]["only"] = sum(_only(row, name) for row in rows)
    return found


def _only(row: Row, name: str) -> bool:
    if row["state"] == "PASS" or name.startswith("S"):
        return False
    missed = [gate for gate, outcome in outcomes(row).items()
              if gate.startswith("H") and outcome != "pass"]  # fmt: skip
    return missed == [name]


def _soft_fails(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many pipelines that passed all hard gates failed how many soft ones."""
    able = [row for row in rows if all(
        outcome == "pass" for gate, outcome in outcomes(row).items() if gate.startswith("H")
    )]  # fmt: skip
    counts = [len(row["soft_fails"]) for row in able]
    return {str(one): counts.count(one) for one in sorted(set(counts))}


def _p_values(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the shares of p-values below some levels, and how far they are from uniform.

    Of the probabilistic Sharpe ratio, 1 - it is the p-value.
    """
    values = _column(rows, name)
    if name.startswith("psr"):
        values = [1.0 - one for one in values]
    if not values:
        return {"count": 0}
    levels = (0.01, 0.05, 0.1, 0.2, 0.5)
    test = kstest(values, "uniform")
    return {
        "count": len(values),
        "below": {f"{one:g}": rate(sum(p <= one for p in values), len(values)) for one in levels},
        "deciles": [int(one) for one in np.histogram(values, np.linspace(0.0, 1.0, 11))[0]],
        "ks_distance": round(float(test.statistic), 4),
        "ks_p": round(float(test.pvalue), 4),
    }


def missed(found: Mapping[str, Any]) -> list[str]:
    """Return which targets the figures miss, one sentence each."""
    problems = []
    for name in ("null", "null_garch", "zero"):
        got = found["scenarios"][name]["states"]["PASS"]
        # Just paying its costs, an edge passes as often as the level of the test says, give or
        # take chance; without any edge it must be fewer.
        measured = got["low"] if name == "zero" else got["rate"]
        if got["count"] and measured > MOST_FALSE:
            problems.append(
                f"{name}: {got['rate']:.1%} of {got['count']} pipelines without an edge after costs"
                f" pass, at most {MOST_FALSE:.0%} may"
            )
    # Planted edges are worth about 1.5: the line through all of them says what holds at 1.5.
    own = found["scenarios"]["edge_1.5"]["states"]["PASS"]
    got = found["pass_at_1.5"] or own
    if own["count"] and got["rate"] < LEAST_FOUND:
        problems.append(
            f"edge_1.5: {got['rate']:.1%} of the pipelines with an edge worth 1.5 pass,"
            f" at least {LEAST_FOUND:.0%} must"
        )
    return problems
