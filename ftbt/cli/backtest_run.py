"""What `ftbt backtest` asks, checked, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.reference_engine import Progress
from ftbt.backtest.settings import Settings
from ftbt.cli.asked import experiment_of, names_given
from ftbt.config import Duration
from ftbt.data.market import Market
from ftbt.data.timeframe import Timeframe
from ftbt.errors import ConfigError
from ftbt.risk.allocation import EQUAL, FIXED, Allocation
from ftbt.strategy.parameters import resolve
from ftbt.walkforward.ensemble import Ensemble, make_ensemble
from ftbt.walkforward.evaluate import Evaluation, evaluate
from ftbt.walkforward.inputs import check_words, limits_of, load_symbols
from ftbt.walkforward.pieces import MIN_PIECE, Clock, clock_of, cut
from ftbt.walkforward.windows import Span


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One back-test.

    Attributes:
        ensemble: the strategies; what `--set` gave is fixed.
        segments: stretches of each symbol.
        clock: the span that all symbols share.
        warmup: bars that only warm the lines up.
        in_sample: bars at the front that shares are measured on.
        settings, engine: as given.
        head: everything that decides the result, in plain values.
    """

    ensemble: Ensemble
    segments: Sequence[Sequence[Market]]
    clock: Clock
    warmup: int
    in_sample: int
    settings: Settings
    engine: str
    head: dict[str, Any]


def ask(options: Mapping[str, Any]) -> Question:
    """Return the question that the options of the command mean.

    Raises:
        InputError: anything that the options name and that cannot be used.
    """
    experiment = experiment_of(options, names_given(options))
    check_words(experiment)
    timeframe = Timeframe.parse(experiment.data.timeframe)
    allocation = Allocation(**experiment.allocation.given())
    ensemble = make_ensemble(experiment.strategy, timeframe, allocation)
    settings = Settings(**experiment.backtest.money(), limits=limits_of(experiment.risk))
    segments = list(load_symbols(experiment.data, options["store"]).values())
    clock = clock_of(segments)
    warmup = ensemble.warmup_bars(clock.timeframe)
    in_sample = _in_sample(options["in_sample"], ensemble, clock, warmup)
    head = {
        "strategy": ensemble.name,
        "strategy_sha256": "+".join(one.strategy.sha256 for one in ensemble.members),
        "parameters": _parameters(ensemble, timeframe),
        "symbols": [one[0].symbol for one in segments],
        "timeframe": clock.timeframe.text,
        "data": [market.candles.fingerprint for one in segments for market in one],
        "settings": settings.as_dict(),
        "allocation": allocation.as_dict(),
        "in_sample_bars": in_sample,
        "warmup_bars": warmup,
    }
    engine = experiment.backtest.engine
    return Question(ensemble, segments, clock, warmup, in_sample, settings, engine, head)


def _parameters(ensemble: Ensemble, timeframe: Timeframe) -> dict[str, Any]:
    """Return all values of all strategies, by their names in the run."""
    return {
        name: value
        for one in ensemble.members
        for name, value in one.named(
            resolve(one.strategy.load(), one.space.fixed, timeframe.text)
        ).items()
    }


def _in_sample(text: str | None, ensemble: Ensemble, clock: Clock, warmup: int) -> int:
    """Return the bars that shares are measured on; methods that measure risk need some."""
    method = ensemble.allocation.method
    measures = method not in (EQUAL, FIXED) and len(ensemble.members) > 1
    if text is None:
        if measures:
            raise ConfigError(
                f"--allocation {method} measures risk in-sample: give --in-sample, for example 90d;"
                " the back-test then begins after it"
            )
        return 0
    if not measures:
        raise ConfigError(
            "--in-sample is for several strategies that share by --allocation inverse-volatility"
            " or equal-risk"
        )
    try:
        bars = Duration.parse(text).bars(clock.timeframe.ms, "--in-sample")
    except ValueError as error:
        raise ConfigError(f"--in-sample must be {error}, not {text!r}") from None
    if not warmup + MIN_PIECE <= bars <= clock.bars - MIN_PIECE:
        raise ConfigError(
            f"--in-sample is {bars:,} bars: it must be longer than the warm-up of {warmup:,} and"
            f" shorter than the data of {clock.bars:,} bars"
        )
    return bars


def run(question: Question, tell: Progress | None) -> Evaluation:
    """Return what the strategies did.

    Raises:
        ConfigError: no bar is left to trade after the warm-up.
    """
    span = Span(question.in_sample, question.clock.bars)
    pieces = [cut(one, [span], question.clock, question.warmup) for one in question.segments]
    if not any(one.pieces for one in pieces):
        raise ConfigError(
            f"{question.ensemble.name} needs {question.warmup} bars of"
            f" {question.clock.timeframe} to warm up, and the span has {question.clock.bars}:"
            " give an earlier --from, or more data"
        )
    sleeves, notes = _sleeves(question)
    found = evaluate(
        sleeves,
        pieces,
        question.settings,
        question.engine,
        tell,
        allocation=question.ensemble.allocation,
        attributed=True,
    )
    question.head["weights"] = [sleeve.share for sleeve in sleeves]
    return replace(found, notes=(*found.notes, *notes))


def _sleeves(question: Question) -> tuple[list[Sleeve], tuple[str, ...]]:
    ensemble = question.ensemble
    members = ensemble.members
    returns = None
    if question.in_sample:
        span = Span(0, question.in_sample)
        pieces = [cut(one, [span], question.clock, question.warmup) for one in question.segments]
        if not any(one.pieces for one in pieces):
            raise ConfigError("--in-sample has no bar that can be traded: lengthen it")
        alone = [
            evaluate(
                [Sleeve(one.strategy, one.space.fixed)], pieces, question.settings, question.engine
            )
            for one in members
        ]
        returns = np.column_stack([one.daily_returns()[1] for one in alone])
    names = [one.strategy.name for one in members]
    weights, notes = ensemble.allocation.weights_from(returns, len(members), names)
    sleeves = [
        Sleeve(one.strategy, one.space.fixed, float(weight))
        for one, weight in zip(members, weights, strict=True)
    ]
    return sleeves, notes
