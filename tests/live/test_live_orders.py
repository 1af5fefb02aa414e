"""One order after the other, in every way in which it can go."""

from __future__ import annotations

from ftbt.backtest.result import ExitReason


def reasons(one) -> list[int]:
    """Return the exit reasons of the trades so far."""
    return [int(row["exit_reason"]) for row in one.broker.desk.trade_records()]


def test_a_trade_goes_through_both_targets_with_its_stop_at_the_entry_after_the_first(scene):
    """A market entry is guarded at once; target 1 moves the stop to the entry; target 2 ends it."""
    one = scene()
    one.enter()
    assert one.position() > 0
    assert len(one.orders()) == 3
    one.check()
    one.price(105.5)
    one.check()
    entry = one.book.position.price
    stops = [o for o in one.orders() if o["isTrigger"]]
    assert [float(o["triggerPx"]) for o in stops] == [round(entry, 2)]
    one.price(111)
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.TARGET2]
    assert one.bare < 5.0


def test_a_stop_closes_the_position_and_takes_the_targets_along(scene):
    """The exchange's own stop closes everything, and the targets are cancelled."""
    one = scene()
    one.enter(-1)
    assert one.position() < 0
    one.price(105.5)
    one.check()
    assert not one.position()
    assert reasons(one) == [ExitReason.STOP]
