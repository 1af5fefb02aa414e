"""The records that the compiled execution model works on.

A run's whole state is one ACCOUNT, and one BOOK for each stretch of candles. They hold no arrays
from outside on purpose: a record goes from one compiled function to the next as a bare address,
while every array that is handed on costs two atomic counts of its owners - more than most rules
here take.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.backtest.result import FILL, REFUSED, TRADE, ExitReason, Kind, Role, Status
from ftbt.risk.limits import RISK
from ftbt.strategy.records import Refusal

# What a bar may bring beside its prices: `Joined.marks`.
FUNDED = 1
DETAILED = 2

# Places for orders: an entry, its stop and targets, an exit, and what the broker itself closes.
SLOTS = 8

# One order: as the result will show it, and what the walk needs of it.
SLOT = np.dtype(
    [
        ("number", "i8"),
        ("parent", "i8"),
        ("bar", "i8"),
        ("side", "i8"),
        ("kind", "i8"),
        ("role", "i8"),
        ("size", "f8"),
        ("price", "f8"),
        ("limit", "f8"),
        ("filled", "f8"),
        ("status", "i8"),
        ("end_bar", "i8"),
        ("remaining", "f8"),
        ("active", "i8"),
        ("rests", "i8"),
        ("triggered", "i8"),
        ("reduces", "i8"),
        ("break_even", "i8"),
        ("moved", "i8"),
        ("exit_reason", "i8"),
        ("turn", "i8"),  # in the sweep through the orders that is under way
    ],
    align=True,
)
BOOK = np.dtype(
    [
        ("slot", SLOT, (SLOTS,)),
        ("n", "i8"),
        ("owner", "i8"),  # sleeve that holds the symbol or waits to
        ("position", "f8"),
        ("mean", "f8"),
        ("price", "f8"),
        ("bar", "i8"),
        ("time", "i8"),
        ("opening", "i8"),
        # a bar that stays above the floor and below the ceiling reaches nothing
        ("floor", "f8"),
        ("ceiling", "f8"),
        ("begun", "i8"),  # bar whose funding at the open is paid
        # the bracket
        ("left", "f8"),
        ("entry_price", "f8"),
        ("target_hit", "i8"),
        ("stop", "f8"),
        ("target1", "f8"),
        ("target2", "f8"),
        ("confidence", "f8"),
        ("reason", "i8"),
        # what the decision remembers
        ("asked_bar", "i8"),
        ("filled_bar", "i8"),
        ("leaving", "i8"),
        ("wake", "i8"),  # bar from which the owner decides even without a setup
        # the trade in progress
        ("trading", "i8"),
        ("entry_bar", "i8"),
        ("entry_time", "i8"),
        ("side", "i8"),
        ("bought", "f8"),
        ("bought_value", "f8"),
        ("sold", "f8"),
        ("sold_value", "f8"),
        ("largest", "f8"),
        ("fees", "f8"),
        ("funding", "f8"),
        ("slippage", "f8"),
        # what is not in the tables yet
        ("fill", FILL, (SLOTS,)),
        ("n_fills", "i8"),
        ("trade", TRADE, (2,)),
        ("n_trades", "i8"),
        ("refusal", REFUSED, (SLOTS,)),
        ("n_refusals", "i8"),
        # the symbol and its rules
        ("symbol", "i8"),
        ("decimals", "i8"),
        ("leverage", "f8"),
        ("maintenance", "f8"),
    ],
    align=True,
)
ACCOUNT = np.dtype(
    [
        ("cash", "f8"),
        ("taker", "f8"),
        ("maker", "f8"),
        # what the other symbols add while one is on its way along a bar
        ("others", "f8"),  # open profit
        ("others_margin", "f8"),
        ("others_maintenance", "f8"),
        ("time", "i8"),  # open of the bar in progress
        ("risk", RISK),
        # rows in the tables
        ("orders", "i8"),
        ("fills", "i8"),
        ("trades", "i8"),
        ("refusals", "i8"),
        # whether shares shrink in a drawdown, and how
        ("shrinks", "i8"),
        ("cut_at", "f8"),
        ("floor", "f8"),
    ],
    align=True,
)
# A strategy's part of the account.
SLEEVE = np.dtype(
    [
        ("share", "f8"),
        ("start", "f8"),  # its capital
        ("earned", "f8"),
        ("peak", "f8"),
        ("scale", "f8"),
    ],
    align=True,
)
# Where a stretch of candles lies: in the arrays of all bars, and on the clock.
STRETCH = np.dtype(
    [("offset", "i8"), ("start", "i8"), ("count", "i8"), ("first", "i8"), ("symbol", "i8")]
)
# One strategy object: what it says, from `k` to `stop` in the arrays of all setups.
LEG = np.dtype([("sleeve", "i8"), ("stretch", "i8"), ("first", "i8"), ("k", "i8"), ("stop", "i8")])

# Plain integers: compiled code takes them as constants.
NAN = math.nan
MARKET = int(Kind.MARKET)
LIMIT = int(Kind.LIMIT)
STOP = int(Kind.STOP)
STOP_LIMIT = int(Kind.STOP_LIMIT)
ENTRY_ROLE = int(Role.ENTRY)
STOP_ROLE = int(Role.STOP)
TARGET1_ROLE = int(Role.TARGET1)
TARGET2_ROLE = int(Role.TARGET2)
EXIT_ROLE = int(Role.EXIT)
OPEN = int(Status.OPEN)
FILLED = int(Status.FILLED)
CANCELLED = int(Status.CANCELLED)
MARGIN = int(Status.MARGIN)
BY_STOP = int(ExitReason.STOP)
BY_TARGET1 = int(ExitReason.TARGET1)
BY_TARGET2 = int(ExitReason.TARGET2)
BY_BREAK_EVEN = int(ExitReason.BREAK_EVEN)
BY_LIQUIDATION = int(ExitReason.LIQUIDATION)
AT_END = int(ExitReason.END)
NO_MARGIN = int(Refusal.NO_MARGIN)
TURN_DONE = 0
TURN_DUE = 1
TURN_LATE = 2  # only a stop has one, and after all others
