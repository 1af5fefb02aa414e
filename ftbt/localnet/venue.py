"""The exchange itself: a pure, deterministic state machine of candles and actions.

Time moves only in `advance`; nothing here knows a wall clock, a socket or a signature. After
each call `drain` returns what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ftbt.localnet import rules
from ftbt.localnet.core import Behaviour, Core, Event
from ftbt.localnet.groups import Groups
from ftbt.localnet.liquidation import Liquidation
from ftbt.localnet.market import CoinMarket
from ftbt.localnet.matching import Matching
from ftbt.localnet.numbers import ZERO, wire
from ftbt.localnet.orders import Order
from ftbt.localnet.path import Step
from ftbt.localnet.placing import Placing
from ftbt.localnet.walking import Walking

_OPEN, _FUNDING = 0, 1
_FUNDING_STAMP_MS = 15
_FUNDING_SPREAD_MS = 36


class Venue:
    """One exchange with its markets and accounts."""

    def __init__(self, markets: Iterable[CoinMarket], behaviour: Behaviour | None = None) -> None:
        self.core = Core(markets, behaviour or Behaviour())
        self.groups = Groups(self.core)
        self.matching = Matching(self.core, self.groups)
        self.liquidation = Liquidation(self.core, self.matching)
        self.walking = Walking(self.core, self.matching, self.liquidation)
        self.placing = Placing(self.core, self.groups, self.matching)
        self.core.time = max(m.time for m in self.core.markets.values())
        self.halted: set[str] = set()

    @property
    def time(self) -> int:
        """Market time, ms."""
        return self.core.time

    @property
    def decision_ms(self) -> int:
        """Length of the candles that strategies decide on: the shortest of all coins."""
        return min(m.decision_ms for m in self.core.markets.values())

    def drain(self) -> list[Event]:
        """Return what happened since the last call."""
        return self.core.drain()

    # --- time -----------------------------------------------------------------------------------

    def start_at(self, time: int) -> None:
        """Begin the replay at *time* (ms): what lies before is history."""
        for coin, market in self.core.markets.items():
            market.start_at(time)
            self.core.marks[coin] = market.price
        self.core.time = time - 1
        for coin in self.core.markets:
            self.core.quote(coin)

    def next_time(self) -> int | None:
        """Return when something happens next; None when the candles have ended."""
        event = self._next()
        return None if event is None else event[0]

    def next_bar(self, bars: int = 1) -> int:
        """Return the open (ms) of the *bars*-th decision bar from now on."""
        return (self.core.time // self.decision_ms + bars) * self.decision_ms

    def advance_one(self, until: int) -> bool:
        """Let the next thing up to *until* (ms, inclusive) happen; False when there is none."""
        event = self._next()
        if event is None or event[0] > until:
            return False
        self._happen(*event)
        return True

    def reach(self, until: int) -> None:
        """Set the time to *until* when nothing is left to happen before it."""
        if self.next_time() is not None:
            self.core.time = max(self.core.time, until)

    def advance(self, until: int, *, stop_on_fill: bool = False) -> str:
        """Let the market trade up to *until* (ms, inclusive).

        Returns:
            `time` when that time is reached, `fill` when an account's order has traded and
            *stop_on_fill* asked for it, `end` when the candles have ended.
        """
        before = self.core.trade_count
        while self.advance_one(until):
            if stop_on_fill and self.core.trade_count > before:
                return "fill"
        self.reach(until)
        return "end" if self.next_time() is None else "time"

    def _next(self) -> tuple[int, int, str] | None:
        found: list[tuple[int, int, int, str]] = []
        for number, (coin, market) in enumerate(self.core.markets.items()):
            moment = market.next_time
            if moment is None:
                continue
            found.append((moment, _OPEN, number, coin))
            due = market.funding_due()
            if due is not None:
                found.append((max(due, self.core.time), _FUNDING, number, coin))
        if not found:
            return None
        time, kind, _, coin = min(found)
        return time, kind, coin

    def _happen(self, time: int, kind: int, coin: str) -> None:
        self.core.time = max(self.core.time, time)
        if kind == _FUNDING:
            self._pay_funding(coin)
            return
        market = self.core.markets[coin]
        if market.opens_bar and self.core.behaviour.path == "pessimist":
            choice = self.walking.low_first(coin)
            if choice is not None:
                market.choose_path(low_first=choice)
        step = market.step()
        if step is None or coin in self.halted:
            return
        self.walking.walk(coin, step)
        self._print(coin, step)

    def _print(self, coin: str, step: Step) -> None:
        self.core.market_trade(coin, step)
        self.core.emit("step", coin, step.time)

    def _pay_funding(self, coin: str) -> None:
        core, market = self.core, self.core.markets[coin]
        due = market.funding_due()
        rate = market.take_funding()
        stamp = (
            (due or core.time)
            + _FUNDING_STAMP_MS
            + (core.by_coin[coin].index * 7 % _FUNDING_SPREAD_MS)
        )
        if rate:
            self.charge_funding(coin, rate, stamp)

    def charge_funding(self, coin: str, rate: Decimal, stamp: int) -> None:
        """Let every position in *coin* pay *rate*, as of *stamp* (ms)."""
        core = self.core
        for account in core.accounts.values():
            held = account.positions.get(coin)
            if held is None:
                continue
            size = held.size
            paid = account.pay_funding(coin, core.marks[coin], rate)
            entry = {
                "time": stamp,
                "coin": coin,
                "usdc": wire(-paid),
                "szi": wire(size),
                "fundingRate": wire(rate),
                "nSamples": None,
            }
            core.fundings[account.address].append(entry)
            core.emit("funding", account.address, entry)

    # --- orders -----------------------------------------------------------------------------------

    def cancel(self, user: str, coin: str, key: int | str) -> bool:
        """Cancel an order of *user* by number or client id; False when there is none live."""
        order = self.core.orders.find(user, key)
        if order is None or not order.is_live or order.coin != coin:
            return False
        self.groups.cancel(order, "canceled")
        return True

    def cancel_all(self, user: str, status: str) -> int:
        """End all orders of *user* with *status* and return how many."""
        orders = self.core.orders.live(user)
        for order in orders:
            self.groups.cancel(order, status)
        return len(orders)

    def find_live(self, user: str, key: int | str) -> Order | None:
        """Return the live order of *user* by number or client id."""
        order = self.core.orders.find(user, key)
        return order if order is not None and order.is_live else None

    def fill_by_market(self, order: Order, size: Decimal, price: Decimal | None = None) -> None:
        """Let the market trade with a resting order, at its own price unless one is given."""
        self.core.steps += 1
        at = order.price if price is None else price
        self.matching.serve(order, at, {at: size})

    # --- margin -----------------------------------------------------------------------------------

    def set_leverage(self, user: str, coin: str, *, is_cross: bool, leverage: int) -> str | None:
        """Set mode and leverage of what the account opens; return the refusal, None when done."""
        core, account = self.core, self.core.account(user)
        asset = core.by_coin[coin]
        if not 1 <= leverage <= asset.max_leverage:
            return "Invalid leverage value"
        if is_cross and asset.only_isolated:
            return "Cross margin is not allowed for this asset."
        held = account.positions.get(coin)
        if held is None:
            account.leverage[coin] = (is_cross, leverage)
            return None
        if held.is_cross != is_cross:
            return "Cannot switch leverage type with open position."
        needed = abs(held.size) * core.marks[coin] / leverage
        if leverage < held.leverage:
            if not is_cross and core.margin.used(held) < needed:
                return rules.ISOLATED_TOO_SMALL
            if is_cross and core.margin.free(account) + core.margin.used(held) < needed:
                return rules.CROSS_TOO_SMALL
        held.leverage = leverage
        account.leverage[coin] = (is_cross, leverage)
        return None

    def move_margin(self, user: str, coin: str, amount: Decimal) -> str | None:
        """Add *amount* to an isolated position, or take it when negative; return the refusal."""
        core, account = self.core, self.core.account(user)
        held = account.positions.get(coin)
        if held is None:
            return "Cannot update margin for empty position."
        if held.is_cross:
            return "Position does not use isolated margin."
        if not amount:
            return "Update to isolated margin cannot be zero."
        if amount > 0 and amount > core.margin.withdrawable(account):
            return "Account does not have sufficient margin available for increase."
        notional = abs(held.size) * core.marks[coin]
        least = max(notional / held.leverage, notional / 10)
        if amount < 0 and core.margin.used(held) + amount < least:
            return "Position does not have sufficient margin for reduction."
        account.cash -= amount
        held.raw_usd += amount
        return None

    def transfer(self, user: str, amount: Decimal, *, to_perp: bool) -> str | None:
        """Move USDC between the spot wallet and the perpetuals account."""
        core, account = self.core, self.core.account(user)
        available = account.spot if to_perp else core.margin.withdrawable(account)
        if amount <= 0 or amount > available:
            return "Insufficient balance for transfer."
        moved = amount if to_perp else -amount
        account.cash += moved
        account.spot -= moved
        delta = {"type": "accountClassTransfer", "usdc": wire(amount), "toPerp": to_perp}
        core.note_ledger(user, delta)
        return None

    def send(self, user: str, to: str, amount: Decimal) -> str | None:
        """Send USDC to another account of this exchange."""
        core, account = self.core, self.core.account(user)
        if amount <= ZERO or amount > core.margin.withdrawable(account):
            return "Insufficient balance for withdrawal."
        account.deposit(-amount)
        core.account(to).deposit(amount)
        delta = {
            "type": "internalTransfer",
            "usdc": wire(amount),
            "user": user,
            "destination": to,
            "fee": "0.0",
        }
        for one in (user, to):
            core.note_ledger(one, delta)
        return None

    def withdraw(self, user: str, amount: Decimal, fee: Decimal, nonce: int) -> str | None:
        """Pay USDC out of the exchange."""
        core, account = self.core, self.core.account(user)
        if amount <= fee or amount > core.margin.withdrawable(account):
            return "Insufficient balance for withdrawal."
        account.deposit(-amount)
        delta = {
            "type": "withdraw", "usdc": wire(amount - fee), "nonce": nonce, "fee": wire(fee),
        }  # fmt: skip
        core.note_ledger(user, delta)
        return None
