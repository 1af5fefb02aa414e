"""Makes the tools of these tests importable, whatever the import mode of pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ftbt.robustness.assess import assess
from ftbt.robustness.assessment import Assessment
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))

import small_runs  # noqa: E402 - found beside this file


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, Run]:
    """Return a walk-forward of moving averages on a market that trends: a planted edge."""
    folder = tmp_path_factory.mktemp("edge")
    inputs = small_runs.ask(folder, [small_runs.trending("BTC", 24 * 82, 1)])
    return inputs, small_runs.run_of(inputs, folder / "results")


@pytest.fixture(scope="session")
def assessed(edge: tuple[Inputs, Run]) -> Assessment:
    """Return the assessment of the planted edge with everything that needs candles."""
    inputs, run = edge
    return assess(run, inputs)


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inputs, Run]:
    """Return a walk-forward on a random walk: there is nothing to find."""
    folder = tmp_path_factory.mktemp("walk")
    candles = small_runs.helpers().random_walk("BTC", 24 * 82, 3)
    inputs = small_runs.ask(folder, [candles], search={"trials": 4})
    return inputs, small_runs.run_of(inputs, folder / "results")
