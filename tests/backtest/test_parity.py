"""Both engines give the same answer to any question: orders, fills, trades, equity, refusals."""

from __future__ import annotations

import dataclasses
from functools import cache

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import strategies as st
from parity_kit import (
    ROW,
    RULES,
    SETTINGS,
    ByCode,
    Question,
    code_of,
    long_question,
    parameters,
    sometimes,
)

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.parity import compare
from ftbt.backtest.result import ExitReason, Kind, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.data.sample import sample_market
from ftbt.strategy.loader import find_strategy, strategy_names
from ftbt.strategy.parameters import ranges_of
from ftbt.strategy.records import REFUSAL_WORDS, Refusal


def assert_same(one, other):
    """Assert that two results are equal, to the last bit."""
    assert compare(one, other) == ""
    for table in ("orders", "fills", "trades", "refusals"):
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
FEW = hypothesis.settings(deadline=None, max_examples=400, phases=PHASES)
MANY = hypothesis.settings(FEW, max_examples=10_000, suppress_health_check=list(HealthCheck))


# A sale at a price below the lowest one of the venue: once it was for nothing.
FALLEN = Question(
    rows=[*[(0, 0, 0, 0, 0)] * 9, (0, 0, 0, 0, 1), (0, 0, 0, 0, 0), (0, -1, 0, 0, 0),
          (-25, 0, 0, 0, 0), *[(0, 0, 0, 0, 0)] * 2],
    fine=5, tick=0.0001, level=30, parameters={"turn": 2},
)  # fmt: skip


@FEW
@given(questions())
@example(FALLEN)
def test_engines_agree_on_small_tables(question):
    """Any setups on any small market give the same result, to the last bit, on both engines."""
    assert_answers_agree(question)


@hypothesis.settings(FEW, max_examples=40)
@given(questions())
@example(FALLEN)
def test_the_compiled_engine_agrees_with_what_live_runs_do(question):
    """Lines and setups made one bar at a time, as live, give the same result to the last bit."""
    assert_same(question.ask("compiled"), question.ask("bar-by-bar"))


@pytest.mark.slow
@MANY
@given(questions(most=60))
def test_engines_agree_on_ten_thousand_tables(question):
    """Any setups on any small market give the same result, to the last bit, on both engines."""
    assert_answers_agree(question)


def test_engines_agree_on_long_markets():
    """Runs of many trades agree, and the questions do ask for everything that can happen."""
    answers = [assert_answers_agree(long_question(seed, 400)) for seed in range(60)]
    exits = {int(code) for answer in answers for code in answer.trades["exit_reason"]}
    assert exits == set(ExitReason) - {ExitReason.SIGNAL}
    ended = {int(code) for answer in answers for code in answer.orders["status"]}
    assert ended == {Status.FILLED, Status.CANCELLED, Status.MARGIN}
    entries = [answer.orders[answer.orders["role"] == Role.ENTRY] for answer in answers]
    filled = {int(kind) for orders in entries for kind in orders["kind"][orders["filled"] > 0]}
    assert filled == {Kind.MARKET, Kind.LIMIT, Kind.STOP, Kind.STOP_LIMIT}
    refused = {word for answer in answers for word in answer.refused}
    elsewhere = {
        Refusal.POSITIONS,  # of several symbols
        Refusal.ONE_PER_SYMBOL,
        Refusal.RISK_PER_TRADE,  # of a user's own orders
        Refusal.NOT_LIVE,
    }
    assert refused == {words for rule, words in REFUSAL_WORDS.items() if rule not in elsewhere}


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_engines_agree_on_thousands_of_long_markets(block):
    """Runs of many trades on markets of 800 bars agree."""
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        question = long_question(seed, 800)
        try:
            assert_answers_agree(question)
        except AssertionError as error:
            raise AssertionError(f"long_question({seed}, 800): {error}") from error


@cache
def sample():
    """Return 25 days of each symbol of the synthetic market, with one-minute detail."""
    return sample_market(days=25, detail=True, seed=11)


@st.composite
def shipped(draw):
    """Return a shipped strategy, any parameters, and a part of the synthetic market."""
    strategy = find_strategy(draw(st.sampled_from(strategy_names())))
    ranges = dict(ranges_of(strategy.load()))
    values = draw(parameters(ranges))
    # At a confidence of 80 or a reward of 5 nothing is ever traded.
    values["min_confidence"] = draw(sometimes(0.0, 20.0, 40.0))
    values["min_rr"] = draw(sometimes(0.5, 1.0))
    market = sample()[draw(st.sampled_from(sorted(sample())))]
    first = draw(st.integers(0, 800))
    market = market.slice(first, first + 1600)
    if draw(sometimes(True, True, False)):
        market = dataclasses.replace(market, detail=None)
    rules = dataclasses.replace(market.instrument, max_leverage=draw(sometimes(20.0, 1.0, 50.0)))
    market = dataclasses.replace(market, instrument=rules)
    return strategy, values, market, Settings(**draw(SETTINGS)), draw(sometimes(0, 400))


def assert_shipped_agree(question):
    """Assert that both engines run a shipped strategy alike; return the result."""
    strategy, values, market, settings, trade_from = question
    answers = [
        run_backtest(strategy, market, values, settings, trade_from=trade_from, engine=engine)
        for engine in ("compiled", "reference")
    ]
    assert_same(*answers)
    return answers[0]


@hypothesis.settings(FEW, max_examples=40)
@given(shipped())
def test_engines_agree_on_shipped_strategies(question):
    """The shipped strategies agree at any parameters, on candles and on detail bars."""
    assert_shipped_agree(question)


@pytest.mark.slow
@hypothesis.settings(MANY, max_examples=1500)
@given(shipped())
def test_engines_agree_on_shipped_strategies_often(question):
    """The shipped strategies agree at any parameters, on candles and on detail bars."""
    assert_shipped_agree(question)


def test_a_market_of_one_or_two_bars():
    """The shortest runs there are: nothing can be traded in one bar, one trade in two."""
    one = assert_answers_agree(Question([(0, 0, 1, 1, code_of(side=1))]))
    assert one.equity.tolist() == [10_000.0]
    two = assert_answers_agree(Question([(0, 0, 1, 1, code_of(side=1))] * 2))
    assert len(two.trades) == 1


# Small tables of what once differed: rows of (gap, body, up, down, code) in ticks.
STILL = (0, 0, 1, 1, 0)


def rows_of(*rows, **digits):
    """Return rows of which the first carries the setup of *digits*."""
    return [(0, 0, 1, 1, code_of(**digits)), *rows]


@pytest.mark.parametrize(
    ("digits", "refusal"),
    [
        (dict(side=2, kind=1, target1=1, odd=10), Refusal.BAD_GEOMETRY),
        (dict(side=2, kind=1, target1=1, target2=3, odd=6), Refusal.BAD_GEOMETRY),
        (dict(side=1, kind=1, odd=2), Refusal.BAD_GEOMETRY),
        (dict(side=2, kind=1, odd=2), Refusal.BAD_GEOMETRY),
        (dict(side=1, kind=3, odd=3), Refusal.BAD_GEOMETRY),
        (dict(side=1, kind=3, odd=9), Refusal.BAD_GEOMETRY),
        (dict(side=2, kind=3, odd=9), Refusal.BAD_GEOMETRY),
        (dict(side=2, kind=2, odd=8), Refusal.BAD_GEOMETRY),
        (dict(side=1, odd=1), Refusal.BAD_GEOMETRY),
        (dict(side=2, odd=7), Refusal.BAD_GEOMETRY),
        (dict(side=1, target1=1, odd=4), Refusal.BAD_GEOMETRY),
        (dict(side=1, odd=5), Refusal.LOW_CONFIDENCE),
    ],
)
def test_prices_that_are_none_are_refused(digits, refusal):
    """What a rule comes to by dividing by zero is refused by name, on both engines."""
    answer = assert_answers_agree(Question(rows_of(STILL, STILL, **digits)))
    assert answer.refused == {REFUSAL_WORDS[refusal]: 1}
    assert len(answer.orders) == 0


def test_a_limit_beyond_the_stop_is_refused():
    """A stop-limit that may fill beyond its own stop is refused: it would be stopped at once."""
    digits = dict(side=1, kind=3, limit=8, stop=1)
    answer = assert_answers_agree(Question(rows_of(STILL, STILL, **digits)))
    assert answer.refused == {REFUSAL_WORDS[Refusal.BAD_GEOMETRY]: 1}


@pytest.mark.parametrize("capital", [1e9, 1e10, 1e11])
def test_sizes_of_very_many_lots_are_cut_once(capital):
    """A size of 1e13 lots and more is cut to the lot once, and not again by the broker."""
    question = Question(
        rows_of(STILL, STILL, side=1),
        tick=0.01,
        rules={"size_decimals": 4},
        settings={"capital": capital},
        parameters={"unit": 0.05},
    )
    fills = assert_answers_agree(question).fills
    assert len(fills) == 2
    assert fills["size"][0] * 1e4 > 5e12


def test_sizes_beyond_all_lots_agree():
    """Where a double can't tell lots apart any more the size ends there, and nothing is left."""
    question = Question(
        rows_of(STILL, STILL, side=1),
        tick=0.01,
        rules={"size_decimals": 4},
        settings={"capital": 1e12},
        parameters={"unit": 0.05},
    )
    answer = assert_answers_agree(question)
    assert answer.fills["size"].tolist() == [1e11, 1e11]
    assert len(answer.trades) == 1


@cache
def busy_result():
    """Return a result with some trades."""
    results = (long_question(seed, 400).ask("compiled") for seed in range(100))
    return next(one for one in results if len(one.trades) > 5 and len(one.refusals) > 2)


def test_compare_finds_any_difference():
    """A change of any field of any record, of the equity or of a count is found and told."""
    result = busy_result()
    assert compare(result, result) == ""
    for table in ("orders", "fills", "trades", "refusals"):
        for name in getattr(result, table).dtype.names:
            records = getattr(result, table).copy()
            if not np.isfinite(records[name]).any():
                records[name] = 0.0
            row = int(np.flatnonzero(np.isfinite(records[name]))[-1:].sum())
            before = records[name][row]
            records[name][row] = before + max(
                abs(records[name][np.isfinite(records[name])].max()), 1
            )
            said = compare(dataclasses.replace(result, **{table: records}), result)
            assert f"{table[:-1]} " in said
            assert f", {name}: " in said
        fewer = dataclasses.replace(result, **{table: getattr(result, table)[:-1]})
        assert "is missing on one side" in compare(result, fewer)
    equity = result.equity.copy()
    equity[5] *= 1.0 + 1e-8
    assert compare(dataclasses.replace(result, equity=equity), result).startswith(
        "equity at evaluated bar 6: "
    )
    assert "bars of equity" in compare(dataclasses.replace(result, equity=equity[1:]), result)


def test_compare_forgives_the_last_bits():
    """Prices and money that differ by less than 1e-9 of their size are the same."""
    result = busy_result()
    trades = result.trades.copy()
    trades["net"] *= 1.0 + 1e-12
    other = dataclasses.replace(result, trades=trades, equity=result.equity * (1.0 - 1e-12))
    assert compare(result, other) == ""
