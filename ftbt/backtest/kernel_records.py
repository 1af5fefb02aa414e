"""The records that the compiled execution model works on.

A run's whole state is one BOOK and one ACCOUNT. They hold no arrays from outside on purpose: a
record goes from one compiled function to the next as a bare address, while every array that is
handed on costs two atomic counts of its owners - more than most rules here take.
"""

from __future__ import annotations

import math

import numpy as np

from ftbt.backtest.result import FILL, TRADE, ExitReason, Kind, Role, Status

# Places for orders: an entry, its stop and targets, an exit, and what the broker itself closes.
SLOTS = 8
REFUSALS = 16

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
        # counts of the run
        ("orders", "i8"),
        ("fills", "i8"),
        ("trades", "i8"),
        ("refused", "i8", (REFUSALS,)),
        ("no_margin", "i8"),
        # the symbol's rules
        ("decimals", "i8"),
        ("leverage", "f8"),
        ("maintenance", "f8"),
    ],
    align=True,
)
ACCOUNT = np.dtype([("cash", "f8"), ("taker", "f8"), ("maker", "f8")], align=True)

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
TURN_DONE = 0
TURN_DUE = 1
TURN_LATE = 2  # only a stop has one, and after all others
