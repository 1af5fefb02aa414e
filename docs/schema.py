"""The pages on JSON files: every field of what they hold, from the dataclasses themselves.

A field without words in its class's docstring is a hole, and an error here.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ftbt.deployment.model import FORMAT as DEPLOYMENT_FORMAT
from ftbt.deployment.model import Deployment
from ftbt.live.causes import MEANINGS, Cause
from ftbt.live.drift import FORMAT as DRIFT_FORMAT
from ftbt.live.drift import Drift
from ftbt.live.journal.tables import METADATA
from ftbt.live.period import Period
from ftbt.live.search import KINDS
from ftbt.live.status import Status
from ftbt.robustness.assessment import FORMAT as ASSESSMENT_FORMAT
from ftbt.robustness.assessment import Assessment
from ftbt.robustness.compare_runs import RunComparison
from ftbt.robustness.matrix import Matrix
from ftbt.walkforward.result import FORMAT as RUN_FORMAT
from ftbt.walkforward.result import Manifest, Summary, Timing

ROBUSTNESS = f"""\
# robustness.json

The verdict of a run with all its evidence: every number of the sections of the report that judge.
It lies in the run folder; code reads it with `load_assessment` in
`ftbt/robustness/assessment_files.py`.
How to read the report made from it: [read the report](../how-to/read-the-report.md).

- The file is one JSON object, its keys sorted. `format` is {ASSESSMENT_FORMAT}, the version of
  this layout.
- Sharpe ratios are annual (daily ratio x sqrt(365)), of daily returns (UTC days).
- Returns, drawdowns, shares and probabilities are fractions; drawdowns are positive.
- Money is that of the stitched curve; times are ms since 1970, UTC.
- `null` where a number stands otherwise: unknown, undefined or without limit.
- `null` where an object stands otherwise: that section could not be made; `limits` says why.

"""
RUN = f"""\
# summary.json, manifest.json, timing.json

What a run folder says about itself beside its tables ([results folder](results-folder.md)).
Code reads all of it with `load_run` in `ftbt/walkforward/store.py`.

- `summary.json` holds the figures and is written last: where it is, the run is complete.
- `manifest.json` holds everything that determines the result. `format` is {RUN_FORMAT}.
- `timing.json` holds what differs from one execution to the next, and nothing else does.
- Each is one JSON object, its keys sorted; `null` where a number is undefined or has no limit.
- The names in `out_of_sample` are explained in [figures](results-folder.md#figures).

"""
DEPLOYMENT = f"""\
# The deployment file

What `ftbt promote` makes of a judged run, for trading: `load_deployment` in
`ftbt/deployment/files.py` reads it, `may_trade` in `ftbt/deployment/permission.py` says where it
may trade. How to: [promote a run](../how-to/promote-a-run.md).

- The file is one JSON object, its keys sorted. `format` is {DEPLOYMENT_FORMAT}. The same run gives
  the same bytes.
- `sha256` beside the fields below is a hash over all of them. A file that was changed by hand is
  refused; make it again.
- A key that is not below, a value out of its range or of another type is refused, with its place.
- Times are ms since 1970, UTC: opens of bars, ends exclusive.
- Limits: [limits on risk](risk-limits.md).
  Shares: [trade a portfolio](../how-to/trade-a-portfolio.md).

"""
SEVERAL = """\
# comparison.json, matrix.json

What [several runs](../how-to/compare-runs.md) say together: `ftbt compare` writes the one beside
its page, `ftbt matrix` the other into its own folder and into that of each of its runs.

- Each is one JSON object, its keys sorted.
- Sharpe ratios are annual, of daily returns (UTC days); returns and shares are fractions.
- `null` where a number is undefined.

"""

DRIFT = f"""\
# The drift of a session

What `ftbt rehearse --json` and `ftbt parity --json` print, and `drift.json` in the state folder of
a rehearsal: a session beside the back-test on the same bars.
How to: [rehearse](../how-to/rehearse.md).

- It is one JSON object, its keys sorted. `format` is {DRIFT_FORMAT}, the version of this layout.
- Times are ms since 1970, UTC. Money is in the quote currency.
- Prices drift in ticks (5 significant figures and 6 - szDecimals decimals) and in basis points;
  positive is worse than the back-test, for buys and for sells.
- `null` where there is nothing to compare.

## Causes

The list is closed. The first rule that finds evidence names the cause; what no rule can explain is
`unexplained`.

| cause | meaning |
|---|---|
{{causes}}
"""

LIVE = """\
# Files of a live session

What lies in its state folder, `results/live/NAME`.
How to look at it: `ftbt status`, `ftbt journal`, `ftbt report daily`.

| file | what | who writes it |
|---|---|---|
| `journal.db` (`-wal`, `-shm`) | the truth: all that happened, only added to | the session |
| `journal.db.reserve` | room that is given back when the disk is full | the session |
| `backups/` | copies of the journal that were opened, checked and compared | the session |
| `status.json` | this moment, see [Status](#status) | the session, each turn |
| `session.json` | network, account and coins: where `ftbt kill` looks without a bot | the session |
| `halt.json` | nothing may be opened: why, by whom, since when | `ftbt kill`, the guard |
| `wishes/` | what `ftbt stop` and `ftbt resume` ask a running session for | commands |
| `alerts.json` | what was told, so that it is not told again | the session |
| `log.jsonl` | the log, ten older ones beside it | the session |

Times are ms since 1970, UTC. JSON has no NaN: `null` where a number is undefined.
`ftbt status --json` prints `state`, `running`, `age_s`, `halt`, `trouble` (a list of sentences) and
`status` (below, or `null`). `ftbt report daily --json` prints a [Period](#period), with `profit`,
`net` and `wins` added.

## journal.db

SQLite in WAL mode. Rows of `event`, `sent` and `outcome` are numbered without a gap and chained:
`chain` is a hash over the row and the chain before it. Triggers refuse every change of a row.

| table | column | type |
|---|---|---|
{tables}

`event.body` is a JSON object. The kinds of events:

| kind | what |
|---|---|
{kinds}

"""

_WORDS = {
    int: "whole number", float: "number or null", str: "text", bool: "true or false",
    type(None): "null", Any: "any value",
}  # fmt: skip
_LATER = ("see the module.", "see there.")


def robustness_page(made: str) -> str:
    """Return `robustness.md`; *made* is the comment that says where a page comes from."""
    return _page(made, ROBUSTNESS, [Assessment])


def run_page(made: str) -> str:
    """Return `run-files.md`."""
    return _page(made, RUN, [Summary, Manifest, Timing])


def deployment_page(made: str) -> str:
    """Return `deployment.md`."""
    # Unlike results, a deployment has no number that is unknown: null is refused.
    return _page(made, DEPLOYMENT, [Deployment]).replace("number or null", "number")


def several_page(made: str) -> str:
    """Return `comparison-and-matrix.md`."""
    return _page(made, SEVERAL, [RunComparison, Matrix])


def drift_page(made: str) -> str:
    """Return `drift.md`."""
    causes = "\n".join(f"| {cause} | {MEANINGS[cause]} |" for cause in Cause)
    return _page(made, DRIFT.replace("{causes}", causes), [Drift])


def live_page(made: str) -> str:
    """Return `live-files.md`."""
    tables = "\n".join(
        f"| {table.name} | `{column.name}` | {str(column.type).lower()} |"
        for table in METADATA.sorted_tables for column in table.columns
    )  # fmt: skip
    kinds = "\n".join(f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items())
    intro = LIVE.replace("{tables}", tables).replace("{kinds}", kinds)
    return _page(made, intro, [Status, Period])


def _page(made: str, intro: str, roots: Sequence[type[Any]]) -> str:
    parts = [made, intro]
    for cls in classes(roots):
        parts.append(f"## {cls.__name__}\n\n{_about(cls)}\n\n")
        parts.append("| field | type | meaning |\n|---|---|---|\n")
        hints, told = get_type_hints(cls), fields_of(cls)
        for item in fields(cls):
            kind = hints[item.name]
            meaning = _first_words(kind) if told[item.name] in _LATER else told[item.name]
            # JSON has no NaN and no None: what the code reads as such is null in the file.
            shown = re.sub(r"\b(NaN|None)\b", "null", meaning).replace("|", r"\|")
            parts.append(f"| `{item.name}` | {type_of(kind)} | {shown} |\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def classes(roots: Sequence[type[Any]]) -> list[type[Any]]:
    """Return the dataclasses inside *roots*, in the order in which one meets them."""
    found: list[type[Any]] = []

    def visit(cls: type[Any]) -> None:
        found.append(cls)
        for kind in get_type_hints(cls).values():
            for inner in _inside(kind):
                if inner not in found:
                    visit(inner)

    for root in roots:
        visit(root)
    return found


def _inside(kind: Any) -> Iterator[type[Any]]:
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
    for inner in get_args(kind):
        yield from _inside(inner)


def type_of(kind: Any) -> str:
    """Return a type in words; classes link to their section of the page."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (np.ndarray, get_origin(NDArray[Any])):  # what the alias is depends on numpy
        return "list of values"
    if origin in (Union, types.UnionType):
        words = [word for one in inner for word in type_of(one).split(" or ")]
        return " or ".join(sorted(dict.fromkeys(words), key=lambda word: word == "null"))
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"object: name to {type_of(inner[1])}"
    if origin is tuple and inner[-1] is Ellipsis:
        return f"list of {type_of(inner[0])}"
    if origin is tuple:
        return f"[{', '.join(type_of(one) for one in inner)}]"
    if is_dataclass(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"  # type: ignore[union-attr]
    return _WORDS[kind]


def _about(cls: type[Any]) -> str:
    """Return what the docstring says before its attributes."""
    text = (inspect.getdoc(cls) or "").partition("Attributes:")[0].strip()
    return re.sub(r"[ \n]+", " ", text)


def _first_words(kind: Any) -> str:
    """Return the first sentence on the class inside *kind*."""
    cls = next(iter(_inside(kind)))
    return _about(cls).partition(". ")[0].rstrip(".") + "."


def fields_of(cls: type[Any]) -> dict[str, str]:
    """Return the words of each field: `name: words` or `name, name: words`, over several lines.

    Raises:
        KeyError: a field that the docstring does not describe.
    """
    block = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    entries: list[str] = []
    for line in block.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            entries.append(line.strip())
        elif line.strip() and entries:
            entries[-1] += f" {line.strip()}"
    told: dict[str, str] = {}
    for entry in entries:
        names, _, text = entry.partition(": ")
        told |= {name.strip(): text for name in names.split(",")}
    return {item.name: told[item.name] for item in fields(cls)}
