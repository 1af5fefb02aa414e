"""Machine code is made by the parent, once; workers load it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [
    sys.executable, "-m", "ftbt", "walkforward", "--strategy", "liquidity_sweep", "--to",
    "2024-06-01", "--trials", "2", "--min-trades", "1", "--no-report",
]  # fmt: skip


@pytest.mark.slow
def test_workers_compile_nothing(tmp_path: Path) -> None:
    """A run on two workers adds no machine code to what one process made; it says when it does."""
    cache = tmp_path / "cache"
    root = Path(__file__).parents[2]

    def run(*more: str) -> str:
        done = subprocess.run(
            [*COMMAND, "--results", str(tmp_path / "results"), *more],
            env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        return done.stderr

    assert "compiling once ..." in run("--jobs", "1")
    made = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}
    assert len(made) > 20

    run("--jobs", "2", "--force")

    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")} == made
