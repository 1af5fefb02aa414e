"""Why a trade came out otherwise than in the back-test: the closed list of causes.

Every difference of `ftbt.live.parity` has exactly one of them. `UNEXPLAINED` is one, too: it means
that nothing known accounts for the difference, and that it should be looked into.
"""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """A named cause. Which evidence it needs: `ftbt.live.explain`."""

    NOT_LIVE = "missed: bot was not live"
    REFUSED_BY_EXCHANGE = "refused by exchange"
    REFUSED_BY_LIMIT = "refused by a limit"
    FOLLOWS = "follows an earlier difference"
    LATE = "late: sent after the bar's open"
    OPEN_FIRST = "the open traded before the decision"
    PARTIAL_FILL = "partial fill"
    PASSED = "target placed after the price had passed"
    TOUCHED = "price only touched"
    INSIDE_BAR = "order inside a bar without detail bars"
    INSIDE_DETAIL = "order inside a detail bar"
    GAP = "gap: the order's price or the open"
    SLIPPAGE = "slippage"
    EQUITY = "size: equity differed"
    LIQUIDITY_ROLE = "maker or taker"
    FEE_TIER = "fee tier"
    FUNDING = "funding"
    STOPPED = "bot was stopped"
    FAULT = "injected fault"
    UNEXPLAINED = "unexplained"


MEANINGS = {
    Cause.NOT_LIVE: "The bot decided nothing at the bar after which the back-test sent the order.",
    Cause.REFUSED_BY_EXCHANGE: "The exchange refused the order, or cancelled it; its words are"
    " told.",
    Cause.REFUSED_BY_LIMIT: "A limit on risk, the smallest order or the margin refused it on one"
    " side only.",
    Cause.FOLLOWS: "The account was in another position, or its limits left other room, because an"
    " earlier trade had differed.",
    Cause.LATE: "A market order reached the exchange in a later bar.",
    Cause.OPEN_FIRST: "The order was to be cancelled at a bar's close, but the next open filled it"
    " first.",
    Cause.PARTIAL_FILL: "An order was filled in part only.",
    Cause.PASSED: "The target reached the exchange when the price was beyond it: it took liquidity"
    " at once.",
    Cause.TOUCHED: "The market touched a limit price without trading through it: the back-test"
    " does not count that as a fill.",
    Cause.INSIDE_BAR: "Two of the trade's prices lie in one bar, and no detail bars tell which"
    " came first.",
    Cause.INSIDE_DETAIL: "Two of the trade's prices lie in one detail bar.",
    Cause.GAP: "A resting limit that a gap had passed filled at its own price on one side, at the"
    " open on the other.",
    Cause.SLIPPAGE: "A market or stop order filled at another price.",
    Cause.EQUITY: "The size follows from the equity, and that was another.",
    Cause.LIQUIDITY_ROLE: "An order made liquidity on one side and took it on the other.",
    Cause.FEE_TIER: "Fees were charged at another rate.",
    Cause.FUNDING: "Other funding was paid: other rates, or none in the candles' data.",
    Cause.STOPPED: "The bot was stopped before the trade ended.",
    Cause.FAULT: "A fault was injected while the trade lived, and nothing else explains it.",
    Cause.UNEXPLAINED: "Nothing that is known explains it. Look into it.",
}
