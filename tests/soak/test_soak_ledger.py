"""The soak's own ledger, by hand and beside the exchange's accounts."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftbt.localnet.ledger import Account
from soak.ledger import Ledger, booked, cents


def fill(side, size, price, fee="0", coin="BTC", time=1):
    """Return a fill as `userFills` has it."""
    return {"coin": coin, "px": str(price), "sz": str(size), "side": side, "fee": fee, "time": time}


def deposit(usdc, kind="deposit"):
    """Return a transfer as the exchange has it."""
    return {"delta": {"type": kind, "usdc": usdc}}


def test_a_trade_by_hand():
    """Two buys, a part and the rest sold: mean cost, fees and funding add up to the cent."""
    ledger = booked({
        "ledger": [deposit("1000")],
        "fills": [
            fill("B", 1, 100, "0.10", time=1), fill("B", 3, 104, "0.30", time=2),
            fill("A", 2, 110, "0.20", time=3), fill("A", 2, 100, "0.20", time=4),
        ],
        "funding": [{"usdc": "-0.5"}, {"usdc": "0.2"}],
    })  # fmt: skip
    assert ledger.realised == 2 * (110 - 103) + 2 * (100 - 103)
    assert ledger.fees == Fraction("0.8")
    assert ledger.funding == Fraction("0.3")
    assert cents(ledger.cash) == 100_690
    assert not ledger.held
    (one,) = ledger.rounds
    assert (one.opened, one.closed, one.peak) == (1, 4, 4)
    assert one.net == 8 - Fraction("0.8")
    assert one.worth == 1000


def test_a_reversal_ends_one_trade_and_begins_another():
    """What goes through flat is two trades, and the rest has the price of the reversal."""
    ledger = Ledger()
    ledger.fill(fill("B", 1, 100))
    ledger.fill(fill("A", 3, 90))
    assert ledger.realised == -10
    assert ledger.size("BTC") == -2
    assert ledger.worth({"BTC": Fraction(80)}) == -10 + 20
    assert len(ledger.rounds) == 1


def test_an_unknown_transfer_is_not_passed_over():
    """Money that moves in a way that is not known ends the comparison with an error."""
    ledger = Ledger()
    ledger.move(deposit("5"))
    ledger.move(deposit("2", "withdraw"))
    assert ledger.deposits == 3
    with pytest.raises(ValueError, match="no such transfer: vault"):
        ledger.move(deposit("1", "vault"))


FILLS = st.lists(
    st.tuples(st.sampled_from("BA"), st.integers(1, 50), st.integers(900, 1100)), max_size=25
)


@given(FILLS)
def test_it_agrees_with_the_exchange_on_any_fills(rows):
    """Realised profit, fees, size and worth are those of the exchange, to its millionths."""
    account, ledger = Account("0x0"), Ledger()
    account.deposit(Decimal(10_000))
    ledger.move(deposit("10000"))
    for side, tenths, price in rows:
        size, fee = Decimal(tenths) / 10, Decimal(tenths) / 1000
        account.fill("SOL", size if side == "B" else -size, Decimal(price), fee, (True, 10))
        ledger.fill(fill(side, size, price, str(fee), "SOL"))
    marks = {"SOL": Decimal(1000)}
    near = Fraction(len(rows) + 1, 1_000_000)
    assert abs(ledger.realised - Fraction(account.realised)) <= near
    assert ledger.fees == Fraction(account.fees)
    assert ledger.size("SOL") == Fraction(account.size_of("SOL"))
    worth = ledger.worth({"SOL": Fraction(1000)})
    assert abs(worth - Fraction(account.value(marks))) <= near
