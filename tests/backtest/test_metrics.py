"""The metrics against printed values, against slower second routes, and at their edges."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from ftbt.backtest import metrics as m
from ftbt.backtest import return_metrics as rm
from ftbt.backtest import trade_metrics as tm
from ftbt.backtest.result import FILL, REFUSED, TRADE, Result
from ftbt.backtest.settings import Settings
from ftbt.data.timeframe import DAY_MS, HOUR_MS, Timeframe

# 24 monthly returns of Bacon (2008), as in PerformanceAnalytics' `portfolio_bacon`.
BACON = np.array(
    [
        *(0.003, 0.026, 0.011, -0.010, 0.015, 0.025, 0.016, 0.067, -0.014, 0.040, -0.005, 0.081),
        *(
            0.040,
            -0.037,
            -0.061,
            0.017,
            -0.049,
            -0.022,
            0.070,
            0.058,
            -0.065,
            0.024,
            -0.005,
            -0.009,
        ),
    ]
)
MAR = 0.005
EQUITY = np.cumprod(1.0 + BACON)
DRAWDOWN = rm.drawdowns(EQUITY, 1.0)
CAGR = rm.cagr(EQUITY, 1.0, 2.0)


def kurtosis_sample(returns):
    """R's `kurtosis(method="sample")`, from the excess form."""
    n = len(returns)
    return rm.sample_excess_kurtosis(returns) + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))


PRINTED = {
    "adjusted Sharpe": (
        rm.adjusted_sharpe(
            CAGR / (rm.volatility(BACON) * math.sqrt(12)), rm.skewness(BACON), rm.kurtosis(BACON)
        ),
        "0.7591435",
    ),
    "downside deviation": (rm.downside_deviation(BACON, MAR), "0.02553674"),
    "downside potential": (rm.downside_potential(BACON, MAR), "0.01370833"),
    "downside frequency": (rm.downside_frequency(BACON, MAR), "0.458"),
    "upside frequency": (rm.upside_frequency(BACON, MAR), "0.542"),
    "upside risk": (rm.upside_risk(BACON, MAR), "0.02937"),
    "upside potential": (rm.upside_potential(BACON, MAR), "0.01771"),
    "omega-Sharpe": (rm.omega_sharpe(BACON, MAR), "0.2917933"),
    "Bernardo-Ledoit": (rm.bernardo_ledoit(BACON), "1.7797834"),
    "omega at 0": (rm.omega(BACON), "1.7797834"),
    "volatility skew": (rm.volatility_skew(BACON, MAR), "1.32"),
    "variability skew": (rm.variability_skew(BACON, MAR), "1.15"),
    "kappa 2": (rm.kappa(BACON, MAR, 2), "0.1566371"),
    "mean absolute deviation": (rm.mean_absolute_deviation(BACON), "0.0310833"),
    "kurtosis, sample": (kurtosis_sample(BACON), "3.03"),
    "kurtosis, sample excess": (rm.sample_excess_kurtosis(BACON), "-0.41"),
    "pain index": (rm.pain_index(DRAWDOWN), "0.0399897"),
    "Martin": (rm.martin(CAGR, rm.ulcer_index(DRAWDOWN)), "1.6945"),
    "CAGR": (CAGR, "0.10367829"),
    "mean": (rm.mean(BACON), "0.009"),
    "volatility": (rm.volatility(BACON), "0.03954854"),
    "annual Sharpe": (rm.sharpe(BACON, 12), "0.78832025"),
    "annual Sortino": (rm.sortino(BACON, 12), "1.35921658"),
    "max drawdown": (rm.max_drawdown(DRAWDOWN), "-0.14467296"),
    "Calmar": (rm.calmar(CAGR, rm.max_drawdown(DRAWDOWN)), "0.71663905"),
    "ulcer": (rm.ulcer_index(DRAWDOWN), "0.06118429"),
    "ulcer as quantstats": (rm.ulcer_index(DRAWDOWN) * math.sqrt(24 / 23), "0.06250023"),
    "skewness": (rm.skewness(BACON), "-0.08256246"),
    "skewness, pandas": (rm.sample_skewness(BACON), "-0.08817175"),
    "kurtosis": (rm.kurtosis(BACON), "2.43245379"),
    "full Kelly": (rm.full_kelly(BACON), "5.75415578"),
}


@pytest.mark.parametrize("name", PRINTED)
def test_printed_values_of_bacon(name):
    """Every printed value of Bacon's 24 months is reproduced to its last printed digit."""
    value, printed = PRINTED[name]
    assert f"{value:.{len(printed.split('.')[1])}f}" == printed


def test_moments_give_the_published_probabilistic_sharpe():
    """Skewness and kurtosis in their stated form give the three known PSR values of the data."""
    ratio = rm.mean(BACON) / rm.volatility(BACON)

    def psr(skew, kurt):
        spread = 1 - skew * ratio + (kurt - 1) / 4 * ratio**2
        return norm.cdf(ratio * math.sqrt(23 / spread))

    assert round(psr(rm.skewness(BACON), rm.kurtosis(BACON)), 7) == 0.8580412
    corrected = psr(rm.sample_skewness(BACON), rm.sample_excess_kurtosis(BACON) + 3.0)
    assert round(corrected, 7) == 0.8576534
    # The form of 2025 takes the variance at the null, where the moments have no weight.
    assert round(norm.cdf(ratio * math.sqrt(24)), 7) == 0.8675433


NO_VALUE = {
    "mean": rm.mean,
    "volatility": rm.volatility,
    "sharpe": lambda r: rm.sharpe(r, 365),
    "sortino": lambda r: rm.sortino(r, 365),
    "downside deviation": rm.downside_deviation,
    "upside risk": rm.upside_risk,
    "omega": rm.omega,
    "omega-sharpe": rm.omega_sharpe,
    "kappa": rm.kappa,
    "skewness": rm.skewness,
    "kurtosis": rm.kurtosis,
    "sample skewness": rm.sample_skewness,
    "sample kurtosis": rm.sample_excess_kurtosis,
    "kelly": rm.full_kelly,
    "mad": rm.mean_absolute_deviation,
    "drawdown": rm.max_drawdown,
    "ulcer": rm.ulcer_index,
    "pain": rm.pain_index,
    "frequency": rm.downside_frequency,
    "profit factor": tm.profit_factor,
    "win rate": tm.win_rate,
    "payoff": tm.payoff_ratio,
    "expectancy": tm.expectancy,
    "expectancy r": tm.expectancy_r,
}


@pytest.mark.parametrize("name", NO_VALUE)
def test_nothing_gives_nan(name):
    """A figure of an empty series is NaN, never a number that looks like one."""
    assert math.isnan(NO_VALUE[name](np.zeros(0)))


@pytest.mark.parametrize("level", [0.0, 0.01, -0.003])
def test_a_series_without_risk_has_no_ratio(level):
    """Equal returns, whose spread is rounding errors, have no Sharpe, Kelly, skew or kurtosis."""
    flat = np.full(97, level)
    for value in (rm.sharpe(flat, 365), rm.full_kelly(flat), rm.skewness(flat), rm.kurtosis(flat)):
        assert math.isnan(value)


def test_gains_without_losses():
    """Gain to loss ratios are infinite without a loss, the other ratios undefined."""
    gains = np.array([0.01, 0.02, 0.005])
    assert rm.omega(gains) == math.inf
    assert tm.profit_factor(gains) == math.inf
    assert math.isnan(rm.sortino(gains, 365))
    assert math.isnan(tm.payoff_ratio(gains))
    assert math.isnan(tm.profit_factor(np.zeros(3)))
    rising = rm.drawdowns(np.cumprod(1 + gains), 1.0)
    assert math.isnan(rm.calmar(0.1, rm.max_drawdown(rising)))
    assert math.isnan(rm.martin(0.1, rm.ulcer_index(rising)))


def test_growth_at_its_edges():
    """CAGR is -1 after ruin, NaN without a span, and does not overflow on a lucky hour."""
    assert rm.cagr(np.array([50.0, 0.0]), 100.0, 1.0) == -1.0
    assert math.isnan(rm.cagr(np.array([110.0]), 100.0, 0.0))
    assert rm.cagr(np.array([1e6]), 100.0, 1e-4) == math.inf
    assert rm.cagr(np.array([121.0]), 100.0, 2.0) == pytest.approx(0.1)


returns_lists = st.lists(st.floats(-0.2, 0.2), min_size=4, max_size=60)


@settings(deadline=None)
@given(returns_lists)
def test_drawdowns_by_a_slower_route(values):
    """Drawdown, its depth and the time under water equal those of a plain walk over the curve."""
    equity = 100.0 * np.cumprod(1.0 + np.array(values))
    peak, expected, run, longest = 100.0, [], 0, 0
    for value in equity:
        peak = max(peak, value)
        expected.append(value / peak - 1.0)
        run = run + 1 if value < peak else 0
        longest = max(longest, run)
    drawdown = rm.drawdowns(equity, 100.0)
    assert drawdown.tolist() == expected
    assert rm.max_drawdown(drawdown) == min(expected)
    assert rm.longest_under_water(drawdown) == longest


@settings(deadline=None)
@given(returns_lists, st.floats(-0.01, 0.01))
def test_identities_between_the_ratios(values, mar):
    """Omega-Sharpe is omega - 1, kappa 1 is omega-Sharpe, kappa 2 is Sortino per period."""
    returns = np.array(values)
    if not rm.downside_potential(returns, mar) > 1e-6:
        return
    assert rm.omega_sharpe(returns, mar) == pytest.approx(rm.omega(returns, mar) - 1, abs=1e-6)
    assert rm.kappa(returns, mar, 1) == pytest.approx(rm.omega_sharpe(returns, mar), abs=1e-9)
    assert rm.kappa(returns, mar, 2) == pytest.approx(rm.sortino(returns, 1.0, mar), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), max_size=40))
def test_longest_losing_streak_by_a_walk(values):
    """The longest losing streak is that of a plain count; a trade of zero ends a streak."""
    run = longest = 0
    for value in values:
        run = run + 1 if value < 0 else 0
        longest = max(longest, run)
    assert tm.longest_losing_streak(np.array(values, float)) == longest


START = 19_000 * DAY_MS  # 2022-01-08 00:00 UTC


@settings(deadline=None)
@given(
    st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=200),
    st.integers(0, 95),
    st.sampled_from([15 * 60_000, HOUR_MS, 7 * HOUR_MS]),
)
def test_daily_returns_equal_a_resampled_frame(values, offset, step):
    """Returns per UTC day equal the change of the day's last equity as pandas groups it."""
    time = START + offset * 15 * 60_000 + step * np.arange(len(values), dtype=np.int64)
    equity = 1000.0 * np.cumprod(1.0 + np.array(values))
    days, returns = rm.daily_returns(time, equity, 1000.0)
    index = pd.to_datetime(time, unit="ms", utc=True).as_unit("ms")
    last = pd.Series(equity, index).groupby(index.floor("D")).last()
    expected = last / last.shift(fill_value=1000.0) - 1.0
    assert days.tolist() == last.index.as_unit("ms").asi8.tolist()
    assert returns == pytest.approx(expected.to_numpy(), abs=1e-12)
    assert np.prod(1.0 + returns) == pytest.approx(equity[-1] / 1000.0)


def test_daily_returns_after_ruin_and_of_nothing():
    """After ruin the daily return is 0, and no bar is no day."""
    time = START + DAY_MS * np.arange(4)
    _, returns = rm.daily_returns(time, np.array([90.0, 0.0, 0.0, 0.0]), 100.0)
    assert returns.tolist() == pytest.approx([-0.1, -1.0, 0.0, 0.0])
    days, returns = rm.daily_returns(np.zeros(0, np.int64), np.zeros(0), 100.0)
    assert len(days) == len(returns) == 0


def trades_of(rows):
    """Return TRADE records from rows of (entry bar, exit bar, side, net, r)."""
    trades = np.zeros(len(rows), TRADE)
    for trade, (entry, leave, side, net, r) in zip(trades, rows, strict=True):
        trade["entry_bar"], trade["exit_bar"], trade["side"] = entry, leave, side
        trade["net"], trade["r"] = net, r
        trade["fees"], trade["funding"], trade["slippage"] = 2.0, -0.5, 1.0
        trade["entry_time"] = START + entry * HOUR_MS
        trade["exit_time"] = START + leave * HOUR_MS
    return trades


ROWS = [
    (12, 14, 1, 100.0, 2.0),
    (14, 14, 1, -50.0, -1.0),
    (16, 17, -1, -25.0, math.nan),
    (18, 19, -1, 75.0, 1.5),
]


def test_trade_figures_by_hand():
    """The figures of four trades are those worked out by hand."""
    trades = trades_of(ROWS)
    assert tm.profit_factor(trades["net"]) == pytest.approx(175 / 75)
    assert tm.win_rate(trades["net"]) == 0.5
    assert tm.payoff_ratio(trades["net"]) == pytest.approx(87.5 / 37.5)
    assert tm.expectancy(trades["net"]) == 25.0
    assert tm.expectancy_r(trades["r"]) == pytest.approx(2.5 / 3)
    assert tm.average_bars(trades) == 1.0
    assert tm.longest_losing_streak(trades["net"]) == 2
    assert tm.costs(trades) == tm.Costs(8.0, -2.0, 4.0)
    assert tm.costs(trades).total == 10.0
    assert tm.by_side(trades, 1) == tm.SideMetrics(2, 50.0, 0.5, 2.0, 0.5)
    assert tm.by_side(trades, -1) == tm.SideMetrics(2, 50.0, 0.5, 3.0, 1.5)
    assert tm.by_side(trades[:2], -1).trades == 0
    assert math.isnan(tm.by_side(trades[:2], -1).win_rate)


def test_exposure_counts_each_bar_once():
    """Bars of entry and exit count, a bar shared by two trades once, bars outside not at all."""
    trades = trades_of(ROWS)
    # Bars 12, 13, 14, 16, 17, 18, 19 of the ten bars 10 .. 19.
    assert tm.exposure(trades, 10, 10) == 0.7
    assert tm.exposure(trades, 12, 3) == 1.0
    assert tm.exposure(trades[:0], 10, 10) == 0.0
    assert math.isnan(tm.exposure(trades, 0, 0))


def test_turnover_by_hand():
    """Four fills of 500 in a half year on a mean equity of 1000 are a turnover of 4 a year."""
    fills = np.zeros(4, FILL)
    fills["size"], fills["price"] = 5.0, 100.0
    assert tm.turnover(fills, np.array([900.0, 1100.0]), 0.5) == pytest.approx(4.0)
    assert tm.turnover(fills[:0], np.array([900.0, 1100.0]), 0.5) == 0.0
    assert math.isnan(tm.turnover(fills, np.zeros(0), 0.0))


def result_of(equity, rows, first_bar=10):
    """Return a Result of hourly bars whose curve begins at *first_bar*."""
    fills = np.zeros(2 * len(rows), FILL)
    fills["size"], fills["price"] = 1.0, 100.0
    time = START + HOUR_MS * (first_bar + np.arange(len(equity), dtype=np.int64))
    return Result(
        strategies=("test",), parameter_sets=({},), entry_reasons=((),), symbols=("BTC",),
        timeframe=Timeframe.parse("1h"), first_bar=first_bar, time=time, equity=equity,
        closes=equity.reshape(-1, 1), orders=np.zeros(0, np.void), fills=fills,
        trades=trades_of(rows), refusals=np.zeros(0, REFUSED), settings=Settings(capital=1000.0),
        funding_modelled=False, synthetic=True,
    )  # fmt: skip


def test_summary_is_made_of_the_parts():
    """The summary of a result holds what the single functions give for its days and bars."""
    noise = np.random.default_rng(7).normal(0.0, 0.01, 240)
    result = result_of(1000.0 * np.cumprod(1.0 + noise), ROWS)
    figures = m.summarise(result)
    _, daily = rm.daily_returns(result.time, result.equity, 1000.0)
    drawdown = rm.drawdowns(result.equity, 1000.0)
    years = 240 / 8760
    growth = rm.cagr(result.equity, 1000.0, years)
    assert figures.sharpe == rm.sharpe(daily, 365)
    assert figures.sortino == rm.sortino(daily, 365)
    assert figures.volatility == rm.volatility(daily) * math.sqrt(365)
    assert figures.net_profit == result.equity[-1] - 1000.0
    assert figures.cagr == growth
    assert figures.calmar == growth / -drawdown.min()
    assert figures.days_under_water == pytest.approx(rm.longest_under_water(drawdown) / 24)
    assert figures.trades == 4
    assert figures.exposure == pytest.approx(7 / 240)
    assert figures.turnover == pytest.approx(800.0 / result.equity.mean() / years)
    assert (figures.fees, figures.funding, figures.slippage) == (8.0, -2.0, 4.0)
    assert (figures.long_trades, figures.short_profit_factor) == (2, 3.0)


def test_summary_reproduces_the_printed_ratios():
    """Bacon's months, taken as bars without times, come out of the summary as printed."""
    figures = m.summarise_arrays(BACON, EQUITY, trades_of([]), 12.0, 1.0)
    assert round(figures.sharpe, 8) == 0.78832025
    assert round(figures.adjusted_sharpe, 7) == 0.7591435
    assert round(figures.calmar, 8) == 0.71663905
    assert round(figures.martin, 4) == 1.6945
    assert math.isnan(figures.turnover)


def test_bars_longer_than_a_day_are_not_split():
    """Weekly bars are annualised as weeks, whether times are given or not."""
    time = START + 7 * DAY_MS * np.arange(24, dtype=np.int64)
    with_time = m.summarise_arrays(BACON, EQUITY, trades_of([]), 365 / 7, 1.0, time=time)
    without = m.summarise_arrays(BACON, EQUITY, trades_of([]), 365 / 7, 1.0)
    assert with_time.sharpe == without.sharpe == rm.sharpe(BACON, 365 / 7)


def test_warm_up_does_not_shift_the_exposure():
    """Exposure is the same however many warm-up bars the trades count from."""
    equity = np.full(20, 1000.0)
    moved = [(a + 500, b + 500, *rest) for a, b, *rest in ROWS]
    near = m.summarise(result_of(equity, ROWS, first_bar=10))
    far = m.summarise(result_of(equity, moved, first_bar=510))
    assert near.exposure == far.exposure == pytest.approx(7 / 20)


def test_no_trade_and_no_bar_have_a_summary():
    """A run without trades, or even without bars, is summarised with NaN, not with an error."""
    idle = m.summarise(result_of(np.full(48, 1000.0), []))
    assert (idle.trades, idle.net_profit, idle.exposure, idle.max_drawdown) == (0, 0.0, 0.0, 0.0)
    assert math.isnan(idle.sharpe)
    assert math.isnan(idle.profit_factor)
    empty = m.summarise_arrays(np.zeros(0), np.zeros(0), trades_of([]), 8760.0, 1000.0)
    assert math.isnan(empty.net_profit)
    assert math.isnan(empty.exposure)


def test_summary_is_plain_numbers():
    """`as_dict` has one plain int or float per field, so it can be written anywhere."""
    figures = m.summarise(result_of(np.linspace(1000.0, 1100.0, 100), ROWS))
    values = figures.as_dict()
    assert list(values) == [item.name for item in dataclasses.fields(m.Metrics)]
    assert all(type(value) in (int, float) for value in values.values())
    assert json.loads(json.dumps(values))["trades"] == 4
