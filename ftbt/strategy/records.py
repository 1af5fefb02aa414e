"""The records that rules, decisions and engines exchange, and the codes inside them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from ftbt.risk.limits import ROOM, Rule

MARKET = 1
LIMIT = 2
STOP = 3
STOP_LIMIT = 4

# What a setup rule fills in at one bar close. It arrives cleared: side 0, prices NaN.
SETUP = np.dtype(
    [
        ("side", "i8"),  # +1 long, -1 short, 0 nothing
        ("kind", "i8"),  # MARKET, LIMIT, STOP or STOP_LIMIT entry
        ("entry", "f8"),  # limit or trigger price; not read for a market entry
        ("limit", "f8"),  # limit of a stop-limit entry
        ("stop", "f8"),  # price that ends the idea
        ("target1", "f8"),  # NaN: no target
        ("target2", "f8"),  # NaN: everything leaves at target 1
        ("confidence", "f8"),  # 0 to 100
        ("reason", "i8"),  # index into the strategy's `reasons`
        ("exit_long", "i8"),  # 1: an open long is invalidated at this close
        ("exit_short", "i8"),
    ],
    align=True,
)

# What the strategy knows of its own position at a bar close.
VIEW = np.dtype(
    [
        ("position", "f8"),  # signed size
        ("bars_held", "i8"),  # bars since the entry filled, the entry bar included
        ("pending", "i8"),  # side of the entry order that waits, 0 for none
        ("pending_bars", "i8"),  # bars it has waited
        ("leaving", "i8"),  # 1: a closing market order is under way
        ("equity", "f8"),  # that sizes are taken of: the strategy's share of the account
        ("room", ROOM),  # what the limits on risk leave
    ],
    align=True,
)

# What holds for the symbol and account.
RULES = np.dtype(
    [
        ("size_decimals", "i8"),
        ("min_notional", "f8"),
        ("leverage", "f8"),
        ("cost_rate", "f8"),  # taker fee + half spread
    ],
    align=True,
)

# What is to be done until the next close.
INTENT = np.dtype(
    [
        ("action", "i8"),  # NOTHING, ENTER, CANCEL or EXIT
        ("exit_reason", "i8"),  # of EXIT
        ("refusal", "i8"),  # why the setup of this bar is not taken, 0 when it is
        ("figure", "f8"),  # of the refusal: what was measured, NaN when nothing was
        ("boundary", "f8"),  # of the refusal: what it should have been within
        ("side", "i8"),
        ("kind", "i8"),
        ("size", "f8"),
        ("size1", "f8"),  # part that leaves at target 1
        ("entry", "f8"),
        ("limit", "f8"),
        ("stop", "f8"),
        ("target1", "f8"),
        ("target2", "f8"),
        ("confidence", "f8"),
        ("reason", "i8"),
        ("bound", "i8"),  # what decided the size: risk, notional, margin or exposure
    ],
    align=True,
)

NOTHING = 0
ENTER = 1
CANCEL = 2
EXIT = 3

EXIT_TIME = 4  # the same numbers as in backtest.result.ExitReason
EXIT_INVALIDATION = 5


class Refusal(IntEnum):
    """Why a setup was not taken."""

    IN_POSITION = 1
    ENTRY_PENDING = 2
    DIRECTION = 3
    LOW_CONFIDENCE = 4
    BAD_GEOMETRY = 5  # stop or target on the wrong side of the entry
    LOW_REWARD = 6  # reward to risk below min_rr
    MIN_NOTIONAL = 7
    NO_EQUITY = 8
    DRAWDOWN = int(Rule.DRAWDOWN)
    WEEKLY_LOSS = int(Rule.WEEKLY_LOSS)
    DAILY_LOSS = int(Rule.DAILY_LOSS)
    TRADES_PER_DAY = int(Rule.TRADES_PER_DAY)
    POSITIONS = int(Rule.POSITIONS)
    ONE_PER_SYMBOL = int(Rule.ONE_PER_SYMBOL)
    TOTAL_EXPOSURE = int(Rule.TOTAL_EXPOSURE)
    GROUP_EXPOSURE = int(Rule.GROUP_EXPOSURE)
    NO_MARGIN = 17  # found at the fill, by the account itself
    RISK_PER_TRADE = 18  # a user's own order whose stop is too far for its size
    NOT_LIVE = 19  # live only: old data, a broken connection, or trouble with the account


REFUSAL_WORDS = {
    Refusal.IN_POSITION: "already in a position",
    Refusal.ENTRY_PENDING: "an entry is already waiting",
    Refusal.DIRECTION: "direction not allowed",
    Refusal.LOW_CONFIDENCE: "confidence too low",
    Refusal.BAD_GEOMETRY: "stop or target on the wrong side",
    Refusal.LOW_REWARD: "reward to risk too low",
    Refusal.MIN_NOTIONAL: "below the smallest order",
    Refusal.NO_EQUITY: "no equity",
    Refusal.DRAWDOWN: "drawdown breaker",
    Refusal.WEEKLY_LOSS: "weekly loss",
    Refusal.DAILY_LOSS: "daily loss",
    Refusal.TRADES_PER_DAY: "trades per day",
    Refusal.POSITIONS: "concurrent positions",
    Refusal.ONE_PER_SYMBOL: "one position per symbol",
    Refusal.TOTAL_EXPOSURE: "total exposure",
    Refusal.GROUP_EXPOSURE: "exposure of a correlated group",
    Refusal.NO_MARGIN: "not enough margin",
    Refusal.RISK_PER_TRADE: "risk per trade",
    Refusal.NOT_LIVE: "not ready to trade",
}

# Of these, how they stand in tables: `figure` of `boundary`.
LIMIT_REFUSALS = tuple(Refusal(rule) for rule in Rule)
