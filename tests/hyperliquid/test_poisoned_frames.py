"""Frames that can't be true: nothing of them reaches a bar, and nobody dies of them."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from bars_kit import QUARTER, WARM_UP, last_closed, must_be_research, take_all, until
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.hyperliquid.answers import Unreadable
from ftbt.hyperliquid.sockets import Frame
from ftbt.hyperliquid.streams import FillStream, order_reports


def candle(opened: int, **changes: Any) -> dict[str, Any]:
    """Return the data of a frame of BTC's candles."""
    usual = {
        "s": "BTC", "i": "15m", "t": opened, "T": opened + QUARTER.ms - 1, "o": "1.0", "c": "1.0",
        "h": "1.0", "l": "1.0", "v": "0.0", "n": 0,
    }  # fmt: skip
    return {**usual, **changes}


def poisons(now: int) -> list[tuple[str, Any]]:
    """Return channel and data of each, around the bar that opens at *now*."""
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    step = QUARTER.ms
    return [
        ("candle", None), ("candle", []), ("candle", {}), ("candle", "text"), ("candle", deep),
        ("candle", candle(now, o="-1.0")), ("candle", candle(now, h="NaN")),
        ("candle", candle(now, c="Infinity")), ("candle", candle(now, l="2.0")),
        ("candle", candle(now, c=1.0)), ("candle", candle(now, v="-1")),
        ("candle", candle(now, n=-1)), ("candle", candle(now, n=10**30)),
        ("candle", candle(now, t=str(now))), ("candle", candle(now + 1)),
        ("candle", candle(now + 7 * step)), ("candle", candle(now + 10**6 * step)),
        ("candle", candle(10**18 * step)), ("candle", candle(-step)), ("candle", candle(0)),
        ("candle", candle(now, i="1m")), ("candle", candle(now, s="DOGE")),
        ("trades", None), ("trades", [{}]), ("trades", [{"time": "soon"}]),
        ("trades", [{"time": now + 10**12}]), ("trades", [{"time": -(10**30)}]),
        ("nonsense", {"a": 1}), ("allMids", {"mids": {"BTC": "x"}}),
    ]  # fmt: skip


def test_bars_are_those_of_research_whatever_comes_between_them(net, open_data, research):
    """Each frame alone, in the middle of a bar, on both sides of its close."""
    data = open_data()
    groups = take_all(data, WARM_UP)
    count = len(poisons(0))
    for number in range(count):
        channel, content = poisons(last_closed(net) + QUARTER.ms)[number]
        data._socket.messages.put(Frame(channel, content, time.monotonic()))
        net.step(1)
        groups += take_all(data, 1)
    assert data.failure is None
    assert data.connected
    must_be_research(groups, research)
    net.step(1)
    assert take_all(data, 1)[0].live
    assert data.health().unread > count // 2


def test_a_time_that_is_far_ahead_is_believed_of_nobody(net, open_data):
    """The market's clock is REST's then; the next bar is as new as ever."""
    data = open_data()
    take_all(data, WARM_UP)
    begin = last_closed(net)
    for channel, content in (
        ("trades", [{"time": begin + 10**11}]), ("candle", candle(begin + 10**5 * QUARTER.ms)),
    ):  # fmt: skip
        data._socket.messages.put(Frame(channel, content, time.monotonic()))
    until(data._socket.messages.empty, "they are read")
    net.step(1)
    assert take_all(data, 1)[0].live
    assert data._clock.now() < begin + 4 * QUARTER.ms


@pytest.mark.parametrize("raw", ["[" * 200_000, '{"channel": 3}', "\x00\xff", "{", json.dumps([1])])
def test_text_that_is_no_frame_ends_nothing(open_data, raw):
    """The socket's thread goes on; what is no JSON is a greeting to it."""
    data = open_data()
    assert data._socket._read(raw, 0.0) is None
    assert data._socket.alive


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["1.0", "-1", "1e999", "1E20", "-1e27", "1e-99999", "NaN", "A", "B", "0x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)  # fmt: skip
FILL = {
    "coin": "BTC", "px": "50000.0", "sz": "0.1", "side": "B", "time": 1_700_000_000_000,
    "startPosition": "0.0", "dir": "Open Long", "closedPnl": "0.0", "hash": "0x0", "oid": 7,
    "crossed": True, "fee": "2.25", "tid": 9, "cloid": "0x" + "0" * 32, "feeToken": "USDC",
}  # fmt: skip
REPORT = {
    "order": {
        "coin": "BTC", "side": "B", "limitPx": "50000.0", "sz": "0.1", "oid": 7,
        "timestamp": 1_700_000_000_000, "origSz": "0.1", "cloid": "0x" + "0" * 32,
    },
    "status": "open", "statusTimestamp": 1_700_000_000_000,
}  # fmt: skip


def read_both(fill: Any, report: Any) -> None:
    """Read a frame of each of the account's channels."""
    FillStream().frame({"fills": [fill]})
    order_reports([report])


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_what_the_account_is_told_is_readable_or_refused(data):
    """One field of a true frame replaced by anything: it is read, or it is unreadable."""
    read_both(FILL, REPORT)
    whole = {"fill": FILL, "report": REPORT, "order": REPORT["order"]}
    name = data.draw(st.sampled_from(sorted(whole)))
    part: dict[str, Any] = whole[name]
    field = data.draw(st.sampled_from(sorted(part)))
    part = {**part, field: data.draw(JSON)}
    fill, report = (part, REPORT) if name == "fill" else (FILL, part)
    if name == "order":
        report = {**REPORT, "order": part}
    with suppress(Unreadable):
        read_both(fill, report)


@settings(deadline=None, max_examples=200)
@given(JSON)
def test_anything_at_all_is_readable_or_refused(anything):
    """Also what is no object, no list, no number."""
    for read in (FillStream().frame, order_reports):
        with suppress(Unreadable):
            read(anything)
