"""Look-ahead: a swing low drawn at its own bar, five bars before it is confirmed."""

import numpy as np

from ftbt.compiled import compiled
from ftbt.ranges import Int
from ftbt.smc.base import Concept, SmcLine
from ftbt.strategy import Setup, SetupStrategy, setup_rule

_STATE = np.dtype([("count", "i8")])


@compiled
def _init(state, p):
    pass


@compiled
def _step(state, bar, p, out):
    out.low_event = 0.0  # bar by bar it can't know


@compiled
def _run(states, bars, p, out):
    for i in range(bars.shape[0]):
        out[i].low_event = 0.0
        if i < p.side or i + p.side >= bars.shape[0]:
            continue
        lowest = True
        for k in range(1, p.side + 1):
            if bars[i - k].low <= bars[i].low or bars[i + k].low < bars[i].low:
                lowest = False
        if lowest:
            out[i].low_event = 1.0


PIVOTS = Concept(
    name="unconfirmed_swings",
    fields={"low_event": "1 at a swing low's own bar"},
    events=("low_event",),
    state=_STATE,
    init=_init,
    step=_step,
    run=_run,
    defaults={"side": 5},
    ranges={"side": Int(1, 20)},
)


class Pivots(SmcLine):
    """Swing lows where a chart draws them."""

    concept = PIVOTS
    lines = PIVOTS.lines
    params = PIVOTS.params


@setup_rule
def rule(bar, pivots, p, setup):
    """Buy the low."""
    if pivots.low_event > 0.0:
        setup.side = 1
        setup.stop = bar.low * 0.995
        setup.target1 = bar.close + 2.0 * (bar.close - setup.stop)


class UnconfirmedSwing(SetupStrategy):
    """Buys swing lows at their own close."""

    warmup_days = 1.0

    def __init__(self):
        super().__init__()
        self.setup = Setup(rule, Pivots(self.data))
