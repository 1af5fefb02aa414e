"""Subscriptions: their canonical form, what they send at first, and what events become frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ftbt.localnet import state
from ftbt.localnet import wireform as w
from ftbt.localnet.assets import meta
from ftbt.localnet.candles import INTERVALS
from ftbt.localnet.core import REPLAYED_TRADES
from ftbt.localnet.host import Host
from ftbt.localnet.info import MAX_FILLS, aggregate
from ftbt.localnet.numbers import wire
from ftbt.localnet.wireform import Parser, Unreadable

Subscription = dict[str, Any]


class UnknownCoin(Exception):  # noqa: N818 - reads as what happened
    """The venue closes the socket without a word."""


def _fields(required: Mapping[str, Parser], defaults: Mapping[str, tuple[Parser, Any]]) -> Parser:
    optional = {name: parser for name, (parser, _) in defaults.items()}
    read = w.record({"type": w.text, **required}, optional, strict=False)

    def parse(value: Any) -> Subscription:
        found: Subscription = read(value)
        for name, (_, default) in defaults.items():
            if name not in found and default is not _ABSENT:
                found[name] = default
        return found

    return parse


_ABSENT = object()
_COIN = {"coin": w.text}
_USER = {"user": w.address}

# Type -> what a subscription holds; the acknowledgement echoes it with its defaults.
KINDS: dict[str, Parser] = {
    "allMids": _fields({}, {"dex": (w.text, _ABSENT)}),
    "l2Book": _fields(
        _COIN,
        {"nSigFigs": (w.whole, None), "mantissa": (w.whole, None), "fast": (w.flag, _ABSENT)},
    ),
    "bbo": _fields(_COIN, {}),
    "trades": _fields(_COIN, {}),
    "candle": _fields({**_COIN, "interval": w.one_of(*INTERVALS)}, {}),
    "activeAssetCtx": _fields(_COIN, {}),
    "activeAssetData": _fields({**_USER, **_COIN}, {}),
    "orderUpdates": _fields(_USER, {}),
    "userEvents": _fields(_USER, {}),
    "userFills": _fields(_USER, {"aggregateByTime": (w.flag, False)}),
    "userFundings": _fields(_USER, {}),
    "userNonFundingLedgerUpdates": _fields(_USER, {}),
    "clearinghouseState": _fields(_USER, {"dex": (w.text, "")}),
    "openOrders": _fields(_USER, {"dex": (w.text, "")}),
    "spotState": _fields(_USER, {"isPortfolioMargin": (w.flag, False)}),
    "webData2": _fields(_USER, {}),
    "webData3": _fields(_USER, {}),
    "notification": _fields(_USER, {}),
    "twapStates": _fields(_USER, {"dex": (w.text, "")}),
    "userTwapSliceFills": _fields(_USER, {}),
    "userTwapHistory": _fields(_USER, {}),
    "allDexsClearinghouseState": _fields(_USER, {}),
    "allDexsAssetCtxs": _fields({}, {}),
}
_FAST_LEVELS = 5


def read(host: Host, value: Any) -> Subscription:
    """Return the canonical subscription.

    Raises:
        Unreadable: unknown type or fields. UnknownCoin: a coin that does not exist.
    """
    if not isinstance(value, dict) or value.get("type") not in KINDS:
        raise Unreadable("unknown subscription")
    found: Subscription = KINDS[value["type"]](value)
    if "coin" in found and found["coin"] not in host.venue.core.by_coin:
        raise UnknownCoin(found["coin"])
    return found


def key(subscription: Subscription) -> tuple[tuple[str, Any], ...]:
    """Return what makes two subscriptions the same."""
    return tuple(sorted(subscription.items(), key=lambda item: item[0]))


@dataclass(frozen=True, slots=True)
class Frame:
    """What goes to a client."""

    channel: str
    data: Any


def _l2(host: Host, sub: Subscription) -> Frame:
    fast = bool(sub.get("fast"))
    depth = _FAST_LEVELS if fast else 20
    data = state.book(host.venue, sub["coin"], sub["nSigFigs"], sub["mantissa"], depth)
    return Frame("l2Book", {**data, "fast": True} if fast else data)


def _clearinghouse(host: Host, sub: Subscription) -> Frame:
    account = host.venue.core.account(sub["user"])
    data = {
        "dex": sub["dex"],
        "user": sub["user"],
        "clearinghouseState": state.clearinghouse(host.venue, account),
    }
    return Frame("clearinghouseState", data)


def _open_orders(host: Host, sub: Subscription) -> Frame:
    orders = state.frontend_orders(host.venue, sub["user"])
    return Frame("openOrders", {"dex": sub["dex"], "user": sub["user"], "orders": orders})


def _spot(host: Host, sub: Subscription) -> Frame:
    account = host.venue.core.account(sub["user"])
    return Frame("spotState", {"user": sub["user"], "spotState": state.spot(host.venue, account)})


def _web_data(host: Host, sub: Subscription) -> Frame:
    venue, user = host.venue, sub["user"]
    coins = [asset.coin for asset in venue.core.assets]
    data = {
        "clearinghouseState": state.clearinghouse(venue, venue.core.account(user)),
        "leadingVaults": [],
        "totalVaultEquity": "0.0",
        "openOrders": state.frontend_orders(venue, user),
        "agentAddress": None,
        "agentValidUntil": None,
        "cumLedger": wire(venue.core.account(user).deposits),
        "meta": meta(venue.core.assets),
        "assetCtxs": [state.context(venue, coin) for coin in coins],
        "serverTime": venue.time,
        "isVault": False,
        "user": user,
        "twapStates": [],
        "spotState": state.spot(venue, venue.core.account(user)),
    }
    return Frame(sub["type"], data)


def _context(host: Host, sub: Subscription) -> Frame:
    data = {"coin": sub["coin"], "ctx": state.context(host.venue, sub["coin"])}
    return Frame("activeAssetCtx", data)


def _active(host: Host, sub: Subscription) -> Frame:
    account = host.venue.core.account(sub["user"])
    return Frame("activeAssetData", state.active_asset(host.venue, account, sub["coin"]))


def _mids(host: Host, sub: Subscription) -> Frame:
    del sub
    return Frame("allMids", {"mids": host.faults.shape("mids", state.mids(host.venue))})


def _bbo(host: Host, sub: Subscription) -> Frame:
    return Frame("bbo", state.top(host.venue, sub["coin"]))


def _trades(host: Host, sub: Subscription) -> Frame:
    newest = list(host.venue.core.trades[sub["coin"]])[-REPLAYED_TRADES:]
    return Frame("trades", newest[::-1])


def _fills_snapshot(host: Host, sub: Subscription) -> Frame:
    newest = host.venue.core.fills[sub["user"]][-MAX_FILLS:][::-1]
    shown = aggregate(newest) if sub["aggregateByTime"] else newest
    return Frame("userFills", {"isSnapshot": True, "user": sub["user"], "fills": shown})


def _fundings(host: Host, sub: Subscription) -> Frame:
    rows = host.venue.core.fundings[sub["user"]]
    return Frame("userFundings", {"isSnapshot": True, "user": sub["user"], "fundings": list(rows)})


def _ledger(host: Host, sub: Subscription) -> Frame:
    rows = host.venue.core.ledgers[sub["user"]]
    data = {"isSnapshot": True, "user": sub["user"], "nonFundingLedgerUpdates": list(rows)}
    return Frame("userNonFundingLedgerUpdates", data)


def _all_states(host: Host, sub: Subscription) -> Frame:
    account = host.venue.core.account(sub["user"])
    states = [["", state.clearinghouse(host.venue, account)]]
    return Frame(sub["type"], {"user": sub["user"], "clearinghouseStates": states})


def _all_contexts(host: Host, sub: Subscription) -> Frame:
    coins = [asset.coin for asset in host.venue.core.assets]
    return Frame(sub["type"], {"ctxs": [["", [state.context(host.venue, c) for c in coins]]]})


def _twap(name: str) -> Callable[[Host, Subscription], Frame]:
    def make(host: Host, sub: Subscription) -> Frame:
        del host
        if sub["type"] == "twapStates":
            return Frame("twapStates", {"dex": sub["dex"], "user": sub["user"], "states": []})
        return Frame(sub["type"], {"isSnapshot": True, "user": sub["user"], name: []})

    return make


# Channels without an entry are silent until something happens: candle, orderUpdates, userEvents,
# notification.
SNAPSHOTS: dict[str, Callable[[Host, Subscription], Frame]] = {
    "allMids": _mids,
    "l2Book": _l2,
    "bbo": _bbo,
    "trades": _trades,
    "activeAssetCtx": _context,
    "activeAssetData": _active,
    "userFills": _fills_snapshot,
    "userFundings": _fundings,
    "userNonFundingLedgerUpdates": _ledger,
    "clearinghouseState": _clearinghouse,
    "openOrders": _open_orders,
    "spotState": _spot,
    "webData2": _web_data,
    "webData3": _web_data,
    "allDexsClearinghouseState": _all_states,
    "allDexsAssetCtxs": _all_contexts,
    "twapStates": _twap("states"),
    "userTwapSliceFills": _twap("twapSliceFills"),
    "userTwapHistory": _twap("history"),
}
