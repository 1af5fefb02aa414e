"""Strategies written once: setup rules on shared lines, one compiled decision, orders."""

from __future__ import annotations

from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.records import LIMIT, MARKET, STOP, STOP_LIMIT
from ftbt.strategy.setup import Setup, setup_rule

__all__ = ["LIMIT", "MARKET", "STOP", "STOP_LIMIT", "Setup", "SetupStrategy", "setup_rule"]
