"""Accounts of our own: what the exchange's records of fills, funding and deposits come to.

It shares nothing with the books of ftbt: exact fractions, mean cost, one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

NOTHING = Fraction(0)


@dataclass(slots=True)
class Holding:
    """What is held of a coin: signed size, and what it cost."""

    size: Fraction = NOTHING
    cost: Fraction = NOTHING


@dataclass(frozen=True, slots=True)
class Round:
    """One trade from flat to flat.

    Attributes:
        opened, closed: of the market, ms.
        net: profit after fees, funding left out.
        worth: of the account, open profit left out, when it was opened.
        peak: the most that was held.
    """

    coin: str
    opened: int
    closed: int
    net: Fraction
    worth: Fraction
    peak: Fraction


@dataclass(slots=True)
class Ledger:
    """One account.

    Attributes:
        deposits, realised, fees, funding: totals; funding is positive when paid.
        held: by coin, never of size 0.
        rounds: trades that are over.
    """

    deposits: Fraction = NOTHING
    realised: Fraction = NOTHING
    fees: Fraction = NOTHING
    funding: Fraction = NOTHING
    held: dict[str, Holding] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    _open: dict[str, tuple[int, Fraction, Fraction, Fraction]] = field(default_factory=dict)

    @property
    def cash(self) -> Fraction:
        """What the account is worth without open profit."""
        return self.deposits + self.realised - self.fees - self.funding

    def size(self, coin: str) -> Fraction:
        """Return the signed position in *coin*."""
        held = self.held.get(coin)
        return NOTHING if held is None else held.size

    def worth(self, marks: Mapping[str, Fraction]) -> Fraction:
        """Return what the account is worth at *marks*."""
        return self.cash + sum(
            (held.size * marks[coin] - held.cost for coin, held in self.held.items()), NOTHING
        )

    def fill(self, row: Mapping[str, Any]) -> None:
        """Book a fill as `userFills` has it."""
        coin, price, fee = str(row["coin"]), Fraction(row["px"]), Fraction(row["fee"])
        signed = Fraction(row["sz"]) * (1 if row["side"] == "B" else -1)
        time = int(row["time"])
        self.fees += fee
        held = self.held.setdefault(coin, Holding())
        began, net, worth, peak = self._open.get(coin, (time, NOTHING, self.cash + fee, NOTHING))
        net -= fee
        left = signed
        if held.size * signed < 0:
            part = max(signed, -held.size) if signed < 0 else min(signed, -held.size)
            cost = held.cost * (-part / held.size)
            gain = -part * price - cost
            self.realised += gain
            net += gain
            held.size += part
            held.cost -= cost
            left -= part
            if not held.size:
                self.rounds.append(Round(coin, began, time, net, worth, peak))
                began, net, worth, peak = time, NOTHING, self.cash, NOTHING
        if left:
            held.size += left
            held.cost += left * price
        if held.size:
            self._open[coin] = (began, net, worth, max(peak, abs(held.size)))
        else:
            del self.held[coin]
            self._open.pop(coin, None)

    def pay(self, row: Mapping[str, Any]) -> None:
        """Book a payment of funding as the venue has it: negative when it was paid."""
        self.funding -= Fraction(row["usdc"])

    def move(self, row: Mapping[str, Any]) -> None:
        """Book a deposit or a withdrawal.

        Raises:
            ValueError: a kind of transfer that is not known here.
        """
        delta = row["delta"]
        signs = {"deposit": 1, "withdraw": -1}
        if delta["type"] not in signs:
            raise ValueError(f"no such transfer: {delta['type']}")
        self.deposits += signs[delta["type"]] * Fraction(delta["usdc"])


def booked(records: Mapping[str, Iterable[Mapping[str, Any]]]) -> Ledger:
    """Return the ledger of an account's records (`/records` of the control API)."""
    ledger = Ledger()
    for row in records["ledger"]:
        ledger.move(row)
    for row in records["fills"]:
        ledger.fill(row)
    for row in records["funding"]:
        ledger.pay(row)
    return ledger


def cents(value: Fraction | float | str) -> int:
    """Return *value* (USDC) in cents, to the nearest."""
    return round(Fraction(value) * 100)
