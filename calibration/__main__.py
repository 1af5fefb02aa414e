"""`python -m calibration`: run the pipelines, or go on with them, and count the verdicts.

    python -m calibration                     all pipelines, then the figures and the page
    python -m calibration --pipelines 8       fewer of them (of the largest scenario)
    python -m calibration tune                what edges are worth, for calibration.plan
    python -m calibration judge               today's gates on kept assessments (--evidence)

Exit codes: 0 all figures are met; 1 one is missed; 2 wrong words; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibration.evidence import judged, kept
from calibration.figures import figures, missed
from calibration.page import publish
from calibration.pipeline import Size, Task, out_of_sample_sharpe, row_of
from calibration.plan import ROTATION, SEED, tasks
from calibration.rows import Rows, program
from calibration.running import Progress, run
from ftbt import __version__
from ftbt.data.files import atomic_write
from ftbt.errors import FtbtError
from ftbt.walkforward.fingerprint import versions

RESULT = "calibration.json"
# Numbers of markets that only `tune` looks at.
TUNED = 100_000
ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(
        prog="python -m calibration", description=__doc__.splitlines()[0]
    )
    made.add_argument("what", nargs="?", choices=("run", "tune", "judge"), default="run")
    made.add_argument("--pipelines", type=int, help="of the largest scenario; others in proportion")
    made.add_argument("--seed", type=int, default=SEED, help="of everything (default %(default)s)")
    made.add_argument("--jobs", type=int, default=2, help="processes (default %(default)s)")
    made.add_argument("--results", type=Path, default=Path("results"), help="where rows are kept")
    made.add_argument("--evidence", type=Path, help="folder that keeps the assessments")
    made.add_argument("--publish", action="store_true", help="write the page into docs/reference")
    return made


def main(words: Sequence[str]) -> int:
    """Do what *words* say and return the exit code."""
    asked = parser().parse_args(words)
    if asked.jobs < 1 or asked.seed < 0:
        print("error: --jobs must be at least 1 and --seed at least 0", file=sys.stderr)
        return 2
    try:
        return {"run": _run, "tune": _tune, "judge": _judge}[asked.what](asked)
    except FtbtError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130


def _run(asked: argparse.Namespace) -> int:
    every = tasks(asked.seed, asked.pipelines)
    rows = Rows(asked.results / "calibration", asked.seed, Size())
    try:
        run(every, rows, asked.jobs, _told, asked.evidence)
    finally:
        known = rows.read()
        done = [known[one.key] for one in every if one.key in known]
        found = figures(done, _about(asked.seed, len(done), len(every)))
        _write(found, asked)
    return _verdict(found)


def _judge(asked: argparse.Namespace) -> int:
    if asked.evidence is None or not asked.evidence.is_dir():
        print("error: judge needs --evidence FOLDER, as a run has filled it", file=sys.stderr)
        return 2
    rows = [row_of(task, judged(found), seconds) for task, found, seconds in kept(asked.evidence)]
    own = [row for row in rows if row["seed"] == asked.seed]
    found = figures(own, _about(asked.seed, len(own), len(tasks(asked.seed, asked.pipelines))))
    _write(found, asked)
    return _verdict(found)


def _tune(asked: argparse.Namespace) -> int:
    """Print what some strengths are worth, on markets that the calibration does not use."""
    for strategy in ROTATION:
        for edge in (0.0, 0.25, 0.5, 0.75, 1.0, 1.25):
            own = [
                out_of_sample_sharpe(
                    Task("tune", 100_000 + n, "sample", strategy, edge, asked.seed)
                )
                for n in range(asked.pipelines or 8)
            ]
            mean = sum(ratio for ratio, _ in own) / len(own)
            trades = sorted(count for _, count in own)[len(own) // 2]
            print(f"{strategy} {edge:.2f}: annual Sharpe {mean:.2f}, {trades} trades", flush=True)
    return 0


def _about(seed: int, done: int, planned: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "size": asdict(Size()),
        "done": done,
        "planned": planned,
        "program": program(),
        "ftbt": __version__,
        "versions": versions(),
        "machine": platform.machine(),
    }


def _write(found: dict[str, Any], asked: argparse.Namespace) -> None:
    text = json.dumps(found, indent=1) + "\n"
    atomic_write(asked.results / RESULT, text)
    print(f"\n{asked.results / RESULT}: {found['about']['done']} pipelines")
    for name, one in found["scenarios"].items():
        states = one["states"]
        if states["PASS"]["count"]:
            shares = ", ".join(f"{key} {value['rate']:.1%}" for key, value in states.items())
            print(f"  {name} ({states['PASS']['count']}, mean annual Sharpe"
                  f" {one['sharpe']['mean']:.2f}): {shares}")  # fmt: skip
    if asked.publish:
        for path in publish(found, REFERENCE):
            print(f"{path}: written")


def _verdict(found: dict[str, Any]) -> int:
    problems = missed(found)
    for one in problems:
        print(f"MISSED {one}", file=sys.stderr)
    return 1 if problems else 0


def _told(progress: Progress) -> None:
    left = f"{progress.minutes_left:.0f} min left" if progress.rate == progress.rate else "..."
    rate = f"{progress.rate:.1f} a minute" if progress.rate == progress.rate else "-"
    line = f"pipeline {progress.done} of {progress.every}, {rate}, {left}"
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{line:<70}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
