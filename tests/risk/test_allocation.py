"""Weights between strategies: closed forms, invariances, strategies that did not trade."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from ftbt.errors import ConfigError, DataError
from ftbt.risk.allocation import (
    METHODS,
    Allocation,
    drawdown_scale,
    equal,
    equal_risk,
    fixed,
    inverse_volatility,
)


def returns_of(seed: int, strategies: int, days: int = 90, common: float = 1.0) -> np.ndarray:
    """Correlated daily returns of very different sizes, shape (days, strategies)."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(days, strategies))
    shared = random.normal(size=(days, 1)) * random.uniform(-common, common, strategies)
    return (own + shared) * 10.0 ** random.uniform(-5.0, -1.0, strategies) + 1e-4


def with_correlation(correlation: np.ndarray, volatility: np.ndarray) -> np.ndarray:
    """Returns whose SAMPLE covariance is exactly as asked."""
    n = len(volatility)
    raw = np.random.default_rng(0).normal(size=(200, n))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T).reshape(n, n))).T
    return white @ np.linalg.cholesky(correlation).T * volatility


def contributions(weights: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Each strategy's share of the portfolio's variance."""
    covariance = np.cov(returns.T)
    return weights * (covariance @ weights) / (weights @ covariance @ weights)


MEASURED = pytest.mark.parametrize("method", [inverse_volatility, equal_risk])


def test_equal_and_fixed_shares() -> None:
    """Equal shares are 1 / n; fixed ones keep their proportions and add up to 1."""
    assert equal(4).tolist() == [0.25] * 4
    np.testing.assert_allclose(fixed((2, 1, 1)), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(fixed((0.0, 0.4)), [0.0, 1.0])


def test_inverse_volatility_is_what_it_says() -> None:
    """Volatilities of 1 %, 2 % and 4 % get weights of 4 : 2 : 1."""
    returns = with_correlation(np.eye(3), np.array([0.01, 0.02, 0.04]))

    np.testing.assert_allclose(inverse_volatility(returns), np.array([4, 2, 1]) / 7.0, rtol=1e-12)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), correlation=st.floats(-0.99, 0.99))
def test_equal_risk_of_two_is_inverse_volatility(seed: int, correlation: float) -> None:
    """With two strategies the correlation cancels out (Maillard et al., section 2.2)."""
    volatility = 10.0 ** np.random.default_rng(seed).uniform(-5.0, 0.0, 2)
    returns = with_correlation(np.array([[1.0, correlation], [correlation, 1.0]]), volatility)

    np.testing.assert_allclose(equal_risk(returns), inverse_volatility(returns), rtol=1e-9)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 8), place=st.floats(0.01, 0.99))
def test_equal_correlations_give_inverse_volatility(seed: int, n: int, place: float) -> None:
    """When all correlations are the same number, they cancel out (Maillard et al., section 2.2)."""
    correlation = -1.0 / (n - 1) + place * (1.0 + 1.0 / (n - 1))
    matrix = np.full((n, n), correlation) + (1.0 - correlation) * np.eye(n)
    returns = with_correlation(matrix, 10.0 ** np.random.default_rng(seed).uniform(-4.0, 0.0, n))

    np.testing.assert_allclose(equal_risk(returns), inverse_volatility(returns), rtol=1e-8)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 100_000), n=st.integers(2, 10), common=st.floats(0.0, 5.0))
def test_every_strategy_adds_the_same_risk(seed: int, n: int, common: float) -> None:
    """Risk contributions under numpy's covariance are 1 / n each, to 1e-8 of it."""
    returns = returns_of(seed, n, common=common)
    weights = equal_risk(returns)

    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights > 0.0).all()
    np.testing.assert_allclose(contributions(weights, returns) * n, 1.0, rtol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_equal_risk_is_found_by_another_route(seed: int) -> None:
    """A general optimiser that minimises the spread of the contributions finds the same weights."""
    returns = returns_of(seed, 4)
    returns /= returns.std(axis=0)
    covariance = np.cov(returns.T)

    def spread(weights: np.ndarray) -> float:
        parts = weights * (covariance @ weights)
        return 1e3 * float(((parts[:, None] - parts[None, :]) ** 2).sum())

    found = minimize(
        spread, equal(4), method="SLSQP", bounds=[(1e-6, 1.0)] * 4, options={"ftol": 1e-16},
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0},
    )  # fmt: skip

    np.testing.assert_allclose(equal_risk(returns), found.x, atol=1e-4)


def test_equal_risk_takes_from_those_that_go_together() -> None:
    """Of three strategies with the same volatility the two twins get less than the loner."""
    matrix = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    twin, other, loner = equal_risk(with_correlation(matrix, np.full(3, 0.01)))

    assert twin == pytest.approx(other)
    # w^2 (1 + 0.9) = v^2 for the twins' weight w and the loner's v.
    assert loner / twin == pytest.approx(math.sqrt(1.9))


@MEASURED
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 7), power=st.integers(-9, 9))
def test_the_scale_of_all_returns_does_not_matter(method, seed: int, n: int, power: int) -> None:
    """Returns in percent, or of an account a thousand times the size, give the same weights."""
    returns = returns_of(seed, n)

    np.testing.assert_allclose(method(returns * 10.0**power), method(returns), rtol=1e-8)


@MEASURED
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 7))
def test_twice_the_size_gets_half_the_weight(method, seed: int, n: int) -> None:
    """A strategy that trades k times as large gets 1/k of the weight, so its positions stay."""
    random = np.random.default_rng(seed)
    returns, scale = returns_of(seed, n), random.uniform(0.1, 10.0, n)
    want = method(returns) / scale

    np.testing.assert_allclose(method(returns * scale), want / want.sum(), rtol=1e-8)


@MEASURED
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 7), data=st.data())
def test_the_order_of_strategies_does_not_matter(method, seed: int, n: int, data) -> None:
    """Strategies in another order keep their weights."""
    order = data.draw(st.permutations(range(n)))
    returns = returns_of(seed, n)
    returns[:, 0] = 0.0 if seed % 3 == 0 else returns[:, 0]

    np.testing.assert_allclose(method(returns[:, order]), method(returns)[order], rtol=1e-8)


@MEASURED
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 6), still=st.floats(-0.01, 0.01))
def test_a_strategy_without_risk_gets_nothing(method, seed: int, n: int, still: float) -> None:
    """A strategy whose returns never change has weight 0; the others share as if it were absent."""
    returns = returns_of(seed, n)
    more = np.insert(returns, 1, still, axis=1)
    got = method(more)

    assert got[1] == 0.0
    np.testing.assert_allclose(np.delete(got, 1), method(returns), rtol=1e-9)


@MEASURED
def test_when_nobody_traded_all_get_the_same(method) -> None:
    """Without any risk measured there is nothing to tell the strategies apart."""
    assert method(np.zeros((30, 4))).tolist() == [0.25] * 4


@MEASURED
def test_one_that_moved_gets_all(method) -> None:
    """The only strategy with a measured risk has the whole account."""
    returns = np.zeros((30, 3))
    returns[7, 1] = 0.01

    assert method(returns).tolist() == [0.0, 1.0, 0.0]
    assert method(returns[:, 1:2]).tolist() == [1.0]


def test_a_net_of_hedges_is_solved() -> None:
    """Strategies of three common factors have equal contributions; a full first step overshoots."""
    matrix = np.array(
        [
            [1.000, 0.480, -0.869, -0.753, 0.685, 0.283],
            [0.480, 1.000, -0.205, 0.142, 0.382, -0.163],
            [-0.869, -0.205, 1.000, 0.661, -0.893, 0.057],
            [-0.753, 0.142, 0.661, 1.000, -0.258, -0.685],
            [0.685, 0.382, -0.893, -0.258, 1.000, -0.476],
            [0.283, -0.163, 0.057, -0.685, -0.476, 1.000],
        ]
    )
    returns = with_correlation(matrix, np.full(6, 0.01))

    np.testing.assert_allclose(contributions(equal_risk(returns), returns) * 6, 1.0, rtol=1e-8)


def test_a_mixture_without_risk_is_an_error() -> None:
    """Strategies that cancel out have no equal-risk weights; one line says so, without a warning.

    In the first case some positive mixture has no variance at all, in the others nearly none.
    """
    base = np.random.default_rng(1).normal(size=(60, 2)) * 0.01
    for noise in (0.0, 1e-9, 1e-6):
        hedge = -base.sum(axis=1) + noise * np.random.default_rng(2).normal(size=60) * 0.01
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ConfigError, match="no equal-risk weights for these 3 strategies"):
                equal_risk(np.column_stack((base, hedge)))


def test_a_strong_hedge_is_no_error() -> None:
    """A correlation of -0.9999 has weights like any other."""
    returns = with_correlation(np.array([[1.0, -0.9999], [-0.9999, 1.0]]), np.array([0.01, 0.03]))

    np.testing.assert_allclose(equal_risk(returns), [0.75, 0.25], rtol=1e-9)


@MEASURED
@pytest.mark.parametrize(
    ("returns", "words"),
    [
        (np.zeros((1, 2)), r"at least 2 days and 1 strategy, not shape \(1, 2\)"),
        (np.zeros((30, 0)), "at least 2 days"),
        (np.zeros(30), "at least 2 days"),
        (np.array([[0.0, 0.1], [0.0, np.nan]]), "strategy 2 on day 2 is nan"),
        (np.array([[0.0, 0.1], [np.inf, 0.2]]), "strategy 1 on day 2 is inf"),
    ],
)
def test_bad_returns_are_refused(method, returns: np.ndarray, words: str) -> None:
    """Returns that can't be measured are one line that says where."""
    with pytest.raises(DataError, match=words):
        method(returns)


# --- in a drawdown -------------------------------------------------------------------------------


def test_the_scale_falls_in_a_straight_line_to_its_floor() -> None:
    """Full size at the peak, the floor at the stated drawdown, half of the way in between."""
    assert drawdown_scale(100.0, 100.0, 0.2, 0.25) == 1.0
    assert drawdown_scale(120.0, 100.0, 0.2, 0.25) == 1.0
    assert drawdown_scale(90.0, 100.0, 0.2, 0.25) == pytest.approx(0.625)
    assert drawdown_scale(80.0, 100.0, 0.2, 0.25) == pytest.approx(0.25)
    assert drawdown_scale(10.0, 100.0, 0.2, 0.25) == 0.25
    assert drawdown_scale(-5.0, 100.0, 0.2, 0.25) == 0.25


def test_the_scale_of_what_is_not_known_is_the_floor() -> None:
    """No number, or no peak above zero, is no reason to trade in full size."""
    for value, peak in ((math.nan, 100.0), (100.0, math.nan), (0.0, 0.0), (-1.0, -2.0)):
        assert drawdown_scale(value, peak, 1.0, 0.25) == 0.25


@settings(deadline=None)
@given(
    values=st.tuples(st.floats(-1e3, 2e5), st.floats(-1e3, 2e5)),
    peak=st.floats(1.0, 1e5),
    cut_at=st.floats(0.01, 1.0),
    floor=st.floats(0.0, 1.0),
)
def test_a_deeper_drawdown_never_trades_larger(
    values: tuple[float, float], peak: float, cut_at: float, floor: float
) -> None:
    """The scale lies between floor and 1 and does not rise as the value falls."""
    low, high = (drawdown_scale(one, peak, cut_at, floor) for one in sorted(values))

    assert floor <= low <= high <= 1.0


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(method="equal-rsk"), "not 'equal-rsk' - did you mean 'equal-risk'"),
        (dict(method="fixed"), "sum above 0: give one weight per strategy"),
        (dict(method="fixed", weights=(0.0, 0.0)), "sum above 0"),
        (dict(method="fixed", weights=(1.0, -0.5)), "weight 2 must be a number from 0 to 1,000,00"),
        (dict(method="fixed", weights=(math.nan,)), "weight 1 must be .* not nan"),
        (dict(method="fixed", weights=(math.inf,)), "not inf"),
        (dict(method="fixed", weights=(1.0, True)), "weight 2 must be .* not True"),
        (dict(method="equal", weights=(1.0,)), "equal makes its own"),
        (dict(cut_at=0.005), "cut_at must be from 0.01 to 1, not 0.005"),
        (dict(cut_at=math.nan), "not nan"),
        (dict(cut_at="0.2"), "not '0.2'"),
        (dict(floor=1.1), "floor must be from 0 to 1, not 1.1"),
        (dict(drawdown_aware="yes"), "drawdown_aware must be true or false, not 'yes'"),
    ],
)
def test_bad_settings_are_one_line(changes: dict, words: str) -> None:
    """Each impossible setting is refused with its name, value and range."""
    with pytest.raises(ConfigError, match=words):
        Allocation(**changes)


def test_weights_come_with_words() -> None:
    """What the reader must know of the weights is a note: idle, hardly active, not summing to 1."""
    returns = returns_of(1, 3)
    returns[:, 1] = 0.0
    returns[5:, 2] = 0.0
    method = Allocation("inverse-volatility")
    weights, notes = method.weights_from(returns, 3, ("sweep", "gap", "block"))

    np.testing.assert_array_equal(weights, inverse_volatility(returns))
    assert notes == (
        "allocation inverse-volatility: gap did not trade in-sample: no measured risk, weight 0",
        (
            "allocation inverse-volatility: block moved on 5 of 90 in-sample days: its risk, and so"
            " its weight, is poorly measured"
        ),
    )
    assert method.weights_from(returns[:, :1], 1)[1] == ()
    assert method.weights_from(returns_of(1, 3), 3)[1] == ()
    assert "strategy 2 did not trade" in method.weights_from(returns, 3)[1][0]
    assert method.weights_from(np.zeros((9, 2)), 2)[1] == (
        "allocation inverse-volatility: no strategy traded in-sample, so equal shares",
    )


def test_equal_risk_is_reached_through_the_settings() -> None:
    """The method named equal-risk is equal risk."""
    returns = returns_of(3, 4)
    weights, notes = Allocation("equal-risk").weights_from(returns, 4)

    np.testing.assert_array_equal(weights, equal_risk(returns))
    assert notes == ()


@pytest.mark.parametrize("method", ["inverse-volatility", "equal-risk"])
def test_without_a_training_shares_are_equal_and_a_note_says_so(method: str) -> None:
    """No returns, or a single day of them, measure no risk."""
    for returns in (None, np.ones((1, 4)), np.ones((0, 4))):
        weights, notes = Allocation(method).weights_from(returns, 4)
        assert weights.tolist() == [0.25] * 4
        assert notes == (
            f"allocation {method}: no in-sample returns to measure risk by, so equal shares",
        )


def test_equal_and_fixed_need_no_returns() -> None:
    """They give the same weights with and without a training."""
    for returns in (None, returns_of(2, 2)):
        assert Allocation().weights_from(returns, 2)[0].tolist() == [0.5, 0.5]
        assert Allocation().weights_from(returns, 2)[1] == ()
        weights, notes = Allocation("fixed", (0.3, 0.7)).weights_from(returns, 2)
        np.testing.assert_allclose(weights, [0.3, 0.7], rtol=1e-15)
        assert notes == ()


def test_fixed_weights_that_do_not_add_up_are_noted() -> None:
    """Weights of 2 : 1 : 1 are used as shares, and the reader sees which."""
    _, notes = Allocation("fixed", (2.0, 1.0, 1.0)).weights_from(None, 3)

    assert notes == ("allocation fixed: weights add up to 4; used as 50.0%, 25.0%, 25.0%",)


def test_what_does_not_fit_the_strategies_is_refused() -> None:
    """Another number of weights or of columns than of strategies is one line."""
    with pytest.raises(ConfigError, match="2 weights for 3 strategies"):
        Allocation("fixed", (0.5, 0.5)).weights_from(None, 3)
    with pytest.raises(DataError, match="do not fit 3 strategies"):
        Allocation("equal-risk").weights_from(returns_of(1, 2), 3)
    with pytest.raises(ConfigError, match="at least 1 strategy, not 0"):
        Allocation().weights_from(None, 0)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 6),
    method=st.sampled_from(METHODS),
    idle=st.integers(0, 6),
)
def test_weights_are_shares_of_one_account(seed: int, n: int, method: str, idle: int) -> None:
    """Whatever the method, no weight is negative and together they are the account."""
    returns = returns_of(seed, n)
    returns[:, :idle] = 0.0
    weights = tuple(np.random.default_rng(seed).uniform(0.0, 3.0, n)) if method == "fixed" else ()
    assume(method != "fixed" or sum(weights) > 0.0)
    got, _ = Allocation(method, tuple(map(float, weights))).weights_from(returns, n)

    assert got.shape == (n,)
    assert (got >= 0.0).all()
    assert got.sum() == pytest.approx(1.0, abs=1e-12)


def test_the_settings_in_words() -> None:
    """One line tells the method, its weights and what a drawdown changes."""
    assert Allocation().describe() == "allocation equal"
    assert Allocation("fixed", (2.0, 1.0)).describe() == "allocation fixed 2 : 1"
    assert Allocation(drawdown_aware=True).describe() == (
        "allocation equal, down to 25% of it at a drawdown of 20%"
    )
    assert Allocation(**Allocation("equal-risk").as_dict()) == Allocation("equal-risk")
