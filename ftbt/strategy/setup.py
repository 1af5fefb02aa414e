"""Setup rules: one compiled function of one bar and the lines' outputs at that bar.

`@setup_rule` compiles the rule once and, beside it, the loop over all bars. In research the loop
makes all setups at once; live, the rule is called once per closed bar. It is the same compiled
rule, fed with the same numbers: in research with those outputs of the lines that it reads.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from ftbt.compiled import compiled, inlined
from ftbt.data.candles import BAR, Bars
from ftbt.errors import StrategyBroken, did_you_mean
from ftbt.room import ROOM, copied
from ftbt.smc.base import SmcLine
from ftbt.smc.rows import own
from ftbt.strategy.decide import clear_setup
from ftbt.strategy.records import MARKET, SETUP, STOP_LIMIT

Records = NDArray[np.void]

# A line number behind the end of every file.
_BEYOND = 1_000_000

# Instructions of Python whose argument names a variable, not an attribute or a constant.
_LOCALS = frozenset((*dis.haslocal, *dis.hasfree))

_LOOP = """
def {name}(bars, {lines}, p, first, heard, setups):
    n = 0
    setup = own(setups[0])
    for i in range(first, bars.shape[0]):
        clear_setup(setup)
        rule(bars[i], {rows}, p, setup)
        if setup.side != 0 or setup.exit_long != 0 or setup.exit_short != 0:
            setups[n] = setup
            heard[n] = i
            n += 1
    return n
"""
_STEP = """
def {name}(bar, {lines}, p, setup):
    clear_setup(setup)
    rule(bar, {lines}, p, setup)
"""


@compiled
def _first_wrong(setups):  # type: ignore[no-untyped-def]
    """Return the place of the first setup whose side or kind does not exist, -1 for none."""
    for i in range(setups.shape[0]):
        setup = setups[i]
        if abs(setup.side) > 1:
            return i
        if setup.side != 0 and (setup.kind < MARKET or setup.kind > STOP_LIMIT):
            return i
    return -1


def _read_fields(function: Callable[..., None], line: str) -> frozenset[str] | None:
    """Return the fields of its argument *line* that *function* reads; None: any may be read.

    That is so when it does more with the record than read fields of it, such as pass it on.
    """
    found = set()
    for step, following in pairwise(dis.get_instructions(function)):
        # From Python 3.13 on an instruction may take two variables; the field is of the second.
        names = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if step.opcode not in _LOCALS or line not in names:
            continue
        loads = step.opname.endswith(("LOAD_FAST", "LOAD_FAST_BORROW"))
        if not loads or names.index(line) != len(names) - 1:
            return None
        if following.opname != "LOAD_ATTR":
            return None
        found.add(str(following.argval))
    return frozenset(found)


class Rule:
    """A compiled setup rule: `step` for one bar, `run` for all.

    `run` keeps the setups that say something, one after the other, and their bars in `heard`:
    most bars say nothing, and writing that down would take longer than the rule.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        names = list(inspect.signature(function).parameters)
        if len(names) < 4 or names[0] != "bar" or names[-2:] != ["p", "setup"]:
            raise TypeError(
                f"a setup rule takes (bar, one or more lines, p, setup), not ({', '.join(names)})"
            )
        self.line_names = names[1:-2]
        self._reads = [_read_fields(function, name) for name in self.line_names]
        self._fields: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
        self.name = function.__name__
        self._namespace: dict[str, Any] = {
            "rule": inlined(function),
            "own": own,
            "clear_setup": clear_setup,
            "__name__": function.__module__,
        }
        self._file = function.__code__.co_filename
        self._first_line = function.__code__.co_firstlineno
        self.place = f"{Path(self._file).name}:{self._first_line}"
        rows = ", ".join(f"{name}[i]" for name in self.line_names)
        self.step = self._make(_STEP, f"_{self.name}_step", rows)
        self.run = self._make(_LOOP, f"_{self.name}_loop", rows)

    def _make(self, template: str, name: str, rows: str) -> Callable[..., None]:
        # The source is written here because compiled code can't be generic over the number of
        # lines. It carries the strategy's file name, so that the disk cache follows that file, and
        # line numbers that no file has, or the compiler would look the function up in there.
        source = template.format(name=name, lines=", ".join(self.line_names), rows=rows)
        tree = ast.increment_lineno(ast.parse(source), _BEYOND)
        exec(compile(tree, self._file, "exec"), self._namespace)  # noqa: S102
        return compiled(self._namespace[name])

    def fields_of(self, number: int, known: tuple[str, ...]) -> tuple[str, ...]:
        """Return which of the *known* fields of a line the rule reads; (): take all of them."""
        if (number, known) not in self._fields:
            read = self._reads[number]
            # The compiler tells what is wrong with a field that nobody knows.
            all_of_them = read is None or not read <= set(known)
            found = () if all_of_them else tuple(name for name in known if name in (read or ()))
            self._fields[number, known] = found
        return self._fields[number, known]

    def place_of(self, page: str) -> str:
        """Return `file:line` of the innermost line that numba's *page* names, else the rule's."""
        name = Path(self._file).name
        found = re.findall(rf'File "(?:[^"]*[/\\])?{re.escape(name)}", line (\d+)', page)
        lines = [number for number in map(int, found) if number <= _BEYOND]
        return f"{name}:{lines[0]}" if lines else self.place

    def raised_at(self, error: BaseException) -> str:
        """Return `file:line` of the rule's own line that raised *error*, else the rule's."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [
            frame.lineno
            for frame in frames
            if frame.filename == self._file and (frame.lineno or 0) <= _BEYOND
        ]
        return f"{Path(self._file).name}:{lines[-1]}" if lines else self.place

    def unknown_field(self, wrong: str, given: Mapping[str, Sequence[str]]) -> str:
        """Return the sentence on a field *wrong* that no record has.

        Args:
            wrong: the name that the rule reads or sets.
            given: fields of the lines and of `p`, by the rule's own words for them.
        """
        known = {"bar": BAR.names or (), "setup": SETUP.names or (), **given}
        every = [field for names in known.values() for field in names]
        fields = "; ".join(f"{name}: {', '.join(names)}" for name, names in given.items())
        hint = did_you_mean(wrong, every) or f" ({fields})"
        place = self.place
        for number, line in enumerate(linecache.getlines(self._file)[self._first_line :]):
            if re.search(rf"\.{re.escape(wrong)}\b", line):
                place = f"{Path(self._file).name}:{self._first_line + number + 1}"
                break
        return f"rule {self.name} ({place}): nothing it is given has a field {wrong!r}{hint}"


def setup_rule(function: Callable[..., None]) -> Rule:
    """Compile *function* as a setup rule.

    The function takes `(bar, <lines...>, p, setup)`: the closed bar, the outputs of each line at
    that bar as a record (its fields are the line's names), the strategy's parameters, and the
    setup to fill in (cleared before each call). It must not return anything.
    """
    return Rule(function)


class Setup:
    """A rule bound to the lines of one strategy object."""

    def __init__(self, rule: Rule, *lines: SmcLine) -> None:
        if not isinstance(rule, Rule):
            raise TypeError("the first argument of Setup must be a function under @setup_rule")
        if len(lines) != len(rule.line_names):
            raise TypeError(
                f"the rule {rule.name!r} takes {len(rule.line_names)} lines"
                f" ({', '.join(rule.line_names)}), but {len(lines)} were given"
            )
        for name, line in zip(rule.line_names, lines, strict=True):
            if not isinstance(line, SmcLine):
                raise TypeError(
                    f"the rule {rule.name!r} takes SMC lines, but {name!r} is a"
                    f" {type(line).__name__}: use it in a next() of your own instead"
                )
        self.rule = rule
        self.lines = lines
        self._record = np.zeros(1, SETUP)

    def at_close(self, bar: Any, parameters: Any) -> Any:
        """Return the setup at the bar that has just closed, from the lines' current rows."""
        rows = [line.row for line in self.lines]
        self._call(self.rule.step, bar, rows, parameters, self._record[0])
        self._check(self._record)
        return self._record[0]

    def heard(
        self, bars: Bars, parameters: Any, first: int = 0
    ) -> tuple[NDArray[np.int64], Records]:
        """Return the bars at whose close the rule says something, and what it says there.

        That is a setup, or the end of an idea. Both of shape (number of such bars,). The rule is
        asked from bar number *first* on.
        """
        setups = ROOM.table("setups", len(bars) + 1, SETUP)
        heard: Any = ROOM.table("heard", len(bars), np.int64)
        rows = self._rows()
        count = self._call(self.rule.run, bars, rows, parameters, first, heard, setups)
        self._check(setups[:count])
        return heard[:count].copy(), copied(setups[:count])

    def _rows(self) -> list[Records]:
        """Return what the rule reads of each line."""
        found: dict[int, Records] = {}
        # Those made of others first: these are then known when they are asked for themselves.
        for number in sorted(range(len(self.lines)), key=lambda n: -self.lines[n].concept.depth):
            line = self.lines[number]
            found[number] = line.outputs(self.rule.fields_of(number, line.concept.lines))
        return [found[number] for number in range(len(self.lines))]

    def series(self, bars: Bars, parameters: Any) -> Records:
        """Return the setups at the close of every bar, shape (n,)."""
        heard, said = self.heard(bars, parameters)
        setups = np.zeros(1, SETUP)
        clear_setup(setups[0])
        setups = setups.repeat(len(bars))
        setups[heard] = said
        return setups

    def _check(self, setups: Records) -> None:
        """Refuse sides and kinds that do not exist."""
        place = _first_wrong(setups)
        if place >= 0:
            first = setups[place]
            raise StrategyBroken(
                f"rule {self.rule.name} ({self.rule.place}) sets side {first['side']} and kind"
                f" {first['kind']}: side must be +1, -1 or 0, kind MARKET, LIMIT, STOP or"
                " STOP_LIMIT"
            )

    def _call(
        self, function: Callable[..., Any], bars: Any, rows: list[Any], parameters: Any, *out: Any
    ) -> Any:
        """Call the compiled rule.

        Raises:
            StrategyBroken: when it can't be compiled; numba's own message is a page long.
        """
        try:
            return function(bars, *rows, parameters, *out)
        except KeyError as error:  # how numba tells a record has no such field
            lines = zip(self.rule.line_names, self.lines, strict=True)
            given: dict[str, Sequence[str]] = {name: line.concept.lines for name, line in lines}
            given["p"] = parameters.dtype.names
            raise StrategyBroken(self.rule.unknown_field(str(error.args[0]), given)) from error
        except NumbaError as error:
            place = self.rule.place_of(str(error))
            said = _gist(error)
            raise StrategyBroken(
                f"rule {self.rule.name} ({place}) can't be compiled: {said}"
            ) from error
        except Exception as error:
            place = self.rule.raised_at(error)
            raise StrategyBroken(
                f"rule {self.rule.name} ({place}) stopped with {type(error).__name__}: {error}"
            ) from error


def _gist(error: NumbaError) -> str:
    """Return the line of numba's page that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    head = ("Failed in", "During:", "File ", "Overload", "Rejected", "There are")
    said = [line for line in lines if not line.startswith(head) and any(map(str.isalpha, line))]
    first, *rest = said or lines
    if first.endswith(":") and rest:
        first = f"{first} {rest[0].removeprefix('>>> ')}"
    return first[:200]
