"""How long a live session takes from a bar's close to its orders.

A session of three symbols on the local exchange, with the lines of a shipped strategy, sends a
waiting entry at every other close and takes it back at the next. The time runs from the frame that
completes the group of bars (its arrival) until the signed order has been handed to the socket:
lines, decision, signature, journal on the disk and request lie in between. The session is watched
and logged as `ftbt live` does it. The exchange and all else on this machine share its cores.
"""

from __future__ import annotations

import http.client
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account

from benchmarks.common import NotMeasured, Row
from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import Timeframe, from_ms
from ftbt.errors import FtbtError
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.market_data import BarOptions
from ftbt.hyperliquid.network import Mode, Network, endpoint
from ftbt.live.config import LiveConfig
from ftbt.live.logs import NAME, LogConfig
from ftbt.live.runner import LiveRun
from ftbt.live.secrets import Redactor
from ftbt.live.status import Status
from ftbt.live.watch import Watch, WatchConfig
from ftbt.localnet.options import Options
from ftbt.localnet.process import Localnet, localnet, named_key
from ftbt.strategy.loader import find_strategy

COINS = ("BTC", "ETH", "SOL")
BARS = 120
WARM_UP_DAYS = 5
_QUARTER = Timeframe.parse("15m")
_ORDER = b'"type":"order"'
_LIMIT = 2
_PATIENCE_S = 60.0


def _strategy() -> type[Any]:
    """Return the liquidity sweep with its lines, whose setups wait far below the market."""
    base: Any = find_strategy("liquidity_sweep").load()

    def setup_now(self: Any, index: int) -> Any:
        found = np.array(super(made, self)._setup_now(index))  # the lines are worked out as ever
        close = float(self._bar[0]["close"])
        found["side"], found["kind"], found["entry"] = 1, _LIMIT, close * 0.5
        found["stop"], found["target1"], found["target2"] = close * 0.45, close * 0.6, close * 0.7
        found["confidence"] = 100.0
        return found[()]

    made = type("Patient", (base,), {"_setup_now": setup_now})
    return made


class _Sends:
    """When the orders of this process were handed to their sockets, s."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self._lock = threading.Lock()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch every request while the block runs."""
        plain = http.client.HTTPConnection.send

        def send(connection: Any, data: Any) -> None:
            plain(connection, data)
            if isinstance(data, bytes) and _ORDER in data[:200]:
                with self._lock:
                    self.at.append(time.monotonic())

        http.client.HTTPConnection.send = send  # type: ignore[method-assign]
        try:
            yield
        finally:
            http.client.HTTPConnection.send = plain  # type: ignore[method-assign]


def _config(net: Localnet, begin: int, folder: Path) -> LiveConfig:
    user, agent = named_key("user"), named_key("agent")
    net.control("/agent", {"user": user.address, "agent": agent.address, "name": "ftbt"})
    parameters = {"valid_bars": 1, "risk_per_trade": 0.001, "exit_on_choch": False}
    return LiveConfig(
        endpoint(Network.LOCALNET, Mode.PAPER, local_url=net.url),
        AgentKey(Account.from_key(agent.secret)), user.address, "latency",
        (Sleeve(_strategy(), parameters),), COINS, _QUARTER, Settings(), folder,
        warm_from=begin, bar_options=BarOptions(fresh_ms=_QUARTER.ms // 2), request_margin=1000.0,
    )  # fmt: skip


def _latencies(net: Localnet, config: LiveConfig, watch: Watch) -> tuple[list[float], Status]:
    """Return the seconds from each group of bars to each of its orders, and the last status."""
    sends, seen = _Sends(), []
    found: list[float] = []

    def show(status: Status) -> None:
        watch.show(status)
        seen[:] = [status]

    run = LiveRun(config, show=show)
    watch.hear(run)
    ended: list[BaseException] = []

    def go() -> None:
        try:
            run.run()
        except BaseException as error:  # noqa: BLE001 - raised again below
            ended.append(error)

    def wait(opened: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not (seen and seen[0].bar_ms >= opened and not seen[0].busy):
            if ended:
                raise ended[0]
            if time.monotonic() > deadline:
                raise NotMeasured(f"the session stands still: {seen}")
            time.sleep(0.01)  # not too often: the session runs in this process

    thread = threading.Thread(target=go, daemon=True)
    with sends.watched():
        thread.start()
        wait(0)
        opened = (net.market_time() // _QUARTER.ms - 1) * _QUARTER.ms
        for _ in range(BARS):
            sends.at.clear()
            net.step(1)
            opened += _QUARTER.ms
            wait(opened)  # without a question to the exchange, which is busy now
            time.sleep(0.05)  # the machine is the session's alone when the next bar comes
            proven = max(book.data.bar.proven for book in run.broker.coins.values())
            found += [at - proven for at in sends.at]
        run.stop()
        thread.join(_PATIENCE_S)
    return found, seen[0]


def _watch(config: LiveConfig) -> Watch:
    """Return what watches a session unless told otherwise: its log, at its usual level."""
    state = config.state
    log = LogConfig(state / NAME)
    return Watch(WatchConfig(config.deployment, "localnet", state, Redactor(), log=log))


def run() -> list[Row]:
    """Measure and return median and 99th percentile."""
    markets = sample_market(COINS, days=WARM_UP_DAYS + 5)
    first = int(markets[COINS[0]].candles.time[0])
    begin = first + WARM_UP_DAYS * 86_400_000
    options = replace(
        Options(symbols=COINS, paused=True, limits=False), begin=from_ms(begin).isoformat()
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ftbt-latency-") as folder,
            localnet(options, list(markets.values())) as net,
        ):
            config = _config(net, first, Path(folder))
            with _watch(config) as watch:
                took, status = _latencies(net, config, watch)
    except FtbtError as error:
        raise NotMeasured(str(error)) from error
    if len(took) < BARS:
        raise NotMeasured(f"only {len(took)} orders were sent")
    milliseconds = np.array(took) * 1000.0
    how = f"{len(took)} orders of {len(COINS)} symbols in {BARS} bars; journal on the disk included"
    median, p99 = (float(np.quantile(milliseconds, q)) for q in (0.5, 0.99))
    return [
        Row("bar's last frame to order on the socket: median", median, "ms", how, at_most=10.0),
        Row("bar's last frame to order on the socket: 99 %", p99, "ms", how, at_most=50.0),
        Row("of it until all had decided: median", status.latency["median"], "ms", "as in status"),
    ]
