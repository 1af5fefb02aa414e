"""A local exchange in a process of its own, for tests, rehearsals and the command line.

with localnet(Options(symbols=("BTC",), paused=True)) as net:
    info = Info(net.url, skip_ws=True, timeout=5)
    net.step(4)
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_utils.crypto import keccak

from ftbt.data.market import Market
from ftbt.errors import ExternalError, InputError
from ftbt.localnet.clock import Pace
from ftbt.localnet.control import Control
from ftbt.localnet.host import Host
from ftbt.localnet.options import DEFAULT_FUNDS, Options, build, load
from ftbt.localnet.server import HOST, Server

START_SECONDS = 180.0
STOP_SECONDS = 5.0
READY = "ftbt-localnet-ready "


@dataclass(frozen=True, slots=True)
class Key:
    """A throw-away account. The key is public: it is derived from its name.

    Attributes:
        address: lower-case.
        secret: private key, hex.
    """

    address: str
    secret: str

    def __repr__(self) -> str:
        return f"<Key {self.address}>"


def named_key(name: str) -> Key:
    """Return the throw-away account called *name*: worthless everywhere but here."""
    secret = "0x" + bytes(keccak(f"ftbt localnet {name}".encode())).hex()
    return Key(Account.from_key(secret).address.lower(), secret)


# The same for code that is not collected by pytest.
test_key = named_key


async def serve(
    markets: Sequence[Market],
    options: Options,
    ready: Callable[[Server, Control], None],
    note: Callable[[str], None],
) -> None:
    """Serve until cancelled; *ready* is called once both ports listen.

    Raises:
        OSError: a port that is taken.
    """
    host = Host(
        build(markets, options), Pace(options.speed, options.hold_ms, paused=options.paused)
    )
    host.ip.enabled = host.address.enabled = options.limits
    for user, amount in options.funds:
        host.fund(user.lower(), amount)
    server = Server(host, note)
    control = Control(server)
    await server.start(options.port)
    try:
        await control.start(options.control_port)
        ready(server, control)
        await asyncio.Event().wait()
    finally:
        await control.stop()
        await server.stop()


@dataclass(frozen=True, slots=True)
class Moved:
    """How far the market went.

    Attributes:
        market: its time, ms.
        stopped: why it stands: `bar`, `account`, `time` or `end`.
        fills: how many fills the account has had since it exists.
    """

    market: int
    stopped: str
    fills: int


class Localnet:
    """A running local exchange.

    Attributes:
        url: base URL of the API, for the SDK's `base_url`.
        ws_url: its WebSocket.
        control_url: base URL of the control API.
        user: the account that is funded by default.
        pid: of the server process.
    """

    def __init__(self, port: int, control_port: int, process: subprocess.Popen[bytes]) -> None:
        self.url = f"http://{HOST}:{port}"
        self.ws_url = f"ws://{HOST}:{port}/ws"
        self.control_url = f"http://{HOST}:{control_port}"
        self.user = named_key("user")
        self.pid = process.pid
        self._process = process

    def control(self, path: str, body: dict[str, Any] | None = None, method: str = "") -> Any:
        """Call the control API and return its answer; without *body* it is a GET.

        Raises:
            InputError: the control API refuses. ExternalError: it does not answer.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - a loopback URL of our own
            f"{self.control_url}{path}",
            data,
            {"Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise InputError(json.loads(error.read())["error"]) from None
        except OSError as error:
            raise ExternalError(f"localnet does not answer: {error}") from error

    def step(self, bars: int = 1, *, stop_on_fill: bool = False) -> str:
        """Let the market trade up to the open of the *bars*-th next bar; say why it stopped."""
        asked = {"bars": bars, "stop_on": ["fill"] if stop_on_fill else []}
        return str(self.control("/step", asked)["stopped"])

    def run_until(self, time_ms: int) -> str:
        """Let the market trade up to *time_ms* of the market."""
        return str(self.control("/run", {"until": time_ms})["stopped"])

    def run_to_event(self, user: str, until: int) -> Moved:
        """Let the market trade up to *until* (ms), or only until something happens to *user*.

        What happens is: every coin's next bar has opened, or an order of the account was filled,
        ended or triggered, or it paid funding. All frames of it are on their way on return.
        """
        asked = {"until": until, "stop_on": ["bar", "account"], "user": user}
        found = self.control("/run", asked)
        return Moved(int(found["market"]), str(found["stopped"]), int(found["fills"]))

    def fills_of(self, user: str) -> int:
        """Return how many fills *user* has had."""
        return int(self.state()["fills"].get(user, 0))

    def market_time(self) -> int:
        """Return the market's time, ms."""
        return int(self.control("/clock")["market"])

    def fund(self, user: str, usd: float | str | Decimal = DEFAULT_FUNDS) -> None:
        """Pay USDC into the account of *user*."""
        self.control("/fund", {"user": user, "usd": str(usd)})

    def fault(self, name: str, **spec: Any) -> None:
        """Queue a fault; see `ftbt.localnet.faults`."""
        self.control("/faults", {"name": name, **spec})

    def struck(self) -> list[str]:
        """Return the names of the faults that have struck, in order."""
        return [fault["name"] for fault in self.control("/faults")["struck"]]

    def state(self) -> Any:
        """Return accounts, live orders, marks, and whether money is conserved."""
        return self.control("/state")

    def kill(self) -> None:
        """End the server without warning."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, for example SIGSTOP."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the server."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def localnet(
    options: Options | None = None,
    markets: Sequence[Market] | None = None,
    capital: Decimal = DEFAULT_FUNDS,
) -> Iterator[Localnet]:
    """Run a local exchange in a process of its own while the block runs.

    Args:
        options: None is the synthetic market at the speed of the wall clock. The account
            `named_key("user")` is always funded; limits, speed and the rest are as asked.
        markets: candles to replay instead of those that *options* name.
        capital: what that account is funded with, USDC.

    Raises:
        ExternalError: the server does not start.
    """
    asked = options or Options()
    user = named_key("user").address
    if user not in dict(asked.funds):
        asked = replace(asked, funds=((user, capital), *asked.funds))
    with tempfile.TemporaryDirectory(prefix="ftbt-localnet-") as folder:
        path = Path(folder) / "options.pickle"
        path.write_bytes(pickle.dumps((asked, None if markets is None else list(markets))))
        net = _start(path)
        try:
            yield net
        finally:
            net.stop()


def _start(path: Path) -> Localnet:
    process = subprocess.Popen(  # noqa: S603 - this very module
        [sys.executable, "-m", "ftbt.localnet.process", str(path)],
        stdout=subprocess.PIPE,
        # Ctrl-C is for whoever has started it: it ends this process when it is done with it.
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        line = process.stdout.readline().decode()
        if line.startswith(READY):
            port, control_port = (int(word) for word in line.removeprefix(READY).split())
            process.stdout.close()
            return Localnet(port, control_port, process)
        if not line and process.poll() is not None:
            break
    process.kill()
    raise ExternalError("localnet did not start; its error stands above")


def _main(path: str) -> None:
    # The file was written by `localnet` a moment ago, into a folder that only this user can read.
    options, markets = pickle.loads(Path(path).read_bytes())  # noqa: S301
    known = load(options) if markets is None else markets

    def ready(server: Server, control: Control) -> None:
        sys.stdout.write(f"{READY}{server.port} {control.port}\n")
        sys.stdout.flush()

    def note(text: str) -> None:
        sys.stderr.write(f"localnet: {text}\n")

    async def main() -> None:
        task = asyncio.create_task(serve(known, options, ready, note))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return

    asyncio.run(main())


if __name__ == "__main__":
    _main(sys.argv[1])
    # Taking the compiler's memory apart costs seconds, and nothing is left to be written.
    sys.stderr.flush()
    os._exit(0)
