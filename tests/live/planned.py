"""A setup strategy that does what a plan says: bar by bar, so that every situation is arranged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ftbt import smc
from ftbt.strategy import Setup, SetupStrategy, setup_rule
from ftbt.strategy.decide import clear_setup
from ftbt.strategy.records import SETUP


@setup_rule
def rule(bar, atr, p, setup):
    """Say nothing: the plan does."""
    if atr.atr < 0.0:
        setup.side = 0


class Planned(SetupStrategy):
    """Enters and leaves where `plan` says: open of a bar (ms) -> fields of its setup."""

    plan: ClassVar[Mapping[int, Mapping[str, float]]] = {}
    params = dict(min_rr=0.5, valid_bars=3, max_bars=50, confidence_sizing=0.0)

    def __init__(self):
        super().__init__()
        self.setup = Setup(rule, smc.AverageTrueRange(self.data))

    def _setup_now(self, index):
        super()._setup_now(index)
        found = np.zeros(1, SETUP)
        clear_setup(found[0])
        opened = self.broker.coins[self.data.coin].bar_time
        for name, value in self.plan.get(opened, {}).items():
            found[0][name] = value
        return found[0]
