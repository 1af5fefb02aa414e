"""Costs, delay, missed fills, noise, random entries: what is run again, and what is computed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ftbt.backtest.costs import slippage_fraction
from ftbt.backtest.settings import Settings
from ftbt.data.candles import Funding
from ftbt.data.market import market_of
from ftbt.robustness import stress as stress_module
from ftbt.robustness.assessment import Assessment, Stress, StressRow
from ftbt.robustness.chance_section import permuted_returns_test, random_entry_test
from ftbt.robustness.delay import MARKET_EXITS, delayed
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.rerun import (
    Reruns,
    ScaledFunding,
    map_markets,
    noisy,
    with_costs,
    with_slippage,
)
from ftbt.robustness.stress import break_even_multiple, noise_repeats, stress_section
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run


@pytest.fixture(scope="module")
def arrays(edge: tuple[Inputs, Run]) -> RunArrays:
    """Return the planted edge as arrays."""
    return RunArrays(edge[1])


@pytest.fixture(scope="module")
def reruns(edge: tuple[Inputs, Run], arrays: RunArrays) -> Reruns:
    """Return its windows, ready to be run again."""
    return Reruns(arrays, edge[0])


@pytest.fixture(scope="module")
def stress(assessed: Assessment) -> Stress:
    """Return section 10 of the planted edge."""
    assert assessed.stress is not None
    return assessed.stress


def rows_of(stress: Stress, kind: str) -> list[StressRow]:
    """Return the rows of one kind, the unchanged one among those of all costs."""
    base = [stress.base] if kind == "all costs" else []
    return sorted([*base, *(one for one in stress.rows if one.kind == kind)], key=lambda r: r.level)


def cost_row(level: float, total: float) -> StressRow:
    """Return a row of all costs."""
    nan = math.nan
    return StressRow("all costs", "", level, total, 0.0, nan, nan, 0, nan, nan)


def test_unchanged_the_record_comes_out_again(
    reruns: Reruns, arrays: RunArrays, stress: Stress
) -> None:
    """Chosen parameters on the test's bars: the stored curve, to the last digit."""
    assert stress.reproduced
    np.testing.assert_allclose(reruns.run().equity, arrays.equity, rtol=1e-12)
    assert stress.base.net_profit == pytest.approx(float(arrays.equity[-1]) - 10_000.0)
    assert stress.base.trades == len(arrays.trades)
    assert stress.base.max_drawdown == pytest.approx(arrays.max_drawdown)


def test_higher_costs_leave_less(stress: Stress) -> None:
    """From no costs to four times the assumed ones, and from half to four times the slippage."""
    everything = rows_of(stress, "all costs")

    assert [row.level for row in everything] == [0.0, 0.5, 1.0, 2.0, 3.0, 4.0]
    assert all(np.diff([row.total_return for row in everything]) < 0.0)
    assert all(np.diff([row.total_return for row in rows_of(stress, "slippage")]) < 0.0)
    assert [row.level for row in rows_of(stress, "slippage")] == [0.5, 2.0, 3.0, 4.0]
    assert rows_of(stress, "funding") == []  # no funding rates: nothing to scale
    assert stress.break_even == 4.0
    assert stress.break_even_open


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0.0, 0.4), (1.0, 0.2), (2.0, 0.1), (4.0, -0.1)], (3.0, False)),
        ([(0.0, 0.3), (1.0, -0.1)], (0.75, False)),
        ([(0.0, 0.3), (1.0, 0.2), (4.0, 0.1)], (4.0, True)),
        ([(0.0, -0.1), (1.0, -0.2)], (0.0, False)),
        ([(0.0, 0.0), (1.0, -0.2)], (0.0, False)),
        ([(1.0, -0.2), (2.0, -0.3)], (math.nan, False)),
        ([(1.0, 0.2)], (math.nan, False)),
        ([(4.0, -0.1), (0.0, 0.4), (2.0, 0.1)], (3.0, False)),
    ],
)
def test_break_even_by_hand(
    points: list[tuple[float, float]], expected: tuple[float, bool]
) -> None:
    """A straight line between two multiples; beyond the tried ones it is only known to be more."""
    found = break_even_multiple([cost_row(*one) for one in points])

    assert found == pytest.approx(expected, nan_ok=True)


def test_costs_are_scaled_and_rebates_are_not() -> None:
    """Fees and slippage times the factor; a maker rebate does not grow with the costs."""
    settings = Settings(maker_fee=-0.0001)

    assert with_costs(settings, 2.0) == replace(
        settings, taker_fee=0.0009, half_spread=0.0002, slippage_atr=0.04
    )
    assert with_costs(Settings(), 2.0).maker_fee == 0.0003
    assert with_slippage(settings, 3.0) == replace(
        settings, half_spread=0.0001 * 3.0, slippage_atr=0.06
    )


def test_funding_is_scaled_once(edge: tuple[Inputs, Run]) -> None:
    """All pieces of a symbol share one scaled object: engines tell funding apart by identity."""
    (segments,) = edge[0].markets.values()
    funding = Funding("BTC", np.array([0, 3_600_000]), np.array([0.001, -0.002]))
    first, second = (replace(segments[0], funding=funding) for _ in range(2))
    scale = ScaledFunding(4.0)

    assert scale(first).funding is scale(second).funding
    np.testing.assert_allclose(scale(first).funding.rate, [0.004, -0.008])  # type: ignore[union-attr]
    assert scale(market_of(segments[0].candles)).funding is None


def test_noise_is_seeded_and_keeps_the_bars(reruns: Reruns) -> None:
    """The same seed, the same market; other prices, same times; no finer bars that contradict."""
    (piece,) = reruns.tests[0].pieces[0].pieces
    one, again, other = (noisy(piece.market, seed) for seed in ((1, 2), (1, 2), (1, 3)))

    np.testing.assert_array_equal(one.candles.bars, again.candles.bars)
    assert not np.array_equal(one.candles.close, other.candles.close)
    np.testing.assert_array_equal(one.candles.time, piece.market.candles.time)
    assert one.detail is None
    assert "with noise" in one.candles.source
    assert noise_repeats(10**9) == 3
    assert noise_repeats(300_000) == 4
    assert noise_repeats(1) == 6


def test_noise_rows_are_counted(stress: Stress) -> None:
    """Six noisy markets of a small run, the share of profitable ones, none alike."""
    rows = rows_of(stress, "noise")

    assert [row.level for row in rows] == [1, 2, 3, 4, 5, 6]
    assert len({row.net_profit for row in rows}) == 6
    assert stress.noise_share_profitable == np.mean([row.total_return > 0.0 for row in rows])


def test_a_delay_of_a_bar_by_a_slow_route(arrays: RunArrays, reruns: Reruns) -> None:
    """Trade by trade: both ends at the next open, with that bar's slippage."""
    change, made = delayed(arrays, reruns)
    trades = arrays.trades
    checked = 0
    for test in reruns.tests:
        bars = test.pieces[0].pieces[0].market.candles.bars
        slip = slippage_fraction(bars, reruns.inputs.settings)
        for n in np.flatnonzero(trades.window == test.number):
            entry = int(np.searchsorted(bars["time"], trades.entry[n])) + 1
            leave = int(np.searchsorted(bars["time"], trades.exit[n])) + 1
            if trades.exit_reason[n] not in MARKET_EXITS or leave >= len(bars):
                continue
            side = trades.side[n]
            bought = bars["open"][entry] * (1 + side * slip[entry])
            sold = bars["open"][leave] * (1 - side * slip[leave])
            late = side * (sold - bought) * trades.size[n]
            real = side * (trades.exit_price[n] - trades.entry_price[n]) * trades.size[n]
            before = arrays.equity_before(trades.entry[[n]])[0]
            assert change[n] == pytest.approx((late - real) / before, rel=1e-9, abs=1e-15)
            checked += 1

    assert made.all()
    assert checked >= 0.9 * len(trades)


def test_a_trade_that_was_over_is_not_made(arrays: RunArrays, reruns: Reruns) -> None:
    """A stop in the entry's own bar: one bar late there is no trade, and no result."""
    trades = arrays.trades
    stopped = trades.exit_reason.copy()
    stopped[0] = "stop"
    ends = trades.exit.copy()
    ends[0] = trades.entry[0]
    changed = RunArrays(arrays.run)
    changed.__dict__["trades"] = replace(trades, exit_reason=stopped, exit=ends)

    change, made = delayed(changed, reruns)
    assert not made[0]
    assert made[1:].all()
    assert change[0] == -trades.fraction[0]


def test_the_delayed_record_costs_something_here(stress: Stress) -> None:
    """Half a day of trend and a bar of delay: less profit, the same trades."""
    (row,) = rows_of(stress, "delay")

    assert row.total_return < stress.base.total_return
    assert row.trades == stress.base.trades
    assert row.annual_sharpe < stress.base.annual_sharpe


def test_missed_fills_leave_a_range(stress: Stress) -> None:
    """The more are missed the less is left of a steady edge, within 5 to 95 %."""
    rows = rows_of(stress, "missed")

    assert [row.level for row in rows] == [0.1, 0.2, 0.3]
    assert [row.trades for row in rows] == [96, 86, 75]
    for row in rows:
        assert row.low < row.total_return < row.high
    assert rows[2].total_return < rows[1].total_return < rows[0].total_return


def test_the_defaults_are_the_first_trial(edge: tuple[Inputs, Run], stress: Stress) -> None:
    """The first parameters are those of trial 0 of every window, held over all tests."""
    inputs, run = edge
    (row,) = rows_of(stress, "defaults")
    first = run.trials[run.trials["trial"] == 0]
    member = inputs.ensemble.members[0]

    for name, value in member.space.first.items():
        assert (first[f"param_{name}"] == value).all()
    assert row.trades > 0


def test_what_is_run_depends_on_the_work_alone(
    arrays: RunArrays, reruns: Reruns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a small budget the most telling variants are run and the others are named."""
    monkeypatch.setattr(stress_module, "BUDGET", 1)
    told: list[tuple[int, int]] = []
    found, defaults, limits = stress_section(
        arrays, reruns, 1, lambda done, every: told.append((done, every))
    )

    assert [row.label for row in found.rows[:2]] == ["all costs x 2", "all costs x 4"]
    assert {row.kind for row in found.rows} == {"all costs", "delay", "missed"}
    assert defaults is None
    assert math.isnan(found.noise_share_profitable)
    assert "noisy market 6" in limits[0].why
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_random_entries_and_shuffled_returns_tell_the_planted_edge(
    arrays: RunArrays, reruns: Reruns
) -> None:
    """The observed results are the record's own; chance hardly reaches them."""
    entries = random_entry_test(arrays, reruns, 1)
    shuffled = permuted_returns_test(arrays, reruns, 1)
    assert entries is not None
    assert shuffled is not None

    assert entries.observed == pytest.approx(arrays.trades.net.sum())
    assert entries.p_value < 0.01
    assert sum(entries.histogram.counts) == entries.simulations == 1000
    assert shuffled.p_value < 0.01
    assert shuffled.observed > shuffled.upper


def test_positions_reproduce_the_gross_result(arrays: RunArrays, reruns: Reruns) -> None:
    """Position x return per bar, summed, is each trade's move between opens x its size."""
    found = permuted_returns_test(arrays, reruns, 1)
    assert found is not None
    trades = arrays.trades
    total, bars = 0.0, 0
    for test in reruns.tests:
        (piece,) = test.pieces[0].pieces
        own = piece.market.candles.bars[piece.trade_from :]
        prices = np.append(own["open"], own["close"][-1])
        bars += len(own)
        for n in np.flatnonzero(trades.window == test.number):
            entry = int(np.searchsorted(own["time"], trades.entry[n]))
            leave = max(int(np.searchsorted(own["time"], trades.exit[n])), entry + 1)
            moves = (prices[entry + 1 : leave + 1] / prices[entry:leave] - 1.0).sum()
            before = arrays.equity_before(trades.entry[[n]])[0]
            total += trades.side[n] * trades.notional[n] / before * moves

    assert found.observed == pytest.approx(total / bars)


def test_changed_markets_keep_their_pieces(reruns: Reruns) -> None:
    """Mapping nothing changes nothing."""
    pieces = reruns.tests[0].pieces

    assert map_markets(pieces, lambda market: market) == pieces
