"""The execution model for setups: time exit, invalidation, expiry, and all exits together.

The setup rule of these tables reads the bar's volume as a code: 2 a setup, 3 the end of an idea.
Prices near 100; played for both sides, mirrored at 100.
"""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import pytest

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.parity import compare
from ftbt.backtest.result import ExitReason, Status
from ftbt.data.market import Market
from ftbt.ranges import Choice, Float, Int
from ftbt.smc.baselines import AverageTrueRange
from ftbt.strategy import Setup, SetupStrategy, setup_rule

FLAT = (100, 101, 99, 100)
KINDS = ("market", "limit", "stop", "stop-limit")


@setup_rule
def by_volume(bar, atr, p, setup):
    """Make the setup of the parameters at a volume of 2, end the idea at 3."""
    if bar.volume == 2.0:
        setup.side = p.side
        setup.kind = p.kind + 1
        setup.entry = p.entry
        setup.limit = p.entry + p.side
        setup.stop = p.stop
        if p.target1 > 0.0:
            setup.target1 = p.target1
        if p.target2 > 0.0:
            setup.target2 = p.target2
        setup.confidence = 100.0
    if bar.volume == 3.0:
        setup.exit_long = 1
        setup.exit_short = 1


class ByVolume(SetupStrategy):
    """A strategy whose setups the table decides."""

    params: ClassVar = {
        "side": 1,
        "kind": "market",
        "entry": 100.0,
        "stop": 95.0,
        "target1": 0.0,
        "target2": 0.0,
        "risk_per_trade": 0.01,
        "max_notional": 10.0,
        "valid_bars": 500,
        "max_bars": 5000,
    }
    ranges: ClassVar = {
        "side": Int(-1, 1),
        "kind": Choice(*KINDS),
        "entry": Float(20.0, 180.0),
        "stop": Float(20.0, 180.0),
        "target1": Float(0.0, 180.0),
        "target2": Float(0.0, 180.0),
    }

    def __init__(self):
        super().__init__()
        self.setup = Setup(by_volume, AverageTrueRange(self.data))


def mirrored(values):
    """Return parameters for the other side, prices mirrored at 100."""
    prices = {"entry": 100.0, "stop": 95.0, "target1": 0.0, "target2": 0.0}
    prices |= {name: value for name, value in values.items() if name in prices}
    flipped = {name: 200.0 - value if value else 0.0 for name, value in prices.items()}
    return {**values, **flipped, "side": -1}


def check(table, rows, codes, fills, reason, **values):
    """Play a table on both engines for both sides; *fills* are (bar, signed share, price).

    *codes* maps a bar to its volume; shares are fractions of the size of the entry.
    """
    volume = [codes.get(i, 1.0) for i in range(len(rows))]
    results = []
    for side, engine in product((1, -1), ("reference", "compiled")):
        given = values if side > 0 else mirrored(values)
        seen = rows if side > 0 else [(200 - o, 200 - lo, 200 - h, 200 - c) for o, h, lo, c in rows]
        market = Market(table.candles(seen, volume=volume), table.rules)
        result = run_backtest(ByVolume, market, given, table.free, engine=engine)
        listed = result.fills[result.fills["reason"] != ExitReason.END]
        size = result.fills["size"][0] if len(listed) else 1.0
        found = [
            (int(f["bar"]), round(float(f["side"] * f["size"] / size), 2), float(f["price"]))
            for f in listed
        ]
        expected = [(b, side * s, 100 + side * (price - 100)) for b, s, price in fills]
        assert found == expected, engine
        if reason is not None:
            assert ExitReason(int(listed["reason"][-1])) == reason
        results.append(result)
    for one, other in (results[:2], results[2:]):
        assert compare(one, other) == ""
    assert results[0].equity == pytest.approx(results[2].equity)
    return results[0]


def test_a_setup_enters_at_the_next_open_with_its_stop(table):
    """The market entry of a setup fills at the next open; its stop works in that very bar."""
    rows = [FLAT, (100, 101, 94, 96), FLAT]
    result = check(table, rows, {0: 2}, [(1, 1.0, 100), (1, -1.0, 95)], ExitReason.STOP)
    # 1 % of 10,000 at risk over 5 per coin.
    assert result.trades["size"][0] == 20.0
    assert result.trades["r"][0] == pytest.approx(-1.0)
    assert result.equity[-1] == pytest.approx(9_900)


def test_time_exit_at_the_next_open(table):
    """After max_bars bars with the position it leaves at the open of the next one."""
    rows = [FLAT] * 4 + [(102, 103, 101, 102), FLAT]
    fills = [(1, 1.0, 100), (4, -1.0, 102)]
    check(table, rows, {0: 2}, fills, ExitReason.TIME, max_bars=3)


def test_time_exit_counts_from_the_fill_not_from_the_order(table):
    """The bars of a limit entry are counted from the bar in which it filled."""
    rows = [FLAT, FLAT, FLAT, (100, 101, 97, 100), FLAT, (101, 102, 100, 101), FLAT]
    fills = [(3, 1.0, 98), (5, -1.0, 101)]
    check(table, rows, {0: 2}, fills, ExitReason.TIME, kind="limit", entry=98.0, max_bars=2)


def test_invalidation_leaves_at_the_next_open(table):
    """The end of an idea at a close is a market order at the next open."""
    rows = [FLAT, FLAT, FLAT, (103, 104, 102, 103), FLAT]
    fills = [(1, 1.0, 100), (3, -1.0, 103)]
    check(table, rows, {0: 2, 2: 3}, fills, ExitReason.INVALIDATION)


def test_invalidation_can_be_switched_off(table):
    """With exit_on_choch off the position stays."""
    rows = [FLAT] * 6
    check(table, rows, {0: 2, 2: 3}, [(1, 1.0, 100)], None, exit_on_choch=False)


def test_an_exit_at_the_open_comes_before_stop_and_target_of_that_bar(table):
    """A time exit at the open leaves nothing for the stop and target that the bar reaches later."""
    rows = [FLAT, FLAT, (101, 120, 80, 100), FLAT]
    fills = [(1, 1.0, 100), (2, -1.0, 101)]
    result = check(table, rows, {0: 2}, fills, ExitReason.TIME, max_bars=1, target1=110.0)
    assert sorted(result.orders["status"].tolist()) == [
        Status.FILLED, Status.FILLED, Status.CANCELLED, Status.CANCELLED,
    ]  # fmt: skip


def test_a_stop_before_the_time_exit_leaves_nothing_to_exit(table):
    """When the stop fills in the bar of the decision, no exit order follows."""
    rows = [FLAT, (100, 101, 94, 96), FLAT, FLAT]
    result = check(
        table, rows, {0: 2, 1: 3}, [(1, 1.0, 100), (1, -1.0, 95)], ExitReason.STOP, max_bars=1
    )
    assert len(result.trades) == 1


@pytest.mark.parametrize(("bar", "filled"), [(1, True), (2, True), (3, False)])
def test_an_entry_waits_valid_bars(table, bar, filled):
    """An entry with valid_bars=2 trades in the first and second bar after it, not in the third."""
    rows = [FLAT] * 5
    rows[bar] = (100, 101, 97, 100)
    fills = [(bar, 1.0, 98)] if filled else []
    values = {"kind": "limit", "entry": 98.0, "valid_bars": 2}
    result = check(table, rows, {0: 2}, fills, None, **values)
    if not filled:
        assert set(result.orders["status"].tolist()) == {Status.CANCELLED}


def test_an_invalidated_entry_is_cancelled(table):
    """The end of the idea while the entry waits cancels it."""
    rows = [FLAT, FLAT, (100, 101, 97, 100), FLAT]
    check(table, rows, {0: 2, 1: 3}, [], None, kind="limit", entry=98.0)


def test_an_entry_whose_stop_trades_first_is_cancelled(table):
    """A stop entry is withdrawn at the end of the bar in which its stop level trades."""
    rows = [FLAT, (100, 101, 94.5, 99), (99, 104, 98, 103), FLAT]
    result = check(table, rows, {0: 2}, [], None, kind="stop", entry=102.0)
    assert result.orders["end_bar"].tolist() == [1, 1]


def test_after_an_entry_died_the_next_setup_is_taken(table):
    """An entry that ended unfilled does not block the setups that follow."""
    rows = [FLAT, (100, 101, 94.5, 99), FLAT, (100, 103, 99, 102.5), FLAT]
    fills = [(3, 1.0, 102)]
    result = check(table, rows, {0: 2, 2: 2}, fills, None, kind="stop", entry=102.0)
    assert result.refused == {}


def test_one_position_at_a_time(table):
    """A setup in a position or beside a waiting entry is refused and counted."""
    held = check(table, [FLAT] * 5, {0: 2, 1: 2, 2: 2}, [(1, 1.0, 100)], None)
    assert held.refused == {"already in a position": 2}
    waits = check(table, [FLAT] * 5, {0: 2, 1: 2}, [], None, kind="limit", entry=98.0)
    assert waits.refused == {"an entry is already waiting": 1}


def test_scale_out_and_break_even_of_a_setup(table):
    """Half leaves at target 1; the rest at the entry, where the stop stands from the next bar."""
    rows = [FLAT, (100, 106, 98, 104), (104, 105, 99, 101), FLAT]
    fills = [(1, 1.0, 100), (1, -0.5, 105), (2, -0.5, 100)]
    values = {"target1": 105.0, "target2": 110.0}
    result = check(table, rows, {0: 2}, fills, ExitReason.BREAK_EVEN, **values)
    assert result.trades["r"][0] == pytest.approx(0.5)
    plain = [(1, 1.0, 100), (1, -0.5, 105)]
    check(table, rows, {0: 2}, plain, ExitReason.TARGET1, break_even=False, **values)


def test_stop_and_target_of_a_setup_in_one_bar_are_the_stop(table):
    """A bar with stop and both targets in it is a full loss."""
    rows = [FLAT, FLAT, (100, 120, 90, 115), FLAT]
    fills = [(1, 1.0, 100), (2, -1.0, 95)]
    check(table, rows, {0: 2}, fills, ExitReason.STOP, target1=105.0, target2=110.0)


def test_a_stop_limit_setup(table):
    """A stop-limit setup triggers at its entry and pays its limit at the worst."""
    rows = [FLAT, (100, 104, 99, 103.5), FLAT, FLAT]
    check(table, rows, {0: 2}, [(1, 1.0, 103)], None, kind="stop-limit", entry=102.0)


def test_a_setup_too_small_for_the_venue_is_refused_and_counted(table):
    """A risk so small that the order falls below $10 is refused by name."""
    rows = [FLAT] * 4
    result = check(table, rows, {0: 2}, [], None, risk_per_trade=0.0005, stop=40.0)
    assert result.refused == {"below the smallest order": 1}
    assert len(result.orders) == 0
