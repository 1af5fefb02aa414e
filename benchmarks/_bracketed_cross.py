"""The bracketed cross as a user of ftbt writes it: a line, a rule, a class.

Buy one unit when the fast average of the closes crosses above the slow one, with a stop and a
target at fixed distances from that close; leave when it crosses below.

A setup's size follows from its risk. One unit a trade is said by what the account allows: lots of
one unit, and a cap on the notional (`max_notional`, 1 % of the equity) that is worth between one
and two of them at every price of these bars.
"""

# ruff: noqa: ARG001, RUF012 - as for the files in strategies/

import math

import numpy as np

from ftbt.compiled import compiled
from ftbt.ranges import Float, Int
from ftbt.smc.base import NAN, Concept, SmcLine
from ftbt.strategy import Setup, SetupStrategy, setup_rule

LONGEST = 500

STATE = np.dtype(
    [("ring", "f8", (LONGEST,)), ("at", "i8"), ("count", "i8"), ("sum", "f8"), ("mean", "f8")],
    align=True,
)


@compiled
def mean_init(state, p):
    """Prepare a zeroed state."""
    state.mean = NAN


@compiled
def mean_step(state, bar, p, out):
    """Take one closed bar."""
    at = state.at
    state.sum += bar.close - state.ring[at]
    state.ring[at] = bar.close
    state.at = at + 1 if at + 1 < p.length else 0
    state.count += 1
    out.before = state.mean
    if state.count >= p.length:
        state.mean = state.sum / p.length
    out.mean = state.mean


@compiled
def mean_run(states, bars, p, out):
    """Take all bars; there is one state."""
    for i in range(bars.shape[0]):
        mean_step(states[0], bars[i], p, out[i])


MEAN = Concept(
    name="mean of closes",
    fields={
        "mean": "mean of the last `length` closes",
        "before": "the same at the bar before",
    },
    events=(),
    state=STATE,
    init=mean_init,
    step=mean_step,
    run=mean_run,
    defaults={"length": 20},
    ranges={"length": Int(1, LONGEST)},
)


class MeanOfCloses(SmcLine):
    """The simple moving average."""

    concept = MEAN
    lines = MEAN.lines
    params = MEAN.params


@setup_rule
def rule(bar, fast, slow, p, setup):
    """Set the setup at the close of *bar*."""
    if math.isnan(slow.before) or math.isnan(fast.before):
        return
    if fast.mean > slow.mean and fast.before <= slow.before:
        setup.side = 1
        setup.stop = bar.close * (1.0 - p.stop)
        setup.target1 = bar.close * (1.0 + p.target)
    elif fast.mean < slow.mean and fast.before >= slow.before:
        setup.exit_long = 1


class BracketedCross(SetupStrategy):
    """Buy the cross upward with a stop and a target; see the module docstring."""

    params = dict(
        fast=20,
        slow=50,
        stop=0.02,
        target=0.04,
        max_notional=0.01,
        risk_per_trade=0.05,
        confidence_sizing=0.0,
        min_rr=0.5,
        max_bars=5000,
    )
    ranges = dict(
        fast=Int(5, 25, step=5),
        slow=Int(30, 200, step=10),
        stop=Float(0.005, 0.05, step=0.005),
        target=Float(0.01, 0.1, step=0.01),
    )
    reasons = ("cross upward",)
    warmup_days = 3.0

    def __init__(self):
        super().__init__()
        self.setup = Setup(
            rule,
            MeanOfCloses(self.data, length=self.p.fast),
            MeanOfCloses(self.data, length=self.p.slow),
        )
