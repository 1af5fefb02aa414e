"""The pools that are taken, one after the other, and the next targets: what `sweeps.py` judges.

How a pool is judged does not change the pools. So in research the pools of one set of their own
parameters are followed once, whatever the sweeps that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ftbt.compiled import compiled, looped
from ftbt.data.candles import Bars, frozen
from ftbt.room import ROOM, copied
from ftbt.smc.base import Concept, Inner, Records
from ftbt.smc.ledger import TAKEN
from ftbt.smc.liquidity import LIQUIDITY, TARGET_FIELDS, show_targets
from ftbt.smc.pools import NEW_POOLS, POOL_EVENT, pools_follow, pools_init, pools_prepare
from ftbt.smc.rows import blank, keep
from ftbt.smc.swings import SWINGS, swing_step

# A pool that was taken, as the ledger tells it, and the bar at which it was.
TAKEN_POOL = np.dtype([("bar", "i8"), ("event", POOL_EVENT)], align=True)


class _Taken(Concept):
    """A concept whose outputs are two: its lines at every bar, and as many records as there are."""

    def run_over(
        self,
        bars: Bars,
        parameters: Records,
        base_ms: int,
        inner: Sequence[Records] | None = None,
        fields: tuple[str, ...] = (),
    ) -> Any:
        """Return the lines, shape (n,), and TAKEN_POOL records in order, shape (taken,)."""
        (swings,) = self._inner(bars, parameters, base_ms) if inner is None else inner
        out = np.empty(len(bars), self.row_of(fields))
        # No more can be taken than there were.
        taken = ROOM.table("taken", 2 * NEW_POOLS * len(bars), TAKEN_POOL)
        state = self.fresh(parameters, base_ms)
        run: Any = self.run  # unlike others it returns something
        count = run(state, frozen(bars), frozen(swings), parameters[0], self._wide, out, taken)
        return out, copied(taken[:count])


@compiled
def _step(state, bar, p, out):  # type: ignore[no-untyped-def]
    """Take one closed bar; the pools taken stand in the ledger."""
    swing_step(state.swing, bar, p, state.swing_out)
    pools_follow(state, bar, state.swing_out, p)
    show_targets(state, out)


@compiled
def _write_down(state, now, taken, count):  # type: ignore[no-untyped-def]
    """Write the pools taken at bar *now* behind the first *count* of *taken*; return the count."""
    for k in range(state.n_events):
        if state.events[k].kind == TAKEN:
            taken[count].bar = now
            taken[count].event = state.events[k]
            count += 1
    return count


@looped
def _run(states, bars, swings, p, wide, out, taken):  # type: ignore[no-untyped-def]
    state = states[0]
    row = blank(wide)
    count = 0
    for i in range(bars.shape[0]):
        pools_follow(state, bars[i], swings[i], p)
        if state.n_taken > 0:
            count = _write_down(state, i, taken, count)
        show_targets(state, row)
        keep(row, out[i])
    return count


TAKEN_POOLS = _Taken(
    name="taken_pools",
    fields=TARGET_FIELDS,
    inner=(Inner(SWINGS),),
    events=(),
    state=LIQUIDITY.state,
    init=pools_init,
    step=_step,
    run=_run,
    narrows=True,
    prepare=pools_prepare,
    defaults=LIQUIDITY.defaults,
    ranges=LIQUIDITY.ranges,
)
