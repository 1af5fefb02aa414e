"""A session beside the back-test on the same bars: what is told, and why."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from parity_tables import START, Leg, candles, opened, replace, session

from ftbt.backtest.result import ExitReason, Kind, Status
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError, IntegrityError
from ftbt.live.causes import MEANINGS, Cause
from ftbt.live.evidence import Evidence, Fault, Refusal
from ftbt.live.parity import compare
from ftbt.strategy.records import Refusal as Rule

LEG = Leg()
LIMIT = Leg(kind=Kind.LIMIT, order_price=100.0, entry_maker=True)
TIMED = replace(LEG, why=ExitReason.TIME, exit=100)
FLAT = {"SOL": candles()}


def told(expected, actual, **evidence):
    """Return (what, cause) of every difference."""
    drift = compare(expected, actual, Evidence(**{"markets": FLAT, **evidence}))
    return [(one.what, one.cause) for trade in drift.trades for one in trade.differences]


def test_a_session_like_the_back_test_is_identical():
    """Equal tables have no differences, no drift and no cost."""
    one = session(LEG, Leg(bar=8, out=9, side=-1, entry=101, exit=102, why=ExitReason.STOP))
    drift = compare(one, one)
    assert (drift.share, drift.identical, drift.causes) == (1.0, 2, ())
    assert (drift.cost, drift.equity_gap, drift.unexplained) == (0.0, 0.0, 0)
    assert (drift.entry_ticks.count, drift.exit_ticks.largest) == (2, 0.0)
    assert {one.status for one in drift.trades} == {"identical"}


def test_prices_within_one_tick_are_the_same():
    """A tick (0.01 at 100 with two decimals of the size) is no difference, two are one."""
    near = compare(session(LEG), session(replace(LEG, entry=100.01)), Evidence(FLAT))
    assert near.share == 1.0
    assert near.entry_ticks.mean == pytest.approx(1.0)
    assert near.cost == pytest.approx(0.02, rel=1e-3)
    assert compare(session(LEG), session(replace(LEG, entry=100.02)), Evidence(FLAT)).share == 0.0


def test_drift_is_positive_where_the_session_was_worse():
    """A long that paid more and a short that got less both drift up; so does an exit below."""
    short = Leg(side=-1, stop=102, target=97, exit=97)
    for leg, entry, exit_ in ((LEG, 100.01, 102.99), (short, 99.99, 97.01)):
        drift = compare(session(leg), session(replace(leg, entry=entry, exit=exit_)))
        assert drift.entry_ticks.mean == pytest.approx(1.0)
        assert drift.entry_bp.mean > 0
        assert drift.exit_ticks.mean > 0
        assert drift.cost > 0


CASES = {
    Cause.NOT_LIVE: lambda: told(
        session(LEG), session(), decided=frozenset({opened(0), opened(1), opened(3)})
    ),
    Cause.REFUSED_BY_EXCHANGE: lambda: told(
        session(LEG), session(), refusals=(Refusal(opened(3) + 5, "SOL", "Insufficient margin"),)
    ),
    Cause.REFUSED_BY_LIMIT: lambda: told(
        session(LEG), session(refusals=[(2, Rule.MIN_NOTIONAL, 4.0, 10.0)])
    ),
    Cause.LATE: lambda: told(session(LEG), session(replace(LEG, bar=4, decided=2))),
    Cause.OPEN_FIRST: lambda: told(
        session(unfilled=[{"bar": 102, "end_bar": 104}]),
        session(replace(LIMIT, bar=5, out=7, decided=2)),
    ),
    Cause.PARTIAL_FILL: lambda: told(session(LEG), session(replace(LEG, size=1.5, sent=2.0))),
    Cause.PASSED: lambda: told(session(LEG), session(replace(LEG, exit=103.4, exit_maker=False))),
    Cause.TOUCHED: lambda: told(
        session(unfilled=[{"bar": 102, "price": 99.9}]),
        session(replace(LIMIT, entry=99.9, order_price=99.9)),
    ),
    Cause.INSIDE_BAR: lambda: told(
        session(LEG), session(replace(LEG, exit=98, why=ExitReason.STOP)),
        markets={"SOL": candles({5: (100, 104, 97, 100)})},
    ),
    Cause.INSIDE_DETAIL: lambda: told(
        session(LEG), session(replace(LEG, exit=98, why=ExitReason.STOP)),
        markets={"SOL": candles({5: (100, 104, 97, 100)}, detail=True)},
    ),
    Cause.GAP: lambda: told(
        session(replace(LIMIT, entry=98.5, order_price=99.0)),
        session(replace(LIMIT, entry=99.0, order_price=99.0)),
        markets={"SOL": candles({3: (98.5, 99.2, 98.4, 99)})},
    ),
    Cause.SLIPPAGE: lambda: told(session(LEG), session(replace(LEG, entry=100.4))),
    Cause.EQUITY: lambda: told(
        session(LEG), session(replace(LEG, size=1.9), equity=9500.0)
    ),
    Cause.FEE_TIER: lambda: told(session(LEG), session(replace(LEG, fee_factor=0.9))),
    Cause.LIQUIDITY_ROLE: lambda: told(session(LIMIT), session(replace(LIMIT, entry_maker=False))),
    Cause.FUNDING: lambda: told(session(LEG), session(replace(LEG, funding=0.02))),
    Cause.STOPPED: lambda: told(session(LEG), session(replace(LEG, finished=False), bars=4)),
    Cause.FAULT: lambda: told(
        session(LEG), session(), faults=(Fault(opened(3), "commit_then_drop"),)
    ),
    Cause.UNEXPLAINED: lambda: told(session(LEG), session()),
}  # fmt: skip


@pytest.mark.parametrize("cause", CASES, ids=lambda one: one.name)
def test_each_cause_is_found_and_no_other(cause):
    """A table with one thing wrong has the cause that was put into it, and no second one."""
    assert {found for _, found in CASES[cause]()} == {cause}


def test_a_trade_that_an_earlier_one_prevents_follows_from_it():
    """After a trade that stayed longer the next one is refused, or there is no order for it."""
    stayed = replace(LEG, out=9, why=ExitReason.STOP, exit=98)
    second = Leg(bar=8, out=12)
    refused = session(stayed, refusals=[(7, Rule.IN_POSITION, math.nan, math.nan)])
    assert told(session(LEG, second), refused)[1:] == [("trade", Cause.FOLLOWS)]
    assert told(session(LEG, second), session(stayed))[1:] == [("trade", Cause.FOLLOWS)]


def test_every_cause_is_tested_and_has_a_meaning():
    """The list is closed: no cause without a table above, none without words."""
    assert set(CASES) | {Cause.FOLLOWS} == set(Cause) == set(MEANINGS)


@pytest.mark.parametrize(
    ("expected", "actual", "evidence", "cause"),
    [
        # Exits, beside the entries above.
        (LEG, replace(LEG, exit=98, why=ExitReason.STOP, out=6), {}, Cause.UNEXPLAINED),
        (LEG, replace(LEG, out=7, exit=98, why=ExitReason.STOP),
         {"refusals": (Refusal(opened(5), "SOL", "no"),)}, Cause.REFUSED_BY_EXCHANGE),
        (TIMED, replace(TIMED, out=6), {}, Cause.LATE),
        (TIMED, replace(TIMED, out=6),
         {"decided": frozenset({opened(2), opened(3), opened(5)})}, Cause.NOT_LIVE),
        (replace(LEG, why=ExitReason.STOP, exit=98), replace(LEG, why=ExitReason.STOP, exit=97.5),
         {}, Cause.SLIPPAGE),
        (replace(LEG, why=ExitReason.STOP, exit=98),
         replace(LEG, why=ExitReason.STOP, exit=97.5, exit_price=97.5), {}, Cause.UNEXPLAINED),
        (LEG, replace(LEG, exit=103.02, exit_price=103.02), {}, Cause.UNEXPLAINED),
        (LEG, replace(LEG, why=ExitReason.END, out=4, exit=100), {}, Cause.STOPPED),
        (LEG, replace(LEG, out=7, exit_sent=9.0), {}, Cause.PARTIAL_FILL),
        (replace(LEG, out=7), LEG, {"markets": {"SOL": candles({5: (100, 103, 99.9, 100)})}},
         Cause.TOUCHED),
        # Entries.
        (replace(LIMIT, bar=4, decided=2), replace(LIMIT, entry=99.9, order_price=99.9),
         {}, Cause.TOUCHED),
        (replace(LIMIT, entry=99), replace(LIMIT, entry=98, order_price=98), {}, Cause.UNEXPLAINED),
        (LEG, replace(LEG, size=1.0), {}, Cause.UNEXPLAINED),
    ],
)  # fmt: skip
def test_exits_and_entries_have_their_causes(expected, actual, evidence, cause):
    """The first difference of a pair has the cause that its evidence speaks for."""
    assert told(session(expected), session(actual), **evidence)[0][1] == cause


def test_a_size_that_equity_does_not_account_for_is_unexplained():
    """Five percent less equity explain five percent less size, not thirty."""
    [(what, cause)] = told(session(LEG), session(replace(LEG, size=1.4), equity=9500.0))
    assert (what, cause) == ("size", Cause.UNEXPLAINED)


def test_a_forced_exit_at_the_end_of_the_bars_is_not_compared():
    """What the back-test closes at its last bar may still be open in the session."""
    ended = replace(LEG, why=ExitReason.END, out=19, exit=100.5)
    drift = compare(session(ended), session(replace(LEG, finished=False)), Evidence(FLAT))
    assert drift.share == 1.0
    assert drift.trades[0].differences == ()


def test_an_exit_before_that_end_is_compared():
    """A stop in the session where the back-test held on to the last bar is a difference."""
    ended = replace(LEG, why=ExitReason.END, out=19, exit=100.5)
    stopped = replace(LEG, why=ExitReason.STOP, out=6, exit=98)
    assert told(session(ended), session(stopped)) == [("exit", Cause.UNEXPLAINED)]


def test_a_forgotten_exit_is_unexplained():
    """A position that is still open while the session goes on was not merely stopped."""
    still = session(replace(LEG, finished=False))
    assert told(session(LEG), still) == [("exit", Cause.UNEXPLAINED)]


def test_trades_of_other_symbols_and_sides_are_never_a_pair():
    """A short is no long, and SOL is not ETH: one is missing and the other extra."""
    names = ("SOL", "ETH")
    for other in (replace(LEG, side=-1), replace(LEG, symbol=1)):
        drift = compare(session(LEG, symbols=names), session(other, symbols=names))
        assert (drift.missing, drift.extra, drift.share) == (1, 1, 0.0)


def test_a_late_trade_is_the_nearest_one_of_its_kind():
    """Two trades entered a bar late are two pairs with another entry bar, none missing."""
    legs = [Leg(bar=3, out=5), Leg(bar=7, out=9)]
    late = [replace(leg, bar=leg.bar + 1, decided=leg.bar) for leg in legs]
    drift = compare(session(*legs), session(*late))
    assert (drift.missing, drift.extra) == (0, 0)
    assert [t.differences[0].what for t in drift.trades] == ["entry bar"] * 2


def test_costs_add_up_by_cause():
    """What a missing trade earned and a slipped one lost is the cost, split by cause."""
    good, second = LEG, Leg(bar=8, out=10)
    drift = compare(session(good, second), session(replace(second, entry=100.5)), Evidence(FLAT))
    by_cause = {one.cause: one.cost for one in drift.causes}
    assert by_cause[Cause.UNEXPLAINED] == pytest.approx(session(good).trades["net"][0])
    assert by_cause[Cause.SLIPPAGE] == pytest.approx(1.0, rel=0.01)
    assert drift.cost == pytest.approx(sum(by_cause.values()))
    net = (
        session(good, second).trades["net"].sum()
        - session(replace(second, entry=100.5)).trades["net"].sum()
    )
    assert drift.cost == pytest.approx(net)


def test_the_distance_of_the_equity_curves_is_told():
    """The largest difference over common bars, as a fraction of the capital."""
    drift = compare(session(LEG), session(LEG, equity=9900.0, bars=10))
    assert drift.equity_gap == pytest.approx(0.01)


def test_a_session_without_trades_has_no_share():
    """No trade on either side is neither parity nor its absence."""
    drift = compare(session(), session())
    assert math.isnan(drift.share)
    assert (drift.expected, drift.actual, drift.entry_ticks.count) == (0, 0, 0)


def test_other_bars_are_refused():
    """Results of different bar lengths can't be compared."""
    other = dataclasses.replace(session(LEG), timeframe=Timeframe.parse("1h"))
    with pytest.raises(InputError, match="compare the same bars"):
        compare(session(LEG), other)


@pytest.mark.parametrize("table", ["trades", "fills"])
def test_tables_that_do_not_belong_together_are_refused(table):
    """Fills without their trade, or a trade without its fills, is a broken record."""
    whole = session(LEG)
    broken = dataclasses.replace(whole, **{table: getattr(whole, table)[:0]})
    with pytest.raises(IntegrityError, match="SOL"):
        compare(whole, broken)


def test_a_reversal_is_two_trades():
    """One fill that closes a long and opens a short belongs to both."""
    first = replace(LEG, out=5)
    second = Leg(bar=5, out=7, side=-1, stop=105, target=99, exit=99, entry=103)
    both = session(first, second)
    fills = both.fills.copy()
    turned = fills[1].copy()
    turned["size"] = 4.0
    merged = dataclasses.replace(both, fills=np.array([fills[0], turned, fills[3]], fills.dtype))
    drift = compare(both, merged, Evidence(FLAT))
    assert (drift.expected, drift.actual, drift.share) == (2, 2, 1.0)
    assert drift.start_ms == START
    assert int(both.orders["status"][0]) == Status.FILLED
