"""One soak from its plan to its figures."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from ftbt.errors import ExternalError, InputError
from ftbt.live.control import JOURNAL
from ftbt.localnet.process import localnet, named_key
from ftbt.localnet.server import HOST
from ftbt.rehearsal.pacing import Pace
from ftbt.rehearsal.run import exchange_options, live_words
from ftbt.rehearsal.sitter import until_ready
from soak.accounts import account_value
from soak.driving import Driver
from soak.figures import Seen, figures
from soak.intents import intents
from soak.ledger import booked
from soak.limits import limits_kept
from soak.plan import Asked, drawn, market_plan, trading_words
from soak.ward import ward
from soak.watching import watching

_READY_S = 180.0
_OVER_S = 60.0


def run(asked: Asked, state: Path, tell: Callable[[Pace], None] = lambda _: None) -> dict[str, Any]:
    """Soak, and return the figures.

    Args:
        asked: what.
        state: folder of the live process; must not hold a journal.
        tell: called with how far it is.

    Raises:
        InputError: a folder that was traded with before, or a system without the signals.
        ExternalError: the live process or the exchange can't be kept alive.
    """
    if sys.platform == "win32":
        raise InputError("a soak stops processes by signals: it needs Linux or macOS")
    if (state / JOURNAL).exists():
        raise InputError(f"{state} holds the journal of another soak: name another --state")
    began = time.monotonic()
    plan, strokes = market_plan(asked), drawn(asked)
    capital = Decimal(repr(plan.settings.capital))
    with localnet(exchange_options(plan), plan.markets, capital=capital) as net:
        user = net.user.address
        agent = {"user": user, "agent": named_key("agent").address, "name": "ftbt"}
        net.control("/agent", agent)
        port = _free_port()
        words = live_words(plan, net.url, state, [*trading_words(), "--health-port", str(port)])
        with ward(words, state) as live:
            until_ready(live, _READY_S)
            with watching(net, live, user, f"http://{HOST}:{port}") as watcher:
                driver = Driver(net, live, user, plan.span(), strokes, tell)
                driver.drive()
                watcher.stop()  # it ends by itself now
                if live.wait(_OVER_S) is None:
                    raise ExternalError(f"the live process did not end:\n{live.last_words()}")
            live.over()
            driver.compare()
            records = net.control("/records", {"user": user})
            seen = Seen(
                asked, strokes, driver.struck, live.log, watcher.looks, watcher.bare,
                limits_kept(records, plan.markets, plan.settings),
                watcher.most_positions, watcher.most_leverage, driver.struck.compared[-1],
                account_value(net, user), booked(records), intents(state, records),
                (driver.paced.reached_ms - plan.begin_ms) // plan.timeframe.ms, plan.bars,
                time.monotonic() - began,
            )  # fmt: skip
    return figures(seen)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])
