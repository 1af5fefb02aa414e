"""What funding rates must be before they are charged to anyone."""

from __future__ import annotations

import numpy as np

from ftbt.data.candles import Floats, Ints
from ftbt.data.timeframe import show_ms
from ftbt.errors import DataError

# Caps of the large exchanges are 4 % at most; more is a percentage taken for a fraction.
HIGHEST_RATE = 0.1


def check_funding(time: Ints, rate: Floats, where: str) -> None:
    """Pass when funding can be used: at least one, strictly rising, finite, within 10 %.

    Raises:
        DataError: naming *where*, row, column and value of the first bad rate.
    """
    if len(time) == 0:
        raise DataError(f"{where}: there are no funding rates")
    late = np.flatnonzero(np.diff(time) <= 0) + 1
    if len(late):
        row = int(late[0])
        raise DataError(
            f"{where}: row {row}: funding time {show_ms(time[row])} does not come after the row"
            f" above it ({show_ms(time[row - 1])}) - --sort puts the rows in order of time"
        )
    wrong = np.flatnonzero(~(np.abs(rate) <= HIGHEST_RATE))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{where}: row {row} ({show_ms(time[row])}): funding_rate {rate[row]:.10g} is not in"
            f" -{HIGHEST_RATE} .. {HIGHEST_RATE} (a fraction of the notional, not a percentage);"
            f" {len(wrong)} such rows"
        )
