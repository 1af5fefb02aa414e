"""What is assumed about the exchange and was never seen there: tried out, one assumption at a time.

Each trial sends as little as it can, tells what was assumed and what was found, and leaves the
account flat. They run against a local exchange too, where they prove themselves and nothing else.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal

from ftbt.errors import ExchangeError, InputError
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.answers import Node
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.journal import Sent
from ftbt.hyperliquid.orders import Grouping, OrderRequest, Tif, Trigger
from ftbt.hyperliquid.outcomes import Outcome, Reason, Refusal, State, statuses_of
from ftbt.hyperliquid.records import Asset
from ftbt.hyperliquid.session import Session
from ftbt.hyperliquid.sockets import Connected, Frame, Socket
from ftbt.hyperliquid.subscriptions import candle
from ftbt.hyperliquid.wire import Toward
from ftbt.live.flatten import Flattening
from ftbt.live.legs import Leg
from ftbt.live.requests import bounded

_SETTLE_S = 2.0
_LOOK_S = 1.0
_MOST_SPENT = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a trial.

    Attributes:
        name: of the trial.
        assumed: what ftbt counts on, in words.
        seen: what was found, in words.
        same: whether that is it; None when it could not be tried, or a person has to compare.
    """

    name: str
    assumed: str
    seen: str
    same: bool | None


class Remembering:
    """A journal that knows the last action, for as long as the process lives."""

    def __init__(self) -> None:
        self.last: Sent | None = None

    def before_sending(self, *sent: Sent) -> None:
        """Remember the last of *sent*."""
        self.last = sent[-1]

    def after(self, sent: Sent, text: str, *, final: bool) -> None:
        """Do nothing."""

    def unanswered(self) -> list[Sent]:
        """Return nothing: every trial clears up by itself."""
        return []


@dataclass(slots=True)
class Bench:
    """Where trials are made.

    Attributes:
        session: verified; of a deployment of its own.
        journal: of that session.
        coin: traded, flat at the start.
        usd: worth of an order.
        wait_s: seconds that a trial may wait for the market.
    """

    session: Session
    journal: Remembering
    coin: str
    usd: Decimal
    wait_s: float
    _count: int = field(default=0, init=False)

    @property
    def asset(self) -> Asset:
        """Rules of the coin."""
        return self.session.universe[self.coin]

    def best_ask(self) -> tuple[Decimal, Decimal]:
        """Return price and size of the cheapest offer."""
        asked = {"type": "l2Book", "coin": self.coin}
        book = Node(self.session.transport.ask(asked, Priority.TRADE), "l2Book")
        _, offers = book.at("levels").items()
        best = next(iter(offers.items()), None)
        if best is None:
            raise ExchangeError(f"nobody offers {self.coin}: choose another coin")
        return best.number("px"), best.number("sz")

    def price(self, factor: str) -> Decimal:
        """Return the middle of the book times *factor*, on the tick."""
        mid = self.session.rest.mids()[self.coin]
        return wire.move_price(mid * Decimal(factor), self.asset.size_decimals, Toward.NEAREST)

    def size(self, price: Decimal) -> Decimal:
        """Return what is worth `usd` at *price*, in lots, rounded up."""
        step = wire.lot(self.asset.size_decimals)
        return (self.usd / price).quantize(step, rounding=ROUND_UP)

    def order(
        self, price: Decimal, size: Decimal, *, buy: bool = True, tif: Tif = Tif.GTC,
        trigger: Decimal | None = None, reduce_only: bool = False,
    ) -> OrderRequest:  # fmt: skip
        """Return an order of this bench."""
        self._count += 1
        cloid = self.session.cloids.make(self.coin, self._count, Leg.ENTRY, 1)
        wake = None if trigger is None else Trigger(trigger, stop=True)
        return OrderRequest(self.asset, buy, price, size, cloid, tif, wake, reduce_only)

    def place(self, *orders: OrderRequest, grouping: Grouping = Grouping.NONE) -> list[Outcome]:
        """Place *orders* in one action."""
        return list(self.session.sender.place(orders, "trial", grouping=grouping))

    def buy(self) -> Decimal:
        """Buy for `usd` and return the size that was had."""
        ask = self.best_ask()[0]
        bound = bounded(float(ask), True, 0.02, self.asset)
        outcome = self.place(self.order(bound, self.size(ask), tif=Tif.IOC))[0]
        if outcome.filled is None or not outcome.filled:
            raise ExchangeError(f"nothing could be bought: {outcome.state} {outcome.text}")
        return outcome.filled

    def status(self, order: OrderRequest) -> str:
        """Return the venue's word for how *order* stands."""
        found = self.session.rest.order(self.session.sender.account, order.cloid)
        return "unknown to the exchange" if found is None else found.status

    def statuses(self, order: OrderRequest, seconds: float, end: Callable[[str], bool]) -> str:
        """Return the words for how *order* stands, one after the other, until *end* says so."""
        seen: list[str] = []
        stop = time.monotonic() + seconds
        while time.monotonic() < stop:
            now = self.status(order)
            seen += [now] if not seen or seen[-1] != now else []
            if end(now):
                break
            time.sleep(_LOOK_S)
        return " -> ".join(seen)


# --- the trials -----------------------------------------------------------------------------------


def _partial(bench: Bench) -> Found:
    """A limit order that fills in part and rests, with the guard that waits for all of it."""
    assumed = "resting; its guard waits until all has filled, and goes with what is left of it"
    price, there = bench.best_ask()
    size = there + bench.size(price)
    if price * size > 20 * bench.usd:
        text = f"not tried: the best offer is worth ${price * there:,.0f}; name a thinner --symbol"
        return Found("partial", assumed, text, None)
    entry = bench.order(price, size)
    guard_price = bench.price("0.97")
    guard = bench.order(
        bounded(float(guard_price), False, 0.1, bench.asset), size, buy=False,
        trigger=guard_price, reduce_only=True,
    )  # fmt: skip
    outcome = bench.place(entry, guard, grouping=Grouping.BRACKET)[0]
    time.sleep(_SETTLE_S)
    before = bench.status(guard)
    if bench.status(entry) == "filled":
        text = "not told: all of it filled meanwhile; try again"
        return Found("partial", assumed, text, None)
    bench.session.sender.cancel([(bench.asset, entry.cloid)], "trial")
    time.sleep(_SETTLE_S)
    after = bench.status(guard)
    seen = f"answered {outcome.state}; guard {before}, and {after} when the rest was cancelled"
    rests = outcome.state is State.RESTING and before in ("open", "waitingForFill")
    return Found("partial", assumed, seen, rests and after.lower().endswith("canceled"))


def _nonce(bench: Bench) -> Found:
    """The same bytes twice, and a noop with the same nonce."""
    assumed = "the second time is refused as a duplicate nonce; burning it says that it was used"
    price = bench.price("0.7")
    bench.place(bench.order(price, bench.size(price)))
    sent = bench.journal.last
    assert sent is not None, "it was placed"
    answer = statuses_of(bench.session.transport.act(sent.body, 1, Priority.TRADE))
    again = answer.text if isinstance(answer, Refusal) else "taken again"
    duplicate = isinstance(answer, Refusal) and answer.reason is Reason.DUPLICATE_NONCE
    burnt = bench.session.sender.burn(sent)
    seen = f"{again}; burning it {'succeeded' if burnt else 'was refused as a duplicate'}"
    return Found("nonce", assumed, seen, duplicate and not burnt)


def _trigger(bench: Bench) -> Found:
    """A stop of the whole position that is reached."""
    assumed = "open until it is reached, then filled, under the same client order id"
    bench.buy()
    near = bench.price("0.9997")
    stop = bench.order(
        bounded(float(near), False, 0.1, bench.asset), Decimal(0), buy=False, trigger=near,
        reduce_only=True,
    )  # fmt: skip
    bench.place(stop, grouping=Grouping.POSITION)
    seen = bench.statuses(stop, bench.wait_s, lambda word: word == "filled")
    if not seen.endswith("filled"):
        return Found("trigger", assumed, f"{seen}; not reached in {bench.wait_s:g} s", None)
    return Found("trigger", assumed, seen, seen.startswith("open"))


def _refusals(bench: Bench) -> Iterator[Found]:
    """Orders that must be refused, and in which words."""
    ask = bench.best_ask()[0]
    crossing = bench.place(bench.order(ask, bench.size(ask), tif=Tif.ALO))[0]
    yield _refused("post-only", crossing, Reason.CROSSED)
    low = bench.price("0.5")
    late = bench.session.sender.place(
        [bench.order(low, bench.size(low))], "trial", expires_ms=-5_000
    )
    yield _refused("expired", late[0], Reason.EXPIRED)
    far = bench.price("0.05")
    yield _refused("far price", bench.place(bench.order(far, bench.size(far)))[0], None)


def _refused(name: str, outcome: Outcome, reason: Reason | None) -> Found:
    seen = f"{outcome.state}: {outcome.text}" if outcome.text else str(outcome.state)
    refused = outcome.state is State.REFUSED
    if reason is None:
        return Found(name, "a limit order at a twentieth of the price: see", seen, None)
    return Found(name, f"refused, understood as '{reason}'", seen,
                 refused and outcome.reason is reason)  # fmt: skip


def _reduce_only(bench: Bench) -> Found:
    """Two orders that may only close, each for the whole position."""
    assumed = "both rest: each is capped by the position alone"
    held = bench.buy()
    high = bench.price("1.05")
    orders = [bench.order(high, held, buy=False, reduce_only=True) for _ in range(2)]
    seen = [outcome.state for order in orders for outcome in bench.place(order)]
    both = all(state is State.RESTING for state in seen)
    return Found("reduce-only", assumed, ", ".join(seen), both)


def _candle(bench: Bench) -> Found:
    """The first frame of the candle stream."""
    assumed = "may take until the next trade; nothing waits for it"
    socket = Socket(bench.session.endpoint, [candle(bench.coin, "1m")], name="trial")
    socket.start()
    began, connected = time.monotonic(), 0.0
    try:
        while time.monotonic() - began < bench.wait_s:
            with suppress(queue.Empty):
                message = socket.messages.get(timeout=0.5)
                if isinstance(message, Connected):
                    connected = time.monotonic()
                if isinstance(message, Frame) and message.channel == "candle":
                    waited = max(0.0, message.received - connected) if connected else 0.0
                    return Found("candle", assumed, f"{waited:.1f} s after subscribing", True)
    finally:
        socket.stop()
    return Found("candle", assumed, f"none in {bench.wait_s:g} s", None)


def _dead_man(bench: Bench) -> Found:
    """The exchange's own switch."""
    assumed = "refused for too little volume, or it cancels what rests"
    low = bench.price("0.7")
    order = bench.order(low, bench.size(low))
    bench.place(order)
    try:
        bench.session.sender.arm_dead_man(bench.session.clock.now() + 6_000)
    except ExchangeError as error:
        return Found("dead man", assumed, str(error), True)
    seen = bench.statuses(order, 12.0, lambda word: word.lower().endswith("cancel"))
    return Found("dead man", assumed, seen, seen.lower().endswith("cancel"))


def _equity(bench: Bench) -> Found:
    """What the account is worth, with a position, beside what the website shows."""
    session = bench.session
    bench.buy()
    user = session.sender.account
    mode = session.rest.account_mode(user)
    equity = session.rest.equity(user, mode, session.rest.account(user))
    seen = f"{mode}: worth ${equity.value:f}, ${equity.free:f} free; compare with the website"
    return Found("equity", "the same as the website's while a position is open", seen, None)


def _alone(trial: Callable[[Bench], Found]) -> Callable[[Bench], Iterator[Found]]:
    def made(bench: Bench) -> Iterator[Found]:
        yield trial(bench)

    return made


TRIALS: dict[str, Callable[[Bench], Iterator[Found]]] = {
    "partial": _alone(_partial),
    "nonce": _alone(_nonce),
    "trigger": _alone(_trigger),
    "refusals": _refusals,
    "reduce-only": _alone(_reduce_only),
    "candle": _alone(_candle),
    "dead-man": _alone(_dead_man),
    "equity": _alone(_equity),
}


def _rest_a_while(bench: Bench) -> None:
    """Wait until there are requests enough for a trial and for clearing up after it."""
    budget = bench.session.transport.budget
    while (spent := budget.spent()).weight > _MOST_SPENT * spent.weight_limit:
        time.sleep(_LOOK_S)


def run_trial(name: str, bench: Bench) -> list[Found]:
    """Make the trial *name* and leave the coin as it was: flat, without orders of this bench.

    Raises:
        InputError: the coin is not flat, or is not flat afterwards.
        FtbtError: the exchange does not answer, or not as it must.
    """
    user, coin = bench.session.sender.account, bench.coin
    _rest_a_while(bench)
    if coin in bench.session.rest.account(user).positions:
        raise InputError(f"{user} holds {coin}: trials need a coin without a position")
    flattening = Flattening(bench.session, (coin,))
    try:
        found = list(TRIALS[name](bench))
    finally:
        left = flattening.run()
    if not left.nothing:
        raise InputError(f"{coin} could not be cleared up: {left.positions}, {left.orders}")
    return found
