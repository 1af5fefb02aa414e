"""How a session itself is: sockets, age of data, queues, requests. Plain figures by name."""

from __future__ import annotations

import math

from ftbt.hyperliquid.account import AccountStream
from ftbt.hyperliquid.budget import Spent
from ftbt.hyperliquid.market_data import MarketData
from ftbt.live.broker import LiveBroker

# What each figure is; COUNTERS are those that only grow.
MEANINGS = {
    "data_age_seconds": "since the newest bar has closed, by the market's clock",
    "market_connected": "whether the stream of market data stands",
    "market_gaps": "times that the stream of market data was lost",
    "market_awaited": "coins whose next bar is over and not there yet",
    "market_flat_bars": "bars in which nothing traded",
    "market_revised_bars": "bars that were told otherwise after they were handed out",
    "market_unread": "questions for bars without a usable answer",
    "account_connected": "whether the stream of the account stands",
    "account_gaps": "times that the stream of the account was lost",
    "account_age_seconds": "since orders and positions were last read from the exchange",
    "account_unreadable": "frames of the account of an unknown form",
    "queue_bars": "groups of bars that wait to be decided on",
    "queue_events": "events of the account that wait to be booked",
    "queue_jobs": "orders, cancels and look-ups on their way",
    "weight_used": "request weight of the last minute",
    "weight_limit": "request weight that may be used in a minute",
    "actions_left": "requests that the account has left on the exchange",
    "requests_waited_seconds": "that requests have waited for their turn, in all",
    "requests_refused": "requests that were not made for lack of budget",
    "requests_limited": "times that the exchange refused for its rate limit",
}
COUNTERS = frozenset(
    ("market_gaps", "market_flat_bars", "market_revised_bars", "market_unread", "account_gaps",
     "account_unreadable", "requests_waited_seconds", "requests_refused", "requests_limited")
)  # fmt: skip


def vitals(
    broker: LiveBroker, data: MarketData, stream: AccountStream | None, spent: Spent, now_ms: int
) -> dict[str, float]:
    """Return the figures of now (*now_ms* of the market); what is not known yet is left out."""
    market = data.health()
    closed_ms = market.last_bar + data.timeframe.ms
    dispatch = broker.sync.dispatch
    found: dict[str, float] = {
        "data_age_seconds": max(0, now_ms - closed_ms) / 1000.0,
        "market_connected": float(market.connected), "market_gaps": market.gaps,
        "market_awaited": len(market.awaited), "market_flat_bars": market.flat,
        "market_revised_bars": market.revised, "market_unread": market.unread,
        "queue_bars": data.waiting, "queue_events": broker.waiting,
        "queue_jobs": 0 if dispatch is None else dispatch.busy,
        "weight_used": spent.weight, "weight_limit": spent.weight_limit,
        "requests_waited_seconds": spent.waited_s, "requests_refused": spent.refused,
        "requests_limited": spent.limited,
    }  # fmt: skip
    if spent.actions_left is not None:
        found["actions_left"] = spent.actions_left
    if stream is not None:
        found |= _of_account(stream)
    return found


def _of_account(stream: AccountStream) -> dict[str, float]:
    health = stream.health()
    found: dict[str, float] = {
        "account_connected": float(health.connected), "account_gaps": health.gaps,
        "account_unreadable": health.unreadable,
    }  # fmt: skip
    if math.isfinite(health.truth_age_s):
        found["account_age_seconds"] = health.truth_age_s
    return found
