"""The matrix: its criteria by hand, its page, and its place in the report of one of its runs."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from report_runs import Plot, write_run

from ftbt.errors import StorageError
from ftbt.report import render as render_module
from ftbt.report.matrix_page import render_matrix, write_matrix_page
from ftbt.report.render import render
from ftbt.report.sections import reproduce, windows
from ftbt.robustness.assessment_files import from_plain, to_plain
from ftbt.robustness.matrix import CRITERIA, Matrix, matrix_of
from ftbt.robustness.plain_files import MATRIX, load_matrix, write_plain
from ftbt.walkforward.result import Run
from ftbt.walkforward.store import load_run

TRAINS, TESTS = ("60d", "90d"), ("15d", "30d")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Return four runs: two good ones, one that lost, one with a failed window."""
    place = tmp_path_factory.mktemp("cells")
    plots = (
        Plot(train=60, test=15, windows=8, trades=30, drift=0.5, seed=1, trials=3),
        Plot(train=60, test=30, windows=4, trades=40, drift=-0.3, seed=2, trials=3),
        Plot(train=90, test=15, windows=6, trades=30, drift=0.5, seed=4, trials=3),
        Plot(train=90, test=30, windows=3, trades=40, drift=0.4, seed=3, failed=(1,), trials=3),
    )
    return [
        load_run(write_run(place / f"liquidity_sweep-BTC-15m-{n:08d}", plot))
        for n, plot in enumerate(plots)
    ]


@pytest.fixture(scope="module")
def found(runs: list[Run]) -> Matrix:
    """Return their matrix."""
    return matrix_of(runs, TRAINS, TESTS)


def test_the_criteria_are_tradestations(runs: list[Run], found: Matrix) -> None:
    """Each cell's five criteria follow from the table of its windows."""
    for run, cell in zip(runs, found.cells, strict=True):
        frame = run.windows
        net = (frame["end_equity"] - frame["start_equity"]).to_numpy()
        efficiency = run.summary.walk_forward_efficiency
        by_hand = (
            net.sum() > 0,
            efficiency is not None and efficiency >= 0.5,
            (net > 0).mean() >= 0.5,
            net.sum() > 0 and net.max() / net.sum() < 0.5,
            np.nanmax(-frame["test_max_drawdown"]) < 0.4,
        )
        assert cell.met == tuple(map(int, by_hand))
        assert cell.passed == all(by_hand)
    assert len(CRITERIA) == len(found.cells[0].met)
    assert [(one.train, one.test) for one in found.cells] == [
        ("60d", "15d"), ("60d", "30d"), ("90d", "15d"), ("90d", "30d"),
    ]  # fmt: skip
    assert found.cells[3].failed == 1


def test_cells_are_looks(found: Matrix) -> None:
    """The words count cells and trials, and Holm's p-values are never below the plain ones."""
    trials = sum(one.trials for one in found.cells)

    assert f"4 looks at the same market, with {trials} trials" in found.looks
    assert all(one.p_holm >= 1.0 - one.psr for one in found.cells)
    assert found.share_holm <= found.share_psr
    assert 0 < found.common_days <= min(one.days for one in found.cells)


def test_the_area_decides_the_words(runs: list[Run]) -> None:
    """Efficiency lifted: the good cells pass, and only neighbours make an area."""
    lifted = [
        replace(one, summary=replace(one.summary, walk_forward_efficiency=0.8)) for one in runs
    ]
    found = matrix_of(lifted, TRAINS, TESTS)
    passed = [one.passed for one in found.cells]

    assert passed == [True, False, True, False]
    assert found.area_cells == (0, 2)
    assert "2 of 4 pairs of lengths meet all criteria; 2 of them are neighbours" in found.sentence


def test_a_matrix_goes_both_ways(found: Matrix, tmp_path: Path) -> None:
    """What was written is read; damage and other versions are told as such."""
    write_plain(tmp_path / MATRIX, found)
    first = (tmp_path / MATRIX).read_bytes()

    assert to_plain(load_matrix(tmp_path)) == to_plain(found)
    assert to_plain(from_plain(Matrix, to_plain(found))) == to_plain(found)
    write_plain(tmp_path / MATRIX, found)
    assert (tmp_path / MATRIX).read_bytes() == first
    (tmp_path / MATRIX).write_text('{"format": 99}')
    with pytest.raises(StorageError, match="another version"):
        load_matrix(tmp_path)
    (tmp_path / MATRIX).write_text('{"format": 1}')
    with pytest.raises(StorageError, match="make it again with `ftbt matrix`"):
        load_matrix(tmp_path)
    with pytest.raises(StorageError, match="has no matrix"):
        load_matrix(tmp_path / "nowhere")


def test_the_page_is_made_from_the_folder_alone(found: Matrix, tmp_path: Path) -> None:
    """Same folder, same bytes; nothing is fetched, and only the one script may run."""
    write_plain(tmp_path / MATRIX, found)
    text = write_matrix_page(tmp_path).read_text()

    assert text == render_matrix(found)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in unescape(text)
    assert not re.search(r"https?:|<(?:link|img|iframe|object|embed|base)\b", text)
    assert all(one.run_id in text for one in found.cells)
    assert len(text) < 300_000


def test_the_report_of_a_cell_shows_the_matrix(
    runs: list[Run], found: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a matrix in its folder the report frames this run in it; without one it has none."""
    # The other sections know nothing of it, and their drawings take a while.
    monkeypatch.setattr(render_module, "SECTIONS", (windows.SECTION, reproduce.SECTION))
    folder = write_run(tmp_path / runs[0].folder.name, Plot(windows=2, trials=3))
    before = render(folder)
    write_plain(folder / MATRIX, found)
    after = render(folder)

    assert "matrix-map" not in before
    assert "matrix-map" in after
    assert "this run" in after
    assert "Framed: this run." in after
    assert "matrix.json" in after
