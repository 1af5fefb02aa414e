"""Example trades: chosen by rule, drawn from what was known before the entry and nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftbt.data.candles import Candles
from ftbt.data.market import Market
from ftbt.report import seen
from ftbt.report.examples import WIDEST, cut_candles, pick, write_examples
from ftbt.report.known import known_at_close, lines_of
from ftbt.report.render import render, write_report
from ftbt.report.sections import examples as section
from ftbt.report.seen import Examples
from ftbt.report.source import Source
from ftbt.smc.ledger import TAKEN, zones
from ftbt.smc.sweeps import SWEEPS
from ftbt.strategy.loader import StrategyRef, find_strategy
from ftbt.strategy.parameters import resolve
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.store import load_run


@pytest.fixture(scope="module")
def run(true_inputs: Inputs, true_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the true run with its examples."""
    folder = tmp_path_factory.mktemp("shown") / true_run.name
    shutil.copytree(true_run, folder)
    write_examples(folder, true_inputs.markets, true_inputs.ensemble)
    return folder


def examples(folder: Path) -> Examples:
    """Return the examples of a run."""
    found = seen.load(folder)
    assert found is not None
    return found


def test_examples_are_trades_of_the_run(run: Path) -> None:
    """Each example is one stored trade, and the best and the worst are among them."""
    trades = load_run(run).trades
    found = examples(run).examples

    assert 4 <= len(found) <= 6
    assert len({one.entry_time for one in found}) == len(found)
    stored = set(zip(trades["entry_price"], trades["exit_price"], strict=True))
    assert {(one.entry_price, one.exit_price) for one in found} <= stored
    results = {one.why: one.r for one in found}
    assert results["best trade"] == trades["r"].max()
    assert results["worst trade"] == trades["r"].min()
    assert {one.side for one in found} == set(trades["side"])


def test_nothing_is_drawn_that_was_not_known(run: Path) -> None:
    """Zones and swings are known at or before the close before the entry."""
    shown = 0
    for one in examples(run).examples:
        assert one.known <= one.entry_time < one.known + one.bar_ms
        for mark in (*one.zones, *one.swings):
            assert mark.known <= one.known
        for zone in one.zones:
            assert zone.anchor < zone.known
            assert zone.bottom <= zone.top
        shown += len(one.zones)
    assert shown > 0


def test_the_future_does_not_move_the_past(
    true_inputs: Inputs, true_run: Path, run: Path, tmp_path: Path
) -> None:
    """With other prices from the entry on, the same zones, swings and factors are found."""
    found = examples(run).examples
    one = max(found, key=lambda example: example.entry_time)
    market = true_inputs.markets["BTC"][0]
    bars = market.candles.bars.copy()
    later = bars["time"] >= one.known
    for name in ("open", "high", "low", "close"):
        bars[name][later] *= 3.0
    changed = replace(market, candles=Candles("BTC", market.candles.timeframe, bars))
    folder = shutil.copytree(true_run, tmp_path / "run")
    write_examples(folder, {"BTC": [changed]}, true_inputs.ensemble)
    again = next(item for item in examples(folder).examples if item.entry_time == one.entry_time)

    assert again.zones == one.zones
    assert again.swings == one.swings
    assert again.factors == one.factors
    assert again.candles != one.candles


def test_the_factors_add_up_to_what_the_strategy_saw(run: Path) -> None:
    """A market entry is decided at the close that is drawn, so the confidence is the sum."""
    for one in examples(run).examples:
        assert len(one.factors) == 9
        assert sum(item.points for item in one.factors) == pytest.approx(one.confidence, abs=1e-9)
        assert all(0 <= item.points <= item.most for item in one.factors)


def test_the_swept_pool_is_the_one_that_was_traded(run: Path) -> None:
    """The strategy trades sweeps: each example shows a swept pool of its own side."""
    for one in examples(run).examples:
        swept = [zone for zone in one.zones if zone.swept]
        assert [zone.state for zone in swept] == ["swept"]
        assert swept[0].side == (1 if one.side == "long" else -1)


def test_examples_are_the_same_each_time(true_inputs: Inputs, run: Path, tmp_path: Path) -> None:
    """The same run gives the same bytes, and they are plain JSON."""
    folder = shutil.copytree(run, tmp_path / "again")
    write_examples(folder, true_inputs.markets, true_inputs.ensemble)
    text = (folder / seen.EXAMPLES).read_text(encoding="utf-8")

    assert text == (run / seen.EXAMPLES).read_text(encoding="utf-8")
    assert "NaN" not in text
    assert json.loads(text)["format"] == seen.FORMAT


def test_the_report_needs_neither_candles_nor_strategy(run: Path, tmp_path: Path) -> None:
    """From a copy of the folder alone the same page is made, examples included."""
    first = write_report(run).read_bytes()
    copy = shutil.copytree(run, tmp_path / run.name)
    (copy / "report.html").unlink()

    assert write_report(copy).read_bytes() == first
    assert b"1. Best trade" in first
    assert b"Confidence at the close before the entry" in first


def test_without_examples_the_report_says_so(true_run: Path) -> None:
    """A run without examples.json is rendered, with the reason why there are none."""
    assert "No example trades were kept with this run" in render(true_run)


def test_missing_candles_and_broken_strategies_cost_no_report(
    true_inputs: Inputs, true_run: Path, tmp_path: Path
) -> None:
    """Without candles there are no examples but a note; a strategy that fails loses its lines."""
    folder = shutil.copytree(true_run, tmp_path / "none")
    write_examples(folder, {}, true_inputs.ensemble)
    found = examples(folder)
    assert found.examples == ()
    assert "candles of BTC" in found.notes[0]

    file = tmp_path / "broken.py"
    file.write_text(
        "from ftbt.strategy import SetupStrategy\n\n"
        "class Broken(SetupStrategy):\n"
        "    params = dict(swing=5, reclaim=2, min_touches=1, bias='none', stop_atr=0.5,\n"
        "                  target_r=1.5)\n"
        "    def __init__(self):\n        raise RuntimeError('no lines today')\n"
    )
    broken = replace(find_strategy(str(file)), name="liquidity_sweep")
    folder = shutil.copytree(true_run, tmp_path / "broken")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["strategy"]["fixed"] = {}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    _only_known(folder, broken)
    (member,) = true_inputs.ensemble.members
    member = replace(member, strategy=broken, space=replace(member.space, fixed={}))
    write_examples(folder, true_inputs.markets, replace(true_inputs.ensemble, members=(member,)))
    found = examples(folder)
    assert found.examples
    assert not any(one.factors for one in found.examples)
    assert "no lines today" in found.notes[0]
    assert "no lines today" in render(folder)


def _only_known(folder: Path, strategy: StrategyRef) -> None:
    """Leave only parameters in the stored windows that *strategy* has."""
    known = dict(strategy.load().params._getitems())
    path = folder / "windows.parquet"
    frame = pd.read_parquet(path)
    frame["parameters"] = [
        json.dumps({k: v for k, v in json.loads(text).items() if k in known and k != "min_touches"})
        for text in frame["parameters"]
    ]
    frame.to_parquet(path)


def test_each_example_is_drawn_with_the_lines_of_its_own_strategy(
    true_portfolio: tuple[Inputs, Path],
) -> None:
    """Parameters by the strategy's own names, and its name in the title."""
    inputs, folder = true_portfolio
    write_examples(folder, inputs.markets, inputs.ensemble)
    found = examples(folder).examples
    members = {one.strategy.name: one for one in inputs.ensemble.members}
    trades = load_run(folder).trades
    blocks = section.SECTION.build(Source(load_run(folder), seen.load(folder)))
    titles = " ".join(block.title for block in blocks if block.kind == "figure")

    assert set(trades["strategy"]) == set(members)
    assert {one.strategy for one in found} == set(members)
    for one in found:
        assert set(one.parameters) == set(members[one.strategy].space.ranges)
        own = trades[(trades["strategy"] == one.strategy) & (trades["symbol"] == one.symbol)]
        assert one.entry_price in set(own["entry_price"])
        assert f"{one.side} {one.symbol} by {one.strategy}" in titles
        assert len(one.factors) == 9
    assert not examples(folder).notes


def test_the_lines_are_the_strategys_own(true_inputs: Inputs) -> None:
    """A strategy's lines come with its own parameters, unmoved by a run that never trades."""
    market: Market = true_inputs.markets["BTC"][0].slice(0, 900)
    cls = true_inputs.ensemble.members[0].strategy.load()
    lines = lines_of(cls, resolve(cls, {"swing": 3, "reclaim": 0}, "1h"), market)
    names = {line.concept.name for line in lines}

    assert {"sweeps", "structure", "atr", "confidence"} <= names
    sweeps = next(line for line in lines if line.concept.name == "sweeps")
    assert sweeps.values["left"] == 3  # noqa: PD011 - not a frame
    assert sweeps.values["reclaim"] == 0  # noqa: PD011 - not a frame
    assert len(sweeps.outputs()) == 900


def test_open_pools_are_those_of_the_ledger(true_inputs: Inputs) -> None:
    """Pools drawn as untouched are untouched in the ledger, the nearest of each side first."""
    market = true_inputs.markets["BTC"][0].slice(0, 800)
    price = float(market.candles.close[-1])
    known = known_at_close(market, [], 1)
    drawn = {zone.top for zone in known.zones if zone.kind == "pool" and not zone.swept}
    lives = zones(SWEEPS, market.candles.bars, {})
    alive = {life.events[-1]["top"] for life in lives
             if life.ended is None and life.bar(TAKEN) is None}  # fmt: skip
    above = sorted(level for level in alive if level > price)[:2]
    below = sorted((level for level in alive if level <= price), reverse=True)[:2]

    assert drawn == {*above, *below}
    assert known.lines == "default lines"


@st.composite
def trade_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Return a small table of trades."""
    count = draw(st.integers(0, 30))
    r = draw(st.lists(st.floats(-2, 5, width=16), min_size=count, max_size=count))
    sides = draw(st.lists(st.sampled_from(["long", "short"]), min_size=count, max_size=count))
    ends = draw(st.lists(st.sampled_from(["stop", "time"]), min_size=count, max_size=count))
    return pd.DataFrame(
        {
            "r": np.array(r, np.float64),
            "money": np.array(r, np.float64) * 10,
            "side": pd.Series(sides, dtype="str"),
            "exit_reason": pd.Series(ends, dtype="str"),
        }
    )


@given(trade_tables())
@settings(deadline=None, max_examples=80)
def test_the_choice_follows_its_rule(trades: pd.DataFrame) -> None:
    """Each trade once, both sides when there are both, the extremes and a stop-out included."""
    picked = pick(trades)
    indices = [index for _, index in picked]

    assert len(set(indices)) == len(indices) <= 6
    assert bool(picked) == bool(len(trades))
    if not len(trades):
        return
    shown = trades.iloc[indices]
    assert set(shown["side"]) == set(trades["side"])
    assert shown["r"].max() == trades["r"].max()
    assert shown["r"].min() == trades["r"].min()
    if len(trades) > 6 and (trades["exit_reason"] == "stop").sum() > 3:
        assert (shown["exit_reason"] == "stop").any()


def test_results_are_compared_in_money_without_stops() -> None:
    """One trade without a stop makes R incomparable."""
    trades = pd.DataFrame(
        {
            "r": [3.0, np.nan, 1.0],
            "money": [1.0, 9.0, -4.0],
            "side": ["long"] * 3,
            "exit_reason": ["time"] * 3,
        }
    )
    assert pick(trades)[:2] == [("best trade", 1), ("worst trade", 2)]


@given(st.integers(0, 3000), st.integers(0, 2500))
@settings(deadline=None, max_examples=60)
def test_candles_around_a_trade_are_not_too_many(entry: int, length: int) -> None:
    """At most WIDEST candles; coarser ones hold the same highs, lows, first open, last close."""
    count = entry + length + 5
    values = np.random.default_rng(1).uniform(90, 110, count)
    bars = np.zeros(count, [("time", "i8"), *((n, "f8") for n in ("open", "high", "low", "close")),
                            ("volume", "f8")])  # fmt: skip
    bars["time"] = np.arange(count) * 60_000
    for name in ("open", "high", "low", "close"):
        bars[name] = values
    bars["high"] += 1
    bars["low"] -= 1
    drawn, each, cut = cut_candles(bars, entry, entry + length)
    first = int(drawn[0]["time"]) // 60_000
    covered = bars[first : first + len(drawn) * each]

    assert len(drawn) <= WIDEST
    assert first <= entry < first + len(covered)
    assert drawn["high"].max() == covered["high"].max()
    assert drawn["low"].min() == covered["low"].min()
    assert drawn["open"][0] == covered["open"][0]
    assert drawn["close"][-1] == covered["close"][-1]
    assert cut == (entry + length >= first + len(covered))
