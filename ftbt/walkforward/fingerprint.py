"""The name of a run: a hash over everything that determines its result."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ftbt import __version__
from ftbt.config import AllocationPart, Experiment
from ftbt.data.market import coin_of
from ftbt.strategy.loader import StrategyRef, strategies_folder
from ftbt.walkforward.ensemble import Ensemble

_PACKAGES = ("optuna", "numba", "numpy", "pandas", "scipy", "pyarrow", "backtrader")
# These show or carry a result; they don't make it.
_OUTSIDE = ("cli", "deployment", "report", "robustness", "hyperliquid", "localnet", "live")


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on, by name."""
    own = {"python": platform.python_version(), "ftbt": __version__}
    return own | {name: version(name) for name in _PACKAGES}


@cache
def code_hash() -> str:
    """Return the sha256 over those of ftbt's sources that make a result."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in _OUTSIDE:
            digest.update(place.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_id_of(manifest: Mapping[str, Any]) -> str:
    """Return strategy-symbols-timeframe-hash; the hash is over the whole *manifest*."""
    text = json.dumps({**manifest, "run_id": ""}, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    coins = [re.sub(r"[^A-Za-z0-9]", "", coin_of(one["symbol"])) for one in manifest["data"]]
    shown = "+".join(coins[:3]) + (f"+{len(coins) - 3}" if len(coins) > 3 else "")
    name = re.sub(r"[^A-Za-z0-9_]", "_", manifest["strategy"]["name"])
    return f"{name}-{shown}-{manifest['data'][0]['timeframe']}-{digest}"


def command_of(experiment: Experiment, ensemble: Ensemble, experiment_file: str | None) -> str:
    """Return what to type to get this result again; files by name, without their folders."""
    if experiment_file is not None:
        return f"ftbt walkforward --experiment {shlex.quote(experiment_file)}"
    strategies = ",".join(_strategy_word(one.strategy) for one in ensemble.members)
    words = ["ftbt", "walkforward", "--strategy", strategies]
    data = experiment.data
    source = Path(data.source).name if Path(data.source).suffix else data.source
    words += ["--data", source]
    for symbol in data.symbols:
        words += ["--symbol", symbol]
    words += ["--timeframe", data.timeframe]
    words += _given(
        {
            "--from": data.start,
            "--to": data.end,
            "--holes": data.holes if data.holes != "refuse" else None,
            "--detail": data.detail,
        }
    )
    walk, search = experiment.walk_forward, experiment.search
    words += ["--train", str(walk.train), "--test", str(walk.test)]
    words += _given(
        {
            "--step": walk.step,
            "--purge": walk.purge if walk.purge.amount else None,
            "--embargo": walk.embargo if walk.embargo.amount else None,
        }
    )
    words += ["--anchored"] * walk.anchored + ["--short-last"] * walk.short_last
    words += ["--trials", str(search.trials), "--objective", search.objective]
    words += ["--min-trades", str(search.min_trades), "--selection", search.selection]
    words += ["--seed", str(search.seed), "--engine", experiment.backtest.engine]
    words += _given(
        {f"--{name.replace('_', '-')}": one for name, one in experiment.backtest.money().items()}
    )
    words += ["--no-limits"] * (experiment.risk.limits == "none")
    for name, value in experiment.risk.given().items():
        words += ["--limit", f"{name}={value!r}"]
    words += _allocation_words(experiment.allocation)
    for name, value in experiment.strategy.parameters.items():
        words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return shlex.join(words)


def _allocation_words(part: AllocationPart) -> list[str]:
    given = part.given()
    words = _given({"--allocation": given.get("method")})
    if part.weights:
        words += ["--weights", ",".join(map(repr, part.weights))]
    return words + ["--drawdown-aware"] * part.drawdown_aware


def _strategy_word(strategy: StrategyRef) -> str:
    path = Path(strategy.path)
    if path.parent == strategies_folder().resolve() and path.stem == strategy.name:
        return strategy.name
    return f"{path.name}:{strategy.class_name}"


def _given(options: Mapping[str, Any]) -> list[str]:
    return [
        word for name, value in options.items() if value is not None for word in (name, str(value))
    ]
