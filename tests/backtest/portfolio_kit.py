"""Random questions on several symbols and strategies, for both engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from parity_kit import (
    LIMITS,
    ROW,
    RULES,
    SETTINGS,
    ByCode,
    Question,
    any_limits,
    long_question,
    parameters,
    sometimes,
)

from ftbt.backtest.engine import run_portfolio
from ftbt.backtest.portfolio import Sleeve, Stretch
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.strategy.parameters import ranges_of

SYMBOLS = ("AAA", "BBB", "CCC")


@dataclass(frozen=True)
class Account:
    """What both engines are asked of several symbols and strategies on one account.

    Attributes:
        stretches: each a market of its own; those of one symbol do not overlap.
        sleeves: parameters and share of each strategy.
        settings: of the account.
        allocation: whether shares shrink.
    """

    stretches: Sequence[Question]
    sleeves: Sequence[tuple[dict[str, Any], float]]
    settings: dict[str, Any] = field(default_factory=dict)
    allocation: Allocation = field(default_factory=Allocation)

    def ask(self, engine: str) -> Result:
        """Return the answer of *engine*."""
        return run_portfolio(
            [Sleeve(ByCode, values, share) for values, share in self.sleeves],
            [Stretch(one.market(), one.trade_from) for one in self.stretches],
            Settings(**{"limits": Limits.none(), **self.settings}),
            allocation=self.allocation,
            engine=engine,
        )


ALLOCATIONS = st.builds(
    Allocation,
    drawdown_aware=st.booleans(),
    cut_at=sometimes(0.2, 0.01, 0.05),
    floor=sometimes(0.25, 0.0, 1.0),
)


@st.composite
def stretches(draw, most):
    """Return the candles of up to three symbols; one of them may have a hole."""
    found: list[Question] = []
    for symbol in SYMBOLS[: draw(sometimes(2, 3, 1))]:
        start = draw(sometimes(0, 0, 1, 5))
        rules, level = draw(RULES), draw(sometimes(100, 30, 2000))
        for _ in range(draw(sometimes(1, 1, 2))):
            fine = draw(sometimes(15, 15, 5))
            bars = draw(st.lists(st.tuples(*[ROW] * (15 // fine)), min_size=2, max_size=most))
            payments = st.tuples(st.integers(-60, 15 * len(bars)), st.floats(-0.05, 0.05))
            found.append(
                Question(
                    rows=[row for bar in bars for row in bar],
                    fine=fine,
                    tick=draw(sometimes(1.0, 0.01, 250.0)),
                    level=level,
                    funding=draw(st.lists(payments, max_size=3)),
                    symbol=symbol,
                    start=start,
                    rules=rules,
                    trade_from=draw(st.integers(0, len(bars) - 1)),
                )
            )
            start += len(bars) + draw(sometimes(1, 4))
    return found


@st.composite
def accounts(draw, most=12):
    """Return random questions of small tables."""
    count = draw(sometimes(1, 2, 3))
    own = [draw(parameters(ranges_of(ByCode))) for _ in range(count)]
    for number, values in enumerate(own):
        values["turn"] = (1, 7, 31)[number]
    shares = [draw(sometimes(1.0 / count, 0.5 / count, 0.0)) for _ in range(count)]
    return Account(
        stretches=draw(stretches(most)),
        sleeves=list(zip(own, shares, strict=True)),
        settings={**draw(SETTINGS), "limits": draw(LIMITS)},
        allocation=draw(ALLOCATIONS),
    )


def long_account(seed: int, bars: int) -> Account:
    """Return a random question on long markets that move together, with holes."""
    random = np.random.default_rng(seed)
    count, several = int(random.integers(1, 4)), int(random.integers(1, 4))
    found: list[Question] = []
    for number in range(several):
        start = int(random.choice([0, 0, 3, bars // 3]))
        rules = long_question(seed + 29 * (number + 1), 8).rules
        for part in range(int(random.integers(1, 3))):
            like = long_question(seed + 1000 * part, bars)  # the same moves for all symbols
            other = long_question(seed + 17 * (number + 1) + part, bars)
            if random.random() < 0.5:
                like = other
            found.append(
                dataclasses.replace(
                    like,
                    symbol=SYMBOLS[number],
                    start=start,
                    rules=rules,
                    level=other.level,
                    tick=other.tick,
                )
            )
            start += len(like.rows) * like.fine // 15 + int(random.integers(1, 20))
    sleeves = []
    for number in range(count):
        values = {"unit": float(random.choice([0.003, 0.01, 0.03])), "max_bars": 40}
        if random.random() < 0.3:
            values = dict(long_question(seed + 31 * number, 8).parameters)
        values["turn"] = (1, 7, 31)[number]
        sleeves.append((values, float(random.choice([1.0, 0.5])) / count))
    settings = {**long_question(seed, 8).settings, "limits": any_limits(random, none=0.2)}
    settings["capital"] = max(settings["capital"], 10_000.0)
    allocation = Allocation(
        drawdown_aware=bool(random.random() < 0.3), cut_at=float(random.choice([0.05, 0.2]))
    )
    return Account(found, sleeves, settings, allocation)
