"""A ccxt client that is set up for downloading: addresses, limits, what counts as a refusal."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ftbt.data.retry import Retrier, retry_after_s
from ftbt.data.timeframe import DAY_MS, HOUR_MS, Timeframe
from ftbt.data.venues import Venue
from ftbt.errors import ConfigError

# Statuses that ccxt counts as "not available" although the same request will be refused again.
_REFUSING_STATUSES = ("400", "403", "404", "405", "410", "451")
# Statuses of overloaded front ends that ccxt does not know; without them an error page would be
# read as an answer.
_PASSING_STATUSES = ("523", "524", "527", "529")


def new_client(
    venue: Venue,
    spot: bool,
    retrier: Retrier,
    timeout_s: float,
    base_url: str | None = None,
    rate_limit: bool = True,
) -> Any:
    """Return a ccxt client of *venue*; its owner closes it.

    Arguments as for `open_exchange`; *spot* loads spot markets beside the perpetuals.

    Raises:
        ConfigError: for a *base_url* that is none.
    """
    import ccxt.async_support as ccxt  # noqa: PLC0415 - slow to import, loaded on first use

    client = getattr(ccxt, venue.ccxt_id)(_settings(ccxt, venue, spot, timeout_s, rate_limit))
    client.aiohttp_trust_env = base_url is None
    if base_url is not None:
        client.urls["api"] = _moved(client.urls["api"], base_url)
        # The pause after closing is for TLS connections.
        client.timeout_on_exit = 0 if base_url.startswith("http:") else client.timeout_on_exit
    client.on_rest_response = _response_hook(ccxt, retrier)
    client.parse_ohlcv = _complete(client.parse_ohlcv)
    if venue.name == "hyperliquid":
        client.calculate_rate_limiter_cost = _hyperliquid_weight
    return client


def _settings(
    ccxt: Any, venue: Venue, spot: bool, timeout_s: float, rate_limit: bool
) -> dict[str, Any]:
    statuses = dict.fromkeys(_REFUSING_STATUSES, ccxt.ExchangeError)
    statuses |= dict.fromkeys(_PASSING_STATUSES, ccxt.ExchangeNotAvailable)
    settings = {
        "timeout": int(timeout_s * 1000),
        "enableRateLimit": rate_limit,
        "httpExceptions": statuses,
        "options": {"fetchMarkets": {"types": [venue.perpetuals, *(["spot"] if spot else [])]}},
    }
    authorities = os.environ.get("SSL_CERT_FILE")
    return settings | ({"cafile": authorities} if authorities else {})


def _moved(urls: Any, base_url: str) -> Any:
    """Return ccxt's table of addresses with scheme and host replaced, paths kept."""
    base = urlsplit(base_url)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise ConfigError(f"FTBT_EXCHANGE_URL must be like http://127.0.0.1:8080, not {base_url!r}")
    if isinstance(urls, dict):
        return {name: _moved(inner, base_url) for name, inner in urls.items()}
    path = base.path.rstrip("/") + urlsplit(str(urls)).path
    return urlunsplit((base.scheme, base.netloc, path, "", ""))


def _response_hook(ccxt: Any, retrier: Retrier) -> Callable[..., str]:
    """Return ccxt's hook on each answer: obeys Retry-After and refuses what is not JSON.

    Without the check ccxt takes the page of a captive portal for "no candles": a silent hole.
    """

    def checked(
        code: int, _reason: str, url: str, _method: str, headers: Any, body: str, *_request: Any
    ) -> str:
        if code in (418, 429) and (seconds := retry_after_s(headers)) is not None:
            retrier.hold(seconds)
        if code < 400:
            try:
                answer = json.loads(body)
            except ValueError:
                answer = None
            if not isinstance(answer, dict | list):
                raise ccxt.BadResponse(f"{url} did not answer with JSON: {body[:80]}")
        return body

    return checked


def _complete(parse: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return *parse* with rows that have an empty cell refused.

    Of rows without a time ccxt keeps none: an answer of a new shape would count as "no candles".
    """

    def checked(row: Any, market: Any = None) -> list[Any]:
        parsed = parse(row, market)
        if None in parsed[:6]:
            raise ValueError(f"a candle without all of its cells: {row}")
        return parsed

    return checked


def _hyperliquid_weight(
    _api: Any, _method: Any, _path: Any, params: dict[str, Any], _config: Any = None
) -> float:
    """Return the published weight of a request; 1,200 a minute are free.

    ccxt counts each snapshot as 4, which a download of several series would soon overdraw: an
    info request weighs 20, plus 1 per 60 candles or 20 funding rates of its answer.
    """
    kind = params.get("type")
    if kind == "candleSnapshot":
        asked = params["req"]
        step = _interval_ms(str(asked["interval"]))
        rows = (int(asked["endTime"]) - int(asked["startTime"])) // step + 1
        return 20.0 + min(rows, 5000) / 60
    if kind == "fundingHistory":
        end = int(params.get("endTime") or time.time() * 1000)
        return 20.0 + min((end - int(params["startTime"])) // HOUR_MS + 1, 500) / 20
    return 2.0 if kind == "exchangeStatus" else 20.0


def _interval_ms(text: str) -> int:
    return 30 * DAY_MS if text.endswith("M") else Timeframe.parse(text).ms
