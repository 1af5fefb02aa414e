"""The look-ahead audit: an order decided at the close of bar k may depend on bars up to k only.

A strategy is run on all bars, then on the first ones alone and on the same first ones with other
bars after them, cut at many places. Whatever it decided up to the cut must be the same. It is a
search for a counter-example: each one found is proof, none found is as strong as the number of
orders that were compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.errors import InputError, StrategyBroken
from ftbt.risk.limits import Limits
from ftbt.robustness.checks import whole
from ftbt.robustness.lookahead import others
from ftbt.robustness.lookahead.compare import Difference, Pair
from ftbt.robustness.lookahead.explain import findings_of
from ftbt.robustness.lookahead.futures import FALLING, NO_FUTURE, RISING, with_future
from ftbt.robustness.lookahead.outside import telling_file
from ftbt.robustness.lookahead.places import choose_cuts
from ftbt.robustness.lookahead.runner import Runner
from ftbt.robustness.lookahead.search import Search
from ftbt.robustness.lookahead.verdict import (
    CLEAN,
    LOOK_AHEAD,
    OUTSIDE,
    UNSTEADY,
    Audit,
    Finding,
    WarmUp,
)
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import warmup_bars

__all__ = ["Audit", "Difference", "Finding", "WarmUp", "audit", "first_difference"]

Progress = Callable[[int, int], None]

LEAST_BARS = 50
FEW_ORDERS = 10


def first_difference(
    strategy: StrategyRef | type[Any],
    market: Market,
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    trade_from: int = 0,
    cuts: int | Sequence[int] = 20,
    seed: int = 0,
    engine: str = "reference",
) -> Difference | None:
    """Return the first thing that depends on a later bar, None when nothing does.

    The strict and plain form of the audit: every value is compared to the last bit.

    Args:
        strategy: a reference or a class.
        market: candles, rules, and what else the run shall see.
        parameters: as of `run_backtest`, and so are the next two and the engine.
        settings: capital and costs.
        trade_from: bars at the front that only warm the lines up.
        cuts: after which bars to cut, or how many cuts; most are then placed at
            bars at whose close an order was decided, the rest anywhere.
        seed: of the places and the other futures.
        engine: which engine makes all the runs.

    Raises:
        StrategyBroken: the strategy does not even run on the market as it is.
    """
    rng = np.random.default_rng(seed)

    def run(one: Market) -> Result:
        return run_backtest(
            strategy, one, parameters, settings, trade_from=trade_from, engine=engine
        )

    full = run(market)
    places = choose_cuts(full, trade_from, cuts, rng) if isinstance(cuts, int) else list(cuts)
    decimals = market.instrument.size_decimals
    found = []
    for cut in places:
        for future in (NO_FUTURE, RISING, FALLING):
            try:
                other = run(with_future(market, cut, future, rng, length=3))
            except StrategyBroken as error:
                return Difference("error", cut, cut, future, str(error))
            except InputError:
                continue  # fewer bars than its indicators need
            found.append(Pair(full, other, trade_from, cut, future, decimals).first_change())
    differences = [one for one in found if one is not None]
    return min(differences, key=lambda one: one.bar) if differences else None


def audit(
    strategy: StrategyRef | type[Any],
    market: Market,
    parameters: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    prefixes: int = 12,
    seed: int = 1,
    trade_from: int | None = None,
    thorough: bool = False,
    progress: Progress | None = None,
) -> Audit:
    """Return whether *strategy* knows the future, and how much history it needs.

    Args:
        strategy: a reference, so that each run can begin from a clean slate, or a class.
        market: candles, rules, and what else the runs shall see.
        parameters: values that differ from the defaults and the timeframe's preset.
        settings: capital and costs. Limits on risk are left out: they hide decisions.
        prefixes: at how many places the bars are cut.
        seed: of the places and the other futures.
        trade_from: bars at the front that only warm the lines up; None: what the strategy
            declares, or none where less than a quarter of the bars would be left.
        thorough: also run the other engines, and measure the warm-up. Without, it is a matter of
            a second or two for a strategy that the compiled engine runs.
        progress: called with (runs done, runs in all, as far as that is known).

    Raises:
        InputError: too few bars, impossible *prefixes*.
        ParameterError: unknown parameter or value out of range.
        StrategyBroken: the strategy does not even run on the market as it is.
    """
    begun = time.perf_counter()
    prefixes = whole(prefixes, "prefixes", 1)
    cls = strategy.load() if isinstance(strategy, StrategyRef) else strategy
    bars, declared = len(market.candles), warmup_bars(cls, market.candles.timeframe)
    if trade_from is None:
        trade_from = declared if 4 * (bars - declared) >= bars else 0
    if bars - trade_from < LEAST_BARS:
        raise InputError(
            f"{market.symbol}: the audit needs {LEAST_BARS} bars to trade after a warm-up of"
            f" {trade_from:,}, and there are {max(bars - trade_from, 0):,}: give more bars"
        )
    planned = 6 + 4 * prefixes + (others.RUNS if thorough else 0)
    settings = replace(settings or Settings(), limits=Limits.none())
    runner = Runner(
        strategy, parameters or {}, settings, market.candles.timeframe.text, trade_from,
        told=None if progress is None else lambda done: progress(done, max(done, planned)),
    )  # fmt: skip
    search = Search(runner, market, seed)
    findings, warnings = _look(search, prefixes, thorough=thorough)
    measured = None
    if thorough and not findings:
        measured = others.measure_warm_up(search, declared)
        warnings += others.warm_up_warnings(measured)
    result = search.result
    return Audit(
        strategy=strategy.name if isinstance(strategy, StrategyRef) else cls.__name__,
        symbol=market.symbol,
        timeframe=market.candles.timeframe.text,
        bars=bars,
        trade_from=trade_from,
        verdict=_verdict(findings),
        findings=tuple(findings),
        warnings=tuple(warnings),
        warm_up=measured,
        prefixes=search.prefixes,
        runs=runner.made,
        orders=len(result.orders),
        orders_compared=search.orders_compared,
        engines=tuple(search.engines),
        seed=seed,
        seconds=time.perf_counter() - begun,
    )


def _look(search: Search, prefixes: int, *, thorough: bool) -> tuple[list[Finding], list[str]]:
    """Return what is found, the first order that changes first, and what else is to be said."""
    unsteady, random = search.run_all()
    findings, warnings = [], []
    if not random:
        search.cut_everywhere(prefixes)
        if thorough:
            warnings += others.compare_engines(search)
        elif not search.runner.has_setups:  # few of its orders were cut after: runs take long
            warnings += others.one_by_one(search)
        findings += findings_of(search)
    if unsteady:
        findings.append(Finding(UNSTEADY, "order", -1, -1, unsteady))
    findings += _outside(search)
    return findings, [*_few(search), *warnings, *_hints(search, findings)]


def _outside(search: Search) -> list[Finding]:
    """Return the findings about bars that the strategy was not given."""
    times = search.market.candles.time
    found = [
        Finding(
            OUTSIDE, "data", cut, int(times[cut]),
            f"{name} holds bars after this one, though the strategy was given none of them",
        )
        for name, cut in search.later.items()
    ]  # fmt: skip
    if file := telling_file(search.runner.opened, search.market):
        found.append(Finding(OUTSIDE, "file", -1, -1, f"it reads {file}, which has the later bars"))
    return found


def _few(search: Search) -> list[str]:
    count = len(search.result.orders)
    if count and search.prefixes and not search.orders_compared:
        return ["none of the shorter runs could be made: nothing was compared"]
    if count == 0:
        return ["it sent no order: nothing was compared, and nothing is known"]
    if count < FEW_ORDERS:
        return [f"it sent only {count} orders: few to compare; more bars would tell more"]
    return []


def _hints(search: Search, findings: list[Finding]) -> list[str]:
    """Return what is no finding but should be known."""
    opened = search.runner.opened
    said = {telling_file(opened, search.market)}
    hints = [
        f"it reads {file}: the audit can't see when what is in it was known"
        for file in opened.files
        if file not in said
    ]
    if opened.network:
        hints.append("it opens a network connection: the audit can't see what it is told there")
    if not findings:
        hints += [
            f"{name} is another one at bar {one.bar:,} when later bars are, though no order was:"
            " it must not be read before its time"
            for name, one in search.repainted.items()
        ]
    return hints


def _verdict(findings: list[Finding]) -> str:
    kinds = {one.kind for one in findings}
    return next((kind for kind in (LOOK_AHEAD, OUTSIDE, UNSTEADY) if kind in kinds), CLEAN)
