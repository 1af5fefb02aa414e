"""A soak that went wrong says so: each promise is missed by what breaks it, and by nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from ftbt.backtest.settings import Settings
from ftbt.data.candles import Candles, make_bars
from ftbt.data.market import Market, instrument_for
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.live.journal import LiveJournal
from ftbt.live.protection import UNPROTECTED_S
from ftbt.risk.limits import Limits
from soak.accounts import Compared
from soak.driving import Struck
from soak.figures import Seen, figures, missed
from soak.intents import Intents, intents
from soak.ledger import Ledger
from soak.limits import limits_kept
from soak.page import page, publish
from soak.plan import Asked, drawn
from soak.ward import Absence, Life, Log
from soak.watching import Bare, Look, protected

QUARTER = Timeframe.parse("15m")
BEGIN = 1_704_067_200_000
WEEK = Asked(5)
STROKES = drawn(WEEK)
SAME = Compared(BEGIN, 9_900.0, 9_900.0, 9_900.0, ())


def week(**changed) -> Seen:
    """Return a soak in which all went well, but for what is changed."""
    ledger = Ledger()
    row = {"coin": "BTC", "px": "100", "sz": "1", "fee": "0", "time": BEGIN}
    for side in "BA" * 120:
        ledger.fill({**row, "side": side})
    looks = [Look(float(n), 0.0, BEGIN + n * 60_000, 0.1, 300_000_000, 0) for n in range(10_080)]
    usual = {
        "asked": WEEK, "strokes": STROKES, "looks": looks,
        "struck": Struck(done={one.number for one in STROKES}, compared=[SAME, SAME]),
        "log": Log([Life(1, 0.0, 5.0, 10_000.0, "over")], []),
        "bare": [Bare("BTC", 10.0, 11.0, BEGIN, BEGIN)], "kept": [], "most_positions": 2,
        "most_leverage": 1.0, "last": SAME, "api_value": 9_900.0, "ledger": ledger,
        "intents": Intents(400, 400, (), 120), "bars": 672, "of": 672, "seconds": 1_000.0,
    }  # fmt: skip
    return Seen(**{**usual, **changed})


def names(seen: Seen) -> list[str]:
    """Return the promises that are missed."""
    return [line.partition(":")[0] for line in missed(figures(seen))]


def test_a_good_week_keeps_every_promise():
    """With nothing wrong nothing is missed, and every promise could be judged."""
    found = figures(week())
    assert missed(found) == []
    assert all(one["met"] for one in found["promises"])


APART = Compared(BEGIN, 9_900.0, 9_900.01, 9_900.0, ("equity: exchange 9900, ledger 9900.01",))
DEAF = [
    Look(float(n), 0.0, BEGIN + n * 60_000, None if 500 <= n < 600 else 0.1, 3 * 10**8, 0)
    for n in range(10_080)
]
GROWN = [
    Look(float(n), 0.0, BEGIN + n * 60_000, 0.1, int(3e8 * (1 + 0.03 * n / 10_080)), 0)
    for n in range(10_080)
]


@pytest.mark.parametrize(
    ("changed", "promise"),
    [
        ({"bars": 671}, "days"),
        ({"struck": Struck(done={1, 2, 3}, compared=[SAME])}, "faults"),
        ({"struck": Struck(done={one.number for one in STROKES if one.name != "hang"},
                           compared=[SAME])}, "classes"),
        ({"struck": Struck(done={one.number for one in STROKES}, compared=[APART, SAME])},
         "accounts"),
        ({"intents": Intents(400, 400, (), 119)}, "booked"),
        ({"intents": Intents(400, 400, ("order 0x1 stands 2 times",), 120)}, "orders"),
        ({"bare": [Bare("BTC", 10.0, 11.0 + UNPROTECTED_S, BEGIN, BEGIN)]}, "protection"),
        ({"looks": DEAF}, "uptime"),
        ({"looks": GROWN}, "memory"),
        ({"seconds": 1_801.0}, "time"),
    ],
)  # fmt: skip
def test_what_breaks_a_promise_is_named(changed, promise):
    """The line of what is missed begins with the promise."""
    seen = week(**changed)
    assert promise in names(seen)
    assert set(names(seen)) <= {promise, "classes"}


def test_few_trades_are_named():
    """A week with fewer than a hundred trades does not count."""
    seen = replace(week(), ledger=Ledger(), intents=Intents(0, 0, (), 0))
    assert names(seen) == ["trades"]


def test_forced_absences_excuse_and_nothing_else_does():
    """Time without a stop or a sign of life counts unless the soak itself caused it."""
    killed = Log([Life(1, 0.0)], [Absence(490.0, "killed", 610.0)])
    bare = [Bare("BTC", 500.0, 600.0, BEGIN, BEGIN)]
    assert names(week(looks=DEAF, bare=bare, log=killed)) == []
    short = Log([Life(1, 0.0)], [Absence(490.0, "killed", 550.0)])
    assert names(week(looks=DEAF, bare=bare, log=short)) == ["protection", "uptime"]
    shut = Struck({one.number for one in STROKES}, outages=[(480.0, 620.0)], compared=[SAME])
    assert names(week(bare=bare, struck=shut)) == []


def test_a_page_says_what_was_missed(tmp_path):
    """The page is made from the JSON, which comes back as it was, and shows what is missed."""
    (tmp_path / "reference").mkdir()
    found = figures(week(bars=671))
    data, text = publish(found, tmp_path)
    assert json.loads(data.read_text()) == json.loads(json.dumps(found))
    assert text.read_text() == page(found)
    assert "| 671 of 672 bars | all | **missed** |" in text.read_text()
    for name in ("kill -9", "commit_then_drop", "order gone"):
        assert f"`{name}`" in text.read_text()


# --- stops ------------------------------------------------------------------------------------


def stop(oid=1, size="1", side="A", **more):
    """Return a stop as the exchange shows it."""
    usual = {"oid": oid, "coin": "BTC", "sz": size, "side": side, "isTrigger": True,
             "reduceOnly": True, "orderType": "Stop Market", "children": []}  # fmt: skip
    return {**usual, **more}


@pytest.mark.parametrize(
    ("orders", "safe"),
    [
        ([stop()], True),
        ([stop(size="0.4"), stop(2, "0.6")], True),
        ([], False),
        ([stop(size="0.9")], False),
        ([stop(side="B")], False),
        ([stop(coin="ETH")], False),
        ([stop(orderType="Take Profit Market")], False),
        ([stop(reduceOnly=False)], False),
        ([stop(9, isTrigger=False, orderType="Limit", children=[{"oid": 1}]), stop()], False),
    ],
)
def test_a_position_is_protected_by_stops_that_work_for_all_of_it(orders, safe):
    """A stop of the other side, coin, kind or of a part, or one that still waits, is none."""
    assert protected("BTC", Decimal(1), orders) is safe


# --- intents ----------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path):
    """Return a function that writes a journal of one entry of size 2 and returns its folder."""
    made = LiveJournal.open(tmp_path / "journal.db", deployment="test")
    made.note("order", {"number": 1, "size": 2.0}, coin="BTC")
    made.note("leg", {"order": 1, "leg": "entry", "attempt": 1, "cloid": "0xa"}, coin="BTC")
    made.note("leg", {"order": 1, "leg": "entry", "attempt": 2, "cloid": "0xb"}, coin="BTC")
    made.close()
    return tmp_path


def records(cloids, fills=()):
    """Return records of orders with these ids and of fills."""
    return {
        "orders": [{"order": {"cloid": cloid}} for cloid in cloids],
        "fills": [{"cloid": cloid, "sz": size} for cloid, size in fills],
    }


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (records(["0xa", "0xb"], [("0xa", "0.5"), ("0xb", "1.5")]), ""),
        (records(["0xa", "0xa"]), "0xa stands 2 times"),
        (records(["0xa", "0xc"]), "0xc was never meant"),
        (records(["0xa", "0xb"], [("0xa", "2.0"), ("0xb", "0.1")]), "meant to be 2.0 and filled"),
    ],
)
def test_an_order_twice_is_found(journal, there, told):
    """The same id twice, an unknown one, and attempts that fill more than was meant."""
    found = intents(journal, there).twice
    assert told in "".join(found)
    assert bool(found) is bool(told)


# --- limits -----------------------------------------------------------------------------------


def market(coin="BTC", prices=None):
    """Return four days of candles that stand still at *prices*."""
    closes = np.full(4 * 96, 100.0) if prices is None else prices
    opens = BEGIN + QUARTER.ms * np.arange(len(closes), dtype=np.int64)
    rows = make_bars(opens, closes, closes, closes, closes, np.full(len(closes), 10.0))
    return Market(Candles(coin, QUARTER, rows), instrument_for(coin))


def account(*fills, orders=()):
    """Return records: *fills* are (ms after the beginning, coin, side, size)."""
    return {
        "ledger": [{"delta": {"type": "deposit", "usdc": "10000"}}],
        "funding": [],
        "fills": [
            {"coin": coin, "px": "100", "sz": str(size), "side": side, "fee": "0",
             "time": BEGIN + at, "oid": 10 * n}
            for n, (at, coin, side, size) in enumerate(fills)
        ],
        "orders": [{"order": order} for order in orders],
    }  # fmt: skip


def broken(found) -> set[str]:
    """Return the limits that were broken."""
    return {one.name for one in found if one.broken}


def opening(at, oid):
    """Return an order that opens, as the exchange shows it."""
    return {"oid": oid, "coin": "BTC", "reduceOnly": False, "isTrigger": False,
            "timestamp": BEGIN + at}  # fmt: skip


SETTINGS = Settings(
    leverage=10.0,
    limits=Limits(positions=1, total_exposure=0.1, risk_per_trade=0.01, trades_per_day=2,
                  daily_loss=0.05),
)  # fmt: skip
HOUR = 3_600_000


def test_limits_that_were_kept_are_not_broken():
    """One small trade breaks nothing, and shows what it used of each limit."""
    guard = {"oid": 1, "coin": "BTC", "reduceOnly": True, "isTrigger": True, "triggerPx": "99",
             "timestamp": BEGIN}  # fmt: skip
    kept = limits_kept(
        account((0, "BTC", "B", 50), (HOUR, "BTC", "A", 50), orders=[opening(0, 0), guard]),
        [market()], SETTINGS,
    )  # fmt: skip
    most = {one.name: one.most for one in kept}
    assert broken(kept) == set()
    assert most["total_exposure"] == pytest.approx(0.05)
    assert most["risk_per_trade"] == pytest.approx(0.005)
    assert (most["positions"], most["trades_per_day"]) == (1.0, 1.0)


def test_a_limit_that_was_broken_is_named():
    """Too many positions, too much margin, too many trades a day, too far a stop."""
    two = limits_kept(
        account((0, "BTC", "B", 10), (1, "ETH", "B", 10)), [market(), market("ETH")], SETTINGS
    )
    assert broken(two) == {"positions"}
    big = limits_kept(account((0, "BTC", "B", 150)), [market()], SETTINGS)
    assert broken(big) == {"total_exposure"}
    rows = [(n * 1_000, "BTC", "BA"[n % 2], 1) for n in range(6)]
    assert broken(limits_kept(account(*rows), [market()], SETTINGS)) == {"trades_per_day"}
    far = {"oid": 1, "coin": "BTC", "reduceOnly": True, "isTrigger": True, "triggerPx": "96",
           "timestamp": BEGIN}  # fmt: skip
    risky = limits_kept(
        account((0, "BTC", "B", 50), orders=[opening(0, 0), far]), [market()], SETTINGS
    )
    assert broken(risky) == {"risk_per_trade"}


@pytest.mark.parametrize(("at", "kept"), [(2 * HOUR, True), (5 * HOUR, False), (DAY_MS, True)])
def test_nothing_may_be_opened_after_the_days_loss(at, kept):
    """After a close at which the day has lost its limit no order opens, until the next day."""
    prices = np.full(4 * 96, 100.0)
    prices[12:] = 90.0  # from 03:00 on
    found = limits_kept(
        account((0, "BTC", "B", 60), orders=[opening(0, 0), opening(at, 20)]),
        [market(prices=prices)], SETTINGS,
    )  # fmt: skip
    assert ("daily_loss" not in broken(found)) is kept
