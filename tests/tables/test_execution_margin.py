"""The execution model's margin and equity: refusals, liquidation, marking, the end of a run.

Tables as in `test_execution_model.py`; one test lets random markets and orders try to break the
books.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.backtest.result import ExitReason, Status
from ftbt.backtest.settings import Settings
from ftbt.risk.limits import Limits

FLAT = (100, 101, 99, 100)
FREE = Settings(
    taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0, limits=Limits.none()
)
FEES = dataclasses.replace(FREE, taker_fee=0.001, maker_fee=0.0002)
SPREAD = dataclasses.replace(FREE, half_spread=0.01)


# --- margin and liquidation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "leverage", "filled"),
    [
        (1000.0, 10.0, True),  # notional 100,000 = 10 x 10,000
        (1000.01, 10.0, False),
        (100.0, 1.0, True),
        (100.01, 1.0, False),
        (2000.0, 50.0, True),  # the instrument allows 20x at most
        (2000.01, 50.0, False),
    ],
)
def test_initial_margin(table, size, leverage, filled):
    """An order whose initial margin, notional / leverage, exceeds the equity is refused."""
    chosen = dataclasses.replace(FREE, leverage=leverage)
    result = table.play([FLAT] * 3, {0: {"side": 1, "size": size}}, settings=chosen)
    assert (len(result.fills) > 0) == filled
    if not filled:
        assert result.orders["status"][0] == Status.MARGIN
        assert result.refused == {"not enough margin": 1}


LEVERED = {"side": 1, "size": 1000.0}  # 10x; maintenance 2.5 %: liquidated at 90 / 0.975


def test_liquidation_inside_a_bar(table):
    """A bar that reaches the maintenance price liquidates the position there, on record."""
    rows = [FLAT, FLAT, (100, 101, 92, 100), FLAT]
    result = table.play(rows, {0: LEVERED}, settings=FREE)
    assert result.trades["exit_reason"].tolist() == [ExitReason.LIQUIDATION]
    price = result.trades["exit_price"][0]
    assert price == pytest.approx(90 / 0.975)
    # What is left is the maintenance margin.
    assert result.equity[-1] == pytest.approx(1000 * price / 40)


def test_liquidation_of_a_short(table):
    """A short of 10x is liquidated at 110 / 1.025, from above."""
    rows = [FLAT, FLAT, (100, 108, 99, 100), FLAT]
    result = table.play(rows, {0: {**LEVERED, "side": -1}}, settings=FREE)
    assert result.trades["exit_reason"].tolist() == [ExitReason.LIQUIDATION]
    assert result.trades["exit_price"][0] == pytest.approx(110 / 1.025)


def test_no_liquidation_short_of_the_price(table):
    """A bar that stays above the maintenance price leaves the position alone."""
    rows = [FLAT, FLAT, (100, 101, 92.4, 100), FLAT]
    result = table.play(rows, {0: LEVERED}, settings=FREE)
    assert result.trades["exit_reason"].tolist() == [ExitReason.END]


def test_liquidation_in_the_bar_of_the_entry(table):
    """A position can be liquidated in the bar in which it was opened."""
    result = table.play([FLAT, (100, 101, 92, 100), FLAT], {0: LEVERED}, settings=FREE)
    assert result.trades["exit_reason"].tolist() == [ExitReason.LIQUIDATION]
    assert result.trades["exit_bar"][0] == 1


@pytest.mark.parametrize("gap", [91.5, 91, 90.5, 85, 50])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("chosen", [FREE, FEES])
def test_a_gap_never_leaves_negative_equity(table, gap, side, chosen):
    """A gap beyond the maintenance price liquidates at the open, but never beyond ruin."""
    near, far = (gap - 1, gap + 1), 100 + side * (gap - 100)
    rows = [FLAT, FLAT, (far, *sorted(100 + side * (p - 100) for p in near)[::-1], far), FLAT]
    result = table.play(rows, {0: {**LEVERED, "side": side, "size": 990.0}}, settings=chosen)
    trade = result.trades[0]
    assert trade["exit_reason"] == ExitReason.LIQUIDATION
    assert result.equity.min() >= 0.0
    assert result.equity[-1] == pytest.approx(10_000 + trade["net"], abs=1e-6)
    ruined = gap < 90.2 if chosen is FEES else gap < 89.9
    assert (result.equity[-1] == 0.0) == ruined
    if not ruined:
        assert trade["exit_price"] == far


def test_no_exit_costs_more_than_there_is(table):
    """A stop whose slippage would cost more than the equity ends at ruin, too."""
    wild = dataclasses.replace(FEES, half_spread=0.05)
    rows = [FLAT, (100, 101, 98, 100), (100, 101, 93, 94), FLAT]
    order = {**LEVERED, "kind": "limit", "price": 99, "stop": 93.5}
    result = table.play(rows, {0: order}, settings=wild)
    assert result.trades["exit_reason"].tolist() == [ExitReason.STOP]
    assert result.equity[-1] == 0.0
    assert result.trades["net"][0] == pytest.approx(-10_000)


def test_a_position_that_is_due_at_once_gets_the_open(table):
    """When its own slippage makes an entry due for liquidation, it gets the open, no better."""
    wild = dataclasses.replace(FREE, half_spread=0.05, leverage=20.0)
    # Entry at 105 for 20x: due below 102.3, which is above the open and the whole bar.
    result = table.play([FLAT] * 3, {0: {"side": 1, "size": 1904.0}}, settings=wild)
    assert result.trades["exit_reason"].tolist() == [ExitReason.LIQUIDATION]
    assert result.trades["exit_price"][0] == 100
    assert result.equity[-1] == pytest.approx(10_000 - 5 * 1904)


def test_a_nearer_stop_keeps_the_position_from_liquidation(table):
    """A stop above the maintenance price fills first; one below it comes too late."""
    rows = [FLAT, FLAT, (100, 101, 85, 90), FLAT]
    near = table.play(rows, {0: {**LEVERED, "stop": 95}}, settings=FREE)
    assert near.trades["exit_reason"].tolist() == [ExitReason.STOP]
    assert near.trades["exit_price"][0] == 95
    far = table.play(rows, {0: {**LEVERED, "stop": 91}}, settings=FREE)
    assert far.trades["exit_reason"].tolist() == [ExitReason.LIQUIDATION]


def test_a_stop_gapped_to_ruin_leaves_no_negative_equity(table):
    """A gap through stop, maintenance and ruin at once ends at ruin."""
    rows = [FLAT, FLAT, (70, 71, 69, 70), FLAT]
    result = table.play(rows, {0: {**LEVERED, "stop": 95}}, settings=FEES)
    assert result.equity.min() >= 0.0


def test_nothing_is_traded_after_ruin(table):
    """An account without equity opens nothing more."""
    rows = [FLAT, FLAT, (70, 71, 69, 70), (70, 71, 69, 70), (70, 71, 69, 70)]
    result = table.play(rows, {0: LEVERED, 2: {"side": 1}}, settings=FREE)
    assert len(result.trades) == 1
    assert result.refused == {"not enough margin": 1}


# --- equity --------------------------------------------------------------------------------------


def test_equity_is_marked_at_every_close(table):
    """Equity is cash plus signed size x (close - entry), one value per bar, the last included."""
    rows = [FLAT, (100, 103, 99, 102), (102, 107, 101, 106), (106, 107, 103, 104)]
    result = table.play(rows, {0: {"side": 1, "size": 2.0}}, settings=FREE)
    assert result.equity.tolist() == pytest.approx([10_000, 10_004, 10_012, 10_008])
    assert len(result.time) == len(result.close) == len(result.equity) == len(rows)


def test_a_run_ends_flat_with_cost(table):
    """What is open at the last bar leaves at its close, with fee and slippage, inside the run."""
    rows = [FLAT, FLAT, (100, 106, 99, 105)]
    costly = dataclasses.replace(FEES, half_spread=0.01)
    result = table.play(rows, {0: {"side": 1}}, settings=costly)
    trade = result.trades[0]
    assert trade["exit_reason"] == ExitReason.END
    assert trade["exit_bar"] == 2
    assert trade["exit_price"] == pytest.approx(105 * 0.99)
    assert trade["fees"] == pytest.approx(0.101 + 0.10395)
    assert result.equity[-1] == pytest.approx(10_000 + trade["net"])


def test_a_waiting_order_ends_with_the_run(table):
    """Orders that still wait at the last bar are cancelled, not left open."""
    result = table.play([FLAT] * 3, {0: {"side": 1, "kind": "limit", "price": 90}}, settings=FREE)
    assert result.orders["status"].tolist() == [Status.CANCELLED]


def test_warm_up_bars_have_no_decision_and_no_equity(table):
    """With three warm-up bars the first decision is at the close of bar 3, as is the curve."""
    orders = {bar: {"side": 1, "name": str(bar)} for bar in range(6)}
    result = table.play([FLAT] * 8, orders, settings=FREE, trade_from=3)
    assert result.fills["bar"][0] == 4
    assert len(result.equity) == 5
    assert result.time[0] == table.start + 3 * 15 * 60_000
    assert result.equity[0] == 10_000


def test_a_trade_knows_its_extremes(table):
    """MAE and MFE are the worst and best price over the trade's bars, as fractions of entry."""
    rows = [FLAT, (100, 104, 97, 101), (101, 108, 100, 107), FLAT]
    orders = {0: {"side": 1}, 2: {"do": "close"}}
    trade = table.play(rows, orders, settings=FREE).trades[0]
    assert trade["mae"] == pytest.approx(-0.03)
    assert trade["mfe"] == pytest.approx(0.08)


# --- everything at once --------------------------------------------------------------------------

moves = st.floats(-0.15, 0.15)
random_rows = st.lists(
    st.tuples(moves, moves, st.floats(0, 0.05), st.floats(0, 0.05)), min_size=6, max_size=14
)
random_orders = st.dictionaries(
    st.integers(0, 9),
    st.fixed_dictionaries(
        {
            "side": st.sampled_from([1, -1]),
            "kind": st.sampled_from(["market", "limit", "stop", "stop-limit"]),
            "size": st.sampled_from([0.5, 3.0, 40.0, 700.0]),
            "away": st.floats(-0.05, 0.05),
            "risk": st.floats(0.01, 0.08),
        }
    ),
    max_size=4,
)


def random_table(steps, orders):
    """Return rows that gap and swing, and bracket orders around their closes."""
    rows, price = [], 100.0
    for gap, change, up, down in steps:
        first = price * (1 + gap)
        last = first * (1 + change)
        rows.append((first, max(first, last) * (1 + up), min(first, last) * (1 - down), last))
        price = last
    script = {}
    for bar, o in orders.items():
        if bar < len(rows):
            side, level = o["side"], rows[bar][3] * (1 + o["away"])
            entry = rows[bar][3] if o["kind"] == "market" else level
            part = o["size"] * 0.5
            script[bar] = {
                "side": side,
                "kind": o["kind"],
                "size": o["size"],
                "price": None if o["kind"] == "market" else level,
                "limit": level * (1 + side * 0.01) if o["kind"] == "stop-limit" else None,
                "stop": entry * (1 - side * o["risk"]),
                "break_even": True,
                "targets": [
                    (entry * (1 + side * o["risk"]), part),
                    (entry * (1 + side * 2 * o["risk"]), part),
                ],
            }
    return rows, script


def equity_again(result):
    """Mark the account a second way: from the list of fills alone."""
    cash, held, curve, at = result.settings.capital, 0.0, [], 0
    for i in range(len(result.time)):
        while at < len(result.fills) and result.fills["bar"][at] == i:
            fill = result.fills[at]
            cash -= fill["side"] * fill["size"] * fill["price"] + fill["fee"]
            held += fill["side"] * fill["size"]
            at += 1
        curve.append(cash + held * result.close[i])
    return np.array(curve)


@settings(deadline=None, max_examples=80)
@given(
    random_rows,
    random_orders,
    st.sampled_from([FREE, FEES, SPREAD, Settings(limits=Limits.none())]),
    st.sampled_from([None, 0.0002, -0.003]),
)
def test_books_always_balance(table, steps, orders, chosen, rate):
    """On any market: equity is never negative and follows from the fills; trades add up to it."""
    rows, script = random_table(steps, orders)
    funding = None if rate is None else [(60 * hour, rate) for hour in range(5)]
    result = table.play(rows, script, settings=chosen, funding=funding)
    scale = 1e-9 * chosen.capital
    assert result.equity.min() >= 0.0
    if funding is None:
        assert equity_again(result) == pytest.approx(result.equity, abs=scale)
    assert chosen.capital + result.trades["net"].sum() == pytest.approx(
        result.equity[-1], abs=scale
    )
    signed = result.fills["side"] * result.fills["size"]
    assert abs(signed.sum()) < 1e-9, "the run ends flat"
    assert (
        np.abs(result.trades["size"] * 100 - np.round(result.trades["size"] * 100)) < 1e-6
    ).all()
    for fill in result.fills:
        _, high, low, _ = rows[fill["bar"]]
        slip = fill["slippage"] / fill["size"]
        plain = fill["price"] - fill["side"] * slip
        if fill["reason"] != ExitReason.LIQUIDATION:  # ruin may lie inside a gap
            assert low - 1e-6 <= plain <= high + 1e-6
