"""Makes the helper module of these tests importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))


@pytest.fixture(scope="session")
def net():
    """Run one exchange with two coins for all tests: standing still, without budgets."""
    from localnet_kit import running, wave

    with running(wave("BTC", 40_000, 400), wave("ETH", 2000, 400, seed=4), limits=False) as one:
        one.step()
        yield one
