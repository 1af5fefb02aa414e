"""The candles of a past session: cut to its bars, or read back from its exchange."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ftbt.data.candles import FIELDS, Candles, make_bars
from ftbt.data.market import Instrument, Market, coin_of
from ftbt.data.timeframe import Timeframe, show_ms, to_ms
from ftbt.errors import DataError, InputError
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.clock import VenueClock
from ftbt.hyperliquid.history import load_history
from ftbt.hyperliquid.network import Mode, Network, endpoint
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.transport import Transport
from ftbt.live.record import Record


def cut_to(market: Market, record: Record) -> tuple[Market, int]:
    """Return the bars of *record* with the warm-up before them, and how many bars that is.

    The symbol is called as the session called it.

    Raises:
        DataError: candles that do not cover the session and its warm-up.
    """
    result = record.result
    first, last = int(result.time[0]), int(result.time[-1])
    time = market.candles.time
    begin, stop = (int(x) for x in np.searchsorted(time, [first, last + 1]))
    covered = stop - begin == len(result.time)
    if begin < record.warm or not covered:
        raise DataError(
            f"{market.symbol}: the session needs {record.warm:,} bars before {show_ms(first)} and"
            f" all up to {show_ms(last)}; the candles run from {show_ms(int(time[0]))} to"
            f" {show_ms(int(time[-1]))}"
        )
    part = market.slice(begin - record.warm, stop)
    coin = coin_of(market.symbol)
    fine = market.detail
    if fine is not None:
        edges = np.searchsorted(fine.time, [to_ms(part.candles.start), to_ms(part.candles.end)])
        fine = replace(fine.slice(int(edges[0]), int(edges[1])), symbol=coin)
    candles = replace(part.candles, symbol=coin)
    return Market(candles, replace(part.instrument, symbol=coin), part.funding, fine), record.warm


def exchange_markets(record: Record, detail: str | None) -> list[Market]:
    """Return what testnet still has of the candles of *record*.

    Other networks are refused: a local exchange is gone with its process, and a connection to
    mainnet needs a person's confirmation, which reading candles is no reason for.

    Raises:
        InputError: a session on another network.
        DataError: the exchange no longer reaches back that far.
        NetworkError, ExchangeError: it does not answer.
    """
    if record.network != Network.TESTNET:
        raise InputError(
            f"the session was on {record.network}: name its candles with --data (`ftbt data fetch`"
            " stores those of exchanges; a rehearsal's are the ones that it was given)"
        )
    transport = Transport(endpoint(Network.TESTNET, Mode.PAPER), Budget(), None)
    try:
        rest = Rest(transport)
        clock = VenueClock(rest)
        clock.synchronise()
        return [_market(rest, coin, record, detail, clock.now()) for coin in record.result.symbols]
    finally:
        transport.close()


def _market(rest: Rest, coin: str, record: Record, detail: str | None, now: int) -> Market:
    result = record.result
    asset = rest.universe().tradable(coin)
    rules = Instrument(coin, asset.size_decimals, float(asset.max_leverage))
    start = int(result.time[0])
    candles = _candles(rest, coin, result.timeframe, start - record.warm * result.timeframe.ms, now)
    fine = None
    if detail is not None:
        fine = _candles(rest, coin, Timeframe.parse(detail), start, now)
    # Its past rates are not read: the result says that funding is not modelled.
    return Market(candles, rules, None, fine)


def _candles(rest: Rest, coin: str, frame: Timeframe, start: int, now: int) -> Candles:
    bars = load_history(rest, coin, frame, start, now).bars
    columns = [[getattr(bar, name) for bar in bars] for name in FIELDS]
    return Candles.checked(
        coin, frame, make_bars([bar.opened for bar in bars], *columns), source="exchange"
    )
