"""`ftbt live` and who watches it: options, what is told when it cannot begin, no secrets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ftbt.cli.main import run

sys.path.append(str(Path(__file__).parents[1] / "live"))

from watch_kit import webhook

KEY = "5e" * 32
NOWHERE = [
    "live", "--mode", "paper", "--network", "localnet", "--url", "http://127.0.0.1:9",
    "--account", "0x" + "ab" * 20, "--symbol", "BTC", "--strategy", "liquidity_sweep",
]  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in an empty folder, with a key in the environment and without targets."""
    monkeypatch.setenv("FTBT_AGENT_KEY", KEY)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    for name in ("FTBT_ALERTS", "FTBT_ALERTS_FILE", "FTBT_AGENT_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_session_that_cannot_begin_tells_its_owner(place, capsys):
    """With targets in a file, why it ended arrives and stands in the log; no secret does."""
    with webhook() as hook:
        file = place / "alerts"
        file.touch(mode=0o600)
        file.write_text(hook.url)
        code = run([*NOWHERE, "--state", "bot", "--alerts-file", str(file)])
    shown = capsys.readouterr()
    assert code == 2, shown.err
    (told,) = hook.taken
    assert told["title"].startswith("[localnet] ")
    assert told["title"].endswith(": ended by an error")
    log = (place / "bot" / "log.jsonl").read_text()
    assert [json.loads(line)["level"] for line in log.splitlines()].count("error") >= 1
    files = [path.read_bytes() for path in (place / "bot").rglob("*") if path.is_file()]
    for secret in (KEY, "Hunter2pass", "T0KENsecret99"):
        assert not any(secret.encode() in content for content in files)
        assert secret not in shown.out + shown.err + json.dumps(hook.taken)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--alert", "confidense=3"], "did you mean 'confidence'"),
        (["--mute", "fil"], "did you mean 'fill'"),
        (["--alerts-file", "none"], "cannot read the file of alert targets none"),
        (["--health-port", "80"], "1024 to 65535"),
        (["--health-port", "8502", "--health-host", "0.0.0.0"], "--health-beyond-loopback"),
        (["--log-size", "5"], "10000 to"),
        (["--log-keep", "0"], "1 to 1000"),
    ],
)
def test_what_cannot_be_watched_is_told_before_anything_begins(words, told, capsys):
    """A wrong option ends it with one line before a state folder is made."""
    assert run([*NOWHERE, "--state", "bot", *words]) == 2
    assert told in capsys.readouterr().err
    assert not Path("bot").exists()
