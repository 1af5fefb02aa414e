"""`ftbt report`: finds the run that is meant and prints the path of its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftbt.cli.main import run
from ftbt.cli.report import find_run, run_names
from ftbt.errors import InputError


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a results folder with two started runs and something else."""
    folder = tmp_path / "results"
    for name in ("fvg_fill-BTC-15m-aaaa1111", "liquidity_sweep-BTC-15m-bbbb2222"):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text("{}")
    (folder / "notes").mkdir()
    return folder


def test_a_run_is_found_by_name_path_or_beginning(results: Path) -> None:
    """All three ways lead to the same folder."""
    folder = results / "fvg_fill-BTC-15m-aaaa1111"

    assert find_run(folder.name, results) == folder
    assert find_run(str(folder), Path("elsewhere")) == folder
    assert find_run("fvg", results) == folder


def test_only_run_folders_are_runs(results: Path) -> None:
    """A folder without a manifest is none, and a missing results folder holds none."""
    assert set(run_names(results)) == {
        "fvg_fill-BTC-15m-aaaa1111",
        "liquidity_sweep-BTC-15m-bbbb2222",
    }
    assert run_names(results / "nowhere") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fvg_fil-BTC-15m-aaaa1111", "did you mean 'fvg_fill-BTC-15m-aaaa1111'?"),
        ("zzz", "the newest are: "),
        ("", "no run ''"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(results: Path, text: str, message: str) -> None:
    """The error is one line with the run that was probably meant, or the newest ones."""
    with pytest.raises(InputError) as caught:
        find_run(text, results)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_ambiguous_beginning_is_refused(results: Path) -> None:
    """Two runs that begin alike are both named."""
    (results / "fvg_fill-ETH-15m-cccc3333").mkdir()
    (results / "fvg_fill-ETH-15m-cccc3333" / "manifest.json").write_text("{}")

    with pytest.raises(InputError, match=r"could be any of: .*write more of the name"):
        find_run("fvg_fill", results)


def test_without_runs_the_error_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty results folder is exit code 2 and one line."""
    assert run(["report", "x", "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds no runs" in error
    assert error.count("\n") == 1


def test_a_foreign_manifest_is_refused(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of another version is one clear line, not a traceback."""
    assert run(["report", "fvg", "--results", str(results)]) == 2
    assert "another version of ftbt" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """The help ends with a line to copy."""
    assert run(["report", "--help"]) == 0
    assert "Example: ftbt report " in capsys.readouterr().out
