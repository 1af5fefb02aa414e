"""Who trades with whom: takers against the book, resting orders against the market's path."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ftbt.localnet import rules
from ftbt.localnet.book import Level
from ftbt.localnet.core import MARKET_MAKER, Core, trade_id
from ftbt.localnet.groups import Groups
from ftbt.localnet.numbers import ZERO, floor_lot, lot
from ftbt.localnet.orders import Order


class Matching:
    """Price-time priority over the orders of accounts and the market's depth beside them."""

    def __init__(self, core: Core, groups: Groups) -> None:
        self.core = core
        self.groups = groups
        self._prints = 0

    # --- the book ---------------------------------------------------------------------------

    def resting(self, coin: str, is_buy: bool) -> list[Order]:
        """Return the resting orders of one side, best first, older ones first at a price."""
        if not self.core.orders.any_on(coin):
            return []
        found = [o for o in self.core.orders.on(coin) if o.rests and o.is_buy == is_buy]
        found.sort(key=lambda o: (-o.price if is_buy else o.price, o.oid))
        return found

    def best(self, coin: str, is_ask: bool) -> Decimal | None:
        """Return the best price of one side, None when it is empty."""
        levels = self.market_levels(coin, is_ask)
        prices = [levels[0].price] if levels else []
        own = self.resting(coin, not is_ask)
        if own:
            prices.append(own[0].price)
        if not prices:
            return None
        return min(prices) if is_ask else max(prices)

    def mid(self, coin: str) -> Decimal | None:
        """Return the middle of the book, None when a side is empty."""
        bid, ask = self.best(coin, False), self.best(coin, True)
        return None if bid is None or ask is None else (bid + ask) / 2

    def market_levels(self, coin: str, is_ask: bool) -> list[Level]:
        """Return what the market offers, without levels that an account's order crosses."""
        book = self.core.books[coin]
        levels = [level for level in book.levels(is_ask) if level.size > 0]
        own = self.resting(coin, is_ask)
        if own and not book.pinned:
            edge = own[0].price
            levels = [o for o in levels if (o.price > edge if is_ask else o.price < edge)]
        return levels

    def levels(self, coin: str, is_ask: bool) -> list[tuple[Decimal, Decimal, int]]:
        """Return (price, size, orders) of one side, best first, everything together."""
        if not self.core.orders.any_on(coin):
            market = self.market_levels(coin, is_ask)
            return [(level.price, level.size, 1) for level in market]
        sums: dict[Decimal, tuple[Decimal, int]] = {}
        for level in self.market_levels(coin, is_ask):
            sums[level.price] = (level.size, 1)
        for order in self.resting(coin, not is_ask):
            size, count = sums.get(order.price, (ZERO, 0))
            sums[order.price] = (size + order.size, count + 1)
        return [(price, *sums[price]) for price in sorted(sums, reverse=not is_ask)]

    def crosses(self, order_is_buy: bool, price: Decimal, coin: str) -> bool:
        """Tell whether an order at *price* would trade at once."""
        best = self.best(coin, order_is_buy)
        return best is not None and (best <= price if order_is_buy else best >= price)

    # --- taking -----------------------------------------------------------------------------

    def take(self, order: Order, limit: Decimal, liquidation: dict[str, Any] | None = None) -> None:
        """Trade *order* against everything up to *limit*, best first."""
        while order.size > 0 and order.status in ("open", "triggered"):
            own = self.resting(order.coin, not order.is_buy)
            levels = self.market_levels(order.coin, order.is_buy)
            maker = own[0] if own else None
            level = levels[0] if levels else None
            if maker is not None and level is not None:
                first = maker.price <= level.price if order.is_buy else maker.price >= level.price
                maker, level = (maker, None) if first else (None, level)
            price = maker.price if maker else level.price if level else None
            if price is None or (price > limit if order.is_buy else price < limit):
                return
            if maker is not None:
                self._against_account(order, maker, liquidation)
            elif level is not None:
                size = min(order.size, level.size)
                level.size -= size
                self._print(order, None, price, size, liquidation)
                self.groups.after_fill(order.user, order.coin)

    def _against_account(
        self, order: Order, maker: Order, liquidation: dict[str, Any] | None
    ) -> None:
        if maker.user == order.user:
            self.groups.cancel(maker, "selfTradeCanceled", by_venue=True)
            return
        size = min(order.size, maker.size)
        if not self._maker_can(maker, size):
            return
        self._print(order, maker, maker.price, size, liquidation)
        if maker.size <= 0:
            self.groups.filled(maker)
        for user in (order.user, maker.user):
            self.groups.after_fill(user, order.coin)

    def _maker_can(self, maker: Order, size: Decimal) -> bool:
        """Check the margin of a resting order again; without it the order is cancelled."""
        account = self.core.account(maker.user)
        signed = size if maker.is_buy else -size
        if self.core.margin.allows(account, maker.coin, signed, maker.price):
            return True
        self.groups.cancel(maker, "marginCanceled", by_venue=True)
        return False

    def _print(
        self, taker: Order, maker: Order | None, price: Decimal, size: Decimal,
        liquidation: dict[str, Any] | None,
    ) -> None:  # fmt: skip
        core = self.core
        digest = core.new_hash()
        self._prints += 1
        other = maker.oid if maker else -self._prints
        maker_user = maker.user if maker else MARKET_MAKER
        buyer, seller = (taker.oid, other) if taker.is_buy else (other, taker.oid)
        tid = trade_id(buyer, seller)
        users = (taker.user, maker_user) if taker.is_buy else (maker_user, taker.user)
        core.print_trade(taker.coin, price, size, taker.is_buy, users, tid, digest)
        core.book_fill(
            taker, price, size, taker=True, tid=tid, digest=digest, liquidation=liquidation
        )
        if maker is not None:
            core.book_fill(maker, price, size, taker=False, tid=tid, digest=digest)

    # --- resting orders and the market's path -------------------------------------------------

    def serve(self, order: Order, price: Decimal, left: dict[Decimal, Decimal]) -> None:
        """Fill a resting order that the market passes, at *price*, as far as *left* allows.

        *left*: what still trades at each price during this step of the market.
        """
        core = self.core
        order.served = core.steps
        available = left.setdefault(price, core.books[order.coin].passing(price))
        size = min(order.size, available)
        if size <= 0 or not self._maker_can(order, size):
            return
        left[price] = available - size
        self._prints += 1
        digest = core.new_hash()
        sides = (order.oid, -self._prints) if order.is_buy else (-self._prints, order.oid)
        tid = trade_id(*sides)
        users = (order.user, MARKET_MAKER) if order.is_buy else (MARKET_MAKER, order.user)
        core.print_trade(order.coin, price, size, not order.is_buy, users, tid, digest)
        core.book_fill(order, price, size, taker=False, tid=tid, digest=digest)
        if order.size <= 0:
            self.groups.filled(order)
        self.groups.after_fill(order.user, order.coin)

    # --- triggers -----------------------------------------------------------------------------

    def fire(self, order: Order) -> None:
        """Bring a trigger order alive: it keeps its number and takes or rests."""
        trigger = order.request.trigger
        assert trigger is not None
        order.triggered = True
        if order.whole:
            order.size = abs(self.core.account(order.user).size_of(order.coin))
        self.core.change(order, "triggered")
        if order.reduce_only and not self.groups.shrink(order):
            return
        if not self._taker_can(order):
            self.groups.cancel(order, "marginCanceled", by_venue=True)
            return
        self.run_taker(order, "Ioc" if trigger.is_market else "Gtc")
        if order.is_live and trigger.is_market:
            status = "canceled" if order.filled else rules.NO_LIQUIDITY.status
            self.groups.cancel(order, status, by_venue=True)

    def _taker_can(self, order: Order) -> bool:
        if order.reduce_only:
            return True
        account = self.core.account(order.user)
        signed = order.size if order.is_buy else -order.size
        best = self.best(order.coin, order.is_buy) or order.price
        price = min(best, order.price) if order.is_buy else max(best, order.price)
        return self.core.margin.allows(account, order.coin, signed, price)

    def run_taker(self, order: Order, tif: str) -> None:
        """Match an incoming order; what an IOC order leaves is not dealt with here."""
        if tif != "Alo":
            order.taking = True
            self.take(order, order.price)
            order.taking = False
        if order.size <= 0 and order.is_live:
            self.groups.filled(order)

    def sweep(self, user: str, coin: str, signed: Decimal, liquidation: dict[str, Any]) -> Order:
        """Trade *signed* coins of *user* at any price, for the venue's own account of it."""
        order = self.groups.venue_order(user, coin, signed)
        limit = Decimal("1e12") if signed > 0 else lot(6)
        self.take(order, limit, liquidation)
        return order

    def whole_lots(self, coin: str, size: Decimal) -> Decimal:
        """Return *size* cut to the lot of *coin*."""
        return floor_lot(size, self.core.by_coin[coin].size_decimals)
