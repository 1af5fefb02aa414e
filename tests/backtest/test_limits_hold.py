"""No sequence of setups breaks a limit on risk, on any engine.

What holds is recomputed from orders, fills and equity by `limits_oracle`, without ftbt's risk code.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import Phase, assume, given
from limits_kit import Question, Row, code_of, long_question, questions
from limits_oracle import UnclearError, broken, miscounted, unfounded

from ftbt.backtest.result import Result, Role, Status
from ftbt.risk.limits import Rule
from ftbt.strategy.records import LIMIT_REFUSALS, Refusal

ENGINES = ("compiled", "reference")
each_engine = pytest.mark.parametrize("engine", ENGINES)

# Without the phase that explains: it takes longer than all the others.
FEW = hypothesis.settings(
    deadline=None,
    max_examples=50,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
SEEDS = {"compiled": range(40), "reference": range(12)}

cached_question = cache(long_question)


@cache
def answer(seed: int, engine: str, **limits: Any) -> Result:
    """The answer to a long question, under other limits where given."""
    return cached_question(seed).ask(engine, **limits)


def each_long(engine: str, check: Any) -> dict[int, Any]:
    """What *check* finds wrong in the answers to the long questions, by seed."""
    found, unclear = {}, 0
    for seed in SEEDS[engine]:
        try:
            wrong = check(cached_question(seed), answer(seed, engine))
        except UnclearError:
            unclear += 1
            continue
        if wrong:
            found[seed] = wrong
    assert unclear < 3
    return found


# --- what can't be broken ------------------------------------------------------------------------


@each_engine
@FEW
@given(question=questions())
def test_no_sequence_of_setups_breaks_a_limit(engine: str, question: Question) -> None:
    """Random setups, gaps, crashes and competing strategies stay within every limit."""
    result = question.ask(engine)
    try:
        assert broken(question, result) == {}
    except UnclearError:
        assume(False)


@each_engine
@FEW
@given(question=questions())
def test_every_setup_is_taken_or_refused_once(engine: str, question: Question) -> None:
    """A setup is one order or exactly one refusal, whose rule holds and whose figures are right."""
    result = question.ask(engine)
    assert miscounted(question, result) == []
    try:
        assert unfounded(question, result) == []
    except UnclearError:
        assume(False)


@each_engine
def test_limits_hold_over_weeks(engine: str) -> None:
    """Long runs with crashes, recoveries, breakers that end and groups that change stay within."""
    assert each_long(engine, broken) == {}


@each_engine
def test_refusals_of_long_runs_add_up(engine: str) -> None:
    """Over long runs the refusals, counted by rule, are the setups that were not taken."""
    assert each_long(engine, miscounted) == {}
    assert each_long(engine, unfounded) == {}


# --- that the above would notice -----------------------------------------------------------------


def test_the_long_runs_reach_every_rule() -> None:
    """Each limit refuses many a setup, entries wait and are cut, and trades are made."""
    counts = dict.fromkeys(LIMIT_REFUSALS, 0)
    waited = 0
    for seed in SEEDS["compiled"]:
        result = answer(seed, "compiled")
        for rule in counts:
            counts[rule] += int(np.sum(result.refusals["rule"] == rule))
        entries = result.orders[result.orders["role"] == Role.ENTRY]
        waited += int(np.sum(entries["end_bar"] - entries["bar"] > 1))

    assert min(counts.values()) >= 30, counts
    assert {int(rule) for rule in counts} == {int(rule) for rule in Rule}
    assert waited > 100


# What lifts a limit, in the record that compiled code reads.
LIFTED: dict[Refusal, dict[str, float]] = {
    Refusal.RISK_PER_TRADE: dict(risk_per_trade=1.0),
    Refusal.TOTAL_EXPOSURE: dict(total_exposure=10.0),
    Refusal.GROUP_EXPOSURE: dict(group_exposure=10.0),
    Refusal.POSITIONS: dict(positions=1000),
    Refusal.TRADES_PER_DAY: dict(trades_per_day=1_000_000),
    Refusal.DAILY_LOSS: dict(daily_loss=1.0),
    Refusal.WEEKLY_LOSS: dict(weekly_loss=1.0),
    Refusal.DRAWDOWN: dict(drawdown=1.0),
}


@each_engine
@pytest.mark.parametrize("rule", LIFTED, ids=lambda rule: rule.name.lower())
def test_a_limit_that_is_lifted_would_be_broken(rule: Refusal, engine: str) -> None:
    """Without each limit some long run breaks it, and is caught: the limit is what holds."""
    for seed in SEEDS["compiled"]:
        try:
            if rule in broken(cached_question(seed), answer(seed, engine, **LIFTED[rule])):
                return
        except UnclearError:
            continue
    pytest.fail("no run does without the limit what the limit forbids")


# --- by hand -------------------------------------------------------------------------------------

# Sunday 12:00, 18:00, Monday 00:00, ... in bars of six hours; all prices start at 100.
LONG = dict(side=1, stop=8, confidence=5)  # at the market, stop 9 units below, no target
WAIT = {**LONG, "kind": 1, "entry": 0}  # a limit two units below


def by_hand(
    bars: int,
    says: dict[tuple[int, int], Any],
    gaps: dict[tuple[int, int], int] | None = None,
    **more: Any,
) -> Question:
    """A still market of four symbols, with setups and gaps (ticks of 0.1) at (symbol, bar).

    A setup is the digits of the first strategy, or a tuple of digits for each strategy.
    """

    def row(symbol: int, bar: int) -> Row:
        digits = says.get((symbol, bar), {})
        both = digits if isinstance(digits, tuple) else (digits, {})
        gap = (gaps or {}).get((symbol, bar), 0)
        return Row(gap, 0, 0, 0, tuple(code_of(**one) for one in both))

    usual = dict(risk_per_trade=0.02, max_notional=3.0, valid_bars=50, max_bars=500)
    own = {**usual, **more.pop("own", {})}
    shares = more.pop("shares", (1.0,))
    return Question(
        shocks=[0] * bars,
        rows=[[row(symbol, bar) for bar in range(bars)] for symbol in range(4)],
        spans=[[(0, bars)]] * 4,
        sleeves=[(own, share) for share in shares],
        rules=[dict(size_decimals=3)] * 4,
        **more,
    )


def asked(result: Result) -> list[tuple[int, int]]:
    """(symbol, bar) of all entries."""
    entries = result.orders[result.orders["role"] == Role.ENTRY]
    return [(int(row["symbol"]), int(row["bar"])) for row in entries]


def refused(result: Result) -> list[tuple[int, int, int]]:
    """(symbol, bar, rule) of all refusals."""
    return [(int(row["symbol"]), int(row["bar"]), int(row["rule"])) for row in result.refusals]


@each_engine
def test_simultaneous_signals_take_what_is_left_in_order(engine: str) -> None:
    """Four symbols signal at one close: the first three get positions, the fourth is refused."""
    question = by_hand(6, {(symbol, 1): LONG for symbol in range(4)})

    result = question.ask(engine)

    assert asked(result) == [(0, 1), (1, 1), (2, 1)]
    assert refused(result) == [(3, 1, Rule.POSITIONS)]
    assert (result.refusals["figure"], result.refusals["limit"]) == (3, 3)


@each_engine
def test_entries_are_cut_to_the_room_that_is_left_and_refused_below_a_share_of_their_size(
    engine: str,
) -> None:
    """At 1 % stops the first entry gets its size, the second the rest, the third nothing."""
    near = {**LONG, "stop": 4}
    question = by_hand(
        6,
        {(symbol, 1): near for symbol in range(3)},
        own=dict(unit=0.002),
        settings=dict(leverage=10),
    )

    result = question.ask(engine)

    entries = result.orders[result.orders["role"] == Role.ENTRY]
    margin = entries["size"] * 100.0 / 10.0 / 10_000.0
    assert margin.tolist() == pytest.approx([0.1803, 0.0197], abs=1e-4)
    assert margin.sum() <= 0.20
    assert refused(result) == [(2, 1, Rule.TOTAL_EXPOSURE)]
    figure, limit = result.refusals["figure"][0], result.refusals["limit"][0]
    assert (figure, limit) == (pytest.approx(0.2, abs=1e-6), 0.2)


@each_engine
def test_a_loss_of_the_day_withdraws_what_waits_and_blocks_until_midnight(engine: str) -> None:
    """When one symbol's crash reaches the limit, another's waiting entry goes, until tomorrow."""
    later = {(2, bar): LONG for bar in (3, 5, 6)}
    question = by_hand(
        8, {(0, 0): LONG, (1, 0): WAIT, **later}, {(0, 2): -60}, limits=dict(daily_loss=0.01)
    )

    result = question.ask(engine)

    assert asked(result) == [(0, 0), (1, 0), (2, 6)]
    waited = result.orders[result.orders["symbol"] == 1]
    assert set(waited["status"]) == {Status.CANCELLED}
    assert set(waited["end_bar"]) == {2}
    assert refused(result) == [(2, 3, Rule.DAILY_LOSS), (2, 5, Rule.DAILY_LOSS)]
    assert result.refusals["figure"][0] == pytest.approx(1.0 - result.equity[2] / result.equity[1])


@each_engine
def test_the_breaker_blocks_its_days_and_then_measures_anew(engine: str) -> None:
    """A fall from the peak stops entries until a midnight days later; the position may stay."""
    question = by_hand(
        16,
        {(0, 0): LONG, **{(1, bar): LONG for bar in range(3, 14)}},
        {(0, 2): -60},
        limits=dict(drawdown=0.01, breaker_days=1),
    )

    result = question.ask(engine)

    # The breaker opens in the bar of Monday 00:00 and holds until the midnight a day later.
    assert asked(result) == [(0, 0), (1, 6)]
    blocked = [at for at in refused(result) if at[2] == Rule.DRAWDOWN]
    assert blocked == [(1, bar, Rule.DRAWDOWN) for bar in (3, 4, 5)]


@each_engine
def test_trades_per_day_are_counted_by_fills(engine: str) -> None:
    """Entries that never fill use up nothing once they are gone; those that fill do."""
    never = {**WAIT, "entry": 0}
    question = by_hand(
        8,
        {(0, 2): never, (1, 4): LONG, (2, 4): LONG, (3, 5): LONG, (2, 6): LONG},
        own=dict(valid_bars=1),
        limits=dict(trades_per_day=1),
    )

    result = question.ask(engine)

    # Symbol 0's entry waits from Monday 00:00 and is gone at 06:00; symbol 1 fills at 18:00.
    assert asked(result) == [(0, 2), (1, 4), (2, 6)]
    assert refused(result) == [(2, 4, Rule.TRADES_PER_DAY), (3, 5, Rule.TRADES_PER_DAY)]


@each_engine
def test_two_strategies_that_want_one_symbol(engine: str) -> None:
    """The first strategy takes the symbol; the second is refused until the symbol is free."""
    both = (LONG, LONG)
    question = by_hand(8, {(0, 1): both, (0, 4): ({}, LONG)}, shares=(0.5, 0.5))

    result = question.ask(engine)

    assert asked(result) == [(0, 1)]
    assert refused(result) == [(0, 1, Rule.ONE_PER_SYMBOL), (0, 4, Rule.ONE_PER_SYMBOL)]
    assert result.refusals["strategy"].tolist() == [1, 1]

    alone = by_hand(8, {(0, 1): ({}, LONG)}, shares=(0.5, 0.5)).ask(engine)
    assert asked(alone) == [(0, 1)]


@each_engine
def test_a_gap_may_carry_a_position_beyond_the_limit(engine: str) -> None:
    """Limits hold at the decision: a loss makes exposure larger, and blocks the next entry."""
    short = {**LONG, "side": 2, "stop": 8}
    question = by_hand(
        8,
        {(0, 0): short, (1, 4): LONG},
        {(0, 3): 400},
        own=dict(unit=0.1, risk_per_trade=0.3, max_notional=50.0),
        limits=dict(total_exposure=0.03, risk_per_trade=0.5, daily_loss=1.0, weekly_loss=1.0),
    )

    result = question.ask(engine)

    assert asked(result) == [(0, 0)]
    assert refused(result) == [(1, 4, Rule.TOTAL_EXPOSURE)]
    assert result.refusals["figure"][0] > 0.04
    assert broken(question, result) == {}


# --- confidence under the default limits ---------------------------------------------------------


def sizes(distance: float, *, engine: str = "compiled", **more: Any) -> list[float]:
    """Size of an entry at 100 with a stop so far below, at confidence 40, 60, 80 and 100.

    Each on an account of 10,000 of its own; parameters and limits are the defaults.
    """
    found = []
    for confidence in (2, 3, 4, 5):
        setup = dict(side=1, stop=4, confidence=confidence)
        own = dict(unit=distance / 5, **more.get("own", {}))
        question = by_hand(4, {(0, 1): setup}, **{**more, "own": own})
        orders = question.ask(engine).orders
        found.append(float(orders["size"][0]))
    return found


@each_engine
@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (0.008, [140.0, 160.0, 180.0, 200.0]),
        (0.010, [126.19, 144.22, 162.24, 180.27]),
        (0.015, [87.00, 99.43, 111.86, 124.29]),
    ],
)
def test_confidence_changes_the_size_under_the_default_limits(
    engine: str, distance: float, expected: list[float]
) -> None:
    """At usual stops no limit undoes confidence: a better setup is a larger position."""
    found = sizes(distance, engine=engine)

    assert found == pytest.approx(expected, abs=0.01)
    assert found == sorted(set(found))


def test_no_cap_undoes_confidence() -> None:
    """Where exposure, leverage or a cap on the notional binds, confidence still scales the size."""
    assert sizes(0.005) == pytest.approx([140.0, 160.0, 180.0, 200.0])
    assert sizes(0.015, settings=dict(leverage=1.0)) == pytest.approx([14.0, 16.0, 18.0, 20.0])
    assert sizes(0.015, own=dict(max_notional=0.05)) == pytest.approx([3.5, 4.0, 4.5, 5.0])
