"""The stream of closed bars of several coins: history first, then live, one group per timestamp.

Two threads: one owns builders and barrier and turns messages into groups, one asks REST, so that
a slow answer about one coin never delays another's stream. Readers take whole groups under one
lock; with several feeds a loop could otherwise see one coin's bar a turn before the others'.

A group waits until it is complete. What an outage held back comes when it is over, in order, and
is marked as too old to trade on; `DataHealth` says for whom it waits.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ftbt.data.candles import Candles
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.errors import FtbtError, InputError, IntegrityError, NetworkError
from ftbt.hyperliquid.answers import Node
from ftbt.hyperliquid.barrier import Barrier, Group
from ftbt.hyperliquid.bars import BarBuilder, Revision, Source
from ftbt.hyperliquid.clock import MarketClock
from ftbt.hyperliquid.history import interval_of, load_history
from ftbt.hyperliquid.pacing import Pacing
from ftbt.hyperliquid.records import Row
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sockets import Connected, Disconnected, Frame, Message, Socket, SocketOptions
from ftbt.hyperliquid.subscriptions import Subscription, candle

_TICK_S = 0.1
_REFRESH_S = 20.0


@dataclass(frozen=True, slots=True)
class BarOptions:
    """Waits of the market's time in ms, of the wall in seconds.

    Attributes:
        grace_ms: a bar is over for so long before REST is asked for it.
        fresh_ms: a bar that comes later than that after its end is old: nothing is traded on it.
        again_s: between an answer and the next question about the same coin; grows while there
            is none (`Pacing`), and starts anew with each connection.
        audit: compare each bar of the stream with REST afterwards.
        audit_s: so long afterwards: what is decided at its close comes first.
    """

    grace_ms: int = 2_500
    fresh_ms: int = 2 * MINUTE_MS
    again_s: float = 1.5
    audit: bool = True
    audit_s: float = 0.5


@dataclass(frozen=True, slots=True)
class LiveGroup:
    """A group of bars for the feeds.

    Attributes:
        group: the bars.
        live: new enough to trade on, and the stream stands; False for history and for what was
            missed meanwhile.
    """

    group: Group
    live: bool


@dataclass(frozen=True, slots=True)
class DataHealth:
    """Figures for the status line.

    Attributes:
        connected: the socket stands.
        last_bar: open of the newest group, ms.
        awaited: coins whose next bar is over, or followed by another, and not there yet: all
            wait for them.
        flat: bars in which nothing traded and of which the venue had no row.
        revised: bars that REST told otherwise after they were handed out.
        gaps: times that the connection was lost.
        unread: questions to REST without a usable answer.
    """

    connected: bool
    last_bar: int
    awaited: frozenset[str]
    flat: int
    revised: int
    gaps: int
    unread: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """Rows of one coin, asked for at a time of the market; None when there was no answer.

    *connection*: number of the connection that stood then, 0 for none. *checked*: the venue was
    asked for the market's time before.
    """

    coin: str
    asked_at: int
    connection: int
    rows: tuple[Row, ...] | None
    checked: bool


class MarketData:
    """Closed bars of *coins*, from *start* on and then for ever.

    Args:
        rest, clock: of the venue.
        coins: what to listen to; all of one timeframe.
        timeframe: of the bars.
        start: open of the first bar, ms: what the lines need before their values are settled.
        stored: candles for what the venue no longer has, by coin.
        options, socket_options: waits.
    """

    def __init__(
        self,
        rest: Rest,
        clock: MarketClock,
        coins: tuple[str, ...],
        timeframe: Timeframe,
        start: int,
        stored: Mapping[str, Candles] | None = None,
        options: BarOptions | None = None,
        socket_options: SocketOptions | None = None,
    ) -> None:
        if not coins or len(set(coins)) != len(coins):
            raise InputError("market data need at least one coin, each once")
        self.coins, self.timeframe = coins, timeframe
        self.failure: BaseException | None = None
        self._rest, self._once, self._clock = rest, rest.once(), clock
        self._interval = interval_of(timeframe)
        self._start, self._stored = start, dict(stored or {})
        self._options = options or BarOptions()
        wanted = [candle(coin, self._interval) for coin in coins]
        # Trades tell a replay's time, and that a market is alive although its candle is silent.
        wanted += [Subscription("trades", coin=coin) for coin in coins]
        self._socket = Socket(rest.transport.endpoint, wanted, socket_options, "market data")
        self._barrier = Barrier(coins)
        self._builders: dict[str, BarBuilder] = {}
        self._questions: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._pacing = Pacing(self._options.again_s)
        self._audits: dict[str, float] = {}  # when a coin's newest bar is to be compared
        self._awaited: frozenset[str] = frozenset()
        self._jumped: set[str] = set()  # coins of which a candle too far ahead was told
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for work, name in ((self._work, "bars"), (self._ask, "bars by REST"))
        ]
        self._groups: deque[LiveGroup] = deque()
        self._news = threading.Condition()
        self._nudged = False
        self._connection = 0  # its number while it stands
        self._flat = self._gaps = self._unread = self._last_bar = 0
        self.revised: list[Revision] = []

    # --- the life of it -------------------------------------------------------------------------

    def start(self, patience_s: float = 60.0) -> None:
        """Listen, load the history, and begin; returns when all history is there to be read.

        Raises:
            InputError: an unknown coin. DataError: not enough history.
            NetworkError, ExchangeError: the venue does not answer, or its socket does not.
        """
        universe = self._rest.universe()
        for coin in self.coins:
            universe.tradable(coin)  # the venue closes the socket without a word for others
        # First the stream, then the history: nothing can fall between the two.
        self._socket.start()
        try:
            early = self._until_connected(patience_s)
            self._load()
        except BaseException:
            self._socket.stop()
            raise
        for message in early:
            self._take(message)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End threads and connection."""
        self._ending.set()
        self._questions.put(None)
        self._socket.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5.0)
        with self._news:
            self._news.notify_all()

    @property
    def over(self) -> bool:
        """Whether no more bars will come: stopped, or failed (`failure` says why)."""
        return self._ending.is_set() or self.failure is not None

    @property
    def connected(self) -> bool:
        """Whether the stream stands and what was missed is being read."""
        return self._connection > 0

    def health(self) -> DataHealth:
        """Return the figures of now."""
        return DataHealth(
            self.connected, self._last_bar, self._awaited, self._flat,
            len(self.revised), self._gaps, self._unread,
        )  # fmt: skip

    # --- what readers take ----------------------------------------------------------------------

    def ready(self) -> bool:
        """Tell whether a group can be taken without waiting."""
        return bool(self._groups)

    def take(self, wait_s: float) -> LiveGroup | None:
        """Return the next group, waiting up to *wait_s* for it; None when there is none."""
        with self._news:
            if not (self._groups or self._nudged or self.over) and wait_s > 0:
                self._news.wait(wait_s)
            self._nudged = False
            return self._groups.popleft() if self._groups else None

    @property
    def waiting(self) -> int:
        """How many groups can be taken without waiting."""
        return len(self._groups)

    @property
    def last_bar(self) -> int:
        """Open of the newest bar that was handed out, ms."""
        return self._last_bar

    @property
    def fresh(self) -> bool:
        """Whether that bar is new enough to trade on."""
        return self._last_bar >= self._oldest()

    def _oldest(self) -> int:
        return self._clock.now() - self._options.fresh_ms - self.timeframe.ms

    def nudge(self) -> None:
        """Let whoever waits for a group, now or next, look for other news at once."""
        with self._news:
            self._nudged = True
            self._news.notify_all()

    # --- history --------------------------------------------------------------------------------

    def _until_connected(self, patience_s: float) -> list[Message]:
        """Return what the socket said up to its first connection."""
        deadline = time.monotonic() + patience_s
        said: list[Message] = []
        last = "no connection"
        while (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                message = self._socket.messages.get(timeout=min(left, 0.5))
                said.append(message)
                if isinstance(message, Connected):
                    return said
                if isinstance(message, Disconnected):
                    last = message.reason
        raise NetworkError(f"the exchange's WebSocket does not answer: {last}")

    def _load(self) -> None:
        now = self._market_now()
        for coin in self.coins:
            history = load_history(
                self._rest, coin, self.timeframe, self._start, now, self._stored.get(coin)
            )
            self._flat += history.flat
            for bar in history.bars:
                self._barrier.add(bar)
            self._builders[coin] = BarBuilder(
                coin, self._interval, self.timeframe.ms, history.bars[-1]
            )
        self._publish(self._barrier.release(), live=False)

    def _market_now(self) -> int:
        """Return the market's time; a replay that has shown no trade yet tells it by its book."""
        self._clock.saw(self._rest.book_time(self.coins[0]))
        return self._clock.now()

    # --- the thread of bars ---------------------------------------------------------------------

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run *work*; a thread that ends by an error ends the data, not only itself."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever reads
            self.failure = error
            with self._news:
                self._news.notify_all()

    def _work(self) -> None:
        while not self._ending.is_set():
            if not self._socket.alive:
                raise IntegrityError("the thread of the market data's socket has ended")
            with suppress(queue.Empty):
                self._take(self._socket.messages.get(timeout=_TICK_S))
            with suppress(queue.Empty):
                while True:
                    self._learn(self._answers.get_nowait())
            self._look()
            self._publish(self._barrier.release(), live=self.connected)

    def _take(self, message: Message) -> None:
        if isinstance(message, Connected):
            self._connection = message.number
            self._pacing.lift()
        elif isinstance(message, Disconnected):
            self._gaps += self.connected
            self._connection = 0
            for builder in self._builders.values():
                builder.broken()
        else:
            try:
                self._see(message)
            except FtbtError:
                self._distrust()

    def _distrust(self) -> None:
        """Take no bar from the stream before REST has told it: what came can't be true."""
        self._unread += 1
        for builder in self._builders.values():
            builder.broken()

    def _see(self, frame: Frame) -> None:
        if frame.channel == "trades":
            self._see_trades(frame)
        elif frame.channel == "candle":
            self._see_candle(frame)

    def _see_trades(self, frame: Frame) -> None:
        trades = Node(frame.data, "trades").items()
        newest = max((trade.whole("time") for trade in trades), default=0)
        if newest < max(b.next_open for b in self._builders.values()) + 2 * self.timeframe.ms:
            self._clock.saw(newest)
        elif newest > self._clock.now():
            self._jumped.update(self._builders)  # REST has to say first what time it is

    def _see_candle(self, frame: Frame) -> None:
        row = Row.read(Node(frame.data, "candle"))
        builder = self._builders.get(row.coin)
        if builder is None or row.interval != self._interval:
            return
        if row.opened > builder.next_open + self.timeframe.ms:
            # Bars are missing before it, or its time is wrong: REST knows which.
            builder.broken()
            self._jumped.add(row.coin)
            return
        self._clock.saw(row.opened)  # what has begun is not in the future
        for bar in builder.frame(row, frame.received):
            self._barrier.add(bar)
            if self._options.audit:
                self._audits.setdefault(row.coin, time.monotonic() + self._options.audit_s)

    def _learn(self, answer: _Answer) -> None:
        coin = answer.coin
        self._pacing.answered(coin, time.monotonic(), usable=answer.rows is not None)
        if answer.rows is None:
            self._unread += 1  # proves nothing; it is asked again when due
            return
        if answer.checked:
            self._jumped.discard(coin)
        try:
            self._take_rows(coin, answer, answer.rows)
        except FtbtError:
            self._distrust()

    def _take_rows(self, coin: str, answer: _Answer, rows: tuple[Row, ...]) -> None:
        builder = self._builders[coin]
        # What has begun is not in the future: after an outage this tells how old bars are.
        self._clock.saw(max((row.opened for row in rows), default=0))
        self.revised += builder.revisions(rows, answer.asked_at)
        unbroken = self.connected and answer.connection == self._connection
        for bar in builder.rows(rows, answer.asked_at, time.monotonic(), unbroken=unbroken):
            self._flat += bar.source is Source.FLAT
            self._barrier.add(bar)

    def _look(self) -> None:
        """Ask REST for what the stream does not tell, and whether it told the truth."""
        now, moment = self._clock.now(), time.monotonic()
        due = [c for c, b in self._builders.items() if b.due(now, self._options.grace_ms)]
        due += [coin for coin in self._jumped if coin not in due]
        self._awaited = frozenset(due)
        for coin in self.coins:
            audit = moment >= self._audits.get(coin, math.inf)
            if (audit or coin in self._awaited) and self._pacing.may_ask(coin, moment):
                self._audits.pop(coin, None)
                self._questions.put(coin)

    def _publish(self, groups: list[Group], *, live: bool) -> None:
        if not groups:
            return
        oldest = self._oldest()
        made = [LiveGroup(group, live and group.opened >= oldest) for group in groups]
        self._last_bar = groups[-1].opened
        with self._news:
            self._groups.extend(made)
            self._news.notify_all()

    # --- the thread of questions ----------------------------------------------------------------

    def _ask(self) -> None:
        while not self._ending.is_set():
            with suppress(FtbtError):
                self._clock.refresh()
            with suppress(queue.Empty):
                coin = self._questions.get(timeout=_REFRESH_S)
                if coin is not None:
                    self._answers.put(self._read(coin))

    def _read(self, coin: str) -> _Answer:
        builder, connection = self._builders[coin], self._connection
        asked_at = self._clock.now()
        rows: tuple[Row, ...] | None = None
        checked = False
        with suppress(FtbtError):
            checked = coin in self._jumped
            if checked:  # a replay may really be further than any frame has told
                self._clock.saw(self._once.book_time(coin))
                asked_at = self._clock.now()
            begin = min(builder.next_open, asked_at) - 2 * self.timeframe.ms
            rows = self._once.candles(coin, self._interval, begin, asked_at)
        return _Answer(coin, asked_at, connection, rows, checked)
