"""The scorecard (section 2): every gate with its value, threshold, source, outcome and reason.

Hard gates: H0 validity, H1 the record against 0, H2 against the looks it was exposed to, H3 the
search, H4 the record against cash with streaks of days kept. Soft gates: `gates_soft`. Reasons are
half sentences that fit after "because": plain words, no promise.
"""

from __future__ import annotations

import math

from ftbt.robustness.assessment import (
    AuditFacts,
    Gate,
    Outcome,
    Overfitting,
    RecordFigures,
    SelectionBias,
    Snooping,
)
from ftbt.robustness.thresholds import Thresholds

NAN = math.nan
DAYS_PER_MONTH = 365.25 / 12.0


def hard_gates(
    record: RecordFigures,
    selection: SelectionBias,
    overfitting: Overfitting | None,
    snooping: Snooping,
    audit: AuditFacts,
    thresholds: Thresholds,
    *,
    costs_modelled: bool,
    no_overfitting: str,
) -> list[Gate]:
    """Return H0 to H4.

    Args:
        record: the stitched out-of-sample record.
        selection: section 4.
        overfitting: section 5.
        snooping: section 7.
        audit: look-ahead audit.
        thresholds: that apply.
        costs_modelled: fees or slippage are above 0.
        no_overfitting: why *overfitting* is None.
    """
    return [
        _audit(audit),
        _costs(costs_modelled),
        _trades(record, thresholds),
        _record(record, thresholds),
        _deflated(selection, thresholds),
        _overfitting(overfitting, no_overfitting, thresholds),
        _cash(snooping, thresholds),
    ]


def gate(
    name: tuple[str, str],
    value: float,
    shown: str,
    threshold: tuple[float, str, str],
    outcome: Outcome,
    reason: str,
    *,
    weight: str = "hard",
    interval: tuple[float, float] = (NAN, NAN),
    damage: float = 0.0,
) -> Gate:
    """Return a gate.

    Args:
        name: id and name.
        value: what was measured.
        shown: in words.
        threshold: number, words, source.
        outcome: see `Outcome`.
        reason: half a sentence.
        weight: see `Weight`.
        interval: 95 %, of the value.
        damage: how far on the wrong side; cut to 0 .. 1, and 0 for what passed.
    """
    return Gate(
        id=name[0],
        name=name[1],
        value=value,
        low=interval[0],
        high=interval[1],
        shown=shown,
        limit=threshold[0],
        threshold=threshold[1],
        source=threshold[2],
        outcome=outcome,
        weight=weight,  # type: ignore[arg-type]
        reason=reason,
        damage=0.0 if outcome == "pass" else min(1.0, max(0.0, damage)),
    )


def _audit(audit: AuditFacts) -> Gate:
    clean = audit.made and audit.clean
    outcome: Outcome = "pass" if clean else "fail" if audit.made else "not judged"
    return gate(
        ("H0 audit", "Look-ahead audit"),
        float(clean) if audit.made else NAN,
        "clean" if clean else "looks ahead" if audit.made else "not made",
        (1.0, "no order changes", "each order is decided again without the future"),
        outcome,
        audit.sentence.rstrip("."),
        damage=1.0,
    )


def _costs(modelled: bool) -> Gate:
    return gate(
        ("H0 costs", "Costs"),
        float(modelled),
        "modelled" if modelled else "none",
        (1.0, "above 0", "a market without costs does not exist"),
        "pass" if modelled else "fail",
        "fees and slippage are modelled" if modelled else "no fees and no slippage were charged",
        damage=1.0,
    )


def _trades(record: RecordFigures, thresholds: Thresholds) -> Gate:
    least, count = thresholds["min_trades"], record.trades
    enough = count >= least
    return gate(
        ("H0 trades", "Out-of-sample trades"),
        float(count),
        f"{count:,}",
        (least, f"at least {least:,.0f}", thresholds.source("min_trades")),
        "pass" if enough else "not judged",
        f"{count:,} out-of-sample trades are {'enough' if enough else 'too few'} to judge by",
        damage=1.0 - count / least,
    )


def _record(record: RecordFigures, thresholds: Thresholds) -> Gate:
    least, fail = thresholds["psr"], thresholds["psr_fail"]
    value = record.psr_2012
    known = math.isfinite(value)
    lost = known and not record.net_profit > 0.0
    outcome: Outcome = (
        "not judged"
        if not known
        else "fail"
        if lost or value < fail
        else "pass"
        if value >= least
        else "inconclusive"
    )
    months = record.days / DAYS_PER_MONTH
    if not known:
        reason = "the out-of-sample record does not move, so it has no Sharpe ratio"
    elif lost:
        reason = (
            f"out of sample it lost {-record.net_profit:,.2f} ({-record.total_return:.1%} of the"
            f" capital) after costs in {months:.0f} months"
        )
    elif outcome == "pass":
        reason = f"{months:.0f} months out of sample stand out from luck"
    else:
        reason = (
            f"{months:.0f} months at an annual Sharpe ratio of {record.annual_sharpe:.2f} are too"
            f" few: a true ratio above 0 has a probability of {value:.0%}, needed are {least:.0%}"
        )
    shown = (
        f"{value:.3f} (annual Sharpe {record.annual_sharpe:.2f}, {record.annual_low:.2f} to"
        f" {record.annual_high:.2f})"
    )
    return gate(
        ("H1", "Probability that the true Sharpe ratio is above 0"),
        value,
        shown if known else "not known",
        (least, f"at least {least:g}, and a profit after costs", thresholds.source("psr")),
        outcome,
        reason,
        damage=1.0 - value / least if known and not lost else 1.0,
    )


def _deflated(selection: SelectionBias, thresholds: Thresholds) -> Gate:
    least, fail = thresholds["dsr"], thresholds["dsr_fail"]
    band = selection.record
    low, central, high = (one.probability for one in (band.low, band.central, band.high))
    known = math.isfinite(high)
    outcome: Outcome = (
        "not judged"
        if not known
        else "fail"
        if central < fail
        else "pass"
        if min(low, central, high) >= least
        else "inconclusive"
    )
    earlier = selection.earlier_trials
    looks = (
        "no earlier trial on these data is in the ledger"
        if not earlier
        else f"{earlier:,} earlier trials on these data are in the ledger"
    )
    flips = outcome == "inconclusive" and max(low, central, high) >= least
    if not known:
        reason = "the out-of-sample record does not move, so it has no Sharpe ratio"
    elif outcome == "pass":
        reason = f"the record stands out from the luck of all looks at these data ({looks})"
    elif flips:
        reason = (
            f"{looks}: whether the record is more than the luckiest of so many looks depends on how"
            " different they were"
        )
    elif earlier:
        reason = f"{looks}, and the luckiest of so many looks would have done about as well"
    else:
        reason = f"the record does not stand out from a single lucky look ({looks})"
    return gate(
        ("H2", "Deflated Sharpe ratio, all looks at these data allowed for"),
        high,
        f"{high:.3f} ({low:.3f} for one look, {central:.3f} in between)" if known else "not known",
        (least, f"at least {least:g} over the whole band of looks", thresholds.source("dsr")),
        outcome,
        reason,
        damage=1.0 - high / least if known else 1.0,
    )


def _overfitting(found: Overfitting | None, why: str, thresholds: Thresholds) -> Gate:
    name = ("H3", "Overfitting of the search (PBO)")
    words = (
        f"PBO at most {thresholds['pbo']:g}, or losses in the other half rarer than in"
        f" {1 - thresholds['loss_p']:.0%} of searches without skill"
    )
    threshold = (thresholds["pbo"], words, thresholds.source("pbo"))
    if found is None:
        # A single parameter set was not searched for: nothing was chosen, nothing overfits.
        fixed = why.startswith("nothing was searched")
        return gate(
            name,
            NAN,
            "nothing was searched" if fixed else "not computed",
            threshold,
            "pass" if fixed else "not judged",
            why if fixed else f"the search could not be judged ({why})",
        )
    outcome = _overfit_outcome(found, thresholds)
    return gate(
        name,
        found.pbo,
        f"{found.pbo:.2f} (without skill {found.null_lower:.2f} to {found.null_upper:.2f},"
        f" p = {found.p_value:.2f}); lost in {found.probability_of_loss:.0%} of the other halves"
        f" (p = {found.loss_p_value:.2f})",
        threshold,
        outcome,
        _overfit_reason(found, outcome, thresholds),
        damage=max(
            (found.pbo - thresholds["pbo"]) / (1.0 - thresholds["pbo"]),
            found.probability_of_loss - 0.5,
        ),
    )


def _overfit_outcome(found: Overfitting, thresholds: Thresholds) -> Outcome:
    holds = found.pbo <= thresholds["pbo"] or found.loss_p_value <= thresholds["loss_p"]
    if holds and found.probability_of_loss < thresholds["loss_fail"]:
        return "pass"
    fails = found.pbo >= thresholds["pbo_fail"]
    return (
        "fail" if fails and found.probability_of_loss >= thresholds["loss_fail"] else "inconclusive"
    )


def _overfit_reason(found: Overfitting, outcome: Outcome, thresholds: Thresholds) -> str:
    halves = f"{found.probability_of_loss:.0%} of the other halves"
    if outcome == "pass":
        if found.pbo <= thresholds["pbo"]:
            return "what was best on one half of the training stayed among the best on the other"
        return (
            f"what was best on one half of the training lost in only {halves}; which parameters"
            " are taken hardly matters"
        )
    if outcome == "fail":
        return (
            f"what was best on one half of the training was below the median trial in"
            f" {found.pbo:.0%} of the other halves and lost in {halves}"
        )
    return (
        f"what was best on one half of the training lost in {halves}, about as often as a search"
        " without skill does"
    )


def _cash(snooping: Snooping, thresholds: Thresholds) -> Gate:
    most, fail = thresholds["spa"], thresholds["spa_fail"]
    name = ("H4", "Superior to cash (SPA, consistent p-value)")
    threshold = (most, f"below {most:g}", thresholds.source("spa"))
    cash = next((one for one in snooping.tests if one.benchmark == "cash"), None)
    if cash is None:
        reason = "the out-of-sample record does not move"
        return gate(name, NAN, "not computed", threshold, "not judged", reason)
    p = cash.spa_consistent
    outcome: Outcome = "pass" if p < most else "fail" if p > fail else "inconclusive"
    chance = f"with streaks of days kept, luck alone does as well in {p:.0%} of histories"
    return gate(
        name,
        p,
        f"{p:.3f} (blocks of {cash.block:.1f} days on average)",
        threshold,
        outcome,
        chance,
        damage=(p - most) / (1.0 - most),
    )
