"""What a session did, read from its journal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from parity_tables import FRAME, Leg, candles, opened, session

from ftbt.backtest.result import TRADE, Kind, Role, Status
from ftbt.backtest.settings import Settings
from ftbt.errors import InputError, IntegrityError
from ftbt.live.causes import Cause
from ftbt.live.journal import LiveJournal, read_journal
from ftbt.live.parity import compare_record
from ftbt.live.record import KINDS, read_record
from ftbt.risk.limits import Limits
from ftbt.strategy.records import Refusal

SETTINGS = Settings(capital=10_000.0, limits=Limits.none())
SESSION = {
    "pid": 1, "network": "localnet", "account": "0xabc", "agent": "0xdef",
    "strategies": [{"name": "Sweep", "parameters": {"swing": 5}, "share": 1.0, "reasons": ["a"]}],
    "symbols": ["SOL"], "timeframe": "15m", "settings": SETTINGS.as_dict(), "dry_run": False,
    "on_stop": "keep", "warm": 50,
}  # fmt: skip


def _order(number, bar, *, side=1, kind=Kind.MARKET, role=Role.ENTRY, price=None, parent=None):
    return {
        "number": number, "parent": parent, "bar": opened(bar), "now": bar, "side": side,
        "kind": int(kind), "role": int(role), "size": 2.0, "price": price, "limit": None,
        "reduces": parent is not None, "sleeve": 0,
    }  # fmt: skip


def _fill(order, bar, size, price, *, maker=False, offset=1700):
    # The exchange's own time: somewhere inside the bar, not at its open.
    return {
        "order": order, "leg": "entry", "time": opened(bar) + offset, "size": size, "price": price,
        "fee": size * price * (0.00015 if maker else 0.00045), "maker": maker, "oid": 1, "tid": 1,
    }  # fmt: skip


def _trade(leg):
    """Return the row as the live books number it: bars from their own first one."""
    row = dict(zip(TRADE.names, session(leg).trades[0].item(), strict=True))
    row |= {"entry_bar": 53, "exit_bar": 55}
    row |= {"entry_time": opened(leg.bar) + 1700, "exit_time": opened(leg.out) + 400_000}
    return {"row": [float(x) for x in row.values()]}


def _write(path, *events):
    """Write (kind, body, coin) into a journal, as the broker does."""
    journal = LiveJournal.open(path, deployment="test")
    for kind, body, coin in events:
        time = int(body.get("bar", body.get("time", opened(1))))
        journal.note(kind, body, coin=coin, market_ms=time + FRAME)
    journal.close()


def _bars(first, stop, equity=10_000.0):
    return [
        ("equity", {"bar": opened(bar), "equity": equity, "cash": equity, "limits": {}}, "")
        for bar in range(first, stop)
    ]


LEG = Leg()
# One long of two coins in two fills, closed at its target by one.
ROUND_TRIP = [
    ("session", SESSION, ""),
    *_bars(0, 3),
    ("order", _order(1, 2), "SOL"),
    ("order", _order(2, 2, side=-1, kind=Kind.LIMIT, role=Role.TARGET1, price=103.0, parent=1),
     "SOL"),
    ("order", _order(3, 2, side=-1, kind=Kind.STOP, role=Role.STOP, price=98.0, parent=1), "SOL"),
    ("fill", _fill(1, 3, 0.5, 100.0), "SOL"),
    ("fill", _fill(1, 3, 1.5, 100.0, offset=2500), "SOL"),
    *_bars(3, 5),
    ("fill", _fill(2, 5, 2.0, 103.0, maker=True, offset=400_000), "SOL"),
    ("trade", _trade(LEG), "SOL"),
    ("end", {"order": 3, "status": int(Status.CANCELLED)}, "SOL"),
    *_bars(5, 20),
    ("stop", {"positions": {}, "policy": "keep"}, ""),
]  # fmt: skip


@pytest.fixture
def recorded(tmp_path):
    """Return a function that writes events and reads the record of them."""

    def read(*events):
        path = tmp_path / "journal.db"
        _write(path, *events)
        with read_journal(path) as reader:
            return read_record(reader.events(kinds=KINDS))

    return read


def test_a_journal_becomes_the_tables_of_a_back_test(recorded):
    """Orders, fills and trades are there, with bars counted from the first one decided on."""
    record = recorded(*ROUND_TRIP)
    result = record.result
    assert (record.network, record.warm, record.strategies[0].parameters) == (
        "localnet", 50, {"swing": 5},
    )  # fmt: skip
    assert result.settings == SETTINGS
    assert result.time.tolist() == [opened(bar) for bar in range(20)]
    assert result.fills["bar"].tolist() == [3, 3, 5]
    assert (result.trades["entry_bar"][0], result.trades["exit_bar"][0]) == (3, 5)
    assert result.orders["bar"].tolist() == [2, 2, 2]
    assert result.orders["filled"].tolist() == [2.0, 2.0, 0.0]
    assert result.orders["status"].tolist() == [Status.FILLED, Status.FILLED, Status.CANCELLED]
    assert record.evidence.decided == {opened(bar) for bar in range(20)}


def test_a_session_in_parity_is_identical_to_its_back_test(recorded):
    """Fills in parts and times inside the bar are no difference."""
    drift = compare_record(session(LEG), recorded(*ROUND_TRIP), [candles()])
    assert (drift.share, drift.causes, drift.strategies) == (1.0, (), ("sweep",))


def test_bars_that_were_not_decided_on_explain_what_is_missing(recorded):
    """A bot that was down for some bars has missed the trade, and the equity stood still."""
    down = [("session", SESSION, ""), *_bars(0, 2, 9000.0), *_bars(4, 20)]
    record = recorded(*down)
    assert record.result.equity[:5].tolist() == [9000.0, 9000.0, 9000.0, 9000.0, 10_000.0]
    [trade] = compare_record(session(LEG), record, [candles()]).trades
    assert (trade.status, trade.differences[0].cause) == ("missing", Cause.NOT_LIVE)


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (("refused", {"order": 1, "leg": "entry", "text": "Insufficient margin", "bar": opened(2)},
          "SOL"), Cause.REFUSED_BY_EXCHANGE),
        (("refusal", {"order": 1, "why": "the market data are old"}, "SOL"), Cause.NOT_LIVE),
        (("decision", {"bar": opened(2), "strategy": 0, "refusal": int(Refusal.MIN_NOTIONAL)},
          "SOL"), Cause.REFUSED_BY_LIMIT),
        (("end", {"order": 1, "status": int(Status.MARGIN)}, "SOL"), Cause.REFUSED_BY_EXCHANGE),
    ],
)  # fmt: skip
def test_what_the_journal_says_of_an_order_explains_it(recorded, event, cause):
    """Refusals of the exchange, of limits and of readiness are read and become causes."""
    order = ("order", _order(1, 2), "SOL")
    record = recorded(("session", SESSION, ""), *_bars(0, 3), order, event, *_bars(3, 20))
    [trade] = compare_record(session(LEG), record, [candles()]).trades
    assert trade.differences[0].cause == cause
    if event[0] == "refused":
        assert trade.differences[0].detail == "Insufficient margin"


def test_a_position_that_is_open_is_one_of_its_trades(recorded):
    """Without its exit the trade is there, unfinished, and was stopped with the session."""
    record = recorded(*ROUND_TRIP[:9])
    assert len(record.result.trades) == 0
    [trade] = compare_record(session(LEG), record, [candles()]).trades
    assert trade.differences[0].cause == Cause.STOPPED


def test_moved_stops_and_null_prices_are_read(recorded):
    """A stop that was moved has its last price; a market order has none."""
    moved = ("moved", {"order": 3, "price": 99.5, "limit": None}, "SOL")
    orders = recorded(*ROUND_TRIP[:7], moved, *ROUND_TRIP[7:]).result.orders
    assert orders["price"][2] == 99.5
    assert math.isnan(orders["price"][0])
    assert np.isnan(orders["limit"]).all()


def test_a_trade_without_numbers_reads_as_nan(recorded):
    """What JSON can't hold was written as null, and is NaN again."""
    row = _trade(LEG)
    row["row"][list(TRADE.names).index("stop")] = None
    events = [(k, row if k == "trade" else b, c) for k, b, c in ROUND_TRIP]
    assert math.isnan(recorded(*events).result.trades["stop"][0])


def test_a_journal_without_bars_is_refused(recorded):
    """A session that never decided has nothing to compare."""
    with pytest.raises(InputError, match="no bar that was decided on"):
        recorded(("session", SESSION, ""))


@pytest.mark.parametrize(
    "event",
    [
        ("fill", _fill(9, 3, 1.0, 100.0), "SOL"),
        ("session", {**SESSION, "symbols": ["BTC"]}, ""),
        ("trade", {"row": [1.0]}, "SOL"),
    ],
)
def test_events_that_do_not_fit_are_told_by_their_number(recorded, event):
    """A fill without its order, other symbols, or a broken row name the event."""
    with pytest.raises(IntegrityError, match=r"event \d+ does not fit"):
        recorded(*ROUND_TRIP[:4], event, *_bars(3, 5))
