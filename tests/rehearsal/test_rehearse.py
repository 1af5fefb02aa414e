"""`ftbt rehearse` and `ftbt parity` as a user meets them: real processes, a real journal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from ftbt.cli.main import COMMANDS, run

needs_live = pytest.mark.skipif("live" not in COMMANDS, reason="there is no ftbt live yet")
# Bars and symbols of the synthetic market on which something is traded every day.
SPAN = ["--from", "2024-01-01", "--to", "2024-03-01"]
SHARE = 0.99


@needs_live
def test_a_day_of_one_symbol_is_in_parity(tmp_path, capsys):
    """The live process trades what the back-test traded, and its journal says the same later."""
    state = tmp_path / "state"
    words = ["--strategy", "liquidity_sweep", "--symbol", "BTC", *SPAN, "--days", "1"]
    code = run(["rehearse", *words, "--state", str(state), "--json"])
    drift = json.loads(capsys.readouterr().out)
    assert code == 0
    assert drift["expected"] == drift["actual"] > 0
    assert drift["share"] >= SHARE
    assert json.loads((state / "drift.json").read_text()) == drift
    assert run(["parity", str(state), "--data", "sample", "--detail", "1m", "--json"]) == 0
    later = json.loads(capsys.readouterr().out)
    assert later["trades"] == drift["trades"]
    assert run(["rehearse", *words, "--state", str(state)]) == 2
    assert "holds the journal of another session" in capsys.readouterr().err


@needs_live
@pytest.mark.slow
def test_a_week_of_three_symbols_is_in_parity_within_five_minutes(tmp_path, capsys):
    """At least 99 % of the trades are identical, nothing is unexplained, and it is quick."""
    began = time.monotonic()
    words = ["--strategy", "liquidity_sweep", "--symbols", "BTC,ETH,SOL", *SPAN]
    code = run(["rehearse", *words, "--state", str(tmp_path / "state"), "--json"])
    drift = json.loads(capsys.readouterr().out)
    assert code == 0
    assert drift["expected"] > 30
    assert drift["share"] >= SHARE
    assert drift["unexplained"] == 0
    assert time.monotonic() - began < 300.0


@needs_live
@pytest.mark.slow
def test_faults_change_no_trade(tmp_path, capsys):
    """With faults at random bars the same trades come out."""
    words = ["--strategy", "liquidity_sweep", "--symbols", "BTC,SOL", *SPAN, "--days", "2"]
    code = run(["rehearse", *words, "--state", str(tmp_path), "--faults", "7:30", "--json"])
    drift = json.loads(capsys.readouterr().out)
    assert code == 0
    assert drift["expected"] == drift["actual"] > 0
    assert drift["unexplained"] == 0


@needs_live
@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_shows_what_there_is(tmp_path):
    """After Ctrl-C nothing runs on, what was traded is compared, and the exit code is 130."""
    words = ["rehearse", "--strategy", "liquidity_sweep", *SPAN, "--state", str(tmp_path / "s")]
    command = [sys.executable, "-u", "-m", "ftbt", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("bar ") and int(line.split()[1].partition("/")[0]) > 20:
            break
    status = json.loads((tmp_path / "s" / "status.json").read_text())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "ended early, after the bar that closed" in out
    assert "liquidity_sweep on BTC 15m" in out
    assert subprocess.run(
        ["kill", "-0", str(status["pid"])], check=False, capture_output=True
    ).returncode


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--days", "0.5", "--begin", "2024-01-02"], "needs 2,880 bars of 15m before it"),
        (["--faults", "seven"], "--faults must be SEED"),
        (["--detail", "15m"], "--detail 15m must be a whole fraction"),
        (["--set", "swng=3"], "did you mean"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(words, text, tmp_path, capsys):
    """A bad option is one clear line and exit code 2, before any process is started."""
    common = ["--strategy", "liquidity_sweep", *SPAN, "--state", str(tmp_path / "state")]
    assert run(["rehearse", *common, *words]) == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_a_folder_without_a_session_is_refused(tmp_path, capsys):
    """`ftbt parity` of a folder in which nothing has traded is one clear line."""
    assert run(["parity", str(tmp_path)]) == 2
    assert "no live session" in capsys.readouterr().err
