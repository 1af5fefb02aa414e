"""Whether a session did what the back-test does on the same bars, trade by trade.

Two trades are identical when bars, side, size and reasons are the same and prices lie within one
tick. Whatever is not the same is told with its cause (`ftbt.live.causes`). Fees and funding are
compared where entry and exit are the same; elsewhere they follow from these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ftbt.backtest.result import ExitReason, Result
from ftbt.data.market import Market
from ftbt.data.timeframe import show_ms
from ftbt.errors import InputError
from ftbt.live.case import Case, Context
from ftbt.live.causes import Cause
from ftbt.live.drift import (
    DIFFERS,
    EXTRA,
    FORMAT,
    IDENTICAL,
    MISSING,
    CauseDrift,
    Difference,
    Drift,
    Spread,
    TradeDrift,
)
from ftbt.live.evidence import Evidence, Fault
from ftbt.live.explain import Rule, explain
from ftbt.live.explain_entry import ENTRY_BAR, ENTRY_PRICE, ONLY_ACTUAL, ONLY_EXPECTED, SIZE
from ftbt.live.explain_exit import EXIT, EXIT_PRICE, passed
from ftbt.live.pairing import Pair, pair_up
from ftbt.live.record import Record
from ftbt.live.trips import Trip, trips_of

NAN = math.nan
# Exchanges cut fees and payments at the sixth digit; a hundredth of a basis point is no other rate.
_SAME_RATE = 1e-6
_SAME_FUNDING = 0.01


def compare(
    expected: Result, actual: Result, evidence: Evidence | None = None, notes: Sequence[str] = ()
) -> Drift:
    """Return how *actual* drifted from *expected*.

    Args:
        expected: the back-test on the bars of the session.
        actual: the session.
        evidence: candles, hours, refusals and faults; without it fewer causes can be named.
        notes: sentences that belong beside the figures.

    Raises:
        InputError: results of different bar lengths.
        IntegrityError: a result whose fills and trades do not belong together.
    """
    if expected.timeframe != actual.timeframe:
        raise InputError(
            f"the back-test has {expected.timeframe} bars, the session {actual.timeframe}:"
            " compare the same bars"
        )
    known = evidence or Evidence()
    ours, outside = _inside_of(expected, trips_of(actual, known.size_decimals))
    context = Context(expected, actual, known, ours, trips_of(expected, known.size_decimals))
    if outside:
        notes = [*notes, f"{outside} trades of the session were entered outside of these bars"]
    trades = [
        _judge(context, pair)
        for pair in pair_up(context.expected_trips, context.actual_trips, context.frame)
    ]
    return _summary(context, trades, notes)


def compare_record(
    expected: Result,
    record: Record,
    markets: Sequence[Market],
    faults: Sequence[Fault] = (),
    notes: Sequence[str] = (),
) -> Drift:
    """Return how a recorded session drifted; its strategies go by the back-test's names.

    Args:
        expected: the back-test on the bars of the session.
        record: the session.
        markets: candles that the back-test ran on.
        faults: that were injected.
        notes: sentences that belong beside the figures.

    Raises:
        InputError: not as many strategies on both sides.
    """
    if len(expected.strategies) != len(record.strategies):
        raise InputError(
            f"the back-test has {len(expected.strategies)} strategies, the session"
            f" {len(record.strategies)}"
        )
    known = record.evidence
    evidence = Evidence(
        {one.symbol: one for one in markets}, known.decided, known.refusals, tuple(faults)
    )
    actual = replace(record.result, strategies=expected.strategies)
    return compare(expected, actual, evidence, [*expected.notes, *notes])


def _inside_of(expected: Result, trips: Sequence[Trip]) -> tuple[list[Trip], int]:
    """Return the trades that were entered in the bars of the back-test, and how many were not."""
    if not len(expected.time):
        return [], len(trips)
    first, last = int(expected.time[0]), int(expected.time[-1])
    inside = [one for one in trips if first <= one.entry_ms <= last]
    return inside, len(trips) - len(inside)


# --- one trade ------------------------------------------------------------------------------------


def _judge(context: Context, pair: Pair) -> TradeDrift:
    expected, actual = pair
    case = Case(context, expected, actual)
    if expected is not None and actual is not None:
        found = [*_entry(case), *_exit(case)]
        identical = not found
        if _same_exit(case) and not any(one.what == "entry bar" for one in found):
            found += _money(case)
        status = IDENTICAL if identical else DIFFERS
    else:
        status = MISSING if actual is None else EXTRA
        found = [_alone(case)]
    if status != IDENTICAL:
        context.differed.append(case.trip.entry_ms)
    return _drift_of(case, status, found)


def _alone(case: Case) -> Difference:
    words = f"{_side(case.trip)} {case.trip.size:g}"
    if case.actual is None:
        return _difference(case, ONLY_EXPECTED, "trade", words, "none")
    return _difference(case, ONLY_ACTUAL, "trade", "none", words)


def _difference(
    case: Case, rules: Sequence[Rule], what: str, expected: str, actual: str
) -> Difference:
    cause, detail = explain(case, rules)
    return Difference(what, expected, actual, cause.value, detail)


def _entry(case: Case) -> Iterable[Difference]:
    expected, actual = case.both()
    if expected.entry_ms != actual.entry_ms:
        words = show_ms(expected.entry_ms), show_ms(actual.entry_ms)
        yield _difference(case, ENTRY_BAR, "entry bar", *words)
    if abs(expected.size - actual.size) >= 0.5 * case.context.evidence.lot(actual.symbol):
        words = f"{expected.size:g}", f"{actual.size:g}"
        yield _difference(case, SIZE, "size", *words)
    same_bar = expected.entry_ms == actual.entry_ms
    if same_bar and not case.same_price(expected.entry_price, actual.entry_price):
        words = f"{expected.entry_price:.8g}", f"{actual.entry_price:.8g}"
        yield _difference(case, ENTRY_PRICE, "entry price", *words)


def _exit(case: Case) -> Iterable[Difference]:
    if not _exits_count(case):
        return
    expected, actual = case.both()
    if not _same_exit(case):
        yield _difference(case, EXIT, "exit", _exit_words(expected), _exit_words(actual))
    elif not case.same_price(expected.exit_price, actual.exit_price):
        words = f"{expected.exit_price:.8g}", f"{actual.exit_price:.8g}"
        yield _difference(case, EXIT_PRICE, "exit price", *words)


def _exits_count(case: Case) -> bool:
    """Tell whether exits can be compared.

    The back-test's forced one at the end of the bars is nothing that a session would do.
    """
    expected, actual = case.both()
    if not expected.finished:
        return False
    if expected.exit_reason != ExitReason.END:
        return True
    early = actual.finished and actual.exit_ms < expected.exit_ms
    return early and actual.exit_reason != ExitReason.END


def _same_exit(case: Case) -> bool:
    expected, actual = case.both()
    return (expected.exit_ms, expected.exit_reason) == (actual.exit_ms, actual.exit_reason)


def _exit_words(trip: Trip) -> str:
    return f"{trip.exit_words} {show_ms(trip.exit_ms)}" if trip.finished else "open"


def _money(case: Case) -> Iterable[Difference]:
    """Yield other fees and other funding of trades with the same entry and exit."""
    expected, actual = case.both()
    if abs(actual.fees / actual.traded - expected.fees / expected.traded) > _SAME_RATE:
        cause = Cause.FEE_TIER
        if abs(_made(actual) - _made(expected)) > _SAME_RATE:
            cause = Cause.LIQUIDITY_ROLE if passed(case) is None else Cause.PASSED
        rates = [f"{one.fees / one.traded * 1e4:.3g} bp" for one in (expected, actual)]
        words = f"{expected.fees:.6f}", f"{actual.fees:.6f}"
        yield Difference("fees", *words, cause.value, f"{rates[1]} instead of {rates[0]}")
    paid = [one.funding / (one.size * one.entry_price) for one in (expected, actual)]
    if abs(paid[1] - paid[0]) > max(_SAME_RATE, _SAME_FUNDING * abs(paid[0])):
        modelled = "" if case.context.expected.funding_modelled else "the candles have no rates"
        words = f"{expected.funding:.6f}", f"{actual.funding:.6f}"
        yield Difference("funding", *words, Cause.FUNDING.value, modelled)


def _made(trip: Trip) -> float:
    """Return the part of the notional that made liquidity."""
    parts = (*trip.entries, *trip.exits)
    return sum(one.size * one.price for one in parts if one.maker) / trip.traded


def _side(trip: Trip) -> str:
    return "long" if trip.side > 0 else "short"


def _drift_of(case: Case, status: str, found: Sequence[Difference]) -> TradeDrift:
    trip = case.trip
    entry, exit_ = NAN, NAN
    if case.expected is not None and case.actual is not None:
        if case.expected.entry_ms == case.actual.entry_ms:
            entry = trip.side * (case.actual.entry_price - case.expected.entry_price)
        if _same_exit(case) and case.expected.finished:
            exit_ = -trip.side * (case.actual.exit_price - case.expected.exit_price)
    evidence = case.context.evidence
    return TradeDrift(
        symbol=trip.symbol,
        strategy=trip.strategy,
        side=_side(trip),
        entry_ms=trip.entry_ms,
        status=status,
        size=trip.size,
        entry_ticks=entry / evidence.tick(trip.symbol, trip.entry_price),
        exit_ticks=exit_ / evidence.tick(trip.symbol, trip.exit_price),
        entry_bp=entry / trip.entry_price * 1e4,
        exit_bp=exit_ / trip.exit_price * 1e4,
        cost=_net(case.expected) - _net(case.actual),
        differences=tuple(found),
    )


def _net(trip: Trip | None) -> float:
    return trip.net if trip is not None and trip.finished else 0.0


# --- all trades -----------------------------------------------------------------------------------


def _summary(context: Context, trades: Sequence[TradeDrift], notes: Sequence[str]) -> Drift:
    expected, status = context.expected, [one.status for one in trades]
    identical = status.count(IDENTICAL)
    unexplained = sum(
        one.cause == Cause.UNEXPLAINED for trade in trades for one in trade.differences
    )
    return Drift(
        format=FORMAT,
        strategies=tuple(expected.strategies),
        symbols=tuple(expected.symbols),
        timeframe=expected.timeframe.text,
        start_ms=int(expected.time[0]) if len(expected.time) else 0,
        end_ms=int(expected.time[-1]) + context.frame if len(expected.time) else 0,
        expected=len(context.expected_trips),
        actual=len(context.actual_trips),
        identical=identical,
        missing=status.count(MISSING),
        extra=status.count(EXTRA),
        unexplained=unexplained,
        share=identical / len(trades) if trades else NAN,
        entry_ticks=_spread([one.entry_ticks for one in trades]),
        exit_ticks=_spread([one.exit_ticks for one in trades]),
        entry_bp=_spread([one.entry_bp for one in trades]),
        exit_bp=_spread([one.exit_bp for one in trades]),
        cost=sum(one.cost for one in trades),
        equity_gap=_equity_gap(context),
        causes=_causes(trades),
        trades=tuple(trades),
        notes=tuple(notes),
    )


def _spread(values: Sequence[float]) -> Spread:
    known = np.array([one for one in values if math.isfinite(one)])
    if not len(known):
        return Spread(0, NAN, NAN, NAN, NAN, NAN)
    low, median, high = (float(one) for one in np.percentile(known, [5, 50, 95]))
    largest = float(known[np.argmax(np.abs(known))])
    return Spread(len(known), float(known.mean()), median, low, high, largest)


def _equity_gap(context: Context) -> float:
    """Return the largest distance of both curves over the bars that both have."""
    expected, actual = context.expected, context.actual
    _, ours, theirs = np.intersect1d(expected.time, actual.time, return_indices=True)
    if not len(ours):
        return NAN
    gap = np.abs(expected.equity[ours] - actual.equity[theirs])
    return float(gap.max()) / expected.settings.capital


def _causes(trades: Sequence[TradeDrift]) -> tuple[CauseDrift, ...]:
    found = []
    for cause in Cause:
        first = [one for one in trades if one.differences and one.differences[0].cause == cause]
        every = sum(one.cause == cause for trade in trades for one in trade.differences)
        if every:
            cost = sum(one.cost for one in first)
            found.append(CauseDrift(cause.value, len(first), every, cost))
    return tuple(sorted(found, key=lambda one: (-abs(one.cost), one.cause)))
