"""From the scorecard to the verdict: a pure function, no weighted score.

    NOT JUDGED    a validity condition (H0) is not met: the numbers are not worth judging
    FAIL          any hard gate (H1 .. H4) fails
    PASS          all hard gates pass and at most one soft gate fails
    INCONCLUSIVE  everything else

A hard gate that could not be judged is none that passed. A soft gate that could not be judged has
not failed; the report lists it. Gates of weight `information` are shown and never read here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ftbt.robustness.assessment import Gate, State, Verdict
from ftbt.robustness.thresholds import Thresholds

DAYS_PER_MONTH = 365.25 / 12.0
VALIDITY = "H0"
_LOSE_IT = (
    "More soft gates failing, further looks at the same data, or a live record that falls short of"
    " this one would take the PASS away."
)
_NEVER = (
    "A higher Sharpe ratio: no length of record would do at this one after as many looks at the"
    " data."
)
_NOT_LENGTH = (
    "It is not the length of the record that is missing: after costs it ends below its start while"
    " its mean day is above 0."
)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What time would do to the record, if it went on as it did.

    Attributes:
        days: of the record so far.
        trades: so far.
        annual_sharpe: of the record; NaN when undefined.
        needed_days: length at which the record would reach the thresholds of H1, H2 and H4; NaN
            when none suffices.
    """

    days: int
    trades: int
    annual_sharpe: float
    needed_days: float


def judge(gates: Sequence[Gate], outlook: Outlook, thresholds: Thresholds) -> Verdict:
    """Return the verdict of a scorecard; see the module.

    Args:
        gates: all of them, in the order of the scorecard.
        outlook: for what would change the verdict.
        thresholds: how many soft gates may fail, how many trades are needed.
    """
    state, because = _state(gates, thresholds)
    soft = tuple(one.id for one in gates if one.weight == "soft" and one.outcome == "fail")
    worst = _worst(gates, because)
    change, months = _change(state, because, outlook, thresholds)
    return Verdict(
        state=state,
        headline=_headline(state, because),
        sentence=_sentence(state, because, gates),
        worst="" if worst is None else f"{worst.name}: {worst.shown} (needed: {worst.threshold})",
        worst_gate="" if worst is None else worst.id,
        change=change,
        months=months,
        soft_fails=soft,
    )


def _state(gates: Sequence[Gate], thresholds: Thresholds) -> tuple[State, list[Gate]]:
    """Return the state and the gates that made it."""
    invalid = [one for one in gates if _is_validity(one) and one.outcome != "pass"]
    if invalid:
        return "NOT JUDGED", invalid
    hard = [one for one in gates if one.weight == "hard" and not _is_validity(one)]
    failed = [one for one in hard if one.outcome == "fail"]
    if failed:
        return "FAIL", failed
    short = [one for one in hard if one.outcome != "pass"]
    if short:
        return "INCONCLUSIVE", short
    soft = [one for one in gates if one.weight == "soft" and one.outcome == "fail"]
    if len(soft) > thresholds["soft_fails"]:
        return "INCONCLUSIVE", soft
    return "PASS", soft


def _is_validity(gate: Gate) -> bool:
    return gate.id.split()[0] == VALIDITY


def _headline(state: State, because: Sequence[Gate]) -> str:
    if state == "NOT JUDGED":
        return "NOT JUDGED – the test is not valid yet"
    if state == "FAIL":
        # A record that speaks against itself needs no count of looks to fail.
        ids = {one.id for one in because}
        overfit = "H3" in ids or ("H2" in ids and "H1" not in ids)
        return "FAIL – looks overfit" if overfit else "FAIL – no edge out of sample"
    if state == "INCONCLUSIVE":
        return "INCONCLUSIVE – not enough evidence"
    return "PASS – survives these tests"


def _sentence(state: State, because: Sequence[Gate], gates: Sequence[Gate]) -> str:
    if state == "NOT JUDGED":
        return "This run can't be judged: " + _and(one.reason for one in because) + "."
    if state == "FAIL":
        return "This looks like luck or worse: " + _first(because).reason + "."
    if state == "INCONCLUSIVE":
        if because[0].weight == "soft":
            return (
                "The out-of-sample record stands out from luck, but "
                + _and(one.reason for one in because)
                + "."
            )
        return "We could not tell this from luck because " + _first(because).reason + "."
    left = f"; one weak point: {because[0].reason}" if because else ""
    record = next(
        (one.reason for one in gates if one.id == "H1"), "the record stands out from luck"
    )
    return f"{record[0].upper()}{record[1:]}, and no test took that back{left}."


def _first(gates: Sequence[Gate]) -> Gate:
    """Return the most damaging of *gates*, the first of equal ones."""
    return max(gates, key=_damage)


def _damage(gate: Gate) -> float:
    return gate.damage if math.isfinite(gate.damage) else 0.0


def _and(parts: object) -> str:
    words = [str(one) for one in parts]  # type: ignore[attr-defined]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _worst(gates: Sequence[Gate], because: Sequence[Gate]) -> Gate | None:
    """Return the gate of the most damaging number: of those that decided, else of all others."""
    read = [one for one in gates if one.weight != "information"]
    for some in (because, [one for one in read if one.outcome in ("fail", "inconclusive")]):
        judged = [one for one in some if _damage(one) > 0.0]
        if judged:
            return _first(judged)
    return None


def _change(
    state: State, because: Sequence[Gate], outlook: Outlook, thresholds: Thresholds
) -> tuple[str, float]:
    """Return what would change the verdict, and in how many months (NaN: not by time)."""
    if state == "NOT JUDGED":
        return _make_valid(because, outlook, thresholds)
    if state == "PASS":
        return _LOSE_IT, math.nan
    only_soft = because[0].weight == "soft"
    if only_soft:
        points = "; ".join(one.name for one in because)
        return f"Mend these, time alone won't: {points}.", math.nan
    return _by_time(state, because, outlook)


def _make_valid(
    because: Sequence[Gate], outlook: Outlook, thresholds: Thresholds
) -> tuple[str, float]:
    few = [one for one in because if one.id == f"{VALIDITY} trades"]
    others = [one for one in because if one not in few]
    if others:
        return "Mend this first: " + _and(one.reason for one in others) + ".", math.nan
    missing = thresholds["min_trades"] - outlook.trades
    if not outlook.trades:
        return "Parameters or data with which it trades at all.", math.nan
    months = missing / outlook.trades * outlook.days / DAYS_PER_MONTH
    pace = f"{missing:.0f} more trades: about {_months(months)} at this pace"
    return f"{pace}, or more symbols, or a longer out-of-sample span.", months


def _by_time(state: State, because: Sequence[Gate], outlook: Outlook) -> tuple[str, float]:
    ids = {one.id for one in because}
    rest = ""
    if "H3" in ids:
        rest = (
            " A search with fewer parameters or longer trainings, whose choice holds up on days"
            " that it has not seen."
        )
    if not outlook.annual_sharpe > 0.0:
        return "Another idea: at this Sharpe ratio no length of record would do." + rest, math.nan
    if not ids & {"H1", "H2", "H4"}:
        return rest.strip(), math.nan
    if not math.isfinite(outlook.needed_days):
        return _NEVER + rest, math.nan
    months = (outlook.needed_days - outlook.days) / DAYS_PER_MONTH
    if months <= 0.0:
        return _NOT_LENGTH + rest, math.nan
    ratio = f"an annual Sharpe ratio of {outlook.annual_sharpe:.2f}"
    start = f"{_months(months)} more out of sample at {ratio}"
    tail = " would lift it to the threshold." if state == "INCONCLUSIVE" else " would be needed."
    return start[0].upper() + start[1:] + tail + rest, months


def _months(months: float) -> str:
    if months >= 24.0:
        return f"{months / 12.0:,.0f} years"
    whole = max(1, math.ceil(months))
    return "1 month" if whole == 1 else f"{whole} months"
