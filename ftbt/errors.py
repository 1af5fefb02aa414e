"""The errors of ftbt, ordered by what their reader must do.

* FtbtError: one clear line for the user, exit code 2, no traceback
    * InputError: mend what you gave (a value, a file, a name), then run again
        * DataError: mend the candles: wrong columns, order, holes, prices
        * ConfigError: mend the experiment file or the option
        * ParameterError: give the strategy a value it accepts
        * StrategyNotFound: give a name or path that exists
        * StrategyBroken: mend the strategy file (the original error is chained)
        * StateLocked: another process has this deployment or key: end it, or give another
    * ExternalError: nothing of yours is wrong; the world is. Wait, then run again
        * NetworkError: no connection, or the exchange does not answer; nothing was done
            * RateLimitError: asked too often; nothing was done
        * ExchangeError: the exchange answered that it will not
        * OutcomeUnknown: an action was sent and no answer tells whether it was done
    * StorageError: permission, a file that cannot be read
        * StorageFull: make room on the disk
        * StorageDamaged: the file is not what was written; get it back from a backup
    * IntegrityError: results that must agree do not; keep the folder, report it

Anything else that escapes is a bug of ftbt (exit code 1). Ctrl-C ends with 130.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FtbtError(Exception):
    """An error with a message written for the user."""

    exit_code = 2


class InputError(FtbtError):
    """What the user gave cannot be used; the message says what, where and the range."""


class DataError(InputError):
    """Candles or funding that must not be traded on; names file, row, column and value."""


class ConfigError(InputError):
    """An experiment file or option with an unknown key or an impossible value."""


class ParameterError(InputError):
    """A strategy parameter that does not exist or is out of its range."""


class StrategyNotFound(InputError):  # noqa: N818 - reads as what happened
    """No strategy of that name or path."""


class StrategyBroken(InputError):  # noqa: N818 - reads as what happened
    """The strategy file exists but cannot be loaded; the cause is chained."""


class StateLocked(InputError):  # noqa: N818 - reads as what happened
    """What only one process may have at a time, another process has."""


class ExternalError(FtbtError):
    """Something outside of this machine failed."""


class NetworkError(ExternalError):
    """No connection, or no answer in time, after all retries."""


class RateLimitError(NetworkError):
    """More requests than the exchange, or our own margin below its limit, allows now."""


class ExchangeError(ExternalError):
    """The exchange answered, and the answer was no."""


class OutcomeUnknown(ExternalError):  # noqa: N818 - reads as what happened
    """An action left this machine and nothing tells whether the exchange carried it out.

    It must never be sent again as a new action; `ftbt.hyperliquid.resolving` finds out.
    """


class StorageError(FtbtError):
    """A file could not be read or written."""


class StorageFull(StorageError):  # noqa: N818 - reads as what happened
    """There is no room for what must be written: disk, quota or largest size of a file."""


class StorageDamaged(StorageError):  # noqa: N818 - reads as what happened
    """A file can be read, and is not what was once written."""


class IntegrityError(FtbtError):
    """Two results that must be equal are not."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return `" - did you mean 'x'?"` for the nearest known word, or an empty string.

    Example:
        >>> did_you_mean("liqudity_sweep", ["fvg_fill", "liquidity_sweep"])
        " - did you mean 'liquidity_sweep'?"
    """
    lowered = {word.lower(): word for word in known}
    near = get_close_matches(wrong.lower(), list(lowered), n=1, cutoff=0.6)
    return f" - did you mean '{lowered[near[0]]}'?" if near else ""
