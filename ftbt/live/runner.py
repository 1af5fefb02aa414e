"""A live session from its start to its end: the same Cerebro, fed and filled by an exchange."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from typing import Any

import backtrader as bt

from ftbt.backtest.gate import gated
from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.reference_engine import Maker
from ftbt.backtest.result import TRADE, ExitReason
from ftbt.backtest.result import Status as OrderStatus
from ftbt.backtest.user_code import user_code
from ftbt.data.timeframe import DAY_MS, show_ms
from ftbt.errors import IntegrityError, StorageError
from ftbt.hyperliquid.account import AccountStream
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.feed import FeedGroup
from ftbt.hyperliquid.market_data import MarketData
from ftbt.hyperliquid.resolving import Patience
from ftbt.hyperliquid.session import Check, Opening, Session, Wanted, told
from ftbt.live import control
from ftbt.live.broker import Account, LiveBroker
from ftbt.live.closes import Closes
from ftbt.live.config import LiveConfig, OnStop
from ftbt.live.deadman import DeadMan, is_needed, left_armed
from ftbt.live.dispatch import Dispatch, Dispatcher, Done, DryRun
from ftbt.live.earlier import require_past
from ftbt.live.guard import Guard, Level
from ftbt.live.journal import Keeper
from ftbt.live.offline import Place, keep_place
from ftbt.live.practice import practise
from ftbt.live.promptness import collecting_in_pauses
from ftbt.live.restore import KINDS, Before, Restoring
from ftbt.live.start import capital_check, journal_open, key_held
from ftbt.live.status import Latencies, Status, StatusFile
from ftbt.live.vitals import vitals
from ftbt.live.words import held_text, revised_text
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import resolve, warmup_bars

_FLAT_WITHIN_S = 60.0
_ANSWERS_S = 20.0
_LOOK_S = 0.25
_JOURNAL = "journal"
_DURABLE = frozenset({"session", "stop", "reset", "critical"})
_NET = (TRADE.names or ()).index("net")


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
        self._closes = Closes(config.timeframe, replay=config.endpoint.is_local)
        self._stop = threading.Event()
        self._flatten_from = 0.0
        self._hurried = False
        # Called with each event before it is written down; they must neither wait nor raise.
        self.listeners: list[Callable[[str, Mapping[str, Any], str], None]] = []
        self._on_stop: OnStop = config.on_stop
        self._next_look = 0.0

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
        self.file = StatusFile(config.state / control.STATUS)
        with (
            # A dry run signs nothing.
            nullcontext() if config.dry_run else key_held(config.key, config.endpoint, self._tell),
            journal_open(config, self._tell, self._description()) as opened,
        ):
            self.journal, self._earlier = opened
            keep_place(config.state, self._place())
            with (
                closing(Keeper(self.journal, self._backup_fails, calm=self._closes.calm)),
                self._session() as session,
                self._bars(session) as data,
            ):
                return self._trade(session, data)

    def _backup_fails(self, error: StorageError) -> None:
        self.journal.note("error", {"what": "backup of the journal", "error": str(error)})

    def _place(self) -> Place:
        config = self.config
        where = config.endpoint
        return Place(config.deployment, str(where.network), where.url, config.account, config.coins)

    # --- what a session stands on -----------------------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Session]:
        config = self.config
        # Nonces are one counter for all that use a key; a local exchange's are its own affair.
        folder = config.state if config.endpoint.is_local else None
        opening = Opening(
            config.endpoint, config.key, self.journal, folder, self._tell,
            config.timeouts, config.patience, Budget(config.request_margin),
        )  # fmt: skip
        leverage = {coin: int(config.settings.leverage) for coin in config.coins}
        asked = None if config.dry_run else leverage
        epoch = self.journal.summary().created_ms
        session = opening.open(
            Wanted(config.account, config.coins, config.deployment, asked, epoch=epoch)
        )
        self._closes.clock = session.market_clock
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
        with told(self._tell, "history") as found:
            if self._earlier is not None:
                require_past(self._earlier, now, config.state)
            data = MarketData(
                session.rest, session.market_clock, config.coins, config.timeframe, start,
                config.stored, config.bar_options, config.socket_options,
            )  # fmt: skip
            data.start()
            found.append(f"{data.waiting:,} closed bars of {config.timeframe} up to {show_ms(now)}")
        try:
            yield data
        finally:
            data.stop()

    def _warmup_ms(self) -> int:
        frame = self.config.timeframe
        lengths = [warmup_bars(cls, frame) * frame.ms for cls in self._classes]
        if len(self.config.coins) > 1:
            lengths.append((self.config.settings.limits.correlation_days + 2) * DAY_MS)
        return int(max(lengths))

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
            account, config.timeframe.ms, self._note, self._reconcile, self._as_one
        )
        before = Before.read(self.journal)
        broker.warm = data.waiting
        self.guard = Guard(
            config.guard, broker, config.timeframe.ms / 1000.0, replay=config.endpoint.is_local
        )
        self.listeners.append(self.guard.saw)
        if before.decided and data.fresh:
            # What the process before decided at this close, or could not decide any more, is due.
            broker.warm -= data.last_bar > before.decided
            broker.caught_up = data.last_bar
        self.stream: AccountStream | None = None
        self.dispatch: Dispatch | None = None
        self.dead_man: DeadMan | None = None
        self._revised = 0
        broker.on_bar, broker.on_warm = self._on_bar, self._begin
        broker.on_decided, broker.on_turn = self._decided, self._turn
        cerebro = self.cerebro = self._cerebro(broker, data)
        decided = before.decided or data.last_bar
        session_body = {**self._description(), "warm": broker.warm, "decided": decided}
        self._note("session", session_body, "")
        self._before = before
        names = {cls: cls.__name__ for cls in self._classes}
        try:
            with user_code("+".join(names.values()), names), collecting_in_pauses() as pauses:
                self._pauses = pauses
                cerebro.run()
            self._raise_failures()
        except KeyboardInterrupt:
            self._hurried = True
            raise
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
        restoring = Restoring(broker, self.cerebro.runningstrats)
        with told(self._tell, "positions") as found:
            carried = restoring.run(self.journal.events(kinds=KINDS))
            found += self.held() or ["flat"]
        self._tell(capital_check(broker.desk.equity(), float(session.equity.value)))
        since, paid_since = self._before.since(session.market_clock.now(), restoring)
        self.stream = AccountStream(
            session.rest, session.sender.account, since, config.every_s, config.socket_options,
            self.data.nudge, paid_since,
        )  # fmt: skip
        self.stream.start()
        broker.pull, broker.untold = self.stream.events, self.stream.waiting
        greeting = None if config.endpoint.is_local else self._closes.until_s
        self.dispatch = (
            DryRun(self._deliver)
            if config.dry_run
            else Dispatcher(session.sender, session.resolver, session.rest, self._deliver, greeting)
        )
        broker.connect(self.dispatch)
        if not config.dry_run:
            self.dead_man = DeadMan(
                session.sender, session.clock.now, self.journal.note,
                armed=left_armed(self.journal),
            )  # fmt: skip
        if carried:
            self._note("note", {"text": f"carried on from {carried} events"}, "")
        self._practise()
        # Before the first decision: bars may have come while the lines warmed up.
        self._obey()
        self._pauses.settle()
        broker.entries_open = True

    def _practise(self) -> None:
        """Let all that the first order needs be loaded before it is due."""
        for one in self.cerebro.runningstrats:
            if isinstance(one, SetupStrategy):
                one.prepare()
        first = next(iter(self.broker.coins.values()))
        try:
            practise(
                self.broker.account, first.coin, (first.opened, first.price),
                self.config.timeframe.ms, self.session.sender.practise,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - it is only about milliseconds
            self._note("note", {"text": f"orders were not practised: {error!r}"}, "")

    def _deliver(self, done: Done) -> None:
        self.broker.deliver(done)
        self.data.nudge()

    @contextmanager
    def _as_one(self) -> Iterator[None]:
        """Write what is noted within as one, with the orders that it leads to, and send them."""
        together = nullcontext() if self.dispatch is None else self.dispatch.together()
        with self.journal.together(), together:
            yield

    def _reconcile(self) -> None:
        if self.stream is not None:
            self.stream.reconcile()

    def _note(self, kind: str, body: Mapping[str, Any], coin: str) -> None:
        for listener in self.listeners:
            listener(kind, body, coin)
        # All of it outlives the process. What must outlive the machine as well is on the disk when
        # an action is sent; the exchange tells the rest again.
        self.journal.note(
            kind, body, coin=coin, market_ms=self.session.market_clock.now(),
            durable=kind in _DURABLE,
        )  # fmt: skip

    # --- turns ------------------------------------------------------------------------------------

    def _on_bar(self) -> None:
        """End when the newest bar was the last."""
        for strategy in self.cerebro.runningstrats:
            # Backtrader keeps each order that it has ever told, and reads none of them again.
            strategy._orders.clear()  # noqa: SLF001
        self.data.nudge()  # the turn after this one tells that the strategies have decided
        until, opened = self.config.until, self.broker.clock[-1]
        if until is not None and opened + self.config.timeframe.ms >= until:
            self._stop.set()

    def _decided(self, moment: float) -> None:
        """Note how long the newest bar took: *moment* is when all had decided (monotonic s)."""
        proven = max(book.data.bar.proven for book in self.broker.coins.values())
        sends = self.dispatch is not None and self.dispatch.busy > 0
        if proven:
            sent = time.monotonic() - proven if sends else None
            self._latencies.add(moment - proven, sent)

    def _turn(self) -> None:
        """Look after the session once in each turn of the loop."""
        self._obey()
        self._look_out()
        self._tell_revised()
        if self.dead_man is not None:
            self.dead_man.look(needed=is_needed(self.broker))
        if self._stop.is_set():
            self._wind_up()
        elif self._failure() is not None:
            self.cerebro.runstop()
        status = self._status()
        self.file.write(status)
        self._show(status)
        if not self.data.ready():
            self._pauses.pause()

    def _obey(self) -> None:
        """Do what the owner asks for by files in the state folder; see `ftbt.live.control`."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        state, broker = self.config.state, self.broker
        for what, body in control.wishes(state).items():
            self._note("note", {"text": f"asked to {what}", **body}, "")
            if what is control.Wish.RESUME:
                broker.limits.reset_breaker()
                self._note("reset", dict(body), "")
            else:
                self._on_stop = "flatten" if what is control.Wish.FLATTEN else "keep"
                self._stop.set()
            control.done(state, what)
        found = control.halted(state)
        if not self._stop.is_set():
            broker.halted_by = "" if found is None else f"halted: {found.reason}"

    def _look_out(self) -> None:
        """Do what the guard finds necessary."""
        trouble = self.journal.trouble
        if trouble is not None:
            self.broker.events.alarm(_JOURNAL, str(trouble))
        else:
            self.broker.events.trouble.pop(_JOURNAL, None)
        trips = self.guard.look(self.session.clock.skew_ms, self.data.health().awaited)
        worst = next((trip for trip in trips if trip.level is Level.CRITICAL), None)
        if worst is None or self._stop.is_set():
            return
        self._note("critical", {"what": worst.what, "text": worst.text}, "")
        control.halt(self.config.state, worst.text)
        flatten = self.config.guard.on_critical == "flatten"
        self._on_stop = "flatten" if flatten else "keep"
        self._stop.set()

    def _tell_revised(self) -> None:
        """Tell of bars that REST has told otherwise since: what was decided on them stands."""
        for one in self.data.revised[self._revised :]:
            self._revised += 1
            self._note("error", {"what": revised_text(one)}, one.given.coin)

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
                if book.size and self._on_stop == "flatten":
                    broker.events.leave(book, ExitReason.END, "the session ends flat")
        waiting = any(
            not w.reduces and w.status == OrderStatus.OPEN
            for book in broker.coins.values() for w in book.active
        )  # fmt: skip
        held = any(book.size for book in broker.coins.values())
        flat = self._on_stop == "keep" or not held
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
            self.dispatch.close(0.0 if self._hurried else _ANSWERS_S)
        if self.dead_man is not None:
            self.dead_man.close(0.0 if self._hurried else _ANSWERS_S)
        if self.stream is not None:
            self.stream.stop()
        held = {coin: book.size for coin, book in self.broker.coins.items() if book.size}
        self._note("stop", {"positions": held, "policy": self._on_stop}, "")

    # --- words and figures ------------------------------------------------------------------------

    def held(self) -> list[str]:
        """Return each position in words, with what stands on the exchange to end it."""
        return [held_text(book) for book in self.broker.coins.values() if book.size]

    @property
    def strategies(self) -> list[dict[str, Any]]:
        """What trades, in plain values: name, parameters, share, reasons for an entry."""
        return [
            {"name": cls.__name__, "parameters": {k: _plain(v) for k, v in values.items()},
             "share": one.share, "reasons": list(getattr(cls, "reasons", ()))}
            for cls, values, one in zip(
                self._classes, self._values, self.config.sleeves, strict=True)
        ]  # fmt: skip

    def _description(self) -> dict[str, Any]:
        config = self.config
        return {
            "pid": os.getpid(), "network": str(config.endpoint.network), "url": config.endpoint.url,
            "account": config.account, "agent": config.key.address,
            "strategies": self.strategies,
            "symbols": list(config.coins), "timeframe": str(config.timeframe),
            "settings": config.settings.as_dict(), "dry_run": config.dry_run,
            "on_stop": config.on_stop,
        }  # fmt: skip

    def _status(self, *, over: bool = False) -> Status:
        broker, data = self.broker, self.data
        books = broker.coins.values()
        first = next(iter(books))
        trades = broker.desk.trades
        there = broker.events.account_equity
        spent = self.session.transport.budget.spent()
        now_ms = self.session.market_clock.now()
        return Status(
            pid=os.getpid(), wall_ms=int(time.time() * 1000),
            network=str(self.config.endpoint.network), deployment=self.config.deployment,
            market_ms=now_ms, bar_ms=broker.decided_bar,
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
            vitals=vitals(broker, data, self.stream, spent, now_ms),
        )  # fmt: skip

    def _hears(self) -> bool:
        return self.stream is not None and self.stream.health().connected


def _loaded(sleeve: Sleeve) -> type[Any]:
    one = sleeve.strategy
    return one.load() if isinstance(one, StrategyRef) else one


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
