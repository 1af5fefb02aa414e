"""The search: the seed alone decides its path, and a restored one goes on as if never stopped."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.walkforward.search import BATCH, STARTUP_TRIALS, Study, window_seed

SPACE: dict[str, Range] = {
    "swing": Int(2, 20),
    "rr": Float(0.1, 10.0, log=True),
    "bias": Choice("1h", "4h", "1d"),
    "strict": Bool(),
    "hold": Int(0, 9, 3),
    "share": Float(0.0, 1.0, 0.1),
}
FIRST = {"swing": 5, "rr": 1.0, "bias": "4h", "strict": True, "hold": 3, "share": 0.3}


def value_of(values: Mapping[str, Any]) -> float:
    """Return a smooth objective with one peak."""
    return -abs(values["swing"] - 7) - abs(values["rr"] - 2.0) + (values["bias"] == "1d")


def path_of(seed: int, trials: int, *, restarts: bool = False) -> list[dict[str, Any]]:
    """Return the asked parameter sets; trial 6 fails; with *restarts* after every batch."""
    study = Study.start(SPACE, FIRST, seed)
    asked: list[dict[str, Any]] = []
    told: list[Any] = []
    while len(asked) < trials:
        for one in study.ask(BATCH):
            assert one.number == len(asked)
            asked.append(one.values)
            study.tell(one.number, None if one.number == 6 else value_of(one.values))
        if restarts:
            told = pickle.loads(pickle.dumps(told + study.finished_trials(len(told))))
            study = Study.restore(SPACE, study.sampler_state(), told)
    return asked


def test_a_restored_search_goes_on_as_if_never_stopped() -> None:
    """After every batch the study is thrown away and restored; no parameter set differs."""
    assert path_of(3, 40, restarts=True) == path_of(3, 40)


def test_the_seed_decides_the_path() -> None:
    """Same seed, same path; another seed, another path from the second trial on."""
    assert path_of(3, 12) == path_of(3, 12)
    assert path_of(3, 12)[1:] != path_of(4, 12)[1:]


def test_a_fresh_sampler_with_the_same_seed_would_not_do() -> None:
    """Why the sampler's state is saved: a new one repeats its first random numbers."""
    study = Study.start(SPACE, FIRST, 3)
    for one in study.ask(BATCH):
        study.tell(one.number, value_of(one.values))
    fresh = Study.start(SPACE, {}, 3)
    wrong = Study.restore(SPACE, fresh.sampler_state(), study.finished_trials(0))

    assert [one.values for one in wrong.ask(BATCH)] != path_of(3, 2 * BATCH)[BATCH:]


def test_the_first_trial_is_the_strategys_own() -> None:
    """The defaults are always among the trials."""
    assert path_of(3, 4)[0] == FIRST


def test_values_keep_to_their_ranges() -> None:
    """Every asked value passes the range that also validates what users give."""
    for values in path_of(5, 40):
        for name, limits in SPACE.items():
            assert limits.check(name, values[name]) == pytest.approx(values[name])
        assert values["hold"] in (0, 3, 6, 9)


def test_the_search_learns() -> None:
    """After the random start the values are better on average than in it."""
    values = [value_of(one) for one in path_of(3, 60)]

    later = values[STARTUP_TRIALS:]
    assert sum(later) / len(later) > sum(values[:STARTUP_TRIALS]) / STARTUP_TRIALS + 2.0


def test_windows_have_independent_seeds() -> None:
    """Each window has a seed of its own, always the same one."""
    seeds = [window_seed(1, window) for window in range(50)]

    assert len(set(seeds)) == 50
    assert seeds == [window_seed(1, window) for window in range(50)]
    assert seeds[0] != window_seed(2, 0)
    assert window_seed(1, 0) == 1641411168


def test_nothing_to_search_is_one_empty_set() -> None:
    """A strategy without ranges still has its own parameters tried."""
    study = Study.start({}, {}, 1)

    assert [one.values for one in study.ask(1)] == [{}]


def test_optuna_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither log lines nor warnings reach the user's terminal, and the level is given back."""
    optuna_logger = logging.getLogger("optuna")
    before = optuna_logger.level
    path_of(3, 16)

    assert capfd.readouterr() == ("", "")
    assert optuna_logger.level == before


def test_optuna_is_imported_in_one_place_only() -> None:
    """The rest of the package speaks of trials without knowing who chose them."""
    assert "optuna" in sys.modules["ftbt.walkforward.search"].__dict__
