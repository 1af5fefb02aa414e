"""Symbols as people write them: `BTC`, `BTCUSDT` and `BTC/USDT:USDT` can mean the same market."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ftbt.data.market import coin_of
from ftbt.errors import DataError, did_you_mean

_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "PERP")
_LENGTH = re.compile(r"\d{1,4}(?:m|h|d|w|min|hour|day)?", re.IGNORECASE)
_WORDS = {
    "funding", "fundingrate", "fundingrates", "rate", "rates", "kline", "klines", "candle",
    "candles", "ohlcv", "ohlc", "data", "spot", "perp", "perpetual", "future", "futures", "swap",
    "linear", "um", "cm", "p", "minute", "hour", "hourly", "daily", "binance", "bybit", "okx",
    "okex", "hyperliquid", "kraken", "bitstamp", "coinbase", "bitfinex", "kucoin", "gate",
    "gateio", "bitget", "mexc", "htx", "huobi", "deribit", "bitmex",
}  # fmt: skip


def match_symbol(wanted: str, known: Sequence[str], where: str) -> str:
    """Return the symbol of *known* that *wanted* means; the quote may be left out when unique.

    Example:
        >>> match_symbol("BTC", ["BTC/USDT:USDT", "ETH/USDT:USDT"], "binance")
        'BTC/USDT:USDT'

    Raises:
        DataError: none or several fit; lists what *where* holds.
    """
    if wanted in known:
        return wanted
    same = [name for name in known if name.upper() == wanted.upper()]
    fits = same or [name for name in known if _fits(wanted, name)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise DataError(f"{where}: {wanted!r} could be {' or '.join(fits)}; write it in full")
    hint = did_you_mean(wanted, known)
    raise DataError(f"{where} has no symbol {wanted!r}{hint}; there is: {', '.join(known)}")


def symbol_of_name(path: Path) -> str | None:
    """Return the symbol that a file's name tells, or None when it does not.

    `BTCUSDT-15m.parquet` -> BTCUSDT; `BTC_USDT_USDT-1h-futures.feather` -> BTC/USDT:USDT.
    """
    stem = path.name.partition(".")[0]
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", stem) if part]
    parts = [part for part in parts if part.lower() not in _WORDS and not _LENGTH.fullmatch(part)]
    quotes = [part.upper() for part in parts[1:]]
    if not parts or not _is_ticker(parts[0]) or any(quote not in _QUOTES for quote in quotes):
        return None
    if len(parts) == 1:
        # Written in small letters it is a ticker only when its quote shows that.
        return parts[0].upper() if parts[0].islower() else parts[0]
    if len(parts) == 3 and quotes[0] == quotes[1]:
        return f"{parts[0]}/{quotes[0]}:{quotes[1]}"
    return f"{parts[0]}/{quotes[0]}" if len(parts) == 2 else None


def _is_ticker(text: str) -> bool:
    if not 2 <= len(text) <= 20:
        return False
    if text.isupper():
        return True
    quoted = text.upper().endswith(_QUOTES) and text.upper() not in _QUOTES
    # kPEPE and kBONK are the venue's names for a thousand of a coin.
    return (text.islower() and quoted) or (text[0] == "k" and text[1:].isupper())


def _fits(wanted: str, name: str) -> bool:
    coin, quote = _coin_and_quote(wanted)
    other_coin, other_quote = _coin_and_quote(name)
    return coin == other_coin and (not quote or not other_quote or quote == other_quote)


def _coin_and_quote(symbol: str) -> tuple[str, str]:
    upper = symbol.strip().upper()
    coin = coin_of(upper)
    rest = re.split(r"[^A-Z0-9]+", upper[len(coin) :].strip("/-_:"))
    return coin, rest[0]
