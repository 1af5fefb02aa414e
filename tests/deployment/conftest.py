"""A small judged walk-forward to promote."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
for _folder in (_HERE, _HERE.parent / "robustness"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))

from judged_kit import Judged  # noqa: E402 - the folders must be known first
from small_runs import ask, run_of, trending  # noqa: E402

from ftbt.robustness.assess import assess  # noqa: E402
from ftbt.robustness.assessment_files import write_assessment  # noqa: E402


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Return a walk-forward of two strategies on two symbols, judged from its folder alone."""
    place = tmp_path_factory.mktemp("judged")
    candles = [trending("BTC", 24 * 75, 1), trending("ETH", 24 * 75, 2)]
    inputs = ask(
        place,
        candles,
        ("sma_cross", "other_cross"),
        strategy={
            "name": f"{place / 'sma_cross.py'},{place / 'other_cross.py'}",
            "parameters": {"sma_cross.flip": True, "other_cross.slow": 12},
        },
        allocation={"method": "fixed", "weights": [3.0, 1.0]},
        risk={"limits": "default", "positions": 2},
    )
    run = run_of(inputs, place / "results")
    write_assessment(run.folder, assess(run, None))
    return Judged(run.folder, inputs, place)
