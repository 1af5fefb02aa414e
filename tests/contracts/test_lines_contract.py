"""The promise of every shared line: once == next == every prefix, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from line_contract import (
    BASE_MS,
    FEEDS,
    ContractBroken,
    cerebro_outputs,
    check_future,
    check_prefixes,
    check_stream,
    computer,
    must_equal,
)
from smc_markets import market, names, plateaus

from ftbt.data.candles import Bars
from ftbt.data.timeframe import HOUR_MS, MINUTE_MS
from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.smc import ALL_LINES
from ftbt.smc.base import Concept, Records, SmcLine
from ftbt.smc.swings import SWINGS

# Parameters that the automatic variation can't make up.
EXTRA: dict[str, tuple[dict[str, Any], ...]] = {
    "swings": ({"left": 50, "right": 50}, {"left": 1, "right": 60}),
    "structure": ({"left": 50, "right": 50},),
    "sessions": (
        {"session": "silver_bullet"},
        {"session": "custom", "zone": "Europe/London", "start": "22:30", "end": "06:15"},
        {"session": "custom", "zone": "Asia/Kolkata", "start": "09:15", "end": "09:15"},
    ),
    "confidence": (
        {"fast": "30m", "slow": "2h", "recent": 0},
        {"fast": "4h", "slow": "1d"},
        {"fast": "15m", "slow": "1h"},  # no longer than the bars: there is no such timeframe
    ),
}
MOST_VARIANTS = 4
TIMEFRAMES = ("1h", "4h")


def _varied(name: str, limits: Range, default: Any, turn: int, rng: np.random.Generator) -> Any:
    """Another allowed value of one parameter; words and switches take turns."""
    if isinstance(limits, Bool):
        return bool(turn % 2) != default
    if isinstance(limits, Choice):
        return limits.words[turn % len(limits.words)] if limits.words else default
    low = default / 2 if default else limits.low
    high = 2 * default if default else limits.low + 0.05 * (limits.high - limits.low)
    value = rng.uniform(max(low, limits.low), min(high, limits.high))
    if isinstance(limits, Int):
        return round(value)
    assert isinstance(limits, Float), name
    return float(value)


def _variants(concept: Concept) -> list[dict[str, Any]]:
    """Parameters under which a line is tested: each word of each choice occurs, up to four."""
    choices = [limits for limits in concept.ranges.values() if isinstance(limits, Choice)]
    words = [min(len(choice.words), MOST_VARIANTS) for choice in choices]
    rng = np.random.default_rng(len(concept.ranges))
    made = [
        {
            name: _varied(name, limits, concept.defaults[name], turn, rng)
            for name, limits in concept.ranges.items()
        }
        for turn in range(max([2, *words]))
    ]
    return [*made, *EXTRA.get(concept.name, ())]


@dataclass(frozen=True)
class Case:
    """One line with parameters on a market."""

    line: type[SmcLine]
    values: dict[str, Any]
    timeframe: str
    market: str
    name: str

    @property
    def params(self) -> dict[str, Any]:
        """As a strategy would give them."""
        return {**self.values, "timeframe": self.timeframe}


def _cases() -> list[Case]:
    """Defaults on every market; each variant and higher timeframe on one, in turn."""
    markets = names()
    cases = []
    for number, line in enumerate(ALL_LINES):
        label = line.concept.name
        cases += [Case(line, {}, "", place, f"{label}-{place}") for place in markets]
        for turn, values in enumerate(_variants(line.concept)):
            place = markets[(number + turn) % len(markets)]
            cases.append(Case(line, values, "", place, f"{label}-{turn}-{place}"))
        for turn, timeframe in enumerate(TIMEFRAMES):
            place = markets[(number + turn) % len(markets)]
            cases.append(Case(line, {}, timeframe, place, f"{label}-{timeframe}-{place}"))
    return cases


CASES = _cases()


def _runs(case: Case, feed: str) -> bool:
    """Varied parameters go through Cerebro on one kind of feed only: it is the slowest part."""
    return feed == "plain" or not case.values


@cache
def _backtrader(place: str, feed: str, once: bool) -> dict[str, Records]:
    """The outputs of cases on one market, from one Cerebro run."""
    cases = [case for case in CASES if case.market == place and _runs(case, feed)]
    wanted = tuple((case.line, case.params) for case in cases)
    outputs = cerebro_outputs(wanted, market(place), feed, once=once)
    return {case.name: out for case, out in zip(cases, outputs, strict=True)}


def _marked(case: Case) -> Any:
    """Confidence holds all other concepts, so each of its cases takes seconds: most are slow."""
    few = case.line.concept.name != "confidence" or not case.values or "-0-" in case.name
    return pytest.param(case, id=case.name, marks=() if few else pytest.mark.slow)


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_a_line_knows_only_the_past_and_is_the_same_however_it_is_computed(case: Case) -> None:
    """For every line: once == next == every prefix, after a restart too, whatever comes later."""
    concept, bars = case.line.concept, market(case.market)
    compute = computer(concept, case.values, case.timeframe)
    full = compute(bars)
    check_prefixes(compute, bars)
    check_future(compute, bars)
    check_stream(concept, case.values, case.timeframe, bars)
    for feed, once in product(FEEDS, (True, False)):
        if _runs(case, feed):
            got = _backtrader(case.market, feed, once)[case.name]
            must_equal(got, full, f"{feed} feed, {'once' if once else 'next'}")


@pytest.mark.parametrize("line", ALL_LINES, ids=lambda line: line.concept.name)
def test_every_line_says_something_on_the_markets_of_the_contract(line: type[SmcLine]) -> None:
    """No output is the same number at all bars: a dead line would pass any test of causality."""
    outs = [line.concept.compute(market(place)) for place in names()]
    for name in line.concept.lines:
        seen = np.unique(np.concatenate([out[name] for out in outs]))
        assert len(seen[~np.isnan(seen)]) > 1, name


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
@pytest.mark.parametrize("line", ALL_LINES, ids=lambda line: line.concept.name)
def test_bars_inside_an_open_higher_bar_do_not_see_its_final_values(
    line: type[SmcLine], timeframe: str
) -> None:
    """Between two higher closes a line holds the state of the last higher bar that has closed."""
    bars = market("fat_tails")
    high_ms = {"1h": HOUR_MS, "4h": 4 * HOUR_MS}[timeframe]
    out = computer(line.concept, {}, timeframe)(bars)
    high_bars, closes = _resampled(bars, high_ms)
    expected = line.concept.compute(high_bars)
    known = np.searchsorted(closes, bars["time"] + BASE_MS, side="right") - 1
    just_closed = np.isin(bars["time"] + BASE_MS, closes)
    assert (known >= 0).sum() > len(bars) - 2 * high_ms // BASE_MS
    for name in line.concept.lines:
        held = np.where(known >= 0, expected[name][known], np.nan)
        if name in line.concept.events:
            held = np.where(just_closed, held, 0.0)
        np.testing.assert_array_equal(out[name], held, err_msg=name)


def _resampled(bars: Bars, high_ms: int) -> tuple[Bars, np.ndarray]:
    """Complete higher bars by a second route, and the instants of their closes."""
    bucket = bars["time"] // high_ms
    whole = [k for k in np.unique(bucket) if (bucket == k).sum() == high_ms // BASE_MS]
    made = np.zeros(len(whole), bars.dtype)
    for row, k in zip(made, whole, strict=True):
        part = bars[bucket == k]
        row["time"], row["open"], row["close"] = k * high_ms, part["open"][0], part["close"][-1]
        row["high"], row["low"] = part["high"].max(), part["low"].min()
        # Added up one after the other, as bars arrive; a pairwise sum rounds differently.
        row["volume"] = np.cumsum(part["volume"])[-1]
    return made, (np.array(whole) + 1) * high_ms


# --- the checks themselves must be able to fail ---------------------------------------------


def _swings_at_their_anchor(bars: Bars) -> Records:
    """A swing line that is labelled where the swing is, `right` bars before it is known."""
    out = SWINGS.compute(bars)
    for name in ("high_event", "low_event"):
        out[name] = np.concatenate([out[name][5:], np.zeros(min(5, len(bars)))])[: len(bars)]
    return out


def _centred_mean(bars: Bars) -> Records:
    """A mean over two bars on either side."""
    padded = np.pad(bars["close"], 2, mode="edge")
    mean = np.convolve(padded, np.full(5, 0.2), mode="valid")
    return np.array([(value,) for value in mean], np.dtype([("mean", "f8")]))


def _unfinished_higher_close(bars: Bars) -> Records:
    """The close of the 1h bar in the making, shown from its first base bar on."""
    bucket = bars["time"] // HOUR_MS
    last = np.searchsorted(bucket, bucket, side="right") - 1
    return np.array([(value,) for value in bars["close"][last]], np.dtype([("close", "f8")]))


def _whole_history_scale(bars: Bars) -> Records:
    """A tolerance taken from the range of the whole data set."""
    near = np.abs(np.diff(bars["high"], prepend=np.nan)) < 0.01 * np.ptp(bars["close"])
    return np.array([(float(value),) for value in near], np.dtype([("equal_high", "f8")]))


PEEKING = [_swings_at_their_anchor, _centred_mean, _unfinished_higher_close, _whole_history_scale]


@pytest.mark.parametrize("peeking", PEEKING)
@pytest.mark.parametrize("check", [check_prefixes, check_future])
def test_a_peeking_line_breaks_the_contract(check: Any, peeking: Any) -> None:
    """Both the prefix and the future check catch each classic way of looking ahead."""
    with pytest.raises(ContractBroken, match="at bar"):
        check(peeking, market("fat_tails"))


def test_one_peek_in_two_thousand_bars_is_caught() -> None:
    """A line that looks one bar ahead at a single bar is found: every prefix is tried."""

    def compute(bars: Bars) -> Records:
        out = SWINGS.compute(bars)
        if len(bars) > 1234:
            out["high"][1233] = bars["high"][1234]
        return out

    with pytest.raises(ContractBroken, match="from the first 1234 bars alone: high at bar 1233"):
        check_prefixes(compute, market("fat_tails"))


def _peeking_concept() -> Concept:
    """Swings whose compiled loop publishes a swing at its anchor; the step is honest."""

    def run(states: Any, bars: Bars, p: Any, out: Records) -> None:
        out[:] = _swings_at_their_anchor(bars)

    return Concept(
        name="peeking",
        fields=SWINGS.fields,
        events=SWINGS.events,
        state=SWINGS.state,
        init=SWINGS.init,
        step=SWINGS.step,
        run=run,
        defaults=SWINGS.defaults,
        ranges=SWINGS.ranges,
    )


class PeekingLine(SmcLine):
    """A line whose research loop knows more than its live step."""

    concept = _peeking_concept()
    lines = SWINGS.lines
    params = SWINGS.params


def test_a_loop_that_knows_more_than_the_step_is_caught() -> None:
    """`once` and `next` of a line that peeks in its loop only are found to differ."""
    bars = market("trending")
    with pytest.raises(ContractBroken, match=r"bar by bar: .*_event at bar"):
        check_stream(PeekingLine.concept, {}, "", bars)
    once, live = (
        cerebro_outputs(((PeekingLine, {}),), bars, "plain", once=mode)[0] for mode in (True, False)
    )
    with pytest.raises(ContractBroken, match=r"next: .*_event at bar"):
        must_equal(live, once, "next")


def test_a_memory_outside_of_the_state_is_caught_by_the_restart() -> None:
    """A step that keeps something beside its state gives other outputs after a restart."""
    seen: list[float] = []

    def step(state: Any, bar: Any, p: Any, out: Any) -> None:
        seen.append(float(bar["close"]))
        out["mean"] = float(np.mean(seen))

    def run(states: Any, bars: Bars, p: Any, out: Records) -> None:
        seen.clear()
        for i in range(len(bars)):
            step(states[0], bars[i], p, out[i])
        seen.clear()

    concept = Concept(
        name="forgetful",
        fields={"mean": "mean close"},
        events=(),
        state=np.dtype([("none", "i8")]),
        init=lambda state, p: None,
        step=step,
        run=run,
        defaults={},
        ranges={},
    )
    with pytest.raises(ContractBroken, match="restarted at bar"):
        check_stream(concept, {}, "", market("fat_tails"))


def test_real_markets_are_used_when_they_are_there() -> None:
    """The contract's list of markets has three synthetic ones at least."""
    assert len(set(names())) >= 3
    assert {case.market for case in CASES} == set(names())
    assert plateaus()["time"][0] % (15 * MINUTE_MS) == 0
    assert plateaus()["time"][0] % HOUR_MS != 0
