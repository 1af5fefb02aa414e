"""PBO against printed and independently computed values, a slower second route, and its null."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_random import RStream
from scipy.stats import linregress, rankdata

from ftbt.errors import InputError
from ftbt.robustness.pbo import probability_of_backtest_overfitting as pbo_of
from ftbt.robustness.pbo_null import independent_null, resampled_null

DAILY_RISK_FREE = 0.03 / 252
TRADING_DAYS = 365.25 * 5 / 7


def r_unit_test_panel():
    """`set.seed(852)`, 200 x 40 `rnorm` filled by row: the data of R pbo's own unit test."""
    return RStream(852).rnorm(8000).reshape(200, 40)


def r_vignette_panel():
    """The vignette of R pbo: 2400 x 100, every column with mean 0 and sd 252^-1/2."""
    panel = RStream(765).rnorm(240_000).reshape(100, 2400).T
    panel = panel / panel.std(axis=0, ddof=1) * 252**-0.5
    return panel - panel.mean(axis=0)


def recentred(rng, rows, trials, annual_sharpe=0.0):
    """Columns with mean exactly 0, sd 1; the last one with an exact annual Sharpe ratio."""
    panel = rng.standard_normal((rows, trials))
    panel = (panel - panel.mean(axis=0)) / panel.std(axis=0, ddof=1)
    panel[:, -1] += annual_sharpe / np.sqrt(TRADING_DAYS)
    return panel


def slow_pbo(panel, blocks):
    """CSCV as the paper words it: join the blocks, compute, rank; one combination at a time."""
    parts = np.split(panel, blocks)
    rows = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[b] for b in chosen])
        outside = np.concatenate([parts[b] for b in range(blocks) if b not in chosen])
        is_metric = inside.mean(axis=0) / inside.std(axis=0, ddof=1)
        oos_metric = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        winner = int(np.argmax(is_metric))
        relative = rankdata(oos_metric)[winner] / (panel.shape[1] + 1)
        logit = np.log(relative / (1 - relative))
        rows.append((winner, logit, is_metric[winner], oos_metric[winner], oos_metric))
    return rows


def test_r_random_numbers():
    """The test kit repeats R's own random numbers ([R] R 4.2.2)."""
    np.testing.assert_allclose(
        RStream(123).rnorm(3), [-0.56047565, -0.23017749, 1.55870831], atol=5e-9
    )
    np.testing.assert_allclose(
        RStream(852).rnorm(4), [0.06250095, 1.63356366, -0.1842694, -1.32844781], atol=5e-9
    )


def test_r_pbo_unit_test_four_blocks():
    """Ranks, logits, pairs and slope of R pbo's unit test are met ([P] bounds, [R] digits)."""
    made = pbo_of(r_unit_test_panel(), 4, risk_free=DAILY_RISK_FREE)

    assert made.pbo == 0.5
    assert made.probability_of_loss == 0.5
    np.testing.assert_array_equal(made.ranks, [38, 2, 34, 28, 14, 14])
    np.testing.assert_allclose(
        made.logits, [2.53897, -2.97041, 1.58045, 0.76726, -0.65678, -0.65678], atol=6e-6
    )
    np.testing.assert_allclose(
        made.in_sample, [0.20471, 0.23642, 0.31397, 0.11406, 0.13568, 0.19645], atol=6e-6
    )
    np.testing.assert_allclose(
        made.out_of_sample,
        [0.12463, -0.28953, 0.03148, 0.03235, -0.04943, -0.06592],
        atol=6e-6,
    )
    assert made.degradation.slope == pytest.approx(-0.21989, abs=6e-6)
    assert made.degradation.intercept == pytest.approx(0.007954, abs=6e-7)


@pytest.mark.parametrize(
    ("blocks", "pbo", "loss", "slope"),
    [(8, 0.3857143, 0.457143, 0.0246485), (10, 0.3055556, 0.408730, 0.1319460)],
)
def test_r_pbo_more_blocks(blocks, pbo, loss, slope):
    """Eight and ten blocks of the same data give what R gives ([R])."""
    made = pbo_of(r_unit_test_panel(), blocks)

    assert made.pbo == pytest.approx(pbo, abs=5e-8)
    assert made.probability_of_loss == pytest.approx(loss, abs=5e-7)
    assert made.degradation.slope == pytest.approx(slope, abs=2e-7)


@pytest.mark.parametrize(
    ("blocks", "printed", "adjusted"), [(8, -0.003046, 0.97), (4, -0.005909, 0.88)]
)
def test_r_vignette_full_overfit(blocks, printed, adjusted):
    """The vignette's full overfit: PBO 1, and its "slope" is the intercept of IS on OOS ([P])."""
    made = pbo_of(r_vignette_panel(), blocks, risk_free=DAILY_RISK_FREE)
    wrong_way_round = linregress(made.out_of_sample, made.in_sample)
    n = len(made.in_sample)

    assert made.pbo == 1.0
    assert made.probability_of_loss == 1.0
    assert wrong_way_round.intercept == pytest.approx(printed, abs=6e-7)
    assert 1 - (1 - made.degradation.r_squared) * (n - 1) / (n - 2) == pytest.approx(
        adjusted, abs=0.006
    )
    if blocks == 8:
        assert made.degradation.slope == pytest.approx(-0.9980, abs=5e-5)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    trials=st.integers(2, 9),
    blocks=st.sampled_from([2, 4, 6]),
    each=st.integers(3, 12),
)
def test_same_as_the_slow_route(seed, trials, blocks, each):
    """Block sums give what joining the blocks gives, combination for combination."""
    panel = np.random.default_rng(seed).standard_normal((blocks * each, trials)) * 0.01
    made, slow = pbo_of(panel, blocks), slow_pbo(panel, blocks)

    np.testing.assert_array_equal(made.winners, [row[0] for row in slow])
    np.testing.assert_allclose(made.logits, [row[1] for row in slow], atol=1e-12)
    np.testing.assert_allclose(made.in_sample, [row[2] for row in slow], atol=1e-9)
    np.testing.assert_allclose(made.out_of_sample, [row[3] for row in slow], atol=1e-9)
    assert made.pbo == np.mean([row[1] <= 1e-12 for row in slow])


def test_dominance_curves_are_the_distributions():
    """Both curves are the shares at or below each grid value, and the integral adds them up."""
    panel = np.random.default_rng(5).standard_normal((120, 15))
    made, slow = pbo_of(panel, 6), slow_pbo(panel, 6)
    curve = made.dominance
    chosen = np.array([row[3] for row in slow])
    every = np.concatenate([row[4] for row in slow])
    # Half a bin aside no value can lie on the edge of a bin.
    at = curve.grid + 1e-9

    np.testing.assert_allclose(curve.chosen, [(chosen <= x).mean() for x in at], atol=1e-12)
    np.testing.assert_allclose(curve.every, [(every <= x).mean() for x in at], atol=1e-12)
    assert curve.chosen[-1] == pytest.approx(1.0)
    exact = [np.maximum(x - every, 0).mean() - np.maximum(x - chosen, 0).mean() for x in curve.grid]
    np.testing.assert_allclose(curve.integral, exact, atol=2e-3)
    assert curve.integral[-1] == pytest.approx(chosen.mean() - every.mean(), abs=2e-3)


def test_dominance_of_a_real_edge():
    """A trial with an edge among idle ones dominates in both orders; pure overfit in neither."""
    rng = np.random.default_rng(3)
    skilled = rng.standard_normal((800, 20))
    skilled[:, 4] += 0.4
    good, bad = pbo_of(skilled, 8).dominance, pbo_of(recentred(rng, 800, 20), 8).dominance

    assert (good.first_order, good.second_order) == (True, True)
    assert (bad.first_order, bad.second_order) == (False, False)


def test_median_of_an_odd_number_counts_as_overfit():
    """With three trials the middle rank has logit 0 and counts as overfit (rank / (N + 1))."""
    rows = np.array([[3.0, 2.0, 1.0], [3.1, 2.1, 0.9], [2.0, 1.0, 3.0], [2.1, 0.9, 3.2]])
    rows = rows + np.array([0.01, -0.01, 0.01, -0.01])[:, None]
    made = pbo_of(rows, 2, "mean")

    np.testing.assert_array_equal(made.winners, [0, 2])
    np.testing.assert_array_equal(made.ranks, [2.0, 1.0])
    assert made.logits[0] == 0.0
    assert made.pbo == 1.0


def test_equal_trials_share_their_rank():
    """Trials with the same returns share the mean rank, whatever column they stand in."""
    rng = np.random.default_rng(0)
    one = rng.standard_normal((160, 1)) + 0.5
    panel = np.hstack([one] * 7 + [rng.standard_normal((160, 1)) - 2.0])
    made = pbo_of(panel, 8)

    np.testing.assert_array_equal(made.winners, 0)
    np.testing.assert_array_equal(made.ranks, 5.0)


def test_trials_that_never_trade():
    """A trial without trades has a metric of 0, beats losers and loses against winners."""
    rng = np.random.default_rng(1)
    noise = 0.01 * rng.standard_normal((160, 2))
    losers = pbo_of(np.column_stack([noise - 0.02, np.zeros(160)]), 8)
    winner = pbo_of(np.column_stack([noise + 0.02, np.zeros(160)]), 8)

    assert set(losers.winners) == {2}
    assert losers.pbo == 0.0
    np.testing.assert_array_equal(losers.in_sample, 0.0)
    assert np.isnan(losers.degradation.slope)
    assert 2 not in winner.winners


def test_oldest_rows_are_left_out():
    """Rows that do not fill the blocks are dropped at the old end and counted."""
    panel = np.random.default_rng(2).standard_normal((167, 10))
    made, rest = pbo_of(panel, 16), pbo_of(panel[7:], 16)

    assert (made.dropped_rows, made.rows) == (7, 160)
    np.testing.assert_array_equal(made.logits, rest.logits)


def test_units_do_not_matter():
    """Scaling a trial or reversing time changes no rank of the Sharpe ratio."""
    rng = np.random.default_rng(8)
    panel = rng.standard_normal((160, 12))
    made = pbo_of(panel, 8)

    assert pbo_of(panel * rng.uniform(0.1, 50.0, 12), 8).pbo == made.pbo
    assert pbo_of(panel[::-1], 8).pbo == made.pbo


def test_recentred_columns_are_always_overfit():
    """Equal means make every good half pay with a bad one: PBO is 1 ([P] the authors' case)."""
    rng = np.random.default_rng(4)
    for rows, trials in ((500, 20), (1000, 50), (2500, 10)):
        assert pbo_of(recentred(rng, rows, trials), 16).pbo == 1.0
    assert pbo_of(recentred(rng, 160, 5), 16, "mean").pbo == 1.0


@pytest.mark.parametrize(
    ("sharpe", "rows", "trials", "expected", "spread"),
    [(1, 500, 100, 0.931, 0.023), (2, 500, 50, 0.331, 0.06), (3, 500, 10, 0.013, 0.01)],
)
def test_authors_monte_carlo(sharpe, rows, trials, expected, spread):
    """One trial with a known Sharpe ratio among recentred ones ([R] independent simulation)."""
    rng = np.random.default_rng(sharpe)
    made = [pbo_of(recentred(rng, rows, trials, sharpe), 16).pbo for _ in range(8)]

    assert np.mean(made) == pytest.approx(expected, abs=4 * spread / np.sqrt(8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sharpe", "rows", "trials", "expected"),
    [
        *((1, 500, 100, 0.931), (1, 500, 50, 0.870), (1, 500, 10, 0.622)),
        *((1, 1000, 100, 0.719), (1, 1000, 50, 0.636), (1, 1000, 10, 0.383)),
        *((1, 2500, 100, 0.297), (1, 2500, 50, 0.216), (1, 2500, 10, 0.089)),
        *((2, 500, 100, 0.427), (2, 500, 50, 0.331), (2, 500, 10, 0.137)),
        *((2, 1000, 100, 0.100), (2, 1000, 50, 0.080), (2, 1000, 10, 0.025)),
        *((3, 500, 100, 0.079), (3, 500, 50, 0.046), (3, 500, 10, 0.013)),
    ],
)
def test_authors_monte_carlo_table(sharpe, rows, trials, expected):
    """The whole table of one skilled trial among recentred ones ([R], 60 simulations each)."""
    rng = np.random.default_rng(1000 * sharpe + rows + trials)
    made = [pbo_of(recentred(rng, rows, trials, sharpe), 16).pbo for _ in range(60)]

    assert np.mean(made) == pytest.approx(expected, abs=0.03)


def test_no_skill_and_a_planted_edge():
    """Noise has a PBO near one half; 20 of 200 trials with 0.15 per row have one near 0 ([P])."""
    rng = np.random.default_rng(11)
    noise = [rng.standard_normal((1000, 200)) for _ in range(6)]
    edge = [one + 0.15 * (np.arange(200) < 20) for one in noise[:2]]
    null = [pbo_of(one).pbo for one in noise]

    assert np.mean(null) == pytest.approx(0.476, abs=4 * 0.137 / np.sqrt(6))
    assert np.mean([pbo_of(one).pbo for one in edge]) < 0.01


@pytest.mark.slow
def test_no_skill_published_mean_and_spread():
    """Over 60 matrices of noise PBO is 0.476 +- 0.137 on the mean and spread ([P])."""
    rng = np.random.default_rng(12)
    made = [pbo_of(rng.standard_normal((1000, 200))).pbo for _ in range(60)]

    assert np.mean(made) == pytest.approx(0.476, abs=0.06)
    assert np.std(made, ddof=1) == pytest.approx(0.137, abs=0.035)


@pytest.mark.parametrize(
    ("trials", "rows", "mean", "spread", "lower"),
    [
        *((5, 1000, 0.593, 0.264, 0.139), (20, 1000, 0.495, 0.199, 0.176)),
        *((100, 1000, 0.512, 0.156, 0.242), (20, 250, 0.515, 0.211, 0.161)),
    ],
)
def test_null_without_skill(trials, rows, mean, spread, lower):
    """Mean, spread and 5 % quantile of the null agree with full simulations ([R])."""
    null = independent_null(0.10, trials, rows, simulations=70, seed=1)

    assert null.mean == pytest.approx(mean, abs=0.06)
    assert null.deviation == pytest.approx(spread, abs=0.04)
    assert null.lower == pytest.approx(lower, abs=0.08)
    assert null.p_value <= (0.07 if trials == 5 else 0.05)


def test_null_does_not_depend_on_how_it_is_drawn():
    """Drawing block sums directly and resampling an independent panel give the same null."""
    panel = np.random.default_rng(6).standard_normal((640, 20)) * 0.01
    direct = independent_null(0.2, 20, 640, 12, simulations=200, seed=2)
    drawn = resampled_null(0.2, panel, 12, simulations=200, seed=2)

    assert drawn.mean == pytest.approx(direct.mean, abs=0.07)
    assert drawn.deviation == pytest.approx(direct.deviation, abs=0.05)


def test_null_of_similar_trials_is_wider():
    """A hundred trials that are five in truth are judged like five, not like a hundred."""
    rng = np.random.default_rng(7)
    five = rng.standard_normal((800, 5))
    alike = np.repeat(five, 20, axis=1) + 0.05 * rng.standard_normal((800, 100))
    null = resampled_null(0.10, alike, 10, simulations=150, seed=3)
    apart = independent_null(0.10, 100, 800, 10, simulations=150, seed=3)

    assert null.deviation > 1.3 * apart.deviation
    assert null.p_value > apart.p_value


def test_null_is_reproducible_and_counts_itself():
    """The same seed gives the same null; the p-value is never 0 and 1 for a PBO of 1."""
    panel = np.random.default_rng(9).standard_normal((64, 6))
    first, again = (resampled_null(0.0, panel, 8, simulations=40, seed=5) for _ in range(2))

    np.testing.assert_array_equal(first.values, again.values)
    reached = np.count_nonzero(first.values <= 0.0)
    assert first.p_value == (1 + reached) / 41
    assert resampled_null(1.0, panel, 8, simulations=40).p_value == 1.0


@pytest.mark.slow
def test_p_value_is_calibrated():
    """On noise a p-value of 0.2 or less comes up in about one case of five."""
    rng = np.random.default_rng(10)
    hits = 0
    for seed in range(120):
        panel = rng.standard_t(4, (320, 30))
        null = resampled_null(pbo_of(panel, 8).pbo, panel, 8, simulations=100, seed=seed)
        hits += null.p_value <= 0.2

    assert 0.10 <= hits / 120 <= 0.31


def test_two_thousand_trials_take_seconds():
    """900 days x 2,400 trials in 16 blocks take less than 5 seconds of processor time."""
    panel = np.random.default_rng(0).standard_normal((900, 2400)) * 0.01
    start = time.process_time()
    made = pbo_of(panel)

    assert len(made.logits) == 12_870
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize(
    ("panel", "blocks", "metric", "message"),
    [
        (np.ones((40, 3)), 7, "sharpe", "even number from 2 to 20"),
        (np.ones((40, 3)), 22, "sharpe", "even number from 2 to 20"),
        (np.ones((31, 3)), 16, "sharpe", "at least 32 rows"),
        (np.ones((40, 1)), 4, "sharpe", "at least 2 trials"),
        (np.ones((4, 3, 2)), 2, "sharpe", "rows x trials"),
        (np.ones((40, 3)), 4, "sharp", "did you mean 'sharpe'"),
        (np.where(np.eye(40, 3) > 0, np.nan, 1.0), 4, "mean", "row 0, trial 0 is nan"),
    ],
)
def test_what_cannot_be_judged(panel, blocks, metric, message):
    """Input that no combination can be made of is refused with its reason."""
    with pytest.raises(InputError, match=message):
        pbo_of(panel, blocks, metric)


def test_null_refuses_impossible_values():
    """A PBO outside of 0 to 1 or too few simulations are refused."""
    with pytest.raises(InputError, match="observed PBO"):
        independent_null(1.2, 10, 200)
    with pytest.raises(InputError, match="simulations"):
        independent_null(0.2, 10, 200, simulations=5)
    with pytest.raises(InputError, match="rows"):
        independent_null(0.2, 10, 20)
