"""Markets and honest strategies for the tests of the audit."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.robustness.audit import Audit, audit
from ftbt.strategy.loader import StrategyRef, find_strategy

TESTS = Path(__file__).resolve().parents[1]
BIASED = TESTS / "biased"
DAYS = 9


@cache
def place(days: int = DAYS) -> Market:
    """BTC of the synthetic market, 15 minutes."""
    return sample_market(["BTC"], days=days)["BTC"]


def quick(strategy: StrategyRef | type[Any] | Path, **more: Any) -> Audit:
    """The audit without the other engines and the warm-up."""
    found = find_strategy(str(strategy)) if isinstance(strategy, Path) else strategy
    usual = {"prefixes": 6, "trade_from": 100}
    return audit(found, more.pop("market", place()), **{**usual, **more})


@cache
def biased(name: str) -> Audit:
    """The verdict on a file of tests/biased."""
    return quick(BIASED / f"{name}.py")


def users_strategies() -> list[type[Any]]:
    """The ordinary Backtrader strategies that the tests of the engine run."""
    folder = TESTS / "backtest"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(
        "audited_users_strategies", folder / "test_user_strategies.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return list(module.AGREEING)


def write(folder: Path, name: str, body: str, head: str = "") -> Path:
    """A strategy file with one class; *body* is its inside."""
    text = "".join(f"    {line}\n" if line else "\n" for line in body.strip("\n").splitlines())
    title = "".join(word.capitalize() for word in name.split("_"))
    path = folder / f"{name}.py"
    path.write_text(f"import backtrader as bt\n{head}\n\nclass {title}(bt.Strategy):\n{text}")
    return path
