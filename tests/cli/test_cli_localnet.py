"""The command that runs a local exchange."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request

import pytest

from ftbt.cli.main import run


def test_it_serves_until_its_time_is_over():
    """It prints both URLs and the funded account, answers, and ends with 0."""
    words = ["localnet", "--symbol", "BTC", "--to", "2024-01-05", "--port", "0",
             "--control-port", "0", "--paused", "--for", "4"]  # fmt: skip
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
        (["--begin", "2030-01-01", "--to", "2024-01-05"], "some bars to replay after it"),
    ],
)
def test_what_cannot_be_served_is_said(words, text, capsys):
    """A bad option is one clear line and exit code 2."""
    assert run(["localnet", "--symbol", "BTC", "--port", "0", "--control-port", "0", *words]) == 2
    assert text in capsys.readouterr().err
