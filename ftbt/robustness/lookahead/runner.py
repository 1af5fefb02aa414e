"""Running one strategy many times for the audit, in the same way each time."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftbt.backtest.compiled_engine import why_not
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Result
from ftbt.backtest.settings import Settings
from ftbt.data.market import Market
from ftbt.errors import InputError, StrategyBroken
from ftbt.robustness.lookahead.fresh import clean_slate, users_modules
from ftbt.robustness.lookahead.outside import Opened, held_by, later_bars, noting
from ftbt.robustness.lookahead.trace import Watch, traced, users_files
from ftbt.robustness.lookahead.values import (
    Values,
    early_values,
    has_setups,
    line_values,
    values_of_setups,
)
from ftbt.smc.base import CACHE
from ftbt.strategy.loader import StrategyRef
from ftbt.strategy.parameters import resolve


@dataclass
class Ran:
    """What came of one run.

    Attributes:
        result: None when it did not come to its end.
        error: what the strategy stopped with, "" for nothing.
        error_bar: the bar that it was at; -1 before the first.
        too_short: True when its indicators need more bars than there were.
        watch: who sent what; None on the compiled engine.
        made: numbers and arrays that it held before its first bar, when that was asked for.
        lines: values of its lines at every bar, when that was asked for.
        later: name under which it held bars that it was not given, when that was asked for.
    """

    result: Result | None = None
    error: str = ""
    error_bar: int = -1
    too_short: bool = False
    watch: Watch | None = None
    made: Values = field(default_factory=dict)
    lines: Values = field(default_factory=dict)
    later: str = ""


class Runner:
    """Makes the runs of one audit.

    Attributes:
        cls: the strategy's class.
        compiled: True when the compiled engine can run it.
        opened: files and connections of all runs.
        made: number of runs so far.
        rule: the setup rule, once seen.
    """

    def __init__(
        self,
        strategy: StrategyRef | type[Any],
        parameters: Mapping[str, Any],
        settings: Settings | None,
        timeframe: str,
        trade_from: int = 0,
        told: Callable[[int], None] | None = None,
    ) -> None:
        self.strategy = strategy
        self.cls: type[Any] = strategy.load() if isinstance(strategy, StrategyRef) else strategy
        self.given = dict(parameters)
        self.values = resolve(self.cls, parameters, timeframe)
        self.settings = settings
        self.trade_from = trade_from
        self.compiled = not why_not(self.cls)
        self.opened = Opened(users_files(self.cls))
        self.made = 0
        self.rule: Any = None
        self._told = told
        self._watching: list[Watch] = []
        self._traced: type[Any] | None = None

    @property
    def engine(self) -> str:
        """The engine that makes most of the runs."""
        return "compiled" if self.compiled else "reference"

    @property
    def has_setups(self) -> bool:
        """Tell whether the strategy decides by a setup rule."""
        return has_setups(self.cls)

    @property
    def cheap_slates(self) -> bool:
        """Tell whether a new copy of the file is cheap enough for every run.

        It is, unless it holds code that would have to be compiled, or loaded, each time.
        """
        module = sys.modules.get(self.cls.__module__)
        items = () if module is None else list(vars(module).values())
        return not any(hasattr(item, "py_func") or has_loop(item) for item in items)

    def run(
        self,
        market: Market,
        *,
        engine: str = "",
        fresh: bool = False,
        stop_after: int | None = None,
        keep: bool = False,
        true_market: Market | None = None,
        trade_from: int | None = None,
        must: bool = False,
    ) -> Ran:
        """Run the strategy over *market*.

        Args:
            market: what it gets to see.
            engine: as of `run_backtest`; "" is `self.engine`.
            fresh: from a newly executed copy of its file.
            stop_after: end the run after this bar; it sees the later ones all the same.
            keep: keep what it computes.
            true_market: tell whether it holds bars of this market that *market* has not.
            trade_from: bars that only warm it up; None is the audit's own.
            must: it has to come to its end.

        Raises:
            StrategyBroken, InputError: it did not, and had to.
        """
        self.made += 1
        engine = engine or self.engine
        slate = clean_slate(self.strategy) if fresh else contextlib.nullcontext(self.cls)
        with noting(self.opened), contextlib.redirect_stdout(_Nowhere()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on bars that never were, or are too few
            # Of a compiled strategy there is no line to see: its rule is its decision.
            watch = None if self.compiled else self._watch(stop_after)
            ran = Ran(watch=watch)
            try:
                with slate as cls:
                    ran = self._run(cls, market, engine, watch, trade_from, keep=keep)
                    if true_market is not None:
                        ran.later = self._later(watch, true_market, len(market.candles) - 1)
            except StrategyBroken as error:
                if must:
                    raise
                ran.error, ran.error_bar = str(error), -1 if watch is None else watch.bar
            except InputError:
                if must:
                    raise
                ran.too_short = True
        if self._told is not None:
            self._told(self.made)
        return ran

    def repeat(self, market: Market, **more: Any) -> Ran:
        """Run as `run` does, with nothing left over from earlier runs but the strategy's own."""
        CACHE.clear()
        return self.run(market, **more)

    def _run(
        self,
        cls: type[Any],
        market: Market,
        engine: str,
        watch: Watch | None,
        trade_from: int | None,
        *,
        keep: bool,
    ) -> Ran:
        made: dict[str, Any] = {}
        lines: dict[str, Any] = {}
        if watch is not None:
            cls = self._watched(cls)
            if keep:
                watch.on_start = lambda strategy: made.update(early_values(strategy))
                watch.on_stop = lambda strategy: lines.update(line_values(strategy))
        first = self.trade_from if trade_from is None else trade_from
        result = run_backtest(
            cls, market, self.given, self.settings, trade_from=first, engine=engine
        )
        if keep and self.has_setups:
            found = values_of_setups(cls, self.values, market)
            lines.update(found.lines)
            made.update(found.made)
            self.rule = found.rule
        return Ran(result, watch=watch, made=made, lines=lines)

    def _watch(self, stop_after: int | None) -> Watch:
        watch = Watch(self.opened.code)
        if stop_after is not None:
            watch.stop_after = stop_after
        self._watching[:] = [watch]
        return watch

    def _watched(self, cls: type[Any]) -> type[Any]:
        """Return the subclass of *cls* that reports; that of the usual class is kept."""
        if cls is not self.cls:
            return traced(cls, self._watching)
        if self._traced is None:
            self._traced = traced(cls, self._watching)
        return self._traced

    def _later(self, watch: Watch | None, market: Market, cut: int) -> str:
        """Return where the strategy holds bars of *market* after *cut*, "" for nowhere."""
        names = users_modules(self.strategy.path) if isinstance(self.strategy, StrategyRef) else []
        modules = [sys.modules[name] for name in names]
        return later_bars(held_by(watch and watch.strategy, modules), market, cut)


def has_loop(item: Any) -> bool:
    """Tell whether *item* is a compiled setup rule."""
    return hasattr(item, "line_names") and hasattr(item, "run")


class _Nowhere(io.TextIOBase):
    """Where a strategy prints to while it is audited; a hundred runs print a hundred times."""

    def write(self, text: str) -> int:
        """Take the text and forget it."""
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Take the lines and forget them."""
