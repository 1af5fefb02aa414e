"""The soft gates of the scorecard: they can take a PASS away, and decide nothing else.

S2 (walk-forward efficiency) is shown for information only: on simulated histories it tells skill
from luck worse than the record's own t-statistic, whatever the threshold. S6 (drawdown) asks about
size, not about luck, and decides only for a user who tightened it. The other thresholds are such
that nearly all records with a real edge meet them: decision record 0016.
"""

from __future__ import annotations

import math

from ftbt.robustness.assessment import (
    Gate,
    Outcome,
    Parameters,
    PathRisk,
    Snooping,
    Stress,
    Trades,
    WalkForward,
)
from ftbt.robustness.gates import gate
from ftbt.robustness.thresholds import Thresholds

NAN = math.nan
# Of two windows one always has half of the profit.
LEAST_WINDOWS = 3


def soft_gates(
    walk_forward: WalkForward,
    parameters: Parameters | None,
    stress: Stress | None,
    snooping: Snooping,
    path_risk: PathRisk | None,
    trades: Trades,
    thresholds: Thresholds,
) -> list[Gate]:
    """Return S1 to S7."""
    return [
        _windows(walk_forward, thresholds),
        _efficiency(walk_forward, thresholds),
        _plateau(parameters, thresholds),
        _break_even(stress, thresholds),
        _random_entries(snooping, thresholds),
        _drawdown(path_risk, thresholds),
        _top_trades(trades, thresholds),
    ]


def _soft(
    name: tuple[str, str],
    value: float,
    shown: str,
    threshold: tuple[float, str, str],
    passed: bool | None,
    reasons: tuple[str, str, str],
    damage: float = 0.0,
    weight: str = "soft",
) -> Gate:
    """Return a gate; *passed* None: not judged; *reasons*: when passed, failed, not judged."""
    outcome: Outcome = "not judged" if passed is None else "pass" if passed else "fail"
    reason = reasons[2] if passed is None else reasons[0] if passed else reasons[1]
    return gate(
        name,
        value,
        shown if passed is not None else "not judged",
        threshold,
        outcome,
        reason,
        weight=weight,
        damage=damage,
    )


def _windows(found: WalkForward, thresholds: Thresholds) -> Gate:
    least, most = thresholds["profitable_windows"], thresholds["best_window"]
    count = len(found.windows)
    even = found.share_profitable >= least and found.best_share < most
    share = f"{found.best_share:.0%}" if math.isfinite(found.best_share) else "no profit"
    words = f"at least {least:.0%} profitable, none with {most:.0%} of the profit or more"
    few = f"{count} windows are too few to say how even the profit is"
    uneven = (
        f"{found.profitable} of {count} windows made a profit, and the best one has {share} of it"
        if math.isfinite(found.best_share)
        else f"{found.profitable} of {count} windows made a profit, and together they made none"
    )
    return _soft(
        ("S1", "Profit spread over the windows"),
        found.share_profitable,
        f"{found.profitable} of {count} profitable; the best one's part of the profit: {share}",
        (least, words, thresholds.source("profitable_windows")),
        None if count < LEAST_WINDOWS else even,
        ("the profit is spread over the windows", uneven, few),
        damage=0.5 * max(least - found.share_profitable, _over(found.best_share, most)),
    )


def _over(value: float, limit: float) -> float:
    return value - limit if math.isfinite(value) else 1.0


def _efficiency(found: WalkForward, thresholds: Thresholds) -> Gate:
    least, value = thresholds["efficiency"], found.efficiency
    known = math.isfinite(value)
    kept = f"{value:.0%} of the annual return in training was left out of sample" if known else ""
    return _soft(
        ("S2", "Walk-forward efficiency"),
        value,
        f"{value:.0%}",
        (least, f"at least {least:.0%} (information only)", thresholds.source("efficiency")),
        value >= least if known else None,
        (kept, kept, "there was no return in training to compare with"),
        weight="information",
    )


def _plateau(found: Parameters | None, thresholds: Thresholds) -> Gate:
    least, above = thresholds["plateau"], thresholds["permutation_median"]
    own = () if found is None else found.strategies
    shares = [one.plateau_share for one in own if math.isfinite(one.plateau_share)]
    medians = [one.permutation_median for one in own if math.isfinite(one.permutation_median)]
    share, median = min(shares, default=NAN), min(medians, default=NAN)
    counts = "plateau" in thresholds.tightened_names
    words = f"median trial above {above:g}"
    if counts:
        words += f", at least {least:.0%} of the neighbours hold up"
    near = f"{share:.0%} of the neighbours hold up" if shares else "too few neighbours to judge"
    missing = "nothing was searched" if not own else "the chosen parameters have too few neighbours"
    peak = (
        "the chosen parameters are a peak: the median trial has an annual Sharpe ratio of"
        f" {median:.2f} in training ({near})"
    )
    holds = not counts or (bool(shares) and share >= least)
    known = bool(medians) and not (counts and not shares)
    return _soft(
        ("S3", "Parameter plateau"),
        median,
        f"median trial: annual Sharpe {median:.2f}; {near}",
        (above, words, thresholds.source("permutation_median")),
        (median > above and holds) if known else None,
        (
            "the typical parameters make a profit in training too, not only the best ones",
            peak,
            missing,
        ),
        damage=0.5 * (above - median) if medians else 0.0,
    )


def _break_even(found: Stress | None, thresholds: Thresholds) -> Gate:
    least = thresholds["break_even"]
    value = NAN if found is None else found.break_even
    known = math.isfinite(value)
    more = "more than " if found is not None and found.break_even_open else ""
    return _soft(
        ("S4", "Costs that leave nothing"),
        value,
        f"{more}{value:.1f} times the assumed costs",
        (least, f"at least {least:g} times", thresholds.source("break_even")),
        value >= least if known else None,
        (
            f"it would bear {more}{value:.1f} times the assumed costs",
            _little(value),
            "the tests could not be run again with other costs",
        ),
        damage=0.5 * (1.0 - value / least) if known else 0.0,
    )


def _little(value: float) -> str:
    if value > 0.0:
        return f"{value:.1f} times the assumed costs leave nothing"
    return "it loses even without any costs"


def _random_entries(found: Snooping, thresholds: Thresholds) -> Gate:
    most = thresholds["random_entries"]
    test = found.random_entries
    p = NAN if test is None else test.p_value
    reached = f"the same trades at random times do as well in {p:.0%} of the draws"
    return _soft(
        ("S5", "Against random entries"),
        p,
        f"p = {p:.3f}",
        (most, f"below {most:g}", thresholds.source("random_entries")),
        p < most if test is not None else None,
        (reached, reached, "the trades could not be placed at random times"),
        damage=0.5 * (p - most) if test is not None else 0.0,
    )


def _drawdown(found: PathRisk | None, thresholds: Thresholds) -> Gate:
    """Return S6: soft where the user tightened its threshold, else for information.

    How deep it falls is a matter of size: half the size, half the drawdown, and the same luck.
    """
    name = ("S6", "Drawdown that 19 of 20 histories stay within")
    own = 1.0 if found is None else found.limit
    asked = "drawdown" in thresholds.tightened_names
    weight = "soft" if asked else "information"
    limit = min(thresholds["drawdown"], own)
    words = f"at most {limit:.0%}" if limit < 1.0 else "no limit was set"
    words += "" if asked or not limit < 1.0 else " (the account's own limit; information only)"
    threshold = (limit, words, thresholds.source("drawdown"))
    reasons_missing = (
        "there is no record to draw histories from" if found is None else "no limit was set"
    )
    if found is None or not limit < 1.0:
        return _soft(name, NAN, "", threshold, None, ("", "", reasons_missing), weight=weight)
    value = found.rows[0].depth_p95
    fall = f"one history in twenty falls by {value:.0%} or more; the limit is {limit:.0%}"
    return _soft(
        name,
        value,
        f"{value:.1%}",
        threshold,
        value <= limit,
        (fall, fall, ""),
        damage=0.5 * (value - limit) / (1.0 - limit),
        weight=weight,
    )


def _top_trades(found: Trades, thresholds: Thresholds) -> Gate:
    most, share = thresholds["top_trades"], found.top_share
    profit = math.isfinite(share)
    part = f"the best {found.top} trades made {share:.0%} of the profit" if profit else ""
    return _soft(
        ("S7", f"Part of the {found.top} best trades"),
        share,
        f"{share:.0%} of the profit" if profit else "no profit",
        (most, f"below {most:.0%}", thresholds.source("top_trades")),
        (share < most if profit else False) if found.count else None,
        (part, part or "there is no profit to spread", "there are no trades"),
        damage=0.5 * _over(share, most),
    )
