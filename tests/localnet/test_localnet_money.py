"""The core: margin, funding, liquidation; money is never made or lost."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from localnet_kit import funded, market, one_coin, order, place, venue_of, wave

from ftbt.localnet import state
from ftbt.localnet.core import LIQUIDATOR
from ftbt.localnet.interventions import Interventions
from ftbt.localnet.orders import Request, Trigger

D = Decimal
BAR = (100.0, 101.0, 99.0, 100.5)


def test_fees_are_cut_to_millionths():
    """A fee is the notional times the rate, without what lies below a millionth."""
    venue = one_coin(BAR)
    user = funded(venue)
    venue.advance(venue.next_bar())
    place(venue, user, order(True, "1.23", 105, tif="Ioc"))
    exact = D("1.23") * D("100.01") * D("0.00045")
    fee = D(venue.core.fills[user][0]["fee"])
    assert D(0) <= exact - fee < D("0.000001")


def test_funding_is_paid_on_the_hour_at_the_oracle_price():
    """A long pays size times price times rate at each hour, stamped some ms after it."""
    rows = [(100.0, 100.0, 100.0, 100.0)] * 12
    venue = venue_of(market("SOL", rows, rate=0.0001))
    user = funded(venue)
    venue.advance(venue.next_bar())
    place(venue, user, order(True, 10, 105, tif="Ioc"))
    venue.advance(venue.next_bar(4))
    [paid] = venue.core.fundings[user]
    assert paid["usdc"] == "-0.1"
    assert paid["szi"] == "10.0"
    assert 15 <= paid["time"] % 3_600_000 <= 50
    assert venue.core.account(user).balanced(venue.core.marks)


def test_the_algebra_of_the_margin_summary():
    """Equity = raw USD + positions; free margin and withdrawable follow the venue's formulas."""
    venue = one_coin(BAR, BAR)
    user = funded(venue)
    venue.set_leverage(user, "SOL", is_cross=True, leverage=5)
    venue.advance(venue.next_bar())
    place(venue, user, order(True, 100, 105, tif="Ioc"))
    venue.walking.jump("SOL", D(101), venue.time)
    found = state.clearinghouse(venue, venue.core.account(user))
    total = {name: D(text) for name, text in found["marginSummary"].items()}
    assert total["totalNtlPos"] == 10_100
    assert total["accountValue"] == total["totalRawUsd"] + 10_100
    assert total["totalMarginUsed"] == 2020
    assert D(found["withdrawable"]) == total["accountValue"] - 2020
    assert D(found["crossMaintenanceMarginUsed"]) == D(10_100) / 40
    [position] = found["assetPositions"]
    assert position["position"]["unrealizedPnl"] == "99.0"
    entry = D("100.01") * 100
    assert abs(D(position["position"]["returnOnEquity"]) - 99 / (entry / 5)) < D("1e-8")


def test_the_liquidation_price_of_the_documentation():
    """An isolated position of the venue's own example is liquidated where the venue says."""
    venue = venue_of(market("ETH", [(2985.9, 2986.0, 2985.0, 2985.9)] * 6))
    user = funded(venue)
    account = venue.core.account(user)
    from ftbt.localnet.ledger import Position

    venue.core.by_coin["ETH"].tiers = ()
    venue.core.by_coin["ETH"].max_leverage = 50
    venue.core.by_coin["ETH"].__post_init__()
    held = Position("ETH", D("0.0335"), D("100.04105"), is_cross=False, leverage=20)
    held.raw_usd = D("-95.059824")
    account.positions["ETH"] = held
    venue.core.marks["ETH"] = D("100.02765") / D("0.0335")
    price = venue.core.margin.liquidation_price(account, held)
    assert abs(price - D("2866.26936529")) < D("0.0001")


def test_an_account_is_liquidated_at_its_maintenance_margin():
    """At the liquidation price the position is sold into the book and the orders go."""
    venue = one_coin(BAR, (100.0, 100.5, 90.0, 91.0))
    user = funded(venue, usd=1000)
    venue.set_leverage(user, "SOL", is_cross=True, leverage=20)
    venue.advance(venue.next_bar())
    place(venue, user, order(True, 150, 105, tif="Ioc"), order(True, 1, 80))
    level = venue.core.margin.liquidation_price(
        venue.core.account(user), venue.core.account(user).positions["SOL"]
    )
    venue.drain()
    venue.advance(venue.next_bar(2))
    events = [e for e in venue.drain() if e.key == user]
    assert venue.core.account(user).positions == {}
    last = venue.core.fills[user][-1]
    assert last["liquidation"]["method"] == "market"
    assert abs(D(last["liquidation"]["markPx"]) - level) < D("0.0001")
    assert [e.data["status"] for e in events if e.kind == "order"] == ["liquidatedCanceled"]
    assert [e.data["liquidated_user"] for e in events if e.kind == "liquidation"] == [user]
    assert venue.core.account(user).value(venue.core.marks) > 0


def test_a_gap_beyond_bankruptcy_leaves_nothing_but_never_less():
    """The backstop takes over what the book cannot save, and no account ends below zero."""
    venue = one_coin(BAR, (60.0, 61.0, 59.0, 60.0))
    user = funded(venue, usd=1000)
    venue.set_leverage(user, "SOL", is_cross=True, leverage=20)
    venue.advance(venue.next_bar())
    place(venue, user, order(True, 150, 105, tif="Ioc"))
    venue.advance(venue.next_bar())
    account = venue.core.account(user)
    assert account.positions == {}
    assert account.value(venue.core.marks) == 0
    assert venue.core.fills[user][-1]["liquidation"]["method"] == "backstop"
    assert venue.core.account(LIQUIDATOR).size_of("SOL") == 150
    assert account.balanced(venue.core.marks)


def test_isolated_margin_is_all_that_can_be_lost():
    """Cross cash stays what it was when an isolated position is liquidated."""
    venue = one_coin(BAR, (100.0, 100.5, 80.0, 81.0))
    user = funded(venue, usd=1000)
    venue.set_leverage(user, "SOL", is_cross=False, leverage=10)
    venue.advance(venue.next_bar())
    place(venue, user, order(True, 10, 105, tif="Ioc"))
    held = venue.core.account(user).positions["SOL"]
    assert held.raw_usd + held.cost == D("100.01")
    assert venue.move_margin(user, "SOL", D(20)) is None
    assert held.raw_usd + held.cost == D("120.01")
    before = venue.core.account(user).cash
    venue.advance(venue.next_bar(2))
    assert venue.core.account(user).positions == {}
    assert before - D(1) <= venue.core.account(user).cash <= before + D(30)
    assert venue.core.account(user).balanced(venue.core.marks)


# --- any sequence of actions ----------------------------------------------------------------------

_USERS = st.sampled_from(["a", "b", "c"])
_COINS = st.sampled_from(["SOL", "ETH"])
_SHIFT = st.integers(-300, 300)  # limit price, in basis points from the mark
_SIZE = st.integers(1, 400)
_ORDER = st.tuples(
    st.just("order"), _USERS, _COINS, st.booleans(), _SIZE, _SHIFT,
    st.sampled_from(["Gtc", "Ioc", "Alo", "FrontendMarket"]), st.booleans(),
)  # fmt: skip
_TRIGGER = st.tuples(
    st.just("trigger"), _USERS, _COINS, st.booleans(), _SIZE, _SHIFT, st.booleans(), st.booleans(),
)  # fmt: skip
_BRACKET = st.tuples(st.just("bracket"), _USERS, _COINS, st.booleans(), _SIZE, _SHIFT)
_ACTIONS = st.one_of(
    _ORDER,
    _ORDER,
    _TRIGGER,
    _BRACKET,
    st.tuples(st.just("cancel"), _USERS, st.integers(0, 20)),
    st.tuples(st.just("leverage"), _USERS, _COINS, st.booleans(), st.integers(1, 20)),
    st.tuples(st.just("margin"), _USERS, _COINS, st.integers(-500, 500)),
    st.tuples(st.just("transfer"), _USERS, st.booleans(), st.integers(1, 3000)),
    st.tuples(st.just("funding"), _COINS, st.integers(-50, 50)),
    st.tuples(st.just("jump"), _COINS, st.integers(-1500, 1500)),
    st.tuples(st.just("steps"), st.integers(1, 4)),
)


def _price(venue, coin, basis_points):
    from ftbt.localnet.numbers import round_down

    asset = venue.core.by_coin[coin]
    exact = venue.core.marks[coin] * (1 + D(basis_points) / 10_000)
    return round_down(exact, asset.size_decimals)


def _run(venue, users, action):
    kind, *rest = action
    if kind == "order":
        who, coin, buy, size, shift, tif, reduce_only = rest
        asked = Request(coin, buy, _price(venue, coin, shift), D(size) / 10, reduce_only, tif)
        venue.placing.place(users[who], [asked], "na")
    elif kind == "trigger":
        who, coin, buy, size, shift, is_stop, is_market = rest
        trigger = Trigger(_price(venue, coin, shift), is_market, is_stop)
        bound = _price(venue, coin, shift + (500 if buy else -500))
        asked = Request(coin, buy, bound, D(size) / 10, not is_stop, None, trigger)
        venue.placing.place(users[who], [asked], "na")
    elif kind == "bracket":
        who, coin, buy, size, shift = rest
        amount, sign = D(size) / 10, 1 if buy else -1
        stop = Trigger(_price(venue, coin, shift - sign * 200), True, True)
        target = Trigger(_price(venue, coin, shift + sign * 200), False, False)
        venue.placing.place(users[who], [
            Request(coin, buy, _price(venue, coin, shift), amount, False, "Gtc"),
            Request(coin, not buy, _price(venue, coin, shift - sign * 900), amount, True, None,
                    stop),
            Request(coin, not buy, target.price, amount, True, None, target),
        ], "normalTpsl")  # fmt: skip
    elif kind == "cancel":
        live = venue.core.orders.live(users[rest[0]])
        if live:
            chosen = live[rest[1] % len(live)]
            venue.cancel(chosen.user, chosen.coin, chosen.oid)
    elif kind == "leverage":
        venue.set_leverage(users[rest[0]], rest[1], is_cross=rest[2], leverage=rest[3])
    elif kind == "margin":
        venue.move_margin(users[rest[0]], rest[1], D(rest[2]))
    elif kind == "transfer":
        venue.transfer(users[rest[0]], D(rest[2]), to_perp=rest[1])
    elif kind == "funding":
        venue.charge_funding(rest[0], D(rest[1]) / 10_000, venue.time)
    elif kind == "jump":
        venue.walking.jump(rest[0], _price(venue, rest[0], rest[1]), venue.time)
    else:
        venue.advance(venue.next_bar(rest[0]))


def _new():
    venue = venue_of(wave("SOL", 100, 60), wave("ETH", 2000, 60, seed=5), history=4)
    return venue, {name: funded(venue, name, 3000) for name in "abc"}


def _check(venue):
    core = venue.core
    for user, account in core.accounts.items():
        for coin in core.by_coin:
            signed = sum(
                (D(f["sz"]) if f["side"] == "B" else -D(f["sz"]))
                for f in core.fills[user] if f["coin"] == coin
            )  # fmt: skip
            assert signed == account.size_of(coin)
        assert account.balanced(core.marks)
        assert account.fees == sum((D(f["fee"]) for f in core.fills[user]), D(0))
        assert account.funding_paid == -sum((D(f["usdc"]) for f in core.fundings[user]), D(0))
        assert account.realised == sum((D(f["closedPnl"]) for f in core.fills[user]), D(0))
        assert all(o.size > 0 for o in core.orders.live(user))
        if user != LIQUIDATOR:
            assert account.positions or account.cash + account.spot >= 0


@settings(max_examples=25, deadline=None)
@given(st.lists(_ACTIONS, max_size=30))
def test_money_is_conserved_whatever_happens(actions):
    """Fills sum up to positions, and equity is deposits + profit - fees - funding, exactly."""
    venue, users = _new()
    for action in actions:
        _run(venue, users, action)
        _check(venue)


@settings(max_examples=5, deadline=None)
@given(st.lists(_ACTIONS, max_size=25))
def test_the_same_actions_give_the_same_bytes(actions):
    """Two venues with the same candles and actions tell the same events, byte for byte."""
    told = []
    for _ in range(2):
        venue, users = _new()
        for action in actions:
            _run(venue, users, action)
        told.append(json.dumps([(e.kind, e.key, e.data) for e in venue.drain()]))
    assert told[0] == told[1]


def test_records_tell_all_that_has_happened():
    """Fills, funding, deposits and every order are there, ended ones with what became of them."""
    venue = one_coin(BAR)
    user, act = funded(venue), Interventions(venue)
    place(venue, user, order(True, 1, 105, tif="Ioc"))
    place(venue, user, order(True, 2, 90))
    act.funding("SOL", D("0.001"))
    act.cancel(user, None, "canceled")
    found = act.records(user)
    assert [row["sz"] for row in found["fills"]] == ["1.0"]
    assert [row["usdc"] for row in found["funding"]] == ["-0.1"]
    assert [row["delta"]["type"] for row in found["ledger"]] == ["deposit"]
    assert [row["status"] for row in found["orders"]] == ["filled", "canceled"]


def test_a_dump_tells_which_stops_wait_for_their_entry():
    """An order lists its children as long as they wait for it, and not once it is gone."""
    venue = one_coin(BAR)
    user, act = funded(venue), Interventions(venue)
    stop = order(False, 1, 80, stop=85, reduce_only=True)
    place(venue, user, order(True, 1, 90), stop, grouping="normalTpsl")
    entry, child = act.dump()["orders"][user]
    assert [one["oid"] for one in entry["children"]] == [child["oid"]]
    act.fill(user, entry["oid"], None)
    (child,) = act.dump()["orders"][user]
    assert child["isTrigger"]
