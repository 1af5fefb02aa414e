"""Limits on risk: which one speaks first, how much room they leave, what they may be set to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from risk_kit import FREE, account, at, blocked, close, holdings, room

from ftbt.backtest.settings import Settings
from ftbt.errors import ConfigError
from ftbt.risk.limits import (
    Limits,
    Rule,
    count_trade,
    limit_names,
    limit_range,
    mark,
    roll,
    start_risk,
)
from ftbt.strategy.records import LIMIT_REFUSALS, REFUSAL_WORDS

# --- which rule speaks first -------------------------------------------------------------------


def test_the_first_rule_that_holds_is_the_one_that_is_told() -> None:
    """When every rule forbids, each speaks once those before it are taken away, in this order."""
    crowd = dict(positions=2, trades_per_day=3, total_exposure=0.2, group_exposure=0.3)
    held = holdings(dict(size=2000.0), dict(waiting=1000.0, waiting_price=1.0))
    calm = dict(daily_loss=1.0, weekly_loss=1.0, drawdown=1.0)
    losing = dict(daily_loss=0.05, weekly_loss=0.10, drawdown=0.20)
    steps: list[tuple[Rule, dict[str, Any]]] = [
        (Rule.ONE_PER_SYMBOL, losing),
        (Rule.DRAWDOWN, losing),
        (Rule.WEEKLY_LOSS, {**losing, "drawdown": 1.0}),
        (Rule.DAILY_LOSS, {**calm, "daily_loss": 0.05}),
        (Rule.TRADES_PER_DAY, calm),
        (Rule.POSITIONS, {**calm, "trades_per_day": 4}),
        (Rule.TOTAL_EXPOSURE, {**calm, "trades_per_day": 4, "positions": 3}),
        (Rule.GROUP_EXPOSURE, {**calm, "trades_per_day": 4, "positions": 3, "total_exposure": 9.0}),
    ]
    told = []
    for number, (_, limits) in enumerate(steps):
        risk = account(**{**crowd, **limits})
        close(risk, at(0), 700.0)
        count_trade(risk)
        count_trade(risk)
        held["group"] = 0
        told.append(blocked(risk, held=held, taken=int(number == 0)))

    assert told == [int(rule) for rule, _ in steps]
    assert set(told) == set(Rule)


# --- room --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "notional", "narrow", "figure"),
    [
        ([], 2000.0, Rule.TOTAL_EXPOSURE, 0.0),
        ([dict(size=500.0)], 1500.0, Rule.TOTAL_EXPOSURE, 0.05),
        ([dict(size=50.0, price=10.0)], 1500.0, Rule.TOTAL_EXPOSURE, 0.05),
        ([dict(size=500.0, leverage=5.0)], 1000.0, Rule.TOTAL_EXPOSURE, 0.1),
        ([dict(waiting=50.0, waiting_price=10.0)], 1500.0, Rule.TOTAL_EXPOSURE, 0.05),
        (
            [dict(size=500.0), dict(waiting=250.0, waiting_price=2.0)],
            1000.0, Rule.TOTAL_EXPOSURE, 0.1,
        ),
        ([dict(size=500.0, group=3)], 1000.0, Rule.GROUP_EXPOSURE, 0.05),
        ([dict(size=500.0, group=3), dict(size=500.0)], 1000.0, Rule.TOTAL_EXPOSURE, 0.1),
        ([dict(size=400.0, group=3), dict(size=900.0)], 700.0, Rule.TOTAL_EXPOSURE, 0.13),
        ([dict(size=900.0, group=3), dict(size=400.0)], 600.0, Rule.GROUP_EXPOSURE, 0.09),
    ],
)  # fmt: skip
def test_room_is_the_narrower_of_account_and_group(
    held: list[dict[str, float]], notional: float, narrow: Rule, figure: float
) -> None:
    """Positions at their last price and entries at their worst, as margin over equity, use it up.

    Both limits are told in notional of the symbol that asks.
    """
    risk = account(total_exposure=0.20, group_exposure=0.15 if narrow is Rule.GROUP_EXPOSURE else 9)

    found = room(risk, holdings(*held))

    assert found["notional"] == pytest.approx(notional, rel=1e-12)
    assert found["narrow"] == narrow
    assert found["narrow_figure"] == pytest.approx(figure, rel=1e-12)
    assert found["narrow_limit"] == (0.15 if narrow is Rule.GROUP_EXPOSURE else 0.20)
    assert found["blocked"] == FREE


def test_room_is_told_at_the_leverage_of_the_symbol_that_asks() -> None:
    """The same free margin is more notional for a symbol with more leverage."""
    risk = account(total_exposure=0.20)
    held = holdings(dict(size=500.0))
    for leverage in (1.0, 3.0, 40.0):
        held["leverage"][3] = leverage
        assert room(risk, held)["notional"] == pytest.approx(150.0 * leverage)


def test_room_follows_the_equity_of_the_last_prices() -> None:
    """Exposure is a share of the equity that `look` is told, not of the last close or capital."""
    risk = account(total_exposure=0.20)
    held = holdings(dict(size=500.0))

    assert room(risk, held, equity=2000.0)["notional"] == pytest.approx(3500.0)
    assert room(risk, held, equity=500.0)["notional"] == pytest.approx(500.0)


@pytest.mark.parametrize("equity", [250.0, 249.0, 100.0])
def test_a_position_that_has_outgrown_its_limit_blocks_the_next(equity: float) -> None:
    """A loss can carry exposure beyond the limit: no room is left then, never less than none."""
    risk = account(total_exposure=0.20)

    found = room(risk, holdings(dict(size=500.0)), equity=equity)

    assert found["blocked"] == Rule.TOTAL_EXPOSURE
    assert found["figure"] == pytest.approx(50.0 / equity)
    assert found["limit"] == 0.20
    assert found["notional"] == 0.0


def test_a_full_group_leaves_room_for_the_others() -> None:
    """A symbol that moves on its own may still be entered when a group is full."""
    risk = account(total_exposure=0.5, group_exposure=0.1)
    held = holdings(dict(size=1000.0, group=7), dict(group=7))

    assert blocked(risk, held=held, mine=1) == Rule.GROUP_EXPOSURE
    assert blocked(risk, held=held, mine=3) == FREE
    assert room(risk, held, mine=3)["notional"] == pytest.approx(1000.0)


def test_a_group_above_the_total_never_binds() -> None:
    """With the defaults, 30 % for a group and 20 % in all, the group is never the narrower one."""
    risk = start_risk(Limits(), 1000.0)[0]
    random = np.random.default_rng(5)
    for _ in range(500):
        held = holdings(*({"size": random.uniform(0, 700), "group": 0} for _ in range(2)))
        held["group"] = 0
        found = room(risk, held)
        assert found["narrow"] == Rule.TOTAL_EXPOSURE
        assert found["blocked"] in (FREE, Rule.TOTAL_EXPOSURE)


def test_one_per_symbol_is_no_setting() -> None:
    """A symbol that another strategy holds is refused under any limits."""
    for limits in (Limits(), Limits.none()):
        found = room(start_risk(limits, 1000.0)[0], taken=1)
        assert (found["blocked"], found["figure"], found["limit"]) == (Rule.ONE_PER_SYMBOL, 1, 1)


def test_what_a_decision_needs_of_the_limits_is_in_the_room() -> None:
    """Risk per trade, the smallest share and whether entries are withdrawn are handed on."""
    risk = account(risk_per_trade=0.01, smallest_share=0.25, daily_loss=0.05)

    found = room(risk)
    assert (found["risk_per_trade"], found["smallest_share"], found["halted"]) == (0.01, 0.25, 0)

    close(risk, at(0), 900.0)
    assert room(risk)["halted"] == 1


# --- counts ------------------------------------------------------------------------------------


def test_trades_of_the_day_are_fills_and_nothing_else() -> None:
    """Looking, refusing and marking count nothing; a fill counts one; midnight counts anew."""
    risk = account(trades_per_day=2)
    roll(risk, at(0))
    for _ in range(5):
        assert blocked(risk) == FREE
        mark(risk, 1000.0, at(0, 1))
    count_trade(risk)
    assert blocked(risk) == FREE
    count_trade(risk)

    found = room(risk)
    assert (found["blocked"], found["figure"], found["limit"]) == (Rule.TRADES_PER_DAY, 2, 2)

    roll(risk, at(0, 23.75))
    assert blocked(risk) == Rule.TRADES_PER_DAY
    roll(risk, at(1))
    assert blocked(risk) == FREE


def test_an_entry_that_waits_keeps_a_place_for_its_trade() -> None:
    """Trades of the day and waiting entries together stay within the limit, also past midnight."""
    risk = account(trades_per_day=2)
    roll(risk, at(0))
    count_trade(risk)
    held = holdings(dict(size=1.0), dict(waiting=1.0, waiting_price=1.0))

    found = room(risk, held)
    assert (found["blocked"], found["figure"]) == (Rule.TRADES_PER_DAY, 2)

    roll(risk, at(1))
    assert blocked(risk, held=held) == FREE
    count_trade(risk)
    assert blocked(risk, held=held) == Rule.TRADES_PER_DAY


def test_positions_and_waiting_entries_are_counted_together() -> None:
    """The limit on positions counts symbols with a position or an entry that waits, each once."""
    risk = account(positions=2)
    one, two = dict(size=1.0), dict(waiting=1.0, waiting_price=1.0)

    assert blocked(risk, held=holdings(one)) == FREE
    assert blocked(risk, held=holdings({**one, **two})) == FREE
    found = room(risk, holdings(one, two))
    assert (found["blocked"], found["figure"], found["limit"]) == (Rule.POSITIONS, 2, 2)


# --- settings ----------------------------------------------------------------------------------


def test_the_defaults_are_the_promised_ones() -> None:
    """2 % a trade, 20 % in all, 30 % a group, 3 positions, 50 trades a day, breaker at 20 %."""
    limits = Limits()

    assert limits.risk_per_trade == 0.02
    assert (limits.total_exposure, limits.group_exposure) == (0.20, 0.30)
    assert (limits.positions, limits.trades_per_day) == (3, 50)
    assert limits.drawdown == 0.20


def test_limits_are_told_as_they_are() -> None:
    """No limit is rounded to another one in what people read."""
    told = Limits(0.0005, 0.125, 0.333, daily_loss=0.001, weekly_loss=0.015).describe()

    for words in ("risk 0.05% a", "exposure 12.5% (group 33.3%)", "loss 0.1% a day 1.5% a week"):
        assert words in told
    assert (
        Settings(capital=1.5, taker_fee=0.000123)
        .describe()
        .startswith(
            "capital 1.5, leverage 10x, fees 0.0123% taker / 0.015% maker, slippage max(1 bp, "
        )
    )


RANGES = [
    ("risk_per_trade", 0.0004, "limit risk_per_trade must be from 0.0005 to 1.0, not 0.0004"),
    ("risk_per_trade", 1.5, "limit risk_per_trade must be from 0.0005 to 1.0, not 1.5"),
    ("total_exposure", 0.0, "limit total_exposure must be from 0.01 to 10.0, not 0.0"),
    ("group_exposure", 11.0, "limit group_exposure must be from 0.01 to 10.0, not 11.0"),
    ("correlation", -0.1, "limit correlation must be from 0.0 to 1.0, not -0.1"),
    ("correlation_days", 1, "limit correlation_days must be from 2 to 365, not 1"),
    ("positions", 0, "limit positions must be from 1 to 1000, not 0"),
    ("positions", 2.0, "limit positions must be a whole number, not 2.0"),
    ("positions", True, "limit positions must be a whole number, not True"),
    ("trades_per_day", 0, "limit trades_per_day must be from 1 to 1000000, not 0"),
    ("daily_loss", 0.0, "limit daily_loss must be from 0.001 to 1.0, not 0.0"),
    ("daily_loss", float("nan"), "limit daily_loss must be from 0.001 to 1.0, not nan"),
    ("daily_loss", "5%", "limit daily_loss must be a number, not '5%'"),
    ("daily_loss", None, "limit daily_loss must be a number, not None"),
    ("weekly_loss", float("inf"), "limit weekly_loss must be from 0.001 to 1.0, not inf"),
    ("weekly_loss", True, "limit weekly_loss must be a number, not True"),
    ("drawdown", 0.001, "limit drawdown must be from 0.01 to 1.0, not 0.001"),
    ("breaker_days", 3651, "limit breaker_days must be from 1 to 3650, not 3651"),
    ("smallest_share", 1.01, "limit smallest_share must be from 0.0 to 1.0, not 1.01"),
]


@pytest.mark.parametrize(("name", "value", "line"), RANGES)
def test_a_limit_out_of_range_is_one_line(name: str, value: Any, line: str) -> None:
    """The error names the limit, its range and the value."""
    with pytest.raises(ConfigError) as error:
        Limits(**{name: value})

    assert str(error.value) == line


def test_every_limit_has_a_range_and_takes_its_bounds() -> None:
    """The smallest and the largest value of each limit are allowed, and ranges cover all limits."""
    assert set(limit_names()) == set(Limits().as_dict())
    assert {name for name, _, _ in RANGES} == set(limit_names())
    for name in limit_names():
        for value in limit_range(name):
            assert getattr(Limits(**{name: value}), name) == value


# --- no limits ---------------------------------------------------------------------------


@settings(deadline=None)
@example(equities=[1000.0], margins=[1.0] * 30, trades=100_000)
@example(equities=[1000.0, 1e-6], margins=[1.0], trades=0)
@given(
    equities=st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20),
    margins=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30),
    trades=st.integers(0, 500),
)
def test_without_limits_nothing_blocks_before_the_margin_does(
    equities: list[float], margins: list[float], trades: int
) -> None:
    """Under `Limits.none()` any losses, and positions and entries that each fit the account, pass.

    What is left is at least all that the account's own margin would allow.
    """
    risk = start_risk(Limits.none(), 1000.0)[0]
    for number, equity in enumerate(equities):
        close(risk, at(number / 3), equity)
    for _ in range(trades):
        count_trade(risk)
    held = holdings(
        *(dict(waiting=part * equity * 10.0, waiting_price=1.0) for part in margins),
        symbols=len(margins) + 1,
    )

    found = room(risk, held, mine=len(margins))

    assert found["blocked"] == FREE
    assert not found["halted"]
    assert found["notional"] >= equity * 10.0 * (1.0 - 1e-12)


# --- what users read -----------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "risk-limits.md"


def test_the_page_of_limits_says_what_the_code_does() -> None:
    """Each limit stands in the reference with its default and range, and every refusal's words."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| (\S+) \|", text, re.MULTILINE)
    defaults = Limits().as_dict()

    assert rows == [
        (name, *(str(value) for value in (defaults[name], *limit_range(name))))
        for name in limit_names()
    ]
    for rule in LIMIT_REFUSALS:
        assert f"| {REFUSAL_WORDS[rule]} |" in text
