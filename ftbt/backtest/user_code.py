"""Errors inside a user's strategy, told with the strategy's file and line."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ftbt.errors import FtbtError, StrategyBroken

_LIBRARIES = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")})


@contextmanager
def user_code(name: str) -> Iterator[None]:
    """Turn what the strategy *name* raises into one line; the original error is chained.

    Raises:
        StrategyBroken: for anything but ftbt's own errors about data or parameters.
    """
    try:
        yield
    except StrategyBroken as error:
        raise StrategyBroken(f"strategy {name}: {error}{_where(error)}") from error
    except FtbtError:
        raise
    except Exception as error:
        raise StrategyBroken(
            f"strategy {name} stopped with {type(error).__name__}: {error}{_where(error)}"
        ) from error


def _where(error: BaseException) -> str:
    """Return the last line of the user's own code that the error came through."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        if _is_users(trace.tb_frame):
            file = trace.tb_frame.f_code.co_filename
            place = f" ({file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _is_users(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    if module.startswith("ftbt_strategy_"):  # a strategy file may live anywhere, even in a library
        return True
    ours = module.split(".", maxsplit=1)[0] in ("ftbt", "backtrader")
    return not ours and not frame.f_code.co_filename.startswith(_LIBRARIES)
