"""What `examples.json` holds: a few trades with their candles and what was known before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from ftbt.errors import StorageError
from ftbt.walkforward.store import write_json

EXAMPLES = "examples.json"
# Bump when a field changes its meaning.
FORMAT = 2

ZoneKind = Literal["gap", "block", "pool"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as it stood at the close before the entry.

    Attributes:
        kind: fair value gap, order block or liquidity pool.
        side: +1 bullish, -1 bearish, as it acts at that close.
        top, bottom: prices; equal for a pool.
        anchor: open of the bar where a chart begins to draw it, ms UTC.
        known: close of the bar at which it became known, ms UTC.
        state: the last that had happened to it, in words.
        swept: True for the pool whose sweep came last.
    """

    kind: ZoneKind
    side: int
    top: float
    bottom: float
    anchor: int
    known: int
    state: str
    swept: bool = False


@dataclass(frozen=True, slots=True)
class Swing:
    """A confirmed swing: price, open of its own bar, close of the bar that confirmed it."""

    high: bool
    price: float
    time: int
    known: int


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the confidence: points it gave, and the most that it can give."""

    name: str
    points: float
    most: float


@dataclass(frozen=True, slots=True)
class Example:
    """One trade, its candles and what was known at the close before its entry.

    Attributes:
        why: why it was chosen, for example "best trade".
        window: number of the test window, from 0.
        strategy, symbol, side, entry_reason, exit_reason: as in the trades table.
        entry_time, exit_time: open of the bar of the fill, ms UTC.
        known: close of the last bar before the entry, ms UTC: everything drawn as a zone was
            known by then.
        entry_price, exit_price, stop, target1, target2: NaN is None.
        net: profit after costs, money of the stitched curve; r: in units of the initial risk.
        bars: from entry to exit.
        confidence: 0 to 100, None without one.
        candle_ms: length of a drawn candle; a multiple of `bar_ms` for a very long trade.
        bar_ms: length of a bar of the run.
        candles: open time, open, high, low, close of each.
        cut: True when the drawing ends before the exit.
        zones, swings: see there.
        factors: of the confidence, empty when the strategy has none.
        lines: which lines gave zones and swings: the strategy's own or the defaults.
        parameters: the window's chosen parameters.
    """

    why: str
    window: int
    strategy: str
    symbol: str
    side: str
    entry_reason: str
    exit_reason: str
    entry_time: int
    exit_time: int
    known: int
    entry_price: float
    exit_price: float
    stop: float | None
    target1: float | None
    target2: float | None
    net: float
    r: float | None
    bars: int
    confidence: float | None
    candle_ms: int
    bar_ms: int
    candles: tuple[tuple[int, float, float, float, float], ...]
    cut: bool
    zones: tuple[Zone, ...]
    swings: tuple[Swing, ...]
    factors: tuple[Factor, ...]
    lines: str
    parameters: dict[str, int | float | str | bool]


@dataclass(frozen=True, slots=True)
class Examples:
    """All examples of a run, and sentences on what could not be shown."""

    format: int
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()


def save(folder: Path, examples: Sequence[Example], notes: Sequence[str]) -> Path:
    """Write `examples.json` into *folder*, all or nothing, and return its path."""
    path = folder / EXAMPLES
    write_json(path, Examples(FORMAT, tuple(examples), tuple(notes)))
    return path


def load(folder: Path) -> Examples | None:
    """Return the examples of a run, None when none were written.

    Raises:
        StorageError: when the file is damaged or of another version of ftbt.
    """
    path = folder / EXAMPLES
    if not path.is_file():
        return None
    try:
        found = TypeAdapter(Examples).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise StorageError(
            f"{path} cannot be read ({reason}); run the walk-forward again"
        ) from error
    if found.format != FORMAT:
        raise StorageError(
            f"{path} was written by another version of ftbt (format {found.format},"
            f" this one reads {FORMAT}); run the walk-forward again"
        )
    return found
