"""The same seed gives the same bytes: on 1, 2 and 4 processes, killed, interrupted and resumed.

Real processes throughout: `python -m ftbt walkforward`, SIGKILL and Ctrl-C.
"""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds the processes of a run through /proc"
)

TRIALS, WINDOWS = 24, 5
Start = Callable[..., subprocess.Popen[str]]

# Tests that a shell starts in the background ignore Ctrl-C, and their children inherit that.
LISTENING = [
    sys.executable,
    "-c",
    (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    ),
]


@pytest.fixture
def start(sma_file: Path, market_file: Path) -> Start:
    """Return the function that starts the program: results folder, more options."""

    def _start(results: Path, *more: str) -> subprocess.Popen[str]:
        command = [
            *LISTENING, "-m", "ftbt", "walkforward", "--strategy", str(sma_file),
            "--data", str(market_file), "--timeframe", "1h", "--train", "8d", "--test", "4d",
            "--min-trades", "3", "--trials", str(TRIALS), "--no-report",
            "--results", str(results), *more,
        ]  # fmt: skip
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return _start


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for success; return what was printed."""
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return out


def digests(results: Path) -> dict[str, str]:
    """Return the sha256 of every result file of the only run."""
    (folder,) = (path for path in results.iterdir() if (path / "manifest.json").exists())
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "timing.json"
    }


def children(pid: int) -> list[int]:
    """Return all processes below *pid*."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(path.name), *children(int(path.name))]
    return found


def wait_until_under_way(
    results: Path, process: subprocess.Popen[str], checkpoint: str = ""
) -> None:
    """Wait for a few checkpoints, or for one of that name; the run must not be over by then."""
    limit = time.monotonic() + 120
    wanted = 1 if checkpoint else 3
    while len(list(results.glob(f"*/work/window-*/{checkpoint or 'trials-*.pickle'}"))) < wanted:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)


def counted(results: Path) -> tuple[int, set[str]]:
    """Return the sum of trials in the ledger, and the windows it names."""
    with (results / "ledger.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sum(int(row["trials"]) for row in rows), {row["window"] for row in rows}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Return the place for the digests of the uninterrupted run, made once."""
    return {}


def expected(reference: dict[str, dict[str, str]], start: Start, tmp_path: Path) -> dict[str, str]:
    """Return the digests of an uninterrupted run on one process."""
    if not reference:
        finish(start(tmp_path / "one", "--jobs", "1"))
        reference["one"] = digests(tmp_path / "one")
    return reference["one"]


@pytest.mark.parametrize("jobs", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_workers_never_change_a_byte(
    reference: dict[str, dict[str, str]], start: Start, tmp_path: Path, jobs: int
) -> None:
    """One process or several: the same files."""
    whole = expected(reference, start, tmp_path)
    finish(start(tmp_path / "many", "--jobs", str(jobs)))

    assert digests(tmp_path / "many") == whole
    assert counted(tmp_path / "many") == (WINDOWS * TRIALS, {str(k) for k in range(WINDOWS)})


@pytest.mark.parametrize("workers_too", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_to_the_same_bytes(
    reference: dict[str, dict[str, str]], start: Start, tmp_path: Path, workers_too: bool
) -> None:
    """SIGKILL in the middle, of all processes or of the parent alone; every trial counts once."""
    whole = expected(reference, start, tmp_path)
    results = tmp_path / "killed"
    process = start(results, "--jobs", "2")
    wait_until_under_way(results, process)
    workers = children(process.pid)
    for pid in [process.pid, *(workers if workers_too else [])]:
        with_no_such_process(os.kill, pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not list(results.glob("*/summary.json"))

    out = finish(start(results, "--jobs", "2", "--resume"))

    assert digests(results) == whole
    assert counted(results) == (WINDOWS * TRIALS, {str(k) for k in range(WINDOWS)})
    assert f"{WINDOWS * TRIALS} trials in this run" in out
    assert not list(results.glob("*/work"))


@pytest.mark.slow
def test_a_run_killed_in_the_second_search_resumes_to_the_same_bytes(
    start: Start, tmp_path: Path, sma_file: Path
) -> None:
    """Two strategies: SIGKILL while the second is searched, which goes on where it was."""
    second = tmp_path / "second.py"
    second.write_text(sma_file.read_text().replace("class SmaCross", "class Second"))
    both = ("--strategy", f"{sma_file},{second}", "--trials", "12", "--allocation", "equal-risk")
    finish(start(tmp_path / "whole", "--jobs", "1", *both))
    process = start(tmp_path / "killed", "--jobs", "1", *both)
    wait_until_under_way(tmp_path / "killed", process, "trials-000012-*.pickle")
    process.kill()
    process.communicate()
    (kept,) = (tmp_path / "killed").glob("*/work/window-000")
    assert list(kept.glob("trials-*-000012.pickle"))
    assert not (kept / "outcome.pickle").exists()

    finish(start(tmp_path / "killed", "--jobs", "2", "--resume", *both))

    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    assert counted(tmp_path / "killed")[0] == WINDOWS * 2 * 12


def with_no_such_process(call: Callable[..., None], *arguments: int) -> None:
    """Call, and accept that a process is gone already."""
    try:
        call(*arguments)
    except ProcessLookupError:
        return


@pytest.mark.slow
def test_orphaned_workers_end_by_themselves(start: Start, tmp_path: Path) -> None:
    """When only the parent is killed its workers stop at the next trial."""
    process = start(tmp_path, "--jobs", "2", "--trials", "400")
    wait_until_under_way(tmp_path, process)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()

    limit = time.monotonic() + 30
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < limit
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    reference: dict[str, dict[str, str]], start: Start, tmp_path: Path
) -> None:
    """The terminal's signal reaches all processes; exit code 130, no traceback, then --resume."""
    whole = expected(reference, start, tmp_path)
    results = tmp_path / "stopped"
    process = start(results, "--jobs", "2")
    wait_until_under_way(results, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "the same command with --resume goes on" in err
    assert "Traceback" not in err
    some, _ = counted(results)
    assert 0 < some < WINDOWS * TRIALS

    finish(start(results, "--jobs", "1", "--resume"))
    assert digests(results) == whole
    assert counted(results)[0] == WINDOWS * TRIALS


@pytest.mark.slow
def test_a_dead_worker_does_not_lose_the_run(
    reference: dict[str, dict[str, str]], start: Start, tmp_path: Path
) -> None:
    """One worker is killed, as the system does when memory is short: the windows are run again."""
    whole = expected(reference, start, tmp_path)
    results = tmp_path / "dead"
    process = start(results, "--jobs", "2")
    wait_until_under_way(results, process)
    worker = next(pid for pid in children(process.pid) if is_worker(pid))
    os.kill(worker, signal.SIGKILL)
    finish(process)

    assert digests(results) == whole


def is_worker(pid: int) -> bool:
    """Return whether a process is one of the pool (and not its resource tracker)."""
    return b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes()


DEADLY = '''

class Deadly(SmaCross):
    """Kills its own process on 24 January, as a crash in compiled code would."""

    def next(self):
        import os

        if self.data.datetime.datetime(0).isoformat() >= "2024-01-24":
            os.kill(os.getpid(), 9)
        super().next()
'''


@pytest.mark.slow
def test_a_window_that_kills_its_worker_is_a_failed_window(
    start: Start, tmp_path: Path, sma_file: Path
) -> None:
    """The others are finished; exit code 3; the reason says what happened."""
    strategy = tmp_path / "deadly.py"
    strategy.write_text(sma_file.read_text() + DEADLY)
    process = start(
        tmp_path / "results", "--jobs", "2", "--strategy", f"{strategy}:Deadly", "--trials", "8"
    )
    out, err = process.communicate(timeout=180)

    assert process.returncode == 3, err
    assert "note: window 4 failed: its worker process died twice" in out
    assert "note: window 3 failed: its worker process died twice" in out
    assert "window 2 failed" not in out
    assert counted(tmp_path / "results")[0] == 3 * 8 + 8
