"""What is worth an alert, event by event and status by status."""

from __future__ import annotations

import pytest
from watch_kit import DAY_MS, status

from ftbt.backtest.result import TRADE, ExitReason
from ftbt.errors import ConfigError
from ftbt.live.alerts.model import MEANINGS, Level, Topic
from ftbt.live.alerts.rules import Rules
from ftbt.live.alerts.settings import MEANINGS as THRESHOLDS
from ftbt.live.alerts.settings import RANGES, AlertSettings
from ftbt.strategy.records import Refusal

SESSION = {
    "pid": 7, "network": "testnet", "account": "0xabc", "agent": "0xdef",
    "strategies": [{"name": "Sweep", "parameters": {}, "share": 1.0, "reasons": ["high", "low"]}],
    "symbols": ["BTC", "ETH"], "timeframe": "15m", "settings": {"capital": 500.0},
    "dry_run": False, "on_stop": "keep", "warm": 10,
}  # fmt: skip
DECISION = {
    "bar": 20_000 * DAY_MS, "strategy": 0, "side": -1, "action": 1, "refusal": 0,
    "confidence": 82.0, "reason": 1, "exit_reason": 0, "prices": {"entry": 10.0, "stop": 11.0},
    "size": 2.0, "factors": {"short_trend": 20.0, "long_trend": 10.0, "short_volume": 0.0},
}  # fmt: skip


def rules(**settings):
    """Return rules with other thresholds."""
    return Rules(AlertSettings(**settings))


def fill(size, price, leg="entry", order=1):
    """Return the body of a fill."""
    return {"order": order, "leg": leg, "size": size, "price": price, "fee": 0.1}


def trade(**changes):
    """Return the body of a closed trade."""
    values = dict.fromkeys(TRADE.names, 0.0)
    values |= {
        "side": 1, "size": 2.0, "entry_price": 100.0, "exit_price": 103.0, "fees": 0.5,
        "net": 5.5, "r": 1.375, "exit_reason": int(ExitReason.TARGET1), **changes,
    }  # fmt: skip
    return {"row": [float(values[name]) for name in TRADE.names]}


def said(alerts):
    """Return topics and titles."""
    return [(one.topic, one.title) for one in alerts]


# --- fills ---------------------------------------------------------------------------------------


def test_parts_of_an_entry_are_one_alert_with_their_mean_price():
    """Three parts within moments are told once: whole size, mean price, side of the order."""
    one = rules()
    one.event("order", {"number": 1, "side": -1}, "BTC", 0.0)
    for at, (size, price) in enumerate([(1.0, 100.0), (1.0, 102.0), (2.0, 103.0)]):
        assert one.event("fill", fill(size, price), "BTC", at / 2) == []
        assert one.tick(at / 2) == []
    assert one.tick(2.9) == []
    (told,) = one.tick(3.1)
    assert (told.topic, told.title) == (Topic.FILL, "BTC short opened: 4 at 102")
    assert "408.00 USDC, fee 0.3000" in told.text
    assert one.tick(60.0) == []


def test_an_order_that_fills_on_and_on_is_told_after_ten_seconds():
    """A trickle of parts does not hold the alert back for ever."""
    one = rules()
    told = []
    for second in range(15):
        one.event("fill", fill(1.0, 100.0), "BTC", float(second))
        told += one.tick(float(second))
    assert len(told) == 1
    assert "11 at 100" in told[0].title


def test_a_closed_trade_tells_profit_and_reason_and_its_fill_is_not_told_again():
    """The exit is one alert with size, prices, profit, R and why; a loss reads as one."""
    one = rules()
    (won,) = one.event("trade", trade(), "BTC", 0.0)
    one.event("fill", fill(2.0, 103.0, "target"), "BTC", 0.0)
    assert won.title == "BTC long closed: +5.50 USDC"
    assert won.level is Level.GOOD
    assert won.text.splitlines() == [
        "2 at 100, out at 103 (target1)", "profit +5.50 USDC (+1.38 R), fees and funding 0.50",
    ]  # fmt: skip
    assert one.tick(60.0) == []
    one.event("fill", fill(2.0, 100.0), "ETH", 60.9)
    opened, lost = one.event("trade", trade(net=-4.0, r=-1.0), "ETH", 61.0)
    assert opened.title == "ETH opened: 2 at 100"
    assert (lost.level, lost.title) == (Level.INFO, "ETH long closed: -4.00 USDC")


def test_a_partial_exit_is_told_and_the_next_entry_too():
    """Leaving with a part is told by itself; after a closed trade an entry is told as one."""
    one = rules()
    one.event("fill", fill(1.0, 103.0, "target", 2), "BTC", 0.0)
    assert said(one.tick(3.0)) == [(Topic.FILL, "BTC made smaller: 1 at 103 (target)")]
    one.event("trade", trade(), "BTC", 4.0)
    one.event("fill", fill(1.0, 104.0, "stop", 3), "BTC", 4.0)
    one.event("fill", fill(3.0, 105.0, "entry", 4), "BTC", 4.1)
    assert said(one.rest(4.2)) == [(Topic.FILL, "BTC opened: 3 at 105")]


def test_a_liquidation_is_critical():
    """Being liquidated is more than a loss."""
    (told,) = rules().event("trade", trade(exit_reason=int(ExitReason.LIQUIDATION)), "BTC", 0.0)
    assert told.level is Level.CRITICAL


# --- events --------------------------------------------------------------------------------------


def test_start_stop_and_failure_are_told():
    """A session tells what it begins with, what it ends with, and why it ended by itself."""
    one = rules()
    (start,) = one.event("session", SESSION, "", 0.0)
    assert (start.topic, start.title) == (Topic.START, "started on testnet")
    assert "Sweep on BTC, ETH, 15m" in start.text
    assert "capital 500.00" in start.text
    one.event("fill", fill(0.5, 100.0), "BTC", 0.9)
    stop = one.event("stop", {"positions": {"BTC": -0.5}, "policy": "keep"}, "", 1.0)
    assert said(stop) == [(Topic.FILL, "BTC opened: 0.5 at 100"), (Topic.STOP, "ended: BTC -0.5")]
    failed = one.failed("StorageFull: no room")
    assert (failed.topic, failed.level) == (Topic.FAILURE, Level.CRITICAL)
    assert "StorageFull: no room" in failed.text


def test_refusals_count_until_something_fills():
    """Three refusals in a row are told with what the exchange said; a fill begins anew."""
    one = rules(refusals=3)
    body = {"order": 1, "leg": "entry", "text": "Insufficient margin"}
    assert [one.event("refused", body, "BTC", 0.0) for _ in range(2)] == [[], []]
    one.event("fill", fill(1.0, 1.0), "BTC", 0.0)
    assert [one.event("refused", body, "BTC", 0.0) for _ in range(2)] == [[], []]
    (told,) = one.event("refused", body, "BTC", 0.0)
    assert told.topic is Topic.REFUSALS
    assert "BTC entry: Insufficient margin" in told.text


@pytest.mark.parametrize("name", ["fallen", "day_lost", "week_lost"])
def test_a_limit_on_losses_is_told_when_it_is_reached_and_when_it_is_over(name):
    """A breaker is told once while it is open, and its end once."""
    one = rules()
    state = {"fallen": 0.0, "day_lost": 0.0, "week_lost": 0.0}
    assert one.event("equity", {"limits": state}, "", 0.0) == []
    (told,) = one.event("equity", {"limits": {**state, name: 0.21}}, "", 1.0)
    assert (told.topic, told.level) == (Topic.BREAKER, Level.CRITICAL)
    assert "21.00%" in told.text
    assert one.event("equity", {"limits": {**state, name: 0.21}}, "", 2.0) == []
    assert [a.topic for a in one.event("equity", {"limits": state}, "", 3.0)] == [Topic.RECOVERY]


def test_the_limit_of_trades_is_told_once_a_day():
    """Setups refused for the number of trades are told once a day of the market."""
    one = rules(confidence=100.0)
    full = {**DECISION, "refusal": int(Refusal.TRADES_PER_DAY), "size": 0.0}
    found = [one.event("decision", full, "BTC", 0.0) for _ in range(3)]
    tomorrow = one.event("decision", {**full, "bar": full["bar"] + DAY_MS}, "BTC", 0.0)
    assert [len(x) for x in found] == [1, 0, 0]
    assert tomorrow[0].topic is Topic.BREAKER


def test_a_setup_above_the_threshold_is_told_with_its_reasons():
    """Above 70 by default, not at it; with prices, factors, and whether it was taken."""
    one = rules()
    one.event("session", SESSION, "", 0.0)
    (told,) = one.event("decision", DECISION, "BTC", 0.0)
    assert told.title == "BTC short setup, confidence 82.0"
    assert told.text.splitlines() == [
        "BTC enters short (confidence 82, low: trend 20)", "entry 10, stop 11, size 2",
    ]  # fmt: skip
    assert one.event("decision", {**DECISION, "confidence": 70.0}, "BTC", 0.0) == []
    refused = {**DECISION, "refusal": int(Refusal.POSITIONS), "size": 0.0}
    (told,) = one.event("decision", refused, "BTC", 0.0)
    assert "not taken: concurrent positions" in told.text


@pytest.mark.parametrize(
    ("kind", "body", "topic", "words"),
    [
        (
            "alarm",
            {"what": "account stream", "text": "it is down"},
            Topic.TROUBLE,
            "account stream",
        ),
        ("error", {"what": "place", "error": "no answer"}, Topic.TROUBLE, "BTC place"),
        ("orphan", {"cloid": "0x1"}, Topic.TROUBLE, "stood for nothing"),
        ("critical", {"what": "no stop", "text": "BTC"}, Topic.CRITICAL, "no stop"),
        ("note", {"text": "carried on from 12 events"}, Topic.RECOVERY, "after a restart"),
        ("note", {"text": "asked to stop", "by": "ada (pid 3)"}, Topic.HALT, "asked to stop"),
    ],
)
def test_what_the_journal_notes_is_told(kind, body, topic, words):
    """Trouble, recovery after a restart and the owner's own orders are alerts."""
    (told,) = rules().event(kind, body, "BTC", 0.0)
    assert told.topic is topic
    assert words in told.title


@pytest.mark.parametrize(
    "kind", ["leg", "end", "moved", "withdraw", "foreign", "funding", "refusal", "alert", "note"]
)
def test_everyday_events_are_no_alerts(kind):
    """What happens all the time is not told, nor is an alert about an alert."""
    body = {"text": "nothing", "paid": 1.0, "order": 1}
    assert rules().event(kind, body, "BTC", 0.0) == []


# --- statuses ------------------------------------------------------------------------------------


def test_a_disconnect_is_told_after_its_time_and_so_is_the_return():
    """Short gaps are not told; a long one is, and that it is over."""
    one = rules(disconnected_s=60.0)
    away = status(connected=False, ready="the market data are old or not connected")
    assert one.status(status(), 0.0) == []
    assert one.status(away, 10.0) == []
    assert one.status(status(), 50.0) == []
    one.status(away, 100.0)
    assert one.tick(159.0) == []
    assert one.status(away, 159.0) == []
    (told,) = one.tick(161.0)
    assert (told.topic, told.title) == (Topic.DISCONNECT, "disconnected for 61 s")
    back = said(one.status(status(), 400.0))
    assert (Topic.RECOVERY, "connected again after 5 min") in back


def test_old_data_on_a_standing_connection_are_told():
    """Not being able to open anything for long is trouble of its own."""
    one = rules(disconnected_s=60.0)
    old = status(ready="the market data are old or not connected")
    assert one.status(old, 0.0) == []
    (told,) = one.status(old, 61.0)
    assert (told.topic, told.text) == (Topic.TROUBLE, old.ready)


def test_the_end_of_trouble_that_was_told_is_told():
    """After an alarm the owner hears when positions may be opened again."""
    one = rules()
    one.status(status(), 0.0)
    one.event("alarm", {"what": "unknown outcome", "text": "?"}, "", 1.0)
    assert one.status(status(), 1.1) == []  # made before the alarm reached it
    one.status(status(ready="place: no answer"), 2.0)
    assert said(one.status(status(), 9.0)) == [
        (Topic.RECOVERY, "positions may be opened again after 7 s")
    ]


def test_a_halt_and_its_end_are_told_once():
    """The owner's halt is told with its reason, and that it is lifted."""
    one = rules()
    halted = status(ready="halted: travelling")
    assert said(one.status(halted, 0.0)) == [(Topic.HALT, "halted: travelling")]
    assert one.status(halted, 500.0) == []
    assert said(one.status(status(), 600.0)) == [(Topic.RECOVERY, "the halt is lifted")]


def test_a_position_without_a_stop_is_critical():
    """More than 30 s without a working stop is told as critical, and that it is over."""
    one = rules(unprotected_s=30.0)
    held = {"positions": {"BTC": 0.5}}
    assert one.status(status(**held, unprotected={"BTC": 29.0}), 0.0) == []
    (told,) = one.status(status(**held, unprotected={"BTC": 31.0}), 2.0)
    assert (told.topic, told.level) == (Topic.PROTECTION, Level.CRITICAL)
    assert said(one.status(status(**held), 3.0)) == [
        (Topic.RECOVERY, "BTC: protected again, or flat")
    ]


def test_a_loop_that_says_nothing_is_told_but_not_after_the_end():
    """Silence of the loop is critical; before the first and after the last status it is right."""
    one = rules(silent_s=60.0)
    assert one.tick(1_000.0) == []
    one.status(status(), 1_000.0)
    assert one.tick(1_059.0) == []
    (told,) = one.tick(1_061.0)
    assert (told.topic, told.level) == (Topic.SILENCE, Level.CRITICAL)
    assert said(one.status(status(), 1_100.0)) == [(Topic.RECOVERY, "the loop is back after 100 s")]
    one.status(status(over=True), 1_101.0)
    assert one.tick(9_000.0) == []


def test_the_day_is_told_at_midnight_utc_of_the_market():
    """The first status of a new day brings the sums of the day before."""
    one = rules()
    midnight = 20_000 * DAY_MS
    one.status(status(market_ms=midnight, equity=1_000.0), 0.0)
    one.event("fill", fill(1.0, 100.0), "BTC", 1.0)
    one.event("trade", trade(), "BTC", 1.0)
    one.event("funding", {"time": 1, "paid": 0.25}, "BTC", 1.0)
    one.event("refused", {"order": 1, "leg": "stop", "text": "no"}, "BTC", 1.0)
    one.status(status(market_ms=midnight + 1, equity=990.0, connected=False), 10.0)
    one.status(status(market_ms=midnight + 2, equity=1_005.0), 30.0)
    assert not one.status(status(market_ms=midnight + DAY_MS - 1, equity=1_004.0), 31.0)
    (day,) = one.status(status(market_ms=midnight + DAY_MS, equity=1_003.0), 32.0)
    assert (day.topic, day.title) == (Topic.DAILY, "2024-10-04: +3.00 USDC")
    assert day.text.splitlines() == [
        "equity 1,003.00 (+3.00 USDC, +0.30%), lowest 990.00",
        "1 trades, 1 won, net +5.50 USDC",
        "1 fills, fees 0.10, funding paid 0.25",
        "1 refusals of the exchange, 0 errors",
        "1 times disconnected, 20 s in all",
        "now flat",
    ]
    (half,) = one.status(status(market_ms=midnight + 2 * DAY_MS, equity=1_003.0), 33.0)
    assert "counted from" not in half.text


# --- thresholds ----------------------------------------------------------------------------------


def test_every_topic_and_threshold_is_explained():
    """Nothing can be told or set that `ftbt alerts show` does not explain."""
    assert set(MEANINGS) == set(Topic)
    assert set(THRESHOLDS) == set(RANGES)


def test_thresholds_are_read_and_checked():
    """NAME=VALUE sets a threshold; unknown names and values out of range are told in one line."""
    read = AlertSettings.parse(["confidence=85", "refusals=5", "bell=no"], ["fill"])
    assert (read.confidence, read.refusals, read.bell) == (85.0, 5, False)
    assert read.mute == {Topic.FILL}
    for texts, mute, words in (
        (["confidense=1"], [], "did you mean 'confidence'"),
        (["confidence"], [], "no such setting"),
        (["confidence=101"], [], "0 to 100"),
        (["refusals=1"], [], "2 to 100"),
        (["refusals=3", "refusals=4"], [], "twice"),
        ([], ["fil"], "did you mean 'fill'"),
    ):
        with pytest.raises(ConfigError, match=words):
            AlertSettings.parse(texts, mute)
