"""What an audit says: its verdict, its findings, how much it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftbt.data.timeframe import show_ms
from ftbt.robustness.lookahead.trace import Place
from ftbt.robustness.lookahead.values import ValueChange

LOOK_AHEAD = "look-ahead"
UNSTEADY = "unsteady"
OUTSIDE = "outside"
CLEAN = "clean"


@dataclass(frozen=True)
class Finding:
    """One reason why a strategy is not clean.

    Attributes:
        kind: "look-ahead", "unsteady" (it does otherwise with the same bars) or "outside" (it
            holds, or reads, bars that it was not given).
        what: "order", "fill", "trade", "equity", "error", "line", "file" or "data".
        bar: the bar at whose close the change shows, counted from the first bar of the candles;
            -1: before the first bar.
        time: open of that bar, ms UTC; -1 without a bar.
        detail: what changed, in words.
        cut: the last bar that both runs had in common, -1 when that is not the point.
        cut_time: open of that bar, ms UTC; -1 without a bar.
        future: what came after the cut, "" when that is not the point.
        engine: engine of both runs.
        before, after: the order with the bars as they are, and with that future; "" for none.
        place: the line of the user's code that sent the order, where that can be known.
        value: the line, array or number that changes first, where that can be known.
        needs: how many bars after its own the order depends on, at least; 0: not measured.
    """

    kind: str
    what: str
    bar: int
    time: int
    detail: str
    cut: int = -1
    cut_time: int = -1
    future: str = ""
    engine: str = ""
    before: str = ""
    after: str = ""
    place: Place | None = None
    value: ValueChange | None = None
    needs: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        place = self.place
        return {
            "kind": self.kind,
            "what": self.what,
            "bar": self.bar,
            "time": _shown(self.time),
            "detail": self.detail,
            "cut": self.cut,
            "cut_time": _shown(self.cut_time),
            "future": self.future,
            "engine": self.engine,
            "before": self.before,
            "after": self.after,
            "file": place and place.file,
            "line": place and place.line,
            "code": place and place.code,
            "value": self.value and self.value.as_dict(),
            "needs_bars_ahead": self.needs,
        }


def _shown(time: int) -> str | None:
    return None if time < 0 else show_ms(time)


@dataclass(frozen=True)
class WarmUp:
    """How much history the strategy needs until its orders no longer depend on where it begins.

    Attributes:
        declared: bars that the strategy declares.
        settled: bars from which the orders in the tail no longer change; None: they never did.
        differs: most bars with which they were still others, -1: never others.
        most: most bars that were tried.
        tail: bars at the end whose orders were compared.
        orders: orders in the tail with the most history.
    """

    declared: int
    settled: int | None
    differs: int
    most: int
    tail: int
    orders: int

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Audit:
    """The verdict on one strategy with one set of parameters on one market.

    Attributes:
        strategy: name for people.
        symbol, timeframe: of the candles.
        bars: how many there were.
        trade_from: how many of them only warmed the lines up.
        verdict: "clean", or the worst kind among the findings.
        findings: the first order that changes comes first.
        warnings: sentences that a reader should know, but that are no look-ahead.
        warm_up: None when it was not measured.
        prefixes: places at which the bars were cut.
        runs: runs in all.
        orders: orders that the strategy sends on all bars.
        orders_compared: orders compared in all runs together.
        engines: engines that ran.
        seed: of the places and the other futures.
        seconds: how long it took.
    """

    strategy: str
    symbol: str
    timeframe: str
    bars: int
    trade_from: int
    verdict: str
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    warm_up: WarmUp | None
    prefixes: int
    runs: int
    orders: int
    orders_compared: int
    engines: tuple[str, ...]
    seed: int
    seconds: float

    @property
    def clean(self) -> bool:
        """True when nothing was found."""
        return not self.findings

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.clean:
            return (
                f"no order depends on a later bar: {self.orders:,} orders, cut at"
                f" {self.prefixes:,} places"
            )
        one = self.findings[0]
        at = "" if one.bar < 0 else f" of the bar {show_ms(one.time)}"
        place = "" if one.place is None else f" ({one.place})"
        if one.kind == LOOK_AHEAD:
            return f"{one.what}{at}{place} is another one when later bars are: {one.detail}"
        return one.detail

    def as_dict(self, *, seconds: bool = True) -> dict[str, Any]:
        """Return the audit as plain values for JSON; without *seconds* it is reproducible."""
        plain = dict(vars(self))
        plain["clean"] = self.clean
        plain["sentence"] = self.sentence
        plain["findings"] = [one.as_dict() for one in self.findings]
        plain["warnings"] = list(self.warnings)
        plain["engines"] = list(self.engines)
        plain["warm_up"] = self.warm_up and self.warm_up.as_dict()
        if not seconds:
            del plain["seconds"]
        return plain
