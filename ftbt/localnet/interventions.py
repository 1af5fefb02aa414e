"""What the control API does to the venue: everything that a client cannot do itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ftbt.errors import InputError, did_you_mean
from ftbt.localnet.assets import Asset, Tier
from ftbt.localnet.book import Depth, Level
from ftbt.localnet.core import LIQUIDATOR
from ftbt.localnet.ledger import Account
from ftbt.localnet.numbers import ZERO, wire
from ftbt.localnet.orders import Order, Request, Trigger
from ftbt.localnet.venue import Venue


def number(value: Any, what: str) -> Decimal:
    """Return *value* as a decimal.

    Raises:
        InputError: when it is none.
    """
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        raise InputError(f"{what} must be a number, not {value!r}") from None
    if not found.is_finite():
        raise InputError(f"{what} must be finite, not {value!r}")
    return found


class Interventions:
    """Acts on the venue from outside."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def asset(self, coin: str) -> Asset:
        """Return the asset of *coin*.

        Raises:
            InputError: no such coin.
        """
        known = self.venue.core.by_coin
        if coin not in known:
            raise InputError(f"no coin {coin!r}{did_you_mean(str(coin), known)}")
        return known[coin]

    # --- the market -----------------------------------------------------------------------------

    def jump(self, coin: str, price: Decimal) -> None:
        """Let the market trade at *price* now."""
        self.asset(coin)
        if price <= 0:
            raise InputError(f"price must be above 0, not {price}")
        self.venue.walking.jump(coin, price, self.venue.time)
        self.venue.core.emit("step", coin, self.venue.time)

    def pin_book(self, coin: str, bids: list[Any] | None, asks: list[Any] | None) -> None:
        """Let the market stand at these levels, [price, size]; without any it follows again."""
        self.asset(coin)
        book = self.venue.core.books[coin]
        if bids is None and asks is None:
            book.unpin()
            self.venue.core.quote(coin)
        else:
            book.pin(*([_level(one) for one in side or []] for side in (bids, asks)))
        self.venue.core.emit("step", coin, self.venue.time)

    def depth(self, notional: Decimal) -> None:
        """Set what the best level of every book offers, USDC."""
        for coin, book in self.venue.core.books.items():
            book.depth = Depth(notional, book.depth.gap)
            self.venue.core.quote(coin)

    def halt(self, coin: str, *, halted: bool) -> None:
        """Stop or resume everything that the market does in *coin*; its candles go on later."""
        self.asset(coin)
        (self.venue.halted.add if halted else self.venue.halted.discard)(coin)

    def change_asset(self, coin: str, changes: dict[str, Any]) -> None:
        """Change what `meta` says of *coin*: sz_decimals, is_delisted, tiers and the like."""
        asset = self.asset(coin)
        if "sz_decimals" in changes:
            asset.size_decimals = int(changes["sz_decimals"])
        for name in ("only_isolated", "is_delisted"):
            if name in changes:
                setattr(asset, name, bool(changes[name]))
        if "tiers" in changes:
            asset.tiers = tuple(
                Tier(number(low, "lower bound"), int(top)) for low, top in changes["tiers"]
            )
            asset.max_leverage = asset.tiers[0].max_leverage
        if changes.get("is_delisted"):
            for order in self.venue.core.orders.on(coin):
                self.venue.groups.cancel(order, "delistedCanceled", by_venue=True)

    def external(self, coin: str, size: Decimal) -> Decimal:
        """Let a stranger buy (positive) or sell *size* at any price; return what it got."""
        self.asset(coin)
        order = self.venue.matching.sweep("0x" + "ee" * 20, coin, size, {})
        return order.filled

    # --- orders ---------------------------------------------------------------------------------

    def place(self, user: str, spec: dict[str, Any]) -> Any:
        """Place an order for *user* without a signature: a manual one, made elsewhere."""
        coin = str(spec["coin"])
        self.asset(coin)
        trigger = None
        if "trigger" in spec:
            trigger = Trigger(
                number(spec["trigger"], "trigger"), bool(spec.get("is_market", True)),
                bool(spec.get("is_stop", True)),
            )  # fmt: skip
        request = Request(
            coin,
            bool(spec["is_buy"]),
            number(spec["price"], "price"),
            number(spec["size"], "size"),
            bool(spec.get("reduce_only", False)),
            None if trigger else str(spec.get("tif", "Gtc")),
            trigger,
            spec.get("cloid"),
        )
        return self.venue.placing.place(user, [request], "na")[0]

    def find(self, user: str, key: int | str) -> Order:
        """Return a live order.

        Raises:
            InputError: there is none.
        """
        order = self.venue.find_live(user, key)
        if order is None:
            raise InputError(f"{user} has no live order {key}")
        return order

    def fill(self, user: str, key: int | str, size: Decimal | None) -> None:
        """Fill *size* of a resting order, all of it by default."""
        order = self.find(user, key)
        if not order.rests:
            raise InputError(f"order {key} does not rest in the book")
        self.venue.fill_by_market(order, order.size if size is None else min(size, order.size))

    def cancel(self, user: str, key: int | str | None, status: str) -> int:
        """End one order of *user*, or all, with *status*; return how many."""
        if key is None:
            return self.venue.cancel_all(user, status)
        self.venue.groups.cancel(self.find(user, key), status, by_venue=True)
        return 1

    def reduce_by_others(self, user: str, coin: str, size: Decimal | None) -> None:
        """Auto-deleverage: close *size* of a position against the liquidator at the mark."""
        core = self.venue.core
        self.asset(coin)
        held = core.account(user).positions.get(coin)
        if held is None:
            raise InputError(f"{user} has no position in {coin}")
        part = abs(held.size) if size is None else min(size, abs(held.size))
        digest, side = core.new_hash(), held.side
        for who, signed in ((user, -side * part), (LIQUIDATOR, side * part)):
            order = self.venue.groups.venue_order(who, coin, signed)
            core.book_fill(
                order, core.marks[coin], part, taker=True, tid=order.oid, digest=digest,
                direction="Auto-Deleveraging",
            )  # fmt: skip
        self.venue.groups.after_fill(user, coin)

    def liquidate(self, user: str, coin: str) -> None:
        """Liquidate a position whatever its margin."""
        self.asset(coin)
        self.venue.liquidation.liquidate(self.venue.core.account(user), coin)

    def funding(self, coin: str, rate: Decimal) -> None:
        """Let every position in *coin* pay funding at *rate* now."""
        self.asset(coin)
        self.venue.charge_funding(coin, rate, self.venue.time)

    # --- what there is --------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Return all accounts and live orders, and whether money is conserved."""
        core = self.venue.core
        accounts = {user: self._account(one) for user, one in core.accounts.items()}
        return {
            "time": self.venue.time,
            "marks": {coin: wire(mark) for coin, mark in core.marks.items()},
            "accounts": accounts,
            "orders": {
                user: [order.full(core.orders.children(order)) for order in core.orders.live(user)]
                for user in accounts
            },
            "fills": {user: len(fills) for user, fills in core.fills.items()},
            "balanced": all(one.balanced(core.marks) for one in core.accounts.values()),
        }

    def records(self, user: str) -> dict[str, Any]:
        """Return all that has happened to an account, whatever its clients were told of it."""
        core = self.venue.core
        return {
            "fills": core.fills[user],
            "funding": core.fundings[user],
            "ledger": core.ledgers[user],
            "orders": core.orders.known(user),
        }

    def _account(self, account: Account) -> dict[str, Any]:
        marks = self.venue.core.marks
        return {
            "equity": wire(account.value(marks) + account.spot),
            "deposits": wire(account.deposits),
            "fees": wire(account.fees),
            "funding": wire(account.funding_paid),
            "realised": wire(account.realised),
            "positions": {c: wire(held.size) for c, held in account.positions.items()},
        }


def _level(pair: Any) -> Level:
    price, size = pair
    found = Level(number(price, "price"), number(size, "size"))
    if found.price <= 0 or found.size <= ZERO:
        raise InputError(f"a level is [price, size], both above 0, not {pair!r}")
    return found
