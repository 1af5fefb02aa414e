"""Health over HTTP: who is told alive, ready, and which figures; and the service manager."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from watch_kit import status

from ftbt.errors import ConfigError, InputError
from ftbt.live.health import HealthConfig, HealthServer, Pulse
from ftbt.live.systemd import ServiceManager
from ftbt.live.vitals import COUNTERS, MEANINGS


@pytest.fixture
def server():
    """Yield a server on a free port."""
    made = HealthServer(HealthConfig(0))
    yield made
    made.close()


def ask(server, path, method="GET", host=None):
    """Return status, content type and text of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as line:
        line.request(method, path, headers={} if host is None else {"Host": host})
        answer = line.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()


def figures(text):
    """Return samples by name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[(sample.name, *sample.labels.values())] = sample.value
    return found


# --- alive and ready -----------------------------------------------------------------------------


def test_alive_is_a_matter_of_the_newest_status():
    """Starting, alive, hanging and ended, each by the time since the loop said something."""
    now = [0.0]
    pulse = Pulse(HealthConfig(0, heartbeat_s=30.0, start_s=100.0), lambda: now[0])
    assert (pulse.alive().well, pulse.alive().state) == (True, "starting")
    now[0] = 101.0
    assert not pulse.alive().well
    pulse.show(status())
    assert (pulse.alive().well, pulse.alive().state) == (True, "alive")
    now[0] += 30.0
    assert pulse.alive().well
    now[0] += 0.1
    assert (pulse.alive().well, pulse.alive().state) == (False, "hangs")
    pulse.show(status(over=True))
    assert (pulse.alive().well, pulse.alive().state) == (False, "ended")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ()),
        ({"connected": False}, ("not connected",)),
        ({"live": False}, ("the market data are old",)),
        ({"ready": "halted: me"}, ("halted: me",)),
        ({"unprotected": {"BTC": 4.2}}, ("BTC has had no stop for 4 s",)),
    ],
)
def test_ready_says_what_stands_against_it(server, changes, why):
    """Trading is possible when nothing speaks against it; else 503 with the reasons."""
    server.show(status(**changes))
    code, kind, text = ask(server, "/readyz")
    assert (code, kind) == (503 if why else 200, "application/json")
    assert json.loads(text)["why"] == list(why)


def test_health_is_asked_over_http(server):
    """Before and after the first status; HEAD has no body; other paths and methods are refused."""
    code, _, text = ask(server, "/healthz")
    assert (code, json.loads(text)) == (
        200,
        {"state": "starting", "why": [], "heartbeat_age_s": None},
    )
    assert ask(server, "/readyz")[0] == 503
    server.show(status())
    body = json.loads(ask(server, "/healthz?x=1")[2])
    assert body["state"] == "alive"
    assert 0.0 <= body["heartbeat_age_s"] < 5.0
    assert ask(server, "/healthz", "HEAD")[::2] == (200, "")
    assert ask(server, "/")[0] == 404
    assert ask(server, "/healthz", "POST")[0] == 501
    server.show(status(over=True))
    assert ask(server, "/healthz")[0] == 503


# --- figures -------------------------------------------------------------------------------------


def test_metrics_are_the_figures_of_the_status():
    """Everything that the status has is there under its name and unit, in Prometheus' format."""
    extra = {"alerts_sent": 3, "alerts_failed": 1, "log_lost": 0}
    with closing(HealthServer(HealthConfig(0), lambda: extra)) as server:
        assert figures(ask(server, "/metrics")[2])["ftbt_up",] == 0.0
        vitals = {name: float(n) for n, name in enumerate(MEANINGS)}
        server.show(status(
            positions={"BTC": -0.5}, entries={"BTC": 51_000.0}, unprotected={"BTC": 2.5},
            prices={"BTC": 50_000.0, "ETH": 3_000.0}, latency={"median": 4.0, "p99": 12.5},
            trades=7, wins=4, fills=20, vitals=vitals, deployment='odd "name"\\',
        ))  # fmt: skip
        _, kind, text = ask(server, "/metrics")
    assert kind.startswith("text/plain; version=")
    found = figures(text)
    expected = {
        ("ftbt_up",): 1.0, ("ftbt_equity_usdc",): 10_000.0, ("ftbt_account_equity_usdc",): 9_999.5,
        ("ftbt_session_info", 'odd "name"\\', "localnet"): 1.0,
        ("ftbt_connected",): 1.0, ("ftbt_ready",): 1.0, ("ftbt_weight_left_ratio",): 0.9,
        ("ftbt_position_size", "BTC"): -0.5, ("ftbt_position_entry_price", "BTC"): 51_000.0,
        ("ftbt_price", "ETH"): 3_000.0, ("ftbt_unprotected_seconds", "BTC"): 2.5,
        ("ftbt_unprotected_seconds", "ETH"): 0.0,
        ("ftbt_trades_total",): 7.0, ("ftbt_trades_won_total",): 4.0, ("ftbt_fills_total",): 20.0,
        ("ftbt_decision_latency_seconds", "median"): 0.004,
        ("ftbt_decision_latency_seconds", "p99"): 0.0125,
        ("ftbt_alerts_sent_total",): 3.0, ("ftbt_alerts_failed_total",): 1.0,
    }  # fmt: skip
    expected |= {
        (f"ftbt_{name}_total" if name in COUNTERS else f"ftbt_{name}",): value
        for name, value in vitals.items()
    }
    assert {key: found.get(key) for key in expected} == expected
    assert 0.0 <= found["ftbt_heartbeat_age_seconds",] < 5.0
    if Path("/proc/self").exists():
        assert found["process_resident_memory_bytes",] > 1e6


def test_what_is_not_known_is_left_out_of_the_metrics(server):
    """An equity that was never read is absent rather than zero."""
    server.show(status(account_equity=None))
    found = figures(ask(server, "/metrics")[2])
    assert ("ftbt_account_equity_usdc",) not in found
    assert ("ftbt_actions_left",) not in found


# --- who may listen and read ---------------------------------------------------------------------


def test_only_loopback_without_a_word():
    """An address that others can reach needs the flag; ports and addresses are checked."""
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        with pytest.raises(ConfigError, match="no password"):
            HealthConfig(8502, host)
        assert HealthConfig(8502, host, beyond_loopback=True).host == host
    for wrong, words in (({"port": 80}, "1024"), ({"port": 70_000}, "65535"),
                         ({"port": 8502, "host": "localhost"}, "an IP address"),
                         ({"port": 8502, "heartbeat_s": 0.0}, "heartbeat_s")):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            HealthConfig(**wrong)


def test_nothing_listens_beyond_loopback(server):
    """The socket is bound to 127.0.0.1."""
    assert server._server.server_address[0] == "127.0.0.1"


def test_another_name_is_not_answered(server):
    """A page in a browser can't read health under a name of its own that leads to this machine."""
    assert ask(server, "/metrics", host="evil.example.com")[0] == 403
    assert ask(server, "/metrics", host=f"evil.example.com:{server.port}")[0] == 403
    assert ask(server, "/metrics", host=f"localhost:{server.port}")[0] == 200


def test_a_port_that_is_taken_is_told():
    """The line names address, port and option."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1 port {port}.*--health-port"):
            HealthServer(HealthConfig(port))


def test_readers_that_say_nothing_hold_nobody_up(server):
    """Twice as many silent readers as places cost the session no time, and go away again."""
    server.show(status())
    silent = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(32)]
    begin = time.perf_counter()
    for _ in range(1_000):
        server.show(status())
    assert time.perf_counter() - begin < 2.0
    for one in silent:
        one.close()
    end = time.monotonic() + 5.0
    code = 0
    while code != 200 and time.monotonic() < end:
        try:
            code = ask(server, "/healthz")[0]
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
    assert code == 200


# --- the service manager -------------------------------------------------------------------------

UNIX = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="service managers of Linux")


@UNIX
def test_the_service_manager_is_told_ready_alive_and_ending(tmp_path):
    """READY with the first status, WATCHDOG three times in its time, STOPPING at the end."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(2.0)
        told = ServiceManager({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"})
        told.show(status(positions={"BTC": 0.5}, ready="halted: me"))
        told.show(status())
        assert manager.recv(500).decode().splitlines() == [
            "READY=1", "WATCHDOG=1", "STATUS=equity 10,000.00, BTC +0.5, halted: me",
        ]  # fmt: skip
        time.sleep(0.11)
        told.show(status())
        assert manager.recv(500).decode() == "WATCHDOG=1\nSTATUS=equity 10,000.00, flat"
        told.close()
        assert manager.recv(500) == b"STOPPING=1"


@UNIX
def test_a_service_manager_that_is_away_or_deaf_holds_nobody_up(tmp_path):
    """No socket, a file in its place, a queue that is full: the loop goes on at once."""
    ServiceManager({}).show(status())
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "none")}).show(status())
    path = str(tmp_path / "deaf")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        told = ServiceManager({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3"})
        done = threading.Event()

        def many():
            for _ in range(2_000):
                told.show(status())
            done.set()

        threading.Thread(target=many, daemon=True).start()
        assert done.wait(10.0)
