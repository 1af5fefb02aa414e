"""Errors inside a user's strategy, told with the strategy's file and line."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ftbt.errors import FtbtError, StrategyBroken

_LIBRARIES = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")})
_STRATEGY_WORDS = ("self", "strategy", "_obj", "cls")  # ours, Backtrader's and everybody's


@contextmanager
def user_code(name: str, names: Mapping[type[Any], str] | None = None) -> Iterator[None]:
    """Turn what the strategy *name* raises into one line; the original error is chained.

    Args:
        name: of the strategy, or of all that run together.
        names: of each of several strategies, by class.

    Raises:
        StrategyBroken: for anything but ftbt's own errors about data or parameters.
    """
    try:
        yield
    except StrategyBroken as error:
        who = _who(error, names or {}) or name
        raise StrategyBroken(f"strategy {who}: {error}{_where(error)}") from error
    except FtbtError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit() would end the run in silence
        who = _who(error, names or {}) or name
        raise StrategyBroken(
            f"strategy {who} stopped with {type(error).__name__}: {error}{_hint(error)}"
            f"{_where(error)}"
        ) from error


def _hint(error: BaseException) -> str:
    """Return what Backtrader does not say of an indicator that needs another package."""
    absent = isinstance(error, AttributeError) and getattr(error.obj, "__name__", "") == (
        "backtrader.talib"
    )
    return "; install TA-Lib, whose indicators these are (pip install TA-Lib)" if absent else ""


def _who(error: BaseException, names: Mapping[type[Any], str]) -> str:
    """Return the name of the first strategy on the way of the error, "" for none."""
    trace = error.__traceback__
    while trace is not None:
        found = [trace.tb_frame.f_locals.get(word) for word in _STRATEGY_WORDS]
        for cls, name in names.items():
            if any(one is cls or type(one) is cls for one in found):
                return name
        trace = trace.tb_next
    return ""


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
