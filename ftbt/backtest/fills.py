"""Fill prices inside one bar: the execution model's table, and the only place that decides them.

Scalar functions over one bar's open, high, low and close, or one detail bar's. `side` is +1 to
buy and -1 to sell; everything is written for a buy and mirrored by the sign. NaN means: no fill.
Prices are neither rounded nor slipped here, except by `slipped`.

Within a bar, "at the open" comes before "inside": an order that fills at the open sees the whole
bar, one that fills inside it fills at a moment that the bar does not tell.
"""

from __future__ import annotations

import math

from ftbt.compiled import compiled
from ftbt.data.precision import lowest_price, worse_price

NAN = math.nan


@compiled
def limit_at_open(side: float, limit: float, open_: float) -> float:
    """Return the open when it is at the limit or better (buy: O <= limit), else NaN."""
    return open_ if side * open_ <= side * limit else NAN


@compiled
def limit_inside(side: float, limit: float, high: float, low: float) -> float:
    """Return the limit when the bar trades THROUGH it (buy: L < limit), else NaN.

    A bar that only touches the limit does not fill it: others were first in the queue.
    """
    through = low < limit if side > 0 else high > limit
    return limit if through else NAN


@compiled
def stop_at_open(side: float, stop: float, open_: float) -> float:
    """Return the open when the bar opens at or beyond the stop (buy: O >= stop), else NaN."""
    return open_ if side * open_ >= side * stop else NAN


@compiled
def stop_inside(side: float, stop: float, high: float, low: float) -> float:
    """Return the stop when the bar reaches it (buy: H >= stop), else NaN.

    Ask `stop_at_open` first: after a gap the fill is the open.
    """
    reached = high >= stop if side > 0 else low <= stop
    return stop if reached else NAN


@compiled
def slipped(side: float, price: float, fraction: float, size_decimals: int) -> float:
    """Return *price* made worse by *fraction* of it: higher for a buy, lower for a sell.

    What is paid is a price of the book, so it is on the tick: the next one that is no better.
    Without slippage the candle's own price is paid, wherever it comes from. Nobody sells for
    nothing: below the lowest price that there is no sale comes.
    """
    if fraction == 0.0:
        return price
    worse: float = worse_price(price * (1.0 + side * fraction), side, size_decimals)
    return worse if worse > 0.0 else min(price, lowest_price(size_decimals))


@compiled
def limit_on_arrival(
    side: float, limit: float, open_: float, fraction: float, size_decimals: int
) -> float:
    """Return what a limit pays that the open has passed when it arrives: like a market order.

    Its limit is the worst that it pays. Ask `limit_at_open` first.
    """
    worse: float = slipped(side, open_, fraction, size_decimals)
    return min(worse, limit) if side > 0 else max(worse, limit)


@compiled
def stop_limit_at_open(
    side: float,
    trigger: float,
    limit: float,
    open_: float,
    high: float,
    low: float,
    close: float,  # noqa: ARG001 - both stop-limit rules take the whole bar
) -> tuple[bool, float]:
    """Return whether a stop-limit triggers at the open, and its fill price in this bar or NaN.

    Triggered (buy: O >= trigger) it is a limit order that sees the whole bar: it fills at the
    open when O <= limit, later when the bar trades through the limit. The price is the limit, as
    the model has it, but never beyond the bar: a buy's is not above the high.
    """
    if not side * open_ >= side * trigger:
        return False, NAN
    within = side * open_ <= side * limit
    through = low < limit if side > 0 else high > limit
    return True, (_inside_bar(side, limit, high, low) if within or through else NAN)


@compiled
def stop_limit_inside(
    side: float,
    trigger: float,
    limit: float,
    open_: float,  # noqa: ARG001 - both stop-limit rules take the whole bar
    high: float,
    low: float,
    close: float,
) -> tuple[bool, float]:
    """Return whether a stop-limit triggers inside the bar, and its fill price there or NaN.

    Ask `stop_limit_at_open` first. The bar's extreme against the order (a buy's low) may have come
    before the trigger, so only the pessimistic path after it counts: trigger, high, close. A buy
    fills when that path trades through the limit: min(trigger, close) < limit.
    """
    reached = high >= trigger if side > 0 else low <= trigger
    if not reached:
        return False, NAN
    best = min(side * trigger, side * close)
    return True, (_inside_bar(side, limit, high, low) if best < side * limit else NAN)


@compiled
def _inside_bar(side: float, limit: float, high: float, low: float) -> float:
    return min(limit, high) if side > 0 else max(limit, low)


@compiled
def maintenance_fraction(max_leverage: float) -> float:
    """Return the maintenance margin as a fraction of the notional: 1 / (2 x maximum leverage)."""
    return 1.0 / (2.0 * max_leverage)


@compiled
def liquidation_price(size: float, mark: float, equity: float, fraction: float) -> float:
    """Return the price at which equity falls to the maintenance margin, NaN when there is none.

    Solves equity + size x (p - mark) = |size| x p x fraction for p.

    Args:
        size: signed position, in coins.
        mark: price at which *equity* was marked.
        equity: equity of the account at *mark*, quote currency.
        fraction: maintenance margin as a fraction of the notional, below 1.

    Returns:
        The price. A long that can lose its whole price without falling that low has none (NaN),
        and so has no position. A long whose price is above *mark* (a short's below) is due now.
    """
    slope = size - abs(size) * fraction
    if slope == 0.0:
        return NAN
    price = (size * mark - equity) / slope
    return price if price > 0.0 else NAN


@compiled
def bankruptcy_price(size: float, mark: float, equity: float) -> float:
    """Return the price at which equity is zero, NaN when there is none above zero."""
    return liquidation_price(size, mark, equity, 0.0)
