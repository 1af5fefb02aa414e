"""What a service manager wants to hear: ready, alive, ending. One datagram each, see sd_notify(3).

Without `NOTIFY_SOCKET` in the environment nothing is sent. The sign of life goes out from the loop
that trades, so a loop that hangs is started again although its process lives.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from ftbt.live.status import Status


class ServiceManager:
    """Tells systemd about the process.

    Args:
        environment: `os.environ`; read are NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        text = environment.get("WATCHDOG_USEC", "") if meant else ""
        # Three signs of life in the time that is waited for one.
        self._every_s = int(text) / 3e6 if text.isdigit() else 10.0
        self._next = 0.0
        self._ready = False

    def show(self, status: Status) -> None:
        """Tell that the loop is alive, and what it does."""
        if not self._address or (self._ready and time.monotonic() < self._next):
            return
        self._next = time.monotonic() + self._every_s
        why = f", {status.ready}" if status.ready else ""
        held = ", ".join(f"{coin} {size:+g}" for coin, size in status.positions.items()) or "flat"
        first = "" if self._ready else "READY=1\n"
        self._ready = True
        self._send(f"{first}WATCHDOG=1\nSTATUS=equity {status.equity:,.2f}, {held}{why}")

    def close(self) -> None:
        """Tell that the process is ending."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        address = self._address
        if not address or not hasattr(socket, "AF_UNIX"):
            return
        if address.startswith("@"):
            address = "\0" + address[1:]
        # A manager that does not listen must not hold up the trading: never wait, never fail.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), address)
