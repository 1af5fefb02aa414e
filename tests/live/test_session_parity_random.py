"""Parity of random tables and of both engines: what is the same is told as the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parity_tables import Leg, session

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason, Kind
from ftbt.data.sample import sample_market
from ftbt.live.evidence import Evidence
from ftbt.live.parity import compare
from ftbt.strategy.loader import find_strategy

BOTH = ("SOL", "ETH")


@st.composite
def tables(draw):
    """Draw trades of two symbols that do not overlap on either of them."""
    found = []
    for symbol in (0, 1):
        bars = sorted(draw(st.sets(st.integers(1, 19), max_size=8)))
        for bar, out in zip(bars[::2], bars[1::2], strict=False):
            leg = Leg(
                bar=bar,
                out=out,
                side=draw(st.sampled_from([1, -1])),
                size=draw(st.integers(1, 900)) / 100,
                entry=draw(st.integers(9000, 11000)) / 100,
                exit=draw(st.integers(9000, 11000)) / 100,
                why=draw(st.sampled_from(list(ExitReason))),
                kind=draw(st.sampled_from([Kind.MARKET, Kind.LIMIT, Kind.STOP])),
                entry_maker=draw(st.booleans()),
                funding=draw(st.floats(-1, 1)),
                symbol=symbol,
            )
            found.append(leg)
    return found


@given(tables())
def test_any_table_is_identical_to_itself(rows):
    """Whatever was traded, a result compared with itself is 100 % identical and costs nothing."""
    one = session(*rows, symbols=BOTH)
    drift = compare(one, one)
    assert drift.identical == drift.expected == drift.actual == len(rows)
    assert drift.share == 1.0 or not rows
    assert (drift.causes, drift.cost) == ((), 0.0)


@given(tables(), st.data())
def test_what_is_left_out_is_missing_and_the_rest_identical(rows, data):
    """A session that lacks some trades has those missing and no other difference."""
    kept = [leg for leg in rows if data.draw(st.booleans())]
    whole, part = (session(*these, symbols=BOTH) for these in (rows, kept))
    drift = compare(whole, part)
    assert (drift.identical, drift.missing, drift.extra) == (len(kept), len(rows) - len(kept), 0)
    turned = compare(part, whole)
    assert (turned.identical, turned.missing, turned.extra) == (len(kept), 0, drift.missing)
    assert turned.cost == pytest.approx(-drift.cost)


@given(tables(), st.data())
def test_one_changed_trade_changes_one_trade(rows, data):
    """Another entry price, size or exit in one trade leaves all others identical."""
    if not rows:
        return
    at = data.draw(st.integers(0, len(rows) - 1))
    field, by = data.draw(st.sampled_from([("entry", 1.0), ("exit", -1.0), ("size", 0.5)]))
    changed = list(rows)
    changed[at] = Leg(**{**vars(rows[at]), field: getattr(rows[at], field) + by})
    drift = compare(*(session(*these, symbols=BOTH) for these in (rows, changed)))
    compared = rows[at].why != ExitReason.END or field != "exit"
    assert drift.identical == len(rows) - compared
    assert sum(one.status == "differs" for one in drift.trades) == compared


@pytest.mark.parametrize("name", ["liquidity_sweep", "fvg_fill"])
def test_both_engines_are_in_parity(name):
    """Real strategies on a market with detail bars: the reference engine is the compiled one."""
    market = sample_market(("BTC",), "15m", days=45, detail=True)["BTC"]
    strategy = find_strategy(name)
    one, other = (
        run_backtest(strategy, market, trade_from=2880, engine=engine)
        for engine in ("compiled", "reference")
    )
    drift = compare(one, other, Evidence({"BTC": market}))
    assert len(one.trades) > 0
    assert (drift.share, drift.causes, drift.unexplained) == (1.0, (), 0)
    assert np.isclose(drift.equity_gap, 0.0, atol=1e-12)
