"""What can be traded, and everything that is known of it: candles, detail, funding, rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from ftbt.data.candles import Candles, Funding
from ftbt.errors import InputError


@dataclass(frozen=True, slots=True)
class Instrument:
    """The venue's rules for one perpetual (Hyperliquid's form).

    Attributes:
        symbol: the coin.
        size_decimals: sizes are multiples of 10**-size_decimals (`szDecimals`).
        max_leverage: highest leverage; maintenance margin is notional / (2 * max_leverage).
        min_notional: smallest order in quote currency.
    """

    symbol: str
    size_decimals: int = 3
    max_leverage: float = 20.0
    min_notional: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.size_decimals <= 6:
            raise InputError(f"size_decimals must be 0 to 6, not {self.size_decimals}")
        if not 1 <= self.max_leverage <= 200:
            raise InputError(f"max_leverage must be 1 to 200, not {self.max_leverage}")
        if self.min_notional < 0:
            raise InputError(f"min_notional must not be negative: {self.min_notional}")


# szDecimals and maximum leverage as the venue's meta listed them in autumn 2026; anything else
# falls back to cautious values. A run on the venue asks the venue itself.
_KNOWN = {
    "BTC": (5, 40.0), "ETH": (4, 25.0), "SOL": (2, 20.0), "XRP": (0, 20.0), "DOGE": (0, 10.0),
    "AVAX": (2, 10.0), "HYPE": (2, 10.0), "LTC": (2, 10.0), "BCH": (3, 10.0), "ADA": (0, 10.0),
    "UNI": (1, 10.0), "AAVE": (2, 10.0), "kPEPE": (0, 10.0),
}  # fmt: skip


def coin_of(symbol: str) -> str:
    """Return the coin of `BTC`, `BTCUSDT`, `BTC/USDT:USDT` or `BTC-USDC`."""
    head = re.split("[/_-]", symbol, maxsplit=1)[0]
    for quote in ("USDT", "USDC", "USD"):
        if head.endswith(quote) and len(head) > len(quote):
            return head[: -len(quote)]
    return head


_BY_FOLDED_NAME = {coin.casefold(): rules for coin, rules in _KNOWN.items()}


def instrument_for(symbol: str) -> Instrument:
    """Return the rules of *symbol*: the venue's for a known coin, cautious ones otherwise.

    `btc` is `BTC`: a candle file is traded under the name as typed.
    """
    coin = coin_of(symbol.upper()).casefold()
    decimals, leverage = _BY_FOLDED_NAME.get(coin, (2, 10.0))
    return Instrument(symbol, decimals, leverage)


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """One symbol as a back-test sees it.

    Attributes:
        candles: the bars that the strategy decides on.
        instrument: tick, lot, leverage.
        funding: rates, or None (the result then says "funding: not modelled").
        detail: finer bars of the same symbol that resolve the path inside a bar, or None.
    """

    candles: Candles
    instrument: Instrument
    funding: Funding | None = None
    detail: Candles | None = None

    @property
    def symbol(self) -> str:
        """The symbol of the candles."""
        return self.candles.symbol

    def between(self, start: datetime | None, end: datetime | None) -> Market:
        """Return the same market with candles cut to whole bars inside [start, end]."""
        return replace(self, candles=self.candles.between(start, end))

    def slice(self, first: int, stop: int) -> Market:
        """Return the same market with bars first .. stop-1."""
        return replace(self, candles=self.candles.slice(first, stop))


def market_of(candles: Candles, funding: Funding | None = None) -> Market:
    """Return a market with the known rules of the candles' symbol."""
    return Market(candles, instrument_for(candles.symbol), funding)
