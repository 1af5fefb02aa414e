"""A process that follows the local exchange as the live one does, and trades next to nothing.

Every few bars it buys a little at the market with a limit order to sell above. It exists to drive
the pacing: what is told of it in its status file is what it has really seen on its sockets.

    python follower.py URL COINS STATE STEP_MS [--die-at BAR] [--sleep SECONDS] [--mute]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import websocket
from eth_account import Account
from hyperliquid.exchange import Exchange

from ftbt.localnet.process import named_key

EVERY = 3


class Follower:
    """Counts bars and fills, and keeps the status file."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.coins = asked.coins.split(",")
        self.status = {
            "pid": os.getpid(), "bar_ms": 0, "fills": 0, "busy": 0, "connected": True,
            "over": False, "trades": 0, "equity": 10_000.0, "wall_ms": 0,
        }  # fmt: skip
        self.opened = dict.fromkeys(self.coins, 0)
        self.seen: set[int] = set()
        self.bars = 0
        self.log: list[Any] = []
        self.user = named_key("user")
        self.exchange = Exchange(Account.from_key(self.user.secret), asked.url, timeout=10)

    def write(self) -> None:
        if self.asked.mute:
            return
        self.status["wall_ms"] = time.time_ns() // 1_000_000
        path = Path(self.asked.state) / "status.json"
        path.with_suffix(".tmp").write_text(json.dumps(self.status))
        path.with_suffix(".tmp").replace(path)

    def run(self) -> None:
        socket = websocket.create_connection(f"ws{self.asked.url[4:]}/ws", timeout=None)
        subscriptions: list[dict[str, str]] = [
            {"type": "candle", "coin": coin, "interval": "15m"} for coin in self.coins
        ]
        subscriptions += [
            {"type": kind, "user": self.user.address} for kind in ("orderUpdates", "userFills")
        ]
        for one in subscriptions:
            socket.send(json.dumps({"method": "subscribe", "subscription": one}))
        acknowledged = 0
        while True:
            frame = json.loads(socket.recv())
            acknowledged += frame["channel"] == "subscriptionResponse"
            if acknowledged == len(subscriptions):
                self.write()
                acknowledged += 1
            if frame["channel"] == "candle":
                self.candle(frame["data"])
            elif frame["channel"] == "userFills":
                self.seen |= {one["tid"] for one in frame["data"]["fills"]}
                self.status["fills"] = len(self.seen)
                self.write()

    def candle(self, row: dict[str, Any]) -> None:
        opened, before = int(row["t"]), min(self.opened.values())
        self.opened[row["s"]] = opened
        if int(row["n"]) > 1:  # time has passed: a coin without a frame had no trade
            self.opened = {coin: max(opened, at) for coin, at in self.opened.items()}
        if min(self.opened.values()) > before:
            self.close_of(min(self.opened.values()), float(row["c"]))

    def close_of(self, now: int, price: float) -> None:
        self.bars += 1
        time.sleep(self.asked.sleep)
        if self.bars == self.asked.die_at:
            print("the follower dies", file=sys.stderr, flush=True)
            os._exit(7)
        if self.bars % EVERY == 1:
            coin = self.coins[-1]
            self.exchange.market_open(coin, True, 1.0)
            self.exchange.order(
                coin, False, 1.0, float(f"{price * 1.001:.4g}"), {"limit": {"tif": "Gtc"}}
            )
        self.log.append(now)
        (Path(self.asked.state) / "bars.json").write_text(json.dumps(self.log))
        self.status["bar_ms"] = now - int(self.asked.step)
        self.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("url", "coins", "state", "step"):
        parser.add_argument(name)
    parser.add_argument("--die-at", type=int, default=-1)
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--mute", action="store_true")
    Follower(parser.parse_args()).run()
