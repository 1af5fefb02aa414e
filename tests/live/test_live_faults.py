"""Every fault that the local exchange offers, while entry, fill and exit are on their way."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from live_kit import BOUND_S, Scene, until

from ftbt.backtest.result import Role

LIMIT = 2
ORDER = {"path": "exchange", "type": "order"}

Act = Callable[[Scene], None]


def http(name: str, **spec: Any) -> Act:
    """Return what queues a fault of the next order's request."""
    return lambda one: one.strike(name, **{"match": ORDER, **spec})


def frames(name: str, channel: str, **spec: Any) -> Act:
    """Return what queues a fault of the next frames of the account."""
    return lambda one: one.strike(name, match={"channel": channel}, **spec)


def sockets(do: str, **spec: Any) -> Act:
    """Return what disturbs the account's open connections."""
    return lambda one: one.net.control("/sockets", {"do": do, "user": one.user, **spec})


def questions(name: str, **spec: Any) -> Act:
    """Return what queues a fault of all questions for a while."""
    return lambda one: one.strike(name, match={"path": "info"}, **spec)


def lost_and_unknown(one: Scene) -> None:
    """Lose an answer, and let the order be unknown when it is looked for."""
    one.strike("commit_then_drop", match=ORDER)
    one.strike("unknown_oid", count=3)


def lost_for_good(one: Scene) -> None:
    """Lose an answer, and let the order be unknown for as long as anybody looks."""
    one.strike("commit_then_drop", match=ORDER)
    one.strike("unknown_oid", lasts=3)


FAULTS: dict[str, Act] = {
    **{name: http(name) for name in (
        "rate_limited", "server_error", "bad_gateway", "unprocessable", "not_json", "hang", "reset",
        "commit_then_hang", "commit_then_drop", "commit_then_bad_gateway", "duplicate_delivery",
        "close_after", "partial_body", "wrong_length", "fewer_statuses", "waiting_status",
        "extra_fields", "action_error", "agent_unknown", "duplicate_nonce", "batch_error",
    )},
    "slow": http("slow", seconds=1.0),
    "slower than our patience": http("slow", seconds=2.5),
    "server errors for a while": http("server_error", count=5),
    "cut for a while": http("reset", count=3),
    "lost and unknown": lost_and_unknown,
    "lost and never known": lost_for_good,
    "stale size": lambda one: one.strike("stale_size", count=20),
    "cancels lost": lambda one: one.strike(
        "commit_then_drop", match={"path": "exchange", "type": "cancelByCloid"}),
    "cancels refused": lambda one: one.strike(
        "server_error", count=2, match={"path": "exchange", "type": "cancelByCloid"}),
    "fill before cancel": lambda one: one.strike("fill_before_cancel"),
    "questions refused": questions("server_error", lasts=3),
    "questions hang": questions("hang", lasts=3),
    "nobody there": lambda one: one.net.control("/server/refuse", {"seconds": 2}),
    "socket closed": sockets("close"),
    "socket aborted": sockets("abort"),
    "socket silent": sockets("silence", seconds=4),
    **{f"{name} {channel}": frames(name, channel, **spec) for name, spec in (
        ("ws_drop", {"lasts": 3}), ("ws_duplicate", {"count": 4}),
        ("ws_late", {"seconds": 1.0, "count": 4}), ("ws_hold", {}),
    ) for channel in ("userFills", "orderUpdates")},
    "ws_unknown_status": frames("ws_unknown_status", "orderUpdates", count=3),
    "ws_unknown_dir": frames("ws_unknown_dir", "userFills", count=3),
    "ws_foreign_coin": frames("ws_foreign_coin", "userFills", count=3),
    "ws_huge": frames("ws_huge", "userFills"),
    "ws_drip": frames("ws_drip", "userFills", seconds=1.0),
}  # fmt: skip


def an_entry(one: Scene, fault: Act) -> None:
    """Strike while a market entry is sent."""
    one.ask()
    fault(one)
    one.bars(settle=False)


def a_fill(one: Scene, fault: Act) -> None:
    """Strike while a waiting entry fills in two parts: stop and targets have to go out."""
    one.enter(kind=LIMIT, entry=98.0)
    oid = next(o["oid"] for o in one.orders() if not o["isTrigger"])
    fault(one)
    one.net.control("/orders/fill", {"user": one.user, "oid": oid, "size": 10})
    one.price(97.5, settle=False)


def a_target(one: Scene, fault: Act) -> None:
    """Strike while the first target fills and the stop has to move."""
    one.enter()
    fault(one)
    one.price(105.5, settle=False)


def an_exit(one: Scene, fault: Act) -> None:
    """Strike while the position is left at the market."""
    one.enter()
    one.leave()
    fault(one)
    one.bars(settle=False)


def a_stop(one: Scene, fault: Act) -> None:
    """Strike while the exchange's own stop closes the position."""
    one.enter()
    fault(one)
    one.price(94, settle=False)


PHASES = {"entry": an_entry, "fill": a_fill, "target": a_target, "exit": an_exit, "stop": a_stop}
ALL = [(phase, fault) for phase in PHASES for fault in FAULTS]
SAMPLE = random.Random(5).sample(ALL, 12)


def survives(one: Scene, phase: str, fault: str) -> None:
    """Strike, wait until everything is told, and assert what must hold; then once more, flat."""
    PHASES[phase](one, FAULTS[fault])
    one.quiet()
    one.net.control("/faults", method="DELETE")
    if "market data" in one.seen.ready:
        one.bars()  # what is missed of a bar makes it old: the next one is decided on
    until(lambda: not one.seen.ready, "entries are free again")
    one.check()
    one.bars()
    one.check()
    if one.position():
        one.price(94)
        one.check()
        assert not one.position()
    assert not one.orders()
    entered = sum(float(fill.size) for fill in one.fills() if fill.is_buy)
    meant = [w.size for w in one.broker.desk.orders if w.role == Role.ENTRY and not w.reduces]
    assert entered <= sum(meant) + 1e-9
    one.enter()  # and it goes on
    assert one.position() > 0
    one.check()
    assert one.bare < BOUND_S


@pytest.mark.parametrize(("phase", "fault"), SAMPLE)
def test_a_fault_leaves_nothing_behind(scene, phase, fault):
    """No order twice, no position forgotten or long without a stop, books and exchange agree."""
    survives(scene(), phase, fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", PHASES)
def test_no_fault_leaves_anything_behind(scene, phase, fault):
    """The same of every fault in every phase."""
    survives(scene(), phase, fault)
