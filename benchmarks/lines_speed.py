"""How fast the shared lines are: all of them on 100,000 bars, beside smartmoneyconcepts.

The peer lives in an environment of its own, see `docs/how-to/run-the-benchmarks.md`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peers import HOW, peers_python
from benchmarks.common import NotMeasured, Row, seconds
from ftbt.data.candles import FIELDS, Bars, make_bars
from ftbt.data.timeframe import MINUTE_MS
from ftbt.smc import ALL_LINES, STRUCTURE, Concept

BARS = 100_000
TARGET_SECONDS = 0.2
TARGET_RATIO = 50.0

# Runs under the peer's own Python: pandas and smartmoneyconcepts only.
_PEER = """
import contextlib, io, json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
with contextlib.redirect_stdout(io.StringIO()):
    from smartmoneyconcepts import smc
data = np.load(sys.argv[1])
index = pd.to_datetime(data["time"], unit="ms")
ohlc = pd.DataFrame({n: data[n] for n in ("open", "high", "low", "close", "volume")}, index=index)
took = {}
def timed(name, function, *args, **more):
    began = time.perf_counter()
    result = function(*args, **more)
    took[name] = time.perf_counter() - began
    return result
timed("fvg", smc.fvg, ohlc)
swings = timed("swings", smc.swing_highs_lows, ohlc, swing_length=5)
timed("structure", smc.bos_choch, ohlc, swings)
timed("order_blocks", smc.ob, ohlc, swings)
timed("liquidity", smc.liquidity, ohlc, swings)
timed("previous_high_low", smc.previous_high_low, ohlc, time_frame="1D")
timed("sessions", smc.sessions, ohlc, session="London")
timed("retracements", smc.retracements, ohlc, swings)
print(json.dumps(took))
"""


def walk(n: int = BARS, seed: int = 1) -> Bars:
    """Return a random walk of 15-minute bars with fat tails."""
    rng = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(0.002 * rng.standard_t(4, n)))
    opened = np.concatenate([[30_000.0], close[:-1]])
    reach = 0.001 * close
    high = np.maximum(opened, close) + reach * rng.exponential(size=n)
    low = np.minimum(opened, close) - reach * rng.exponential(size=n)
    time = 1_600_000_200_000 + 15 * MINUTE_MS * np.arange(n, dtype=np.int64)
    return make_bars(time, opened, high, low, close, rng.lognormal(3.0, 1.0, n))


def line_seconds(bars: Bars) -> dict[str, float]:
    """Return the time of each line with its defaults; structure also with its long swings."""
    asked: list[tuple[str, Concept, dict[str, Any]]] = [
        (line.concept.name, line.concept, {}) for line in ALL_LINES
    ]
    asked.append(("structure 50/50", STRUCTURE, {"left": 50, "right": 50}))
    took = {}
    for name, concept, values in asked:
        concept.compute(bars[:10], values)  # compiles, or loads what was compiled
        took[name] = seconds(lambda c=concept, v=values: c.compute(bars, v), repeats=5)  # type: ignore[misc]
    return took


def peer_seconds(bars: Bars, python: str) -> dict[str, float]:
    """Return the times of smartmoneyconcepts on the same bars, under the Python *python*.

    Raises:
        NotMeasured: when it stops with an error, for example because it is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bars.npz"
        np.savez(file, time=bars["time"], **{name: bars[name] for name in FIELDS})
        command = [python, "-c", _PEER, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise NotMeasured(f"{(done.stderr.strip().splitlines() or ['no message'])[-1]}; {HOW}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _ratio(bars: Bars, total: float) -> list[Row]:
    name = f"smartmoneyconcepts 0.0.27 against all lines, {BARS:,} bars"
    try:
        took = peer_seconds(bars, peers_python())
    except NotMeasured as error:
        return [Row(name, float("nan"), "x", f"not measured: {error}", at_least=TARGET_RATIO)]
    parts = ", ".join(f"{part} {value:.2f}" for part, value in took.items())
    both = sum(took.values())
    how = f"{both:.1f} s against {total:.3f} s on the same bars in one run; {parts}"
    return [Row(name, both / total, "x", how, at_least=TARGET_RATIO)]


def run() -> list[Row]:
    """Return the time of every line, of all together, and the ratio to the peer."""
    bars = walk()
    took = line_seconds(bars)
    rows = [Row(name, 1e3 * value, "ms") for name, value in took.items()]
    total = sum(took.values())
    how = "each line alone, default parameters, shortest of 5 runs, after compilation, one core"
    rows.append(Row(f"all lines, {BARS:,} bars", total, "s", how, at_most=TARGET_SECONDS))
    return rows + _ratio(bars, total)
