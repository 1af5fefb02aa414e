"""From an experiment to everything that a run needs, checked before anything is computed."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftbt.backtest.engine import ENGINES
from ftbt.backtest.settings import Settings
from ftbt.config import DataPart, Experiment, RiskPart
from ftbt.data.market import Market
from ftbt.data.resolve import load_markets
from ftbt.data.timeframe import Timeframe, parse_time, to_ms
from ftbt.errors import ConfigError, did_you_mean
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.walkforward.ensemble import Ensemble, make_ensemble
from ftbt.walkforward.fingerprint import code_hash, command_of, run_id_of, versions
from ftbt.walkforward.objective import objective_named
from ftbt.walkforward.pieces import Clock, clock_of, cut
from ftbt.walkforward.result import (
    FORMAT,
    Manifest,
    PlanFacts,
    SearchFacts,
    StrategyFacts,
    SymbolFacts,
    WindowFacts,
)
from ftbt.walkforward.search import SAMPLER_TEXT
from ftbt.walkforward.space import describe
from ftbt.walkforward.tasks import WindowTask
from ftbt.walkforward.windows import (
    Plan,
    Span,
    Window,
    lay_windows,
    plan_of,
    require_windows,
)


@dataclass(frozen=True, eq=False)
class Inputs:
    """A checked experiment with its data.

    Attributes:
        experiment: as asked.
        ensemble: which strategies, and what is searched of them.
        markets: segments of each symbol, in the order of the experiment.
        settings: money, costs and limits.
        plan, clock, windows: where training and tests lie.
        trials: per window, of all strategies together.
        manifest: all of it in plain values.
    """

    experiment: Experiment
    ensemble: Ensemble
    markets: Mapping[str, Sequence[Market]]
    settings: Settings
    plan: Plan
    clock: Clock
    windows: Sequence[Window]
    trials: int
    manifest: Manifest

    def task(self, window: Window, work: Path, parent: int | None) -> WindowTask:
        """Return the task of *window*; its folder is in *work*, *parent* waits for it."""
        search = self.experiment.search

        def pieces(spans: Sequence[Span]) -> Any:
            return tuple(
                replace(cut(segments, spans, self.clock, self.plan.warmup), symbol=symbol)
                for symbol, segments in self.markets.items()
            )

        return WindowTask(
            ensemble=self.ensemble,
            window=window,
            train=pieces(window.train),
            test=pieces((window.test,)),
            settings=self.settings,
            engine=self.experiment.backtest.engine,
            trials=search.trials,
            objective=search.objective,
            min_trades=search.min_trades,
            selection=search.selection,
            seed=search.seed,
            folder=work / f"window-{window.number:03d}",
            parent=parent,
        )


def prepare(
    experiment: Experiment,
    *,
    store: Path | None = None,
    experiment_file: str | None = None,
    markets: Mapping[str, Sequence[Market]] | None = None,
) -> Inputs:
    """Return the inputs of a run.

    Args:
        experiment: what is asked.
        store: folder of the candle store; None is the default one.
        experiment_file: name of the file it came from, for the command that repeats it.
        markets: segments of each of the experiment's symbols, instead of what its `[data]` names.

    Raises:
        InputError: anything that the experiment names and that cannot be used.
    """
    check_words(experiment)
    timeframe = Timeframe.parse(experiment.data.timeframe)
    settings = Settings(**experiment.backtest.money(), limits=limits_of(experiment.risk))
    ensemble = make_ensemble(
        experiment.strategy, timeframe, Allocation(**experiment.allocation.given())
    )
    plan = plan_of(experiment.walk_forward, timeframe, ensemble.warmup_bars(timeframe))
    if markets is None:
        markets = load_symbols(experiment.data, store)
    clock = clock_of(list(markets.values()))
    windows = lay_windows(clock.bars, plan)
    require_windows(windows, clock.bars, plan, timeframe)
    trials = sum(ensemble.trials(experiment.search.trials))
    manifest = _manifest(
        experiment, experiment_file, ensemble, settings, plan, clock, windows, markets
    )
    return Inputs(experiment, ensemble, markets, settings, plan, clock, windows, trials, manifest)


def limits_of(part: RiskPart) -> Limits:
    """Return the limits that a `[risk]` table means.

    Raises:
        ConfigError: limits beside `limits = "none"`, or out of their ranges.
    """
    if part.limits == "none" and part.given():
        first = next(iter(part.given()))
        raise ConfigError(f'risk.{first} is given beside limits = "none": drop one')
    return Limits.none() if part.limits == "none" else Limits(**part.given())  # type: ignore[arg-type]


def check_words(experiment: Experiment) -> None:
    """Pass when objective, engine and symbols are names that can be meant.

    Raises:
        ConfigError: naming the one that can't, and the nearest known one.
    """
    objective_named(experiment.search.objective)
    engine = experiment.backtest.engine
    if engine not in ENGINES:
        hint = did_you_mean(engine, ENGINES)
        raise ConfigError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}{hint}")
    symbols = experiment.data.symbols
    twice = [symbol for symbol in symbols if symbols.count(symbol) > 1]
    if twice:
        raise ConfigError(f"symbol {twice[0]} is given twice")


def load_symbols(data: DataPart, store: Path | None) -> dict[str, list[Market]]:
    """Return the segments of each symbol, by its name, in the order asked for.

    Raises:
        InputError: no such data, the same symbol twice, or another fingerprint.
    """
    found: dict[str, list[Market]] = {}
    for symbol in data.symbols:
        segments = load_markets(
            data.source,
            symbol,
            data.timeframe,
            start=parse_time(data.start) if data.start else None,
            end=parse_time(data.end) if data.end else None,
            holes=data.holes,
            detail=data.detail,
            store_root=store,
        )
        name = segments[0].symbol
        if name in found:
            raise ConfigError(f"symbols {', '.join(data.symbols)}: {name} is meant twice")
        _check_own_candles(name, segments, found)
        found[name] = segments
    if data.fingerprint:
        _check_fingerprint(data.fingerprint, found)
    return found


def _check_own_candles(
    name: str, segments: Sequence[Market], others: Mapping[str, Sequence[Market]]
) -> None:
    """Refuse candles that are another symbol's: one file for several symbols, most of all."""
    bars = segments[0].candles.bars
    for other, known in others.items():
        if np.array_equal(known[0].candles.bars, bars):
            raise ConfigError(
                f"{other} and {name} have the very same candles ({segments[0].candles.source}):"
                " a candle file is one symbol's; `ftbt data import` takes one for each"
            )


def _check_fingerprint(expected: str, markets: Mapping[str, Sequence[Market]]) -> None:
    actual = [_fingerprint([market.candles.fingerprint for market in segments])
              for segments in markets.values()]  # fmt: skip
    wanted = expected.split("+")
    same = len(wanted) == len(actual) and all(
        len(short) >= 8 and whole.startswith(short)
        for short, whole in zip(wanted, actual, strict=True)
    )
    if not same:
        raise ConfigError(
            f"data.fingerprint is {expected}, but the candles have"
            f" {'+'.join(whole[:12] for whole in actual)}: the data changed since the experiment"
            " was written"
        )


def _fingerprint(parts: Sequence[str]) -> str:
    """Return the fingerprint of segments: their own when there is only one."""
    return parts[0] if len(parts) == 1 else hashlib.sha256("|".join(parts).encode()).hexdigest()


def _symbol_facts(symbol: str, segments: Sequence[Market]) -> SymbolFacts:
    first, last = segments[0].candles, segments[-1].candles
    bars = sum(len(market.candles) for market in segments)
    start, end = to_ms(first.start), to_ms(last.end)
    funding = segments[0].funding
    details = [market.detail for market in segments if market.detail is not None]
    rules = segments[0].instrument
    return SymbolFacts(
        symbol=symbol,
        timeframe=first.timeframe.text,
        source=first.source,
        synthetic=first.synthetic,
        start_ms=start,
        end_ms=end,
        bars=bars,
        segments=len(segments),
        missing_bars=(end - start) // first.timeframe.ms - bars,
        fingerprint=_fingerprint([market.candles.fingerprint for market in segments]),
        funding=None if funding is None else funding.fingerprint,
        detail_timeframe=details[0].timeframe.text if details else None,
        detail=_fingerprint([detail.fingerprint for detail in details]) if details else None,
        size_decimals=rules.size_decimals,
        max_leverage=rules.max_leverage,
        min_notional=rules.min_notional,
    )


def _manifest(
    experiment: Experiment,
    experiment_file: str | None,
    ensemble: Ensemble,
    settings: Settings,
    plan: Plan,
    clock: Clock,
    windows: Sequence[Window],
    markets: Mapping[str, Sequence[Market]],
) -> Manifest:
    data = tuple(_symbol_facts(symbol, segments) for symbol, segments in markets.items())
    search = experiment.search
    objective = objective_named(search.objective)
    manifest = Manifest(
        format=FORMAT,
        run_id="",
        title=experiment.title,
        hypothesis=experiment.hypothesis,
        synthetic=any(one.synthetic for one in data),
        strategy=_strategy_facts(ensemble),
        data=data,
        plan=_plan_facts(experiment, plan, clock, windows),
        windows=tuple(_window_facts(window, clock) for window in windows),
        search=SearchFacts(
            trials=sum(ensemble.trials(search.trials)),
            objective=objective.name,
            objective_text=objective.text,
            min_trades=search.min_trades,
            selection=search.selection,
            seed=search.seed,
            sampler=SAMPLER_TEXT if ensemble.ranges else "nothing to search",
        ),
        # A list, as it comes back from the file: a resumed run compares the two.
        allocation={
            **ensemble.allocation.as_dict(),
            "weights": list(ensemble.allocation.weights),
        },
        settings=settings.as_dict(),
        settings_text=settings.describe(),
        engine=experiment.backtest.engine,
        versions=versions(),
        code=code_hash(),
        command=command_of(experiment, ensemble, experiment_file),
    )
    return replace(manifest, run_id=run_id_of(asdict(manifest)))


def _strategy_facts(ensemble: Ensemble) -> StrategyFacts:
    """Return the facts of all strategies, joined by `+`; parameters by their names in the run."""
    members = ensemble.members
    classes = [one.strategy.load() for one in members]
    fixed: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for one in members:
        fixed |= one.named(one.space.fixed)
        defaults |= one.named(one.space.defaults)
    return StrategyFacts(
        name=ensemble.name,
        names=tuple(one.strategy.name for one in members),
        class_name="+".join(one.strategy.class_name for one in members),
        file="+".join(Path(one.strategy.path).name for one in members),
        sha256="+".join(one.strategy.sha256 for one in members),
        description=" ".join((inspect.getdoc(cls) or "").partition("\n")[0] for cls in classes),
        fixed=plain(fixed),
        defaults=plain(defaults),
        space={name: describe(limits) for name, limits in ensemble.ranges.items()},
    )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON takes them: numpy scalars unpacked, anything else as text."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


def _plan_facts(
    experiment: Experiment, plan: Plan, clock: Clock, windows: Sequence[Window]
) -> PlanFacts:
    part = experiment.walk_forward
    return PlanFacts(
        train=str(part.train),
        test=str(part.test),
        step=str(part.step or part.test),
        purge=str(part.purge),
        embargo=str(part.embargo),
        anchored=part.anchored,
        short_last=part.short_last,
        warmup_bars=plan.warmup,
        untested_bars=clock.bars - windows[-1].test.stop,
    )


def _window_facts(window: Window, clock: Clock) -> WindowFacts:
    def span(one: Span) -> tuple[int, int]:
        return clock.open_ms(one.first), clock.open_ms(one.stop)

    return WindowFacts(window.number, tuple(map(span, window.train)), span(window.test))
