"""The bracketed cross on a year of 15m bars: ftbt beside its peers and the bare compiled loop.

SMA(20) crosses above SMA(50) at a close -> one unit at the next open with a stop at -2 % and a
target at +4 % of that close; the cross downward leaves at the next open; fee 0.045 % a side, no
slippage, a million dollars. ftbt's strategy is `_bracketed_cross.py`, written as its users write
theirs. A call goes from candles and parameters to the result, all lines made anew. All sides take
turns, and the shortest processor time of each counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks._bare_loop import OPEN, SIGNAL, STOP, TARGET, bare
from benchmarks._bracketed_market import CASH, FEE, SETTINGS, bars, market, strategy
from benchmarks._peers import Peer, Peers, in_turns, peers
from benchmarks._split import split
from benchmarks.common import NotMeasured, Row, processor_seconds
from ftbt.backtest.engine import run_backtest
from ftbt.backtest.result import ExitReason, Result
from ftbt.data.candles import Bars
from ftbt.data.market import Market
from ftbt.smc.base import CACHE

VALUES: dict[str, Any] = dict(fast=20, slow=50, stop=0.02, target=0.04)
TURNS = 4
CENT = 1.0
UNIT = "one unit a trade, by lots of one and a cap on the notional"

Figures = dict[str, Any]


def own_figures(result: Result) -> Figures:
    """Return what a run of ours did, in the peers' words.

    ftbt closes what is open at the end, with cost; the peers leave it open. The equity is the one
    before that fee.
    """
    reasons = Counter(result.trades["exit_reason"].tolist())
    forced = reasons[ExitReason.END]
    return {
        "entries": len(result.trades),
        "stop": reasons[ExitReason.STOP],
        "target": reasons[ExitReason.TARGET1],
        "signal": reasons[ExitReason.INVALIDATION],
        "open": forced,
        "equity": float(result.equity[-1] + (result.fills["fee"][-1] if forced else 0.0)),
    }


def bare_figures(data: Bars, values: dict[str, Any]) -> Figures:
    """Return what the bare loop did, in the peers' words."""
    _, trades, equity = bare(data, values, FEE, CASH)
    reasons = Counter(trades["reason"].tolist())
    words = {"stop": STOP, "target": TARGET, "signal": SIGNAL, "open": OPEN}
    counts = {word: reasons[code] for word, code in words.items()}
    return {"entries": len(trades), **counts, "equity": float(equity[-1])}


def told(figures: Figures) -> str:
    """Return *figures* in one line; money in dollars."""
    text = (
        f"{figures['entries']} entries: {figures['signal']} signal exits, {figures['stop']} stops,"
        f" {figures['target']} targets, {figures['open']} open; equity"
        f" {figures['equity'] / 100:,.2f}"
    )
    if figures.get("wrong"):
        text += (
            f"; {figures['wrong']} of its exits are wrong: the stop or target of a position that"
            f" its signal had closed at the open, worth {figures['wrong_cost'] / 100:,.2f}"
        )
    return text


def run() -> list[Row]:
    """Measure; see the module docstring."""
    data = bars()
    traded, cls = market(data), strategy().load()

    def call() -> Result:
        return run_backtest(cls, traded, VALUES, SETTINGS, engine="compiled")

    def new_lines() -> Result:
        CACHE.clear()
        return call()

    ours, floor = own_figures(new_lines()), bare_figures(data, VALUES)
    with peers(data) as others:
        figures, notes = _peer_figures(others)
        works: dict[str, Callable[[], float]] = {
            "ftbt": partial(processor_seconds, new_lines, 20),
            "ftbt, kept lines": partial(processor_seconds, call, 20),
            "bare loop": partial(processor_seconds, partial(bare, data, VALUES, FEE, CASH), 40),
        }
        for name in figures:
            works[name] = _peer_work(others, name, figures[name])
        took = in_turns(works, TURNS)
    notes.update(others.missing)
    return [
        *_own_rows(took, ours, floor, traded),
        *split("bracketed cross", new_lines),
        *_bare_rows(took, data),
        *_peer_rows(took, figures, notes),
    ]


# --- the peers ---------------------------------------------------------------------------------

ENGINES = ("numba", "rust")


def _peer_figures(others: Peers) -> tuple[dict[str, Figures], dict[str, str]]:
    """Return what each peer did, and why some did nothing. vectorbt has two engines."""
    found: dict[str, Figures] = {}
    notes: dict[str, str] = {}
    for name, peer in others.here.items():
        work = "trades" if name == "vectorbt" else "cross"
        for label in _labels(name):
            try:
                if name == "vectorbt":
                    _vectorbt(peer, label.split()[1])  # compiles
                found[label] = peer.ask(work, values=VALUES, cash=CASH, fee=FEE)
                found[label]["version"] = peer.name
            except NotMeasured as error:
                notes[label] = str(error)
    return found, notes


def _labels(name: str) -> list[str]:
    return [f"vectorbt {engine}" for engine in ENGINES] if name == "vectorbt" else [name]


def _vectorbt(peer: Peer, engine: str) -> Figures:
    return peer.ask("cross", sets=[VALUES], cash=CASH, fee=FEE, engine=engine)


def _peer_work(others: Peers, label: str, figures: Figures) -> Callable[[], float]:
    """Return what measures a peer once more: several calls of a quick one, one of a slow one."""
    name, _, engine = label.partition(" ")
    peer = others.here[name]
    if name != "vectorbt":
        return lambda: float(peer.ask("cross", values=VALUES, cash=CASH, fee=FEE)["processor"])

    def several() -> float:
        said = [_vectorbt(peer, engine) for _ in range(5)]
        part = min(one["from_signals"] for one in said)
        figures["from_signals"] = min(part, figures.get("from_signals", part))
        return float(min(one["processor"] for one in said))

    return several


# --- rows --------------------------------------------------------------------------------------


def _own_rows(took: dict[str, float], ours: Figures, floor: Figures, traded: Market) -> list[Row]:
    where = f"{len(traded.candles):,} bars, from candles and parameters to the Result; {UNIT}"
    apart = abs(ours["equity"] - floor["equity"]) / 100
    same = {**ours, "equity": 0} == {**floor, "equity": 0}
    return [
        Row(
            "bracketed cross: ftbt, lines made anew",
            1e3 * took["ftbt"],
            "ms",
            f"{where}; {told(ours)}",
        ),
        Row("bracketed cross: ftbt, lines kept", 1e3 * took["ftbt, kept lines"], "ms", where),
        Row(
            "bracketed cross: equity apart from the bare loop's",
            apart if same else float("inf"),
            "USD",
            f"entries and exits by reason {'the same' if same else 'differ'}; the bare loop:"
            f" {told(floor)}",
            at_most=CENT / 100,
        ),
    ]


def _bare_rows(took: dict[str, float], data: Bars) -> list[Row]:
    how = (
        f"one compiled loop, no library: averages, orders, trades, equity of {len(data):,} bars;"
        " ftbt with its lines made anew"
    )
    ratio = took["ftbt"] / took["bare loop"]
    return [
        Row("bracketed cross: bare compiled loop", 1e3 * took["bare loop"], "ms", how),
        Row("bracketed cross: ftbt's time / bare loop's", ratio, "x", how, at_most=8.0),
    ]


TARGETS = {"Backtrader": 800.0, "vectorbt numba": 8.0, "vectorbt rust": 8.0}


def _peer_rows(
    took: dict[str, float], figures: dict[str, Figures], notes: dict[str, str]
) -> list[Row]:
    rows = []
    for name in ("Backtrader", "vectorbt", "backtesting.py"):
        for label in _labels(name):
            target = TARGETS.get(label)
            title = f"bracketed cross: {label}'s time / ftbt's"
            if label not in figures:
                why = notes.get(label, notes.get(name, "it did not start"))
                rows.append(Row(title, np.nan, "x", f"not measured: {why}", at_least=target))
                continue
            did = figures[label]
            how = f"{did['version']}; {told(did)}"
            rows.append(Row(f"bracketed cross: {label}", 1e3 * took[label], "ms", how))
            rows.append(Row(title, took[label] / took["ftbt"], "x", _MEANT[name], at_least=target))
            if "from_signals" in did:
                part, how = 1e3 * did["from_signals"], "and the final value, signals ready"
                rows.append(Row(f"bracketed cross: {label}, from_signals alone", part, "ms", how))
    return rows


_MEANT = {
    "Backtrader": "the same cross as its users write it, stdstats=False, fed by a data frame",
    "vectorbt": "averages, crosses and from_signals, to the final value, compiled before",
    "backtesting.py": "one run with its statistics",
}
