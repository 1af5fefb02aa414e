"""The parameters that each training chose, strategy by strategy, and how they moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbt.report.blocks import Block, Cell, Column, Figure, How, Prose, Table
from ftbt.report.figures import windows as drawings
from ftbt.report.figures.windows import Track
from ftbt.report.format import MISSING, known, number, plain
from ftbt.report.source import Source

FAILED = "the window failed"
STAYS_OUT = "it stays out of this window"


def parameters(source: Source) -> list[Block]:
    """Return a table and a drawing of the chosen parameters of each strategy."""
    if not source.run.manifest.strategy.space:
        return [Prose(["No parameter was searched: each window ran with the same ones."])]
    return [block for one in _chosen(source) for block in _blocks(one, source)]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What was chosen of one strategy; names are its own.

    Attributes:
        name: of the strategy; empty when there is only one.
        number: from 0.
        space: searched ranges.
        others: parameters that were not searched, with their values.
        values: chosen ones of each window; None where there are none.
        scores: objective of the chosen trial in training, None where there is none.
    """

    name: str
    number: int
    space: Mapping[str, Mapping[str, Any]]
    others: Mapping[str, Any]
    values: Sequence[Mapping[str, Any] | None]
    scores: Sequence[float | None]


def _chosen(source: Source) -> list[_Chosen]:
    facts = source.run.manifest.strategy
    several = len(source.strategies) > 1
    found = []
    for number_, name in enumerate(source.strategies):
        prefix = f"{name}." if several else ""
        space = _own(facts.space, prefix)
        defaults = _own(facts.defaults, prefix)
        frame = source.windows
        trials = [row[number_] if row else -1 for row in frame["chosen_trials"]]
        values = [
            None if trial < 0 else _own(given, prefix)
            for trial, given in zip(trials, frame["parameters"], strict=True)
        ]
        scores = [
            None if trial < 0 else _value_of(source, int(window), trial)
            for window, trial in zip(frame["window"], trials, strict=True)
        ]
        others = {key: value for key, value in defaults.items() if key not in space}
        found.append(_Chosen(name if several else "", number_, space, others, values, scores))
    return found


def _own(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }


def _value_of(source: Source, window: int, trial: int) -> float:
    frame = source.run.trials
    mine = (frame["window"] == window) & (frame["trial"] == trial)
    return float(frame.loc[mine, "value"].iloc[0])


def _blocks(chosen: _Chosen, source: Source) -> list[Block]:
    of = f" of {chosen.name}" if chosen.name else ""
    if not chosen.space:
        return [Prose([f"No parameter{of} was searched. {_not_searched(chosen)}"])]
    labels = [str(number_) for number_ in source.windows["window"]]
    tracks = [_track(name, limits, chosen.values) for name, limits in chosen.space.items()]
    table = _table(chosen, source, labels)
    figure = Figure(
        anchor="parameter-drift" + (f"-{chosen.number}" if chosen.name else ""),
        title=f"How the chosen parameters{of} moved",
        description="Each strip is a parameter's whole range. A real edge tends to be found at"
        " similar values again; values that jump from end to end point to noise.",
        draw=lambda layout: drawings.drift(layout, labels, tracks),
        table=table,
        how=How(
            "The parameters of the chosen trial of each window.",
            "Ranges: "
            + "; ".join(f"{name} {_range(limits)}" for name, limits in chosen.space.items()),
            "windows.parquet, column parameters; all trials in trials.parquet.",
        ),
    )
    return [table, figure]


def _table(chosen: _Chosen, source: Source, labels: Sequence[str]) -> Table:
    """Return the parameters; with several strategies also what each trial was worth."""
    objective = source.run.manifest.search.objective.replace("_", " ")
    scored = [f"Value in training ({objective})"] if chosen.name else []
    failed = list(source.windows["state"] != "done")
    rows: list[list[Cell | str]] = [
        [
            label,
            *([_score(score, why)] if scored else []),
            *[_value(values, name, why) for name in chosen.space],
        ]
        for label, values, score, why in zip(
            labels,
            chosen.values,
            chosen.scores,
            (FAILED if one else STAYS_OUT for one in failed),
            strict=True,
        )
    ]
    return Table(
        f"Chosen parameters of {chosen.name}" if chosen.name else "Chosen parameters",
        [Column("Window"), *[Column(name) for name in [*scored, *chosen.space]]],
        rows,
        note=_not_searched(chosen),
    )


def _track(
    name: str, limits: Mapping[str, Any], chosen: Sequence[Mapping[str, Any] | None]
) -> Track:
    values = [None if one is None else one.get(name) for one in chosen]
    if limits["kind"] == "choice":
        return Track(name, values, words=[str(word) for word in limits["words"]])
    if limits["kind"] == "bool":
        words = [None if value is None else plain(value) for value in values]
        return Track(name, words, words=["false", "true"])
    return Track(name, values, float(limits["low"]), float(limits["high"]))


def _range(limits: Mapping[str, Any]) -> str:
    if limits["kind"] == "choice":
        return " / ".join(map(str, limits["words"]))
    if limits["kind"] == "bool":
        return "true / false"
    return f"{plain(limits['low'])} to {plain(limits['high'])}"


def _score(value: float | None, why: str) -> Cell:
    return Cell(number(value)) if known(value) else Cell(MISSING, "muted", why)


def _value(values: Mapping[str, Any] | None, name: str, why: str) -> Cell:
    if values is None or name not in values:
        return Cell(MISSING, "muted", why)
    return Cell(plain(values[name]))


def _not_searched(chosen: _Chosen) -> str:
    if not chosen.others:
        return ""
    words = ", ".join(f"{name} = {plain(value)}" for name, value in sorted(chosen.others.items()))
    return f"Not searched: {words}."
