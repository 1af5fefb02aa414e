"""How far a run is, as told to people."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftbt.cli.walkforward_progress import Lines, describe
from ftbt.walkforward.checkpoint import Progress, WindowFolder
from ftbt.walkforward.progress import Snapshot, Watcher


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pace_and_time_left_are_of_this_execution(tmp_path: Path) -> None:
    """Measured from its first trial on; a window that ended early has nothing left to do."""
    folders = [tmp_path / str(k) for k in range(3)]
    clock = Clock()
    watcher = Watcher(folders, 10, clock)
    first = WindowFolder(folders[0])

    assert watcher.snapshot() == Snapshot(3, 0, 0, 30, 0, None, None, None)
    clock.now += 60
    first.report(Progress(2, 0.5))
    assert watcher.snapshot().rate is None
    clock.now += 2
    first.report(Progress(6, 0.5))
    WindowFolder(folders[1]).report(Progress(4, 1.5))
    assert watcher.snapshot() == Snapshot(3, 0, 0, 30, 10, 1.5, 4.0, 5.0)
    WindowFolder(folders[2]).report(Progress(0, None, done=True, failed=True))
    assert watcher.snapshot() == Snapshot(3, 1, 1, 20, 10, 1.5, 4.0, 2.5)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (Snapshot(8, 0, 0, 192, 0, None, None, None), "windows 0/8, trials 0/192"),
        (
            Snapshot(8, 3, 1, 1192, 75, 2.31, 4.06, 30.2),
            "windows 3/8 (1 failed), trials 75/1,192, best 2.31, 4.1 trials/s, 30 s left",
        ),
        (
            Snapshot(8, 3, 0, 192, 75, 1234567.8, 0.5, 600.0),
            "windows 3/8, trials 75/192, best 1,234,568, 0.5 trials/s, 10 min left",
        ),
    ],
)
def test_one_line_says_it_all(state: Snapshot, text: str) -> None:
    """Windows, trials, best value, rate, time left; what is unknown is left out."""
    assert describe(state) == text


def test_plain_lines_come_seldom_and_never_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """Every five seconds at most, nothing when nothing moved, and the end at once."""
    clock = Clock()
    lines = Lines(5.0, clock)

    for second in range(21):
        clock.now = 100.0 + second
        lines.update(Snapshot(2, 0, 0, 20, min(second, 12), None, None, None))
    lines.update(Snapshot(2, 2, 0, 20, 20, None, None, None))
    lines.update(Snapshot(2, 2, 0, 20, 20, None, None, None))

    said = capsys.readouterr().err.splitlines()
    assert said == [
        "windows 0/2, trials 5/20",
        "windows 0/2, trials 10/20",
        "windows 0/2, trials 12/20",
        "windows 2/2, trials 20/20",
    ]
