"""A strategy that begins from a clean slate: its file is executed anew for the run.

A strategy may keep things between runs - a module's global, an attribute of the class. What an
earlier run on all bars has left there would hide from later runs that it knows the future.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import ftbt
from ftbt.strategy.loader import StrategyRef

_FOLDERS = {sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")}
LIBRARIES = tuple(f"{one}{os.sep}" for one in {*_FOLDERS, str(Path(ftbt.__file__).parent)})


@contextmanager
def clean_slate(strategy: StrategyRef | type[Any]) -> Iterator[type[Any]]:
    """Yield the class from a newly executed copy of its file and of the user's modules beside it.

    The copy is thrown away in the end, and the modules are as they were. A class that comes
    without a reference is yielded as it is.
    """
    if not isinstance(strategy, StrategyRef):
        yield strategy
        return
    kept = {name: sys.modules.pop(name) for name in users_modules(strategy.path)}
    others = set(sys.modules)
    try:
        yield strategy.load()
    finally:
        for name in sys.modules.keys() - others:
            if _is_users(sys.modules[name], strategy.path, _folder_of(strategy.path)):
                # Backtrader and the engines keep classes for ever; what they refer to need not
                # live as long.
                vars(sys.modules.pop(name)).clear()
        sys.modules.update(kept)


def users_modules(path: str) -> list[str]:
    """Return the names of the loaded modules that are the user's: *path* and those beside it."""
    folder = _folder_of(path)
    return [name for name, module in list(sys.modules.items()) if _is_users(module, path, folder)]


def _folder_of(path: str) -> str:
    return f"{os.path.dirname(path)}{os.sep}"  # noqa: PTH120 - as `__file__` is: text


def _is_users(module: ModuleType | None, path: str, folder: str) -> bool:
    file = file_of(module)
    if not file.startswith(folder):
        return False
    if file == path:
        return True
    return not is_library(file) and getattr(module, "__name__", "") != "__main__"


def is_library(file: str) -> bool:
    """Tell whether *file* belongs to Python, an installed package or ftbt."""
    return file.startswith(LIBRARIES)


def file_of(module: ModuleType | None) -> str:
    """Return the file of a module, "" for none."""
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else ""
