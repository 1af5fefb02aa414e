"""Compilation of the hot rules: one decorator, one cache that can never be stale.

numba keys its disk cache on the file of a function, not on the files that the function calls.
A changed swing rule would go on living inside an old compiled structure rule. So the cache
folder's name carries a hash over every source file that holds compiled code, the numba version
and the Python version: any change starts a fresh folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_MARK = b"@compiled"


def source_hash() -> str:
    """Return 16 hex digits over all ftbt sources with compiled code and the compiler's version."""
    digest = hashlib.sha256(f"{version('numba')} {sys.version}".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text = path.read_bytes()
        if _MARK in text:
            digest.update(path.name.encode() + text)
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "ftbt"


def use_own_cache() -> Path:
    """Point numba at the folder of this exact source tree, unless the user chose one."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or _cache_root() / f"compiled-{source_hash()}")
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


CACHE_DIR = use_own_cache()

import numba  # noqa: E402 - the cache folder must be set before the import

numba.config.CACHE_DIR = str(CACHE_DIR)  # type: ignore[attr-defined]  # also when imported before


# The wrapper for C pointers to a function, which numba makes by default, is used by nobody here.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile *function* to machine code, cached on disk.

    No fast-math: the order of floating point operations is the source's, so one bar at a time
    and a loop over all bars give the same bits.
    """
    compiler: Any = numba.njit  # its type stubs lack two of the options
    jitted = compiler(cache=True, **_OPTIONS)(function)
    if jitted is not function:  # NUMBA_DISABLE_JIT=1 leaves functions as they are
        _lighten_calls(jitted, compiler(no_cpython_wrapper=True, **_OPTIONS)(function))
    made: Callable[P, R] = jitted
    return made


def _lighten_calls(outer: Any, inner: Any) -> None:
    """Let compiled code that calls *outer* compile *inner* instead; it is the same function.

    The first run on a machine waits for the compiler, and most functions are only parts of a few
    that Python calls. A part needs no wrapper for Python and no file of its own in the cache,
    since it is linked into its callers. And numba compiles a part anew for each literal number
    that it is called with; here it takes any number of that type. Together this saves a third.
    """

    def call_template(types: Any, keywords: Any) -> Any:
        return inner.get_call_template(tuple(map(numba.types.unliteral, types)), keywords)

    outer.get_call_template = call_template
    outer.get_overload = inner.get_overload
