"""What tests of the journal have in common."""

from __future__ import annotations

import subprocess
import sys

from ftbt.hyperliquid.journal import Sent

NAME = "btc-sweep"
SENT = Sent("0xagent", "0xuser", 7, 99, "order", ("0xa", "0xb"), b"signed \x00 bytes", "entry")


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process that runs *code*, with its output as text."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
