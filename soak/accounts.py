"""Exchange, journal and a ledger of our own, side by side, to the cent."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ftbt.live.control import JOURNAL
from ftbt.live.fold import fold
from ftbt.live.journal import read_journal
from ftbt.localnet.process import Localnet
from soak.ledger import Ledger, booked, cents

# What a float of the books may be off a decimal of the exchange: far less than a cent.
_NEAR = 0.005


@dataclass(frozen=True, slots=True)
class Compared:
    """Three accounts at one moment.

    Attributes:
        market_ms: when.
        exchange, ledger, journal: what the account is worth at the exchange's marks, USDC.
        apart: what differs, in words; empty when nothing does.
    """

    market_ms: int
    exchange: float
    ledger: float
    journal: float
    apart: tuple[str, ...]


def compare(net: Localnet, user: str, state: Path) -> Compared:
    """Compare exchange, ledger and journal as they are now.

    Args:
        net: its market stands still.
        user: address of the account.
        state: folder of the journal.
    """
    records = net.control("/records", {"user": user})
    there = net.state()
    ledger = booked(records)
    marks = {coin: Fraction(price) for coin, price in there["marks"].items()}
    with read_journal(state / JOURNAL) as reader:
        folded = fold(reader)
    books = folded.broker.coins
    open_profit = sum(book.profit(float(marks[coin])) for coin, book in books.items())
    journal = float(folded.broker.desk.cash) + open_profit
    account = there["accounts"][user]
    apart = [
        *_money(account, ledger, marks, journal),
        *_positions(account["positions"], ledger, {c: b.size for c, b in books.items() if b.size}),
    ]
    if not there["balanced"]:
        apart.append("the exchange's own accounts are not balanced")
    return Compared(
        int(there["time"]), float(account["equity"]), float(ledger.worth(marks)), journal,
        tuple(apart),
    )  # fmt: skip


def _money(
    account: Mapping[str, Any], ledger: Ledger, marks: Mapping[str, Fraction], journal: float
) -> list[str]:
    found = []
    worth, there = ledger.worth(marks), Fraction(account["equity"])
    ours = {"fees": ledger.fees, "funding": ledger.funding, "deposits": ledger.deposits}
    for name, value in ours.items():
        if cents(value) != cents(account[name]):
            found.append(f"{name}: exchange {account[name]}, ledger {float(value):.6f}")
    # The exchange cuts its costs to millionths where the ledger is exact.
    if abs(worth - there) >= Fraction(1, 200):
        found.append(f"equity: exchange {float(there):.6f}, ledger {float(worth):.6f}")
    if abs(journal - float(there)) >= _NEAR:
        found.append(f"equity: exchange {float(there):.6f}, journal {journal:.6f}")
    return found


def _positions(there: Mapping[str, str], ledger: Ledger, ours: Mapping[str, float]) -> list[str]:
    found = []
    for coin in sorted({*there, *ledger.held, *ours}):
        exchange, own = Fraction(there.get(coin, "0")), ledger.size(coin)
        books = ours.get(coin, 0.0)
        if exchange != own or abs(float(exchange) - books) > 1e-9:
            found.append(
                f"{coin}: exchange {float(exchange):g}, ledger {float(own):g}, journal {books:g}"
            )
    return found


def account_value(net: Localnet, user: str) -> float:
    """Return what the venue's own API says that the account is worth, USDC."""
    body = json.dumps({"type": "clearinghouseState", "user": user}).encode()
    request = urllib.request.Request(  # noqa: S310 - a loopback URL of our own
        f"{net.url}/info", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return float(json.loads(answer.read())["marginSummary"]["accountValue"])
