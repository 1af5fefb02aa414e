"""What a strategy knows besides the bars that it is given.

Runs on fewer bars can't show a peek at a file that holds all of them. Two things can be seen:
which files and connections the user's code opens, and whether what it keeps - attributes, class,
globals of its module - holds prices of bars that it was not given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbt.compiled import CACHE_DIR
from ftbt.data.candles import Candles
from ftbt.data.market import Market
from ftbt.robustness.lookahead.fresh import is_library
from ftbt.robustness.lookahead.values import numbers_in

Floats = NDArray[np.float64]

_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib", ".pth", ".nbi", ".nbc")
_SYSTEM = (
    sys.prefix, sys.base_prefix, str(CACHE_DIR), "/usr/", "/etc/", "/proc/", "/sys/", "/dev/",
)  # fmt: skip
_CONNECTIONS = ("socket.connect", "socket.getaddrinfo")
_LARGEST = 256 * 2**20
_ROW = 250  # bytes from one price to the next
_RUNNER = "ftbt.robustness.lookahead.runner"
# So many prices in a row are not there by chance.
_PATTERN = 8


@dataclass
class Opened:
    """What the user's code opened.

    Attributes:
        code: the files of the user's code.
        files: what was opened for reading, in order.
        network: True when it asked for a connection.
    """

    code: frozenset[str]
    files: list[str] = field(default_factory=list)
    network: bool = False

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event of Python's audit hooks; see `sys.audit`."""
        if event == "open":
            self._note_file(args)
        elif event == "sqlite3.connect" and isinstance(args[0], str | bytes):
            self._add(str(args[0]))
        elif event in _CONNECTIONS and self._by_user():
            self.network = True

    def _note_file(self, args: tuple[Any, ...]) -> None:
        path, mode = args[0], args[1] if len(args) > 1 else None
        if not isinstance(path, str | bytes) or (mode and not set("r+") & set(str(mode))):
            return
        text = path.decode(errors="replace") if isinstance(path, bytes) else path
        if text.endswith(_CODE) or text.startswith(_SYSTEM) or is_library(text):
            return
        self._add(text)

    def _add(self, text: str) -> None:
        if text not in self.files and self._by_user():
            self.files.append(text)

    def _by_user(self) -> bool:
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the public way is slower
        while frame is not None and frame.f_globals.get("__name__") != _RUNNER:
            if frame.f_code.co_filename in self.code:
                return True
            frame = frame.f_back
        return False


_WATCHING: list[Opened] = []
_HOOKED: list[bool] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _WATCHING:
        _WATCHING[-1].note(event, args)


@contextmanager
def noting(opened: Opened) -> Iterator[Opened]:
    """Note in *opened* what the user's code opens meanwhile."""
    if not _HOOKED:
        sys.addaudithook(_hook)  # there is no way to take one away: it sleeps between audits
        _HOOKED.append(True)
    _WATCHING.append(opened)
    try:
        yield opened
    finally:
        _WATCHING.pop()


def telling_file(opened: Opened, market: Market) -> str:
    """Return the opened file that holds the newest bars of *market*, "" for none.

    It is the one that the candles came from, or it has their closes one after the other, as text
    or as numbers. Compressed files are not looked into.
    """
    source = market.candles.source.split(",")[0]
    closes = market.candles.close[-_PATTERN:]
    return next(
        (file for file in opened.files if Path(file).name == source or _tells(file, closes)), ""
    )


def _tells(file: str, closes: Floats) -> bool:
    try:
        path = Path(file)
        if np.ptp(closes) == 0.0 or not path.is_file() or path.stat().st_size > _LARGEST:
            return False
        content = path.read_bytes()
    except OSError:
        return False
    written = zip(*(_ways_to_write(float(one)) for one in closes), strict=True)
    return any(_in_order(content, list(parts)) for parts in written)


def _ways_to_write(price: float) -> tuple[bytes, ...]:
    """Return how a file may hold *price*: as text or as a number."""
    texts = (f"{price:.15g}", f"{price:.2f}")
    return (
        *(text.encode() for text in texts),
        np.float64(price).tobytes(),
        np.float32(price).tobytes(),
    )


def _in_order(content: bytes, parts: list[bytes]) -> bool:
    """Tell whether *parts* stand one after the other, each within a row of the one before."""
    start = content.find(parts[0])
    while start >= 0:
        at = start
        for part in parts[1:]:
            at = content.find(part, at + 1, at + _ROW)
            if at < 0:
                break
        else:
            return True
        start = content.find(parts[0], start + 1)
    return False


def later_bars(held: Mapping[str, Mapping[str, Any]], market: Market, cut: int) -> str:
    """Return the name under which bars after *cut* are held, "" when they are not.

    Args:
        held: what belongs to a strategy: where -> name -> item.
        market: all bars, also those that the strategy was not given.
        cut: the last bar that it was given.
    """
    close = market.candles.close
    wanted = close[cut + 1 : cut + 1 + _PATTERN]
    given = close[: cut + 1]
    if len(wanted) < _PATTERN or np.ptp(wanted) == 0.0 or _holds(given, wanted):
        return ""
    for where, items in held.items():
        for name, item in list(items.items()):
            if not name.startswith("__") and any(_holds(one, wanted) for one in _series(item)):
                return f"{where}{name}"
    return ""


def held_by(strategy: Any, modules: list[ModuleType]) -> dict[str, Mapping[str, Any]]:
    """Return what belongs to a strategy object: its attributes, its class's, its modules'."""
    found: dict[str, Mapping[str, Any]] = {}
    names = {module.__name__ for module in modules}
    if strategy is not None:
        skipped = ("data", "datas", "dnames", "env", "cerebro", "broker")
        own = {name: item for name, item in vars(strategy).items() if name not in skipped}
        found["self."] = {name: item for name, item in own.items() if not _is_feed(item, strategy)}
        for base in type(strategy).__mro__:
            if base.__module__ in names:
                found[f"{base.__name__}."] = dict(vars(base))
    for module in modules:
        found[f"global {Path(str(module.__file__)).stem}."] = dict(vars(module))
    return found


def _is_feed(item: Any, strategy: Any) -> bool:
    return any(item is data or item is getattr(data, "lines", None) for data in strategy.datas)


def _holds(values: Floats, wanted: Floats) -> bool:
    """Tell whether *wanted* stands somewhere in *values*, without a gap."""
    last = len(values) - len(wanted)
    if last < 0:
        return False
    at = np.flatnonzero(values[: last + 1] == wanted[0])
    return any(np.array_equal(values[start : start + len(wanted)], wanted) for start in at)


def _series(item: Any, depth: int = 0) -> Iterator[Floats]:
    """Yield the series of numbers inside of *item*."""
    if isinstance(item, Candles):
        yield item.close
    elif isinstance(item, Market):
        yield item.candles.close
    elif isinstance(item, str | bytes | type | ModuleType):
        return
    else:
        for _, values in numbers_in(item):
            if values.ndim == 1 and len(values) >= _PATTERN:
                yield values
        if depth < 2 and isinstance(item, Mapping | list | tuple) and len(item) < 1000:
            inner = item.values() if isinstance(item, Mapping) else item
            for one in list(inner):
                if not isinstance(one, int | float):
                    yield from _series(one, depth + 1)
