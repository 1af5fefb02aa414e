"""A real HTTP server on loopback that answers as Binance, Bybit and Hyperliquid do.

Request and answer shapes, limits and orders are the exchanges' published ones. Prices are a
fixed function of coin and time, so that a test can compute what must have been stored. Faults
are queued: each one spoils the next requests that match it.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web

from ftbt.data.candles import Bars, make_bars
from ftbt.data.timeframe import HOUR_MS, Timeframe

Rows = list[dict[str, Any]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COINS = {"BTC": 40_000.0, "ETH": 2_500.0, "SOL": 100.0, "kPEPE": 0.01}
BYBIT_INTERVALS = {
    "1": "1m", "5": "5m", "15": "15m", "60": "1h", "240": "4h", "D": "1d", "W": "1w",
}  # fmt: skip
HYPERLIQUID_CANDLES = 5000
HYPERLIQUID_RATES = 500
BYBIT_RATES = 200


@dataclass
class Fault:
    """What happens to the next *times* requests whose description contains *match*.

    kind: `status` (an error page with *status*, *body*, *headers*), `cut` (the body ends in the
    middle), `drop` (the connection closes before any answer), `slow` (the answer takes *seconds*).
    """

    kind: str
    times: int = 1
    match: str = ""
    status: int = 503
    body: str = "<html><body>Service Unavailable</body></html>"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class ExchangeServer:
    """The server; use it as a context manager. It runs in a thread with its own event loop.

    Attributes:
        url: its address.
        now_ms: the exchange's clock; None is the real one.
        listed_ms: nothing was traded before.
        funding_interval_ms: time between payments; stated_funding_ms: what the market list says of
            it, when that differs.
        holes: opens (ms) of bars that the exchange does not have.
        spoil: changes the numbers (open, high, low, close, volume) of a bar by its open.
        requests: description and arrival time (monotonic, s) of each request, in order.
        most_at_once: largest number of requests that were in work at the same time.
    """

    def __init__(self, now_ms: int | None = None, listed_ms: int = 0) -> None:
        self.now_ms = now_ms
        self.listed_ms = listed_ms
        self.funding_interval_ms = 8 * HOUR_MS
        self.stated_funding_ms: int | None = None
        self.holes: set[int] = set()
        self.spoil: dict[int, tuple[float, float, float, float, float]] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, float]] = []
        self.most_at_once = 0
        self.url = ""
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> ExchangeServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def count(self, match: str) -> int:
        """Return how many requests came whose description contains *match*."""
        return sum(match in text for text, _ in self.requests)

    def times(self, match: str) -> list[float]:
        """Return when those requests came, monotonic seconds."""
        return [when for text, when in self.requests if match in text]

    def clock(self) -> int:
        """Return the exchange's time, ms."""
        return int(time.time() * 1000) if self.now_ms is None else self.now_ms

    def bars(self, coin: str, timeframe: str, first: int, stop: int) -> Bars:
        """Return what the exchange has from opens first .. stop-1, the unfinished bar included."""
        frame = Timeframe.parse(timeframe)
        start = max(first, frame.floor(self.listed_ms))
        opens = range(frame.floor(start + frame.ms - 1), min(stop, self.clock() + 1), frame.ms)
        rows = [self._bar(coin, frame, t) for t in opens if t not in self.holes]
        return make_bars([r[0] for r in rows], *np.array([r[1:] for r in rows]).reshape(-1, 5).T)

    def rates(self, first: int, stop: int) -> list[tuple[int, float]]:
        """Return funding (time, rate) due in first .. stop-1."""
        step = self.funding_interval_ms
        start = -(-max(first, self.listed_ms) // step) * step
        due = range(start, min(stop, self.clock() + 1), step)
        return [(t, round(1e-4 * math.sin(t / 7e8), 8)) for t in due]

    def _bar(self, coin: str, frame: Timeframe, t: int) -> tuple[float, ...]:
        base = COINS[coin]

        def price(when: int) -> float:
            return base * (1.0 + 0.05 * math.sin(when / 3e8) + 0.01 * math.sin(when / 1.1e7))

        first, last = float(f"{price(t):.8g}"), float(f"{price(t + frame.ms):.8g}")
        high = float(f"{max(first, last) * 1.001:.8g}")
        low = float(f"{min(first, last) * 0.999:.8g}")
        volume = round(100.0 + 50.0 * math.sin(t / 5e7), 3)
        return (t, *self.spoil.get(t, (first, high, low, last, volume)))

    # --- plumbing -------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._middleware()])
        for path, handler in {
            "/fapi/v1/time": self._binance_time,
            "/fapi/v1/exchangeInfo": self._binance_markets,
            "/api/v3/exchangeInfo": self._binance_markets,
            "/fapi/v1/klines": self._binance_klines,
            "/api/v3/klines": self._binance_klines,
            "/fapi/v1/fundingRate": self._binance_funding,
            "/v5/market/time": self._bybit_time,
            "/v5/market/instruments-info": self._bybit_markets,
            "/v5/market/kline": self._bybit_klines,
            "/v5/market/funding/history": self._bybit_funding,
        }.items():
            app.router.add_get(path, handler)
        app.router.add_post("/info", self._hyperliquid)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def _middleware(self) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            text = f"{request.path} {dict(request.query)} {await request.text()}"
            self.requests.append((text, time.monotonic()))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                return await self._answer(request, handler, text)
            finally:
                self._at_once -= 1

        return middleware

    async def _answer(
        self, request: web.Request, handler: Handler, text: str
    ) -> web.StreamResponse:
        fault = next((f for f in self.faults if f.times > 0 and f.match in text), None)
        if fault is None:
            return await handler(request)
        fault.times -= 1
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return await handler(request)
        if fault.kind == "cut":
            return await _cut(request, await handler(request))
        if fault.kind == "drop":
            _close(request)
            return web.Response()
        kind = "application/json" if fault.body[:1] in ("{", "[", "n") else "text/html"
        return web.Response(
            status=fault.status, text=fault.body, headers=fault.headers, content_type=kind
        )

    # --- Binance --------------------------------------------------------------------------

    async def _binance_time(self, _request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.clock()})

    async def _binance_markets(self, request: web.Request) -> web.Response:
        spot = request.path.startswith("/api")
        return web.json_response(
            {
                "timezone": "UTC",
                "serverTime": self.clock(),
                "rateLimits": [],
                "symbols": [_binance_market(coin, spot) for coin in COINS if coin != "kPEPE"],
            }
        )

    async def _binance_klines(self, request: web.Request) -> web.Response:
        asked = request.query
        coin = asked["symbol"].removesuffix("USDT")
        if coin not in COINS:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        limit = int(asked.get("limit", 500))
        most = 1000 if request.path.startswith("/api") else 1500
        if limit > most:
            return web.json_response({"code": -1130, "msg": "limit is not valid."}, status=400)
        frame = Timeframe.parse(asked["interval"])
        last = int(asked.get("endTime", self.clock()))
        first = int(asked.get("startTime", last - limit * frame.ms))
        rows = self.bars(coin, frame.text, first, last + 1)[:limit]
        return web.json_response([_binance_row(row, frame) for row in rows])

    async def _binance_funding(self, request: web.Request) -> web.Response:
        asked = request.query
        last = int(asked.get("endTime", self.clock()))
        due = self.rates(int(asked["startTime"]), last + 1)[: int(asked.get("limit", 100))]
        return web.json_response(
            [
                {
                    "symbol": asked["symbol"],
                    "fundingTime": t,
                    "fundingRate": f"{rate:.8f}",
                    "markPrice": "1.0",
                }
                for t, rate in due
            ]
        )

    # --- Bybit ----------------------------------------------------------------------------

    def _bybit(self, result: dict[str, Any]) -> web.Response:
        return web.json_response(
            {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": self.clock()}
        )

    async def _bybit_time(self, _request: web.Request) -> web.Response:
        now = self.clock()
        return self._bybit({"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)})

    async def _bybit_markets(self, request: web.Request) -> web.Response:
        category = request.query["category"]
        early = request.query.get("status") == "PreLaunch"
        minutes = (self.stated_funding_ms or self.funding_interval_ms) // 60_000
        coins = [] if early else [coin for coin in COINS if coin != "kPEPE"]
        listed = self.listed_ms
        markets = [_bybit_market(coin, category == "spot", minutes, listed) for coin in coins]
        return self._bybit({"category": category, "list": markets, "nextPageCursor": ""})

    async def _bybit_klines(self, request: web.Request) -> web.Response:
        asked = request.query
        coin = asked["symbol"].removesuffix("USDT")
        frame = Timeframe.parse(BYBIT_INTERVALS[asked["interval"]])
        limit = min(1000, int(asked.get("limit", 200)))
        last = int(asked.get("end", self.clock()))
        first = int(asked.get("start", last - limit * frame.ms))
        # Newest first, and of a longer span the newest ones.
        rows = self.bars(coin, frame.text, first, last + 1)[::-1][:limit]
        return self._bybit(
            {
                "category": asked["category"],
                "symbol": asked["symbol"],
                "list": [[*(_text(row[name]) for name in row.dtype.names), "1.0"] for row in rows],
            }
        )

    async def _bybit_funding(self, request: web.Request) -> web.Response:
        asked = request.query
        if "startTime" in asked and "endTime" not in asked:
            answer = {"retCode": 10001, "retMsg": "endTime is required", "result": {}, "time": 0}
            return web.json_response(answer)
        due = self.rates(int(asked["startTime"]), int(asked["endTime"]) + 1)
        limit = min(BYBIT_RATES, int(asked.get("limit", BYBIT_RATES)))
        rows = [
            {
                "symbol": asked["symbol"],
                "fundingRate": f"{rate:.8f}",
                "fundingRateTimestamp": str(t),
            }
            for t, rate in due[::-1][:limit]
        ]
        return self._bybit({"category": asked["category"], "list": rows})

    # --- Hyperliquid ----------------------------------------------------------------------

    async def _hyperliquid(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.text())
        kind = asked.get("type")
        if kind == "candleSnapshot":
            return self._hyperliquid_candles(asked["req"])
        if kind == "fundingHistory":
            return self._hyperliquid_funding(asked)
        meta = {"universe": [_hyperliquid_market(coin) for coin in COINS]}
        contexts = [_hyperliquid_context(price) for price in COINS.values()]
        spot = {
            "tokens": [_token("USDC", 0, 8), _token("PURR", 1, 0)],
            "universe": [{"name": "PURR/USDC", "tokens": [1, 0], "index": 0, "isCanonical": True}],
        }
        answers: dict[str, Any] = {
            "meta": meta,
            "metaAndAssetCtxs": [meta, contexts],
            "spotMeta": spot,
            "spotMetaAndAssetCtxs": [spot, [_hyperliquid_context(0.2)]],
            "exchangeStatus": {"specialStatuses": None, "time": self.clock()},
            "perpDexs": [None],
        }
        if kind not in answers:
            text = "Failed to deserialize the JSON body into the target type"
            return web.Response(status=422, text=text)
        return web.json_response(answers[kind])

    def _hyperliquid_candles(self, asked: dict[str, Any]) -> web.Response:
        if asked["coin"] not in COINS:
            return web.Response(status=500, text="null", content_type="application/json")
        frame = Timeframe.parse(asked["interval"])
        oldest = frame.floor(self.clock()) - (HYPERLIQUID_CANDLES - 1) * frame.ms
        # The candle that holds startTime counts as well.
        first = max(oldest, frame.floor(asked["startTime"]))
        rows = self.bars(asked["coin"], frame.text, first, asked["endTime"] + 1)
        return web.json_response([_hyperliquid_row(asked["coin"], frame, row) for row in rows])

    def _hyperliquid_funding(self, asked: dict[str, Any]) -> web.Response:
        last = asked.get("endTime", self.clock())
        # Payments are stamped some milliseconds past the hour.
        due = [(t + 31, rate) for t, rate in self.rates(asked["startTime"] - 31, last - 30)]
        rows = [
            {"coin": asked["coin"], "fundingRate": f"{rate:.8f}", "premium": "0.0", "time": t}
            for t, rate in due[:HYPERLIQUID_RATES]
        ]
        return web.json_response(rows)


def _close(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def _cut(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    """Send the headers of *whole* and half of its body, then close the connection."""
    assert isinstance(whole, web.Response)
    body = whole.body
    assert isinstance(body, bytes)
    partial = web.StreamResponse(headers={"Content-Type": "application/json"})
    partial.content_length = len(body)
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
    await asyncio.sleep(0.02)
    _close(request)
    return partial


def _text(value: Any) -> str:
    """Return a number as the exchanges write it, without exponent."""
    if isinstance(value, np.integer):
        return str(int(value))
    return np.format_float_positional(value, trim="0")


def _binance_market(coin: str, spot: bool) -> dict[str, Any]:
    market: dict[str, Any] = {
        "symbol": f"{coin}USDT",
        "status": "TRADING",
        "baseAsset": coin,
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "9e6", "tickSize": "0.1"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        ],
    }
    if spot:
        return market | {"quotePrecision": 8, "isSpotTradingAllowed": True, "permissions": []}
    return market | {
        "pair": f"{coin}USDT",
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "quotePrecision": 8,
    }


def _binance_row(row: np.void, frame: Timeframe) -> list[Any]:
    numbers = [_text(row[name]) for name in ("open", "high", "low", "close", "volume")]
    t = int(row["time"])
    return [t, *numbers, t + frame.ms - 1, "1.0", 10, "1.0", "1.0", "0"]


def _bybit_market(coin: str, spot: bool, minutes: int, listed_ms: int) -> dict[str, Any]:
    market: dict[str, Any] = {
        "symbol": f"{coin}USDT",
        "baseCoin": coin,
        "quoteCoin": "USDT",
        "status": "Trading",
        "priceFilter": {"minPrice": "0.50", "maxPrice": "999999.00", "tickSize": "0.50"},
    }
    lot = {"maxOrderQty": "100.000", "minOrderQty": "0.001"}
    if spot:
        more = {"basePrecision": "0.001", "quotePrecision": "0.0001", "minOrderAmt": "1"}
        return market | {"marginTrading": "both", "lotSizeFilter": lot | more}
    return market | {
        "contractType": "LinearPerpetual",
        "launchTime": str(listed_ms),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "lotSizeFilter": lot | {"qtyStep": "0.001", "postOnlyMaxOrderQty": "1000.000"},
        "unifiedMarginTrade": True,
        "fundingInterval": minutes,
        "settleCoin": "USDT",
    }


def _hyperliquid_market(coin: str) -> dict[str, Any]:
    return {"szDecimals": 3, "name": coin, "maxLeverage": 40, "marginTableId": 56}


def _hyperliquid_context(price: float) -> dict[str, Any]:
    text = f"{price}"
    return {
        "funding": "0.0000125",
        "openInterest": "1000.0",
        "prevDayPx": text,
        "dayNtlVlm": "1000000.0",
        "premium": "0.0001",
        "oraclePx": text,
        "markPx": text,
        "midPx": text,
        "impactPxs": [text, text],
        "dayBaseVlm": "1000.0",
    }


def _token(name: str, index: int, decimals: int) -> dict[str, Any]:
    return {
        "name": name,
        "szDecimals": decimals,
        "weiDecimals": decimals,
        "index": index,
        "tokenId": f"0x{index:032x}",
        "isCanonical": True,
        "evmContract": None,
        "fullName": None,
    }


def _hyperliquid_row(coin: str, frame: Timeframe, row: np.void) -> dict[str, Any]:
    t = int(row["time"])
    return {
        "t": t,
        "T": t + frame.ms - 1,
        "s": coin,
        "i": frame.text,
        "o": _text(row["open"]),
        "c": _text(row["close"]),
        "h": _text(row["high"]),
        "l": _text(row["low"]),
        "v": _text(row["volume"]),
        "n": 10,
    }
