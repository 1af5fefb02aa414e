"""Answers to actions: what each form of them means for each order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ftbt.hyperliquid.answers import Node, Unreadable
from ftbt.hyperliquid.outcomes import Reason, State, outcomes_of, reason_of, statuses_of
from ftbt.hyperliquid.records import OrderState, order_state
from ftbt.localnet import rules

ONE, TWO = "0x" + "1" * 32, "0x" + "2" * 32


def ok(*statuses, kind="order"):
    """Return an accepted action."""
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": list(statuses)}}}


def states(answer, *cloids, cancel=False):
    """Return the states of the orders."""
    return [one.state for one in outcomes_of(answer, cloids or (ONE,), cancel=cancel)]


def test_each_form_of_a_status_is_told_apart():
    """Resting, filled, waiting and refused orders are what they are called."""
    filled = {"filled": {"totalSz": "0.02", "avgPx": "1891.4", "oid": 77}}
    found = outcomes_of(ok({"resting": {"oid": 5}}, filled), (ONE, TWO), cancel=False)

    assert [one.oid for one in found] == [5, 77]
    assert (found[1].filled, found[1].average) == (Decimal("0.02"), Decimal("1891.4"))
    assert states(ok("waitingForFill")) == states(ok("waitingForTrigger")) == [State.WAITING]
    assert states(ok({"error": "Order has invalid size."})) == [State.REFUSED]


def test_one_error_for_many_orders_refuses_all_of_them():
    """A batch that fails before any order is looked at has a single status."""
    found = outcomes_of(ok({"error": "Orders are empty."}), (ONE, TWO), cancel=False)
    assert [one.state for one in found] == [State.REFUSED] * 2
    assert found[1].text == "Orders are empty."


def test_orders_without_a_status_are_unknown():
    """Fewer statuses than orders leave the rest to be asked for."""
    assert states(ok({"resting": {"oid": 5}}), ONE, TWO) == [State.RESTING, State.UNKNOWN]


def test_a_refused_action_refuses_every_order():
    """`err` is about the whole action."""
    answer = {"status": "err", "response": "User or API Wallet 0x1 does not exist."}
    found = outcomes_of(answer, (ONE, TWO), cancel=False)
    assert {one.state for one in found} == {State.REFUSED}
    assert found[0].reason is Reason.SIGNER


@pytest.mark.parametrize("status", ["somethingNew", {"pending": {}}, {"resting": None}, {}])
def test_a_new_form_of_status_is_unknown_not_guessed(status):
    """What has never been seen is neither an order nor a refusal."""
    assert states(ok(status)) == [State.UNKNOWN]
    assert states(ok(status), cancel=True) == [State.UNKNOWN]


@pytest.mark.parametrize(
    "answer",
    [
        None, [], "ok", {}, {"status": "maybe"}, {"status": "ok"},
        {"status": "ok", "response": {"type": "order"}},
        {"status": "ok", "response": {"type": "default"}},
        {"status": "ok", "response": {"type": "order", "data": {"statuses": {}}}},
        {"error": "Could not parse JSON: <html>"},
        ok({"filled": {"totalSz": 0.02, "avgPx": "1", "oid": 1}}),
    ],
)  # fmt: skip
def test_an_unreadable_answer_concludes_nothing(answer):
    """It raises; the order may be on the exchange."""
    with pytest.raises(Unreadable):
        outcomes_of(answer, (ONE,), cancel=False)


def test_cancels_say_done_too_late_or_refused():
    """A cancel of an order that is over is not an error of the cancel."""
    gone = {"error": "Order was never placed, already canceled, or filled. asset=3"}
    assert states(ok("success", kind="cancel"), cancel=True) == [State.CANCELED]
    assert states(ok(gone, kind="cancel"), cancel=True) == [State.GONE]
    assert states(ok({"error": "Something else"}, kind="cancel"), cancel=True) == [State.REFUSED]


def test_plain_actions_answer_ok():
    """An action without orders has no statuses."""
    assert statuses_of({"status": "ok", "response": {"type": "default"}}) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rules.TICK.text, Reason.TICK),
        (rules.MARGIN.text, Reason.MARGIN),
        ("Order must have minimum value of $10. asset=0", Reason.MINIMUM),
        ("Reduce only order would increase position. asset=0", Reason.REDUCE_ONLY),
        ("Post only order would have immediately matched, bbo was 1@2. asset=1", Reason.CROSSED),
        ("Order could not immediately match against any resting orders. asset=1", Reason.NO_MATCH),
        ("Only post-only orders allowed immediately after a network upgrade",
         Reason.POST_ONLY_WINDOW),
        ("Invalid nonce: duplicate nonce 17", Reason.DUPLICATE_NONCE),
        ("Invalid nonce: nonce too low 1 < 2", Reason.NONCE),
        ("Action already expired", Reason.EXPIRED),
        ("Too many cumulative requests sent (9 > 8) for cumulative volume traded $0.",
         Reason.REQUESTS),
        ("L1 error: User or API Wallet 0x0 does not exist.", Reason.SIGNER),
        ("Invalid TP/SL price. asset=2", Reason.BAD_TRIGGER),
        ("Never heard of", Reason.OTHER),
    ],
)  # fmt: skip
def test_refusals_are_known_by_their_words(text, reason):
    """Endings like the asset do not matter; unknown words are OTHER."""
    assert reason_of(text) is reason


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("open", "live"), ("triggered", "live"), ("filled", "filled"), ("canceled", "canceled"),
        ("marginCanceled", "canceled"), ("siblingFilledCanceled", "canceled"),
        ("scheduledCancel", "canceled"), ("internalCancel", "canceled"),
        ("rejected", "rejected"), ("iocCancelRejected", "rejected"),
        ("badAloPxRejected", "rejected"), ("brandNewCanceled", "canceled"),
        ("brandNewRejected", "rejected"), ("brandNew", "unknown"), ("", "unknown"),
    ],
)  # fmt: skip
def test_statuses_are_known_by_their_ending(status, state):
    """The list grows; a refusal may contain the word cancel."""
    assert order_state(status) is OrderState(state)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({}, lambda n: n.text("a")), ({"a": None}, lambda n: n.text("a")),
        ({"a": 1}, lambda n: n.text("a")), ({"a": 1.0}, lambda n: n.number("a")),
        ({"a": "x"}, lambda n: n.number("a")), ({"a": True}, lambda n: n.whole("a")),
        ({"a": "1"}, lambda n: n.whole("a")), ({"a": 1}, lambda n: n.flag("a")),
        ({"side": "buy"}, lambda n: n.side()), ([], lambda n: n.at("a")),
        ({}, lambda n: list(n.items())), ([1], lambda n: n.entry(1)),
    ],
)  # fmt: skip
def test_every_field_is_there_and_of_its_kind(value, read):
    """The error names the place, what was found and what was expected."""
    with pytest.raises(Unreadable, match=r"the exchange answered .* expected"):
        read(Node(value, "answer"))
