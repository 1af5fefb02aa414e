"""The scorecard: every gate with what was measured, what is needed, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from ftbt.report.assessed import how, interval, missing, of_sharpe, sentence, words
from ftbt.report.blocks import Block, Cell, Column, Fold, HowFold, Points, Prose, Section, Table
from ftbt.report.format import number, percent, plural
from ftbt.report.source import Source
from ftbt.robustness.assessment import Assessment, Gate, Outcome, Weight

TONES: dict[Outcome, str] = {
    "pass": "gain",
    "inconclusive": "hold",
    "fail": "loss",
    "not judged": "muted",
}
WEIGHTS: dict[Weight, str] = {
    "hard": "hard: decides",
    "soft": "soft: can take a PASS away",
    "information": "information only",
}
_ORDER: tuple[Weight, ...] = ("hard", "soft", "information")


def build(source: Source) -> Sequence[Block]:
    """Return the counts, the table of gates, the thresholds and how to read them."""
    found = source.assessment
    if found is None:
        return missing(source)
    return [
        Prose([_counts(found)]),
        _table(found),
        Fold("All thresholds, with their sources", [_thresholds(found), Points(_READING)]),
        HowFold(
            how(
                "Each gate compares one measured value with one threshold. An interval is the 95 %"
                " interval of the value.",
                f"Thresholds: {_tightened(found)}. Sharpe statistics in the forms"
                f" {' and '.join(found.forms)}: the first decides, the others are shown beside it."
                f" Seed of all random numbers: {found.seed}.",
                "The source stands beside each threshold.",
            )
        ),
    ]


def _counts(found: Assessment) -> str:
    """Return in words how many gates of each weight came out how."""
    parts = []
    for weight in _ORDER:
        gates = [one for one in found.gates if one.weight == weight]
        if gates and weight != "information":
            parts.append(f"Of {plural(len(gates), f'{weight} gate')} {_outcomes(gates)}.")
    return " ".join(parts)


def _outcomes(gates: Sequence[Gate]) -> str:
    words = {"pass": "passed", "inconclusive": "inconclusive", "fail": "failed"}
    words["not judged"] = "not judged"
    said = []
    for outcome, word in words.items():
        count = sum(one.outcome == outcome for one in gates)
        if count:
            verb = "" if outcome in ("pass", "fail") else "is " if count == 1 else "are "
            said.append(f"{count} {verb}{word}")
    return said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]


def _table(found: Assessment) -> Table:
    ordered = sorted(found.gates, key=lambda one: _ORDER.index(one.weight))
    return Table(
        "Scorecard",
        [
            Column("Gate", numeric=False),
            Column("Outcome", numeric=False),
            Column("Measured", numeric=False),
            Column("Needed", numeric=False),
        ],
        [_row(gate) for gate in ordered],
        stacked=True,
    )


def _row(gate: Gate) -> list[Cell | str]:
    return [
        Cell(f"{gate.id} · {gate.name}", detail=sentence(gate.reason)),
        Cell(gate.outcome.upper(), f"outcome {TONES[gate.outcome]}", detail=WEIGHTS[gate.weight]),
        Cell(words(gate.shown) or "n/a", detail=_interval(gate)),
        # Beside the threshold: columns of their own would be cut off on most screens.
        Cell(words(gate.threshold), detail=gate.source),
    ]


def _interval(gate: Gate) -> str:
    # Written like the value itself: a gate has no unit of its own.
    write = percent if "%" in gate.shown.partition(" (")[0] else of_sharpe
    text = interval(gate.low, gate.high, write)
    return f"95 % interval {text}" if text else ""


def _thresholds(found: Assessment) -> Table:
    rows: list[list[Cell | str]] = [
        [
            name.replace("_", " "),
            number(value, 4).rstrip("0").rstrip("."),
            Cell("tightened" if name in found.tightened else ""),
            source,
        ]
        for name, value, source in found.thresholds
    ]
    return Table(
        "Thresholds",
        [
            Column("Name", numeric=False),
            Column("Value"),
            Column("", numeric=False),
            Column("Source", numeric=False),
        ],
        rows,
        note="They can be tightened for a run, never loosened.",
    )


def _tightened(found: Assessment) -> str:
    if not found.tightened:
        return "the defaults"
    return "tightened were " + ", ".join(name.replace("_", " ") for name in found.tightened)


_READING = (
    ("Hard", "gates decide. One that fails makes a FAIL; one that can't decide, no PASS."),
    ("Soft", "gates can only take a PASS away; one failure is tolerated."),
    ("Information", "is shown because traders ask for it; it decides nothing."),
    ("Not judged", "means that the data did not allow it; the reason stands beside it."),
)

SECTION = Section(
    "scorecard",
    "Scorecard",
    build,
    "Every test with its threshold, and where the threshold comes from.",
)
