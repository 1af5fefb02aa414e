"""What the sections of an assessment share: cells of figures, tables of histograms, why one is out.

Every value may be NaN: unknown, undefined or without limit. It is then shown as n/a with a reason,
never as a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from ftbt.report.blocks import Block, Cell, Column, How, Notice, Table
from ftbt.report.format import MINUS, MISSING, TIGHT, known, number, percent, whole
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, Histogram

ELSEWHERE = "The section on assumptions and limits says what is missing."
NOT_ASSESSED = "Not assessed yet: this run has no robustness.json."
FILE = "robustness.json in the run folder"

_HYPHEN = re.compile(r"(?<![\w.)-])-(?=\d)")
_PERCENT = re.compile(r"(?<=\d) ?%")

Write = Callable[[float], str]


def of_sharpe(value: float) -> str:
    """Return an annual Sharpe ratio."""
    return number(value)


def figures(value: float) -> str:
    """Return a value of any size with three significant figures."""
    if not known(value):
        return MISSING
    size = abs(value)
    return number(value, 2 if size >= 1 or size == 0 else min(8, 2 - math.floor(math.log10(size))))


def p_value(value: float) -> str:
    """Return a p-value as `0.031`; never 0, which no sample can show."""
    if not known(value):
        return MISSING
    if value < 0.001:
        return "< 0.001"
    return number(value, 3)


def signed_percent(value: float) -> str:
    """Return a fraction with its sign."""
    return percent(value, sign=True)


def interval(low: float, high: float, write: Write = of_sharpe) -> str:
    """Return `0.3 to 2.9`, empty without an interval."""
    return f"{write(low)} to {write(high)}" if known(low) and known(high) else ""


def cell(value: float, write: Write = of_sharpe, why: str = "undefined", detail: str = "") -> Cell:
    """Return *value* as written by *write*, n/a with the footnote *why* when it is not known."""
    if not known(value):
        return Cell(MISSING, "muted", why, detail)
    return Cell(write(value), detail=detail)


def toned(value: float, write: Write, why: str = "undefined") -> Cell:
    """Return a signed figure, coloured beside its sign."""
    if not known(value):
        return Cell(MISSING, "muted", why)
    return Cell(write(value), "gain" if value > 0 else "loss" if value < 0 else "")


def days_and_years(days: float) -> str:
    """Return a number of days, in years beside it when it is long."""
    if not known(days):
        return MISSING
    text = "1 day" if round(days) == 1 else f"{whole(math.ceil(days - 1e-9))} days"
    return f"{text} ({number(days / 365.25, 1)} years)" if days > 500 else text


def words(text: str) -> str:
    """Return *text* with true minus signs, and its percentages written as everywhere."""
    return _PERCENT.sub(f"{TIGHT}%", _HYPHEN.sub(MINUS, text))


def threshold(assessment: Assessment, name: str) -> float:
    """Return the value of an applied threshold, NaN for an unknown name."""
    return next((value for key, value, _ in assessment.thresholds if key == name), math.nan)


def sentence(text: str) -> str:
    """Return *text* with a capital and a full stop."""
    text = words(text.strip())
    return "" if not text else text[:1].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def bins_table(caption: str, histogram: Histogram, write: Write, counted: str) -> Table:
    """Return the filled bins of *histogram* as a table."""
    total = sum(histogram.counts)
    rows: list[list[Cell | str]] = [
        [write(low), write(high), whole(count), percent(count / total)]
        for low, high, count in zip(
            histogram.edges, histogram.edges[1:], histogram.counts, strict=False
        )
        if count
    ]
    return Table(caption, [Column("From"), Column("to"), Column(counted), Column("Share")], rows)


def quantity(columns: Sequence[str]) -> list[Column]:
    """Return the first column as words and the others as numbers."""
    return [Column(columns[0], numeric=False), *map(Column, columns[1:])]


def how(formula: str, inputs: str, source: str) -> How:
    """Return how something was computed; the file that holds the values is added."""
    return How(formula, inputs, f"{source} Values: {FILE}.")


def missing(source: Source, *about: str, default: str = ELSEWHERE) -> list[Block]:
    """Return one line: why a section or a part of it could not be made.

    Args:
        source: the run.
        about: the limits of the assessment that speak of one of these give the reason.
        default: the reason when no limit does.
    """
    found = source.assessment
    why = NOT_ASSESSED if found is None else why_not(found, *about, default=default)
    return [Notice("Not computed", why)]


def why_not(assessment: Assessment, *about: str, default: str = ELSEWHERE) -> str:
    """Return the first limit that speaks of one of *about*, else *default*."""
    for limit in assessment.limits:
        if any(word in limit.what.lower() for word in about):
            return sentence(f"{limit.what}: {limit.why}")
    return default
