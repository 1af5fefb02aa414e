"""The venue's refusals: what is checked, the texts, and the order status each leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ftbt.localnet.assets import Asset
from ftbt.localnet.numbers import canonical, is_on_tick, lot

MAX_BATCH = 200
MAX_OPEN_ORDERS = 1000
MISSING_ORDER = "Order was never placed, already canceled, or filled."
NO_MODIFY = "Cannot modify canceled or filled order"
OVERWEIGHT = "Signed action over weight limit of 200."
ISOLATED_TOO_SMALL = (
    "Isolated position does not have sufficient margin available to decrease leverage."
    " To decrease leverage, add margin to the position."
)
CROSS_TOO_SMALL = (
    "Cross position does not have sufficient margin available to decrease leverage."
    " To decrease leverage, deposit more collateral."
)
POST_ONLY_WINDOW = "Only post-only orders allowed immediately after a network upgrade"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is not taken.

    Attributes:
        text: what the client reads.
        status: the order status of the record, or "" when none is kept.
        whole: the refusal ends the whole batch.
    """

    text: str
    status: str = ""
    whole: bool = False

    def message(self, asset: int) -> str:
        """Return the text as the venue sends it."""
        return self.text if self.whole else f"{self.text} asset={asset}"


TICK = Refusal("Price must be divisible by tick size.", "tickRejected")
MARGIN = Refusal("Insufficient margin to place order.", "perpMarginRejected")
REDUCE_ONLY = Refusal("Reduce only order would increase position.", "reduceOnlyRejected")
NO_MATCH = Refusal(
    "Order could not immediately match against any resting orders.", "iocCancelRejected"
)
BAD_TRIGGER = Refusal("Invalid TP/SL price.", "badTriggerPxRejected")
NO_LIQUIDITY = Refusal("No liquidity available for market order.", "marketOrderNoLiquidityRejected")
MAX_POSITION = Refusal(
    "Order would cause position to exceed margin tier limit at current leverage",
    "perpMaxPositionRejected",
)
ORACLE = Refusal("Order price too far from oracle", "oracleRejected")
TOO_MANY = Refusal("Too many open orders.", "tooManyOpenOrdersRejected")
POST_ONLY = Refusal(POST_ONLY_WINDOW)
DELISTED = Refusal("Trading is disabled for this asset.", "rejected")

INVALID_PRICE = Refusal("Order has invalid price.", whole=True)
INVALID_SIZE = Refusal("Order has invalid size.", whole=True)
ZERO_SIZE = Refusal("Order has zero size.", whole=True)
FAR_PRICE = Refusal("Order price cannot be more than 95% away from the reference price", whole=True)
NOT_REDUCE_ONLY = Refusal("TP/SL orders must be reduce only.", whole=True)
BAD_GROUP = Refusal("Main order cannot be trigger order.", whole=True)

_FAR = Decimal("0.95")


def too_small(asset: Asset) -> Refusal:
    """Return the refusal of an order below the smallest notional."""
    least = canonical(asset.min_notional)
    return Refusal(f"Order must have minimum value of ${least}.", "minTradeNtlRejected")


def crossed(bid: str, ask: str) -> Refusal:
    """Return the refusal of a post-only order that would take liquidity."""
    return Refusal(
        f"Post only order would have immediately matched, bbo was {bid}@{ask}.", "badAloPxRejected"
    )


def check_static(asset: Asset, price: Decimal, size: Decimal, reference: Decimal) -> Refusal | None:
    """Return what is wrong with the numbers of an order, whatever the account holds.

    *size* is 0 for "the whole position"; callers allow that only where it means something.
    """
    if price <= 0:
        return INVALID_PRICE
    if size % lot(asset.size_decimals):
        return INVALID_SIZE
    if abs(price - reference) > _FAR * reference:
        return FAR_PRICE
    return None


def check_tick(asset: Asset, *prices: Decimal) -> Refusal | None:
    """Return the refusal when one of *prices* is not on the tick."""
    if all(is_on_tick(price, asset.size_decimals) for price in prices):
        return None
    return TICK
