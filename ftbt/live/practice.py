"""One position on paper before the first real one, so that the first is as quick as the others.

What is used for the first time is loaded first: compiled rules, statements, cryptography. That can
take a tenth of a second, and would take it at the first close that counts. So a bracket is entered,
filled and closed on books of its own, by the code that trades, and signed. Nothing of it leaves
the process: what was signed had expired in 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from backtrader.order import Order

from ftbt.backtest.result import ExitReason
from ftbt.data.precision import nearest_size
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.orders import MIN_NOTIONAL
from ftbt.hyperliquid.outcomes import Outcome, State
from ftbt.hyperliquid.records import ZERO, Fill
from ftbt.hyperliquid.sending import Action
from ftbt.live.broker import Account, LiveBroker
from ftbt.live.dispatch import Done, Job, Look, Paper, Place, action_of
from ftbt.live.journal import encode
from ftbt.live.still import StillFeed

_TIMES_LEAST, _PARTS = 3, 2


def practise(
    account: Account, coin: str, bar: tuple[int, float], step: int, sign: Callable[[Action], None]
) -> int:
    """Enter, fill and leave a position in *coin* on paper; return how many orders were signed.

    Args:
        account: as the session trades with; it is not changed.
        coin: one of its assets.
        bar: open (ms) and close of the newest bar.
        step: length of a bar, ms.
        sign: signs an action and forgets it.
    """
    opened, price = bar
    broker, paper = LiveBroker(account, step, _encoded, lambda: None), Paper()
    feed: Any = StillFeed(coin, opened, price, live=True)
    broker.add_coin(feed)
    book = broker.coins[coin]
    book.take_bar(opened, price, price, price)
    broker.start()
    broker.clock.append(opened)
    broker.connect(paper)
    broker.entries_open = True
    _enter(broker, feed, _size(price, book.decimals))
    if paper.jobs:  # the limits of this account may allow no such position
        for part in (1, 2):  # the first one makes the stop of the whole position be sent
            _accept(broker, paper.jobs)
            broker.events.fill(_fill(broker, paper.jobs[0].cloids[0], opened + step, part))
        broker.events.leave(book, ExitReason.END, "practice")
    for job in paper.jobs:
        if not isinstance(job, Look):
            sign(action_of(job, None))
    return len(paper.jobs)


def _encoded(kind: str, body: Mapping[str, Any], _coin: str) -> None:
    encode(kind, body)


def _size(price: float, decimals: int) -> float:
    """Return a small size that the venue would take."""
    lot = float(wire.lot(decimals))
    lots = max(_PARTS, _TIMES_LEAST * float(MIN_NOTIONAL) / price // lot)
    return nearest_size(lot * lots, decimals)


def _enter(broker: LiveBroker, feed: Any, size: float) -> None:
    owner, close = SimpleNamespace(ftbt_sleeve=0, data=feed), feed.close[0]
    entry = broker.buy(
        owner, feed, size, exectype=Order.Limit, price=0.9 * close, transmit=False,
        confidence=50.0, reason=0, targets=(1.1 * close, float("nan")), decided=True,
    )  # fmt: skip
    broker.sell(
        owner, feed, size, exectype=Order.Stop, price=0.85 * close, parent=entry, transmit=False
    )
    broker.sell(owner, feed, size, exectype=Order.Limit, price=1.1 * close, parent=entry, target=1)


def _accept(broker: LiveBroker, jobs: list[Job]) -> None:
    """Let what was placed stand, and a guard wait for its entry."""
    for job in [one for one in jobs if isinstance(one, Place)]:
        states = [State.RESTING, State.WAITING]
        told = zip(job.cloids, states, strict=False)
        broker.events.done(Done(job, tuple(Outcome(cloid, state) for cloid, state in told)))


def _fill(broker: LiveBroker, cloid: str, time: int, part: int) -> Fill:
    """Return the fill of the first lot, or of the rest."""
    leg = broker.legs.find(cloid)
    assert leg is not None, "it was just placed"
    lot = wire.lot(broker.coins[leg.coin].decimals)
    size = lot if part == 1 else leg.size - lot
    return Fill(
        leg.coin, leg.is_buy, leg.price, size, time + part, leg.filled, ZERO, Decimal("0.01"),
        "USDC", False, 1, part, cloid, False,
    )  # fmt: skip
