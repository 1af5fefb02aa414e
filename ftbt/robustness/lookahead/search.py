"""The search for a counter-example: the same bars up to a cut, and something else happens there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ftbt.backtest.result import Result
from ftbt.data.market import Market
from ftbt.robustness.lookahead.compare import Difference, Pair
from ftbt.robustness.lookahead.futures import (
    FALLING,
    FUTURES,
    MIRRORED,
    NO_FUTURE,
    QUIET,
    RISING,
    SHUFFLED,
    with_future,
)
from ftbt.robustness.lookahead.places import choose_cuts
from ftbt.robustness.lookahead.runner import Ran, Runner
from ftbt.robustness.lookahead.trace import Place
from ftbt.robustness.lookahead.values import ValueChange, first_value_change

# Honest arithmetic may round another way on other bars (a convolution of another length); what
# depends on the future does so by more.
TOLERANCE = 1e-9
# Cuts whose runs all begin from a clean slate, where each one would take long.
FRESH_CUTS = 4
SAME = "the same bars"
_TURNS = (MIRRORED, SHUFFLED, QUIET)


@dataclass(frozen=True)
class Caught:
    """A difference, and what is known of it.

    Attributes:
        difference: what changed, where, for which cut and future.
        engine: that made both runs.
        place: the line that sent the order, None where that is not known.
        value: the first line or setup with another value, None where none has.
    """

    difference: Difference
    engine: str
    place: Place | None = None
    value: ValueChange | None = None


@dataclass
class Search:
    """Runs of one strategy on one market and on what it would have been.

    Attributes:
        runner: makes the runs.
        market: all bars.
        seed: of the places and the other futures.
        fresh: every run begins from a clean slate.
        full: the first run on all bars.
        caught: differences in orders and what follows from them.
        repainted: lines that changed although no order did, by name; the first one each.
        later: names under which bars are held that were not given, with the cut.
        engines: engines that ran.
        prefixes: places that were cut at.
        orders_compared: in all comparisons together.
    """

    runner: Runner
    market: Market
    seed: int
    fresh: bool = False
    full: Ran = field(default_factory=Ran)
    caught: list[Caught] = field(default_factory=list)
    repainted: dict[str, ValueChange] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    engines: list[str] = field(default_factory=list)
    prefixes: int = 0
    orders_compared: int = 0

    @property
    def result(self) -> Result:
        """The result on all bars."""
        assert self.full.result is not None  # it had to come to its end
        return self.full.result

    def run_all(self) -> tuple[str, bool]:
        """Run on all bars, and again.

        Returns:
            What was not the same the second time, in words, "" for nothing; and whether that is
            random, so that nothing else can be compared either.
        """
        run, market = self.runner.run, self.market
        self.fresh = self.runner.cheap_slates
        self.engines.append(self.runner.engine)
        self.full = run(market, fresh=True, keep=True, must=True)
        again = [self.runner.repeat(market), run(market)]
        change = next((found for one in again if (found := self._unlike(one))), "")
        if not change:
            return "", False
        if self._unlike(run(market, fresh=True)):
            return f"with the same bars it does not do the same: {change}", True
        self.fresh = True
        return (
            "it does otherwise when it is run a second time: it keeps something between runs, an"
            f" attribute of the class or a global of the module: {change}"
        ), False

    def _unlike(self, ran: Ran) -> str:
        """Return what *ran* has done unlike the first run, "" for nothing."""
        if ran.result is None:
            return ran.error or "it stops"
        found = self.pair(ran.result, len(self.market.candles) - 1, SAME).first_change()
        return "" if found is None else f"{found.what} of bar {found.bar:,}: {found.detail}"

    def pair(self, other: Result, cut: int, future: str) -> Pair:
        """Return the run on all bars beside *other*."""
        decimals = self.market.instrument.size_decimals
        first = self.runner.trade_from
        return Pair(self.result, other, first, cut, future, decimals, TOLERANCE)

    def changed(self, cut: int, future: str) -> Market:
        """Return the market with another *future* after *cut*; the same one each time."""
        number = (NO_FUTURE, *FUTURES).index(future)
        return with_future(
            self.market, cut, future, np.random.default_rng([self.seed, cut, number])
        )

    def cut_everywhere(self, count: int) -> None:
        """Cut at *count* places and keep what is caught."""
        rng = np.random.default_rng(self.seed)
        cuts = choose_cuts(self.result, self.runner.trade_from, count, rng)
        every = max(1, len(cuts) // FRESH_CUTS)
        for number, cut in enumerate(cuts):
            fresh = self.fresh or number % every == 0
            for future in (NO_FUTURE, RISING, FALLING, _TURNS[number % len(_TURNS)]):
                self.cut_at(cut, future, fresh=fresh)
            self.prefixes += 1

    def cut_at(self, cut: int, future: str, *, fresh: bool) -> None:
        """Run with another *future* after *cut* and keep what is caught."""
        alone = future == NO_FUTURE
        ran = self.runner.run(
            self.changed(cut, future),
            fresh=fresh,
            stop_after=cut,
            keep=alone or future in _TURNS,
            true_market=self.market if alone and fresh else None,
        )
        if ran.later:
            self.later.setdefault(ran.later, cut)
        difference = self.difference(ran, cut, future)
        value = first_value_change(self.full.lines, ran.lines, cut, TOLERANCE)
        if difference is not None:
            place = self.place_of(difference, ran)
            self.caught.append(Caught(difference, self.runner.engine, place, value))
        elif value is not None:
            self._note_line(value, cut, future)

    def _note_line(self, value: ValueChange, cut: int, future: str) -> None:
        """Keep a line that changed although no order did.

        The rule of a setup strategy reads its lines at their own bar: it has seen the future. Any
        other strategy may know better than to read a line before its time.
        """
        if not self.runner.has_setups:
            self.repainted.setdefault(value.name, value)
            return
        said = f"{value.name} is {value.after:g} instead of {value.before:g}"
        difference = Difference("line", value.bar, cut, future, said)
        self.caught.append(Caught(difference, self.runner.engine, None, value))

    def difference(self, ran: Ran, cut: int, future: str) -> Difference | None:
        """Return the first difference of *ran* from the run on all bars."""
        if ran.result is not None:
            pair = self.pair(ran.result, cut, future)
            self.orders_compared += len(pair.orders()[0])
            return pair.first_change()
        # What breaks on bars that never were, after the cut, has not looked ahead.
        if ran.too_short or (future != NO_FUTURE and not 0 <= ran.error_bar <= cut):
            return None
        return Difference("error", ran.error_bar, cut, future, ran.error)

    def place_of(self, difference: Difference, ran: Ran) -> Place | None:
        """Return the user's line that sent, or cancelled, the order that changed."""
        one = self.full if difference.in_full else ran
        if difference.what != "order" or one.watch is None or one.result is None:
            return None
        sent = one.watch.place_of(one.result.orders, difference.order)
        own = one.result.orders[one.result.orders["id"] == difference.order]
        if len(own) and int(own[0]["bar"]) != difference.bar:  # it ended otherwise
            ended = [side.watch.cancelled_at(difference.bar) for side in (self.full, ran)
                     if side.watch is not None]  # fmt: skip
            return next((place for place in ended if place is not None), sent)
        return sent
