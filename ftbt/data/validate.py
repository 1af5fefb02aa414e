"""Validation of candles in one place: finding, refusing, splitting, and candles from a frame."""

from __future__ import annotations

import pandas as pd

from ftbt.data.candles import Candles
from ftbt.data.checks import (
    HOLE_POLICIES,
    HolePolicy,
    check_bars,
    check_policy,
    infer_timeframe,
    located,
    refusal,
    segments,
    split_candles,
)
from ftbt.data.columns import bars_from_frame
from ftbt.data.problems import (
    LAST_TIME_MS,
    Hole,
    Problem,
    ZeroVolumeRun,
    find_holes,
    find_problems,
    zero_volume_runs,
)
from ftbt.data.timeframe import Timeframe

__all__ = [
    "HOLE_POLICIES",
    "LAST_TIME_MS",
    "Hole",
    "HolePolicy",
    "Problem",
    "ZeroVolumeRun",
    "candles_from_frame",
    "check_bars",
    "check_policy",
    "find_holes",
    "find_problems",
    "infer_timeframe",
    "located",
    "refusal",
    "segments",
    "split_candles",
    "zero_volume_runs",
]


def candles_from_frame(
    frame: pd.DataFrame,
    symbol: str,
    timeframe: str | Timeframe | None,
    source: str,
    synthetic: bool = False,
    holes: str = "refuse",
) -> list[Candles]:
    """Return validated candles of a frame with any common column names.

    Args:
        frame: a time column or DatetimeIndex (naive means UTC), open, high, low, close, volume.
        symbol: as the exchange writes it.
        timeframe: length of one bar; None takes the commonest step.
        source: where the frame came from; named in errors and on results.
        synthetic: True for a made-up market.
        holes: `refuse` gives one item or an error, `split` one item per stretch without hole.

    Raises:
        DataError: naming source, row, column and value of the first three problems.
    """
    table = bars_from_frame(frame, source)
    parsed = table.timeframe(timeframe)
    table.check(parsed, holes)
    return split_candles(table.bars, symbol, parsed, source, synthetic)
