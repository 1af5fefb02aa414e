"""The parts of the look-ahead audit: futures, places, comparison, warm-up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from audit_kit import place
from hypothesis import given
from hypothesis import settings as quietly
from hypothesis import strategies as st

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ORDER, Kind, Role, Status
from ftbt.data.checks import check_bars
from ftbt.data.sample import sample_market
from ftbt.robustness.lookahead.compare import Pair, differs, near, unlike
from ftbt.robustness.lookahead.futures import FUTURES, NO_FUTURE, with_future
from ftbt.robustness.lookahead.outside import later_bars
from ftbt.robustness.lookahead.places import choose_cuts, decisions
from ftbt.robustness.lookahead.values import first_value_change
from ftbt.robustness.lookahead.warmup import ladder, measure, same_orders
from ftbt.robustness.lookahead.words import order_words
from ftbt.strategy.loader import find_strategy


@pytest.mark.parametrize("future", FUTURES)
@quietly(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(0, 470), length=st.none() | st.integers(1, 500))
def test_other_futures_are_bars_that_can_be_traded(
    future: str, seed: int, cut: int, length: int | None
) -> None:
    """Up to the cut nothing is touched; after it come valid bars at the times of the true ones."""
    market = place(5)
    changed = with_future(market, cut, future, np.random.default_rng(seed), length)
    bars, truth = changed.candles.bars, market.candles.bars
    assert len(bars) == (480 if length is None else min(480, cut + 1 + length))
    assert bars[: cut + 1].tobytes() == truth[: cut + 1].tobytes()
    assert bars["time"].tolist() == truth["time"][: len(bars)].tolist()
    check_bars(bars, market.candles.timeframe, "another future")
    assert (bars["close"][cut + 1 :] != truth["close"][cut + 1 : len(bars)]).any()


def test_futures_are_unlike_each_other() -> None:
    """After the same cut one rises, one falls, one mirrors the truth, one hardly moves."""
    market, cut = place(5), 200
    close = {
        future: with_future(market, cut, future, np.random.default_rng(1)).candles.close / level
        for future in FUTURES
        for level in [market.candles.close[cut]]
    }
    rising, falling, mirrored, shuffled, quiet = (close[future][cut + 1 :] for future in FUTURES)
    assert (np.diff(rising[:100]) > 0).all()
    assert (np.diff(falling[:100]) < 0).all()
    truth = market.candles.close[cut + 1 :] / market.candles.close[cut]
    np.testing.assert_allclose(mirrored, 1 / truth)
    assert np.abs(quiet - 1).max() < 0.2 * np.abs(truth - 1).max()
    assert np.log(shuffled[1:] / shuffled[:-1]).std() > 1.9 * np.log(truth[1:] / truth[:-1]).std()


@pytest.mark.parametrize("future", [NO_FUTURE, *FUTURES])
def test_detail_bars_do_not_show_the_true_future(future: str) -> None:
    """Detail bars end with the bar that is the last one in common."""
    market = sample_market(["ETH"], days=2, detail=True)["ETH"]
    changed = with_future(market, 50, future, np.random.default_rng(1))
    assert changed.detail is not None
    assert len(changed.detail) == 51 * 15
    assert with_future(replace(market, detail=None), 50, future, np.random.default_rng(1))


def test_the_bars_that_were_cut_off_can_not_be_reached() -> None:
    """The bars of a prefix are a copy: no view leads back to the others."""
    bars = with_future(place(5), 99, NO_FUTURE, np.random.default_rng(1)).candles.bars
    assert bars.base is None or len(bars.base) == 100


# --- places ---------------------------------------------------------------------------------------


def _result() -> Any:
    parameters = {"min_confidence": 0.0, "bias": "none"}
    return run_backtest(find_strategy("fvg_fill"), place(10), parameters)


def test_cuts_follow_decisions_and_are_spread() -> None:
    """Half of the cuts or more stand right at entries, exits and cancellations; all are inside."""
    full = _result()
    entries, others = decisions(full, 2, 958)
    cuts = choose_cuts(full, 0, 30, np.random.default_rng(1))
    assert cuts == sorted(set(cuts))
    assert 20 <= len(cuts) <= 30
    assert 2 <= cuts[0] < 200
    assert 760 < cuts[-1] <= 958
    assert len(set(cuts) & set(entries.tolist())) >= 8
    assert len(set(cuts) & set(others.tolist())) >= 3
    assert choose_cuts(full, 0, 30, np.random.default_rng(2)) != cuts


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_cuts_can_be_asked_for(count: int) -> None:
    """Never more than asked for, at least one, also when nothing was decided."""
    full = _result()
    idle = replace(full, orders=full.orders[:0])
    for one in (full, idle):
        assert 1 <= len(choose_cuts(one, 0, count, np.random.default_rng(1))) <= count


# --- comparison -----------------------------------------------------------------------------------


def _order(**fields: Any) -> Any:
    row = np.zeros(1, ORDER)
    plain = dict(id=1, bar=5, side=1, kind=Kind.LIMIT, role=Role.ENTRY, size=0.5, price=100.25)
    ends = dict(limit=np.nan, status=Status.FILLED, end_bar=7, filled=0.5)
    for name, value in (plain | ends | fields).items():
        row[name] = value
    return row


def test_a_run_is_like_itself_and_a_change_is_found_where_it_is() -> None:
    """Nothing differs between a run and itself; a changed, missing or new order is told."""
    full = _result()
    last = len(full.time) - 1
    assert Pair(full, full, 0, last, "the same", 5).first_change() is None

    entries, _ = decisions(full, 2, last - 5)
    bar = int(entries[3])
    row = int(np.flatnonzero(full.orders["bar"] == bar)[0])
    larger, fewer = full.orders.copy(), np.delete(full.orders, row)
    larger["size"][row] *= 2
    for orders, said in ((larger, "instead of"), (fewer, "")):
        found = Pair(full, replace(full, orders=orders), 0, last, "", 5).first_change()
        assert found is not None
        assert (found.what, found.bar) == ("order", bar)
        assert said in found.detail
        assert found.before == order_words(full.orders[row])


def test_tolerance_is_relative_and_for_numbers_only() -> None:
    """A rounding error is none where it is allowed; without tolerance every bit counts."""
    one, two = _order()[0], _order(price=100.25 * (1 + 1e-12))[0]
    assert differs(one, two).startswith("price ")
    assert differs(one, two, tolerance=1e-9) == ""
    assert differs(one, _order(bar=6)[0], tolerance=1e-9).startswith("bar ")
    assert near(float("nan"), float("nan"), 0.0)
    assert not near(float("nan"), 1.0, 1.0)
    assert unlike(_order(), _order(price=1.0)) == [0]
    assert unlike(_order(), _order()[:0]) == []


def test_orders_are_told_in_words() -> None:
    """Side, size, kind and price, and what became of it."""
    assert order_words(_order()[0]) == "buy 0.5, limit 100.25"
    assert order_words(_order()[0], ended=True) == "buy 0.5, limit 100.25, filled in bar 7"
    stop = _order(side=-1, kind=Kind.STOP, role=Role.STOP, price=64_000.0)[0]
    assert order_words(stop) == "sell 0.5, stop 64,000, the stop of a position"
    assert order_words(_order(kind=Kind.MARKET)[0]) == "buy 0.5 at the market"


def test_the_value_that_changes_first_is_found() -> None:
    """By bar, numbers that hold for all bars first; after the cut nothing counts; NaN is NaN."""
    line = np.array([np.nan, 1.0, 2.0, 3.0, 4.0])
    later, early = line.copy(), line.copy()
    later[4], early[2] = 9.0, 9.0
    full = {"late": line, "early": line, "mean": np.array(1.0)}
    assert first_value_change(full, {"late": later}, 3, 0.0) is None
    found = first_value_change(full, {"late": later, "early": early}, 4, 0.0)
    assert found is not None
    assert (found.name, found.bar, found.before, found.after) == ("early", 2, 2.0, 9.0)
    found = first_value_change(full, {"early": early, "mean": np.array(2.0)}, 4, 0.0)
    assert found is not None
    assert (found.name, found.bar) == ("mean", -1)
    short = first_value_change({"w": line[1:3]}, {"w": line[2:4]}, 4, 0.0)
    assert short is not None
    assert short.name == "w[0]"


def test_later_bars_are_seen_in_whatever_holds_them() -> None:
    """Lists, arrays, records, dictionaries: later closes in a row are found, earlier ones not."""
    market = place(5)
    close = market.candles.close
    for item in (
        close.tolist(),
        close,
        market.candles,
        market,
        {"a": [close]},
        close[300:],
        np.column_stack([close, close]),
        market.candles.bars,
        dict(enumerate(close)),
    ):
        assert later_bars({"self.": {"x": item}}, market, 350) == "self.x"
        assert later_bars({"self.": {"x": item}}, market, 479) == "", "there are none after it"
    for item in (close[:351].tolist(), close[:351], close[::-1], "text", None, 5, object()):
        assert later_bars({"self.": {"x": item}}, market, 350) == ""


# --- warm-up --------------------------------------------------------------------------------------


def test_the_ladder_doubles_and_ends_with_the_most() -> None:
    """Histories grow, from none to the most, which has another one not far below it."""
    steps = ladder(6000)
    assert steps[:4] == [0, 25, 50, 100]
    assert steps[-2:] == [4500, 6000]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("needed", [0, 10, 130, 777, 3000])
def test_the_history_that_is_needed_is_measured(needed: int) -> None:
    """Orders that are the same from a history on: found to about a tenth, never below it."""

    def run(number: int, history: int) -> Any:
        return _order(price=100.0 + number + max(0, needed - history))

    found = measure(run, most=6000, tails=2, tail=1000, declared=50)
    assert found.settled is not None
    assert needed <= found.settled <= max(1.13 * needed, needed + 2)
    assert found.differs < needed or needed == 0
    assert found.orders == 2


def test_what_never_settles_is_told_as_that() -> None:
    """Orders that change with every length of history have no warm-up."""
    found = measure(lambda _, history: _order(bar=history), 6000, 2, 1000, 50)
    assert found.settled is None
    assert found.differs == 4500
    failing = measure(lambda _, history: _order() if history > 5000 else None, 6000, 2, 1000, 50)
    assert failing.settled is None


def test_settled_orders_may_differ_by_less_than_a_tick() -> None:
    """What a recursive average still remembers does not count; another bar or size does."""
    assert same_orders(_order(), _order(price=100.25 * (1 + 5e-5)))
    assert same_orders(_order(), _order(id=9, parent=4, filled=0.0))
    assert not same_orders(_order(), _order(price=100.25 * (1 + 5e-4)))
    assert not same_orders(_order(), _order(bar=6))
    assert not same_orders(_order(), _order(size=0.52))
    assert not same_orders(_order(), _order()[:0])
