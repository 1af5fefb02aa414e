"""What the environment says of proxies and certificates, and where it does not count."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from client_kit import QUICK, local_endpoint
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ftbt.errors import NetworkError, OutcomeUnknown
from ftbt.hyperliquid.budget import Budget, Priority
from ftbt.hyperliquid.network import Mode, Network, endpoint
from ftbt.hyperliquid.transport import Transport

HOST = "api.hyperliquid-testnet.xyz"
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


def own_certificate(folder):
    """Return a file with a key and a certificate in the venue's name that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "own.pem"
    file.write_bytes(key.private_bytes(pem, form, plain) + made.public_bytes(pem))
    return file


def act(monkeypatch, certificate, serve):
    """Send an order to a venue behind a proxy; *serve* gets its secure connection."""

    def stand_in(listening):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        caller, _ = listening.accept()
        with caller, suppress(OSError):
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):  # it comes in pieces
                asked += caller.recv(4096) or b"\r\n\r\n"
            caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with context.wrap_socket(caller, server_side=True) as secure:
                serve(secure)

    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread = threading.Thread(target=stand_in, args=(listening,), daemon=True)
        thread.start()
        transport = Transport(endpoint(Network.TESTNET, Mode.PAPER), Budget(), QUICK)
        try:
            return transport.act(b"{}", 1, Priority.TRADE)
        finally:
            transport.close()
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
    assert proxy[0].startswith(f"CONNECT {HOST}:443 ".encode())


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


def test_a_certificate_that_nobody_vouches_for_ends_it_before_anything_is_sent(
    monkeypatch, tmp_path
):
    """An order is surely not carried out then."""
    heard = []
    with pytest.raises(NetworkError, match="not trusted"):
        act(monkeypatch, own_certificate(tmp_path), lambda one: heard.append(one.recv(100)))
    assert heard in ([], [b""])


def test_an_answer_over_tls_is_read(monkeypatch, tmp_path):
    """With the certificates that the environment names, through its proxy."""
    own = own_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))

    def serve(secure):
        heard = b""
        while not heard.endswith(b"\r\n\r\n{}"):
            heard += secure.recv(4096)
        secure.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"ok"')

    assert act(monkeypatch, own, serve) == "ok"


def test_tls_that_fails_after_the_request_leaves_open_what_became_of_it(monkeypatch, tmp_path):
    """The bytes may have arrived: whether they did must be found out."""
    own = own_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own))

    def serve(secure):
        secure.recv(4096)
        with socket.socket(fileno=os.dup(secure.fileno())) as plain:
            plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that is none

    with pytest.raises(OutcomeUnknown):
        act(monkeypatch, own, serve)
