"""The assessment's plain values: both ways through JSON, the same bytes, clear errors."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from ftbt.errors import StorageError
from ftbt.robustness import assessment as assessment_module
from ftbt.robustness.assessment import Assessment, Histogram, Limit
from ftbt.robustness.assessment_files import (
    NAME,
    from_plain,
    has_assessment,
    load_assessment,
    to_plain,
    write_assessment,
)
from ftbt.walkforward.inputs import Inputs
from ftbt.walkforward.result import Run

CLASSES = [
    getattr(assessment_module, name)
    for name in assessment_module.__all__
    if is_dataclass(getattr(assessment_module, name))
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_part_is_frozen_and_explains_each_field(kind: type[Any]) -> None:
    """A part can't be changed after it was made, and its docstring names every field."""
    text = kind.__doc__ or ""

    assert kind.__dataclass_params__.frozen
    assert all(item.name in text for item in fields(kind)), kind
    assert set(get_type_hints(kind)) == {item.name for item in fields(kind)}


def test_a_part_cannot_be_changed(assessed: Assessment) -> None:
    """Nobody rewrites a verdict in memory."""
    with pytest.raises(FrozenInstanceError):
        assessed.verdict.state = "PASS"  # type: ignore[misc]


def test_writing_and_reading_lose_nothing(assessed: Assessment, tmp_path: Path) -> None:
    """What was read writes the same bytes again; NaN comes back as NaN."""
    first = write_assessment(tmp_path, assessed).read_bytes()
    back = load_assessment(tmp_path)

    assert type(back) is Assessment
    assert to_plain(back) == to_plain(assessed)
    write_assessment(tmp_path, back)
    assert (tmp_path / NAME).read_bytes() == first
    unknown = [gate for gate in back.gates if gate.id == "S6"]
    assert math.isnan(unknown[0].value)
    assert isinstance(back.selection.curve, tuple)
    assert isinstance(back.record.monthly[0], tuple)


def test_the_file_is_plain_sorted_json_of_modest_size(assessed: Assessment, tmp_path: Path) -> None:
    """Keys in order, no NaN, no infinity, no path of the machine, and small beside a report."""
    path = write_assessment(tmp_path, assessed)
    text = path.read_text()
    plain = json.loads(text)

    assert list(plain) == sorted(plain)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert str(tmp_path.parent.parent) not in text
    assert path.stat().st_size < 600_000


def test_the_same_run_gives_the_same_bytes(
    edge: tuple[Inputs, Run], assessed: Assessment, tmp_path: Path
) -> None:
    """Assessed once more, from the folder: no clock, no order of a set, no unseeded number."""
    from ftbt.robustness.assess import assess
    from ftbt.walkforward.store import load_run

    inputs, run = edge
    again = assess(load_run(run.folder), inputs)

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = write_assessment(tmp_path / "a", assessed)
    two = write_assessment(tmp_path / "b", again)
    assert one.read_bytes() == two.read_bytes()


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """No assessment in the folder: which command makes one."""
    assert not has_assessment(tmp_path)
    with pytest.raises(StorageError, match=r"has no robustness\.json: make it with the run"):
        load_assessment(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda plain: plain.update(format=0), "another version of ftbt"),
        (lambda plain: plain.pop("verdict"), "damaged"),
        (lambda plain: plain["verdict"].update(state="SURE"), "damaged"),
        (lambda plain: plain["record"].update(days="many"), "damaged"),
        (lambda plain: plain.update(gates=3), "damaged"),
    ],
)
def test_a_damaged_file_is_refused(
    assessed: Assessment, tmp_path: Path, change: Any, match: str
) -> None:
    """A file of another version, with parts missing or of another type: one clear line."""
    plain = to_plain(assessed)
    change(plain)
    (tmp_path / NAME).write_text(json.dumps(plain))

    with pytest.raises(StorageError, match=match):
        load_assessment(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    """Half a file is no assessment."""
    (tmp_path / NAME).write_text(content)

    with pytest.raises(StorageError, match="cannot be read"):
        load_assessment(tmp_path)


def test_infinite_numbers_are_written_as_unknown() -> None:
    """JSON knows neither NaN nor infinity."""
    plain = to_plain(Histogram((math.inf, math.nan, 1.0), (1, 2)))

    assert plain == {"edges": [None, None, 1.0], "counts": [1, 2]}
    back = from_plain(Histogram, plain)
    assert [math.isnan(one) for one in back.edges] == [True, True, False]


def test_only_plain_values_are_written() -> None:
    """A list or an array in an assessment is a mistake of the program, found at once."""
    with pytest.raises(TypeError, match="plain values only, not list"):
        to_plain(replace(Limit("a", "b"), why=["c"]))  # type: ignore[arg-type]
