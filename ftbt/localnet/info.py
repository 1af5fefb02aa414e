"""`/info`: what is asked, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ftbt.localnet import state
from ftbt.localnet import wireform as w
from ftbt.localnet.assets import meta, spot_meta
from ftbt.localnet.candles import INTERVALS
from ftbt.localnet.host import Host
from ftbt.localnet.numbers import wire
from ftbt.localnet.wireform import Parser, Unreadable

MAX_FILLS = 2000
MAX_ROWS = 500
_FOREVER = 2**62


class Failed(Exception):  # noqa: N818 - reads as what happened
    """The venue answers HTTP 500 with the body `null`."""


@dataclass(frozen=True, slots=True)
class Query:
    """One kind of request: its fields and how it is answered."""

    parse: Parser
    answer: Callable[[Host, dict[str, Any]], Any]


def _fields(required: Mapping[str, Parser], optional: Mapping[str, Parser] | None = None) -> Parser:
    return w.record(required, optional, strict=False)


_USER = {"user": w.address}
_DEX = {"dex": w.text}
_SPAN: dict[str, Parser] = {"endTime": w.whole}
_BY_TIME: dict[str, Parser] = {"aggregateByTime": w.flag, "reversed": w.flag}


def _coin(host: Host, name: str) -> str | None:
    return name if name in host.venue.core.by_coin else None


# --- markets --------------------------------------------------------------------------------------


def _meta(host: Host, asked: dict[str, Any]) -> Any:
    if asked.get("dex"):
        raise Failed
    return meta(host.venue.core.assets)


def _contexts(host: Host, asked: dict[str, Any]) -> Any:
    coins = [asset.coin for asset in host.venue.core.assets]
    return [_meta(host, asked), [state.context(host.venue, coin) for coin in coins]]


def _spot_contexts(host: Host, asked: dict[str, Any]) -> Any:
    del host, asked
    context = {
        "dayNtlVlm": "0.0", "markPx": "0.2", "midPx": None, "prevDayPx": "0.2",
        "circulatingSupply": "0.0", "coin": "PURR/USDC", "totalSupply": "0.0", "dayBaseVlm": "0.0",
    }  # fmt: skip
    return [spot_meta(), [context]]


def _mids(host: Host, asked: dict[str, Any]) -> Any:
    if asked.get("dex"):
        raise Failed
    found = state.mids(host.venue)
    return host.faults.shape("mids", found)


def _book(host: Host, asked: dict[str, Any]) -> Any:
    figures, mantissa = asked.get("nSigFigs"), asked.get("mantissa")
    if figures is not None and not 2 <= figures <= 5:
        raise Failed
    if mantissa is not None and (figures != 5 or mantissa not in (2, 5)):
        raise Failed
    coin = _coin(host, asked["coin"])
    return None if coin is None else state.book(host.venue, coin, figures, mantissa)


def _candles(host: Host, asked: dict[str, Any]) -> Any:
    asked = asked["req"]
    coin = _coin(host, asked["coin"])
    if coin is None:
        raise Failed
    end = asked.get("endTime", _FOREVER)
    market = host.venue.core.markets[coin]
    rows = market.snapshot(asked["interval"], asked["startTime"], end)
    return host.faults.shape("candles", rows, coin=coin, interval=asked["interval"])


def _trades(host: Host, asked: dict[str, Any]) -> Any:
    coin = _coin(host, asked["coin"])
    if coin is None:
        raise Failed
    return list(reversed(host.venue.core.trades[coin]))


def _funding_history(host: Host, asked: dict[str, Any]) -> Any:
    coin = _coin(host, asked["coin"])
    if coin is None:
        raise Failed
    market = host.venue.core.markets[coin]
    paid = market.funding_history(asked["startTime"], asked.get("endTime", _FOREVER))
    return [
        {"coin": coin, "fundingRate": wire(rate), "premium": wire(rate), "time": time + 15}
        for time, rate in paid[:MAX_ROWS]
    ]


def _predicted(host: Host, asked: dict[str, Any]) -> Any:
    del asked
    found = []
    for coin, market in host.venue.core.markets.items():
        due = market.funding_due()
        rate = {
            "fundingRate": wire(market.funding_rate()), "nextFundingTime": due or 0,
            "fundingIntervalHours": 1,
        }  # fmt: skip
        found.append([coin, [["HlPerp", rate]]])
    return found


def _status(host: Host, asked: dict[str, Any]) -> Any:
    del asked
    return {"specialStatuses": host.specials or None, "time": host.wall.now()}


# --- accounts -------------------------------------------------------------------------------------


def _state(host: Host, asked: dict[str, Any]) -> Any:
    return state.clearinghouse(host.venue, host.venue.core.account(asked["user"]))


def _spot_state(host: Host, asked: dict[str, Any]) -> Any:
    return state.spot(host.venue, host.venue.core.account(asked["user"]))


def _orders(host: Host, asked: dict[str, Any]) -> Any:
    return state.open_orders(host.venue, asked["user"])


def _frontend_orders(host: Host, asked: dict[str, Any]) -> Any:
    return state.frontend_orders(host.venue, asked["user"])


def _order_status(host: Host, asked: dict[str, Any]) -> Any:
    user, key = asked["user"], asked["oid"]
    order = host.venue.core.orders.find(user, key)
    oid = order.oid if order is not None else None
    if host.faults.take("orderStatus", user=user, oid=oid, key=key) is not None:
        return {"status": "unknownOid"}
    found = host.venue.core.orders.status(user, key)
    return {"status": "unknownOid"} if found is None else {"status": "order", "order": found}


def _history(host: Host, asked: dict[str, Any]) -> Any:
    return host.venue.core.orders.history(asked["user"])


def _fills(host: Host, asked: dict[str, Any]) -> Any:
    newest = host.venue.core.fills[asked["user"]][-MAX_FILLS:][::-1]
    return aggregate(newest) if asked.get("aggregateByTime") else newest


def _fills_by_time(host: Host, asked: dict[str, Any]) -> Any:
    start, end = asked["startTime"], asked.get("endTime", _FOREVER)
    found = [f for f in host.venue.core.fills[asked["user"]] if start <= f["time"] <= end]
    found = found[:MAX_FILLS]
    return aggregate(found) if asked.get("aggregateByTime") else found


def aggregate(fills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *fills* with those of one order, price and moment added up."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for fill in fills:
        key = (fill["oid"], fill["time"], fill["px"], fill["crossed"])
        known = merged.get(key)
        if known is None:
            merged[key] = dict(fill)
            continue
        for name in ("sz", "fee", "closedPnl"):
            known[name] = wire(Decimal(known[name]) + Decimal(fill[name]))
    return list(merged.values())


def _between(rows: list[dict[str, Any]], asked: dict[str, Any]) -> list[dict[str, Any]]:
    start, end = asked.get("startTime", 0), asked.get("endTime", _FOREVER)
    return [row for row in rows if start <= row["time"] <= end][:MAX_ROWS]


def _funding(host: Host, asked: dict[str, Any]) -> Any:
    rows = _between(host.venue.core.fundings[asked["user"]], asked)
    return [
        {
            "time": row["time"],
            "hash": "0x" + "00" * 32,
            "delta": {"type": "funding", **{k: v for k, v in row.items() if k != "time"}},
        }
        for row in rows
    ]


def _ledger(host: Host, asked: dict[str, Any]) -> Any:
    return _between(host.venue.core.ledgers[asked["user"]], asked)


def _fees(host: Host, asked: dict[str, Any]) -> Any:
    return state.fees(host.venue, asked["user"])


def _rate_limit(host: Host, asked: dict[str, Any]) -> Any:
    volume = host.venue.core.account(asked["user"]).volume
    return host.address.describe(asked["user"], volume)


def _active(host: Host, asked: dict[str, Any]) -> Any:
    coin = _coin(host, asked["coin"])
    if coin is None:
        raise Failed
    return state.active_asset(host.venue, host.venue.core.account(asked["user"]), coin)


def _sub_accounts(host: Host, asked: dict[str, Any]) -> Any:
    found = []
    for address, (master, name) in host.identity.sub_accounts.items():
        if master == asked["user"]:
            account = host.venue.core.account(address)
            found.append(
                {
                    "name": name,
                    "subAccountUser": address,
                    "master": master,
                    "clearinghouseState": state.clearinghouse(host.venue, account),
                    "spotState": state.spot(host.venue, account),
                }
            )
    return found or None


def _builder_fee(host: Host, asked: dict[str, Any]) -> Any:
    return host.identity.builder_fees.get((asked["user"], asked["builder"]), 0)


def _referral(host: Host, asked: dict[str, Any]) -> Any:
    code = host.referrals.get(asked["user"])
    return {
        "referredBy": None if code is None else {"referrer": "0x" + "00" * 20, "code": code},
        "cumVlm": wire(host.venue.core.account(asked["user"]).volume),
        "unclaimedRewards": "0.0",
        "claimedRewards": "0.0",
        "builderRewards": "0.0",
        "tokenToState": [],
        "referrerState": None,
        "rewardHistory": [],
    }


def _portfolio(host: Host, asked: dict[str, Any]) -> Any:
    account = host.venue.core.account(asked["user"])
    value = wire(account.value(host.venue.core.marks) + account.spot)
    gain = wire(account.value(host.venue.core.marks) + account.spot - account.deposits)
    now = host.venue.time
    periods = ("day", "week", "month", "allTime", "perpDay", "perpWeek", "perpMonth", "perpAllTime")
    return [
        [
            name,
            {
                "accountValueHistory": [[now, value]],
                "pnlHistory": [[now, gain]],
                "vlm": wire(account.volume),
            },
        ]
        for name in periods
    ]


_CANDLE_REQ = _fields(
    {"coin": w.text, "interval": w.one_of(*INTERVALS), "startTime": w.whole}, _SPAN
)

QUERIES: dict[str, Query] = {
    "meta": Query(_fields({}, _DEX), _meta),
    "metaAndAssetCtxs": Query(_fields({}, _DEX), _contexts),
    "spotMeta": Query(_fields({}), lambda host, asked: spot_meta()),  # noqa: ARG005
    "spotMetaAndAssetCtxs": Query(_fields({}), _spot_contexts),
    "perpDexs": Query(_fields({}), lambda host, asked: [None]),  # noqa: ARG005
    "allMids": Query(_fields({}, _DEX), _mids),
    "l2Book": Query(_fields({"coin": w.text}, {"nSigFigs": w.whole, "mantissa": w.whole}), _book),
    "candleSnapshot": Query(_fields({"req": _CANDLE_REQ}), _candles),
    "recentTrades": Query(_fields({"coin": w.text}), _trades),
    "fundingHistory": Query(_fields({"coin": w.text, "startTime": w.whole}, _SPAN),
                            _funding_history),
    "predictedFundings": Query(_fields({}), _predicted),
    "exchangeStatus": Query(_fields({}), _status),
    "clearinghouseState": Query(_fields(_USER, _DEX), _state),
    "spotClearinghouseState": Query(_fields(_USER), _spot_state),
    "openOrders": Query(_fields(_USER, _DEX), _orders),
    "frontendOpenOrders": Query(_fields(_USER, _DEX), _frontend_orders),
    "orderStatus": Query(_fields({**_USER, "oid": w.order_key}), _order_status),
    "historicalOrders": Query(_fields(_USER), _history),
    "userFills": Query(_fields(_USER, _BY_TIME), _fills),
    "userFillsByTime": Query(_fields({**_USER, "startTime": w.whole}, {**_SPAN, **_BY_TIME}),
                             _fills_by_time),
    "userFunding": Query(_fields({**_USER, "startTime": w.whole}, _SPAN), _funding),
    "userNonFundingLedgerUpdates": Query(_fields(_USER, {"startTime": w.whole, **_SPAN}), _ledger),
    "userFees": Query(_fields(_USER), _fees),
    "userRateLimit": Query(_fields(_USER), _rate_limit),
    "userRole": Query(_fields(_USER), lambda host, asked: host.identity.role(asked["user"])),
    "extraAgents": Query(_fields(_USER),
                         lambda host, asked: host.identity.extra_agents(asked["user"])),
    "userAbstraction": Query(
        _fields(_USER), lambda host, asked: host.venue.core.account(asked["user"]).abstraction
    ),
    "activeAssetData": Query(_fields({**_USER, "coin": w.text}), _active),
    "subAccounts": Query(_fields(_USER), _sub_accounts),
    "maxBuilderFee": Query(_fields({**_USER, "builder": w.address}), _builder_fee),
    "referral": Query(_fields(_USER), _referral),
    "portfolio": Query(_fields(_USER), _portfolio),
    "userVaultEquities": Query(_fields(_USER), lambda host, asked: []),  # noqa: ARG005
    "userTwapSliceFills": Query(_fields(_USER), lambda host, asked: []),  # noqa: ARG005
}  # fmt: skip


def answer(host: Host, body: Any) -> tuple[str, Any]:
    """Return kind and answer of a request.

    Raises:
        Unreadable: unknown kind, or a field that is missing or wrong.
        Failed: readable, but the venue fails on it.
    """
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise Unreadable("no type")
    query = QUERIES.get(body["type"])
    if query is None:
        raise Unreadable(f"unknown type {body['type']}")
    return body["type"], query.answer(host, query.parse(body))
