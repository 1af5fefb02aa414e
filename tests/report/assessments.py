"""Whole assessments for the tests of the report: made up, complete, the same each time.

The verdict is not made up: it follows from the gates by `ftbt.robustness.verdict.judge`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assessment_sections import (
    NAN,
    gates,
    overfitting,
    parameters,
    path_risk,
    record,
    regimes,
    selection,
    snooping,
    stress,
    trades,
    walk_forward,
)

from ftbt.robustness.assessment import (
    FORMAT,
    Assessment,
    AuditFacts,
    Band,
    DeflatedAt,
    Histogram,
    Limit,
    Regimes,
    SelectionBias,
    Snooping,
    TradeGroup,
    Trades,
    WalkForward,
)
from ftbt.robustness.thresholds import Thresholds
from ftbt.robustness.verdict import Outlook, judge


def assessment(outcomes: dict[str, tuple[str, float]] | None = None, **changes: Any) -> Assessment:
    """Return a complete assessment; *outcomes* of gates decide the verdict, PASS without any."""
    thresholds = Thresholds()
    scored = changes.pop("gates", None) or gates(**(outcomes or {}))
    figures = changes.pop("record", None) or record()
    outlook = Outlook(figures.days, figures.trades, figures.annual_sharpe, figures.days + 213.0)
    whole = Assessment(
        format=FORMAT, run_id="run-1", seed=11, forms=("2012", "2025"),
        thresholds=thresholds.rows(), tightened=(), verdict=judge(scored, outlook, thresholds),
        gates=scored, record=figures, selection=selection(), overfitting=overfitting(),
        walk_forward=walk_forward(), snooping=snooping(), parameters=parameters(),
        path_risk=path_risk(), stress=stress(), regimes=regimes(), trades=trades(),
        audit=AuditFacts(True, True, "no order changed on 40 prefixes", ("sweep on BTC",), 413,
                         ("it settles after 1,200 bars",)),
        limits=(
            Limit("trials", "steps of a guided search"),
            Limit("walk-forward matrix", "one run has one pair of window lengths"),
        ),
    )  # fmt: skip
    return replace(whole, **changes)


def failing() -> Assessment:
    """Return a FAIL: overfit, and no edge out of sample."""
    return assessment(
        {"H1": ("fail", 1.7), "H2": ("fail", 2.2), "H4": ("fail", 0.9), "S4": ("fail", 1.0)}
    )


def inconclusive() -> Assessment:
    """Return an INCONCLUSIVE: the record is too short."""
    return assessment({"H2": ("inconclusive", 0.4), "S7": ("fail", 0.3)})


def not_judged() -> Assessment:
    """Return a NOT JUDGED: too few trades."""
    return assessment({"H0_trades": ("fail", 0.8)}, record=replace(record(), trades=41))


def nothing() -> Assessment:
    """Return an assessment of a run that made no trade: nearly everything is unknown."""
    empty = Histogram((), ())
    at = DeflatedAt(NAN, NAN, NAN)
    band = Band(at, at, at, "none", "none", "none")
    unknown = (
        "annual_sharpe",
        "annual_low",
        "annual_high",
        "annual_sharpe_autocorrelated",
        "psr_2012",
        "psr_2025",
        "psr_2025_ar1",
        "min_days_2012",
        "min_days_2025",
        "min_days_2025_ar1",
        "skewness",
        "kurtosis",
        "autocorrelation",
        "mean_low",
        "mean_high",
        "block",
    )
    blank = replace(
        record(61),
        trades=0,
        net_profit=0.0,
        total_return=0.0,
        max_drawdown=0.0,
        monthly=(),
        **dict.fromkeys(unknown, NAN),
    )
    unjudged = tuple(
        replace(one, outcome="not judged", value=NAN, shown="n/a", reason="there was no trade")
        for one in gates()
    )
    return assessment(
        gates=unjudged,
        record=blank,
        selection=SelectionBias(
            trials=0, distinct=0, flat=0, earlier_trials=0, earlier_trials_of_strategy=0,
            mean_correlation=NAN, sharpes=empty, chosen_sharpes=(), expected_maximum=NAN,
            record=band, record_2025=at, curve=(), all_trials=None, tolerated=NAN, search=None,
            search_sharpe=NAN, search_days=0, haircuts=(), backtest_years=0.3, needed_years=NAN,
            needed_years_all=NAN, needed_bound=NAN,
        ),
        overfitting=None,
        walk_forward=WalkForward((), NAN, 0, NAN, -1, NAN, 0, NAN, None),
        snooping=Snooping((), (), (), None, None),
        parameters=None,
        path_risk=None,
        stress=None,
        regimes=Regimes(()),
        trades=Trades(0, (), empty, NAN, 5, NAN, 0.0, 0, ()),
        audit=AuditFacts(False, False, "there was no window to audit", (), 0, ()),
        limits=(
            Limit("PBO and CPCV", "no search had two trials that traded"),
            Limit("statistics of the record", "it never traded out of sample"),
            Limit("random entries", "there is no trade to place"),
            Limit("walk-forward matrix", "one run has one pair of window lengths"),
        ),
    )  # fmt: skip


def many() -> Assessment:
    """Return an assessment of three strategies, 40 windows and tens of thousands of trials."""
    names = ("liquidity_sweep", "fvg_fill", "bos_orderblock")
    parts = tuple(f"strategy {name}" for name in names)
    parts += tuple(f"symbol {name}" for name in ("BTC", "ETH", "SOL"))
    parts += tuple(f"{name} on {symbol}" for name in names for symbol in ("BTC", "ETH", "SOL"))
    return assessment(
        {"H3": ("inconclusive", 0.3)},
        selection=selection(48_000),
        overfitting=overfitting(40, names),
        walk_forward=walk_forward(40, failed=(3, 17)),
        snooping=snooping(parts, 40),
        parameters=parameters(names, 40),
    )


def hostile(words: str) -> Assessment:
    """Return an assessment in which every word that a user may have written is *words*."""
    base = assessment({"H2": ("inconclusive", 0.4)})
    first = replace(base.gates[0], name=words, reason=words, shown=words, source=words)
    item = parameters((words, f"{words} 2"), 3, prefix=words)
    return replace(
        base,
        gates=(first, *base.gates[1:]),
        verdict=replace(base.verdict, sentence=words, change=words),
        parameters=item,
        snooping=snooping((words,), 2),
        overfitting=overfitting(2, (words, "other")),
        stress=replace(stress(), notes=(words,)),
        regimes=Regimes((replace(regimes().tables[0], name=words),)),
        trades=replace(
            trades(), groups=(TradeGroup("symbol", words, 40, 1.0, 0.5, 0.1, -0.1, 0.3),)
        ),
        limits=(Limit(words, words),),
        audit=AuditFacts(True, False, words, (words,), 7, (words,)),
    )
