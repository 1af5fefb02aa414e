"""Ruin and Kelly against published tables, exact recursions and simulated paths.

Tags: [P] printed, [R] independent program, [X] exact, [M] from memory, reproduced by the formula.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.errors import InputError
from ftbt.robustness.ruin import (
    fall_probability,
    fraction_for_ruin,
    gamblers_ruin,
    hit_probability,
    kelly_continuous,
    kelly_discrete,
    kelly_empirical,
    log_growth,
    losing_streak_probability,
    risk_of_ruin,
)

# Feller I, chapter XIV, table 1 [M]: p, z, a -> ruin, gain, duration as printed.
FELLER = {
    (0.5, 9, 10): ("0.1", "0", "9"),
    (0.5, 90, 100): ("0.1", "0", "900"),
    (0.45, 9, 10): ("0.210", "-1.1", "11.0"),
    (0.45, 90, 100): ("0.866", "-76.6", "765.6"),
    (0.45, 99, 100): ("0.182", "-17.2", "171.8"),
    (0.4, 90, 100): ("0.983", "-88.3", "441.3"),
    (0.4, 99, 100): ("0.333", "-32.3", "161.7"),
}


@pytest.mark.parametrize("case", FELLER)
def test_fellers_table(case):
    """Ruin, gain and duration are those of Feller's table [M], to the last printed digit."""
    got = gamblers_ruin(*case)
    for value, printed in zip((got.ruin, got.gain, got.duration), FELLER[case], strict=True):
        digits = len(printed.partition(".")[2])
        assert round(value, digits) == float(printed)


@given(st.floats(0.02, 0.98), st.integers(2, 25), st.data())
@settings(deadline=None)
def test_ruin_by_linear_equations(win, goal, data):
    """Ruin and duration solve the equations of the walk, state by state."""
    capital = data.draw(st.integers(0, goal))
    inner = goal - 1
    matrix = np.eye(inner) - win * np.eye(inner, k=1) - (1 - win) * np.eye(inner, k=-1)
    at_once = np.zeros(inner)
    at_once[0] = 1 - win
    ruin = np.concatenate([[1.0], np.linalg.solve(matrix, at_once), [0.0]])
    rounds = np.concatenate([[0.0], np.linalg.solve(matrix, np.ones(inner)), [0.0]])
    got = gamblers_ruin(win, capital, goal)
    assert got.ruin == pytest.approx(ruin[capital], abs=1e-9)
    assert got.duration == pytest.approx(rounds[capital], rel=1e-6, abs=1e-6)
    assert got.gain == pytest.approx(goal * (1 - ruin[capital]) - capital, abs=1e-7)


@pytest.mark.parametrize("edge", [1e-4, 1e-7, 1e-10, 1e-13, -1e-4, -1e-7, -1e-10, -1e-13])
def test_ruin_is_continuous_at_the_fair_game(edge):
    """A nearly fair game has nearly the figures of the fair one, without cancellation."""
    got, fair = gamblers_ruin(0.5 + edge, 30, 100), gamblers_ruin(0.5, 30, 100)
    assert got.ruin == pytest.approx(fair.ruin, abs=200 * abs(edge) + 1e-7)
    assert got.duration == pytest.approx(fair.duration, rel=300 * abs(edge) + 1e-6)


def test_long_games_do_not_overflow():
    """With a million stakes the outcome of an unfair game is certain, and still a number."""
    assert gamblers_ruin(0.6, 1e5, 1e6).ruin == 0.0
    lost = gamblers_ruin(0.4, 1e5, 1e6)
    assert lost.ruin == 1.0
    assert lost.duration == pytest.approx(1e5 / 0.2)


def test_thorps_kelly():
    """Thorp's S&P 500 example: m .11, s .15, r .06 give 2.2222 and growth .115556 [M]."""
    got = kelly_continuous(0.11, 0.15, 0.06)
    assert round(got.fraction, 4) == 2.2222
    assert round(got.growth, 6) == 0.115556


@pytest.mark.parametrize(
    ("win", "payoff", "fraction"), [(0.6, 1, 0.2), (0.5, 2, 0.25), (0.4, 1, 0)]
)
def test_kelly_of_a_coin(win, payoff, fraction):
    """A coin of .6 at even money is worth a fifth; without an edge nothing is staked [X]."""
    got = kelly_discrete(win, payoff)
    assert got.fraction == pytest.approx(fraction)
    assert got.growth >= 0.0


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.2, 5.0))
@settings(deadline=None)
def test_empirical_kelly_of_two_outcomes_is_the_discrete_one(wins, losses, payoff):
    """From trades that win b or lose 1 the empirical fraction is p - q/b."""
    trades = np.array([payoff] * wins + [-1.0] * losses)
    got, expected = kelly_empirical(trades), kelly_discrete(wins / (wins + losses), payoff)
    assert got.fraction == pytest.approx(expected.fraction, abs=1e-6)
    assert got.growth == pytest.approx(expected.growth, abs=1e-9)


@given(st.lists(st.floats(-2.0, 6.0), min_size=3, max_size=40), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_no_fraction_grows_faster_than_kellys(values, share):
    """Any other fraction up to the total loss has no greater growth."""
    trades = np.array(values)
    best = kelly_empirical(trades)
    if trades.mean() <= 0.0:
        assert best.fraction == 0.0
    elif trades.min() >= -1e-13 * trades.max():
        assert best.fraction == math.inf
    else:
        other = share / -trades.min()
        assert log_growth(trades, other) <= best.growth + 1e-9
        assert best.growth == pytest.approx(log_growth(trades, best.fraction))


def test_growth_after_a_total_loss():
    """Risking all on a trade that loses its whole risk leaves nothing."""
    assert log_growth(np.array([1.0, -1.0]), 1.0) == -math.inf


@pytest.mark.parametrize(("share", "chance"), [(0.5, 0.125), (1.0, 0.5), (2.0, 1.0), (3.0, 1.0)])
def test_halving_at_a_fraction_of_kelly(share, chance):
    """The chance ever to halve the equity is 1/8, 1/2 and 1 at half, full and double Kelly [X]."""
    assert fall_probability(0.5, share) == chance


def test_chance_of_a_fall_by_simulation():
    """Simulated growth at half Kelly falls to 70 % about as often as the formula says."""
    drift, volatility, share, level = 0.1, 0.25, 0.5, 0.7
    stake = share * drift / volatility**2
    rng = np.random.default_rng(1)
    step = 1 / 50
    growth = stake * drift - (stake * volatility) ** 2 / 2
    steps = rng.standard_normal((2_000, 5_000)) * stake * volatility * math.sqrt(step)
    lowest = np.cumsum(steps + growth * step, axis=1).min(axis=1)
    # Between two steps the path goes a little deeper than the steps show.
    seen = math.log(level) - 0.5826 * stake * volatility * math.sqrt(step)
    expected = fall_probability(math.exp(seen), share)
    assert (lowest <= math.log(level)).mean() == pytest.approx(expected, abs=0.035)


def test_chance_to_hit_a_depth():
    """Drift .1, volatility .2 and depth .2 give exp(-1) [X]; without drift the hit is certain."""
    assert round(hit_probability(0.1, 0.2, 0.2), 6) == 0.367879
    assert hit_probability(0.0, 0.2, 0.2) == 1.0
    assert hit_probability(-0.1, 0.2, 0.2) == 1.0


def test_chance_to_hit_a_depth_as_limit_of_the_walk():
    """A walk of ever smaller steps and a far goal is ruined with the chance of the formula."""
    drift, volatility, depth, step = 0.1, 0.2, 0.2, 1e-4
    win = 0.5 + drift * step / volatility**2 / 2
    walk = gamblers_ruin(win, depth / step, 1e6)
    assert walk.ruin == pytest.approx(hit_probability(drift, volatility, depth), abs=1e-5)


STREAKS = {  # [X]
    (0.5, 100, 7): 0.317520,
    (0.5, 100, 10): 0.044137,
    (0.4, 20, 5): 0.100078,
}


@pytest.mark.parametrize("case", STREAKS)
def test_losing_streaks(case):
    """The chances of long losing streaks are the exact ones [X]."""
    assert round(losing_streak_probability(*case), 6) == STREAKS[case]


@given(st.floats(0.0, 1.0), st.integers(0, 10), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_losing_streaks_by_counting(loss, trades, streak):
    """The chance is the summed chance of all sequences that hold the streak."""
    expected = sum(
        math.prod(loss if one == "L" else 1 - loss for one in sequence)
        for sequence in itertools.product("LW", repeat=trades)
        if "L" * streak in "".join(sequence)
    )
    assert losing_streak_probability(loss, trades, streak) == pytest.approx(expected, abs=1e-12)


def exact_risk(win: float, steps_down: int, horizon: int) -> float:
    """The chance that a walk of +-1 reaches -steps_down within the horizon, by recursion."""
    chance = {0: 1.0}
    ruined = 0.0
    for _ in range(horizon):
        after: dict[int, float] = {}
        for place, weight in chance.items():
            for step, share in ((1, win), (-1, 1 - win)):
                after[place + step] = after.get(place + step, 0.0) + weight * share
        ruined += after.pop(-steps_down, 0.0)
        chance = after
    return ruined


@pytest.mark.parametrize("horizon", [5, 20, 73])
def test_risk_of_ruin_by_recursion(horizon):
    """Doubling or halving with 6 wins in 10 falls to an eighth as often as the exact walk."""
    trades = np.array([1.0] * 6 + [-0.5] * 4)
    got = risk_of_ruin(trades, 1.0, 0.125, 20_000, np.random.default_rng(2), trades=horizon)
    expected = exact_risk(0.6, 3, horizon)
    assert got.probability == pytest.approx(expected, abs=5 * got.standard_error + 1e-9)
    assert got.standard_error == pytest.approx(
        math.sqrt(expected * (1 - expected) / 20_000), rel=0.1
    )
    assert (got.trades, got.samples) == (horizon, 20_000)
    if horizon == 5:
        assert got.median_trades in (3.0, 5.0)


def test_risk_of_ruin_at_the_ends():
    """Nothing at risk is never ruined; everything at risk is ruined by the first full loss."""
    trades = np.array([2.0, -1.0])
    rng = np.random.default_rng(3)
    safe = risk_of_ruin(trades, 0.0, 0.5, 100, rng)
    assert safe.probability == 0.0
    assert math.isnan(safe.median_trades)
    certain = risk_of_ruin(trades, 1.0, 0.0, 500, rng, trades=40)
    assert certain.probability == 1.0
    assert certain.median_trades <= 2.0


def test_streaks_raise_the_risk():
    """Trades that lose in streaks ruin more often than the same trades one by one."""
    trades = np.tile(np.repeat([1.2, -1.0], 10), 10)
    single, blocks = (
        risk_of_ruin(trades, 0.05, 0.6, 4_000, np.random.default_rng(4), length=length).probability
        for length in (1.0, 10.0)
    )
    assert blocks > single + 0.1


def test_the_same_seed_gives_the_same_risk():
    """Seed and trades decide the result."""
    trades = np.random.default_rng(5).normal(0.1, 1.2, 150)
    first, again = (
        risk_of_ruin(trades, 0.03, 0.7, 1_000, np.random.default_rng(6)) for _ in range(2)
    )
    assert first == again


def test_largest_fraction_within_a_risk():
    """At the returned fraction the risk is accepted, a little above it is not."""
    trades = np.random.default_rng(7).normal(0.15, 1.3, 250)
    fraction = fraction_for_ruin(trades, 0.6, 0.05, 1_500, 8)

    def risk(size: float) -> float:
        return risk_of_ruin(trades, size, 0.6, 1_500, np.random.default_rng(8)).probability

    assert risk(fraction) <= 0.05 < risk(fraction + 2e-4)
    assert fraction_for_ruin(np.array([1.0, 0.5]), 0.5, 0.0, 50, 9) == 1.0


REFUSED = {
    "sure win": (lambda: gamblers_ruin(1.0, 1, 2), r"probability to win must be in \(0, 1\)"),
    "more than the goal": (lambda: gamblers_ruin(0.5, 11, 10), r"capital must be in \[0, 10\]"),
    "no volatility": (lambda: kelly_continuous(0.1, 0.0), r"volatility must be in \(0, inf\)"),
    "no payoff": (lambda: kelly_discrete(0.6, 0.0), "payoff"),
    "no trade": (lambda: kelly_empirical(np.array([])), "at least 1"),
    "hole": (lambda: kelly_empirical(np.array([1.0, np.inf])), "value 1 is inf"),
    "level above 1": (lambda: fall_probability(1.5, 1.0), r"level must be in \(0, 1\]"),
    "negative fraction": (
        lambda: risk_of_ruin(np.ones(3), -0.1, 0.5, 10, np.random.default_rng(0)),
        "fraction at risk",
    ),
    "ruin at the start": (
        lambda: risk_of_ruin(np.ones(3), 0.1, 1.0, 10, np.random.default_rng(0)),
        r"level of ruin must be in \[0, 1\)",
    ),
    "streak of 0": (lambda: losing_streak_probability(0.5, 10, 0), "length of the streak"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_input_is_refused_in_one_line(name):
    """What no game can have is refused, with the value and the range."""
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
