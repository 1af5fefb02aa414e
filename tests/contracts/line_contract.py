"""What every shared line promises, as functions that raise ContractBroken when it does not.

Outputs are compared as bits: equal NaNs are equal, 0.0 and -0.0 are not.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from ftbt.data.candles import Bars, Candles
from ftbt.data.feed import CandleFeed
from ftbt.data.timeframe import MINUTE_MS, Timeframe
from ftbt.smc.base import Concept, Records, SmcLine, Stream, higher, run_line

BASE_MS = 15 * MINUTE_MS
Compute = Callable[[Bars], Records]


class ContractBroken(AssertionError):  # noqa: N818 - reads as what happened
    """A line knew something before its time, or two ways of computing it differ."""


def must_equal(got: Records, expected: Records, what: str) -> None:
    """Raise ContractBroken naming the first bar and field at which two outputs differ."""
    names = expected.dtype.names or ()
    width = len(names)
    left, right = (
        np.ascontiguousarray(part).view(np.int64).reshape(-1, width) for part in (got, expected)
    )
    if np.array_equal(left, right):
        return
    if left.shape != right.shape:
        raise ContractBroken(f"{what}: {len(left)} bars instead of {len(right)}")
    bar, column = np.argwhere(left != right)[0]
    name = names[column]
    raise ContractBroken(
        f"{what}: {name} at bar {bar} is {got[name][bar]!r}, not {expected[name][bar]!r}"
    )


def check_prefixes(compute: Compute, bars: Bars) -> None:
    """The outputs of the first k bars are the first k outputs of all bars, for every k."""
    full = compute(bars)
    for k in range(1, len(bars) + 1):
        must_equal(compute(bars[:k]), full[:k], f"from the first {k} bars alone")


def check_future(compute: Compute, bars: Bars, seed: int = 0, rounds: int = 25) -> None:
    """Whatever the bars after k become, the outputs up to and including k stay."""
    full = compute(bars)
    rng = np.random.default_rng(seed)
    for k in rng.integers(0, len(bars) - 1, rounds):
        must_equal(
            compute(other_future(bars, k, rng))[: k + 1],
            full[: k + 1],
            f"with other bars after bar {k}",
        )


def other_future(bars: Bars, k: int, rng: np.random.Generator) -> Bars:
    """The same bars up to k, and wild ones after it."""
    made = bars.copy()
    rest = made[k + 1 :]
    last = bars["close"][k]
    close = last * np.exp(np.cumsum(0.01 * rng.standard_t(3, len(rest))))
    opened = np.concatenate([[last], close[:-1]])[: len(rest)]
    wick = 1 + 0.01 * rng.random((2, len(rest)))
    rest["open"], rest["close"] = opened, close
    rest["high"] = np.maximum(opened, close) * wick[0]
    rest["low"] = np.minimum(opened, close) / wick[1]
    rest["volume"] = rng.lognormal(3.0, 2.0, len(rest))
    return made


def computer(concept: Concept, values: dict[str, Any], timeframe: str = "") -> Compute:
    """The research route of a line as a function of bars.

    Parameters are packed and the first state is prepared once, not for every prefix.
    """
    parameters, frame = concept.pack(values), higher(timeframe, BASE_MS)
    fresh = concept.fresh(parameters)

    def prepare(state: Records, _: Records) -> None:
        state[:] = fresh

    prepared = replace(concept, init=lambda state, p: None, prepare=prepare)
    return lambda bars: run_line(prepared, bars, BASE_MS, parameters, frame)


def check_stream(
    concept: Concept, values: dict[str, Any], timeframe: str, bars: Bars, restarts: int = 3
) -> None:
    """Bar by bar gives what the loop gives, also from a pickled memory on, anywhere."""
    expected = computer(concept, values, timeframe)(bars)
    parameters, frame = concept.pack(values), higher(timeframe, BASE_MS)
    stream = Stream(concept, parameters, BASE_MS, frame)
    places = np.random.default_rng(len(bars)).integers(1, len(bars), restarts)
    saved = {}
    got = np.zeros(len(bars), concept.out)
    for i in range(len(bars)):
        if i in places:
            saved[i] = pickle.dumps(stream.memory)
        stream.take(bars[i : i + 1])
        got[i] = stream.out
    must_equal(got, expected, "bar by bar")
    for k, memory in saved.items():
        again = Stream(concept, parameters, BASE_MS, frame)
        again.memory = pickle.loads(memory)
        for i in range(k, len(bars)):
            again.take(bars[i : i + 1])
            got[i] = again.out
        must_equal(got[k:], expected[k:], f"restarted at bar {k}")


class Host(bt.Strategy):
    """Holds lines and does nothing else."""

    params = (("wanted", ()),)

    def __init__(self) -> None:
        self.made = [line(self.data, **values) for line, values in self.p.wanted]


def plain_feed(bars: Bars) -> bt.feeds.PandasData:
    """A feed as Backtrader makes it from a data frame."""
    index = pd.to_datetime(bars["time"], unit="ms")
    columns = {name: bars[name] for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame(columns, index=index)
    return bt.feeds.PandasData(
        dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=BASE_MS // MINUTE_MS
    )


def candle_feed(bars: Bars) -> CandleFeed:
    """The project's own feed."""
    return CandleFeed(candles=Candles("TEST", Timeframe.parse("15m"), bars))


FEEDS = {"plain": plain_feed, "candles": candle_feed}


def cerebro_outputs(
    wanted: tuple[tuple[type[SmcLine], dict[str, Any]], ...], bars: Bars, feed: str, *, once: bool
) -> list[Records]:
    """The outputs of lines after a real Cerebro run, by `once()` or by `next()`."""
    cerebro = bt.Cerebro(stdstats=False, runonce=once)
    cerebro.adddata(FEEDS[feed](bars))
    cerebro.addstrategy(Host, wanted=wanted)
    strategy = cerebro.run()[0]
    return [line_outputs(line) for line in strategy.made]


def line_outputs(line: SmcLine) -> Records:
    """What the Backtrader lines of *line* hold, as records."""
    out = np.zeros(len(line.lines[0].array), line.concept.out)
    for buffer, name in zip(line.lines, line.concept.lines, strict=True):
        out[name] = np.frombuffer(buffer.array)
    return out
