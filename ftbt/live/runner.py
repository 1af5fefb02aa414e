"""A live session from its start to its end: the same Cerebro, fed and filled by an exchange."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import backtrader as bt

from ftbt.backtest.gate import gated
from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.reference_engine import Maker
from ftbt.backtest.result import TRADE, ExitReason
from ftbt.backtest.result import Status as OrderStatus
from ftbt.backtest.settings import Settings
from ftbt.backtest.user_code import user_code
from ftbt.data.candles import Candles
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.errors import IntegrityError
from ftbt.hyperliquid.account import AccountStream
from ftbt.hyperliquid.budget import MARGIN, Budget
from ftbt.hyperliquid.feed import FeedGroup
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.market_data import BarOptions, MarketData
from ftbt.hyperliquid.network import Endpoint
from ftbt.hyperliquid.resolving import Patience
from ftbt.hyperliquid.session import Check, Opening, Session, Wanted
from ftbt.hyperliquid.sockets import SocketOptions
from ftbt.hyperliquid.transport import Timeouts
from ftbt.live.broker import Account, LiveBroker
from ftbt.live.dispatch import Dispatch, Dispatcher, Done, DryRun
from ftbt.live.journal import LiveJournal
from ftbt.live.requests import Bounds
from ftbt.live.restore import KINDS, Before, Restoring
from ftbt.live.status import Latencies, Status, StatusFile
from ftbt.risk.allocation import Allocation
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import resolve

OnStop = Literal["keep", "flatten"]
_FLAT_WITHIN_S = 60.0
_WARMUP_DAYS = 30.0
_NET = (TRADE.names or ()).index("net")


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
    request_margin: float = MARGIN


class LiveRun:
    """One session.

    Args:
        config: what to do.
        tell: called with each check of the start.
        show: called with each new status.
    """

    def __init__(
        self,
        config: LiveConfig,
        tell: Callable[[Check], None] = lambda _: None,
        show: Callable[[Status], None] = lambda _: None,
    ) -> None:
        self.config, self._tell, self._show = config, tell, show
        self._classes = [_loaded(one) for one in config.sleeves]
        timeframe = config.timeframe.text
        self._values = [
            resolve(cls, sleeve.parameters, timeframe)
            for cls, sleeve in zip(self._classes, config.sleeves, strict=True)
        ]
        self._latencies = Latencies()
        self._stop = threading.Event()
        self._flatten_from = 0.0
        self._trades = 0

    def stop(self) -> None:
        """End the session soon; may be called from any thread or signal handler."""
        self._stop.set()

    def run(self) -> Status:
        """Trade until stopped; return the last status.

        Raises:
            FtbtError: why it did not start, or could not go on. Positions stay protected by their
                stops on the exchange.
        """
        config = self.config
        config.state.mkdir(parents=True, exist_ok=True)
        self.file = StatusFile(config.state / "status.json")
        self.journal = LiveJournal.open(config.state / "journal.db", deployment=config.deployment)
        try:
            with self._session() as session, self._bars(session) as data:
                return self._trade(session, data)
        finally:
            self.journal.close()

    # --- what a session stands on -----------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Session]:
        config = self.config
        opening = Opening(
            config.endpoint, config.key, self.journal, config.state, self._tell,
            config.timeouts, config.patience, Budget(config.request_margin),
        )  # fmt: skip
        leverage = {coin: int(config.settings.leverage) for coin in config.coins}
        asked = None if config.dry_run else leverage
        session = opening.open(Wanted(config.account, config.coins, config.deployment, asked))
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def _bars(self, session: Session) -> Iterator[MarketData]:
        config = self.config
        session.market_clock.saw(session.rest.book_time(config.coins[0]))
        now = session.market_clock.now()
        start = config.warm_from if config.warm_from is not None else now - self._warmup_ms()
        data = MarketData(
            session.rest, session.market_clock, config.coins, config.timeframe, start,
            config.stored, config.bar_options, config.socket_options,
        )  # fmt: skip
        data.start()
        try:
            yield data
        finally:
            data.stop()

    def _warmup_ms(self) -> int:
        days = [float(getattr(cls, "warmup_days", _WARMUP_DAYS)) for cls in self._classes]
        if len(self.config.coins) > 1:
            days.append(self.config.settings.limits.correlation_days + 2.0)
        return int(max(days) * DAY_MS)

    # --- trading ----------------------------------------------------------------------------------

    def _trade(self, session: Session, data: MarketData) -> Status:
        config = self.config
        account = Account(
            config.settings, {coin: session.universe[coin] for coin in config.coins},
            session.cloids, [one.share for one in config.sleeves], config.allocation,
            config.bounds, config.patience or Patience(),
        )  # fmt: skip
        self.session, self.data = session, data
        broker = self.broker = LiveBroker(
            account, config.timeframe.ms, self._note, self._reconcile, self.journal.together
        )
        before = Before.read(self.journal)
        broker.warm = data.waiting
        if before.decided and data.fresh:
            # What the process before decided at this close, or could not decide any more, is due.
            broker.warm -= data.last_bar > before.decided
            broker.caught_up = data.last_bar
        self.stream: AccountStream | None = None
        self.dispatch: Dispatch | None = None
        broker.on_bar, broker.on_warm = self._on_bar, self._begin
        broker.on_turn = self._turn
        cerebro = self.cerebro = self._cerebro(broker, data)
        decided = before.decided or data.last_bar
        self._note("session", {**self._description(), "decided": decided}, "")
        self._before = before
        names = {cls: cls.__name__ for cls in self._classes}
        try:
            with user_code("+".join(names.values()), names):
                cerebro.run()
            self._raise_failures()
        finally:
            self._end()
        status = self._status(over=True)
        self.file.write(status)
        self._show(status)
        return status

    def _cerebro(self, broker: LiveBroker, data: MarketData) -> bt.Cerebro:
        cerebro = bt.Cerebro(stdstats=False)
        for feed in FeedGroup(data, broker.end_turn).make_feeds():
            cerebro.adddata(feed, name=feed.coin)
            broker.add_coin(feed)
        cerebro.setbroker(broker)
        for number, (cls, values) in enumerate(zip(self._classes, self._values, strict=True)):
            for place in range(len(self.config.coins)):
                cerebro.addstrategy(Maker(gated(cls), values, number, place))
        return cerebro

    def _begin(self) -> None:
        """Go live: the lines are warm; carry on what the journal knows, then hear the account."""
        broker, session, config = self.broker, self.session, self.config
        for one in self.cerebro.runningstrats:
            if isinstance(one, SetupStrategy):
                one.prepare()
        restoring = Restoring(broker, self.cerebro.runningstrats)
        carried = restoring.run(self.journal.events(kinds=KINDS))
        since, paid_since = self._before.since(session.market_clock.now(), restoring)
        self.stream = AccountStream(
            session.rest, session.sender.account, since, config.every_s, config.socket_options,
            self.data.nudge, paid_since,
        )  # fmt: skip
        self.stream.start()
        broker.pull, broker.untold = self.stream.events, self.stream.waiting
        self.dispatch = (
            DryRun(self._deliver)
            if config.dry_run
            else Dispatcher(session.sender, session.resolver, session.rest, self._deliver)
        )
        broker.connect(self.dispatch)
        if carried:
            self._note("note", {"text": f"carried on from {carried} events"}, "")
        broker.entries_open = True

    def _deliver(self, done: Done) -> None:
        self.broker.deliver(done)
        self.data.nudge()

    def _reconcile(self) -> None:
        if self.stream is not None:
            self.stream.reconcile()

    def _note(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        self.journal.note(kind, body, coin=coin, market_ms=self.session.market_clock.now())

    # --- turns ------------------------------------------------------------------------------------

    def _on_bar(self) -> None:
        """Note how long the newest bar took, and end when it was the last."""
        proven = max(book.data.bar.proven for book in self.broker.coins.values())
        if proven:
            self._latencies.add(time.monotonic() - proven)
        self.data.nudge()  # the turn after this one tells that the strategies have decided
        until, opened = self.config.until, self.broker.clock[-1]
        if until is not None and opened + self.config.timeframe.ms >= until:
            self._stop.set()

    def _turn(self) -> None:
        """Look after the session once in each turn of the loop."""
        if self._stop.is_set():
            self._wind_up()
        elif self._failure() is not None:
            self.cerebro.runstop()
        if self.broker.at_close:
            return  # first the decision; the turn after it tells
        status = self._status()
        self.file.write(status)
        self._show(status)

    def _wind_up(self) -> None:
        """Stop: nothing new; entries are taken back; positions as the policy says."""
        broker = self.broker
        broker.halted_by = "the session is ending"
        if not self._flatten_from:
            self._flatten_from = time.monotonic()
            for book in broker.coins.values():
                for working in list(book.active):
                    if not working.reduces and working.status == OrderStatus.OPEN:
                        broker.cancel(working.order)
                if book.size and self.config.on_stop == "flatten":
                    broker.events.leave(book, ExitReason.END, "the session ends flat")
        waiting = any(
            not w.reduces and w.status == OrderStatus.OPEN
            for book in broker.coins.values() for w in book.active
        )  # fmt: skip
        held = any(book.size for book in broker.coins.values())
        flat = self.config.on_stop == "keep" or not held
        late = time.monotonic() - self._flatten_from > _FLAT_WITHIN_S
        if (flat and not waiting and not broker.busy) or late:
            self.cerebro.runstop()

    def _failure(self) -> BaseException | None:
        found = self.data.failure
        if found is None and self.stream is not None:
            found = self.stream.failure
        dead = isinstance(self.dispatch, Dispatcher) and not self.dispatch.alive
        return IntegrityError("the thread that sends orders has ended") if dead else found

    def _raise_failures(self) -> None:
        failure = self._failure()
        if failure is not None:
            raise failure

    def _end(self) -> None:
        self.broker.end_turn()
        if self.dispatch is not None:
            self.dispatch.close()
        if self.stream is not None:
            self.stream.stop()
        held = {coin: book.size for coin, book in self.broker.coins.items() if book.size}
        self._note("stop", {"positions": held, "policy": self.config.on_stop}, "")

    # --- words and figures ------------------------------------------------------------------------

    def _description(self) -> dict[str, Any]:
        config = self.config
        return {
            "pid": os.getpid(), "network": str(config.endpoint.network),
            "account": config.account, "agent": config.key.address,
            "strategies": [
                {"name": cls.__name__, "parameters": {k: _plain(v) for k, v in values.items()},
                 "share": one.share, "reasons": list(getattr(cls, "reasons", ()))}
                for cls, values, one in zip(
                    self._classes, self._values, config.sleeves, strict=True)
            ],
            "symbols": list(config.coins), "timeframe": str(config.timeframe),
            "settings": config.settings.as_dict(), "dry_run": config.dry_run,
            "on_stop": config.on_stop, "warm": self.broker.warm,
        }  # fmt: skip

    def _status(self, *, over: bool = False) -> Status:
        broker, data = self.broker, self.data
        books = broker.coins.values()
        first = next(iter(books))
        trades = broker.desk.trades
        there = broker.events.account_equity
        spent = self.session.transport.budget.spent()
        return Status(
            pid=os.getpid(), wall_ms=int(time.time() * 1000),
            network=str(self.config.endpoint.network), deployment=self.config.deployment,
            market_ms=self.session.market_clock.now(), bar_ms=broker.decided_bar,
            live=broker.entries_open and all(book.data.live for book in books),
            ready=broker.not_ready(first), connected=data.connected and self._hears(),
            fills=broker.events.fills, busy=broker.busy, equity=broker.desk.equity(),
            account_equity=None if there is None else float(there),
            positions={b.coin: b.size for b in books if b.size},
            entries={b.coin: float(b.position.price) for b in books if b.size},
            prices={b.coin: b.price for b in books},
            open_orders=sum(1 for _ in broker.legs.all_alive()),
            unprotected=broker.unprotected(), decision=broker.decision,
            latency=self._latencies.figures(),
            weight_left=1.0 - spent.weight / spent.weight_limit,
            trades=len(trades), wins=sum(row[_NET] > 0.0 for row in trades), over=over,
        )  # fmt: skip

    def _hears(self) -> bool:
        return self.stream is not None and self.stream.health().connected


def _loaded(sleeve: Sleeve) -> type[Any]:
    one = sleeve.strategy
    return one.load() if isinstance(one, StrategyRef) else one


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


@contextmanager
def interrupts(run: LiveRun, told: Callable[[int], None] = lambda _: None) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop *run* cleanly while the block runs; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(number: int, _: Any) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        told(number)
        run.stop()

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
