"""The program as a whole: help, errors of one line, exit codes, completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from ftbt.cli.main import COMMANDS, cli, run
from ftbt.errors import DataError, NetworkError, StorageError


def every_command() -> Iterator[tuple[str, click.Command]]:
    """All commands with their full names, groups taken apart."""
    waiting: list[tuple[str, click.Command]] = [("ftbt", cli)]
    while waiting:
        name, command = waiting.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None, f"{name} {child} is listed but can't be loaded"
                waiting.append((f"{name} {child}", found))
        yield name, command


def test_each_command_explains_itself_with_an_example() -> None:
    """Every command and subcommand has a first sentence and an example of its use."""
    for name, command in every_command():
        assert command.help, name
        assert "Example: ftbt" in (command.epilog or ""), name


def test_help_answers_without_the_heavy_packages() -> None:
    """`ftbt --help` imports neither numba, pandas, ccxt nor Optuna."""
    script = (
        "import sys; from ftbt.cli.main import run; run(['--help']);"
        "heavy = ('numba', 'pandas', 'ccxt', 'optuna', 'backtrader');"
        "print([m for m in heavy if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip().endswith("[]")


def test_an_unknown_command_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command is answered with the right one, exit code 2."""
    assert run(["walkfoward"]) == 2
    assert "did you mean 'walkforward'" in capsys.readouterr().err


def test_an_unknown_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option is one line on stderr that names the help to read."""
    assert run(["backtest", "--strategi", "x"]) == 2

    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "ftbt backtest --help" in lines[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("row 5, column close: nan"), 2),
        (NetworkError("no answer"), 2),
        (StorageError("disk full"), 2),
        (OSError(28, "No space left on device", "/x"), 2),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a bug"), 1),
    ],
)
def test_exit_codes_tell_what_to_do(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Something to mend is 2, a bug is 1 with its traceback, Ctrl-C is 130."""

    def raises(**_: Any) -> None:
        raise error

    command = cli.get_command(click.Context(cli), "strategies")
    assert command is not None
    monkeypatch.setattr(command, "callback", raises)

    assert run(["strategies"]) == code
    assert ("Traceback" in capsys.readouterr().err) == (code == 1)


def test_the_module_is_the_program() -> None:
    """`python -m ftbt --version` is `ftbt --version`."""
    done = subprocess.run(
        [sys.executable, "-m", "ftbt", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("ftbt, version ")


def test_a_reader_that_leaves_is_no_error() -> None:
    """`ftbt ... | head -1` ends quietly."""
    done = subprocess.run(
        f"{sys.executable} -m ftbt completion bash | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each supported shell gets a script that asks ftbt for completions."""
    assert run(["completion", shell]) == 0
    assert "_FTBT_COMPLETE" in capsys.readouterr().out


def test_completion_knows_the_commands() -> None:
    """What bash asks at the first word is answered with the commands."""
    environment = {
        **os.environ, "_FTBT_COMPLETE": "bash_complete", "COMP_WORDS": "ftbt wal", "COMP_CWORD": "1"
    }  # fmt: skip
    program = Path(sys.executable).with_name("ftbt")

    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)

    assert "walkforward" in done.stdout


def test_the_table_of_commands_is_what_the_modules_say() -> None:
    """The words in `ftbt --help` are written for every command."""
    assert all(text.endswith(".") for _, text in COMMANDS.values())


def test_a_reader_that_goes_away_is_no_bug() -> None:
    """`ftbt ... | head` ends with the code of a broken pipe, and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = subprocess.run(
            [sys.executable, "-m", "ftbt", "strategies"],
            stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)

    assert (found.returncode, found.stderr) == (141, "")


@pytest.mark.parametrize(("wanted", "coloured"), [("", True), ("1", False)])
def test_a_terminal_may_be_without_colours(wanted: str, coloured: bool) -> None:
    """On a terminal there are colours, unless NO_COLOR is set."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "ftbt", "backtset"],
            stdout=theirs, stderr=theirs, check=False, env={**os.environ, "NO_COLOR": wanted},
        )  # fmt: skip
        shown = screen.read(4096)
        os.close(theirs)

    assert done.returncode == 2
    assert b"did you mean 'backtest'" in shown
    assert (b"\x1b[" in shown) is coloured
