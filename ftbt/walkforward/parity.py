"""The check that both engines say the same: every window's test runs on both.

The compiled engine searches; what it chose is run once more on the reference engine, on the bars
that nobody optimised on. Same trades, same prices, same curve: a difference is a bug of ftbt, and
the window that shows it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.result import TRADE, Records
from ftbt.backtest.settings import Settings
from ftbt.errors import IntegrityError
from ftbt.risk.allocation import Allocation
from ftbt.walkforward.evaluate import Evaluation, evaluate
from ftbt.walkforward.pieces import SymbolPieces

# The same arithmetic in the same order: what remains is a last bit here and there.
TOLERANCE = 1e-9
EXACT = tuple(name for name in TRADE.names or () if TRADE[name].kind == "i")
CLOSE = tuple(name for name in TRADE.names or () if TRADE[name].kind == "f")


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two engines agree on one test.

    Attributes:
        trades: of the engine that made more.
        identical: that both made, alike in every field.
        equity_gap: largest difference of the curves, relative to the capital.
    """

    trades: int
    identical: int
    equity_gap: float

    @property
    def agree(self) -> bool:
        """True when nothing differs."""
        return self.identical == self.trades and self.equity_gap <= TOLERANCE


def checked_on_reference(
    sleeves: Sequence[Sleeve],
    symbols: Sequence[SymbolPieces],
    settings: Settings,
    found: Evaluation,
    allocation: Allocation | None = None,
) -> Parity | None:
    """Return the comparison of *found* with the reference engine; None when that made it.

    Raises:
        IntegrityError: when they differ.
    """
    if "compiled" not in found.engine:
        return None
    other = evaluate(sleeves, symbols, settings, "reference", allocation=allocation)
    parity = compare(found, other)
    if not parity.agree:
        raise IntegrityError(
            f"the engines disagree: {parity.identical} of {parity.trades} trades are identical,"
            f" equity differs by up to {parity.equity_gap:.3g} of the capital; this is a bug of"
            " ftbt: please report it with the run folder, and use --engine reference meanwhile"
        )
    return parity


def compare(one: Evaluation, two: Evaluation) -> Parity:
    """Return how far two evaluations of the same bars agree."""
    trades = max(len(one.trades), len(two.trades))
    identical = _identical(one.trades, two.trades)
    gap = float(np.max(np.abs(one.equity - two.equity), initial=0.0)) / one.capital
    return Parity(trades, identical, gap)


def _identical(a: Records, b: Records) -> int:
    shared = min(len(a), len(b))
    same = np.ones(shared, dtype=bool)
    for name in EXACT:
        same &= a[name][:shared] == b[name][:shared]
    for name in CLOSE:
        same &= np.isclose(
            a[name][:shared], b[name][:shared], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
        )
    return int(np.count_nonzero(same))
