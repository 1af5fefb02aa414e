"""What all lines share: parameters, the cache, Backtrader's habits, the stream."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from line_contract import BASE_MS, candle_feed, line_outputs
from smc_markets import fat_tails, trending

from ftbt.data.candles import Bars
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError, ParameterError
from ftbt.smc import (
    CONFIDENCE,
    STRUCTURE,
    SWEEPS,
    SWINGS,
    Concept,
    Stream,
    Structure,
    Swings,
)
from ftbt.smc.base import CACHE, LineCache, compute_line, kept_line


def run(build: Any, *datas: Any, once: bool = True) -> Any:
    """A Cerebro run of a strategy whose `build(strategy)` makes its lines."""

    class Host(bt.Strategy):
        def __init__(self) -> None:
            self.rows: list[tuple[Any, ...]] = []
            self.line = build(self)

        def next(self) -> None:
            self.rows.append(self.line.row.item())

    cerebro = bt.Cerebro(stdstats=False, runonce=once)
    for data in datas:
        cerebro.adddata(data)
    cerebro.addstrategy(Host)
    return cerebro.run()[0]


@pytest.mark.parametrize("once", [True, False])
def test_row_is_the_record_of_the_current_bar(once: bool) -> None:
    """In `next()` of a strategy, `row` holds what the lines hold, in research and live."""
    bars = fat_tails(300)
    strategy = run(lambda host: Structure(host.data), candle_feed(bars), once=once)
    expected = STRUCTURE.compute(bars)
    assert np.array(strategy.rows, STRUCTURE.out).tobytes() == expected.tobytes()


def every_second(bars: Bars) -> Bars:
    """A feed that has a bar only at every second bar of the other one."""
    return bars[::2].copy()


@pytest.mark.parametrize("once", [True, False])
def test_a_bar_is_taken_once_when_another_feed_moves_alone(once: bool) -> None:
    """Backtrader calls `next()` of a line again when only the other feed has a new bar."""
    bars = fat_tails(400)
    sparse = every_second(bars)
    index = pd.to_datetime(sparse["time"], unit="ms")
    frame = pd.DataFrame({n: sparse[n] for n in ("open", "high", "low", "close", "volume")}, index)
    slow = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Minutes, compression=30)
    strategy = run(lambda host: Structure(host.datas[1]), candle_feed(bars), slow, once=once)
    expected = STRUCTURE.compute(sparse)
    assert line_outputs(strategy.line).tobytes() == expected.tobytes()
    # Called at each of the 400 bars, the strategy sees each sparse row twice.
    assert len(strategy.rows) == 400
    seen = np.array(strategy.rows, STRUCTURE.out)
    assert seen[::2].tobytes() == expected.tobytes()
    assert seen[1::2].tobytes() == expected.tobytes()


def test_a_misspelt_parameter_of_a_line_is_one_clear_line() -> None:
    """A keyword that is no parameter names the nearest one."""
    with pytest.raises(ParameterError, match="Structure has no parameter 'lefft' - did you mean"):
        run(lambda host: Structure(host.data, lefft=3), candle_feed(fat_tails(50)))


def test_a_bad_value_of_a_line_names_line_value_and_range() -> None:
    """A value out of its range is refused when the line is made."""
    with pytest.raises(ParameterError, match="Swings: left must be a whole number from 1 to 60"):
        run(lambda host: Swings(host.data, left=0), candle_feed(fat_tails(50)))


def test_a_feed_without_a_bar_length_is_refused() -> None:
    """Ticks and seconds carry no bars that lines could count."""
    bars = fat_tails(50)
    index = pd.to_datetime(bars["time"], unit="ms")
    frame = pd.DataFrame({n: bars[n] for n in ("open", "high", "low", "close", "volume")}, index)
    feed = bt.feeds.PandasData(dataname=frame, timeframe=bt.TimeFrame.Seconds)
    with pytest.raises(InputError, match="minute, day or week bars"):
        run(lambda host: Swings(host.data), feed)


def test_results_are_shared_between_strategies_on_the_same_candles() -> None:
    """The same line on the same candles is computed once; other candles or parameters are not."""
    bars = fat_tails(200)
    feed = candle_feed(bars)
    first = run(lambda host: Swings(host.data, left=3), feed).line.series
    assert run(lambda host: Swings(host.data, left=3), candle_feed(bars)).line.series is first
    assert run(lambda host: Swings(host.data, left=4), candle_feed(bars)).line.series is not first
    other = run(lambda host: Swings(host.data, left=3), candle_feed(trending(200))).line.series
    assert other is not first
    assert not first.flags.writeable


def test_the_cache_drops_the_least_recently_used_result() -> None:
    """Beyond its size the cache forgets the result that nobody asked for the longest."""
    cache = LineCache(limit_bytes=2_000)
    made = []

    def maker(number: int) -> Any:
        def make() -> Any:
            made.append(number)
            return np.zeros(100)  # 800 bytes

        return make

    for number in (1, 2, 1, 3, 1, 2):
        cache.get((number,), maker(number))
    assert made == [1, 2, 3, 2]


def test_a_stream_goes_on_from_a_saved_memory() -> None:
    """Memory is a copy: a stream set back to it repeats itself, also inside a higher bar."""
    bars = fat_tails(400)
    parameters = STRUCTURE.pack({"left": 2, "right": 2})
    from ftbt.data.timeframe import Timeframe

    stream = Stream(STRUCTURE, parameters, BASE_MS, Timeframe.parse("1h"))
    expected = compute_line(STRUCTURE, bars, BASE_MS, {"left": 2, "right": 2}, "1h")
    for i in range(201):
        stream.take(bars[i : i + 1])
    memory = stream.memory
    for _ in range(2):
        stream.memory = memory
        for i in range(201, 400):
            stream.take(bars[i : i + 1])
            assert stream.out.tobytes() == expected[i].tobytes()


def test_the_parameter_record_of_a_line_is_its_own_type() -> None:
    """No record begins like that of an embedded line: numba would warn of a subtype."""
    assert STRUCTURE.pack({}).dtype.names[0] == "of_structure"
    assert SWINGS.pack({}).dtype.names[0] == "of_swings"


@pytest.mark.parametrize("fingerprint", ["", "some candles"])
@pytest.mark.parametrize("timeframe", ["", "1h"])
@pytest.mark.parametrize("concept", [SWEEPS, STRUCTURE, CONFIDENCE])
def test_some_fields_of_a_line_are_those_of_all_its_outputs(
    concept: Concept, timeframe: str, fingerprint: str
) -> None:
    """To the last bit, on any timeframe, kept or not, whatever was made in between."""
    CACHE.clear()
    fields = (concept.lines[-1], concept.lines[0], concept.lines[2])
    frame = Timeframe.parse(timeframe) if timeframe else None
    found = []
    for seed in (1, 2):
        bars = fat_tails(700, seed)
        given = (concept, bars, fingerprint and f"{fingerprint} {seed}", BASE_MS)
        found.append((given, kept_line(*given, concept.pack({}), frame, fields)))
    for given, some in found:
        whole = kept_line(*given, concept.pack({}), frame)
        assert some.dtype.names == fields
        for name in fields:
            assert some[name].tobytes() == whole[name].tobytes()
