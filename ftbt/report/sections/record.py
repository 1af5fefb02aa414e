"""The out-of-sample record in figures: part of the section on equity."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import (
    cell,
    days_and_years,
    how,
    interval,
    quantity,
    signed_percent,
    toned,
)
from ftbt.report.blocks import Block, Cell, Column, Figure, How, HowFold, Table
from ftbt.report.figures import rows as drawings
from ftbt.report.figures.common import percent_tick
from ftbt.report.format import day, known, money, number, percent, probability, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import RecordFigures

NO_VARIATION = "daily returns do not vary, or there are too few days"
NONE_SUFFICES = "no length suffices at this Sharpe ratio"


def blocks(source: Source) -> Sequence[Block]:
    """Return the figures of the record and its months; nothing for a run that was not assessed."""
    found = source.assessment
    if found is None:
        return []
    record = found.record
    made: list[Block] = [_table(record), HowFold(_how(record))]
    return [*made, _months(record)] if record.monthly else made


def _table(record: RecordFigures) -> Table:
    def sharpe_row() -> list[Cell | str]:
        shown = cell(
            record.annual_sharpe,
            why=NO_VARIATION,
            detail=_about(interval(record.annual_low, record.annual_high)),
        )
        return [
            "Sharpe ratio, annual",
            shown,
            "mean daily return / its fluctuation; the interval says how sure that is",
        ]

    mean = interval(record.mean_low, record.mean_high, lambda value: percent(value, 3, sign=True))
    rows: list[list[Cell | str]] = [
        [
            "Days",
            Cell(whole(record.days), detail=f"{day(record.start_ms)} to {day(record.end_ms - 1)}"),
            "one return per UTC day, from the first test to the last",
        ],
        [
            "Net profit",
            Cell(
                money(record.net_profit, sign=True),
                "gain" if record.net_profit > 0 else "loss" if record.net_profit < 0 else "",
                detail=f"{percent(record.total_return, sign=True)} of {money(record.capital)}",
            ),
            f"after all costs, by {whole(record.trades)} round trips",
        ],
        [
            "Deepest drawdown",
            cell(record.max_drawdown, percent),
            "below the highest equity before, at the close of a bar",
        ],
        sharpe_row(),
        [
            "The same, streaks allowed for",
            cell(record.annual_sharpe_autocorrelated, why=NO_VARIATION),
            f"correlation of a day with the day before: {number(record.autocorrelation)}",
        ],
        [
            "Mean daily return, 95 % interval",
            Cell(mean) if mean else cell(record.mean_low, why=NO_VARIATION),
            f"block bootstrap, mean block {number(record.block, 1)} days",
        ],
        [
            "Skewness; kurtosis",
            f"{number(record.skewness)}; {number(record.kurtosis)}",
            "normal returns: 0 and 3; a negative skewness means rare, large losses",
        ],
    ]
    return Table(
        "The out-of-sample record",
        [Column("", numeric=False), Column("Value"), Column("What it says", numeric=False)],
        [*rows, *_forms(record)],
        stacked=True,
    )


def _about(text: str) -> str:
    return f"95 % interval {text}" if text else ""


def _forms(record: RecordFigures) -> list[list[Cell | str]]:
    """Return the chance of a true edge and the record that it takes, in each form."""
    forms = (
        ("form of 2012", record.psr_2012, record.min_days_2012),
        ("form of 2025", record.psr_2025, record.min_days_2025),
        ("form of 2025, streaks allowed for", record.psr_2025_ar1, record.min_days_2025_ar1),
    )
    made: list[list[Cell | str]] = []
    for name, chance, length in forms:
        needed = f"{days_and_years(length)} needed for 95 %" if known(length) else NONE_SUFFICES
        if not known(record.annual_sharpe):
            needed = "needs returns that vary"
        made.append(
            [
                f"Chance that the true Sharpe ratio is above 0, {name}",
                cell(chance, probability, NO_VARIATION),
                f"{needed}; the record has {whole(record.days)} days",
            ]
        )
    return made


def _how(record: RecordFigures) -> How:
    return how(
        "Sharpe = mean / standard deviation of daily returns × √365. Chance (probabilistic Sharpe"
        " ratio, PSR) = Φ[SR √(T−1) / √(1 − γ₃ SR + (γ₄−1)/4 · SR²)], daily SR, skewness γ₃,"
        " kurtosis γ₄. Needed length (minimum track record, MinTRL) = 1 + (1 − γ₃ SR +"
        " (γ₄−1)/4 · SR²) · (1.645 / SR)². The form of 2025 takes the variance at a true ratio of"
        " 0 and divides by T; with streaks allowed for it also counts the correlation of"
        " neighbouring days. The mean's interval: stationary bootstrap, 95 %.",
        f"{whole(record.days)} daily returns of the stitched out-of-sample curve after all costs.",
        "Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2),"
        " 2012; López de Prado, Lipton and Zoonekynd, How to Use the Sharpe Ratio, 2025; Lo, The"
        " Statistics of Sharpe Ratios, FAJ 58(4), 2002; Politis and Romano, JASA 89, 1994.",
    )


def _months(record: RecordFigures) -> Figure:
    labels = [f"{key // 100}-{key % 100:02d}" for key, _ in record.monthly]
    values = [value for _, value in record.monthly]
    good = sum(value > 0 for value in values)
    return Figure(
        anchor="months",
        title="Month by month",
        description=f"{good} of {len(values)} months made a profit; the best"
        f" {signed_percent(max(values))}, the worst {signed_percent(min(values))}.",
        draw=lambda layout: drawings.columns(
            layout, labels, values, "Return of the month", percent_tick
        ),
        table=Table(
            "Return by month",
            quantity(["Month", "Return"]),
            [
                [label, toned(value, signed_percent)]
                for label, value in zip(labels, values, strict=True)
            ],
        ),
        how=how(
            "Product of (1 + daily return) over the days of the month − 1.",
            "Daily returns of the stitched out-of-sample curve; the first and the last month may"
            " not be whole.",
            "Plain arithmetic.",
        ),
    )
