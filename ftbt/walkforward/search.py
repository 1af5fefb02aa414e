"""The search of one window: Optuna behind three verbs, ask, tell and save.

The only module that knows Optuna. One study per window, in memory. Trials are asked for and told
in batches of a fixed size, in order, so the path of the search depends on the seed alone: not on
the number of workers, not on their speed. The sampler is pickled together with the finished trials
between two batches; a study restored from that goes on exactly as if it had never stopped (a fresh
sampler with the same seed would not).
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from ftbt.ranges import Bool, Choice, Float, Int, Range

# Trials that are asked for before any of them is told. Part of the result: never depends on the
# machine. Small, so that little is lost to a kill.
BATCH = 4

# Every argument is named, so that a change of Optuna's defaults is no change of ours.
STARTUP_TRIALS = 10
EI_CANDIDATES = 24
SAMPLER_TEXT = (
    f"TPESampler(n_startup_trials={STARTUP_TRIALS}, n_ei_candidates={EI_CANDIDATES},"
    f" multivariate=True, group=False, constant_liar=True), batches of {BATCH},"
    " first trial: the strategy's own parameters"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter set to try.

    Attributes:
        number: of the trial in its study, from 0.
        values: searched parameters.
    """

    number: int
    values: dict[str, Any]


def window_seed(seed: int, window: int, member: int = 0) -> int:
    """Return the seed of a sampler: independent between windows and strategies, the same anywhere.

    The first strategy's does not depend on whether there are more.
    """
    key = (window, member) if member else (window,)
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=key)
    return int(sequence.generate_state(1, np.uint32)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log and its notes on experimental features from the user's terminal."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


class Study:
    """One search; made by `start` or `restore`."""

    def __init__(self, ranges: Mapping[str, Range], sampler: optuna.samplers.BaseSampler) -> None:
        self._space = {name: _distribution(limits) for name, limits in ranges.items()}
        self._sampler = sampler
        with _quiet():
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._open: dict[int, optuna.Trial] = {}

    @classmethod
    def start(cls, ranges: Mapping[str, Range], first: Mapping[str, Any], seed: int) -> Study:
        """Return a new study whose first trial is *first*."""
        with _quiet():
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP_TRIALS,
                n_ei_candidates=EI_CANDIDATES,
                multivariate=True,
                group=False,
                constant_liar=True,
                seed=seed,
            )
        study = cls(ranges, sampler)
        if first:
            study._study.enqueue_trial(dict(first))
        return study

    @classmethod
    def restore(
        cls, ranges: Mapping[str, Range], sampler: bytes, trials: Sequence[FrozenTrial]
    ) -> Study:
        """Return the study that `sampler_state` and `finished_trials` were taken of."""
        # The bytes are this program's own checkpoint in the run folder.
        study = cls(ranges, pickle.loads(sampler))  # noqa: S301
        with _quiet():
            study._study.add_trials(trials)
        return study

    def ask(self, count: int) -> list[Asked]:
        """Return the next *count* parameter sets; the rest of the batch counts as running."""
        with _quiet():
            trials = [self._study.ask(self._space) for _ in range(count)]
        self._open.update({trial.number: trial for trial in trials})
        return [Asked(trial.number, dict(trial.params)) for trial in trials]

    def tell(self, number: int, value: float | None) -> None:
        """Report the value of a trial; None: it failed."""
        trial = self._open.pop(number)
        with _quiet():
            if value is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, value)

    def sampler_state(self) -> bytes:
        """Return the sampler, random numbers included."""
        return pickle.dumps(self._sampler)

    def finished_trials(self, since: int) -> list[FrozenTrial]:
        """Return the told trials from number *since* on; not to be changed."""
        return self._study.get_trials(deepcopy=False)[since:]


def _distribution(limits: Range) -> BaseDistribution:
    if isinstance(limits, Int):
        return IntDistribution(limits.low, limits.high, step=limits.step)
    if isinstance(limits, Float):
        return FloatDistribution(limits.low, limits.high, log=limits.log, step=limits.step)
    if isinstance(limits, Choice):
        return CategoricalDistribution(limits.words)
    assert isinstance(limits, Bool)
    return CategoricalDistribution((False, True))
