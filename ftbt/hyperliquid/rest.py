"""What the venue knows, as typed reads. A failed read raises; it never looks like nothing.

Reads that failed for the network are asked again with doubling, jittered waits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from ftbt.data.retry import Retry
from ftbt.errors import NetworkError
from ftbt.hyperliquid import sdk
from ftbt.hyperliquid.answers import Node
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.records import (
    ZERO,
    AccountState,
    Fill,
    Funding,
    OpenOrder,
    OrderReport,
    Row,
    Universe,
)
from ftbt.hyperliquid.transport import Transport

T = TypeVar("T")

_MOST_FILLS = 2000
_RETRY = Retry(attempts=4, base_s=0.5, cap_s=8.0)
_UNIFIED = ("unifiedAccount", "portfolioMargin")


@dataclass(frozen=True, slots=True)
class Equity:
    """What an account is worth and what of it is free.

    Attributes:
        value: equity in USDC.
        free: not tied up as margin or by orders.
        mode: the account's kind, as `userAbstraction` says.
    """

    value: Decimal
    free: Decimal
    mode: str


@dataclass(frozen=True, slots=True)
class RequestBudget:
    """Requests of an account: how many it used and may use."""

    used: int
    allowed: int


class Rest:
    """Typed reads of one venue.

    Args:
        transport: makes the requests.
        retry: how often a read is tried.
        sleep: waits seconds; replaced in tests.
    """

    def __init__(
        self,
        transport: Transport,
        retry: Retry = _RETRY,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.transport = transport
        self._retry, self._sleep = retry, sleep
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing
        bare: dict[str, Any] = {"universe": [], "tokens": []}
        # The SDK only needs the lists to number coins, which `Universe` does here.
        self._info = sdk.InfoRequests(transport.endpoint.url, _as_payload, bare, bare)

    def once(self) -> Rest:
        """Return the same reads with one try each, for who asks again in its own time."""
        return Rest(self.transport, replace(self._retry, attempts=1), self._sleep)

    # --- the market -------------------------------------------------------------------------

    def server_time(self) -> int:
        """Return the venue's time, ms."""
        return self._read({"type": "exchangeStatus"}).whole("time")

    def universe(self) -> Universe:
        """Return the perpetuals."""
        return Universe.read(self._read(self._info.meta()))

    def mids(self) -> dict[str, Decimal]:
        """Return the middle of the book by coin; coins without one are left out."""
        answer = self._read(self._info.all_mids(), Priority.TRADE)
        if not isinstance(answer.value, dict):
            raise answer.wrong("an object")
        return {coin: answer.number(coin) for coin in answer.value if answer.has(coin)}

    def book_time(self, coin: str) -> int:
        """Return the market's time by the book of *coin*, ms."""
        return self._read({"type": "l2Book", "coin": coin}, Priority.TRADE).whole("time")

    def candles(self, coin: str, interval: str, start: int, end: int) -> tuple[Row, ...]:
        """Return the candles that overlap [start, end] (ms), the forming one included."""
        wanted = {"coin": coin, "interval": interval, "startTime": start, "endTime": end}
        return self._read({"type": "candleSnapshot", "req": wanted}).each(Row.read)

    # --- the account ------------------------------------------------------------------------

    def account(self, user: str, priority: Priority = Priority.TRADE) -> AccountState:
        """Return positions and equity of the perpetuals account."""
        return AccountState.read(self._read(self._info.user_state(user), priority))

    def account_mode(self, user: str) -> str:
        """Return the kind of account: `default`, `disabled`, `unifiedAccount`, ..."""
        answer = self._read(self._info.query_user_abstraction_state(user))
        if not isinstance(answer.value, str):
            raise answer.wrong("a string")
        return answer.value

    def equity(self, user: str, mode: str, state: AccountState) -> Equity:
        """Return what *user* is worth; unified accounts keep their money on the spot side."""
        if mode not in _UNIFIED:
            return Equity(state.value, max(ZERO, state.value - state.margin_used), mode)
        balances = self._read(self._info.spot_user_state(user), Priority.TRADE).at("balances")
        for row in balances.items():
            if row.text("coin") == "USDC":
                profit = sum((p.unrealized for p in state.positions.values()), ZERO)
                total, hold = row.number("total"), row.number("hold")
                return Equity(total + profit, max(ZERO, total - hold), mode)
        return Equity(ZERO, ZERO, mode)

    def open_orders(self, user: str, priority: Priority = Priority.TRADE) -> tuple[OpenOrder, ...]:
        """Return all open orders, triggers and children of brackets included, each once."""
        answer = self._read(self._info.frontend_open_orders(user), priority)
        found = {order.oid: order for order in answer.each(OpenOrder.read)}
        return tuple(found.values())

    def order(
        self, user: str, which: int | str, priority: Priority = Priority.TRADE
    ) -> OrderReport | None:
        """Return the order with that oid or cloid; None when the venue does not know it.

        None is not "never placed": a fresh order may be unknown for a second, and old ones are
        forgotten.
        """
        request = (
            self._info.query_order_by_oid(user, which)
            if isinstance(which, int)
            else self._info.query_order_by_cloid(user, sdk.cloid(which))
        )
        answer = self._read(request, priority)
        status = answer.text("status")
        if status == "unknownOid":
            return None
        if status != "order":
            raise answer.at("status").wrong("'order' or 'unknownOid'")
        return OrderReport.read(answer.at("order"))

    def fills(
        self, user: str, since: int, until: int | None = None,
        priority: Priority = Priority.TRADE,
    ) -> tuple[Fill, ...]:  # fmt: skip
        """Return all fills from *since* on (ms, inclusive), oldest first, each once."""
        found: dict[tuple[int, str, int], Fill] = {}
        while True:
            request = self._info.user_fills_by_time(user, since, until)
            page = self._read(request, priority).each(Fill.read)
            found.update((fill.key, fill) for fill in page)
            newest = max((fill.time for fill in page), default=since)
            if len(page) < _MOST_FILLS or newest <= since:
                return tuple(sorted(found.values(), key=lambda fill: fill.time))
            since = newest  # the bounds are inclusive: that millisecond comes again

    def recent_fills(self, user: str, priority: Priority = Priority.TRADE) -> tuple[Fill, ...]:
        """Return the newest fills, at most 2000, newest first; asked without a clock."""
        return self._read(self._info.user_fills(user), priority).each(Fill.read)

    def fundings(self, user: str, since: int) -> tuple[Funding, ...]:
        """Return the payments of funding from *since* on (ms, inclusive), at most 500."""
        request = self._info.user_funding_history(user, since)
        return self._read(request, Priority.TRADE).each(Funding.read)

    def request_budget(self, user: str) -> RequestBudget:
        """Return how many actions the account has used and may use."""
        answer = self._read(self._info.user_rate_limit(user))
        return RequestBudget(answer.whole("nRequestsUsed"), answer.whole("nRequestsCap"))

    def fee_rates(self, user: str) -> tuple[Decimal, Decimal]:
        """Return the account's taker and maker rates."""
        answer = self._read(self._info.user_fees(user))
        return answer.number("userCrossRate"), answer.number("userAddRate")

    def role(self, user: str) -> Node:
        """Return what an address is: `{role, data?}`."""
        return self._read(self._info.user_role(user))

    def agents(self, user: str) -> Node:
        """Return the named agents of an account: `[{name, address, validUntil}]`."""
        return self._read(self._info.extra_agents(user))

    def leverage(self, user: str, coin: str) -> tuple[int, bool]:
        """Return the leverage that is set for *coin*, and whether its margin is cross."""
        wanted = {"type": "activeAssetData", "user": user, "coin": coin}
        found = self._read(wanted).at("leverage")
        return found.whole("value"), found.text("type") == "cross"

    # --- asking -----------------------------------------------------------------------------

    def _read(self, payload: dict[str, Any], priority: Priority = Priority.READ) -> Node:
        return Node(self._again(lambda: self.transport.ask(payload, priority)), payload["type"])

    def _again(self, ask: Callable[[], T]) -> T:
        failures = 0
        while True:
            try:
                return ask()
            except NetworkError:
                failures += 1
                if failures >= self._retry.attempts:
                    raise
                self._sleep(self._retry.wait_s(failures, self._jitter.random()))


def _as_payload(path: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Hand the SDK's request back: it is sent by the transport, with its priority."""
    del path
    return payload
