"""What a local exchange is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np

from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe, parse_time, show_ms, to_ms
from ftbt.errors import ConfigError, DataError
from ftbt.localnet.assets import assets_of
from ftbt.localnet.book import Depth
from ftbt.localnet.core import Behaviour
from ftbt.localnet.market import CoinMarket
from ftbt.localnet.venue import Venue

# Bars of history before the replay begins, when nothing else is asked for: what the venue keeps.
USUAL_HISTORY = 5000
DEFAULT_FUNDS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Options:
    """A local exchange: its candles, its pace, its accounts.

    Attributes:
        data, symbols, timeframe, detail, start, end, holes, store: as for a back-test.
        begin: when the replay begins; None leaves `USUAL_HISTORY` bars, at most half, before it.
        speed: market seconds per second.
        hold_ms: the market stands still that long at each open of a bar and after each fill.
        paused: start standing still, to be stepped through the control API.
        settings: fees and slippage, as a back-test charges them.
        depth: notional of the best level of each book, USDC.
        funds: USDC by address.
        limits: keep the budgets of the venue.
        port, control_port: 0 takes any free port.
    """

    data: str | None = None
    symbols: tuple[str, ...] = ("BTC", "ETH", "SOL")
    timeframe: str = "15m"
    detail: str | None = None
    start: str | None = None
    end: str | None = None
    holes: str = "refuse"
    store: Path | None = None
    begin: str | None = None
    speed: float = 1.0
    hold_ms: float = 0.0
    paused: bool = False
    settings: Settings = field(default_factory=Settings)
    depth: Decimal = Decimal(250_000)
    funds: tuple[tuple[str, Decimal], ...] = ()
    limits: bool = True
    port: int = 0
    control_port: int = 0

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ConfigError(f"--speed must be above 0, not {self.speed:g}")
        if self.hold_ms < 0:
            raise ConfigError(f"--hold must be 0 or more milliseconds, not {self.hold_ms:g}")
        if not self.depth > 0:
            raise ConfigError(f"--depth must be above 0 USDC, not {self.depth}")


def load(options: Options) -> list[Market]:
    """Return the candles that *options* name.

    Raises:
        InputError, DataError, StorageError: as `load_markets`; several stretches are refused.
    """
    from ftbt.data.resolve import load_markets  # noqa: PLC0415 - slow; not needed with markets

    found: list[Market] = []
    start = None if options.start is None else parse_time(options.start)
    end = None if options.end is None else parse_time(options.end)
    for symbol in options.symbols:
        parts = load_markets(
            options.data, symbol, options.timeframe, start=start, end=end, holes=options.holes,
            detail=options.detail, store_root=options.store,
        )  # fmt: skip
        # An exchange has one history: the longest stretch without a hole is replayed.
        found.append(max(parts, key=lambda part: len(part.candles)))
    return found


def build(markets: Sequence[Market], options: Options) -> Venue:
    """Return a venue over *markets* at the beginning of its replay.

    Raises:
        DataError: the candles leave no time that all of them have, or no history before it.
    """
    settings = options.settings
    behaviour = Behaviour(
        taker=Decimal(repr(settings.taker_fee)),
        maker=Decimal(repr(settings.maker_fee)),
        depth=Depth(options.depth),
    )
    assets = assets_of([market.instrument for market in markets])
    coins = [
        CoinMarket(asset, market, settings) for asset, market in zip(assets, markets, strict=True)
    ]
    venue = Venue(coins, behaviour)
    venue.start_at(_begin(markets, coins, options))
    return venue


def _begin(markets: Sequence[Market], coins: Sequence[CoinMarket], options: Options) -> int:
    frame = Timeframe.parse(markets[0].candles.timeframe)
    first = max(coin.walked_from for coin in coins)
    last = min(int(coin.base["time"][-1]) for coin in coins)
    if options.begin is not None:
        begin = frame.floor(to_ms(parse_time(options.begin)))
    else:
        times = markets[0].candles.time
        inside = times[(times >= first) & (times <= last)]
        begin = int(inside[min(USUAL_HISTORY, len(inside) // 2)]) if len(inside) else last
    if not first < begin <= last:
        raise DataError(
            f"--begin {show_ms(begin)} must lie after {show_ms(first)} and not after"
            f" {show_ms(last)}: some history before it, some bars to replay after it"
        )
    for coin in coins:
        if not np.any(coin.base["time"] == begin):
            raise DataError(f"{coin.asset.coin}: no bar opens at {show_ms(begin)}")
    return begin
