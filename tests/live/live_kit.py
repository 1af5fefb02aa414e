"""A live session over a stepped local exchange: what tests of sessions have in common.

The market stands at 100 in every bar of its data; a test moves the price by hand. Market time
stands still between steps, so what must happen is waited for, however busy the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from eth_account import Account
from planned import Planned

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.result import Kind, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Market, instrument_for
from ftbt.data.retry import Retry
from ftbt.data.timeframe import Timeframe, from_ms
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.market_data import BarOptions
from ftbt.hyperliquid.network import Mode, Network, endpoint
from ftbt.hyperliquid.records import Fill
from ftbt.hyperliquid.resolving import Patience
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sockets import SocketOptions
from ftbt.hyperliquid.transport import Timeouts, Transport
from ftbt.live.config import LiveConfig
from ftbt.live.journal import read_journal
from ftbt.live.legs import Leg, Stage
from ftbt.live.protection import unprotected_bound
from ftbt.live.runner import LiveRun
from ftbt.live.status import Status as Seen
from ftbt.localnet.options import Options
from ftbt.localnet.process import Key, Localnet, localnet, named_key

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
QUARTER = Timeframe.parse("15m")
HISTORY = 40
PRICE = 100.0
DEPTH = 250_000
PATIENCE_S = 60.0
QUICK = Timeouts(connect=2.0, read=1.5, turn=5.0)
HURRIED = Patience(poll_s=0.05, grace_s=0.4, least_looks=3, longest_s=20.0)
SOCKETS = SocketOptions(
    connect_s=20.0, acknowledge_s=5.0, ping_s=0.5, silence_s=2.0,
    back_off=Retry(base_s=0.05, cap_s=0.2),
)  # fmt: skip
SETTINGS = Settings(half_spread=0.0001, slippage_atr=0.0)
COIN = "SOL"
BOUND_S = unprotected_bound(QUICK, HURRIED)


def flat_market(coin: str = COIN, bars: int = 3000, price: float = PRICE) -> Market:
    """Return a market that stands still."""
    opens = START + QUARTER.ms * np.arange(bars, dtype=np.int64)
    column = np.full(bars, price)
    rows = make_bars(opens, column, column, column, column, np.full(bars, 1000.0))
    return Market(Candles(coin, QUARTER, rows), instrument_for(coin))


def flat_net(**more: Any) -> Any:
    """Return the context of a local exchange over the flat market, standing still."""
    begin = from_ms(START + HISTORY * QUARTER.ms).isoformat()
    asked = Options(
        symbols=(COIN,), paused=True, limits=False, settings=SETTINGS, begin=begin, **more
    )
    return localnet(asked, [flat_market()])


def new_account(net: Localnet, name: str, usd: float = 10_000) -> tuple[Key, Key]:
    """Return a funded account and its approved agent."""
    user, agent = named_key(name), named_key(f"{name} agent")
    net.fund(user.address, usd)
    net.control("/agent", {"user": user.address, "agent": agent.address, "name": "ftbt"})
    return user, agent


def config_for(
    where: tuple[str, str, str], state: Path, sleeve: Sleeve, warm_from: int, **more: Any
) -> LiveConfig:
    """Return what a session over the flat market is to do; *where*: URL, account, agent's key."""
    url, user, secret = where
    usual: dict[str, Any] = {
        "bar_options": BarOptions(grace_ms=0, fresh_ms=QUARTER.ms // 2, again_s=0.02),
        "socket_options": SOCKETS, "request_margin": 1000.0, "every_s": 2.0,
        "timeouts": QUICK, "patience": HURRIED, "warm_from": warm_from,
    }  # fmt: skip
    return LiveConfig(
        endpoint(Network.LOCALNET, Mode.PAPER, local_url=url),
        AgentKey(Account.from_key(secret)), user, "test", (sleeve,), (COIN,), QUARTER,
        more.pop("settings", SETTINGS), state, **{**usual, **more},
    )  # fmt: skip


def sleeve_of(
    plan: Mapping[int, Mapping[str, float]],
    parameters: Mapping[str, Any],
    strategy: type[Any] = Planned,
) -> Sleeve:
    """Return a strategy that follows *plan*."""
    return Sleeve(type(strategy.__name__, (strategy,), {"plan": plan}), dict(parameters))


def until(is_so: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Return what *is_so* returns once it is true; fail with *what* when it does not become so."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds:.0f} s: {what}")
        time.sleep(0.005)
    return found


def setup(side: int = 1, **fields: float) -> dict[str, float]:
    """Return a setup: market entry, stop 5 away, targets 5 and 10 away; *fields* replace."""
    usual = {
        "side": side, "kind": 1, "stop": PRICE - 5 * side, "target1": PRICE + 5 * side,
        "target2": PRICE + 10 * side,
    }  # fmt: skip
    return {**usual, **fields}


@dataclass
class Scene:
    """One session on an account of its own, run in a thread.

    Attributes:
        seen: newest status, of `turns`.
        bare: longest time without a stop that was meant to be there, seconds.
        foreign: part of the exchange's position that a test took by hand.
    """

    net: Localnet
    state: Path
    account: tuple[Key, Key]
    strategy: type[Any] = Planned
    parameters: Mapping[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    seen: Seen | None = None
    bare: float = 0.0
    turns: int = 0
    foreign: float = 0.0

    def __post_init__(self) -> None:
        self.plan: dict[int, dict[str, float]] = {}
        self.run: LiveRun | None = None
        self.ended: list[Any] = []
        self.rest = Rest(
            Transport(
                endpoint(Network.LOCALNET, Mode.PAPER, local_url=self.net.url), Budget(1000.0)
            )
        )

    # --- the session ------------------------------------------------------------------------------

    @property
    def user(self) -> str:
        """Address of the account."""
        return self.account[0].address

    @property
    def broker(self) -> Any:
        """The broker of the session."""
        assert self.run is not None
        return self.run.broker

    @property
    def book(self) -> Any:
        """The book of the coin."""
        return self.broker.coins[COIN]

    def start(self) -> None:
        """Start the session and wait until it may trade."""
        sleeve = sleeve_of(self.plan, self.parameters, self.strategy)
        begin = self.net.market_time() // QUARTER.ms * QUARTER.ms - 20 * QUARTER.ms
        where = (self.net.url, self.user, self.account[1].secret)
        config = config_for(where, self.state, sleeve, begin, **self.more)
        self.seen, self.ended = None, []
        self.run = LiveRun(config, show=self._show)
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()
        until(lambda: self.seen is not None or self.ended, "the session begins")
        self.raise_end()

    def _go(self) -> None:
        assert self.run is not None
        try:
            self.ended.append(self.run.run())
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            self.ended.append(error)

    def _show(self, status: Seen) -> None:
        self.seen = status
        self.turns += 1
        self.bare = max([self.bare, *status.unprotected.values()])

    def raise_end(self) -> None:
        """Raise what ended the session, if something did."""
        for one in self.ended:
            if isinstance(one, BaseException):
                raise one

    def die(self) -> None:
        """End the session without a word: its orders stay as they are."""
        assert self.run is not None
        self.run.data.failure = ConnectionError("died")
        self.run.data.nudge()
        self._thread.join(PATIENCE_S)
        assert isinstance(self.ended.pop(), ConnectionError)

    def again(self) -> None:
        """Start a session anew on what the one before has left."""
        self.start()
        self.quiet()

    def stop(self) -> None:
        """End the session and wait for it."""
        if self.run is not None and not self.ended:
            self.run.stop()
            self._thread.join(PATIENCE_S)
        self.rest.transport.close()
        # The next test's account shares the market with what this one would leave.
        self.net.control("/orders/cancel", {"user": self.user})
        if self.position():
            self.net.control("/position/deleverage", {"user": self.user, "coin": COIN})
        self.raise_end()
        assert self.ended or self.run is None, "the session did not end"

    # --- the market -------------------------------------------------------------------------------

    def ask(self, side: int = 1, **fields: float) -> None:
        """Have the strategy see a setup at the close of the bar that is on."""
        self.plan[self.net.market_time() // QUARTER.ms * QUARTER.ms] = setup(side, **fields)

    def leave(self, side: int = 1) -> None:
        """Have the idea of a position end at the close of the bar that is on."""
        name = "exit_long" if side > 0 else "exit_short"
        self.plan[self.net.market_time() // QUARTER.ms * QUARTER.ms] = {name: 1}

    def bars(self, count: int = 1, *, settle: bool = True) -> None:
        """Let bars pass; each is decided on before the next."""
        for _ in range(count):
            self.net.step(1)
            self.until_decided()
            if settle:
                self.quiet()

    def until_decided(self) -> None:
        """Wait until the newest closed bar is decided on."""
        closed = (self.net.market_time() // QUARTER.ms - 1) * QUARTER.ms

        def decided() -> bool:
            self.raise_end()
            return self.seen is not None and self.seen.bar_ms >= closed

        until(decided, f"bar {closed} is decided on")

    def price(self, price: float, *, settle: bool = True) -> None:
        """Let the market jump."""
        self.net.control("/market/price", {"coin": COIN, "price": price})
        if settle:
            self.quiet()

    def enter(self, side: int = 1, **fields: float) -> None:
        """Have a setup at the close of this bar, and wait for what comes of it."""
        self.ask(side, **fields)
        self.bars()

    # --- what there is ----------------------------------------------------------------------------

    def quiet(self, seconds: float = PATIENCE_S) -> None:
        """Wait until everything is told and everything that is meant stands."""

        def settled() -> bool:
            if not self._is_quiet():
                return False
            turns = self.turns
            self.run.data.nudge()
            until(lambda: self.turns > turns or self.ended, "another turn")
            return self._is_quiet()

        try:
            until(settled, "the session is quiet", seconds)
        except AssertionError as error:
            legs = [str(x) for x in self.broker.legs.all_alive()]
            raise AssertionError(
                f"{error}\n{self.seen}\nthere {self.position()}, here {self.book.size}\n"
                f"{legs}\n{self.book.active}\n{self.orders()}\n{self.events()[-30:]}"
            ) from None

    def _is_quiet(self) -> bool:
        self.raise_end()
        seen = self.seen
        # What is told after the end waits for the next process.
        if seen is None or (seen.busy and not seen.over) or not seen.connected:
            return False
        return abs(self.position() - self.foreign - self.book.size) < 1e-9 and self.stands()

    def stands(self) -> bool:
        """Tell whether each order that waits stands on the exchange."""
        legs = self.broker.legs
        for working in list(self.book.active):
            kinds = {leg.kind for leg in legs.of(working) if leg.stage is Stage.LIVE}
            if working.status != Status.OPEN or not working.active or working.kind == Kind.CLOSE:
                continue
            if working.role == Role.STOP and not kinds & {Leg.STOP, Leg.GUARD}:
                return False
            given_up = working.number in self.broker.sync.given_up
            if working.role in (Role.TARGET1, Role.TARGET2) and not (kinds or given_up):
                return False
            if working.role in (Role.ENTRY, Role.EXIT) and not kinds:
                return False
        return True

    def position(self) -> float:
        """Return the signed position on the exchange."""
        found = self.net.state()["accounts"].get(self.user, {"positions": {}})["positions"]
        return float(found.get(COIN, 0))

    def orders(self) -> list[dict[str, Any]]:
        """Return the orders of the account that stand on the exchange."""
        found: list[dict[str, Any]] = self.net.state()["orders"].get(self.user, [])
        return found

    def fills(self) -> tuple[Fill, ...]:
        """Return all fills that the exchange knows of."""
        return self.rest.fills(self.user, 0)

    def events(self, *kinds: str) -> list[Any]:
        """Return the journal's events of some kinds."""
        with read_journal(self.state / "journal.db") as journal:
            return list(journal.events(kinds=kinds or None))

    def strike(self, name: str, **spec: Any) -> None:
        """Queue a fault."""
        self.net.fault(name, **spec)

    # --- what must hold ---------------------------------------------------------------------------

    def check(self, *, foreign: bool = False) -> None:
        """Assert what must hold after everything."""
        self.quiet()
        state = self.net.state()
        assert state["balanced"]
        fills = self.fills()
        self._check_entries(fills)
        if not foreign:  # what others trade costs money as well
            self._check_money(state["accounts"][self.user])
            self._check_journal(fills)
        if not self.position():
            assert not [o for o in self.orders() if o["reduceOnly"]], "left over when flat"
        if not self.book.active:
            assert not self.orders()

    def _check_money(self, account: Mapping[str, Any]) -> None:
        mark = float(self.net.state()["marks"][COIN])
        ours = self.broker.desk.cash + self.book.profit(mark)
        assert abs(ours - float(account["equity"])) < 0.005

    def _check_entries(self, fills: tuple[Fill, ...]) -> None:
        """Assert that no entry has filled more than it was meant to."""
        for working in self.broker.desk.orders:
            assert working.filled <= working.size + 1e-9
        keys = [fill.key for fill in fills]
        assert len(set(keys)) == len(keys)

    def _check_journal(self, fills: tuple[Fill, ...]) -> None:
        """Assert that the journal has every fill once, and comes to the same as the books."""
        told = [event.body for event in self.events("fill")]
        assert sorted(body["tid"] for body in told) == sorted(fill.tid for fill in fills)
        orders = {event.body["number"]: event.body for event in self.events("order")}
        size = sum(orders[body["order"]]["side"] * body["size"] for body in told)
        assert abs(size - self.book.size) < 1e-9
        ended = {event.body["order"] for event in self.events("end")}
        filled = {body["order"] for body in told}
        open_ones = {w.number for w in self.book.active}
        assert set(orders) == ended | filled | open_ones
        trades = self.events("trade")
        assert len(trades) >= len(self.broker.desk.trades)


def decimal(value: Any) -> Decimal:
    """Return *value* as a decimal."""
    return Decimal(str(value))
