"""Sections of assessments for the tests of the report: made up, the same each time.

Every figure is of the order that real runs have.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ftbt.robustness.assessment import (
    Band,
    ChanceTest,
    ComponentRow,
    CpcvData,
    DeflatedAt,
    DominanceData,
    FanData,
    Gate,
    HaircutRow,
    HeatMap,
    Histogram,
    ImportanceRow,
    Overfitting,
    ParameterFacts,
    Parameters,
    PathRisk,
    PathRow,
    PlateauRow,
    RecordFigures,
    RegimeLine,
    Regimes,
    RegimeTable,
    RuinRow,
    SearchTest,
    SelectionBias,
    Snooping,
    SnoopingTest,
    Stress,
    StressRow,
    TradeDot,
    TradeGroup,
    Trades,
    WalkForward,
    WindowOverfitting,
    WindowRow,
)

NAN = math.nan


DAY_MS = 86_400_000


START = 1_743_465_600_000  # 2025-04-01


DAYS = 731


GATES: tuple[tuple[str, str, float, str, float, str, str, str], ...] = (
    # id, name, value, shown, limit, threshold, weight, reason
    ("H0 audit", "Look-ahead audit", 1.0, "no order changed", 1.0, "no order may change", "hard",
     "the newest parameters saw nothing of the future"),
    ("H0 data", "Sorted candles", 1.0, "sorted, without doubles", 1.0, "sorted", "hard",
     "the candles are in order"),
    ("H0 costs", "Costs above zero", 7.0, "7 bp a round trip", 0.0, "above 0", "hard",
     "every trade paid fees"),
    ("H0 trades", "Out-of-sample trades", 512.0, "512", 100.0, "at least 100", "hard",
     "512 trades are enough to say something"),
    ("H1", "Probabilistic Sharpe ratio", 0.987, "0.987 (annual Sharpe 1.58, 0.21 to 2.96)", 0.95,
     "at least 0.95", "hard", "the record stands clear of zero"),
    ("H2", "Deflated Sharpe ratio", 0.963, "0.963 (at 11 looks)", 0.95,
     "at least 0.95 over the whole band", "hard", "the looks at these data are allowed for"),
    ("H3", "Probability of backtest overfitting", 0.08, "8 % (without skill 49 %)", 0.10,
     "at most 10 %", "hard", "what was best in one half stayed good in the other"),
    ("H4", "Superior predictive ability", 0.021, "p = 0.021 (against cash)", 0.05, "below 0.05",
     "hard", "luck alone rarely beats cash by so much"),
    ("S1", "Profitable windows", 0.75, "9 of 12", 0.5, "at least half", "soft",
     "the profit comes from many windows"),
    ("S2", "Walk-forward efficiency", 0.61, "61 %", 0.5, "at least 50 %", "information",
     "it hardly predicts anything"),
    ("S3", "Plateau", 0.71, "71 %", 0.6, "at least 60 %", "soft", "the neighbours do as well"),
    ("S4", "Break-even costs", 2.7, "×2.7", 2.0, "at least ×2", "soft",
     "costs may more than double"),
    ("S5", "Random entries", 0.012, "p = 0.012", 0.05, "below 0.05", "soft",
     "entries at random times do worse"),
    ("S6", "Drawdown", 0.23, "23 %", 0.3, "at most 30 %", "soft",
     "19 of 20 paths stay within the limit"),
    ("S7", "Top trades", 0.28, "28 %", 0.5, "below 50 %", "soft",
     "the profit does not hang on five trades"),
)  # fmt: skip


# What the gates say when they do not pass: value, shown, reason.
BAD = {
    "H0 trades": (41.0, "41", "41 trades are too few to say anything"),
    "H1": (0.412, "0.412 (annual Sharpe -0.16, -1.53 to 1.22)", "it lost money after costs"),
    "H2": (
        0.317,
        "0.317 (at 11 looks)",
        "after 3,911 earlier looks at these data the record is no better than the luckiest of them",
    ),
    "H3": (
        0.24,
        "24 % (without skill 49 %)",
        "what was best in one half often was not in the other",
    ),
    "H4": (0.47, "p = 0.470 (against cash)", "luck alone does as well in 47 of 100 cases"),
    "S4": (1.3, "×1.3", "costs may grow by a third only"),
    "S7": (0.81, "81 %", "five trades made 81 % of the profit"),
}


def histogram(values: np.ndarray, bins: int = 24) -> Histogram:
    """Return *values*, shape (n,), in even bins."""
    counts, edges = np.histogram(values, bins)
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def gates(**outcomes: tuple[str, float]) -> tuple[Gate, ...]:
    """Return the scorecard; `H1=("fail", 1.2)` sets a gate's outcome and damage."""
    made = []
    for id_, name, value, shown, limit, threshold, weight, reason in GATES:
        outcome, damage = outcomes.get(id_.replace(" ", "_"), ("pass", 0.0))
        interval = (0.901, 0.998) if id_ == "H1" and outcome == "pass" else (NAN, NAN)
        if outcome in ("fail", "inconclusive"):
            value, shown, reason = BAD[id_]
        made.append(
            Gate(
                id=id_, name=name, value=value, low=interval[0], high=interval[1], shown=shown,
                limit=limit, threshold=threshold, source="Bailey and Lopez de Prado 2012",
                outcome=outcome, weight=weight, reason=reason, damage=damage,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return tuple(made)


def record(days: int = DAYS) -> RecordFigures:
    """Return the record's figures."""
    random = np.random.default_rng(5)
    months = [(2025 + (3 + i) // 12) * 100 + (3 + i) % 12 + 1 for i in range(max(1, days // 30))]
    return RecordFigures(
        days=days, start_ms=START, end_ms=START + days * DAY_MS, trades=512, net_profit=4_321.5,
        capital=10_000.0, total_return=0.43215, max_drawdown=0.1234, annual_sharpe=1.583,
        annual_low=0.212, annual_high=2.961, annual_sharpe_autocorrelated=1.497, psr_2012=0.9871,
        psr_2025=0.9893, psr_2025_ar1=0.9852, min_days_2012=541.2, min_days_2025=529.7,
        min_days_2025_ar1=566.1, skewness=0.317, kurtosis=6.43, autocorrelation=0.041,
        mean_low=0.000117, mean_high=0.001031, block=3.7,
        monthly=tuple((month, float(value)) for month, value in
                      zip(months, random.normal(0.018, 0.04, len(months)), strict=True)),
    )  # fmt: skip


def _band(low: float, central: float, high: float) -> Band:
    def at(trials: float, probability: float) -> DeflatedAt:
        return DeflatedAt(trials, 0.11 * math.log(max(trials, 1.0)) + 0.013, probability)

    return Band(
        at(1.0, low), at(4.2, central), at(11.3, high), "Kaiser", "effective rank",
        "average correlation",
    )  # fmt: skip


def selection(trials: int = 2_400) -> SelectionBias:
    """Return the section on selection bias."""
    random = np.random.default_rng(6)
    curve = tuple(
        DeflatedAt(float(count), 0.13 * math.log(count), float(1 / (1 + 0.02 * count**0.6)))
        for count in np.unique(np.geomspace(1, 6_311, 40).round())
    )
    methods = ("bonferroni", "sidak", "holm", "bhy")
    return SelectionBias(
        trials=trials, distinct=trials - 177, flat=63, earlier_trials=3_911,
        earlier_trials_of_strategy=1_207, mean_correlation=0.437,
        sharpes=histogram(random.normal(0.3, 0.9, trials), 40),
        chosen_sharpes=tuple(map(float, random.normal(2.3, 0.3, 12))), expected_maximum=2.07,
        record=_band(0.987, 0.976, 0.963), record_2025=DeflatedAt(11.3, 0.28, 0.971), curve=curve,
        all_trials=_band(0.94, 0.88, 0.71), tolerated=17.4, search=_band(0.83, 0.79, 0.66),
        search_sharpe=1.94, search_days=1_096,
        haircuts=tuple(
            HaircutRow(name, method, tests, before, 0.031 + 0.01 * i, before - 0.2 - 0.07 * i,
                       0.13 + 0.05 * i)
            for name, tests, before in (("out of sample", 12, 1.58), ("newest search", 187, 2.41))
            for i, method in enumerate(methods)
        ),
        backtest_years=3.02, needed_years=2.48, needed_years_all=5.37, needed_bound=7.91,
    )  # fmt: skip


def overfitting(windows: int = 12, strategies: tuple[str, ...] = ("sweep",)) -> Overfitting:
    """Return the section on PBO."""
    random = np.random.default_rng(7)
    x = random.normal(2.0, 0.5, 300)
    y = 0.6 + 0.21 * x + random.normal(0, 0.7, 300)
    grid = np.linspace(-1.5, 3.5, 60)
    return Overfitting(
        pbo=0.081, null_lower=0.283, null_median=0.492, null_upper=0.707, p_value=0.004,
        probability_of_loss=0.163, loss_null_lower=0.312, loss_null_median=0.487,
        loss_p_value=0.011, logits=histogram(random.normal(1.4, 1.1, 12_870), 30),
        scatter=tuple((float(a), float(b)) for a, b in zip(x, y, strict=True)), slope=0.214,
        intercept=0.593, r_squared=0.052,
        dominance=DominanceData(
            tuple(map(float, grid)), tuple(1 / (1 + np.exp(-(grid - 1.4) * 2))),
            tuple(1 / (1 + np.exp(-(grid - 0.6) * 1.7))), True, True,
        ),
        windows=tuple(
            WindowOverfitting(number, name, 187 + number, 365, 16, 0.06 + 0.01 * number, 0.28,
                              0.49, 0.002 + 0.001 * number, 0.15)
            for number in range(windows) for name in strategies
        ),
        guided="The trials are steps of a guided search, which looks more often where it found"
        " something.",
    )  # fmt: skip


def fan(actual: bool = True) -> FanData:
    """Return a fan of five levels."""
    x = np.linspace(0, DAYS, 80)
    spread = 0.02 * np.sqrt(x)
    drift = 1 + 0.0006 * x
    curves = [drift * np.exp(level * spread) for level in (-0.9, -0.4, 0.0, 0.4, 0.9)]
    real = drift * (1 + 0.05 * np.sin(x / 40)) if actual else ()
    return FanData(
        tuple(map(float, x)), (0.05, 0.25, 0.5, 0.75, 0.95),
        tuple(tuple(map(float, curve)) for curve in curves), tuple(map(float, real)),
    )  # fmt: skip


def walk_forward(windows: int = 12, failed: tuple[int, ...] = ()) -> WalkForward:
    """Return the section on windows, with CPCV."""
    random = np.random.default_rng(8)
    paths = random.normal(0.9, 0.55, 66)
    rows = []
    for number in range(windows):
        done = number not in failed
        rows.append(
            WindowRow(
                window=number, state="done" if done else "failed",
                test_start_ms=START + number * 61 * DAY_MS,
                test_end_ms=START + (number + 1) * 61 * DAY_MS,
                train_sharpe=2.1 + 0.03 * number if done else NAN,
                test_sharpe=1.3 + 0.07 * number if done else NAN,
                train_annual_return=0.51 if done else NAN,
                test_annual_return=0.27 if done else NAN,
                net=float(random.normal(360, 420)) if done else 0.0,
                trades=42 if done else 0,
                parameters=(("bias", "slow"), ("swing", "7")) if done else (),
            )
        )  # fmt: skip
    top = fan(actual=False)
    return WalkForward(
        windows=tuple(rows), efficiency=0.612, profitable=9, share_profitable=0.75,
        best_window=max(rows, key=lambda row: row.net).window, best_share=0.264,
        longest_losing_run=2, median_net=331.7,
        cpcv=CpcvData(
            groups=8, tested=2, purge=3, path_sharpes=tuple(map(float, paths)), mean=0.917,
            deviation=0.541, share_negative=0.058, histogram=histogram(paths, 14),
            fan=FanData(top.x, (0.0, 0.5, 1.0), top.curves[::2]),
        ),
    )  # fmt: skip


def _chance(name: str, unit: str, observed: float) -> ChanceTest:
    values = np.random.default_rng(9).normal(0, observed / 2.4, 999)
    low, middle, high = (float(item) for item in np.quantile(values, (0.05, 0.5, 0.95)))
    return ChanceTest(
        name, observed, unit, 0.0125, 0.9881, low, middle, high, histogram(values), 999,
        "keeps number, side and length of the trades and their costs, destroys their timing",
    )  # fmt: skip


def snooping(names: tuple[str, ...] = (), windows: int = 12) -> Snooping:
    """Return the section on data snooping; *names* are parts of the record."""
    return Snooping(
        tests=tuple(
            SnoopingTest(name, excess, 2.41 - 0.4 * i, 0.017 + 0.05 * i, 0.021 + 0.05 * i,
                         0.034 + 0.05 * i, 0.043 + 0.05 * i, 3.7, 4_999, "hansen")
            for i, (name, excess) in enumerate(
                (("cash", 0.2113), ("buy and hold", 0.0617), ("own defaults", -0.0219)))
        ),
        components=tuple(
            ComponentRow(name, 101 + i, 0.093 - 0.031 * i, 0.027 + 0.11 * i, i == 0)
            for i, name in enumerate(names)
        ),
        searches=tuple(
            SearchTest(number, "sweep", 187, 365, 0.113 + 0.002 * number, 0.201)
            for number in range(windows)
        ),
        random_entries=_chance("random entries", "quote currency", 4_321.5),
        permutation=_chance("permuted returns", "fraction of the equity per bar", 6.17e-6),
    )  # fmt: skip


def parameters(
    names: tuple[str, ...] = ("sweep",), windows: int = 12, prefix: str = ""
) -> Parameters:
    """Return the section on parameters, one entry per strategy."""
    random = np.random.default_rng(10)
    made = []
    for name in names:
        values = random.normal(0.9, 0.6, (6, 8))
        values[0, 0] = values[5, 7] = NAN
        values[3, 4] = 2.31
        made.append(
            ParameterFacts(
                strategy=name,
                heat_map=HeatMap(
                    windows - 1, f"{prefix}swing", f"{prefix}stop_atr",
                    tuple(str(i) for i in range(3, 11)),
                    tuple(f"{0.2 * i:.1f}-{0.2 * i + 0.1:.1f}" for i in range(6)),
                    tuple(tuple(map(float, row)) for row in values),
                    tuple(tuple(int(not math.isnan(v)) * 4 for v in row) for row in values),
                    (4, 3),
                ),
                plateaus=tuple(
                    PlateauRow(i, NAN if i == 2 else 0.55 + 0.02 * i, 3 if i == 2 else 17 + i, 0.1,
                               2.2 + 0.01 * i, 0.71, 0.993, 0.313)
                    for i in range(windows)
                ),
                plateau_share=0.713, judged_windows=windows - 1, permutation_median=0.684,
                permutation=histogram(random.normal(0.7, 0.8, 2_000), 30), share_positive=0.804,
                importance=tuple(
                    ImportanceRow(f"{prefix}{word}", share, share + 0.117)
                    for word, share in (("swing", 0.471), ("stop_atr", 0.192), ("bias", 0.083),
                                        ("break_even", 0.004))
                ),
                importance_floor=0.147, importance_trials=1_893,
                evaluator="variance shares from given data",
                drift=((f"{prefix}swing", 4, windows), (f"{prefix}bias", 2, windows)),
            )
        )  # fmt: skip
    return Parameters(tuple(made), "A guided search looks more often where it found something.")


def path_risk() -> PathRisk:
    """Return the section on path risk."""
    random = np.random.default_rng(11)

    def row(how: str, only: bool, unit: str) -> PathRow:
        depths = random.gamma(9.0, 0.016, 4_999)
        low, middle, high, top = (float(v) for v in np.quantile(depths, (0.05, 0.5, 0.95, 0.99)))
        return PathRow(
            how, only, 4_999, 0.432 if only else -0.041, 0.432 if only else 0.417,
            0.432 if only else 1.093, low, middle, high, top, 88.0, 233.0, unit, 0.1234, 97.0,
            0.0 if only else 0.073, 0.611, histogram(depths, 30),
        )  # fmt: skip

    return PathRisk(
        fan=fan(),
        rows=(
            row("block bootstrap", False, "days"),
            row("resampled trades", False, "trades"),
            row("reshuffled trades", True, "trades"),
        ),
        limit=0.3, chance_of_limit=0.0412,
        ruin=tuple(
            RuinRow(size, 0.5, 512, 0.0019 * size**3, 0.00061 * size) for size in (0.5, 1.0, 2.0)
        ),
        risk_per_trade=0.0101, kelly=3.74, losing_streak=9, losing_streak_chance=0.381,
    )  # fmt: skip


def stress() -> Stress:
    """Return the section on stress."""
    base = StressRow("base", "as assumed", 1.0, 0.43215, 4_321.5, 1.583, 0.1234, 512, NAN, NAN)
    rows = [
        replace(base, kind="all costs", label=f"all costs × {level:g}", level=level,
                total_return=0.69 - 0.255 * level, net_profit=6_900 - 2_550 * level,
                annual_sharpe=2.5 - 0.92 * level)
        for level in (0.5, 1.5, 2.0, 3.0, 4.0)
    ]  # fmt: skip
    rows += [
        replace(base, kind="slippage", label="slippage × 2", level=2.0, total_return=0.371),
        replace(base, kind="funding", label="funding × 2", level=2.0, total_return=0.418),
        replace(base, kind="delay", label="one bar later", level=NAN, total_return=0.296),
        replace(base, kind="missed", label="10 % of the trades missed", level=0.1,
                total_return=0.387, low=0.291, high=0.466),
        replace(base, kind="defaults", label="own defaults", level=NAN, total_return=0.094,
                annual_sharpe=NAN),
    ]  # fmt: skip
    rows += [
        replace(base, kind="noise", label=f"noisy market {i}", level=float(i),
                total_return=0.35 - 0.06 * i)
        for i in range(1, 9)
    ]  # fmt: skip
    return Stress(
        base, True, tuple(rows), 2.71, False, 0.873, ("missed trades: the median of 200 samples",)
    )


def regimes() -> Regimes:
    """Return the section on regimes."""
    thirds = ("lowest third", "middle third", "highest third")

    def table(name: str, words: tuple[str, ...], causal: bool = True) -> RegimeTable:
        return RegimeTable(
            name, causal, "R",
            tuple(
                RegimeLine(word, 171 - 80 * i, 1_733.0 - 700 * i, 0.431, 0.213 - 0.14 * i,
                           0.041 - 0.17 * i, 0.385 - 0.12 * i, 171 - 80 * i >= 30)
                for i, word in enumerate(words)
            ),
        )  # fmt: skip

    return Regimes(
        (
            table("trend", thirds),
            table("volatility", thirds),
            table("funding", thirds),
            table("calendar year", ("2025", "2026"), causal=False),
        )
    )


def trades() -> Trades:
    """Return the section on trades."""
    random = np.random.default_rng(12)
    return Trades(
        count=512,
        dots=tuple(TradeDot(-0.004, 0.007, 0.002) for _ in range(20)),
        durations=histogram(random.integers(1, 60, 512).astype(float)),
        median_bars=17.0, top=5, top_share=0.281, net_without_top=3_107.2, trades_to_zero=31,
        groups=tuple(
            TradeGroup(kind, word, 256 - 231 * (word == "short"), 2_160.75, 0.447, 0.0843,
                       -0.0117, 0.1803)
            for kind, word in (("side", "long"), ("side", "short"), ("exit", "stop"))
        ),
    )  # fmt: skip
