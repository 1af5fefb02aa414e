"""What a worker holds on to between windows: what it has loaded, and no lines of windows past."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest
from run_kit import Walk, ask

from ftbt.backtest.prepared import Kept
from ftbt.data.parquet import write_candles
from ftbt.smc.base import LineCache
from ftbt.walkforward.tasks import WindowTask, run_window


@pytest.fixture
def tasks(walk: Walk, sma_file: Path, tmp_path: Path) -> list[WindowTask]:
    """Return windows of a strategy that computes SMC lines."""
    long = tmp_path / "BTC-1h.parquet"
    write_candles(long, walk("BTC", 60 * 24, 7))
    inputs = ask(sma_file, long, strategy={"name": "bos_orderblock"}, search={"trials": 2})
    made = [inputs.task(window, Path(), os.getpid()) for window in inputs.windows]
    return [replace(one, folder=tmp_path / str(n)) for n, one in enumerate(made)]


def test_what_was_made_of_a_finished_windows_candles_is_forgotten(
    tasks: list[WindowTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other window has the same candles: what is kept of one only fills the worker's memory."""
    used: list[LineCache | Kept] = []
    get, put = LineCache.get, Kept.put

    def noted_get(cache: LineCache, *arguments: Any) -> Any:
        used.append(cache)
        return get(cache, *arguments)

    def noted_put(kept: Kept, *arguments: Any) -> None:
        used.append(kept)
        put(kept, *arguments)

    monkeypatch.setattr(LineCache, "get", noted_get)
    monkeypatch.setattr(Kept, "put", noted_put)

    run_window(tasks[0])

    assert {type(one) for one in used} == {LineCache, Kept}
    assert {len(one) for one in used} == {0}


def _objects_after(task: WindowTask) -> tuple[int, int]:
    """Run in a worker: return how many objects are spared for good, and how many are not."""
    run_window(task)
    return gc.get_freeze_count(), len(gc.get_objects())


def test_a_worker_does_not_search_what_it_has_loaded_for_garbage(tasks: list[WindowTask]) -> None:
    """Garbage is collected by joblib after each task: over all modules, a tenth of a search."""
    found = joblib.Parallel(2)(joblib.delayed(_objects_after)(task) for task in tasks)

    # Of five windows one worker at least has had two, and what the first one loaded is spared.
    spared, left = min(found, key=lambda one: one[1])
    assert spared > 10 * left, found


def test_the_users_own_process_is_left_as_it_was(tasks: list[WindowTask]) -> None:
    """With one job the search runs where the user's own objects are."""
    before = gc.get_freeze_count()

    run_window(tasks[0])

    assert gc.get_freeze_count() == before
