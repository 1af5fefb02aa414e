"""What a strategy's lines knew at one close: zones still alive, confirmed swings, confidence.

Everything is computed from the bars up to that close and no other, so a drawing cannot show what
was not known. The strategy's own lines, with its own parameters, are used where it has them; a
zone that it does not look at is found with the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np

from ftbt import smc
from ftbt.data.candles import Bars
from ftbt.data.feed import CandleFeed
from ftbt.data.market import Market
from ftbt.report.seen import Factor, Swing, Zone, ZoneKind
from ftbt.smc.base import Concept, SmcLine
from ftbt.smc.confidence import AGREEMENT, FACTORS
from ftbt.smc.ledger import FILLED, KIND_NAMES, SWEPT, TAKEN
from ftbt.smc.ledger import Zone as Life

MOST = 3  # zones of a kind (pools: of a side) that are drawn
_STATES = {int(code): name for code, name in KIND_NAMES.items()}
RECENT = 12  # bars for which the last sweep is worth drawing

_KINDS: Mapping[ZoneKind, Concept] = {
    "gap": smc.FVG,
    "block": smc.ORDER_BLOCKS,
    "pool": smc.SWEEPS,
}
_TWINS = {"pool": ("sweeps", "liquidity")}
FACTOR_NAMES = {
    "trend": "higher-timeframe trend",
    "clean": "clean structure",
    "pattern": "close within the bar",
    "confluence": "confluence",
    "spike": "volume spike",
    "divergence": "volume divergence",
    "trending": "trending market",
    "calm": "low volatility",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What was known at the last close of some bars.

    Attributes:
        zones: nearest to the price first.
        swings: all confirmed ones, in order of time.
        factors: of the confidence in *side*; empty without a confidence line.
        lines: whose lines these are, in words.
    """

    zones: tuple[Zone, ...]
    swings: tuple[Swing, ...]
    factors: tuple[Factor, ...] = ()
    lines: str = ""


@dataclass
class _Caught:
    lines: list[SmcLine] = field(default_factory=list)


def lines_of(cls: type[Any], values: Mapping[str, Any], market: Market) -> list[SmcLine]:
    """Return the SMC lines that *cls* makes for itself, bound to the candles of *market*.

    The strategy is built as in a back-test, but it never sees a bar and never trades.

    Args:
        cls: a Backtrader strategy.
        values: all its parameters.
        market: candles to bind to.
    """
    caught = _Caught()

    def start(self: Any) -> None:
        caught.lines.extend(_walk(self))
        self.env.runstop()

    def nothing(self: Any, *_: Any, **__: Any) -> None:
        del self

    names = ("prenext", "nextstart", "next", "stop", "notify_order", "notify_trade")
    body: dict[str, Any] = {**dict.fromkeys(names, nothing), "start": start}
    metaclass: Any = type(cls)
    probe = metaclass(cls.__name__, (cls,), {**body, "__module__": cls.__module__})
    cerebro = bt.Cerebro(stdstats=False, runonce=True, preload=True)
    cerebro.adddata(CandleFeed(candles=market.candles, instrument=market.instrument))
    cerebro.addstrategy(probe, **values)
    cerebro.run()
    return caught.lines


def _walk(owner: Any) -> list[SmcLine]:
    """Return the SMC lines of *owner*, those inside its other indicators included."""
    found: list[SmcLine] = []
    for indicator in owner.getindicators():
        if isinstance(indicator, SmcLine):
            found.append(indicator)
        found.extend(_walk(indicator))
    return found


def known_at_close(market: Market, lines: Sequence[SmcLine], side: int) -> Known:
    """Return what was known at the close of the last bar of *market*.

    Args:
        market: bars from the beginning of the warm-up to that close.
        lines: the strategy's own, bound to these candles; may be empty.
        side: +1 long, -1 short: whose confidence.
    """
    bars, bar_ms = market.candles.bars, market.candles.timeframe.ms
    found: list[Zone] = []
    for kind, concept in _KINDS.items():
        own = _own(lines, _TWINS.get(kind, (concept.name,)))
        found += _zones(kind, bars, bar_ms, _shared(own, concept))
    return Known(
        zones=tuple(found),
        swings=_swings(bars, bar_ms, _own(lines, ("swings", "sweeps", "structure"))),
        factors=_factors(lines, side),
        lines="the strategy's own lines where it has them" if lines else "default lines",
    )


def _own(lines: Sequence[SmcLine], names: Sequence[str]) -> SmcLine | None:
    """Return the first line of one of *names* on the bars' own timeframe."""
    for name in names:
        for line in lines:
            if line.concept.name == name and line.frame is None:
                return line
    return None


def _shared(line: SmcLine | None, concept: Concept) -> dict[str, Any]:
    """Return the values of *line* that *concept* knows too."""
    values = {} if line is None else line.values
    return {name: value for name, value in values.items() if name in concept.defaults}


def _zones(kind: ZoneKind, bars: Bars, bar_ms: int, values: Mapping[str, Any]) -> list[Zone]:
    lives = smc.zones(_KINDS[kind], bars, values)
    price = float(bars["close"][-1])
    if kind == "pool":
        return _pools(lives, bars, bar_ms, price)
    alive = [life for life in lives if life.ended is None and not _is_filled(life)]
    alive.sort(key=lambda life: (_distance(life, price), -life.id))
    return [_seen(kind, life, bars, bar_ms) for life in alive[:MOST]]


def _is_filled(life: Life) -> bool:
    """Tell whether a gap is used up: filled and not (yet) acting on the other side."""
    return int(life.events[-1]["kind"]) == FILLED


def _distance(life: Life, price: float) -> float:
    last = life.events[-1]
    return max(0.0, float(last["bottom"]) - price, price - float(last["top"]))


def _pools(lives: Sequence[Life], bars: Bars, bar_ms: int, price: float) -> list[Zone]:
    """Return the pool swept last, if that is fresh, and the nearest untouched ones."""
    open_ = [life for life in lives if life.ended is None and life.bar(TAKEN) is None]
    chosen: list[Life] = []
    for above in (True, False):
        beside = [life for life in open_ if bool(life.events[-1]["top"] > price) is above]
        beside.sort(key=lambda life: (_distance(life, price), -life.id))
        # The day's low may be a swing low too: one line is enough.
        levels = {float(life.events[-1]["top"]): life for life in reversed(beside)}
        chosen += [life for life in beside if life in levels.values()][: MOST - 1]
    fresh = len(bars) - RECENT
    swept = [(bar, life.id, life) for life in lives if (bar := life.bar(SWEPT)) is not None]
    swept = sorted(item for item in swept if item[0] >= fresh)
    found = [_seen("pool", life, bars, bar_ms) for life in chosen]
    return [*(_seen("pool", life, bars, bar_ms, swept=True) for _, _, life in swept[-1:]), *found]


def _seen(kind: ZoneKind, life: Life, bars: Bars, bar_ms: int, *, swept: bool = False) -> Zone:
    last = life.events[-1]
    return Zone(
        kind=kind,
        side=int(last["side"]),
        top=float(last["top"]),
        bottom=float(last["bottom"]),
        anchor=int(bars["time"][max(life.anchor, 0)]),
        known=int(bars["time"][life.created]) + bar_ms,
        state=_STATES[int(last["kind"])],
        swept=swept,
    )


def _swings(bars: Bars, bar_ms: int, line: SmcLine | None) -> tuple[Swing, ...]:
    out = smc.SWINGS.compute(bars, _shared(line, smc.SWINGS))
    found = []
    for high, name in ((True, "high"), (False, "low")):
        for known in np.flatnonzero(out[f"{name}_event"]):
            at = known - int(out[f"{name}_origin"][known])
            time = int(bars["time"][at])
            found.append(
                Swing(high, float(out[name][known]), time, int(bars["time"][known]) + bar_ms)
            )
    return tuple(sorted(found, key=lambda swing: (swing.time, swing.high)))


def _factors(lines: Sequence[SmcLine], side: int) -> tuple[Factor, ...]:
    """Return the factors of the strategy's confidence line at its last bar."""
    line = next((item for item in lines if item.concept.name == "confidence"), None)
    if line is None:
        return ()
    row = line.outputs()[-1]
    word = "long" if side > 0 else "short"
    found = [
        Factor(FACTOR_NAMES.get(name, name), float(row[f"{word}_{name}"]), most)
        for name, most in FACTORS.items()
    ]
    agree = AGREEMENT if float(row["agreement"]) == side else 0.0
    return (*found, Factor("timeframes agree", agree, AGREEMENT))
