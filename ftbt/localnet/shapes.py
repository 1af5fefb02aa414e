"""How a fault changes an answer or a frame that was right."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ftbt.localnet.numbers import wire

Detail = dict[str, Any]

_BIG = 2000


def _fewer(answer: Any, detail: Detail) -> Any:
    del detail
    answer["response"]["data"]["statuses"].pop()
    return answer


def _waiting(answer: Any, detail: Detail) -> Any:
    statuses = answer["response"]["data"]["statuses"]
    answer["response"]["data"]["statuses"] = [detail.get("text", "waitingForFill")] * len(statuses)
    return answer


def _extra(answer: Any, detail: Detail) -> Any:
    del detail
    if isinstance(answer, dict):
        shaped = {name: _extra(value, {}) for name, value in answer.items()}
        return {**shaped, "unheardOf": {"nested": [1, "two"]}}
    return [_extra(one, {}) for one in answer] if isinstance(answer, list) else answer


def _stale(answer: Any, detail: Detail) -> Any:
    del detail
    answer = copy.deepcopy(answer)
    if isinstance(answer, dict) and answer.get("status") == "order":
        order = answer["order"]["order"]
        order["sz"] = order["origSz"]
    return answer


def _missing_mid(mids: Any, detail: Detail) -> Any:
    return {coin: price for coin, price in mids.items() if coin != detail.get("coin")}


def _missing_candle(rows: Any, detail: Detail) -> Any:
    """Leave a candle out: by its open time, else the one before the forming one."""
    gone = detail.get("time")
    if gone is None and len(rows) > 1:
        gone = rows[-2]["t"]
    return [row for row in rows if row["t"] != gone]


def _other_volume(rows: Any, detail: Detail) -> Any:
    factor = Decimal(str(detail.get("factor", "1.01")))
    return [{**row, "v": wire(Decimal(row["v"]) * factor)} for row in rows]


def _forming_only(rows: Any, detail: Detail) -> Any:
    del detail
    return rows[-1:]


# --- frames ---------------------------------------------------------------------------------------


def _no_flag(data: Any, detail: Detail) -> Any:
    del detail
    return {name: value for name, value in data.items() if name != "isSnapshot"}


def _unknown_status(data: Any, detail: Detail) -> Any:
    text = detail.get("text", "somethingNewCanceled")
    return [{**entry, "status": text} for entry in data]


def _each_fill(data: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(data, dict) and "fills" in data:
        return {**data, "fills": [change(fill) for fill in data["fills"]]}
    return data


def _unknown_dir(data: Any, detail: Detail) -> Any:
    text = detail.get("text", "Something New")
    return _each_fill(data, lambda fill: {**fill, "dir": text})


def _foreign_coin(data: Any, detail: Detail) -> Any:
    """Put an entry of a coin that nobody has heard of before the others."""
    coin = detail.get("coin", "@107")
    if isinstance(data, list) and data:
        entry = copy.deepcopy(data[0])
        entry["order"]["coin"] = coin
        return [entry, *data]
    if isinstance(data, dict) and data.get("fills"):
        return {**data, "fills": [{**data["fills"][0], "coin": coin}, *data["fills"]]}
    return data


def _huge(data: Any, detail: Detail) -> Any:
    filler = "x" * int(detail.get("bytes", 1_000_000))
    return {**data, "filler": filler} if isinstance(data, dict) else data


def _big_snapshot(data: Any, detail: Detail) -> Any:
    """Fill a snapshot up to 2000 fills with older ones of another order."""
    count = int(detail.get("fills", _BIG))
    old = {
        "coin": "BTC", "px": "1.0", "sz": "1.0", "side": "B", "time": 1, "startPosition": "0.0",
        "dir": "Open Long", "closedPnl": "0.0", "hash": "0x" + "00" * 32, "oid": 1,
        "crossed": True, "fee": "0.0", "feeToken": "USDC", "twapId": None,
    }  # fmt: skip
    if not (isinstance(data, dict) and data.get("isSnapshot")):
        return data
    missing = max(0, count - len(data["fills"]))
    older = [{**old, "tid": number, "time": missing - number} for number in range(missing)]
    return {**data, "fills": [*data["fills"], *older]}


SHAPES: dict[str, Callable[[Any, Detail], Any]] = {
    "fewer_statuses": _fewer,
    "waiting_status": _waiting,
    "extra_fields": _extra,
    "stale_size": _stale,
    "mids_missing": _missing_mid,
    "candle_missing": _missing_candle,
    "candle_volume": _other_volume,
    "candle_forming_only": _forming_only,
    "ws_no_snapshot_flag": _no_flag,
    "ws_unknown_status": _unknown_status,
    "ws_unknown_dir": _unknown_dir,
    "ws_foreign_coin": _foreign_coin,
    "ws_huge": _huge,
    "ws_big_snapshot": _big_snapshot,
}
