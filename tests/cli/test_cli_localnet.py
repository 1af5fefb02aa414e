"""The command that runs a local exchange."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request

import pytest

from ftbt.cli.main import run


@pytest.fixture
def candles(tmp_path):
    """Return a file of a few BTC candles."""
    path = tmp_path / "BTC-15m.csv"
    rows = [f"{1704067200000 + k * 900000},42000,42010,41990,42005,10" for k in range(40)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    return str(path)


def test_it_serves_until_its_time_is_over(candles):
    """It prints both URLs and the funded account, answers, and ends with 0."""
    words = ["localnet", "--symbol", "BTC", "--data", candles, "--port", "0",
             "--control-port", "0", "--paused", "--for", "2"]  # fmt: skip
    command = [sys.executable, "-u", "-c", "from ftbt.cli.main import entry; entry()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        url = re.search(r"API +(http://\S+)", "".join(lines))[1]
        request = urllib.request.Request(
            f"{url}/info", json.dumps({"type": "meta"}).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.loads(answer.read())["universe"][0]["name"] == "BTC"
        assert "with 10000 USDC" in "".join(lines)
        assert "stopped after the time" in process.stdout.read()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--speed", "0"], "--speed must be above 0"),
        (["--fund", "0x12=5"], "must be ADDRESS=USDC"),
        (["--depth", "much"], "--depth must be a number"),
        (["--begin", "2030-01-01"], "some bars to replay after it"),
    ],
)
def test_what_cannot_be_served_is_said(words, text, candles, capsys):
    """A bad option is one clear line and exit code 2."""
    common = ["--symbol", "BTC", "--data", candles, "--port", "0", "--control-port", "0"]
    assert run(["localnet", *common, *words]) == 2
    assert text in capsys.readouterr().err
