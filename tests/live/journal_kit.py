"""What tests of the journal have in common."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from ftbt.hyperliquid.journal import Sent

NAME = "btc-sweep"
SENT = Sent("0xagent", "0xuser", 7, 99, "order", ("0xa", "0xb"), b"signed \x00 bytes", "entry")


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process that runs *code*, with its output as text."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def wait_for(path: Path, seconds: float = 20.0) -> None:
    """Wait until *path* exists."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)
