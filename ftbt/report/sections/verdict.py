"""The verdict: the first screen. What, why, what speaks most against it, what would change it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ftbt.report.assessed import of_sharpe, sentence, words
from ftbt.report.blocks import Block, How, HowFold, Ruling, Section, Tile, Tiles
from ftbt.report.damage import most_damaging
from ftbt.report.format import known, money, number, percent, plural, probability, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, Gate, State

TONES: dict[State, str] = {
    "NOT JUDGED": "",
    "FAIL": "loss",
    "INCONCLUSIVE": "hold",
    "PASS": "gain",
}
WORST = "The most damaging number"
CHANGE = "What would change this verdict"
NOTHING_WORSE = (
    "No gate speaks against it. But the Sharpe ratio's 95 % interval begins here: the true one may"
    " be as low as that."
)


def build(source: Source) -> Sequence[Block]:
    """Return the verdict, the key figures and how the verdict is reached."""
    ruling = (
        _not_assessed(source) if source.assessment is None else _ruling(source, source.assessment)
    )
    return [ruling, _tiles(source), HowFold(_how(source))]


def _ruling(source: Source, found: Assessment) -> Ruling:
    verdict = found.verdict
    return Ruling(
        state=verdict.state,
        headline=_meaning(verdict.headline, verdict.state),
        sentence=sentence(verdict.sentence),
        points=[
            _worst(source, found),
            (CHANGE, _months(verdict.months), sentence(verdict.change)),
        ],
        tone=TONES[verdict.state],
    )


def _meaning(headline: str, state: State) -> str:
    """Return the headline without the state, which stands above it in large type."""
    rest = headline.removeprefix(state).lstrip(" –-:")
    return rest[:1].upper() + rest[1:]


def _worst(source: Source, found: Assessment) -> tuple[str, str, str]:
    verdict = found.verdict
    gate = next((one for one in found.gates if one.id == verdict.worst_gate), None)
    if gate is None:
        if verdict.state == "PASS" and known(found.record.annual_low):
            return WORST, of_sharpe(found.record.annual_low), NOTHING_WORSE
        # Nothing was measured far enough to damage: the run itself has the number then.
        damage = most_damaging(source)
        return WORST, damage.value, damage.text
    return WORST, _measured(gate), words(f"{gate.name}. Needed: {gate.threshold}.")


def _measured(gate: Gate) -> str:
    """Return the gate's value in words, without what explains it."""
    return words(gate.shown.partition(" (")[0].partition(";")[0])


def _months(months: float) -> str:
    if not known(months) or months <= 0:
        return ""
    if months >= 24:
        return f"about {number(months / 12, 0)} more years"
    # Rounded up, as in the sentence below it.
    return f"about {plural(max(1, math.ceil(months)), 'more month')}"


def _not_assessed(source: Source) -> Ruling:
    """Return the verdict of a run that nothing has judged yet, with what is known without it."""
    damage = most_damaging(source)
    return Ruling(
        state="NOT JUDGED",
        headline="Not assessed yet",
        sentence="The tests that tell luck from skill have not been made for this run.",
        points=[
            (WORST, damage.value, damage.text),
            (CHANGE, "", "An assessment of this run; this page made anew then shows a verdict."),
        ],
    )


def _tiles(source: Source) -> Tiles:
    """Return the key figures; none of them is a verdict."""
    summary, evidence = source.run.summary, source.run.summary.evidence
    total, held = source.out("total_return"), summary.buy_and_hold_return
    earlier = source.run.timing.earlier_trials
    return Tiles(
        [
            Tile(
                "Out-of-sample return, after costs",
                percent(total, sign=True),
                f"buy and hold {percent(held, sign=True)}",
                "gain" if total > 0 else "loss" if total < 0 else "",
            ),
            Tile(
                "Sharpe ratio, annual",
                number(source.out("sharpe")),
                f"in-sample {number(source.within_median('sharpe'))} (median window)",
            ),
            Tile("Deepest drawdown", percent(source.out("max_drawdown")), _under_water(source)),
            Tile(
                "Out-of-sample trades",
                whole(len(source.trades)),
                f"costs {money(source.costs['total'])}",
            ),
            Tile(
                "Parameter sets tried",
                whole(summary.trials + earlier),
                f"{whole(earlier)} of them by earlier runs on these data",
            ),
            _windows(source) if source.assessment else _psr(evidence.psr),
        ]
    )


def _psr(value: float) -> Tile:
    return Tile(
        "Chance that the true Sharpe ratio is above 0",
        probability(value),
        "if nothing else had ever been tried",
    )


def _windows(source: Source) -> Tile:
    summary = source.run.summary
    return Tile(
        "Profitable windows",
        f"{summary.profitable_windows} of {summary.windows}",
        f"{summary.failed_windows} failed" if summary.failed_windows else "none failed",
    )


def _under_water(source: Source) -> str:
    days = source.out("days_under_water")
    return f"{whole(days)} days under water at most" if days > 0 else ""


def _how(source: Source) -> How:
    found = source.assessment
    if found is None:
        evidence = source.run.summary.evidence
        return How(
            "Chance = Φ[SR √(T−1) / √(1 − γ₃ SR + (γ₄−1)/4 · SR²)] with the daily Sharpe ratio SR,"
            " skewness γ₃, kurtosis γ₄ (normal: 3) and T days.",
            f"{plural(evidence.days, 'daily return')} (UTC days) of the stitched out-of-sample"
            f" curve after all costs; daily Sharpe ratio {number(evidence.sharpe_daily, 4)},"
            f" t = {number(evidence.t_statistic)}. The days are taken as independent.",
            "Probabilistic Sharpe ratio: Bailey and López de Prado, The Sharpe Ratio Efficient"
            " Frontier, Journal of Risk 15(2), 2012.",
        )
    return How(
        "NOT JUDGED: a condition of validity (H0) is not met. FAIL: a hard gate fails. PASS: every"
        " hard gate passes and at most one soft gate fails. INCONCLUSIVE: everything else. No"
        " score is added up: one bad number can't be bought back by good ones. The most damaging"
        " number is the one furthest on the wrong side of its threshold.",
        f"The {plural(len(found.gates), 'line')} of the scorecard below; seed {found.seed}.",
        "Rules and thresholds: the scorecard, each with its source. How often noise passes and how"
        " often a real edge does is measured: see the documentation on calibration.",
    )


SECTION = Section("verdict", "Verdict", build)
