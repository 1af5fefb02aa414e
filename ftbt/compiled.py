"""Compilation of the hot rules: one decorator, one cache that can never be stale.

numba keys its disk cache on the file of a function, not on the files that the function calls.
A changed swing rule would go on living inside an old compiled structure rule. So the cache
folder's name carries a hash over every source file that compiled code can depend on - functions as
well as the constants and record types that it takes in - the numba version and the Python version:
any change starts a fresh folder. Folders that nobody has used for a month are removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# Packages that neither hold compiled code nor anything that it takes in.
_OUTSIDE = (
    "cli", "deployment", "hyperliquid", "live", "localnet", "report", "robustness", "walkforward",
)  # fmt: skip
_KEEP_SECONDS = 30 * 86_400


def source_hash() -> str:
    """Return 16 hex digits over all sources that compiled code can depend on, and the compiler."""
    digest = hashlib.sha256(f"{version('numba')} {sys.version}".encode())
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in _OUTSIDE:
            digest.update(place.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sweep_out(root: Path, keep: Path) -> None:
    """Remove compiled folders of other source trees that were not used for a month."""
    for folder in root.glob("compiled-*"):
        try:
            if folder != keep and time.time() - folder.stat().st_mtime > _KEEP_SECONDS:
                shutil.rmtree(folder)
        except OSError:  # another process is at it, or it is not ours to remove
            continue


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "ftbt"


def use_own_cache() -> Path:
    """Point numba at the folder of this exact source tree, unless the user chose one."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    folder = _cache_root() / f"compiled-{source_hash()}"
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if folder.is_dir():
        with suppress(OSError):
            os.utime(folder)
    else:
        _sweep_out(_cache_root(), folder)
    return folder


CACHE_DIR = use_own_cache()

import numba  # noqa: E402 - the cache folder must be set before the import
from numba.core.cpu import CPUTargetOptions  # noqa: E402

numba.config.CACHE_DIR = str(CACHE_DIR)  # type: ignore[attr-defined]  # also when imported before


def _name_records_by_content() -> None:
    """Let the symbols of machine code tell one record type from another in every process.

    numba puts a number into them that counts the types of the process. Two processes give two
    types one number, and when a third loads the code of both from the cache, the linker takes the
    function for the one type as that for the other: parameters are then read from wrong places.
    """

    def mangling_args(self: Any) -> tuple[str, tuple[str]]:
        return "Record", (hashlib.sha256(self.name.encode()).hexdigest()[:16],)

    record: Any = numba.types.Record
    record.mangling_args = property(mangling_args)


_name_records_by_content()

# An option of numba's that its decorator does not know by itself.
_TARGET: Any = CPUTargetOptions
_TARGET.noalias = _TARGET.Mapping("noalias")

# The wrapper for C pointers to a function, which numba makes by default, is used by nobody here.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile *function* to machine code, cached on disk.

    No fast-math: the order of floating point operations is the source's, so one bar at a time
    and a loop over all bars give the same bits.
    """
    return _compiled(function, {}, {})


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile *function* as `compiled` does, and write it out wherever compiled code calls it.

    For short functions inside a loop over all bars, above all those that are handed a row of which
    somebody may read a few fields (see `ftbt.smc.rows`).
    """
    return _compiled(function, {"forceinline": True}, {})


def borrowing(function: Callable[P, R]) -> Callable[P, R]:
    """Compile *function* as `inlined` does; it makes no arrays and keeps none beyond its return.

    For parts of a loop that are handed arrays: whoever calls it holds them all the time, so it
    need not count their owners, two atomic operations for each array and call.
    """
    return _compiled(function, {"forceinline": True, "_nrt": False}, {"_nrt": False})


def looped(function: Callable[P, R]) -> Callable[P, R]:
    """Compile *function*, a loop over a whole series, whose arguments share no memory.

    Only then may the compiler keep in registers what a state holds from one bar to the next.
    Arguments that are only read may be one and the same.
    """
    return _compiled(function, {}, {"noalias": True})


def _compiled(
    function: Callable[P, R], inside: dict[str, Any], outside: dict[str, Any]
) -> Callable[P, R]:
    """Compile *function*; further options: *inside*, where compiled code calls it, *outside*."""
    compiler: Any = numba.njit  # its type stubs lack some of the options
    jitted = compiler(cache=True, **_OPTIONS, **outside)(function)
    if jitted is not function:  # NUMBA_DISABLE_JIT=1 leaves functions as they are
        part = compiler(no_cpython_wrapper=True, **_OPTIONS, **inside)(function)
        _lighten_calls(jitted, part)
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
