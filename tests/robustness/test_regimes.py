"""Regimes of days, the table of trades in them, and how the profit is spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.errors import InputError
from ftbt.robustness.concentration import profit_concentration, window_statistics
from ftbt.robustness.regimes import (
    UNKNOWN,
    daily_closes,
    funding_regimes,
    mean_interval,
    regime_table,
    trend_regimes,
    volatility_regimes,
    year_regimes,
)

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC


def hourly(days=300, seed=0, start=START):
    """Times and closes of hourly bars whose volatility and trend change."""
    rng = np.random.default_rng(seed)
    n = 24 * days
    slow = np.sin(np.arange(n) / (24 * 40))
    steps = 0.001 * slow * 0.3 + 0.004 * (1.2 + slow) * rng.standard_normal(n)
    return start + np.arange(n) * HOUR_MS, 100.0 * np.exp(np.cumsum(steps))


def test_daily_closes_are_the_last_of_each_utc_day():
    """The bar from 23:00 belongs to the day in which it opens; an unfinished day counts."""
    time, close = hourly(3)
    day, last = daily_closes(time[:-5], close[:-5])

    assert day.tolist() == [START, START + DAY_MS, START + 2 * DAY_MS]
    np.testing.assert_array_equal(last, close[[23, 47, 66]])


def test_trend_looks_at_finished_days_only():
    """The measure of a day is the return of the days before it, by hand."""
    time, close = hourly(60)
    made = trend_regimes(time, close, 10)
    _, last = daily_closes(time, close)

    assert np.all(np.isnan(made.measure[:11]))
    assert made.measure[11] == pytest.approx(last[10] / last[0] - 1.0)
    assert made.measure[40] == pytest.approx(last[39] / last[29] - 1.0)
    assert np.all(made.label[:11] == -1)


def test_volatility_is_the_deviation_of_the_days_before():
    """The measure of a day is the standard deviation of the log returns before it."""
    time, close = hourly(60)
    made = volatility_regimes(time, close, 7)
    moves = np.diff(np.log(daily_closes(time, close)[1]))

    assert np.all(np.isnan(made.measure[:8]))
    assert made.measure[8] == pytest.approx(moves[:7].std(ddof=1))
    assert made.measure[59] == pytest.approx(moves[51:58].std(ddof=1))


def test_funding_is_the_mean_of_the_days_before():
    """Payments due before the day began count, one due as it begins does not."""
    time = START + np.arange(24 * 30) * HOUR_MS
    rate = np.repeat(np.arange(30.0), 24) * 1e-5
    made = funding_regimes(time, rate, 2)

    assert np.all(np.isnan(made.measure[:2]))
    assert made.measure[2] == pytest.approx(0.5e-5)
    assert made.measure[29] == pytest.approx(27.5e-5)
    np.testing.assert_array_equal(made.label[[2, 15, 29]], [0, 1, 2])


@pytest.mark.parametrize("make", [trend_regimes, volatility_regimes])
def test_thirds_in_hindsight_are_thirds(make):
    """In hindsight each third holds a third of the measured days, cut where it says."""
    time, close = hourly(331)
    made = make(time, close)
    known = made.label[made.label >= 0]

    assert len(known) == 300
    np.testing.assert_array_equal(np.bincount(known), [100, 100, 100])
    assert not made.causal
    low, high = made.cuts
    assert made.measure[made.label == 0].max() <= low < made.measure[made.label == 1].min()
    assert made.measure[made.label == 1].max() <= high < made.measure[made.label == 2].min()


@settings(deadline=None, max_examples=10)
@given(cut=st.integers(140, 260), seed=st.integers(0, 99))
def test_causal_labels_do_not_know_the_future(cut, seed):
    """A label in causal mode is the same whether or not later bars exist, or are wild."""
    time, close = hourly(270, seed)
    bars = cut * 24
    wild = close.copy()
    wild[bars:] *= 3.0
    for make in (trend_regimes, volatility_regimes):
        whole, part, other = (
            make(*series, 20, causal=True)
            for series in ((time, close), (time[:bars], close[:bars]), (time, wild))
        )
        np.testing.assert_array_equal(whole.label[:cut], part.label)
        # The first wild close is known only as the day after it begins.
        np.testing.assert_array_equal(whole.label[: cut + 1], other.label[: cut + 1])
        assert whole.causal
        assert np.all(whole.label[: 20 + 91] == -1)
        assert whole.label[20 + 91] >= 0
        assert np.all(np.isnan(whole.cuts))


def test_years_are_those_of_utc():
    """New Year's midnight UTC begins a new label."""
    time = START - 2 * HOUR_MS + np.arange(4) * HOUR_MS
    made = year_regimes(time)

    assert made.words == ("2023", "2024")
    assert made.at(time).tolist() == [0, 0, 1, 1]
    assert made.causal


def test_labels_at_instants():
    """An instant gets the label of its UTC day; outside of the days it has none."""
    time, close = hourly(100)
    made = trend_regimes(time, close, 10)
    wanted = np.array([START - 1, START + 50 * DAY_MS + 5, START + 51 * DAY_MS - 1])

    assert made.at(wanted).tolist() == [-1, made.label[50], made.label[50]]
    assert made.at([START + 100 * DAY_MS]).tolist() == [-1]
    assert trend_regimes(time[:0], close[:0]).at([START]).tolist() == [-1]


def test_table_by_hand():
    """Trades, net, win rate and mean R of each regime, grey below thirty trades."""
    label = np.array([0] * 40 + [1] * 3 + [-1])
    net = np.array([10.0, -5.0] * 20 + [1.0, 2.0, -6.0] + [7.0])
    r = np.array([1.0, -0.5] * 20 + [0.1, np.nan, -0.6] + [0.7])
    first, second, third, rest = regime_table(("calm", "wild", "mad"), label, net, r)

    assert (first.word, first.trades, first.net, first.win_rate) == ("calm", 40, 100.0, 0.5)
    assert first.mean_r == 0.25
    assert first.enough
    interval = ttest_1samp(r[:40], 0.0).confidence_interval(0.95)
    assert (first.low, first.high) == pytest.approx((interval.low, interval.high))
    assert (second.trades, second.mean_r, second.enough) == (3, pytest.approx(-0.25), False)
    assert (third.trades, third.net) == (0, 0.0)
    assert np.isnan(third.mean_r)
    assert np.isnan(third.win_rate)
    assert (rest.word, rest.trades, rest.net) == (UNKNOWN, 1, 7.0)
    assert np.isnan(rest.low)


def test_no_row_for_unknown_without_need():
    """When every trade has a label there is no extra row, and no trades make empty rows."""
    rows = regime_table(("a",), [0, 0], [1.0, 2.0], [0.1, 0.2])
    empty = regime_table(("a", "b"), [], [], [])

    assert [row.word for row in rows] == ["a"]
    assert [row.trades for row in empty] == [0, 0]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(0, 60))
def test_rows_add_up_to_the_whole(seed, n):
    """No trade is lost or counted twice, whatever the labels."""
    rng = np.random.default_rng(seed)
    label, net = rng.integers(-1, 3, n), rng.standard_normal(n)
    rows = regime_table(("a", "b", "c"), label, net, net)

    assert sum(row.trades for row in rows) == n
    assert sum(row.net for row in rows) == pytest.approx(net.sum(), abs=1e-9)


def test_interval_covers_the_truth():
    """Student's interval holds the true mean in 95 % of cases; its ends need two values."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        low, _, high = mean_interval(rng.standard_normal(12) + 0.3)
        hits += low <= 0.3 <= high

    assert hits / 2000 == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2000))
    assert np.isnan(mean_interval(np.array([1.0]))[0])
    assert np.isnan(mean_interval(np.zeros(0))[1])
    low, mean, high = mean_interval(np.array([1.0, 2.0, 3.0]), 0.9)
    half = student.ppf(0.95, 2) / np.sqrt(3)
    assert (low, mean, high) == pytest.approx((2 - half, 2.0, 2 + half))


def test_concentration_by_hand():
    """Five best trades of eight: their shares, and how many must go until nothing is left."""
    made = profit_concentration([10.0, 8.0, 1.0, 1.0, 1.0, 1.0, -4.0, -6.0])

    assert (made.net, made.top_net, made.net_without) == (12.0, 21.0, -9.0)
    assert made.share_of_net == 21 / 12
    assert made.share_of_gains == 21 / 22
    assert made.trades_to_zero == 2


def test_concentration_at_its_edges():
    """Losers have no share of a profit; a single winner is all of it; no trades are no error."""
    loser = profit_concentration([-1.0, 0.5])
    single = profit_concentration([0.1 + 0.2])
    none = profit_concentration([])

    assert np.isnan(loser.share_of_net)
    assert loser.trades_to_zero == 0
    assert (single.share_of_net, single.trades_to_zero) == (1.0, 1)
    assert np.isnan(none.share_of_gains)


@settings(deadline=None, max_examples=60)
@given(net=st.lists(st.floats(-1e6, 1e6), max_size=30), top=st.integers(1, 8))
def test_trades_to_zero_by_the_slow_route(net, top):
    """Taking out one trade fewer leaves a profit; the shares are the sums they say."""
    made = profit_concentration(net, top)
    best = sorted(net, reverse=True)
    count = made.trades_to_zero

    assert made.top_net == pytest.approx(sum(best[:top]), abs=1e-6)
    if sum(net) > 1e-6:
        scale = 1e-9 * sum(abs(value) for value in net)
        assert sum(best[count:]) <= scale
        assert sum(best[count - 1 :]) > -scale


def test_windows_by_hand():
    """Share of profitable windows, the best one's share and the longest losing run."""
    made = window_statistics([3.0, -1.0, 0.0, -2.0, 8.0, 2.0])

    assert (made.windows, made.profitable, made.share_profitable) == (6, 3, 0.5)
    assert (made.net, made.best, made.worst, made.median) == (10.0, 8.0, -2.0, 1.0)
    assert (made.best_window, made.best_share) == (4, 0.8)
    assert made.longest_losing_run == 3
    assert np.isnan(window_statistics([-1.0, 0.5]).best_share)


def test_bad_input_is_refused():
    """Times out of order, lengths that differ and labels without a word are named."""
    time, close = hourly(40)
    with pytest.raises(InputError, match="times must rise"):
        trend_regimes(time[::-1], close)
    with pytest.raises(InputError, match="do not match times"):
        trend_regimes(time, close[:-1])
    with pytest.raises(InputError, match="closes must be above 0"):
        volatility_regimes(time, -close)
    with pytest.raises(InputError, match="value 0 is nan"):
        funding_regimes(time[:1], np.array([np.nan]))
    with pytest.raises(InputError, match="length"):
        volatility_regimes(time, close, 1)
    with pytest.raises(InputError, match="labels must be -1 to 1"):
        regime_table(("a", "b"), [2], [1.0], [1.0])
    with pytest.raises(InputError, match="one value per trade"):
        regime_table(("a", "b"), [1], [1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="at least one finite profit"):
        window_statistics([])
    with pytest.raises(InputError, match="one finite number per trade"):
        profit_concentration([np.inf])
