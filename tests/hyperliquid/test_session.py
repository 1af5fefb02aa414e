"""The start of a session: a checklist that is told, and stops at the first thing that is wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from client_kit import HURRIED, QUICK, agent_key, local_endpoint

from ftbt.errors import ConfigError, InputError, NetworkError
from ftbt.hyperliquid.clock import ReplayClock
from ftbt.hyperliquid.outcomes import State
from ftbt.hyperliquid.sending import ActionLost
from ftbt.hyperliquid.session import Opening, Wanted

NAMES = [
    "exchange", "markets", "account", "agent", "requests", "journal", "positions and orders",
    "equity", "leverage",
]  # fmt: skip


@pytest.fixture
def begin(client, tmp_path):
    """Return a function that opens a session of the client's account and collects the checks."""
    opened = []

    def start(told=None, key=None, **more):
        told = [] if told is None else told
        wanted = {
            "account": client.account, "coins": ("BTC", "ETH"), "leverage": {"BTC": 5, "ETH": 3},
            "deployment": client.cloids.deployment, **more,
        }  # fmt: skip
        opening = Opening(
            local_endpoint(client.net.url), key or client.key, client.journal, tmp_path,
            told.append, QUICK, HURRIED,
        )  # fmt: skip
        opened.append(opening.open(Wanted(**wanted)))
        return opened[-1]

    yield start
    for session in opened:
        session.close()


def test_every_check_is_told_and_the_session_trades(client, begin):
    """Nine things are verified in order; leverage is set and seen to be set."""
    told = []
    session = begin(told)
    assert [check.name for check in told] == NAMES
    assert all(check.passed and not check.warning for check in told)
    assert session.checks == tuple(told)
    assert session.rest.leverage(client.account, "BTC") == (5, True)
    assert session.equity.value == Decimal(10_000)
    assert isinstance(session.market_clock, ReplayClock)
    order = client.market("BTC", buy=True, size="0.01")
    assert session.sender.place([order], "entry")[0].state is State.FILLED


def test_leverage_goes_as_far_as_the_exchange_offers_it(client, begin):
    """What is asked for beyond that is set to the most there is, as in a back-test."""
    session = begin([], leverage={"BTC": 500})
    most = session.universe.tradable("BTC").max_leverage
    assert session.rest.leverage(client.account, "BTC") == (most, True)


@pytest.mark.parametrize(
    ("change", "error", "where"),
    [
        ({"coins": ("BTC", "ETTH")}, InputError, "markets"),
        ({"account": "0x" + "12" * 20}, ConfigError, "agent"),
        ({"key": agent_key("stranger")}, ConfigError, "agent"),
    ],
)
def test_the_first_thing_that_is_wrong_stops_the_start(begin, change, error, where):
    """It is the last line of the checklist, with the reason."""
    told = []
    with pytest.raises(error) as caught:
        begin(told, **change)
    assert (told[-1].name, told[-1].passed) == (where, False)
    assert told[-1].text == str(caught.value)
    assert all(check.passed for check in told[:-1])


def test_a_read_that_fails_stops_the_start(net, begin):
    """What could not be read is not assumed to be nothing."""
    net.fault("server_error", match={"type": "frontendOpenOrders"}, count=20)
    with pytest.raises(NetworkError):
        begin()


def test_a_position_with_another_leverage_is_not_changed(client, begin):
    """Its margin was meant by somebody; the exchange would refuse half of it anyway."""
    client.sender.place([client.market("BTC", buy=True, size="0.01")], "entry")
    with pytest.raises(ConfigError, match="is held with 20x cross, wanted is 5x cross"):
        begin()
    assert begin(leverage={"BTC": 20, "ETH": 3}).state.positions["BTC"].size == Decimal("0.01")


def test_orders_and_positions_of_others_are_named_and_left(client, begin):
    """Orders by hand, and coins that are not traded here."""
    body = {
        "user": client.account, "coin": "BTC", "is_buy": True, "price": "30000", "size": "0.01",
    }  # fmt: skip
    client.net.control("/orders/place", body)
    client.sender.place([client.market("ETH", buy=True, size="0.1")], "entry")
    told = []
    session = begin(told, coins=("BTC",), leverage=None)
    warnings = [check.text for check in told if check.warning]
    assert any("1 open orders are not ours (BTC)" in text for text in warnings)
    assert any("ETH will not be touched" in text for text in warnings)
    assert [order.cloid for order in session.foreign] == [None]


def test_what_an_earlier_session_left_open_is_settled_first(client, net, begin):
    """The lost order is found before positions are read."""
    net.fault("commit_then_drop", match={"type": "order"})
    with pytest.raises(ActionLost):
        client.sender.place([client.market("BTC", buy=True, size="0.01")], "entry at 12:15")
    told = []
    session = begin(told, leverage=None)
    assert "entry at 12:15: filled" in next(c.text for c in told if c.name == "journal")
    assert session.state.positions["BTC"].size == Decimal("0.01")


def test_an_account_without_money_says_so(client, begin, net):
    """Before any strategy sizes by zero."""
    other = "0x" + "5d" * 20
    net.control("/sub-account", {"user": client.account, "sub": other})
    with pytest.raises(ConfigError, match="deposit first"):
        begin(account=other, leverage=None)
