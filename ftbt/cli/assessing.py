"""From a finished run to its verdict, with what is being done shown on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ftbt.robustness.assess import Progress
    from ftbt.walkforward.inputs import Inputs

WIDTH = 72


def assess_run(folder: Path, inputs: Inputs) -> None:
    """Assess the finished run in *folder* and write `robustness.json` there."""
    from ftbt.robustness.assess import assess  # noqa: PLC0415 - help answers without these
    from ftbt.robustness.assessment_files import write_assessment  # noqa: PLC0415
    from ftbt.walkforward.store import load_run  # noqa: PLC0415

    with _shown() as tell:
        assessment = assess(load_run(folder), inputs, progress=tell)
    write_assessment(folder, assessment)


def show_verdict(folder: Path) -> None:
    """Print the verdict: what it is, why, the most damaging number, what would change it."""
    from ftbt.robustness.assessment_files import load_assessment  # noqa: PLC0415

    verdict = load_assessment(folder).verdict
    click.echo(f"verdict: {verdict.headline}")
    for sentence in (verdict.sentence, verdict.worst, verdict.change):
        if sentence:
            click.echo(f"  {sentence}")


@contextmanager
def _shown() -> Iterator[Progress]:
    """Yield what shows the progress: one line redrawn on a terminal, one line a phase elsewhere."""
    terminal = sys.stderr.isatty()
    last = ""

    def tell(phase: str, done: int, steps: int) -> None:
        nonlocal last
        if terminal:
            click.echo(f"\rassessing: {phase} {done}/{steps}".ljust(WIDTH), nl=False, err=True)
        elif phase != last:
            click.echo(f"assessing: {phase}", err=True)
        last = phase

    try:
        yield tell
    finally:
        if terminal and last:
            click.echo("\r" + " " * WIDTH + "\r", nl=False, err=True)
