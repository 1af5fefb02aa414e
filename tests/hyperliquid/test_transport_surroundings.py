"""What the environment says of proxies and certificates, and where it does not count."""

from __future__ import annotations

import socket
import threading

import pytest
from client_kit import QUICK, local_endpoint

from ftbt.errors import NetworkError
from ftbt.hyperliquid.budget import Budget, Priority
from ftbt.hyperliquid.network import Mode, Network, endpoint
from ftbt.hyperliquid.transport import Transport

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture
def proxy(monkeypatch):
    """Yield what a proxy of this machine, named by the environment, is asked for."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller:
                    asked.append(caller.recv(4096))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for name in PROXIES:
            monkeypatch.delenv(name, raising=False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("HTTP_PROXY", url)
        yield asked
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def ask(where):
    """Ask *where* what nobody answers."""
    transport = Transport(where, Budget(), QUICK)
    with pytest.raises(NetworkError):
        transport.ask({"type": "meta"}, Priority.READ)
    transport.close()


def test_the_venue_is_reached_through_the_proxy_of_the_environment(proxy):
    """Behind a company's proxy there is no other way out."""
    ask(endpoint(Network.TESTNET, Mode.PAPER))
    assert proxy[0].startswith(b"CONNECT api.hyperliquid-testnet.xyz:443 ")


def test_a_proxy_of_the_internet_is_not_asked_for_this_machine(proxy):
    """It could not reach a server that listens on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ask(local_endpoint(f"http://127.0.0.1:{port}"))
    assert proxy == []


def test_certificates_of_the_environment_are_trusted(proxy, monkeypatch, tmp_path):
    """A file that is not there is an error, not a reason to trust others."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    transport = Transport(endpoint(Network.TESTNET, Mode.PAPER), Budget(), QUICK)
    with pytest.raises(OSError, match=r"missing\.pem"):
        transport.ask({"type": "meta"}, Priority.READ)
    assert proxy == []
