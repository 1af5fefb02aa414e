"""The sign of life for something outside: a real web service, and a loop that hangs."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from watch_kit import status, wait_until

from ftbt.errors import ConfigError
from ftbt.live import heartbeat
from ftbt.live.alerts.limiter import remembered_trouble
from ftbt.live.heartbeat import Heartbeat, load_heartbeat
from ftbt.live.secrets import Redactor
from ftbt.live.watch import Watch, WatchConfig

TOKEN = "0f3a9c2e-77d1-4b5e"


class Monitor:
    """What was asked for, and what is answered."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.code = 200
        self.url = ""


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """Yield a monitor on loopback."""
    one = Monitor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one.asked.append(self.path)
            self.send_response(one.code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    one.url = f"http://127.0.0.1:{server.server_address[1]}/ping/{TOKEN}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield one
    server.shutdown()
    server.server_close()
    thread.join()


def watch(one: Monitor, tmp_path, redact: Redactor) -> Watch:
    """Return a watch whose heart beats fast."""
    beat = Heartbeat(one.url, "here", redact, every_s=0.05)
    return Watch(WatchConfig("sweep", "testnet", tmp_path, redact, heartbeat=beat))


def test_it_beats_while_the_loop_lives_and_stops_when_it_hangs(monitor, tmp_path, monkeypatch):
    """No status, no request: what is silent inside is silent outside."""
    monkeypatch.setattr(heartbeat, "_SILENT_S", 0.5)
    with watch(monitor, tmp_path, Redactor()) as one:
        assert monitor.asked == []
        one.show(status())
        wait_until(lambda: len(monitor.asked) >= 2)
        assert set(monitor.asked) == {f"/ping/{TOKEN}"}
        assert one.figures()["heartbeats"] >= 1

        def silent() -> bool:
            count = len(monitor.asked)
            threading.Event().wait(0.3)
            return len(monitor.asked) == count

        wait_until(silent)
        count = len(monitor.asked)
        one.show(status())
        wait_until(lambda: len(monitor.asked) > count)


def test_a_monitor_that_does_not_take_it_is_trouble_until_it_does(monitor, tmp_path):
    """`ftbt status` says so, and the URL's token is in no text."""
    monitor.code = 500
    with watch(monitor, tmp_path, Redactor()) as one:

        def trouble() -> str:
            one.show(status())
            return remembered_trouble(tmp_path / "alerts.json")

        wait_until(lambda: trouble() == "the heartbeat does not arrive: status 500")
        monitor.code = 200
        wait_until(lambda: trouble() == "")


def test_a_monitor_that_is_gone_is_told_without_its_token(tmp_path):
    """The library's own message has the URL in it."""
    beat = Heartbeat(f"http://127.0.0.1:9/ping/{TOKEN}", "here", Redactor(), every_s=0.01)
    beat.show(status())
    beat.start()
    wait_until(lambda: beat.trouble)
    beat.close()
    assert "does not arrive" in beat.trouble
    assert TOKEN not in beat.trouble


def test_its_url_is_a_secret(monitor, tmp_path):
    """Neither `repr` nor a copy has it; a file must be its owner's alone; one place names it."""
    beat = Heartbeat(monitor.url, "here", Redactor())
    assert TOKEN not in repr(beat)
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(beat)
    file = tmp_path / "heartbeat"
    file.write_text(monitor.url)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_heartbeat({"FTBT_HEARTBEAT_FILE": str(file)}, None, Redactor())
    file.chmod(0o600)
    assert load_heartbeat({}, file, Redactor()) is not None
    with pytest.raises(ConfigError, match="leave one of them out"):
        load_heartbeat({"FTBT_HEARTBEAT": monitor.url}, file, Redactor())
    assert load_heartbeat({}, None, Redactor()) is None


@pytest.mark.parametrize("url", ["ftp://a.example/x", "nonsense", "https://", ""])
def test_what_is_no_web_address_is_refused_without_repeating_it(url):
    """The message says where it stands, not what it is."""
    with pytest.raises(ConfigError, match=r"\(FTBT_HEARTBEAT\) must be https://HOST/PATH"):
        Heartbeat(url, "FTBT_HEARTBEAT", Redactor())
