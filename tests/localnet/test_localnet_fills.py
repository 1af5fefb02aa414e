"""The core: who trades at which price along the path of a bar."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from localnet_kit import (
    FLAT,
    FRAME,
    HISTORY,
    START,
    fills,
    funded,
    market,
    one_coin,
    order,
    place,
    statuses,
    venue_of,
)

from ftbt.data.candles import Candles, make_bars
from ftbt.data.timeframe import Timeframe
from ftbt.localnet.assets import assets_of
from ftbt.localnet.market import CoinMarket

D = Decimal


def _step(venue, bars=1):
    return venue.advance(venue.next_bar(bars))


def test_a_market_order_at_the_open_pays_the_half_spread():
    """An IOC order sent at an open fills at the open plus the half spread, on the tick."""
    venue = one_coin((100.0, 101.0, 99.0, 100.5))
    user = funded(venue)
    _step(venue)
    [status] = place(venue, user, order(True, 1, 105, tif="Ioc"))
    assert status["filled"]["avgPx"] == "100.01"
    assert fills(venue, user) == [("B", D(1), D("100.01"))]


def test_a_limit_is_filled_only_when_the_market_trades_through_it():
    """A price that is touched fills nothing; one that is passed fills at the limit, as maker."""
    venue = one_coin((100.0, 101.0, 99.0, 100.5), (100.5, 101.0, 98.9, 100.0))
    user = funded(venue)
    _step(venue)
    place(venue, user, order(True, 1, 99))
    _step(venue)
    assert fills(venue, user) == []
    venue.advance(venue.next_bar())
    assert fills(venue, user) == [("B", D(1), D(99))]
    assert venue.core.fills[user][0]["crossed"] is False
    assert venue.core.fills[user][0]["fee"] == "0.01485"


def test_a_gap_fills_a_limit_at_the_open():
    """A bar that opens beyond a resting limit fills it at the open."""
    venue = one_coin((100.0, 101.0, 99.5, 100.5), (98.0, 99.0, 97.0, 98.5))
    user = funded(venue)
    _step(venue)
    place(venue, user, order(True, 1, 99))
    _step(venue)
    assert fills(venue, user) == [("B", D(1), D(98))]


def test_a_stop_fires_at_its_price_and_slips():
    """A stop inside a bar fires at the stop's price and sells at the bid around it."""
    venue = one_coin((100.0, 101.0, 97.0, 100.5))
    user = funded(venue)
    _step(venue)
    place(venue, user, order(True, 1, 105, tif="Ioc"))
    [status] = place(venue, user, order(False, 1, 90, stop=98, reduce_only=True))
    assert "resting" in status
    venue.drain()
    _step(venue)
    assert fills(venue, user)[-1] == ("A", D(1), D("97.99"))
    assert statuses(venue, user) == ["triggered", "filled"]


def test_a_gap_over_a_stop_fills_at_the_open():
    """A stop that a bar opens beyond sells at the open less the half spread."""
    venue = one_coin((100.0, 101.0, 99.5, 100.5), (95.0, 96.0, 94.0, 95.0))
    user = funded(venue)
    _step(venue)
    place(venue, user, order(True, 1, 105, tif="Ioc"))
    place(venue, user, order(False, 1, 80, stop=98, reduce_only=True))
    _step(venue)
    assert fills(venue, user)[-1] == ("A", D(1), D("94.99"))


def test_stop_and_target_in_one_bar_are_the_stop():
    """The path turns against the open position first: the stop trades, the target goes."""
    venue = one_coin((100.0, 103.0, 97.0, 100.5), (100.5, 101.0, 100.0, 100.5))
    user = funded(venue)
    _step(venue)
    bracket = (
        order(True, 1, 105, tif="Ioc"),
        order(False, 1, 90, stop=98, reduce_only=True),
        order(False, 1, 102, target=102, reduce_only=True, is_market=False),
    )
    found = place(venue, user, *bracket, grouping="normalTpsl")
    assert found[1:] == ["waitingForTrigger", "waitingForTrigger"]
    venue.drain()
    _step(venue)
    assert fills(venue, user)[-1][2] == D("97.99")
    assert statuses(venue, user) == ["triggered", "filled", "siblingFilledCanceled"]


def test_an_order_larger_than_the_level_walks_the_book():
    """What the best level cannot serve trades at the next one; an IOC rest goes silently."""
    venue = one_coin((100.0, 101.0, 99.0, 100.5))
    user = funded(venue, usd=1_000_000)
    _step(venue)
    venue.core.books["SOL"].pin([], [])
    from ftbt.localnet.book import Level

    venue.core.books["SOL"].pin([], [Level(D(101), D(2)), Level(D(102), D(3))])
    [status] = place(venue, user, order(True, 10, 103, tif="Ioc"))
    assert status["filled"]["totalSz"] == "5.0"
    assert status["filled"]["avgPx"] == "101.6"
    assert fills(venue, user) == [("B", D(2), D(101)), ("B", D(3), D(102))]
    assert statuses(venue, user) == ["open", "filled"]


def test_a_resting_order_fills_in_parts_when_little_trades():
    """Each pass of the market fills at most what trades there; the rest waits."""
    venue = one_coin((100.0, 101.0, 98.0, 100.5), (100.5, 101.0, 98.0, 100.0), coin="SOL")
    venue.core.books["SOL"].depth = type(venue.core.books["SOL"].depth)(D(300))
    user = funded(venue)
    _step(venue)
    [status] = place(venue, user, order(True, 10, 99))
    oid = status["resting"]["oid"]
    venue.drain()
    _step(venue)
    done = sum(size for _, size, _ in fills(venue, user))
    assert 0 < done < 10
    left = venue.core.orders.get(oid)
    assert left.is_live
    assert left.size == 10 - done
    # A partial fill is no order update; orderStatus keeps the size of the last change.
    assert "filled" not in statuses(venue, user)
    assert venue.core.orders.status(user, oid)["order"]["sz"] == "10.0"


def test_price_time_priority_between_accounts():
    """A taker meets the better price first, then the older order; the maker's price counts."""
    venue = one_coin((100.0, 101.0, 99.0, 100.5))
    first, second, taker = (funded(venue, name) for name in "abc")
    _step(venue)
    venue.core.books["SOL"].pin([], [])
    place(venue, first, order(False, 1, 101))
    place(venue, second, order(False, 1, "100.5"))
    place(venue, second, order(False, 1, 101))
    place(venue, taker, order(True, "2.5", 102, tif="Ioc"))
    assert fills(venue, taker) == [
        ("B", D(1), D("100.5")),
        ("B", D(1), D(101)),
        ("B", D("0.5"), D(101)),
    ]
    assert fills(venue, first) == [("A", D(1), D(101))]
    assert [f["crossed"] for f in venue.core.fills[second]] == [False, False]


def test_own_orders_never_trade_with_each_other():
    """The resting order of the same account is cancelled and the aggressor goes on."""
    venue = one_coin((100.0, 101.0, 99.0, 100.5))
    user = funded(venue)
    _step(venue)
    place(venue, user, order(False, 1, "100.01"))
    venue.drain()
    place(venue, user, order(True, 1, 105, tif="Ioc"))
    assert statuses(venue, user) == ["open", "selfTradeCanceled", "filled"]


@pytest.mark.parametrize("tif", ["Ioc", "FrontendMarket"])
def test_an_order_that_finds_nothing_is_refused(tif):
    """An immediate order without a counterpart ends with the venue's text and status."""
    venue = one_coin((100.0, 101.0, 99.0, 100.5))
    user = funded(venue)
    _step(venue)
    [status] = place(venue, user, order(True, 1, 99, tif=tif))
    texts = {
        "Ioc": (
            "Order could not immediately match against any resting orders. asset=0",
            "iocCancelRejected",
        ),
        "FrontendMarket": (
            "No liquidity available for market order. asset=0",
            "marketOrderNoLiquidityRejected",
        ),
    }
    text, name = texts[tif]
    assert status == {"error": text}
    assert statuses(venue, user) == ["open", name]


def test_detail_bars_tell_the_path():
    """With detail bars the order of events inside a candle is theirs."""
    # The minutes rise to the target first and fall to the stop afterwards.
    up = [(100.0 + k / 5, 100.2 + k / 5, 100.0 + k / 5, 100.2 + k / 5) for k in range(11)]
    down = [(102.2 - k, 102.2 - k, 101.2 - k, 101.2 - k) for k in range(4)]
    minutes = [(100.0, 100.1, 99.9, 100.0)] * 60 + up + down
    bar = (100.0, 102.2, 98.2, 98.2)
    venue = venue_of(market("SOL", [*HISTORY, bar], detail=minutes))
    user = funded(venue)
    _step(venue)
    place(venue, user, order(True, 1, 105, tif="Ioc"))
    place(venue, user, order(False, 1, 90, stop=99, reduce_only=True))
    place(venue, user, order(False, 1, "101.5", reduce_only=True))
    assert _step(venue) == "end"
    assert fills(venue, user)[-1] == ("A", D(1), D("101.5"))
    assert venue.core.account(user).positions == {}


def test_candles_before_the_first_detail_bar_are_history():
    """Minutes are often kept for the newest time only: lines need the candles before them."""
    whole = market("SOL", [*HISTORY, (100.0, 101.0, 99.0, 100.5)])
    minutes = make_bars(
        START + FRAME * (len(HISTORY) - 1) + 60_000 * np.arange(3, 30, dtype=np.int64),
        *np.full((4, 27), 100.0), np.full(27, 10.0),
    )  # fmt: skip
    late = replace(whole, detail=Candles("SOL", Timeframe.parse("1m"), minutes))
    plain, found = (CoinMarket(assets_of([m.instrument])[0], m, FLAT) for m in (whole, late))
    for one in (plain, found):
        one.start_at(START + FRAME * len(HISTORY))
    asked = ("15m", START, START + FRAME * (len(HISTORY) - 1) - 1)
    assert len(found.snapshot(*asked)) == len(HISTORY) - 1
    for mine, theirs in zip(found.snapshot(*asked), plain.snapshot(*asked), strict=True):
        assert {k: v for k, v in mine.items() if k != "n"} == {
            k: v for k, v in theirs.items() if k != "n"
        }
    assert found.walked_from == int(minutes["time"][0])
