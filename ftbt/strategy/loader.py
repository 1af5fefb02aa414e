"""Finding and loading strategies: by name (`liquidity_sweep`) or by place (`path.py:Class`).

A strategy is passed on as a `StrategyRef`, never as a class: a class loaded from a path can't be
sent to another process, a reference can, and its hash refuses a file that changed meanwhile.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import backtrader as bt

from ftbt.errors import StrategyBroken, StrategyNotFound, did_you_mean


@dataclass(frozen=True, slots=True)
class StrategyRef:
    """Where a strategy class is.

    Attributes:
        path: absolute path of the file.
        class_name: the class in it.
        name: for people and file names, for example `liquidity_sweep`.
        sha256: of the file.
    """

    path: str
    class_name: str
    name: str
    sha256: str

    def load(self) -> type[Any]:
        """Return the class.

        Raises:
            StrategyBroken: the file changed since it was found, or can't be loaded any more.
        """
        if _sha256(self.path) != self.sha256:
            name = Path(self.path).name
            raise StrategyBroken(f"{name} changed while the run was going on; start again")
        found: type[Any] = getattr(_load_module(self.path, self.sha256), self.class_name)
        return found


def strategies_folder() -> Path:
    """Return the folder of strategies: FTBT_STRATEGIES, ./strategies, or the repository's own."""
    chosen = os.environ.get("FTBT_STRATEGIES")
    if chosen:
        return Path(chosen)
    here = Path.cwd() / "strategies"
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "strategies"


def _sha256(path: str) -> str:
    try:
        now = os.stat(path)  # noqa: PTH116 - a search asks for every trial
        return _sha256_of(path, now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_ino)
    except OSError as error:
        raise StrategyNotFound(f"strategy file {path}: {error.strerror}") from error


@lru_cache(maxsize=256)
def _sha256_of(path: str, *state: int) -> str:
    """Return the hash of a file that is in that *state*; a search asks for every trial."""
    del state
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _load_module(file: str, sha256: str) -> ModuleType:
    # The name carries the content: an edited file is a new module, an unchanged one is reused.
    name = _module_name(file, sha256)
    if name in sys.modules:
        return sys.modules[name]
    path = Path(file)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StrategyBroken(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Backtrader's metaclass reads sys.modules[cls.__module__] while the class is being made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        where = _line_in(path, error)
        raise StrategyBroken(
            f"strategy file {path}{where} can't be loaded: {type(error).__name__}: {error}"
            f"{_hint(path, module, error)}"
        ) from error
    return module


@lru_cache(maxsize=256)
def _module_name(file: str, sha256: str) -> str:
    return f"ftbt_strategy_{Path(file).stem}_{sha256[:12]}"


def _hint(path: Path, module: ModuleType, error: BaseException) -> str:
    """Return what to do about two usual mistakes, an empty string for others."""
    if any(isinstance(item, bt.Cerebro) for item in vars(module).values()):
        return '; move what runs a Cerebro below `if __name__ == "__main__":`, it is not needed'
    wanted = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and (path.parent / f"{wanted}.py").is_file():
        return (
            f"; {wanted}.py beside it is not read, because a run is known by the one file of its"
            " strategy: put both into one file, or install that one as a package"
        )
    return ""


def _line_in(path: Path, error: BaseException) -> str:
    """Return ` line N` of the deepest frame inside *path*, or an empty string."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f" line {error.lineno}"
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" line {line}" if line else ""


def _classes(path: Path) -> dict[str, type[Any]]:
    module = _load_module(str(path), _sha256(str(path)))
    return {
        name: item
        for name, item in vars(module).items()
        if isinstance(item, type)
        and issubclass(item, bt.Strategy)
        and item.__module__ == module.__name__
        and not name.startswith("_")
    }


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _reference(path: Path, class_name: str | None) -> StrategyRef:
    path = path.resolve()
    classes = _classes(path)
    if not classes:
        raise StrategyBroken(f"{path} defines no class that derives from bt.Strategy")
    # Backtrader makes a class of each name in `alias`; it is no second strategy.
    own = [name for name, item in classes.items() if not vars(item).get("aliased")]
    if class_name is None and len(own) > 1:
        of_the_file = [name for name in own if _snake(name) == path.stem]
        if len(of_the_file) != 1:
            raise StrategyNotFound(
                f"{path} defines {len(own)} strategies ({', '.join(own)});"
                f" name one: {path.name}:{own[0]}"
            )
        class_name = of_the_file[0]
    class_name = class_name or own[0]
    if class_name not in classes:
        hint = did_you_mean(class_name, classes) or f"; it has: {', '.join(classes)}"
        raise StrategyNotFound(f"{path} has no strategy {class_name!r}{hint}")
    name = path.stem if _snake(class_name) == path.stem else _snake(class_name)
    return StrategyRef(str(path), class_name, name, _sha256(str(path)))


def strategy_names() -> list[str]:
    """Return the names that `--strategy` accepts."""
    folder = strategies_folder()
    return sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))


def find_strategy(text: str) -> StrategyRef:
    """Return the strategy meant by *text*: a name, `path.py` or `path.py:Class`.

    Raises:
        StrategyNotFound: nothing of that name; the message has the nearest one.
        StrategyBroken: the file can't be loaded; the original error is chained.
    """
    place, colon, class_name = text.rpartition(":")
    if not colon or not place.endswith(".py"):
        place, class_name = text, ""
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise StrategyNotFound(f"no strategy file {place}")
        return _reference(Path(place), class_name or None)
    names = strategy_names()
    if text not in names:
        hint = did_you_mean(text, names) or f"; there are: {', '.join(names) or 'none'}"
        raise StrategyNotFound(f"no strategy {text!r} in {strategies_folder()}{hint}")
    return _reference(strategies_folder() / f"{text}.py", None)
