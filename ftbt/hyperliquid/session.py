"""The start of a session: everything that must be known before the first order, checked aloud.

Each check is told when it is done, so that a reader sees what was verified and what stopped the
start. A read that fails stops it as well: what is not known is not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from ftbt.errors import ConfigError, FtbtError, IntegrityError
from ftbt.hyperliquid.agents import Approval, check_agent
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.clock import MarketClock, ReplayClock, VenueClock
from ftbt.hyperliquid.journal import Journal
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.network import Endpoint
from ftbt.hyperliquid.nonces import Nonces
from ftbt.hyperliquid.orders import CloidMaker
from ftbt.hyperliquid.records import AccountState, Asset, OpenOrder, Universe
from ftbt.hyperliquid.resolving import Patience, Resolver
from ftbt.hyperliquid.rest import Equity, Rest
from ftbt.hyperliquid.sending import Sender
from ftbt.hyperliquid.transport import Timeouts, Transport

_STANDARD = ("default", "disabled", "dexAbstraction")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist.

    Attributes:
        name: what was looked at.
        text: what was found, or why it stopped the start.
        passed: False for the one that stopped it.
        warning: passed, but somebody should know.
    """

    name: str
    text: str
    passed: bool = True
    warning: bool = False


@contextmanager
def told(tell: Callable[[Check], None], name: str) -> Iterator[list[str]]:
    """Yield where to put what was found; tell the check when the block is left, also failing."""
    found: list[str] = []
    try:
        yield found
    except FtbtError as error:
        tell(Check(name, str(error), passed=False))
        raise
    tell(Check(name, "; ".join(found)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a session is to be.

    Attributes:
        account: address that holds the money, lower case.
        coins: what is to be traded.
        leverage: by coin, as far as the exchange offers it; None leaves it as it is there.
        cross: cross margin, where the coin takes it.
        deployment: name of what runs; client order ids begin with it.
        epoch: of its journal, see `CloidMaker`.
    """

    account: str
    coins: tuple[str, ...]
    deployment: str
    leverage: Mapping[str, int] | None = None
    cross: bool = True
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A verified connection to trade with.

    Attributes:
        clock: the venue's wall clock, for expiries; `market_clock` that by which bars close.
        state, orders, equity: what the account held at the start; orders by hand included.
        foreign: those of *orders* that are not of this deployment; they are never touched.
        checks: what was verified, in order.
    """

    endpoint: Endpoint
    transport: Transport
    rest: Rest
    clock: VenueClock
    market_clock: MarketClock
    approval: Approval
    sender: Sender
    resolver: Resolver
    universe: Universe
    cloids: CloidMaker
    state: AccountState
    orders: tuple[OpenOrder, ...]
    equity: Equity
    checks: tuple[Check, ...] = field(repr=False)

    @property
    def foreign(self) -> tuple[OpenOrder, ...]:
        """Open orders that this deployment did not send."""
        return tuple(order for order in self.orders if not self.cloids.owns(order.cloid))

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()


class Opening:
    """Opens sessions and tells each check.

    Args:
        endpoint: where.
        key: the agent's.
        journal: of what is sent; its open questions are settled first.
        folder: where nonces are kept; None is the usual place.
        tell: called with each check when it is done.
        timeouts, patience: of requests and of settling.
        budget: of requests; None is the venue's, with our margin.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        key: AgentKey,
        journal: Journal,
        folder: Path | None = None,
        tell: Callable[[Check], None] = lambda _: None,
        timeouts: Timeouts | None = None,
        patience: Patience | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._endpoint, self._key, self._journal = endpoint, key, journal
        self._folder, self._tell, self._patience = folder, tell, patience
        self._transport = Transport(endpoint, budget or Budget(), timeouts)
        self._rest = Rest(self._transport)
        self._checks: list[Check] = []

    def open(self, wanted: Wanted) -> Session:
        """Return the session, or stop at the first check that fails.

        Raises:
            FtbtError: as told by that check. Nothing was sent but what had to be settled or set.
        """
        try:
            return self._open(wanted)
        except BaseException:
            self._transport.close()
            raise

    def _open(self, wanted: Wanted) -> Session:
        rest, account = self._rest, wanted.account
        clock = self._check_clock()
        universe = self._check_markets(wanted.coins)
        mode = self._check_mode(account)
        approval = self._check_agent(account, clock)
        self._check_requests(account)
        nonces = Nonces(self._key.address, self._endpoint.network, self._folder, clock.wall)
        sender = Sender(
            self._transport, self._key, approval, nonces, self._journal, clock.wall, clock.doubt
        )
        resolver = Resolver(sender, rest, self._patience)
        self._settle(resolver)
        cloids = CloidMaker(wanted.deployment, wanted.epoch)
        state, orders = self._read_account(account, cloids, wanted.coins)
        equity = self._check_equity(account, mode, state)
        self._check_leverage(wanted, sender, universe, state)
        market_clock = ReplayClock() if self._endpoint.is_local else clock
        return Session(
            self._endpoint, self._transport, rest, clock, market_clock, approval, sender,
            resolver, universe, cloids, state, orders, equity, tuple(self._checks),
        )  # fmt: skip

    # --- the checks -------------------------------------------------------------------------

    def _step(self, name: str) -> AbstractContextManager[list[str]]:
        return told(self._note, name)

    def _note(self, check: Check) -> None:
        self._checks.append(check)
        self._tell(check)

    def _warn(self, name: str, text: str) -> None:
        self._note(Check(name, text, warning=True))

    def _check_clock(self) -> VenueClock:
        with self._step("exchange") as found:
            clock = VenueClock(self._rest)
            clock.synchronise()
            where = f"{self._endpoint.network} at {self._endpoint.url} answers"
            found += [where, f"our clock is {clock.skew_ms:+d} ms off"]
        return clock

    def _check_markets(self, coins: tuple[str, ...]) -> Universe:
        with self._step("markets") as found:
            universe = self._rest.universe()
            for coin in coins:
                asset = universe.tradable(coin)
                found.append(f"{coin}: lot 1e-{asset.size_decimals}, up to {asset.max_leverage}x")
        return universe

    def _check_mode(self, account: str) -> str:
        with self._step("account") as found:
            mode = self._rest.account_mode(account)
            if mode == "portfolioMargin":
                raise ConfigError(
                    "the account uses portfolio margin, whose limits ftbt does not know: set it to"
                    " standard or unified on the website, or take a sub-account"
                )
            if mode not in (*_STANDARD, "unifiedAccount"):
                raise ConfigError(
                    f"the account is of a kind that ftbt does not know: {mode!r}; a newer ftbt may"
                )
            found.append(f"{account} ({mode})")
        return mode

    def _check_agent(self, account: str, clock: VenueClock) -> Approval:
        with self._step("agent") as found:
            now = clock.now()
            approval = check_agent(self._rest, self._key, account, now)
            named = "the unnamed one" if approval.name is None else repr(approval.name)
            found.append(f"{self._key.address} is approved ({named}) and can't withdraw")
        warning = approval.warning(now)
        if warning is not None:
            self._warn("agent", warning)
        return approval

    def _check_requests(self, account: str) -> None:
        with self._step("requests") as found:
            budget = self._rest.request_budget(account)
            left = budget.allowed - budget.used
            self._transport.budget.account_has(left)
            found.append(f"{left:,} of {budget.allowed:,} actions left")

    def _settle(self, resolver: Resolver) -> None:
        with self._step("journal") as found:
            settled = resolver.recover()
            for sent, outcomes in settled:
                states = ", ".join(outcome.state for outcome in outcomes) or "settled"
                found.append(f"{sent.why}: {states}")
            found += [] if settled else ["nothing is open from an earlier session"]

    def _read_account(
        self, account: str, cloids: CloidMaker, coins: tuple[str, ...]
    ) -> tuple[AccountState, tuple[OpenOrder, ...]]:
        with self._step("positions and orders") as found:
            state = self._rest.account(account)
            orders = self._rest.open_orders(account)
            held = [f"{one.size:+f} {coin}" for coin, one in state.positions.items()]
            own = sum(cloids.owns(order.cloid) for order in orders)
            found += [", ".join(held) or "flat", f"{own} open orders of this deployment"]
        others = [one for one in orders if not cloids.owns(one.cloid)]
        if others:
            where = ", ".join(sorted({one.coin for one in others}))
            self._warn(
                "orders", f"{len(others)} open orders are not ours ({where}): they stay as they are"
            )
        strange = sorted(state.positions.keys() - set(coins))
        if strange:
            self._warn("positions", f"{', '.join(strange)} will not be touched, but use margin")
        return state, orders

    def _check_equity(self, account: str, mode: str, state: AccountState) -> Equity:
        with self._step("equity") as found:
            equity = self._rest.equity(account, mode, state)
            if equity.value <= 0:
                raise ConfigError(
                    f"the account {account} is worth ${equity.value:f}: deposit first"
                    + (" (play money is free on testnet's website)" * self._is_test())
                )
            found.append(f"${_money(equity.value)}, ${_money(equity.free)} of it free")
        return equity

    def _is_test(self) -> bool:
        return not self._endpoint.is_mainnet

    def _check_leverage(
        self, wanted: Wanted, sender: Sender, universe: Universe, state: AccountState
    ) -> None:
        if wanted.leverage is None:
            return
        with self._step("leverage") as found:
            for coin, asked in wanted.leverage.items():
                asset = universe.tradable(coin)
                leverage = min(asked, asset.max_leverage)
                cross = wanted.cross and not asset.only_isolated
                self._set_leverage(sender, asset, (leverage, cross), coin in state.positions)
                found.append(f"{coin} {leverage}x {'cross' if cross else 'isolated'}")

    def _set_leverage(
        self, sender: Sender, asset: Asset, wanted: tuple[int, bool], held: bool
    ) -> None:
        """Set leverage and margin where they differ, and see that it was done."""
        coin = asset.coin
        now = self._rest.leverage(sender.account, coin)
        if now == wanted:
            return
        if held:
            raise ConfigError(
                f"{coin} is held with {_margin(now)}, wanted is {_margin(wanted)}: close the"
                " position first, or ask for what it has"
            )
        sender.set_leverage(asset, wanted[0], cross=wanted[1])
        now = self._rest.leverage(sender.account, coin)
        if now != wanted:
            raise IntegrityError(f"{coin}: {_margin(wanted)} was set, but it is {_margin(now)}")


def _margin(wanted: tuple[int, bool]) -> str:
    return f"{wanted[0]}x {'cross' if wanted[1] else 'isolated'}"


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"
