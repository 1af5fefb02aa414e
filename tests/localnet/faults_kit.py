"""Orders for the tests of faults on demand."""

from __future__ import annotations

from typing import Any

from hyperliquid.utils.types import Cloid

CLOIDS = iter(range(1000, 100_000))


def resting(exchange: Any, info: Any, cloid: Cloid | None = None) -> Any:
    """Place an order that rests and return the answer."""
    price = round(float(info.all_mids()["BTC"]) * 0.95)
    cloid = cloid or Cloid.from_int(next(CLOIDS))
    return exchange.order("BTC", True, 0.01, price, {"limit": {"tif": "Gtc"}}, cloid=cloid)


def statuses(answer: Any) -> Any:
    """Return the statuses of an answer to an action."""
    return answer["response"]["data"]["statuses"]
