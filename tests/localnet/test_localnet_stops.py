"""Moving the market to the next thing that matters, through the control port of a real process."""

from __future__ import annotations

import pytest
from localnet_kit import FRAME, HISTORY, START, market, running

from ftbt.errors import InputError
from ftbt.localnet.process import named_key

MINUTE = 60_000
FAR = START + 100 * FRAME
# The second bar opens 2 below the close of the first: a gap.
ROWS = [(100.0, 101.0, 99.0, 100.0), (98.0, 99.0, 97.0, 98.0), *[(98.0, 99.0, 97.0, 98.0)] * 6]
MINUTES = [(100.0, 100.1, 99.9, 100.0)] * 15 * len(HISTORY) + [
    (row[0], row[1], row[2], row[3]) for row in ROWS for _ in range(15)
]


@pytest.fixture
def two_coins():
    """Run an exchange with two coins, one of them with detail bars, at the end of its history."""
    fine = market("SOL", [*HISTORY, *ROWS], detail=MINUTES)
    other = market("ETH", [*HISTORY, *ROWS], rate=0.001)
    begin = "2024-01-01T01:00+00:00"
    with running(fine, other, begin=begin, limits=False) as net:
        yield net


def _place(net, price, *, is_buy=True, user="user", coin="SOL"):
    body = {"user": named_key(user).address, "coin": coin, "is_buy": is_buy, "price": price}
    return net.control("/orders/place", {**body, "size": 1})


def test_the_market_goes_from_bar_to_bar(two_coins):
    """A quiet market stands at each open once every coin's bar has begun, and nowhere else."""
    user = named_key("user").address
    seen = []
    while (moved := two_coins.run_to_event(user, FAR)).stopped == "bar":
        seen.append(moved.market)
        marks = two_coins.state()["marks"]
        assert marks["SOL"] == marks["ETH"] == ("100.0" if len(seen) == 1 else "98.0")
    assert seen == [START + (len(HISTORY) + k) * FRAME for k in range(len(ROWS))]
    assert (moved.stopped, moved.fills) == ("end", 0)


def test_a_fill_inside_a_bar_stops_the_market_there(two_coins):
    """An order of the account ends the move at its fill; the next one goes on to the next bar."""
    user = named_key("user").address
    opened = two_coins.run_to_event(user, FAR).market
    _place(two_coins, 99.5)
    moved = two_coins.run_to_event(user, FAR)
    assert (moved.stopped, moved.fills) == ("account", 1)
    assert opened < moved.market < opened + MINUTE
    assert two_coins.fills_of(user) == 1
    assert two_coins.run_to_event(user, FAR).market == opened + FRAME


def test_an_open_that_fills_an_order_is_told_as_both(two_coins):
    """A fill at an open comes first, the opening of the bar right after it, at the same time."""
    user = named_key("user").address
    opened = two_coins.run_to_event(user, FAR).market
    _place(two_coins, 98.5)
    first, second = (two_coins.run_to_event(user, FAR) for _ in range(2))
    assert (first.stopped, first.market) == ("account", opened + FRAME)
    assert (second.stopped, second.market) == ("bar", opened + FRAME)
    assert two_coins.run_to_event(user, FAR).market == opened + 2 * FRAME


def test_what_happens_to_others_stops_nothing(two_coins):
    """Only the account that is named ends the move; a fill of any account does when asked."""
    user, other = named_key("user").address, named_key("other").address
    two_coins.fund(other)
    two_coins.run_to_event(user, FAR)
    _place(two_coins, 99.5, user="other")
    assert two_coins.run_to_event(user, FAR).stopped == "bar"
    _place(two_coins, 97.5, user="other")
    assert two_coins.step(1, stop_on_fill=True) == "fill"


def test_funding_stops_the_market_after_the_bars_open(two_coins):
    """A payment on the hour is told at the open of that bar, although no order trades."""
    user = named_key("user").address
    opened = two_coins.run_to_event(user, FAR).market
    _place(two_coins, 105, coin="ETH")
    seen = [two_coins.run_to_event(user, FAR) for _ in range(6)]
    hour = opened + 4 * FRAME
    assert [one.market for one in seen if one.stopped == "account"] == [hour]
    assert [one.market for one in seen].count(hour) == 2
    assert {one.fills for one in seen} == {1}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"until": FAR, "stop_on": ["bars"]}, "stop_on must be a list of fill, bar, account"),
        ({"until": FAR, "stop_on": "bar"}, "stop_on must be a list"),
        ({"until": FAR, "stop_on": ["account"]}, "needs a user"),
        ({"stop_on": ["bar"]}, "missing field 'until'"),
    ],
)
def test_what_cannot_be_meant_is_refused(net, body, text):
    """A wrong word or a missing field is an error of the control API, and the market stays."""
    before = net.market_time()
    with pytest.raises(InputError, match=text):
        net.control("/run", body)
    assert net.market_time() == before
