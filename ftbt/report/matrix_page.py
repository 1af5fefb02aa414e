"""From the folder of a matrix to `matrix.html`: nothing but the folder is read."""

from __future__ import annotations

from pathlib import Path

from ftbt import __version__
from ftbt.data.files import atomic_write
from ftbt.report import matrix_blocks
from ftbt.report.blocks import Block, Built, Code, Facts, Notice, Prose, Section
from ftbt.report.format import plural
from ftbt.report.page import page
from ftbt.robustness.matrix import Matrix
from ftbt.robustness.plain_files import load_matrix

PAGE = "matrix.html"
FOOTER = (
    "Back-tested results are hypothetical; trading can lose all of the money put in, and more is"
    " not known than is written here."
)
OWN_REPORT = (
    "The walk-forward command of a cell judges its run. Its own report then shows this"
    " matrix, and can be made anew from its folder alone:"
)


def write_matrix_page(folder: Path) -> Path:
    """Write `matrix.html` into *folder* from its matrix.json alone and return its path.

    Raises:
        StorageError: when there is no matrix, or a file can't be read or written.
    """
    path = folder / PAGE
    atomic_write(path, render_matrix(load_matrix(folder)))
    return path


def render_matrix(found: Matrix) -> str:
    """Return the page of a matrix: same matrix, same bytes."""
    return page(
        title=found.name,
        subtitle=f"{plural(len(found.cells), 'walk-forward')}: trainings of"
        f" {', '.join(found.trains)}; tests of {', '.join(found.tests)}",
        kind="walk-forward matrix",
        head=synthetic(found.synthetic),
        sections=[
            built(
                "matrix",
                "Does it hang on the lengths?",
                matrix_blocks.blocks(found),
                "Each cell is a whole walk-forward. A lone good pair is likely luck.",
            ),
            built("runs", "The runs", _runs(found), "Each can be looked at and judged by itself."),
        ],
        footer=f"Made by ftbt {__version__} from matrix.json. {FOOTER}",
    )


def built(anchor: str, title: str, blocks: list[Block], lead: str = "") -> Built:
    """Return a section whose blocks are there already."""
    return Built(Section(anchor, title, lambda _: blocks, lead), blocks)


def synthetic(made_up: bool) -> list[Block]:
    """Return the banner of a made-up market."""
    if not made_up:
        return []
    text = "Made-up prices: nothing here is about a real market."
    return [Notice("Synthetic market", text, "hold")]


def _runs(found: Matrix) -> list[Block]:
    return [
        Facts([(f"{one.train}, {one.test}", one.run_id) for one in found.cells], style="code"),
        Prose([OWN_REPORT]),
        Code(f"ftbt report {found.cells[0].run_id}"),
    ]
