"""What confidence is worth: its spread, and whether setups with more of it end better.

Four kinds of setups, the three shipped strategies and entries at random, on the sample market
without an edge, on the sample market with one, and on real candles when FTBT_REAL_DATA names a
folder of them (`binance-perp/BTCUSDT-15m.parquet` and so on). The strategies take every setup here,
with and against the higher timeframes: no least confidence, no bias. Each trade's result is in R,
its profit over the risk at its stop, before costs: costs are a larger part of R in calm markets,
which would look like a worthless factor. Prints a table for each; docs/reference/confidence.md
tells what follows from them.

The fair test of a factor is the mean R with it against that without it: where nothing can be known
both are zero, whatever the exits. Shares of winners and rank correlations are not zero there: a
factor that goes with longer trades has fewer winners, and they are larger. So each is to be read
beside its value on the sample market without an edge. Coins move together: standard errors take
the trades of a day, of all coins, as one piece (cluster-robust).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmarks.common import Row
from ftbt import smc
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import Role
from ftbt.backtest.settings import Settings
from ftbt.data.candles import FIELDS, Candles, make_bars
from ftbt.data.market import Market, market_of
from ftbt.data.sample import SEED, SYMBOLS, sample_market
from ftbt.data.timeframe import DAY_MS, Timeframe
from ftbt.ranges import Int
from ftbt.smc.base import Records
from ftbt.smc.confidence import AGREEMENT, FACTORS
from ftbt.strategy import Setup, SetupStrategy, setup_rule
from ftbt.strategy.loader import StrategyRef, find_strategy

REAL = "FTBT_REAL_DATA"
FRAME = Timeframe.parse("15m")
EDGE = 0.3
SEEDS = tuple(range(SEED, SEED + 12))
WARM = 3_000  # bars until all factors are known
LEAST = 40.0  # the strategies' usual min_confidence
BANDS = (0, 20, 40, 60, 80, 100)
STRATEGIES = ("liquidity_sweep", "fvg_fill", "bos_orderblock")
FREE = Settings(taker_fee=0.0, maker_fee=0.0, half_spread=0.0, slippage_atr=0.0)
WEIGHTS = {**FACTORS, "agreement": AGREEMENT}

Floats = NDArray[np.float64]
World = Mapping[str, Market]  # symbol -> market
Strategy = StrategyRef | type[SetupStrategy]


@setup_rule
def rule(bar, atr, confidence, p, setup):  # type: ignore[no-untyped-def]
    """Enter at bars and on sides that a hash of the time chooses."""
    mixed = bar.time // 900_000 * 2654435761 % 4294967296
    mixed = (mixed ^ (mixed >> 15)) * 2246822519 % 4294967296
    mixed = mixed ^ (mixed >> 13)
    if mixed % p.every != 0 or math.isnan(atr.atr):
        return
    setup.side = 1 if mixed // p.every % 2 == 0 else -1
    risk = 1.5 * atr.atr
    setup.stop = bar.close - setup.side * risk
    setup.target1 = bar.close + setup.side * 1.5 * risk
    setup.target2 = bar.close + setup.side * 3.0 * risk
    setup.confidence = confidence.long if setup.side > 0 else confidence.short


class RandomEntries(SetupStrategy):
    """Market entries at random, with the stop and targets of an ordinary setup."""

    params: ClassVar = {"every": 16}
    ranges: ClassVar = {"every": Int(1, 1000)}

    def __init__(self) -> None:
        super().__init__()
        fast, slow = smc.higher_timeframes(smc.base_milliseconds(self.data))
        confidence = smc.Confidence(self.data, fast=fast, slow=slow)
        self.setup = Setup(rule, smc.AverageTrueRange(self.data), confidence)


@dataclass(frozen=True, eq=False)
class Setups:
    """What became of setups, shape (n,) each: day, result in R, confidence, points by factor."""

    day: NDArray[np.int64]
    r: Floats
    confidence: Floats
    points: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.r)


def confidence_of(market: Market) -> Records:
    """Return the confidence line of a market."""
    fast, slow = smc.higher_timeframes(FRAME.ms)
    values = {"fast": fast, "slow": slow}
    return smc.compute_line(smc.CONFIDENCE, market.candles.bars, FRAME.ms, values)


def setups(
    worlds: Sequence[World], strategy: Strategy, values: Mapping[str, Any] | None = None
) -> Setups:
    """Return all trades of *strategy* on all symbols of *worlds*, with their points."""
    parts = [
        _setups_of(market, strategy, {"min_confidence": 0.0, **(values or {})}, 100_000 * number)
        for number, world in enumerate(worlds)
        for market in world.values()
    ]
    return Setups(
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.r for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        {name: np.concatenate([part.points[name] for part in parts]) for name in WEIGHTS},
    )


def _setups_of(
    market: Market, strategy: Strategy, values: Mapping[str, Any], first_day: int
) -> Setups:
    result = run_backtest(strategy, replace(market, funding=None), values, FREE, trade_from=WARM)
    orders, trades = result.orders, result.trades
    entries = orders[(orders["role"] == Role.ENTRY) & (orders["filled"] > 0.0)]
    if len(entries) != len(trades):
        raise RuntimeError(f"{len(entries)} filled entries, but {len(trades)} trades")
    rows, up = confidence_of(market)[entries["bar"]], trades["side"] > 0
    points = {name: np.where(up, rows[f"long_{name}"], rows[f"short_{name}"]) for name in FACTORS}
    points["agreement"] = AGREEMENT * (rows["agreement"] == trades["side"])
    if not np.array_equal(np.minimum(100.0, sum(points.values())), trades["confidence"]):
        raise RuntimeError("the points at the decision are not those of the trade's confidence")
    day = first_day + trades["entry_time"] // DAY_MS
    return Setups(day, trades["r"], trades["confidence"], points)


def real_market(folder: Path) -> World:
    """Return the real 15m candles of *folder*."""
    found = {}
    for coin in SYMBOLS:
        frame = pd.read_parquet(folder / "binance-perp" / f"{coin}USDT-15m.parquet")
        time = frame["timestamp"].dt.as_unit("ms").astype("int64").to_numpy()
        bars = make_bars(time, *(frame[name].to_numpy() for name in FIELDS))
        found[coin] = market_of(Candles(coin, FRAME, bars))
    return found


def studies() -> Iterator[tuple[str, list[World]]]:
    """Yield the name of each study and its worlds: those of different seeds are independent."""
    yield "sample without edge", [sample_market(seed=seed) for seed in SEEDS]
    yield f"sample with edge {EDGE:g}", [sample_market(seed=seed, edge=EDGE) for seed in SEEDS]
    folder = os.environ.get(REAL, "")
    if folder:
        yield "real 15m", [real_market(Path(folder))]


def _error(influence: Floats, day: NDArray[np.int64]) -> float:
    """Return the standard error of an estimate from the influence of each trade on it."""
    codes = np.unique(day, return_inverse=True)[1]
    return math.sqrt(float(np.sum(np.bincount(codes, influence) ** 2)))


def rank_correlation(a: Floats, b: Floats, day: NDArray[np.int64]) -> tuple[float, float]:
    """Return Spearman's rank correlation and its standard error, NaN with nothing to rank."""
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return math.nan, math.nan
    x, y = (stats.zscore(stats.rankdata(values)) for values in (a, b))
    rho = float(np.mean(x * y))
    return rho, _error((x * y - 0.5 * rho * (x**2 + y**2)) / len(a), day)


def difference(
    values: Floats, given: NDArray[np.bool_], day: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the mean where *given* minus the mean elsewhere, and its standard error."""
    if min(given.sum(), (~given).sum()) < 2:
        return math.nan, math.nan
    more, less = values[given].mean(), values[~given].mean()
    influence = np.where(given, (values - more) / given.sum(), (less - values) / (~given).sum())
    return float(more - less), _error(influence, day)


def mean(values: Floats, day: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean and its standard error, NaN when there are too few."""
    if len(values) < 2:
        return math.nan, math.nan
    middle = float(values.mean())
    return middle, _error((values - middle) / len(values), day)


def _shown(value: float, error: float, form: str = "+.3f") -> str:
    if math.isnan(value) or math.isnan(error):
        return "-"
    return f"{value:{form}} ±{error:{form.lstrip('+')}}"


def _winners(found: Setups, inside: NDArray[np.bool_]) -> str:
    return _shown(*mean(100.0 * (found.r[inside] > 0.0), found.day[inside]), ".1f")


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def band_table(found: Setups) -> list[str]:
    """Return setups, share of winners and mean R for each band of confidence, as Markdown."""
    lines = [_row("confidence", "setups", "winners %", "mean R"), "|---|---|---|---|"]
    for low, high in pairwise(BANDS):
        last = high == BANDS[-1]
        inside = (found.confidence >= low) & ((found.confidence < high) | last)
        average = _shown(*mean(found.r[inside], found.day[inside]))
        lines.append(_row(f"{low} to {high}", inside.sum(), _winners(found, inside), average))
    return lines


def factor_table(found: Setups) -> list[str]:
    """Return what became of setups with and without each factor, as Markdown.

    *With* means at least half of the points.
    """
    heads = ("factor", "with it", "winners % with", "without", "mean R, with - without", "rank r")
    lines = [_row(*heads), "|---" * len(heads) + "|"]
    for name, points in {**found.points, "all together": found.confidence}.items():
        given = points >= 0.5 * WEIGHTS.get(name, 100.0)
        lines.append(
            _row(
                name,
                f"{100 * given.mean():.0f} %",
                _winners(found, given),
                _winners(found, ~given),
                _shown(*difference(found.r, given, found.day)),
                _shown(*rank_correlation(points, found.r, found.day)),
            )
        )
    return lines


def _spread(name: str, worlds: Sequence[World]) -> list[Row]:
    """Return where the scores of all bars and both sides lie."""
    lines = [confidence_of(market)[WARM:] for world in worlds for market in world.values()]
    scores = np.concatenate([line[side] for line in lines for side in ("long", "short")])
    low, middle, high = map(float, np.percentile(scores, [5, 50, 95]))
    how = f"{len(scores):,} scores, median {middle:.0f}"
    return [
        Row(f"{name}: 5th percentile of all scores", low, "", how, at_most=30.0),
        Row(f"{name}: 95th percentile of all scores", high, "", how, at_least=65.0),
    ]


def _study(name: str, kind: str, found: Setups) -> list[Row]:
    print(f"\n{name}, {kind}: {len(found):,} setups\n")
    print("\n".join([*band_table(found), "", *factor_table(found)]), flush=True)
    rho, error = rank_correlation(found.confidence, found.r, found.day)
    low, high = np.percentile(found.confidence, [5, 95])
    how = f"{len(found):,} setups, standard error {error:.3f}"
    how += f"; 5th percentile {low:.0f}, 95th {high:.0f}"
    return [
        Row(f"{name}, {kind}: rank correlation of confidence and R", rho, "", how),
        _refused(name, kind, found),
    ]


def _refused(name: str, kind: str, found: Setups) -> Row:
    share = 100.0 * float((found.confidence < LEAST).mean())
    return Row(f"{name}, {kind}: setups below {LEAST:g}", share, "%", f"{len(found):,} setups")


def run() -> list[Row]:
    """Return the spread of confidence and its rank correlation with what became of setups."""
    rows = []
    for name, worlds in studies():
        rows += _spread(name, worlds)
        rows += _study(name, "random entries", setups(worlds, RandomEntries))
        for kind in STRATEGIES:
            strategy = find_strategy(kind)
            rows += _study(name, kind, setups(worlds, strategy, {"bias": "none"}))
            rows.append(_refused(name, f"{kind} with its own bias", setups(worlds, strategy)))
    return rows
