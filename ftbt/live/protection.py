"""How long a position may stand without its stop, at most, when one thing goes wrong."""

from __future__ import annotations

from ftbt.hyperliquid.resolving import Patience
from ftbt.hyperliquid.transport import Timeouts
from ftbt.live.sync import LONGEST_PAUSE_S

# Between two looks of the loop at what is due, and for the way of a request there and back.
_TURNS_S = 1.0


def unprotected_bound(timeouts: Timeouts | None = None, patience: Patience | None = None) -> float:
    """Return the longest time, seconds, from the fill to the stop that works for it.

    It holds for a request that is lost in any way. One that hangs is waited for as long as
    *timeouts* say; then it is looked for, its nonce is used up, and the stop is sent anew after a
    pause. While the exchange answers nothing at all, the time runs from when it does again.
    """
    timeouts, patience = timeouts or Timeouts(), patience or Patience()
    found_out = timeouts.read + 2.0 * patience.poll_s + patience.grace_s
    return found_out + LONGEST_PAUSE_S + _TURNS_S


# With the waits that a session has when nothing else is asked for.
UNPROTECTED_S = unprotected_bound()
