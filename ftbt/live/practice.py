"""One position on paper before the first real one, so that the first is as quick as the others.

What is used for the first time is loaded first: compiled rules, statements, cryptography. That can
take a tenth of a second, and would take it at the first close that counts. So a bracket is entered,
filled and closed on books of its own, by the code that trades, and signed. Nothing of it leaves
the process: what was signed had expired in 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
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
from ftbt.live.dispatch import Done, Job, Look, Place, action_of
from ftbt.live.journal import encode
from ftbt.live.still import StillFeed

_TIMES_LEAST = 3


class _Paper:
    """Takes jobs and keeps them."""

    busy = 0

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self, patience_s: float = 0.0) -> None:
        pass


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
    broker, paper = LiveBroker(account, step, _encoded, lambda: None), _Paper()
    feed: Any = StillFeed(coin, opened, price, live=True)
    broker.add_coin(feed)
    book = broker.coins[coin]
    book.take_bar(opened, price, price, price)
    broker.start()
    broker.clock.append(opened)
    broker.connect(paper)
    broker.entries_open = True
    _enter(broker, feed, _size(price, book.decimals))
    placed = next((job for job in paper.jobs if isinstance(job, Place)), None)
    if placed is not None:  # the limits of this account may allow no such position
        broker.events.done(Done(placed, tuple(Outcome(c, State.RESTING) for c in placed.cloids)))
        broker.events.fill(_fill(broker, placed.cloids[0], opened + step + 1))
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
    return nearest_size(lot * max(1.0, _TIMES_LEAST * float(MIN_NOTIONAL) / price // lot), decimals)


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


def _fill(broker: LiveBroker, cloid: str, time: int) -> Fill:
    leg = broker.legs.find(cloid)
    assert leg is not None, "it was just placed"
    return Fill(
        leg.coin, leg.is_buy, leg.price, leg.size, time, ZERO, ZERO, Decimal("0.01"), "USDC",
        False, 1, 1, cloid, False,
    )  # fmt: skip
