"""What every strategy promises beside the audit: all engines do the same, bit for bit.

That nothing a strategy does depends on a later bar is checked by `ftbt.robustness.audit`.
"""

from __future__ import annotations

from ftbt.backtest.result import ORDER, Result
from ftbt.robustness.lookahead.compare import differs


def must_be_same(one: Result, two: Result, what: str) -> None:
    """Assert that two results are the same orders, fills, trades and equity, bit for bit."""
    for name in ("orders", "fills", "trades"):
        left, right = getattr(one, name), getattr(two, name)
        assert len(left) == len(right), f"{what}: {len(right)} {name} instead of {len(left)}"
        for a, b in zip(left, right, strict=True):
            assert not differs(a, b), f"{what}: {name}: {differs(a, b)}"
    assert one.equity.tobytes() == two.equity.tobytes(), f"{what}: the equity differs"
    assert one.orders.dtype == ORDER
    assert dict(one.refused) == dict(two.refused), f"{what}: the refusals differ"
