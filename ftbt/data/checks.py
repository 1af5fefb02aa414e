"""Which candles may be traded on: sound ones pass, others are refused in one clear line.

Knows neither files nor pandas, so that the lines and the risk rules may import candles.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from ftbt.data.candles import Bars, Candles, Ints
from ftbt.data.problems import Problem, count_problems
from ftbt.data.timeframe import Timeframe
from ftbt.errors import DataError, InputError, did_you_mean

HolePolicy = Literal["refuse", "split"]
HOLE_POLICIES: tuple[str, ...] = get_args(HolePolicy)

_HINTS = {
    "unsorted": "--sort puts the rows in order of time",
    "duplicate": "remove the rows that repeat a time",
    "misaligned": "every bar must open on a multiple of the timeframe (is --timeframe right?)",
    "hole": "fetch what is missing, or pass --holes split so that nothing crosses a hole",
    "empty": "give at least one bar",
}
_MEND = "mend the cell or remove the row"


def check_bars(
    bars: Bars,
    timeframe: Timeframe,
    where: str,
    *,
    holes: str = "refuse",
    first_line: int | None = None,
) -> None:
    """Pass when *bars* are sound; with `holes="split"` holes are passed over.

    Args:
        bars: BAR array, shape (n,).
        timeframe: length of one bar.
        where: the file or series, for the message.
        holes: `refuse` or `split`.
        first_line: line of row 0 in a text file, when rows follow the lines.

    Raises:
        DataError: naming *where* and row, column, value of the first three problems.
    """
    check_policy(holes)
    first, total = count_problems(bars, timeframe, 3, holes=holes == "refuse")
    if total:
        raise DataError(refusal(where, first, total, first_line))


def refusal(where: str, first: list[Problem], total: int, first_line: int | None = None) -> str:
    """Return the one line that names *where*, the *first* problems of *total*, and what to do."""
    shown = "; ".join(located(problem, first_line) for problem in first)
    more = f"; and {total - len(first)} more of {total} problems" if total > len(first) else ""
    hints = dict.fromkeys(_HINTS.get(problem.kind, _MEND) for problem in first)
    return f"{where}: {shown}{more} - {'; '.join(hints)}"


def located(problem: Problem, first_line: int | None) -> str:
    """Return the problem's message, led by the line of the text file when it is known."""
    if first_line is None or problem.row < 0:
        return problem.message
    return f"line {first_line + problem.row}, {problem.message}"


def check_policy(holes: str) -> None:
    """Refuse a hole policy that does not exist.

    Raises:
        InputError: naming the two policies.
    """
    if holes not in HOLE_POLICIES:
        hint = did_you_mean(holes, HOLE_POLICIES)
        raise InputError(f"holes must be refuse or split, not {holes!r}{hint}")


def segments(bars: Bars, timeframe: Timeframe) -> list[tuple[int, int]]:
    """Return (first, stop) of each stretch without a hole; bars are sorted and aligned."""
    cuts = np.flatnonzero(np.diff(bars["time"]) != timeframe.ms) + 1
    edges = [0, *cuts.tolist(), len(bars)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def infer_timeframe(time: Ints, where: str) -> Timeframe:
    """Return the commonest step between opens, shape (n,), ms.

    Raises:
        DataError: with fewer than two opens, without a majority, or when no bar has such a length.
    """
    if len(time) < 2:
        raise DataError(f"{where}: {len(time)} row cannot show its timeframe; give --timeframe")
    steps, counts = np.unique(np.diff(time), return_counts=True)
    best = int(np.argmax(counts))
    step, share = abs(int(steps[best])), counts[best] / counts.sum()
    if step == 0 or share <= 0.5:
        tops = ", ".join(f"{steps[i] / 60_000:g} min" for i in np.argsort(-counts)[:3])
        raise DataError(
            f"{where}: the timeframe is not clear, steps between rows are {tops}, none of them"
            " the rule; give --timeframe"
        )
    try:
        return Timeframe.of_ms(step)
    except InputError as error:
        raise DataError(f"{where}: commonest step between rows: {error}") from None


def split_candles(
    bars: Bars, symbol: str, timeframe: Timeframe, source: str, synthetic: bool
) -> list[Candles]:
    """Return one Candles per stretch without a hole; *bars* were checked before."""
    return [
        Candles(symbol, timeframe, bars[first:stop], source, synthetic)
        for first, stop in segments(bars, timeframe)
    ]
