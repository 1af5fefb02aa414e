"""The assessment of a finished walk-forward: a verdict with its evidence, as plain values.

Field of `Assessment` -> section of the report:

    run_id, seed, forms, thresholds      0  header
    verdict                              1  verdict (with `record` for its first numbers)
    gates                                2  scorecard
    record                               2, 3 and 4  the stitched out-of-sample record in figures
    (the curves of section 3 are in the run's own frames)
    selection                            4  selection bias
    overfitting                          5  PBO
    walk_forward                         6  walk-forward and CPCV
    snooping                             7  data snooping, random entries, permutation
    parameters                           8  parameter landscape
    path_risk                            9  path risk
    stress                              10  stress
    regimes                             11  regimes
    trades                              12  trades
    audit, limits                       13  assumptions and limits

Units: Sharpe ratios are ANNUAL (daily ratio x sqrt(365)) and ratios of daily returns (UTC days);
returns, drawdowns, shares and probabilities are fractions; drawdowns are positive; money is that
of the stitched curve; times are ms UTC. A float that is unknown, undefined or without limit is NaN
(`null` in robustness.json). A section that is None could not be made: `limits` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ftbt.robustness.assessment_outcome import (
    HeatMap,
    ImportanceRow,
    Limit,
    ParameterFacts,
    Parameters,
    PathRisk,
    PathRow,
    PlateauRow,
    RegimeLine,
    Regimes,
    RegimeTable,
    RuinRow,
    Stress,
    StressRow,
    TradeDot,
    TradeGroup,
    Trades,
)
from ftbt.robustness.assessment_search import (
    Band,
    ChanceTest,
    ComponentRow,
    CpcvData,
    DeflatedAt,
    DominanceData,
    FanData,
    HaircutRow,
    Histogram,
    Overfitting,
    RecordFigures,
    SearchTest,
    SelectionBias,
    Snooping,
    SnoopingTest,
    WalkForward,
    WindowOverfitting,
    WindowRow,
)

__all__ = [
    "Assessment",
    "AuditFacts",
    "Band",
    "ChanceTest",
    "ComponentRow",
    "CpcvData",
    "DeflatedAt",
    "DominanceData",
    "FanData",
    "Gate",
    "HaircutRow",
    "HeatMap",
    "Histogram",
    "ImportanceRow",
    "Limit",
    "Outcome",
    "Overfitting",
    "ParameterFacts",
    "Parameters",
    "PathRisk",
    "PathRow",
    "PlateauRow",
    "RecordFigures",
    "RegimeLine",
    "RegimeTable",
    "Regimes",
    "RuinRow",
    "SearchTest",
    "SelectionBias",
    "Snooping",
    "SnoopingTest",
    "State",
    "Stress",
    "StressRow",
    "TradeDot",
    "TradeGroup",
    "Trades",
    "Verdict",
    "WalkForward",
    "Weight",
    "WindowOverfitting",
    "WindowRow",
]

# Bump when a field changes its meaning.
FORMAT = 1

State = Literal["NOT JUDGED", "FAIL", "INCONCLUSIVE", "PASS"]
Outcome = Literal["pass", "inconclusive", "fail", "not judged"]
Weight = Literal["hard", "soft", "information"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One line of the scorecard.

    Attributes:
        id: `H0` .. `H4`, `S1` .. `S7`; H0 has one line per condition: `H0 audit`, `H0 trades` ..
        name: for people.
        value: what was measured; NaN when not judged.
        low, high: 95 % interval of it; NaN where there is none.
        shown: the value in words, for example `0.97 (annual Sharpe 1.6, 0.3 to 2.9)`.
        limit: the threshold as a number.
        threshold: the threshold in words.
        source: where the threshold comes from.
        outcome: see Outcome.
        weight: `hard` decides, `soft` can only take a PASS away, `information` does nothing.
        reason: one plain sentence: what the outcome means here.
        damage: how bad, for finding the most damaging number: 0 at the threshold and better, 1 and
            more as bad as it gets.
    """

    id: str
    name: str
    value: float
    low: float
    high: float
    shown: str
    limit: float
    threshold: str
    source: str
    outcome: Outcome
    weight: Weight
    reason: str
    damage: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first screen.

    Attributes:
        state: the verdict.
        headline: the state with its meaning, for example `FAIL - looks overfit`.
        sentence: one sentence: why.
        worst: the single most damaging number, one sentence; empty when nothing damages.
        worst_gate: id of the gate that it belongs to; empty for none.
        change: what would change this verdict, one or two sentences.
        months: further months of the same record that would change it; NaN: time would not, or is
            not what is missing.
        soft_fails: ids of the soft gates that failed.
    """

    state: State
    headline: str
    sentence: str
    worst: str
    worst_gate: str
    change: str
    months: float
    soft_fails: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """The look-ahead audit of the newest window's chosen parameters.

    Attributes:
        made: False: it could not be made.
        clean: no order changed; False when not made.
        sentence: what was found, or why it was not made.
        audited: `strategy on symbol` for each pair that was audited.
        orders: how many orders were decided again.
        warnings: sentences of the audit that are no look-ahead.
    """

    made: bool
    clean: bool
    sentence: str
    audited: tuple[str, ...]
    orders: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that the report says about a run; see the module for its sections.

    Attributes:
        format: of this structure.
        run_id: folder of the run.
        seed: of all random numbers here.
        forms: of the Sharpe statistics, first and second line.
        thresholds: (name, value, source) of every threshold that was applied.
        tightened: names of those that the user tightened.
        verdict, gates, record, selection, overfitting, walk_forward, snooping, parameters,
            path_risk, stress, regimes, trades, audit, limits: see the module.
    """

    format: int
    run_id: str
    seed: int
    forms: tuple[str, ...]
    thresholds: tuple[tuple[str, float, str], ...]
    tightened: tuple[str, ...]
    verdict: Verdict
    gates: tuple[Gate, ...]
    record: RecordFigures
    selection: SelectionBias
    overfitting: Overfitting | None
    walk_forward: WalkForward
    snooping: Snooping
    parameters: Parameters | None
    path_risk: PathRisk | None
    stress: Stress | None
    regimes: Regimes
    trades: Trades
    audit: AuditFacts
    limits: tuple[Limit, ...]
