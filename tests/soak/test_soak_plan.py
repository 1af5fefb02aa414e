"""What goes wrong in a soak, and when: from the seed alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ftbt.data.timeframe import DAY_MS
from ftbt.errors import ConfigError
from ftbt.localnet.faults import KINDS as FAULTS
from soak.catalogue import DEATHS, KINDS, NOT_MET, PHASES, faults_of
from soak.plan import LIMITS, TIMEFRAME, Asked, drawn, market_plan, trading_words

WEEK = Asked(3)


def test_a_seed_always_draws_the_same():
    """The same seed gives the same strokes and market, another one others."""
    assert drawn(WEEK) == drawn(Asked(3)) != drawn(Asked(4))
    short = Asked(3, 0.25, ("SOL",))
    one, again, other = (market_plan(a) for a in (short, short, Asked(4, 0.25, ("SOL",))))
    prints = [plan.markets[0].candles.fingerprint for plan in (one, again, other)]
    assert prints[0] == prints[1] != prints[2]
    assert one.bars == short.bars


def test_every_fault_of_the_exchange_is_drawn_or_left_out_with_a_reason():
    """Between the drawn ones and those with a reason there is no gap, and no overlap."""
    strokes = drawn(WEEK)
    names = {fault["name"] for one in strokes for fault in faults_of(one.blow)}
    assert names | set(NOT_MET) == set(FAULTS)
    assert not names & set(NOT_MET)
    assert {one.name for one in strokes} == {*KINDS, *DEATHS}


@pytest.mark.parametrize("seed", range(5))
def test_a_week_has_enough_of_everything_early_enough(seed):
    """Every class comes in the first part, all phases are struck, and nothing near the end."""
    asked = Asked(seed)
    strokes = drawn(asked)
    assert len(strokes) > 240
    assert [one.number for one in strokes] == list(range(1, len(strokes) + 1))
    assert [one.bar for one in strokes] == sorted(one.bar for one in strokes)
    early = {one.name for one in strokes if one.bar < 0.6 * asked.bars}
    assert set(KINDS) <= early
    assert {one.blow.phase for one in strokes} >= {*PHASES, "cancel", "process", "connection"}
    assert strokes[-1].bar < asked.bars - 4


@pytest.mark.parametrize("seed", range(5))
def test_a_week_has_many_deaths_and_one_long_life(seed):
    """Four days in a row nobody dies, so that memory can be looked at; else they die often."""
    asked = Asked(seed)
    deaths = [one.bar for one in drawn(asked) if one.name in DEATHS]
    edges = [0, *deaths, asked.bars]
    longest = max(b - a for a, b in pairwise(edges))
    assert longest * TIMEFRAME.ms >= 4 * DAY_MS
    assert len(deaths) >= 15
    assert sum(one.name == "kill -9" for one in drawn(asked)) >= 12


def test_a_short_soak_draws_some_of_the_classes():
    """A few hours have a death, and no class twice before all had their turn."""
    strokes = drawn(Asked(2, 0.3))
    names = [one.name for one in strokes if one.name not in DEATHS]
    assert len(set(names)) == len(names) > 5
    assert any(one.name in DEATHS for one in strokes)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"seed": -1}, "--seed must be 0 or more"),
        ({"seed": 1, "days": 0.01}, "--days must be from 0.2 to 30"),
        ({"seed": 1, "symbols": ("BTC", "DOGE")}, "'DOGE' is none of BTC, ETH, SOL"),
        ({"seed": 1, "symbols": ("BTC", "BTC")}, "twice"),
    ],
)
def test_what_cannot_be_soaked_is_refused(words, told):
    """A bad word is one clear line with what would do."""
    with pytest.raises(ConfigError, match=told):
        Asked(**words)


def test_the_session_is_told_the_limits_that_it_is_judged_by():
    """Each limit that is not the usual one is among the words of the live process."""
    words = trading_words()
    limits = dict(word.split("=") for word in words if word.partition("=")[0] in LIMITS.as_dict())
    assert limits
    assert all(float(value) == LIMITS.as_dict()[name] for name, value in limits.items())
