"""What an engine needs of a market beside its bars, made once for all parameter sets of a search.

Slippage and funding of every bar and the rows of the detail depend on the market and the settings
alone. A search asks for them hundreds of times, and making them takes longer than a run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from ftbt.backtest.book import detail_rows
from ftbt.backtest.costs import Floats, Ints, funding_coverage, funding_schedule, slippage_fraction
from ftbt.backtest.kernel_records import DETAILED, FUNDED, STRETCH
from ftbt.backtest.settings import Settings
from ftbt.data.candles import BAR, Bars, frozen
from ftbt.data.market import Market

LIMIT_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Funded:
    """Bars, and the rates that fall due at the open and inside of each, all of shape (n,)."""

    bars: Bars
    at_open: Floats
    inside: Floats


@dataclass(frozen=True, slots=True)
class Prepared:
    """What depends on a market alone.

    Attributes:
        coarse, detail: candles and detail bars with their funding; no detail: zero rows.
        first, stop: rows of the detail that tile each bar, (0, 0) for none, shape (n,) each.
        notes: sentences for the result.
    """

    coarse: Funded
    detail: Funded
    first: Ints
    stop: Ints
    notes: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Memory of what was made here; the candles are the market's own."""
        made = (self.coarse, self.detail)
        sizes = sum(one.at_open.nbytes + one.inside.nbytes for one in made)
        return int(sizes + self.first.nbytes + self.stop.nbytes)


class Kept:
    """The most recent of what was made, up to a number of bytes.

    Keys hold ids of objects; each entry keeps those objects alive, so that an id means one object.
    """

    _every: ClassVar[WeakSet[Kept]] = WeakSet()

    def __init__(self, limit_bytes: int) -> None:
        self._every.add(self)
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[Any, ...], tuple[Any, int, tuple[Any, ...]]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return what is kept under *key*, None for nothing."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: tuple[Any, ...], made: Any, size: int, alive: tuple[Any, ...]) -> None:
        """Keep *made*; the least recently used goes when there is no room."""
        self._kept[key] = (made, size, alive)
        self._bytes += size
        while self._bytes > self.limit_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1]

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0

    @classmethod
    def clear_all(cls) -> None:
        """Forget what is kept, in every one there is."""
        for one in cls._every:
            one.clear()


@dataclass(frozen=True, slots=True)
class Joined:
    """All stretches of a run, one after the other, as the compiled engine takes them.

    Attributes:
        bars: candles, shape (bars of all,).
        costs: slippage, funding due at the open and inside, of each of `bars`.
        marks: FUNDED or DETAILED where such a bar is, else 0, shape (bars of all,).
        detail: detail bars; (funding at their open, inside); first and last row of the detail
            that tile each of `bars`, (0, 0) for none.
        stretches: STRETCH records: where each one lies.
    """

    bars: Bars
    costs: tuple[Floats, Floats, Floats]
    marks: NDArray[np.uint8]
    detail: tuple[Bars, tuple[Floats, Floats], Ints, Ints]
    stretches: Any


_MARKETS = Kept(LIMIT_BYTES)
_JOINED = Kept(LIMIT_BYTES)
_SLIPPAGE = Kept(LIMIT_BYTES // 4)


def prepared(market: Market) -> Prepared:
    """Return what engines need of *market*; kept for the next call with the same candles."""
    detail = market.detail
    key = (
        market.candles.fingerprint,
        market.candles.synthetic,
        id(market.funding),
        "" if detail is None else detail.fingerprint,
    )
    found: Prepared | None = _MARKETS.get(key)
    if found is None:
        found = _prepare(market)
        _MARKETS.put(key, found, found.nbytes, (market.funding,))
    return found


def slippage(market: Market, settings: Settings) -> Floats:
    """Return the slippage of each bar, see `costs.slippage_fraction`; kept for the next call."""
    key = (market.candles.fingerprint, settings.half_spread, settings.slippage_atr)
    found: Floats | None = _SLIPPAGE.get(key)
    if found is None:
        found = slippage_fraction(market.candles.bars, settings)
        _SLIPPAGE.put(key, found, found.nbytes, ())
    return found


def joined(
    markets: Sequence[Market],
    first: Sequence[int],
    start: Ints,
    symbol_of: Sequence[int],
    settings: Settings,
) -> Joined:
    """Return what the compiled engine needs of *markets*; kept for the next call.

    Args:
        markets: one per stretch.
        first: bars of each one that only warm the lines up.
        start: number on the clock of each stretch's first bar.
        symbol_of: number of each one's symbol.
        settings: say how much slippage there is.
    """
    key = (
        tuple(
            (one.candles.fingerprint, id(one.funding), one.detail and one.detail.fingerprint)
            for one in markets
        ),
        tuple(first),
        tuple(start.tolist()),
        tuple(symbol_of),
        settings.half_spread,
        settings.slippage_atr,
    )
    found: Joined | None = _JOINED.get(key)
    if found is None:
        found = _join(markets, first, start, symbol_of, settings)
        alone = len(markets) == 1  # then all arrays are those of `prepared` and `slippage`
        size = 0 if alone else found.bars.nbytes + 5 * 8 * len(found.bars)
        size += found.marks.nbytes
        _JOINED.put(key, found, size, tuple(one.funding for one in markets))
    return found


def _join(
    markets: Sequence[Market],
    first: Sequence[int],
    start: Ints,
    symbol_of: Sequence[int],
    settings: Settings,
) -> Joined:
    known = [prepared(one) for one in markets]
    counts = np.array([len(one.candles) for one in markets])
    stretches = np.zeros(len(markets), STRETCH)
    stretches["offset"] = np.cumsum(counts) - counts
    stretches["start"], stretches["count"], stretches["symbol"] = start, counts, symbol_of
    stretches["first"] = first
    # Rows of the detail count on in the joined detail; (0, 0) still means none.
    shifts = np.cumsum([0, *(len(one.detail.bars) for one in known)])
    rows = [
        (one.first + shift * (one.stop > 0), one.stop + shift * (one.stop > 0))
        for one, shift in zip(known, shifts, strict=False)
    ]
    at_open = _row([one.coarse.at_open for one in known])
    inside = _row([one.coarse.inside for one in known])
    stop = _row([stop for _, stop in rows])
    # One byte a bar instead of three numbers: the loop over long histories waits for memory.
    marks = np.where((at_open != 0.0) | (inside != 0.0), FUNDED, 0).astype(np.uint8)
    marks[stop > 0] = DETAILED
    return Joined(
        bars=frozen(_row([one.coarse.bars for one in known])),
        costs=(
            _row([slippage(one, settings) for one in markets]),
            at_open,
            inside,
        ),
        marks=marks,
        detail=(
            frozen(_row([one.detail.bars for one in known])),
            (
                _row([one.detail.at_open for one in known]),
                _row([one.detail.inside for one in known]),
            ),
            _row([first for first, _ in rows]),
            stop,
        ),
        stretches=stretches,
    )


def _row(arrays: Sequence[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _prepare(market: Market) -> Prepared:
    candles, count = market.candles, len(market.candles)
    coarse = Funded(
        frozen(candles.bars),
        *funding_schedule(candles.bars, candles.timeframe.ms, market.funding),
    )
    detail = Funded(frozen(np.zeros(0, BAR)), np.zeros(0), np.zeros(0))
    rows = np.zeros((count, 2), np.int64)
    if market.detail is not None:
        bars, step = market.detail.bars, market.detail.timeframe.ms
        detail = Funded(frozen(bars), *funding_schedule(bars, step, market.funding))
        rows[:] = detail_rows(market)
    first, stop = rows[:, 0].copy(), rows[:, 1].copy()
    return Prepared(coarse, detail, first, stop, _notes(market, stop))


def _notes(market: Market, stop: Ints) -> tuple[str, ...]:
    candles = market.candles
    notes = [funding_coverage(candles.bars, candles.timeframe.ms, market.funding).note]
    if candles.synthetic:
        notes.insert(0, "synthetic market")
    if market.detail is not None:
        share = np.count_nonzero(stop) / max(1, len(stop))
        notes.append(
            f"path inside a bar walked on {market.detail.timeframe} bars in {share:.0%} of the bars"
        )
    return tuple(note for note in notes if note)
