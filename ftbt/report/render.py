"""From a run folder to `report.html`: nothing but the folder is read."""

from __future__ import annotations

from pathlib import Path

from ftbt import __version__
from ftbt.data.files import atomic_write
from ftbt.report.blocks import Built
from ftbt.report.page import page
from ftbt.report.sections import SECTIONS, header
from ftbt.report.seen import load
from ftbt.report.source import Source
from ftbt.robustness.assessment_files import has_assessment, load_assessment
from ftbt.robustness.plain_files import has_matrix, load_matrix
from ftbt.walkforward.store import load_run

REPORT = "report.html"


def render(folder: Path) -> str:
    """Return the report of the run in *folder* as one HTML page: same folder, same bytes.

    Raises:
        StorageError: when there is no finished run, or a file of it can't be read.
    """
    found = load_assessment(folder) if has_assessment(folder) else None
    matrix = load_matrix(folder) if has_matrix(folder) else None
    return page_of(Source(load_run(folder), load(folder), found, matrix))


def page_of(source: Source) -> str:
    """Return the page of what was read from a run folder."""
    built = [Built(section, section.build(source)) for section in SECTIONS]
    footer = (
        f"Made by ftbt {__version__} from the run {source.run.manifest.run_id}. Back-tested results"
        " are hypothetical; trading can lose all of the money put in, and more is not known than"
        " is written here."
    )
    return page(
        title=header.title(source),
        subtitle=header.subtitle(source),
        head=header.build(source),
        sections=[one for one in built if one.blocks],
        footer=footer,
    )


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into *run_folder* from the run's files alone and return its path.

    Raises:
        StorageError: when there is no finished run, or a file can't be read or written.
    """
    path = Path(run_folder) / REPORT
    atomic_write(path, render(Path(run_folder)))
    return path
