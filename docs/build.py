"""`python -m docs.build`: make the reference pages that follow from the code.

Some facts already stand in the code: help texts, lines and their parameters, strategies and their
ranges, the terms of the report. Their pages are made here, so that nothing is written twice. The
pages on calibration and soak are made from their published figures.
`--check` writes nothing and ends with exit code 1 when a page is not what the code says today.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from posixpath import normpath
from typing import Any

import click

from calibration import page as calibration
from docs import schema
from docs.words import GLOSSARY, PARAMETERS, TIMEFRAME
from ftbt.cli.main import COMMANDS, cli
from ftbt.data.timeframe import Timeframe
from ftbt.ranges import Bool, Choice, Float, Int, Range
from ftbt.report.sections.glossary import terms
from ftbt.smc import ALL_LINES
from ftbt.smc.base import SmcLine
from ftbt.smc.ledger import KIND_NAMES
from ftbt.strategy.base import SetupStrategy
from ftbt.strategy.loader import find_strategy
from ftbt.strategy.parameters import defaults_of, preset, ranges_of, tunable, warmup_bars
from ftbt.walkforward.ledger import COLUMNS, Row
from soak import page as soak

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = Path(__file__).resolve().parent / "reference"
# The strategies that come with ftbt. A user's own files beside them are no business of this page.
SHIPPED = ("liquidity_sweep", "fvg_fill", "bos_orderblock")
HELP_WIDTH = 96
MADE = "<!-- Made by `make docs` (docs/build.py) from {source}. Edit that, not this page. -->\n\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _paragraphs(*parts: str) -> str:
    return "".join(f"{part.rstrip()}\n\n" for part in parts)


def code(value: Any) -> str:
    """Return *value* as the reader would write it on a command line."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`" if value != "" else '`""`'


def show_range(limits: Range) -> str:
    """Return a range in words."""
    if isinstance(limits, Bool):
        return "true or false"
    if isinstance(limits, Choice):
        return ", ".join(f"`{word}`" for word in limits.words)
    if isinstance(limits, Int):
        step = f", step {limits.step}" if limits.step != 1 else ""
        return f"{limits.low} to {limits.high}{step}"
    assert isinstance(limits, Float)
    step = f", step {limits.step:g}" if limits.step is not None else ""
    return f"{limits.low:g} to {limits.high:g}{step}{', log scale' if limits.log else ''}"


# --- cli.md --------------------------------------------------------------------------------------


_CLI_INTRO = """\
# Commands

What `--help` prints, command by command. `python -m ftbt` is the same program as `ftbt`.
Exit codes and errors: [errors-and-exit-codes.md](errors-and-exit-codes.md).
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with what one types to call it, groups before their members."""
    yield "ftbt", cli
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield f"ftbt {name}", command
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                member = command.get_command(context, inner)
                assert member is not None
                yield f"ftbt {name} {inner}", member


def help_of(name: str, command: click.Command) -> str:
    """Return the help text of *command* in a fixed width."""
    context = click.Context(
        command,
        info_name=name,
        terminal_width=HELP_WIDTH,
        max_content_width=HELP_WIDTH,
        help_option_names=cli.context_settings["help_option_names"],
    )
    return command.get_help(context).rstrip()


def cli_page() -> str:
    """Return `cli.md`."""
    parts = [
        MADE.format(source="the help texts in `ftbt/cli/`"),
        _CLI_INTRO,
    ]
    for name, command in commands():
        parts.append(f"\n## {name}\n\n```text\n{help_of(name, command)}\n```\n")
    return "".join(parts)


# --- lines.md ------------------------------------------------------------------------------------

_LINES_INTRO = f"""\
# Lines

A line turns candles into values that a strategy reads at each close.
At bar t it knows only what was known at t's close;
nothing is ever rewritten (`tests/contracts/` checks every line at every bar).
How to use one in a strategy: [write-a-strategy](../how-to/write-a-strategy.md).
How to add one: [write-a-line](../how-to/write-a-line.md).

- All values are floats; NaN means: not known yet, or there is none.
- Lines marked **event** are non-zero only at the bar where something happens
  (mostly +1 bullish, -1 bearish).
- `..._origin` counts bars back to where a chart would draw it.
- Every line takes `timeframe="4h"` and the like: {TIMEFRAME}
- On arrays, without Backtrader: `smc.SWINGS.compute(bars, {{"left": 3}})`.
- A wrong name or a value out of its range is one clear error.

"""

_LEDGER = """\
## The ledger of zones

Gaps, order blocks and pools are zones with a life.
Whatever happens to one is an entry in a ledger that is only ever added to:
`smc.event_rows(smc.FVG, bars)` returns all entries, `smc.zones(smc.FVG, bars)` one object per zone.
Kinds of entries: {kinds}.
What each means stands in `ftbt/smc/ledger.py`.
"""


def lines_page() -> str:
    """Return `lines.md`."""
    links = ", ".join(f"[{cls.__name__}](#{cls.__name__.lower()})" for cls in ALL_LINES)
    kinds = ", ".join(f"`{name}`" for name in KIND_NAMES.values())
    parts = [
        MADE.format(source="`ftbt.smc.ALL_LINES`"),
        _LINES_INTRO,
        f"{links}; [the ledger of zones](#the-ledger-of-zones).\n\n",
        *(_line(cls) for cls in ALL_LINES),
        _LEDGER.format(kinds=kinds),
    ]
    return "".join(parts)


def _line(cls: type[SmcLine]) -> str:
    concept = cls.concept
    module = inspect.getmodule(cls)
    file = Path(inspect.getfile(cls)).name
    outputs = [
        (f"`{name}`", "event" if name in concept.events else "", meaning)
        for name, meaning in concept.fields.items()
    ]
    parameters = [
        (f"`{name}`", code(concept.defaults[name]), _choices(limits))
        for name, limits in concept.ranges.items()
    ]
    use = f"`smc.{cls.__name__}(self.data, ...)`, on arrays `smc.{_constant(cls)}`"
    return _paragraphs(
        f"## {cls.__name__}",
        f"{use}; `ftbt/smc/{file}`",
        f"{inspect.getdoc(module)}",
        table(("parameter", "default", "range"), parameters),
        table(("line", "", "meaning"), outputs),
    )


def _constant(cls: type[SmcLine]) -> str:
    """Return the name under which the concept of *cls* is exported."""
    from ftbt import smc  # noqa: PLC0415 - only its names are looked through

    return next(name for name in smc.__all__ if getattr(smc, name) is cls.concept)


def _choices(limits: Range) -> str:
    """Return a range in words; the hundreds of time zones and hours only by a few of them."""
    if isinstance(limits, Choice) and len(limits.words) > 12:
        first = ", ".join(f"`{word}`" for word in limits.words[:3])
        return f"{len(limits.words)} words: {first}, ..."
    return show_range(limits)


# --- strategies.md -------------------------------------------------------------------------------

_STRATEGIES_INTRO = """\
# Strategies

What comes in `strategies/`: one file each, meant to be read, copied and changed.
`ftbt strategies NAME` prints the same for any strategy, your own included.
They are examples of the method.
Nothing here says that one of them earns money: that is what a walk-forward is for.

Values come in this order: the default, then the preset of the timeframe, then what you set
(`--set name=value`, or `[strategy.parameters]` in an experiment file).
A parameter marked **searched** is what `ftbt walkforward` tries values of; one that you set is not
searched any more.

"""

_COMMON_INTRO = """\
## Parameters of every setup strategy

Declared by `SetupStrategy` in `ftbt/strategy/base.py`.
They are not searched unless an experiment file gives them a range.

"""


def strategies_page() -> str:
    """Return `strategies.md`."""
    parts = [MADE.format(source="`strategies/`"), _STRATEGIES_INTRO]
    parts += [_strategy(name) for name in SHIPPED]
    common = ranges_of(SetupStrategy)
    defaults = defaults_of(SetupStrategy)
    rows = [
        (f"`{name}`", code(defaults[name]), show_range(limits), _meaning("", name))
        for name, limits in common.items()
    ]
    parts += [_COMMON_INTRO, table(("parameter", "default", "range", "meaning"), rows)]
    return "".join(parts)


def _strategy(name: str) -> str:
    cls = find_strategy(str(ROOT / "strategies" / f"{name}.py")).load()
    defaults, searched = defaults_of(cls), tunable(cls)
    frames = list(getattr(cls, "presets", {}))
    own = [key for key in ranges_of(cls) if key in searched or _overrides(cls, key)]
    rows = []
    for key in own:
        limits = ranges_of(cls)[key]
        presets = [code(preset(cls, frame)[key]) if key in preset(cls, frame) else ""
                   for frame in frames]  # fmt: skip
        mark = "searched" if key in searched else ""
        rows.append(
            (f"`{key}`", code(defaults[key]), *presets, show_range(limits), mark,
             _meaning(name, key))
        )  # fmt: skip
    heads = ("parameter", "default", *(f"on {frame}" for frame in frames), "range", "", "meaning")
    bars = warmup_bars(cls, Timeframe.parse("15m"))
    warmup = f"warm-up {cls.warmup_days:g} days ({bars:,} bars of 15m)"
    return _paragraphs(
        f"## {name}",
        f"`strategies/{name}.py`, class `{cls.__name__}`; {warmup}.",
        f"{inspect.getdoc(inspect.getmodule(cls))}",
        f"Entry reasons in the trades table: {', '.join(cls.reasons)}.",
        table(heads, rows),
    )


def _overrides(cls: type, name: str) -> bool:
    """Tell whether the strategy has another default, range or preset than its base class."""
    in_preset = any(name in values for values in getattr(cls, "presets", {}).values())
    return in_preset or defaults_of(cls)[name] != defaults_of(SetupStrategy).get(name)


def _meaning(strategy: str, name: str) -> str:
    """Return what a parameter means; a shipped one without words is a hole in the page."""
    return PARAMETERS.get(f"{strategy}.{name}") or PARAMETERS[name]


# --- glossary.md ---------------------------------------------------------------------------------


def glossary_page() -> str:
    """Return `glossary.md`."""
    words = {**dict(terms()), **GLOSSARY}
    rows = [(f"**{term}**", words[term]) for term in sorted(words, key=str.casefold)]
    return (
        MADE.format(source="the report's glossary and `docs/words.py`")
        + "# Glossary\n\nWords as ftbt uses them, in the report, the help and these pages.\n\n"
        + table(("term", "meaning"), rows)
    )


# --- ledger.md -----------------------------------------------------------------------------------

_LEDGER_INTRO = """\
# The ledger of trials

`results/ledger.csv` remembers every parameter set that was ever tried, by any run.
Each question asked of the same data makes the next good answer likelier to be luck;
`ftbt walkforward` counts them at its end, and the report shows the count.

One row per search of a window. Rows are only ever added, under a lock, by every run:
finished, failed, stopped or killed.
The sum of `trials` is the number of trials, whatever was resumed or repeated.
Keep the file when you clean up `results/`.

"""


def ledger_page() -> str:
    """Return `ledger.md`."""
    words = attributes_of(Row)
    rows = [(f"`{name}`", words[name]) for name in COLUMNS]
    return (
        MADE.format(source="`ftbt/walkforward/ledger.py`")
        + _LEDGER_INTRO
        + table(("column", "meaning"), rows)
    )


def attributes_of(cls: type) -> dict[str, str]:
    """Return the attributes that the docstring of *cls* describes, one `name: words` a line."""
    text = (inspect.getdoc(cls) or "").partition("Attributes:")[2]
    found = {}
    for line in text.splitlines():
        name, colon, words = line.strip().partition(": ")
        if colon:
            found[name] = words
    return found


# --- calibration.md ------------------------------------------------------------------------------


def calibration_page() -> str:
    """Return `calibration.md`, from the published figures beside it."""
    return calibration.page(calibration.load(REFERENCE))


# --- soak-report.md ------------------------------------------------------------------------------


def soak_page() -> str:
    """Return `soak-report.md`, from the published figures in `reference/`."""
    return soak.page(soak.load(REFERENCE.parent))


# -------------------------------------------------------------------------------------------------


def _made(file: str) -> str:
    return MADE.format(source=f"`{file}`")


PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "lines.md": lines_page,
    "strategies.md": strategies_page,
    "glossary.md": glossary_page,
    "ledger.md": ledger_page,
    "robustness.md": lambda: schema.robustness_page(_made("ftbt/robustness/assessment.py")),
    "run-files.md": lambda: schema.run_page(_made("ftbt/walkforward/result.py")),
    "deployment.md": lambda: schema.deployment_page(_made("ftbt/deployment/model.py")),
    "comparison-and-matrix.md": lambda: schema.several_page(
        _made("ftbt/robustness/compare_runs.py")
    ),
    "drift.md": lambda: schema.drift_page(_made("ftbt/live/drift.py")),
    "live-files.md": lambda: schema.live_page(_made("ftbt/live/")),
    "calibration.md": calibration_page,
    "../soak-report.md": soak_page,
}


def stale() -> list[str]:
    """Return the pages that are not what the code says today."""

    def differs(name: str, make: Callable[[], str]) -> bool:
        path = REFERENCE / name
        return not path.is_file() or path.read_text(encoding="utf-8") != make()

    return [name for name, make in PAGES.items() if differs(name, make)]


def _shown(name: str) -> str:
    return normpath(f"docs/reference/{name}")


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` only compare; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python -m docs.build [--check]", file=sys.stderr)
        return 2
    old = stale()
    if arguments:
        for name in old:
            print(f"{_shown(name)} is stale: run `make docs`", file=sys.stderr)
        return 1 if old else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in old:
        (REFERENCE / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"{_shown(name)}: made anew")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
