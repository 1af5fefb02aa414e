"""Out of everything, without a bot: cancel its orders, close its positions, look again.

Each step begins with a fresh read, and what is reported was read after the last attempt. The
ladder: orders that trade at once within a bound that widens; when the venue takes none of those
(after an upgrade it only lets orders rest), orders that rest at the best price.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from ftbt.errors import ExchangeError, FtbtError, NetworkError, OutcomeUnknown
from ftbt.hyperliquid import wire
from ftbt.hyperliquid.budget import Priority
from ftbt.hyperliquid.orders import CloidMaker, OrderRequest, Tif
from ftbt.hyperliquid.outcomes import Outcome, Reason, State
from ftbt.hyperliquid.records import Asset, OpenOrder
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.session import Session
from ftbt.live.offline import Place
from ftbt.live.requests import bounded

_BOUNDS = (0.02, 0.05, 0.10, 0.20, 0.40)
_DRY_ATTEMPTS = 3
_REST_S = 3.0
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Left:
    """What was there at the last look.

    Attributes:
        positions: signed size by coin.
        orders: own orders that still stand.
    """

    positions: dict[str, Decimal]
    orders: tuple[OpenOrder, ...]

    @property
    def nothing(self) -> bool:
        """Whether everything is closed."""
        return not self.positions and not self.orders


def look(rest: Rest, place: Place) -> Left:
    """Return what a deployment has on the exchange; it needs no key.

    Raises:
        NetworkError: the exchange can't be read, so that nothing is known.
    """
    return _look(rest, place.account, place.coins, CloidMaker(place.deployment))


def _look(rest: Rest, user: str, coins: tuple[str, ...], cloids: CloidMaker) -> Left:
    state = rest.account(user, Priority.PROTECT)
    orders = rest.open_orders(user, Priority.PROTECT)
    held = {c: p.size for c, p in state.positions.items() if c in coins and p.size}
    return Left(held, tuple(one for one in orders if cloids.owns(one.cloid)))


class Flattening:
    """Closes what a deployment holds.

    Args:
        session: verified, with a key that may trade.
        coins: whose positions are closed.
        tell: called with each step in words.
        sleep: waits seconds; replaced in tests.
    """

    def __init__(
        self,
        session: Session,
        coins: Iterable[str],
        tell: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session, self._coins = session, tuple(coins)
        self._tell, self._sleep = tell, sleep
        self._sent: set[str] = set()
        self._resting = False

    def run(self) -> Left:
        """Cancel and close until nothing is left or nothing helps; return what was left.

        Raises:
            NetworkError: the exchange can't be read, so that nothing is known.
        """
        dry, rung = 0, 0
        self._cancel()
        left = self.look()
        while left.positions and dry < _DRY_ATTEMPTS:
            before = sum(map(abs, left.positions.values()))
            for coin, size in left.positions.items():
                self._close(coin, size, _BOUNDS[min(rung, len(_BOUNDS) - 1)])
            left = self.look()
            after = sum(map(abs, left.positions.values()))
            dry, rung = (0 if after < before else dry + 1), rung + 1
            if left.positions:
                self._sleep(_REST_S if self._resting else 0.5)
                self._cancel()
                left = self.look()
        self._cancel()  # stops and targets last: until here they protected
        return self.look()

    def look(self) -> Left:
        """Return what there is now."""
        session = self._session
        return _look(session.rest, session.sender.account, self._coins, session.cloids)

    def _cancel(self) -> None:
        """Cancel own orders: entries at once, what protects a position only when it is gone."""
        left = self.look()
        kept = [o for o in left.orders if o.reduce_only and o.coin in left.positions]
        orders = [o for o in left.orders if o not in kept or o.cloid in self._sent]
        for first in range(0, len(orders), _BATCH):
            batch = orders[first : first + _BATCH]
            self._tell(f"cancelling {len(batch)} orders")
            pairs = [(self._asset(o.coin), o.cloid) for o in batch if o.cloid is not None]
            self._try(lambda pairs=pairs: self._session.sender.cancel(pairs, "flatten"))  # type: ignore[misc]

    def _close(self, coin: str, size: Decimal, bound: float) -> None:
        asset, buy = self._asset(coin), size < 0
        mid = self._session.rest.mids().get(coin)
        if mid is None:
            self._tell(f"{coin}: no price")
            return
        cloid = self._session.cloids.make("flatten", coin, time.time_ns())
        self._sent.add(cloid)
        if self._resting:
            # Post-only: a tick on our side of the middle, where it can't trade at once.
            toward = wire.Toward.DOWN if buy else wire.Toward.UP
            price, tif = wire.move_price(mid, asset.size_decimals, toward), Tif.ALO
        else:
            price, tif = bounded(float(mid), buy, bound, asset), Tif.IOC
        self._tell(f"{coin}: closing {size:+f} at {price} or better ({tif})")
        order = OrderRequest(asset, buy, price, abs(size), cloid, tif, reduce_only=True)
        found = self._try(
            lambda: self._session.sender.place([order], "flatten", priority=Priority.PROTECT)
        )
        for one in found:
            if one.state is State.REFUSED:
                self._tell(f"{coin}: refused: {one.text}")
                self._resting |= one.reason is Reason.POST_ONLY_WINDOW

    def _try(self, act: Callable[[], tuple[Outcome, ...]]) -> tuple[Outcome, ...]:
        """Return what came of *act*, nothing when it failed: the next look shows what is true."""
        try:
            return act()
        except (NetworkError, OutcomeUnknown, ExchangeError) as error:
            self._tell(f"failed: {error}")
            self._settle()
            return ()

    def _settle(self) -> None:
        try:
            self._session.resolver.recover()
        except FtbtError as error:
            self._tell(f"not settled: {error}")

    def _asset(self, coin: str) -> Asset:
        return self._session.universe[coin]
