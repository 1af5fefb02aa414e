"""What a live session is to do: everything it is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles
from ftbt.data.timeframe import Timeframe
from ftbt.hyperliquid.budget import MARGIN
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.market_data import BarOptions
from ftbt.hyperliquid.network import Endpoint
from ftbt.hyperliquid.resolving import Patience
from ftbt.hyperliquid.sockets import SocketOptions
from ftbt.hyperliquid.transport import Timeouts
from ftbt.live.guard import GuardLimits
from ftbt.live.requests import Bounds
from ftbt.risk.allocation import Allocation

OnStop = Literal["keep", "flatten"]


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """What a session is to do.

    Attributes:
        endpoint, key, account: where, signed by whom, for whose money.
        deployment: its name: orders and journal belong to it.
        sleeves: strategies with parameters and shares.
        coins: in the order in which they are decided on.
        timeframe: of the bars.
        settings: capital, costs as assumed, limits.
        state: folder of journal and status.
        allocation: whether shares shrink in a drawdown.
        stored: candles for what the exchange no longer has.
        warm_from: open of the first bar, ms; None: as much as lines and limits need.
        until: end before the bar that opens then, ms; None: when asked to.
        dry_run: decide, but send nothing.
        on_stop: what becomes of positions at the end.
        bounds: of orders that trade at once.
        bar_options, socket_options, timeouts, patience: waits.
        every_s: seconds between two readings of the account.
        guard: when it steps in.
        request_margin: part of the venue's request budget to be used; above 1 for a local exchange
            that is asked to keep none.
    """

    endpoint: Endpoint
    key: AgentKey
    account: str
    deployment: str
    sleeves: tuple[Sleeve, ...]
    coins: tuple[str, ...]
    timeframe: Timeframe
    settings: Settings
    state: Path
    allocation: Allocation | None = None
    stored: Mapping[str, Candles] | None = None
    warm_from: int | None = None
    until: int | None = None
    dry_run: bool = False
    on_stop: OnStop = "keep"
    bounds: Bounds = field(default_factory=Bounds)
    bar_options: BarOptions | None = None
    socket_options: SocketOptions | None = None
    timeouts: Timeouts | None = None
    patience: Patience | None = None
    every_s: float = 30.0
    guard: GuardLimits = field(default_factory=GuardLimits)
    request_margin: float = MARGIN
