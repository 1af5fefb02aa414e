"""Promotion: what a deployment carries is what was judged, and what nobody judged is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from judged_kit import Judged

from ftbt.cli.main import run
from ftbt.data.timeframe import DAY_MS
from ftbt.deployment.files import write_deployment
from ftbt.deployment.permission import strategies_of
from ftbt.deployment.promote import promote
from ftbt.errors import FtbtError, InputError, IntegrityError, StorageError, StrategyBroken
from ftbt.robustness.assessment_files import load_assessment
from ftbt.robustness.of_run import RunArrays
from ftbt.robustness.rerun import Reruns
from ftbt.strategy.parameters import resolve
from ftbt.walkforward.store import load_run, read_frame, write_frame


@pytest.fixture
def copied(judged: Judged, tmp_path: Path) -> Judged:
    """Return a copy that a test may break."""
    folder = tmp_path / judged.folder.name
    shutil.copytree(judged.folder, folder)
    for name in ("sma_cross.py", "other_cross.py"):
        shutil.copy(judged.strategies / name, tmp_path / name)
    return Judged(folder, judged.inputs, tmp_path)


def test_the_parameters_are_those_that_the_newest_test_ran_with(judged: Judged) -> None:
    """Every parameter, fixed, searched or default, is that of the newest window's re-run."""
    made = promote(judged.folder, [judged.strategies])
    newest = Reruns(RunArrays(load_run(judged.folder)), judged.inputs).newest

    assert len(made.strategies) == len(newest.sleeves) == 2
    for one, sleeve in zip(made.strategies, newest.sleeves, strict=True):
        assert dict(one.parameters) == resolve(sleeve.strategy.load(), sleeve.parameters, "1h")
        assert one.share == sleeve.share
        assert one.sha256 == hashlib.sha256(Path(sleeve.strategy.path).read_bytes()).hexdigest()
    assert made.strategies[0].parameters["flip"] is True
    assert made.strategies[1].parameters["slow"] == 12


def test_assumptions_and_verdict_are_those_of_the_run(judged: Judged) -> None:
    """Costs, limits, shares, data, schedule and verdict say what the run's own files say."""
    made = promote(judged.folder, [judged.strategies])
    manifest, found = load_run(judged.folder).manifest, load_assessment(judged.folder)
    data = (judged.folder / "robustness.json").read_bytes()

    assert made.settings == judged.inputs.settings
    assert made.limits["positions"] == 2
    assert made.shares == judged.inputs.ensemble.allocation
    assert [one.fingerprint for one in made.symbols] == [one.fingerprint for one in manifest.data]
    assert made.symbols[0].last_bar_ms == manifest.data[0].end_ms - 3_600_000
    assert made.verdict.state == found.verdict.state == "NOT JUDGED"
    assert made.verdict.assessment_sha256 == hashlib.sha256(data).hexdigest()
    last = manifest.windows[-1]
    assert (made.schedule.searched_from_ms, made.schedule.searched_to_ms) == last.train[0]
    assert (made.schedule.tested_from_ms, made.schedule.tested_to_ms) == last.test
    assert made.schedule.due_ms == last.test[0] + 10 * DAY_MS
    assert made.overdue(made.schedule.due_ms)
    assert not made.overdue(made.schedule.due_ms - 1)


def test_the_same_run_gives_the_same_bytes(judged: Judged, tmp_path: Path) -> None:
    """Nothing of the machine, the clock or the folder is in the file."""
    first = write_deployment(tmp_path / "a.json", promote(judged.folder, [judged.strategies]))
    second = write_deployment(tmp_path / "b.json", promote(judged.folder, [judged.strategies]))

    assert first.read_bytes() == second.read_bytes()
    assert str(judged.strategies) not in first.read_text()


def test_the_judged_files_are_found_again(judged: Judged, tmp_path: Path) -> None:
    """A deployment leads to the very strategy files, in the first folder that has them."""
    made = promote(judged.folder, [judged.strategies])
    found = strategies_of(made, [tmp_path, judged.strategies])

    assert [one.name for one in found] == ["sma_cross", "other_cross"]
    assert [one.sha256 for one in found] == [one.sha256 for one in made.strategies]
    with pytest.raises(FtbtError, match=r"no file sma_cross\.py in .*; put the file"):
        strategies_of(made, [tmp_path])


def _unfinished(one: Judged) -> None:
    (one.folder / "summary.json").unlink()


def _no_verdict(one: Judged) -> None:
    (one.folder / "robustness.json").unlink()


def _foreign_verdict(one: Judged) -> None:
    path = one.folder / "robustness.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "run_id": "other-BTC-1h-1"}))


def _edited_strategy(one: Judged) -> None:
    path = one.strategies / "other_cross.py"
    path.write_text(path.read_text() + "\n# a thought\n")


def _gone_strategy(one: Judged) -> None:
    (one.strategies / "sma_cross.py").unlink()


def _newest_failed(one: Judged) -> None:
    frame = read_frame(one.folder / "windows.parquet")
    frame.loc[len(frame) - 1, "state"] = "failed"
    frame.loc[len(frame) - 1, "reason"] = "no trial succeeded"
    write_frame(one.folder / "windows.parquet", frame)


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (_unfinished, StorageError, "unfinished run: continue it with --resume"),
        (_no_verdict, InputError, "has no verdict: make it with `ftbt walkforward --strategy"),
        (_foreign_verdict, IntegrityError, "judges another run, other-BTC-1h-1"),
        (_edited_strategy, StrategyBroken, "other_cross.py changed since the run"),
        (_gone_strategy, FtbtError, "no file sma_cross.py"),
        (_newest_failed, InputError, "failed: no trial succeeded; there are no parameters"),
    ],
)
def test_what_nobody_stands_behind_is_refused(
    copied: Judged, damage: Any, error: type[Exception], says: str, capsys: Any
) -> None:
    """Unfinished, unjudged, changed or failed: one clear line, exit code 2, and no file."""
    damage(copied)
    with pytest.raises(error) as caught:
        promote(copied.folder, [copied.strategies])
    assert says in str(caught.value)

    assert run(["promote", str(copied.folder), "--strategies", str(copied.strategies)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert says in told
    assert not (copied.folder / "deployment.json").exists()


def test_the_command_says_what_stands_in_the_file(copied: Judged, capsys: Any) -> None:
    """It prints the newest window, when it is due again, the verdict and the words for mainnet."""
    assert run(["promote", str(copied.folder), "--strategies", str(copied.strategies)]) == 0
    told = capsys.readouterr().out

    assert "sma_cross (75%), other_cross (25%) on BTC, ETH 1h, window 3" in told
    assert "due to be searched again on 2024-03-" in told
    assert "repeat exactly: I trade real money on a verdict of NOT JUDGED" in told
    assert told.endswith("deployment.json\n")
    assert (copied.folder / "deployment.json").is_file()
