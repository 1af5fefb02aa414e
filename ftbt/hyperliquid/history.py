"""The bars before the first live one: all closed, without gaps, from a given open on."""

from __future__ import annotations

from dataclasses import dataclass

from ftbt.data.candles import FIELDS, Candles
from ftbt.data.timeframe import Timeframe, show_ms
from ftbt.errors import DataError, InputError
from ftbt.hyperliquid.bars import Bar, Source, bar_of, flat_bar
from ftbt.hyperliquid.records import Row
from ftbt.hyperliquid.rest import Rest

INTERVALS = (
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w",
)  # fmt: skip
KEPT_BY_VENUE = 5000
_PAGE = 2000


@dataclass(frozen=True, slots=True)
class History:
    """Closed bars of one coin.

    Attributes:
        bars: rising, every step of the timeframe once.
        flat: how many of them the venue had no row for.
    """

    bars: tuple[Bar, ...]
    flat: int


def interval_of(timeframe: Timeframe) -> str:
    """Return the venue's word for *timeframe*.

    Raises:
        InputError: when the venue has no such candles.
    """
    if str(timeframe) not in INTERVALS:
        offered = ", ".join(INTERVALS)
        raise InputError(f"Hyperliquid has no candles of {timeframe}; it offers {offered}")
    return str(timeframe)


def load_history(
    rest: Rest, coin: str, timeframe: Timeframe, start: int, now: int, stored: Candles | None = None
) -> History:
    """Return the bars of *coin* from *start* to the last one that was closed at *now*.

    An interval without a row is flat, but not at the end: the newest rows may come late, and
    whoever goes on from here has to ask for them.

    Args:
        rest: of the venue.
        coin: as the venue calls it.
        timeframe: length of a bar.
        start: open of the first bar wanted, ms; floored to the grid.
        now: the market's time, ms. A row that may still be forming then is left out.
        stored: candles of the same coin for what the venue no longer has; it keeps 5000.

    Raises:
        DataError: the history does not reach back that far, or *stored* is of another market.
        NetworkError, ExchangeError: as `Rest.candles`.
    """
    interval, step = interval_of(timeframe), timeframe.ms
    first = timeframe.floor(start)
    stop = timeframe.floor(now)  # opens of closed bars lie before it
    rows = _rows(rest, coin, interval, max(first, stop - KEPT_BY_VENUE * step), stop, step)
    bars = _stored_part(stored, coin, timeframe, first, rows)
    flat = 0
    reached = bars[-1].opened + step if bars else first
    if not bars and (not rows or min(rows) > first):
        begins = show_ms(min(rows)) if rows else "nowhere"
        raise DataError(
            f"{coin} {timeframe}: the exchange's candles begin {begins}, wanted from"
            f" {show_ms(first)} (it keeps {KEPT_BY_VENUE}): fetch the older ones (ftbt data fetch),"
            " or begin later (--warmup-from)"
        )
    for opened in range(reached, max(rows, default=reached - step) + step, step):
        row = rows.get(opened)
        if row is None:
            bars.append(flat_bar(coin, opened, bars[-1].close))
            flat += 1
        else:
            bars.append(bar_of(row, Source.HISTORY))
    if not bars:
        raise DataError(f"{coin} {timeframe}: no bar has closed since {show_ms(first)}")
    return History(tuple(bars), flat)


def _rows(rest: Rest, coin: str, interval: str, first: int, stop: int, step: int) -> dict[int, Row]:
    """Return the rows that open in [first, stop) by open time."""
    found: dict[int, Row] = {}
    for begin in range(first, stop, _PAGE * step):
        end = min(begin + _PAGE * step, stop) - 1
        for row in rest.candles(coin, interval, begin, end):
            if first <= row.opened < stop:
                found[row.opened] = row
    return found


def _stored_part(
    stored: Candles | None, coin: str, timeframe: Timeframe, first: int, rows: dict[int, Row]
) -> list[Bar]:
    """Return the stored bars from *first* on up to where the venue's rows go on."""
    if stored is None or (rows and min(rows) <= first):
        return []
    if stored.timeframe != timeframe:
        raise DataError(f"{coin}: stored candles are of {stored.timeframe}, not of {timeframe}")
    bars = []
    for one in stored.bars:
        opened = int(one["time"])
        if opened < first:
            continue
        row = rows.get(opened)
        if row is not None:
            _check_same_market(coin, float(one["close"]), row)
            break
        first_price, high, low, close, volume = (float(one[name]) for name in FIELDS)
        bars.append(Bar(coin, opened, first_price, high, low, close, volume, Source.HISTORY))
    if not bars or bars[0].opened != first:
        raise DataError(f"{coin} {timeframe}: stored candles do not reach back to {show_ms(first)}")
    if rows and bars[-1].opened + timeframe.ms < min(rows):
        raise DataError(
            f"{coin} {timeframe}: stored candles end at {show_ms(bars[-1].opened)}, the exchange's"
            f" begin at {show_ms(min(rows))}: fetch what lies between"
        )
    return bars


def _check_same_market(coin: str, stored_close: float, row: Row) -> None:
    if abs(stored_close / row.close - 1.0) > 0.01:
        raise DataError(
            f"{coin}: stored close {stored_close:g} and the exchange's {row.close:g} of"
            f" {show_ms(row.opened)} differ by more than 1 %: they are of different markets"
        )
