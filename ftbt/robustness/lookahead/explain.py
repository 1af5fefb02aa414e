"""From a difference to a finding: repeated, with the value behind it and how far ahead it looks."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ftbt.robustness.lookahead.compare import Difference
from ftbt.robustness.lookahead.futures import FALLING, NO_FUTURE, RISING
from ftbt.robustness.lookahead.runner import Runner
from ftbt.robustness.lookahead.search import TOLERANCE, Caught, Search
from ftbt.robustness.lookahead.trace import Place
from ftbt.robustness.lookahead.values import ValueChange, first_value_change
from ftbt.robustness.lookahead.verdict import LOOK_AHEAD, UNSTEADY, Finding

_RANK = {"order": 0, "line": 1, "error": 2}


def findings_of(search: Search) -> list[Finding]:
    """Return the findings of *search*: the first order that changed, explained, then the others."""
    main = search.runner.engine
    ordered = _each_once(search.caught, main)
    if not ordered or ordered[0].engine != main:
        return [finding_of(search, one) for one in ordered]
    first = explain(search, ordered[0])
    if knows_its_end(search.caught):
        first = replace(first, detail=f"{first.detail}; it knows where its data end")
    if first.kind == UNSTEADY:
        return [first]
    return [first, *(finding_of(search, one) for one in ordered[1:])]


def _each_once(caught: Sequence[Caught], main: str) -> list[Caught]:
    """Return orders first, by their bars; what another cut has shown already is left out."""

    def rank(caught: Caught) -> tuple[bool, int, int, int]:
        one = caught.difference
        return caught.engine != main, _RANK.get(one.what, 3), one.bar, one.cut

    of_cut: dict[tuple[str, int], Caught] = {}
    of_bar: dict[tuple[str, int], Caught] = {}
    for one in sorted(caught, key=rank):
        of_cut.setdefault((one.engine, one.difference.cut), one)
    for one in of_cut.values():
        of_bar.setdefault((one.difference.what, one.difference.bar), one)
    return list(of_bar.values())


def finding_of(search: Search, caught: Caught) -> Finding:
    """Return what is known of *caught* without another run."""
    one, times = caught.difference, search.market.candles.time
    return Finding(
        kind=LOOK_AHEAD,
        what=one.what,
        bar=one.bar,
        time=int(times[one.bar]) if one.bar >= 0 else -1,
        detail=one.detail,
        cut=one.cut,
        cut_time=int(times[one.cut]),
        future=one.future,
        engine=caught.engine,
        before=one.before,
        after=one.after,
        place=caught.place or rule_place(search.runner),
        value=caught.value,
    )


def explain(search: Search, caught: Caught) -> Finding:
    """Return *caught* with the value that changes first, and how far ahead its order looks.

    Both runs are made once more: what does not come out again is no look-ahead but chance.
    """
    found, one = finding_of(search, caught), caught.difference
    run = search.runner.run
    full = run(search.market, fresh=True, keep=True)
    other = run(search.changed(one.cut, one.future), fresh=True, keep=True, stop_after=one.cut)
    if not _same_again(search, caught, other.result is None):
        said = f"{one}; and when it was run again, that did not happen"
        return replace(found, kind=UNSTEADY, detail=said)
    value = first_value_change(full.made, other.made, one.cut, TOLERANCE)
    value = value or first_value_change(full.lines, other.lines, one.cut, TOLERANCE)
    needs = bars_ahead(search, caught) if one.what in ("order", "line") else 0
    return replace(found, value=_earlier(value, caught.value), needs=needs)


def knows_its_end(caught: Sequence[Caught]) -> bool:
    """Tell whether all that was caught are orders at the last bars of runs that end there."""
    return all(
        one.difference.future == NO_FUTURE and one.difference.bar >= one.difference.cut - 1
        for one in caught
    )


def _earlier(one: ValueChange | None, two: ValueChange | None) -> ValueChange | None:
    return one if two is None or (one is not None and one.bar <= two.bar) else two


def _same_again(search: Search, caught: Caught, broke: bool) -> bool:
    """Tell whether the difference comes out a second time."""
    one = caught.difference
    if one.what == "error":
        return broke
    if one.what == "line":
        return True  # computed again from the same functions
    again = _difference_at(search, one.cut, one.future, one.cut)
    return again is not None and (again.what, again.bar) == (one.what, one.bar)


def _difference_at(search: Search, cut: int, future: str, stop: int) -> Difference | None:
    ran = search.runner.run(search.changed(cut, future), fresh=True, stop_after=stop)
    return search.difference(ran, cut, future)


def bars_ahead(search: Search, caught: Caught) -> int:
    """Return how many bars after its own the order or line in *caught* depends on, at least.

    The cut moves away from the bar until the same bars up to there give the same: first in
    steps that double, then halfway in between.
    """
    one, last = caught.difference, len(search.market.candles) - 2
    futures = dict.fromkeys((one.future, RISING, FALLING))

    def changes(cut: int) -> bool:
        return any(_changes_at(search, caught, cut, future) for future in futures)

    known, step = one.cut, 1  # the last cut at which it still changed
    while known + step < last and changes(known + step):
        known += step
        step *= 2
    same = min(known + step, last)
    while same - known > 1:
        middle = (known + same) // 2
        known, same = (middle, same) if changes(middle) else (known, middle)
    # With the bars up to `known` alone it is another one: at least one more is needed.
    return known + 1 - one.bar


def _changes_at(search: Search, caught: Caught, cut: int, future: str) -> bool:
    """Tell whether what was caught, or anything before it, changes with that future."""
    bar = caught.difference.bar
    if caught.difference.what == "line" and caught.value is not None:
        name = caught.value.name
        lines = search.runner.run(search.changed(cut, future), fresh=True, keep=True).lines
        full = {name: search.full.lines[name]}
        return first_value_change(full, lines, bar, TOLERANCE) is not None
    found = _difference_at(search, cut, future, min(cut, bar + 1))
    return found is not None and found.bar <= bar


def rule_place(runner: Runner) -> Place | None:
    """Return where the setup rule of the strategy begins, None when it has none."""
    rule = runner.rule
    if rule is None:
        return None
    name, _, line = str(rule.place).rpartition(":")
    file = next((path for path in runner.opened.code if Path(path).name == name), "")
    return Place(name, int(line), _signature(file, int(line)))


def _signature(file: str, line: int) -> str:
    """Return the `def` line of the rule that begins, decorators first, at *line*."""
    for number in range(line, line + 10):
        text = linecache.getline(file, number).strip()
        if text.startswith("def "):
            return text
    return ""
