"""The limits on risk hold for a user's own orders, too; what closes is never limited."""

from __future__ import annotations

import dataclasses
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symbols_kit import BAR_MS, FLAT, Coded, leg, limited, play, scripted, stretch
from user_kit import COSTLY, FREE

from ftbt.backtest.result import Kind, Result, Role, Status
from ftbt.data.timeframe import DAY_MS
from ftbt.strategy.records import Refusal

LOSS = (100.0, 101.0, 88.0, 90.0)


def buys(size: float, **more: Any) -> Any:
    """Return an action: buy."""
    return lambda strategy: strategy.buy(size=size, **more)


def sells(size: float, **more: Any) -> Any:
    """Return an action: sell."""
    return lambda strategy: strategy.sell(size=size, **more)


def closes(strategy: Any) -> Any:
    """Close the position."""
    return strategy.close()


def refused(result: Result) -> list[tuple[int, int, float, float]]:
    """Return (bar, rule, figure, limit) of all refusals."""
    return [
        (int(r["bar"]), int(r["rule"]), round(float(r["figure"]), 9), float(r["limit"]))
        for r in result.refusals
    ]


def one(script: dict[int, Any], rows: Any, chosen: Any, **more: Any) -> Result:
    """Run a script on one symbol."""
    made = scripted({("AAA", bar): do for bar, do in script.items()})
    return play([made], [stretch("AAA", rows)], chosen, **more)


# --- exposure -------------------------------------------------------------------------------------


def test_an_order_beyond_the_exposure_is_rejected_whole() -> None:
    """20 % of 10,000 at 10x are 20,000 of notional: 200 coins enter, a lot more does not."""
    result = one({1: buys(200.01), 2: buys(200)}, [FLAT] * 5, limited(total_exposure=0.2))
    assert result.orders["status"].tolist()[:2] == [Status.REJECTED, Status.FILLED]
    assert refused(result) == [(0, Refusal.TOTAL_EXPOSURE, 0.0, 0.2)]
    assert leg("AAA").told[:2] == [(2, "Submitted", 0.0), (2, "Rejected", 0.0)]


def test_additions_and_waiting_orders_count() -> None:
    """A position, what waits to enlarge it, and other symbols share the exposure."""
    script = {
        ("AAA", 1): buys(100),
        ("AAA", 2): buys(50, exectype=bt.Order.Limit, price=98.5),
        ("BBB", 2): buys(50),
        ("BBB", 3): buys(1),
    }
    result = play(
        [scripted(script)],
        [stretch("AAA", [FLAT] * 6), stretch("BBB", [FLAT] * 6)],
        limited(total_exposure=0.2),
    )
    assert [rule for _, rule, _, _ in refused(result)] == [Refusal.TOTAL_EXPOSURE]
    assert refused(result)[0][0] == 2
    assert refused(result)[0][2] == pytest.approx(0.19925)


def test_a_correlated_group_has_its_own_limit() -> None:
    """Symbols that are not known apart are one group; the refusal says which limit was narrow."""
    script = {("AAA", 1): buys(100), ("BBB", 2): buys(1)}
    result = play(
        [scripted(script)],
        [stretch("AAA", [FLAT] * 5), stretch("BBB", [FLAT] * 5)],
        limited(group_exposure=0.1),
    )
    assert refused(result) == [(1, Refusal.GROUP_EXPOSURE, 0.1, 0.1)]


def test_what_closes_or_reduces_is_never_limited() -> None:
    """With no room left the position may be made smaller, and left."""
    script = {1: buys(200), 2: sells(50), 3: closes}
    result = one(script, [FLAT] * 6, limited(total_exposure=0.2, trades_per_day=1))
    assert refused(result) == []
    assert result.fills["size"].tolist() == [200.0, 50.0, 150.0]


def test_an_order_through_zero_only_closes_when_the_new_side_is_forbidden() -> None:
    """The exit is taken, the new position is not, and the refusal is on record."""
    script = {1: buys(100), 2: sells(301)}
    result = one(script, [FLAT] * 6, limited(total_exposure=0.2))
    assert [rule for _, rule, _, _ in refused(result)] == [Refusal.TOTAL_EXPOSURE]
    assert result.fills["size"].tolist() == [100.0, 100.0]
    assert len(result.trades) == 1
    free = one({1: buys(100), 2: sells(300)}, [FLAT] * 6, limited(total_exposure=0.2))
    assert free.trades["side"].tolist() == [1, -1], "the old side's margin is free by then"


# --- positions, trades, one per symbol ------------------------------------------------------------


def test_positions_count_symbols() -> None:
    """A second symbol is refused at one position; an addition to the first one is not."""
    script = {("AAA", 1): buys(1), ("AAA", 3): buys(1), ("BBB", 2): buys(1), ("BBB", 5): buys(1)}
    rows = {name: [FLAT] * 8 for name in ("AAA", "BBB")}
    result = play(
        [scripted({**script, ("AAA", 4): closes})],
        [stretch(name, prices) for name, prices in rows.items()],
        limited(positions=1),
    )
    assert refused(result) == [(1, Refusal.POSITIONS, 1.0, 1.0)]
    assert result.trades["size"].tolist() == [2.0, 1.0]


def test_trades_a_day_count_fills_that_begin_a_trade() -> None:
    """Refused from the close on at which the day's trades are used up, until midnight."""
    rows = [FLAT] * 100
    script = {1: buys(1), 2: buys(1), 3: closes, 4: buys(1), 99: buys(1)}
    result = one(script, rows, limited(trades_per_day=1))
    assert refused(result) == [(3, Refusal.TRADES_PER_DAY, 1.0, 1.0)]
    assert len(result.trades) == 2, "the addition is no trade of its own"
    assert result.trades["entry_time"][1] // DAY_MS > result.trades["entry_time"][0] // DAY_MS


def test_an_order_that_waited_may_not_begin_one_trade_too_many() -> None:
    """Two orders of one symbol wait; the day's only trade is over when the second one trades."""
    rows = [FLAT, FLAT, (100, 106, 99, 105), (105, 111, 104, 110), (110, 116, 109, 115), FLAT]
    wait = dict(exectype=bt.Order.Stop)
    script = {1: [buys(1, price=105, **wait), buys(1, price=115, **wait)], 3: closes}
    result = one(script, rows, limited(trades_per_day=1))
    assert len(result.trades) == 1
    assert refused(result) == [(4, Refusal.TRADES_PER_DAY, 1.0, 1.0)]
    assert result.orders["status"].tolist() == [Status.FILLED, Status.CANCELLED, Status.FILLED]


def test_a_bracket_on_another_strategys_symbol_is_one_refusal() -> None:
    """Entry rejected, children cancelled with it, noted once."""

    def bracket(strategy):
        strategy.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=90, limitprice=110)

    own = scripted({("AAA", 2): bracket})
    result = play([Coded, own], [stretch("AAA", [FLAT] * 5, {0: 1})], FREE)
    assert refused(result) == [(1, Refusal.ONE_PER_SYMBOL, 1.0, 1.0)]
    mine = result.orders[result.orders["strategy"] == 1]
    ended = [Status.REJECTED, Status.CANCELLED, Status.CANCELLED]
    assert mine["status"].tolist() == ended


# --- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        (dict(daily_loss=0.05), Refusal.DAILY_LOSS),
        (dict(weekly_loss=0.05), Refusal.WEEKLY_LOSS),
        (dict(drawdown=0.05), Refusal.DRAWDOWN),
    ],
)
def test_after_a_loss_nothing_is_opened(limits: dict[str, float], rule: Refusal) -> None:
    """A loss of 10 % at a close: entries are refused, the position may still be left."""
    rows = [FLAT, FLAT, LOSS, *[(90.0, 91.0, 89.0, 90.0)] * 4]
    result = one({1: buys(100), 3: [buys(1), closes], 5: buys(1)}, rows, limited(**limits))
    assert refused(result) == [(2, rule, 0.1, 0.05), (4, rule, 0.1, 0.05)]
    assert len(result.trades) == 1
    assert result.trades["exit_bar"][0] == 3


def test_entries_that_wait_are_withdrawn_at_the_close_of_the_loss() -> None:
    """A user's waiting entries, and those not transmitted yet; stops and targets stay."""

    def send(strategy):
        strategy.buy_bracket(size=100, exectype=bt.Order.Market, stopprice=50, limitprice=150)
        strategy.buy(size=1, exectype=bt.Order.Limit, price=80)
        strategy.buy(size=1, exectype=bt.Order.Limit, price=70, transmit=False)

    rows = [FLAT, FLAT, LOSS, *[(90.0, 91.0, 60.0, 90.0)] * 3]
    result = one({1: send}, rows, limited(daily_loss=0.05))
    assert result.orders["status"].tolist()[:5] == [
        Status.FILLED, Status.CANCELLED, Status.CANCELLED, Status.CANCELLED, Status.CANCELLED,
    ]  # fmt: skip
    assert result.orders["end_bar"].tolist()[:5] == [1, 5, 5, 2, 2]
    assert (3, "Canceled", 0.0) in leg("AAA").told, "before next() of that bar"


def test_a_setups_waiting_entry_is_withdrawn_too() -> None:
    """The loss in one symbol cancels the entry that waits in the other, at that close."""
    rows = [FLAT, FLAT, LOSS, *[(90.0, 91.0, 89.0, 90.0)] * 3]
    waits = (Coded, {"code": 1, "kind": 2, "away": -0.1, "valid_bars": 99}, 0.5)
    own = (scripted({("AAA", 1): buys(100)}), {}, 0.5)
    stretches = [stretch("AAA", rows), stretch("BBB", [FLAT] * 6, {0: 1})]
    for engine in ("reference", "bar-by-bar"):
        result = play([own, waits], stretches, limited(daily_loss=0.05), engine)
        entry = result.orders[(result.orders["symbol"] == 1)][0]
        assert (entry["status"], entry["end_bar"]) == (Status.CANCELLED, 2)
        assert refused(result) == []


def test_an_order_that_turns_the_position_only_closes_after_a_loss() -> None:
    """A stop of twice the position was sent before the loss: it protects, and opens nothing."""
    rows = [FLAT, FLAT, LOSS, (90.0, 91.0, 70.0, 80.0), (80.0, 81.0, 60.0, 70.0), FLAT]
    stop = sells(200, exectype=bt.Order.Stop, price=75)
    result = one({1: [buys(100), sells(1, exectype=bt.Order.Limit, price=140)], 2: stop}, rows,
                 limited(daily_loss=0.05))  # fmt: skip
    assert result.trades["exit_bar"].tolist() == [3]
    assert result.fills["size"].tolist() == [100.0, 100.0]
    assert result.orders["status"].tolist() == [Status.FILLED, Status.CANCELLED, Status.FILLED]


# --- risk per trade -------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "taken"), [(40.0, True), (40.01, False)])
def test_a_bracket_may_risk_so_much(size: float, taken: bool) -> None:
    """2 % of 10,000 at a stop 5 away are 40 coins; beyond, the whole bracket is rejected."""

    def bracket(strategy):
        strategy.buy_bracket(size=size, exectype=bt.Order.Market, stopprice=95, limitprice=110)

    result = one({1: bracket}, [FLAT] * 4, limited(risk_per_trade=0.02))
    if taken:
        assert refused(result) == []
        assert len(result.trades) == 1
        return
    assert refused(result) == [(0, Refusal.RISK_PER_TRADE, 0.020005, 0.02)]
    assert result.orders["status"].tolist() == [Status.REJECTED] * 3
    assert [status for _, status, _ in leg("AAA").told].count("Rejected") == 3


def test_costs_are_part_of_the_risk() -> None:
    """Fee and half spread of both fills count: 0.0015 x (100 + 95) a coin."""

    def bracket(strategy):
        strategy.buy_bracket(size=39, exectype=bt.Order.Market, stopprice=95, limitexec=None)

    chosen = dataclasses.replace(COSTLY, limits=limited(risk_per_trade=0.02).limits)
    result = one({1: bracket}, [FLAT] * 4, chosen)
    risk = 39 * (5 + 0.0015 * 195) / 10_000
    assert refused(result) == [(0, Refusal.RISK_PER_TRADE, round(risk, 9), 0.02)]


def test_without_a_stop_no_risk_is_known() -> None:
    """An order of its own is held by the exposure alone."""
    result = one({1: buys(150)}, [FLAT] * 4, limited(risk_per_trade=0.02, total_exposure=0.2))
    assert refused(result) == []


# --- everything at once ---------------------------------------------------------------------------

ACTIONS = st.one_of(
    st.tuples(st.just("market"), st.sampled_from([1, -1]), st.sampled_from([5.0, 60.0, 150.0])),
    st.tuples(st.just("limit"), st.sampled_from([1, -1]), st.sampled_from([5.0, 60.0, 150.0])),
    st.tuples(st.just("stop"), st.sampled_from([1, -1]), st.sampled_from([5.0, 60.0, 150.0])),
    st.tuples(st.just("bracket"), st.sampled_from([1, -1]), st.sampled_from([5.0, 60.0])),
    st.tuples(st.just("close"), st.just(0), st.just(0.0)),
)
SCRIPTS = st.dictionaries(
    st.tuples(st.sampled_from(["AAA", "BBB"]), st.integers(1, 18)),
    st.lists(ACTIONS, min_size=1, max_size=3),
    max_size=14,
)
MOVES = st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 4)), min_size=20, max_size=20)
MOST = dict(positions=1, trades_per_day=3, total_exposure=0.2, daily_loss=0.05, drawdown=0.15)


def act(kind: str, side: int, size: float) -> Any:
    """Return the action."""

    def do(strategy: Any) -> Any:
        close = strategy.data.close[0]
        enter = strategy.buy if side > 0 else strategy.sell
        if kind == "close":
            return strategy.close()
        if kind == "market":
            return enter(size=size)
        if kind == "limit":
            return enter(size=size, exectype=bt.Order.Limit, price=close - side)
        if kind == "stop":
            return enter(size=size, exectype=bt.Order.Stop, price=close + side)
        bracket = strategy.buy_bracket if side > 0 else strategy.sell_bracket
        return bracket(
            size=size, exectype=bt.Order.Market, stopprice=close - 3 * side,
            limitprice=close + 6 * side,
        )  # fmt: skip

    return do


def rows_of(moves: list[tuple[int, int]]) -> list[tuple[float, float, float, float]]:
    """Return bars that move so, in steps of 1."""
    found, price = [], 100.0
    for change, reach in moves:
        last = max(20.0, price + change)
        found.append((price, max(price, last) + reach, min(price, last) - reach, last))
        price = last
    return found


@settings(deadline=None, max_examples=60)
@given(SCRIPTS, MOVES, MOVES)
def test_no_sequence_of_orders_breaks_the_limits(script: Any, one_moves: Any, two_moves: Any):
    """Positions, trades a day, entries after a loss: held at every fill that opens anything."""
    made = scripted({at: [act(*action) for action in do] for at, do in script.items()})
    stretches = [stretch("AAA", rows_of(one_moves)), stretch("BBB", rows_of(two_moves))]
    chosen = limited(**MOST)
    result, again = (play([made], stretches, chosen, one) for one in ("reference", "bar-by-bar"))
    for name in ("orders", "fills", "trades", "refusals", "equity"):
        assert getattr(result, name).tobytes() == getattr(again, name).tobytes()
    held = {0: 0.0, 1: 0.0}
    began = 0
    curve = np.concatenate(([10_000.0], result.equity))
    for fill in result.fills:
        before = held[int(fill["symbol"])]
        after = before + fill["side"] * fill["size"]
        held[int(fill["symbol"])] = after if abs(after) > 1e-9 else 0.0
        began += (abs(after) > 1e-9) and (before == 0.0 or before * after < 0.0)
        if abs(after) > abs(before) + 1e-9 or before * after < -1e-9:
            assert sum(size != 0.0 for size in held.values()) <= 1
            assert began <= 3
            known = curve[: int(fill["bar"]) + 1]  # closes before the fill
            assert (known > 10_000.0 * 0.95).all(), "the day has not ended"
            order = result.orders[fill["order"] - 1]
            close = result.closes[order["bar"], fill["symbol"]]
            worst = close if order["kind"] == Kind.MARKET else order["price"]
            entered = abs(after) if before * after < 0.0 else abs(after) - abs(before)
            assert entered * worst <= 0.2 * 10 * curve[order["bar"] + 1] * (1 + 1e-6)
    assert not (result.orders["status"] == Status.OPEN).any()
    entries = result.orders[result.orders["role"] == Role.ENTRY]
    assert (entries["end_bar"] >= entries["bar"]).all()
    assert (result.refusals["time"] == result.time[0] + BAR_MS * result.refusals["bar"]).all()
