"""What could not be computed and what must be known when reading the rest (section 13)."""

from __future__ import annotations

from ftbt.robustness.assessment import Limit, Overfitting
from ftbt.robustness.importance import LEAST_TRIALS
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.overfitting import GUIDED, why_not
from ftbt.walkforward.inputs import Inputs

NO_CANDLES = "the run was assessed from its folder alone, without its candles"


def limits_section(
    arrays: RunArrays, inputs: Inputs | None, overfitting: Overfitting | None
) -> tuple[Limit, ...]:
    """Return what limits the assessment.

    Args:
        arrays: of the run.
        inputs: what it was made from, or None.
        overfitting: section 5, or None.
    """
    return (
        *_data(arrays),
        *_missing_inputs(inputs),
        *_search(arrays, overfitting),
        *_record(arrays),
        Limit(
            "walk-forward matrix",
            "one run has one pair of window lengths; the command ftbt matrix makes others",
        ),
    )


def _data(arrays: RunArrays) -> list[Limit]:
    run = arrays.run
    made = []
    if run.synthetic:
        made.append(Limit("market", "the market is made up: no verdict on it is one on a market"))
    if not run.summary.funding_modelled:
        made.append(Limit("funding", "funding is not modelled for every symbol"))
    if run.summary.failed_windows:
        made.append(
            Limit(
                "windows",
                f"{run.summary.failed_windows} of {run.summary.windows} windows failed; the record"
                " is flat over them",
            )
        )
    return made


def _missing_inputs(inputs: Inputs | None) -> list[Limit]:
    if inputs is not None:
        return []
    parts = (
        "look-ahead audit", "stress", "random entries", "permuted returns", "own defaults",
        "regimes of trend, volatility and funding",
    )  # fmt: skip
    return [Limit(part, NO_CANDLES) for part in parts]


def _search(arrays: RunArrays, overfitting: Overfitting | None) -> list[Limit]:
    made = []
    if overfitting is None:
        made.append(Limit("PBO and CPCV", why_not(arrays.searches)))
    if arrays.run.manifest.strategy.space:
        made.append(Limit("trials", GUIDED))
    skipped = sum(not one.usable for one in arrays.searches)
    if skipped:
        made.append(
            Limit(
                "searches",
                f"{skipped} of {len(arrays.searches)} searches had fewer than two trials that"
                " traded; no statistic of the trials reads them",
            )
        )
    if arrays.run.manifest.strategy.space and len(arrays.run.trials) < LEAST_TRIALS:
        made.append(
            Limit("parameter importance", f"fewer than {LEAST_TRIALS} trials with a result")
        )
    if arrays.run.timing.earlier_trials:
        made.append(
            Limit(
                "earlier trials",
                f"the returns of {arrays.run.timing.earlier_trials:,} earlier trials on these data"
                " were not kept; at the upper end each counts as independent",
            )
        )
    return made


def _record(arrays: RunArrays) -> list[Limit]:
    if arrays.moves:
        return []
    trades = len(arrays.trades)
    why = "it never traded out of sample" if not trades else "its daily returns do not vary"
    return [Limit("statistics of the record", why)]
