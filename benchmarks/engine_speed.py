"""How fast a user's own Backtrader strategy runs here, and in plain Backtrader beside it.

The bracketed cross of `_peer_backtrader.py` is written as a user writes it for Backtrader, and runs
unchanged here, on the reference engine: it has a `next` of its own. Plain Backtrader gets its best
usual switch (no observers) and its usual feed, a data frame. Then where a trial of a shipped
strategy spends its time on that engine.
"""

from __future__ import annotations

import cProfile
import pstats

import backtrader as bt

from benchmarks._bracketed_market import CASH, FEE, SETTINGS, bars, market
from benchmarks._peer_backtrader import Cross, plain
from benchmarks._peers import in_turns
from benchmarks.common import Row, processor_seconds
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason
from ftbt.data.candles import Bars
from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.strategy.loader import find_strategy

TURNS = 3
_FOLDERS = {
    "ftbt/backtest": "orders and account",
    "ftbt/strategy": "the strategy's base",
    "ftbt/smc": "lines",
    "backtrader": "Backtrader",
    "numpy": "numpy",
}


class Empty(bt.Strategy):
    """Does nothing: the price of the loop alone."""


def _user_rows() -> list[Row]:
    """Measure a user's plain strategy here and in plain Backtrader, taking turns."""
    data = bars()
    traded = market(data)
    rows = []
    for cls, name in ((Empty, "an empty strategy"), (Cross, "the bracketed cross")):
        run_backtest(cls, traded, {}, SETTINGS)
        took = in_turns(
            {
                "theirs": lambda c=cls: processor_seconds(lambda: plain(c, data, {}, CASH, FEE), 1),
                "ours": lambda c=cls: processor_seconds(
                    lambda: run_backtest(c, traded, {}, SETTINGS), 1
                ),
            },
            TURNS,
        )
        how = f"{len(data):,} bars, best of {TURNS} turns; plain Backtrader {took['theirs']:.2f} s"
        rows.append(Row(f"{name}: reference engine", took["ours"], "s", how))
        ratio = took["theirs"] / took["ours"]
        rows.append(Row(f"{name}: plain Backtrader's time / ours", ratio, "x", how, at_least=2.0))
    return [*rows, _apart(data, traded)]


def _apart(data: Bars, traded: Market) -> Row:
    """Return how far apart the final equities are; Backtrader leaves the last position open."""
    result = run_backtest(Cross, traded, {}, SETTINGS)
    forced = result.trades["exit_reason"][-1] == ExitReason.END
    value = float(result.equity[-1] + (result.fills["fee"][-1] if forced else 0.0)) / 100
    other = float(plain(Cross, data, {}, CASH, FEE).broker.getvalue()) / 100
    how = f"{value:,.2f} before the fee of the exit at the end; plain Backtrader {other:,.2f}"
    return Row(
        "the bracketed cross: final equity apart", abs(value - other), "USD", how, None, 0.01
    )


def _profile_rows(traded: Market) -> list[Row]:
    """Tell where a trial on the reference engine spends its time."""
    strategy = find_strategy("liquidity_sweep")
    run_backtest(strategy, traded, engine="reference")  # compiles
    profile = cProfile.Profile()
    profile.enable()
    run_backtest(strategy, traded, engine="reference")
    profile.disable()
    spent: dict[str, float] = {}
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = file.replace("\\", "/")
        group = next((word for part, word in _FOLDERS.items() if part in place), "Python itself")
        spent[group] = spent.get(group, 0.0) + own
    whole = sum(spent.values())
    how = "own time in a profile of one liquidity_sweep trial, reference engine"
    return [
        Row(f"share of {group}", 100 * own / whole, "%", how)
        for group, own in sorted(spent.items(), key=lambda item: -item[1])
    ]


def run() -> list[Row]:
    """Measure; about half a minute."""
    return [*_user_rows(), *_profile_rows(sample_market(["BTC"])["BTC"])]
