"""The exchanges that candles and funding come from, and how each one deals them out."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ftbt.data.timeframe import HOUR_MS
from ftbt.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Venue:
    """What ftbt must know of one exchange.

    Attributes:
        name: as the user writes it and as the store names the folder.
        ccxt_id: the ccxt class.
        perpetuals: what that class calls the list of linear perpetuals.
        quote: quote and settlement currency of its linear perpetuals: `BTC` means BTC/quote:quote.
        candles_per_page: most candles of one answer.
        candle_depth: only so many most recent candles of a timeframe exist; None: all history.
        rates_per_page: most funding rates of one answer.
        newest_rates_first: True when an answer that is full has left out the older rates.
        funding_interval_ms: time between two payments where the market itself does not say.
        clock_params: what ccxt needs to ask the perpetuals' own clock.
    """

    name: str
    ccxt_id: str
    perpetuals: str
    quote: str
    candles_per_page: int
    candle_depth: int | None
    rates_per_page: int
    newest_rates_first: bool
    funding_interval_ms: int
    clock_params: tuple[tuple[str, str], ...] = ()


_ALL = (
    Venue(
        name="binance",
        # Not `binanceusdm`: that one answers for BTC/USDT with the perpetual.
        ccxt_id="binance",
        perpetuals="linear",
        quote="USDT",
        candles_per_page=1000,
        candle_depth=None,
        rates_per_page=1000,
        newest_rates_first=False,
        funding_interval_ms=8 * HOUR_MS,
        clock_params=(("subType", "linear"),),
    ),
    Venue(
        name="bybit",
        ccxt_id="bybit",
        perpetuals="linear",
        quote="USDT",
        candles_per_page=1000,
        candle_depth=None,
        rates_per_page=200,
        newest_rates_first=True,
        funding_interval_ms=8 * HOUR_MS,
    ),
    Venue(
        name="hyperliquid",
        ccxt_id="hyperliquid",
        perpetuals="swap",
        quote="USDC",
        candles_per_page=5000,
        candle_depth=5000,
        rates_per_page=500,
        newest_rates_first=False,
        funding_interval_ms=HOUR_MS,
    ),
)
VENUES = MappingProxyType({venue.name: venue for venue in _ALL})


def venue_named(name: str) -> Venue:
    """Return the exchange called *name*.

    Raises:
        InputError: naming the exchanges there are.
    """
    found = VENUES.get(name.strip().lower())
    if found is None:
        hint = did_you_mean(name, VENUES) or f"; there are {', '.join(VENUES)}"
        raise InputError(f"no exchange {name!r}{hint}")
    return found
