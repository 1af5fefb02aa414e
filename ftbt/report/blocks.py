"""What a section is made of. A section lists blocks; only the templates know HTML.

A new section is one module in `ftbt/report/sections` with a `SECTION` and one entry in the list
there. A figure cannot be made without its table and without "how computed": the type asks for
both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from matplotlib.figure import Figure as Drawing

from ftbt.report.theme import Layout

if TYPE_CHECKING:
    from ftbt.report.source import Source


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table.

    Attributes:
        text: as shown.
        tone: "gain", "loss", "muted" or "": shown by colour beside the sign, never instead of it.
        note: a footnote, for example why the value is n/a.
        detail: a second line in small type.
    """

    text: str
    tone: str = ""
    note: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers are set flush right in figures of equal width."""

    title: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells. The first column is each row's heading.

    A *stacked* table becomes one card per row on a phone, each value under its column's title.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    note: str = ""
    stacked: bool = False

    @property
    def cells(self) -> list[list[Cell]]:
        """All rows with plain strings turned into cells."""
        return [
            [Cell(item) if isinstance(item, str) else item for item in row] for row in self.rows
        ]

    @property
    def footnotes(self) -> list[str]:
        """The different notes of the cells, in order of appearance."""
        return list(dict.fromkeys(cell.note for row in self.cells for cell in row if cell.note))


@dataclass(frozen=True, slots=True)
class How:
    """How the numbers beside it came about: formula, inputs, where the method is described."""

    formula: str
    inputs: str
    source: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, its table and its making.

    Attributes:
        anchor: unique in the report; prefix of all ids inside the drawing.
        title: what is to be seen.
        description: the same in words, for readers who don't see the drawing.
        draw: makes the drawing for one layout.
        table: the drawn values.
        how: how they were computed.
        note: one sentence under the drawing.
        chart: the values behind the drawing for hover and zoom; see `ftbt.report.live`.
    """

    kind: ClassVar[str] = "figure"
    anchor: str
    title: str
    description: str
    draw: Callable[[Layout], Drawing]
    table: Table
    how: How
    note: str = ""
    chart: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs of plain text."""

    kind: ClassVar[str] = "prose"
    paragraphs: Sequence[str]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences, each with a few leading words in bold (may be empty)."""

    kind: ClassVar[str] = "points"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with their values; *style* "code" sets the values in fixed width, "compact" small."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]
    title: str = ""
    style: Literal["", "code", "compact"] = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One key figure in large type."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A row of key figures."""

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must not be overlooked; tone "gain", "loss", "hold" or ""."""

    kind: ClassVar[str] = "notice"
    title: str
    text: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict, as the first thing that the eye meets.

    Attributes:
        state: one word or two in large type.
        headline: what the state means.
        sentence: why.
        points: (label, number in large type, sentence): what speaks most against it, what would
            change it.
        tone: as for a notice.
    """

    kind: ClassVar[str] = "ruling"
    state: str
    headline: str
    sentence: str
    points: Sequence[tuple[str, str, str]]
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks behind a summary line."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class HowFold:
    """A "how computed" fold for a table or for tiles (figures carry their own)."""

    kind: ClassVar[str] = "how"
    how: How


@dataclass(frozen=True, slots=True)
class Code:
    """Text to copy, such as a command."""

    kind: ClassVar[str] = "code"
    text: str


Block: TypeAlias = (
    Table | Figure | Prose | Points | Facts | Tiles | Notice | Ruling | Fold | HowFold | Code
)


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered part of the report.

    Attributes:
        anchor: id in the page, for links.
        title: heading.
        build: makes the blocks from a run; an empty list leaves the section out.
        lead: one sentence under the heading: what the reader learns here.
    """

    anchor: str
    title: str
    build: Callable[[Source], Sequence[Block]]
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """A section with its blocks, ready for the template."""

    section: Section
    blocks: Sequence[Block] = field(default_factory=tuple)
