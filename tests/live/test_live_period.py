"""A day or week of a session in figures."""

from __future__ import annotations

import json
import math

import pytest

from ftbt.backtest.result import TRADE, ExitReason, Kind, Role
from ftbt.backtest.settings import Settings
from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.errors import InputError
from ftbt.live.journal import LiveJournal, read_journal
from ftbt.live.period import read_period, span_of
from ftbt.report.period_page import render_period
from ftbt.strategy.records import Refusal

BAR = 900_000
MONDAY = 1_704_067_200_000  # 2024-01-01 00:00 UTC
SETTINGS = Settings(capital=10_000.0)
SESSION = {
    "pid": 1, "network": "testnet", "account": "0xabc", "agent": "0xdef",
    "strategies": [{"name": "Sweep", "parameters": {}, "share": 1.0, "reasons": ["a"]}],
    "symbols": ["SOL"], "timeframe": "15m", "settings": SETTINGS.as_dict(), "dry_run": False,
    "on_stop": "keep", "warm": 50,
}  # fmt: skip
LIMITS = {"day_start": 10_000.0, "week_start": 10_000.0, "peak": 10_500.0, "trades_today": 2}


class Writer:
    """Writes a journal event by event."""

    def __init__(self, path):
        self.journal = LiveJournal.open(path, deployment="test")
        self.orders = 0

    def note(self, kind, time, coin="", /, **body):
        """Write one event at *time*."""
        self.journal.note(kind, body, coin=coin, market_ms=time)

    def start(self, time):
        """Begin a session."""
        self.note("session", time, **SESSION)

    def bars(self, first, stop, equity):
        """Decide on the bars in [first, stop), ms."""
        for opened in range(first, stop, BAR):
            self.note("equity", opened + BAR, bar=opened, equity=equity, cash=equity, limits=LIMITS)

    def fill(self, time, *, slip, maker=False, role=Role.ENTRY):
        """Fill an order of its own."""
        self.orders += 1
        self.note(
            "order", time, "SOL", number=self.orders, parent=None, bar=time // BAR * BAR - BAR,
            side=1, kind=int(Kind.MARKET), role=int(role), size=2.0, price=None, limit=None,
            sleeve=0,
        )  # fmt: skip
        self.note(
            "fill", time, "SOL", order=self.orders, leg="entry", time=time, size=2.0, price=100.0,
            fee=0.1, maker=maker, slip=slip,
        )  # fmt: skip

    def trade(self, time, *, net, confidence, r):
        """Close a trade."""
        row = dict.fromkeys(TRADE.names, 0.0) | {
            "entry_time": time - HOUR_MS, "exit_time": time, "side": 1, "size": 2.0,
            "entry_price": 100.0, "exit_price": 101.0, "net": net, "r": r,
            "confidence": confidence, "exit_reason": int(ExitReason.TARGET1),
        }  # fmt: skip
        self.note("trade", time, "SOL", row=[float(x) for x in row.values()])


@pytest.fixture
def week(tmp_path):
    """Return the path of a journal of two days, with a kill in the night between them."""
    path = tmp_path / "journal.db"
    writer = Writer(path)
    writer.start(MONDAY + 6 * HOUR_MS)
    writer.bars(MONDAY + 6 * HOUR_MS, MONDAY + 12 * HOUR_MS, 10_000.0)
    writer.fill(MONDAY + 12 * HOUR_MS, slip=0.0004)
    writer.trade(MONDAY + 13 * HOUR_MS, net=100.0, confidence=92.0, r=2.0)
    writer.note("refused", MONDAY + 14 * HOUR_MS, "SOL", order=1, leg="stop", text="bad trigger")
    writer.bars(MONDAY + 12 * HOUR_MS, MONDAY + 22 * HOUR_MS, 10_500.0)
    tuesday = MONDAY + DAY_MS
    writer.start(tuesday + 2 * HOUR_MS)
    writer.note("alarm", tuesday + 2 * HOUR_MS, what="x", text="the stream is down")
    writer.note(
        "decision", tuesday + 3 * HOUR_MS, "SOL", bar=tuesday + 2 * HOUR_MS, strategy=0,
        refusal=int(Refusal.LOW_CONFIDENCE),
    )  # fmt: skip
    writer.bars(tuesday + 2 * HOUR_MS, tuesday + 5 * HOUR_MS, 10_290.0)
    writer.fill(tuesday + 5 * HOUR_MS, slip=0.0002)
    writer.fill(tuesday + 5 * HOUR_MS, slip=0.0, maker=True)
    writer.note("funding", tuesday + 5 * HOUR_MS, "SOL", time=tuesday, paid=1.5)
    writer.trade(tuesday + 5 * HOUR_MS, net=-40.0, confidence=50.0, r=-1.0)
    writer.trade(tuesday + 5 * HOUR_MS, net=10.0, confidence=100.0, r=math.nan)
    writer.note("stop", tuesday + 5 * HOUR_MS, positions={}, policy="keep")
    writer.journal.close()
    return path


def _read(path, kind, moment=None):
    with read_journal(path) as reader:
        return read_period(reader, kind, moment)


def test_days_begin_at_midnight_and_weeks_on_monday():
    """A moment belongs to the day and the week that it is in, both of UTC."""
    sunday = MONDAY + 6 * DAY_MS + 5
    assert span_of("daily", sunday) == (MONDAY + 6 * DAY_MS, MONDAY + 7 * DAY_MS)
    assert span_of("weekly", sunday) == (MONDAY, MONDAY + 7 * DAY_MS)
    assert span_of("weekly", MONDAY) == (MONDAY, MONDAY + 7 * DAY_MS)


def test_a_day_has_its_own_profit_and_trades(week):
    """Profit runs from the last equity of the day before; trades belong to the day they end in."""
    first, second = _read(week, "daily", MONDAY), _read(week, "daily")
    assert (first.begin, first.end, first.profit) == (10_000.0, 10_500.0, 500.0)
    assert (second.begin, second.end, second.profit) == (10_500.0, 10_290.0, -210.0)
    assert second.drawdown == pytest.approx(-0.02)
    assert (len(first.trades), first.wins, first.net) == (1, 1, 100.0)
    assert (len(second.trades), second.wins, second.net) == (2, 1, -30.0)
    assert (first.funding, second.funding) == (0.0, 1.5)
    assert first.said_no == {"bad trigger": 1}
    assert second.refused == {"confidence too low": 1}
    assert second.trouble == {"the stream is down": 1}


def test_confidence_stands_beside_what_came_of_it(week):
    """Trades are counted by confidence; 100 is in the highest band, and no R is no zero."""
    found = _read(week, "weekly").bands
    assert [(one.low, one.trades, one.wins, one.net) for one in found] == [
        (40.0, 1, 0, -40.0), (85.0, 2, 2, 110.0),
    ]  # fmt: skip
    assert [one.r for one in found] == [-1.0, 2.0]


def test_slippage_and_fees_stand_beside_the_assumption(week):
    """Slippage is that of fills that took liquidity; fees are compared at the assumed rates."""
    found = _read(week, "weekly")
    (entry,) = found.slippage
    assert (entry.role, entry.fills, entry.worst) == ("entry", 2, 0.0004)
    assert entry.mean == pytest.approx(0.0003)
    assert entry.assumed == SETTINGS.half_spread
    assert found.fees == pytest.approx(0.3)
    assert found.expected_fees == pytest.approx(200.0 * (2 * 0.00045 + 0.00015))


def test_limits_are_those_of_the_last_close(week):
    """What is lost is measured from where the limit measures, against what is allowed."""
    used = {one.name: (one.value, one.limit) for one in _read(week, "daily").limits}
    assert used["loss of the day"] == (0.0, SETTINGS.limits.daily_loss)
    assert used["drawdown"] == (pytest.approx(0.02), SETTINGS.limits.drawdown)
    assert used["most trades of a day"] == (2.0, float(SETTINGS.limits.trades_per_day))


def test_a_kill_is_told_and_counts_as_time_without_a_bot(week):
    """The time from the last sign of one process to the start of the next is a gap."""
    up = _read(week, "weekly").uptime
    assert (up.starts, up.crashes) == (2, 1)
    assert up.gaps == ((MONDAY + 22 * HOUR_MS, MONDAY + 26 * HOUR_MS),)
    assert up.share == pytest.approx(1.0 - 4.0 / 23.0)
    assert _read(week, "daily", MONDAY).uptime.crashes == 0


def test_a_time_without_a_decision_is_refused(week):
    """There is no report of days on which the bot did nothing, and the line says when it did."""
    with pytest.raises(InputError, match="the session runs from 2024-01-01 06:00 UTC"):
        _read(week, "daily", MONDAY + 9 * DAY_MS)


def test_the_page_and_the_json_are_the_same_each_time(week):
    """Both follow from the journal alone, JSON without NaN, text of the journal escaped."""
    found = _read(week, "weekly")
    assert render_period(found) == render_period(_read(week, "weekly"))
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["net"] == 70.0
    assert [one["exit_reason"] for one in plain["trades"]] == ["target1"] * 3
    assert plain["trades"][2]["r"] is None


def test_what_the_exchange_says_can_not_change_the_page(tmp_path):
    """Words that come from outside stand on the page as words."""
    writer = Writer(tmp_path / "journal.db")
    writer.start(MONDAY)
    writer.note("alarm", MONDAY, what="x", text="<script>alert(1)</script>")
    writer.bars(MONDAY, MONDAY + 4 * BAR, 10_000.0)
    writer.journal.close()
    text = render_period(_read(tmp_path / "journal.db", "daily"))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
