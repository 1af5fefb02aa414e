"""The other engines, and the warm-up: what the audit looks at beside the future."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ftbt.backtest.result import Records, Result
from ftbt.data.market import Market
from ftbt.data.timeframe import show_ms
from ftbt.robustness.lookahead import warmup
from ftbt.robustness.lookahead.compare import Pair
from ftbt.robustness.lookahead.futures import FALLING, NO_FUTURE, RISING
from ftbt.robustness.lookahead.places import decisions
from ftbt.robustness.lookahead.search import TOLERANCE, Caught, Search
from ftbt.robustness.lookahead.verdict import WarmUp

# Bars of a setup strategy that are run one by one, as live, and those in front of them: slow, for
# nothing is made in advance.
LIVE_BARS = 800
LIVE_WARM_UP = 400
# Orders that are cut after because they are others when bars come one by one.
SUSPECTS = 6
_SENT = ("bar", "side", "kind", "role", "size", "price", "limit")
TAILS = 3  # stretches of equal length in the newest half of the bars
RUNS = 40  # about how many runs all of this is


def compare_engines(search: Search) -> list[str]:
    """Cut on the other engines as well; return what they do otherwise, in words."""
    said = []
    if search.runner.compiled:
        said += _whole_run_by_reference(search)
    said += one_by_one(search)
    return said


def _whole_run_by_reference(search: Search) -> list[str]:
    market = search.market
    full = search.runner.run(market, engine="reference")
    search.engines.append("reference")
    if full.result is None:
        return [f"it does not run on the reference engine: {full.error}"]
    change = search.pair(
        full.result, len(market.candles) - 1, "the reference engine"
    ).first_change()
    if change is not None:
        return [f"the engines do not agree: {change.what} of bar {change.bar:,}: {change.detail}"]
    _cut(search, market, full.result, "reference", search.runner.trade_from)
    return []


def one_by_one(search: Search) -> list[str]:
    """Run bars one by one, as live; return in words what is otherwise then.

    What has no later bar in memory can't look at one. So each order that is another one then is a
    suspect, wherever it is, and the bars right after it are cut off to tell. All bars are run,
    except for setup strategies: their lines and setups are compared value by value at every cut.
    """
    market, first = search.market, search.runner.trade_from
    if search.runner.has_setups:
        bars = len(market.candles)
        market = market.slice(max(0, bars - LIVE_BARS - LIVE_WARM_UP), bars)
        first = min(LIVE_WARM_UP, len(market.candles) // 3)
    at_once = search.runner.run(market, engine="reference", trade_from=first)
    live = search.runner.run(market, engine="bar-by-bar", trade_from=first)
    if at_once.result is None or live.too_short:
        return []
    search.engines.append("bar-by-bar")
    if live.result is None:
        said = (
            "it does not run when bars come one by one, as they do live: {}; it can't be traded so"
        )
        return [said.format(live.error)]
    last = len(market.candles) - 1
    change = _pair(search, at_once.result, live.result, first, last, "").first_change()
    if change is not None:
        offset = len(search.market.candles) - len(market.candles)
        _try_suspects(search, at_once.result, live.result, offset)
        at = show_ms(int(market.candles.time[change.bar]))
        said = "it does otherwise when bars come one by one, as they do live"
        return [f"{said}: {change.what} of the bar {at}: {change.detail}"]
    _cut(search, market, live.result, "bar-by-bar", first)
    return []


def _try_suspects(search: Search, one: Result, two: Result, offset: int) -> None:
    """Cut right after orders that only one of two runs has: what changes then has looked ahead."""
    only = _sent(one) ^ _sent(two)
    last = len(search.market.candles) - 2
    bars = sorted({bar + offset for bar, *_ in only if bar + offset <= last})
    for bar in bars[:SUSPECTS]:
        for future in (NO_FUTURE, RISING, FALLING):
            # Without a future nothing is decided at the cut itself.
            search.cut_at(bar + (future == NO_FUTURE), future, fresh=search.fresh)


def _sent(result: Result) -> set[tuple[Any, ...]]:
    """Return what was sent, order by order, without its number; the bar first."""
    fields = zip(*(result.orders[name].tolist() for name in _SENT), strict=True)
    # NaN is no price, and not itself.
    return {tuple(None if one != one else one for one in order) for order in fields}


def _cut(search: Search, market: Market, full: Result, engine: str, first: int) -> None:
    """Cut right after the middle one of the entries of *full*, a run over the end of the market."""
    entries, _ = decisions(full, first + 2, len(market.candles) - 2)
    if not len(entries):
        return
    cut = int(entries[len(entries) // 2])
    offset = len(search.market.candles) - len(market.candles)
    for future in (NO_FUTURE, FALLING):
        changed = search.changed(cut + offset, future)
        other = search.runner.run(
            changed.slice(offset, len(changed.candles)),
            engine=engine, stop_after=cut, trade_from=first, fresh=True,
        )  # fmt: skip
        if other.result is None:
            continue
        pair = _pair(search, full, other.result, first, cut, future)
        search.orders_compared += len(pair.orders()[0])
        if (one := pair.first_change()) is not None:
            moved = replace(one, bar=one.bar + offset, cut=one.cut + offset)
            search.caught.append(Caught(moved, engine))


def _pair(search: Search, full: Result, other: Result, first: int, cut: int, future: str) -> Pair:
    decimals = search.market.instrument.size_decimals
    return Pair(full, other, first, cut, future, decimals, TOLERANCE)


def measure_warm_up(search: Search, declared: int) -> WarmUp:
    """Return how much history the strategy needs in front of the newest half of the bars."""
    bars = len(search.market.candles)
    tail = bars // (2 * TAILS)
    starts = [bars - (TAILS - number) * tail for number in range(TAILS)]

    def run(number: int, history: int) -> Records | None:
        start = starts[number]
        market = search.market.slice(start - history, start + tail)
        result = search.runner.run(market, trade_from=history).result
        return None if result is None else warmup.tail_orders(result, history)

    return warmup.measure(run, starts[0], TAILS, tail, declared)


def warm_up_warnings(found: WarmUp) -> list[str]:
    """Return what a reader should know of a warm-up, in sentences."""
    said = ""
    if found.orders == 0:
        said = f"it sent no order in the newest {found.tail:,} bars: its warm-up is not known"
    elif found.settled is None:
        said = (
            f"its orders never settle: they are still others with {found.differs:,} bars of history"
            f" than with {found.most:,}; what it does depends on where its data begin"
        )
    elif found.settled > found.declared:
        said = (
            f"its orders settle after {found.settled:,} bars of history, and it declares a warm-up"
            f" of {found.declared:,}: declare more"
        )
    elif found.most < found.declared:
        said = (
            f"it declares a warm-up of {found.declared:,} bars, and only {found.most:,} could be"
            " tried: more bars would tell whether it needs them"
        )
    return [said] if said else []
