"""Both engines give the same answer to any question: orders, fills, trades, equity, refusals."""

from __future__ import annotations

import hypothesis
import numpy as np
from hypothesis import Phase, given
from hypothesis import strategies as st
from parity_kit import (
    ROW,
    RULES,
    SETTINGS,
    ByCode,
    Question,
    parameters,
    sometimes,
)  # fmt: skip

from ftbt.backtest.parity import compare
from ftbt.strategy.parameters import ranges_of


def assert_same(one, other):
    """Assert that two results are equal, to the last bit."""
    assert compare(one, other) == ""
    for table in ("orders", "fills", "trades"):
        left, right = getattr(one, table), getattr(other, table)
        for name in left.dtype.names:
            np.testing.assert_array_equal(left[name], right[name], f"{table}: {name}")
    np.testing.assert_array_equal(one.equity, other.equity)


def assert_answers_agree(question):
    """Assert that both engines answer *question* alike; return the answer."""
    answer = question.ask("compiled")
    assert_same(answer, question.ask("reference"))
    return answer


@st.composite
def questions(draw, most=25):
    """Return random questions on small tables."""
    fine = draw(sometimes(15, 5))
    bars = draw(st.lists(st.tuples(*[ROW] * (15 // fine)), min_size=2, max_size=most))
    rows = [row for bar in bars for row in bar]
    end = 15 * len(bars)
    payments = st.tuples(st.integers(-60, end + 60), st.floats(-0.05, 0.05))
    return Question(
        rows=rows,
        fine=fine,
        missing=frozenset(draw(st.sets(st.integers(0, len(rows) - 1), max_size=4))),
        tick=draw(sometimes(1.0, 0.01, 250.0, 1e-4)),
        level=draw(sometimes(100, 30, 2000)),
        funding=draw(st.lists(payments, max_size=6)),
        late=draw(sometimes(0, 40, 59_999)),
        settings=draw(SETTINGS),
        rules=draw(RULES),
        parameters=draw(parameters(ranges_of(ByCode))),
        trade_from=draw(st.integers(0, len(bars) - 1)),
    )


# Without the phase that explains: it takes longer than all the others.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
FEW = hypothesis.settings(deadline=None, max_examples=250, phases=PHASES)


@FEW
@given(questions())
def test_engines_agree_on_small_tables(question):
    """Any setups on any small market give the same result, to the last bit, on both engines."""
    assert_answers_agree(question)
