"""The log of a session: lines, rotation, full disks, and what must not stand in it."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from eth_account import Account
from watch_kit import status

from ftbt.errors import InputError, StorageError
from ftbt.hyperliquid.keys import AgentKey
from ftbt.live.logs import LogConfig, StructuredLog
from ftbt.live.secrets import Redactor, environment_secrets, url_secrets

KEY = "8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63"
LOG = logging.getLogger("ftbt.tests")


def lines(path):
    """Return the objects of a log."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def fail(error):
    """Log *error* with its traceback."""
    try:
        raise error
    except type(error):
        LOG.exception("it failed")


@pytest.fixture
def write(tmp_path):
    """Yield a function that opens a log in the test's folder; all are closed afterwards."""
    opened = []

    def start(redact=None, **more):
        config = LogConfig(tmp_path / "state" / "log.jsonl", **more)
        opened.append(StructuredLog(config, redact or Redactor()))
        return opened[-1], config.path

    yield start
    for log in opened:
        log.close()


# --- lines ---------------------------------------------------------------------------------------


def test_each_line_is_an_object_with_the_time_in_utc(write):
    """Time, level, logger, thread, message, fields and error stand on one line of JSON."""
    log, path = write()
    LOG.info("size %g", 0.5, extra={"fields": {"coin": "BTC", "bad": float("nan"), "n": [1]}})
    fail(ValueError("two\nlines"))
    log.close()
    first, second = lines(path)
    assert first["time"].endswith("Z")
    assert abs(time.time() - time.mktime(time.strptime(first["time"][:19], "%Y-%m-%dT%H:%M:%S"))
               + time.timezone) < 60  # fmt: skip
    assert {**first, "time": ""} == {
        "time": "", "level": "info", "logger": "ftbt.tests", "thread": "MainThread",
        "message": "size 0.5", "fields": {"coin": "BTC", "bad": None, "n": [1]},
    }  # fmt: skip
    assert second["level"] == "error"
    assert "ValueError: two\nlines" in second["error"]


def test_events_are_logged_by_what_they_are_worth(write):
    """Trouble is a warning, what happens at each bar is for DEBUG, the rest is told."""
    log, path = write()
    for kind in ("session", "fill", "alarm", "equity", "leg"):
        log.listener(kind, {"x": 1}, "BTC")
    log.show(status())
    log.show(status(equity=1.0))
    log.show(status(ready="halted: me"))
    log.close()
    assert [(one["level"], one["message"]) for one in lines(path)] == [
        ("info", "session BTC"), ("info", "fill BTC"), ("warning", "alarm BTC"),
        ("info", "ready: positions may be opened"), ("info", "ready: halted: me"),
    ]  # fmt: skip
    quiet, path = write(level=logging.DEBUG)
    quiet.listener("equity", {"x": 1}, "")
    quiet.close()
    assert lines(path)[-1]["message"] == "equity"


def test_a_thread_that_ends_by_an_error_is_logged(write):
    """An error that nobody catches on a thread stands in the log with its traceback."""
    log, path = write()
    thread = threading.Thread(target=lambda: 1 / 0, name="doomed")
    thread.start()
    thread.join()
    log.close()
    (line,) = lines(path)
    assert line["message"] == "the thread doomed has ended by an error"
    assert "ZeroDivisionError" in line["error"]


# --- files ---------------------------------------------------------------------------------------


def test_the_log_is_rotated_and_the_oldest_goes(write):
    """A new file begins at the size; so many older ones stay; no line is cut; all are private."""
    log, path = write(max_bytes=10_000, keep=2)
    for number in range(400):
        LOG.info("line %04d %s", number, "x" * 50)
    log.close()
    files = sorted(path.parent.glob("log.jsonl*"))
    assert [one.name for one in files] == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all(one.stat().st_size <= 10_000 for one in files)
    kept = [line["message"].split()[1] for one in reversed(files) for line in lines(one)]
    assert kept == [f"{n:04d}" for n in range(400 - len(kept), 400)]
    if os.name == "posix":
        assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}


def test_a_log_goes_on_where_it_stood(write):
    """A second process adds to the file of the first."""
    for word in ("one", "two"):
        log, path = write()
        LOG.info(word)
        log.close()
    assert [one["message"] for one in lines(path)] == ["one", "two"]


def test_a_rotation_that_fails_loses_nothing(write, monkeypatch):
    """While older files can't be renamed (a reader on Windows) the newest one grows."""
    log, path = write(max_bytes=10_000)

    def held(*_):
        raise PermissionError(13, "in use")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", held)
        for number in range(200):
            LOG.info("line %d %s", number, "x" * 50)
        log.close()
    assert len(lines(path)) == 200
    assert log.lost == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_counted_and_holds_nobody_up(write):
    """What can't be written is counted; whoever logs neither waits nor fails."""
    log, path = write()
    LOG.info("fits")
    wait = time.monotonic() + 5.0
    while not path.read_text() and time.monotonic() < wait:
        time.sleep(0.01)
    log._file.close()
    path.unlink()
    path.symlink_to("/dev/full")
    for number in range(5):
        LOG.info("lost %d", number)
    wait = time.monotonic() + 5.0
    while log.lost < 5 and time.monotonic() < wait:
        time.sleep(0.01)
    assert log.lost == 5
    path.unlink()
    LOG.info("fits again")
    log.close()
    assert [one["message"] for one in lines(path)] == ["fits again"]


def test_who_logs_faster_than_a_disk_writes_does_not_wait(write):
    """Records beyond the queue are counted as lost, at no cost of time; closing waits for room."""
    log, _ = write()
    held = threading.Event()
    log._file.emit = lambda _: held.wait(20.0)
    begin = time.perf_counter()
    for _ in range(12_000):
        LOG.info("fast")
    assert time.perf_counter() - begin < 10.0
    assert 1_900 <= log.lost <= 2_000
    ending = threading.Thread(target=log.close)
    ending.start()
    ending.join(0.1)
    held.set()
    ending.join(20.0)
    assert not ending.is_alive()


def test_bad_limits_and_places_are_told(tmp_path):
    """Sizes out of range and a folder that can't be made are refused in one line."""
    for more, words in (({"max_bytes": 10}, "10000 to"), ({"keep": 0}, "1 to 1000")):
        with pytest.raises(InputError, match=words):
            LogConfig(tmp_path / "x", **more)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        StructuredLog(LogConfig(tmp_path / "file" / "log.jsonl"), Redactor())


def test_after_closing_the_process_logs_as_before(write):
    """Handlers, level and the hook of threads are given back."""
    root, ours = list(logging.getLogger().handlers), logging.getLogger("ftbt").level
    hook = threading.excepthook
    log, _ = write()
    assert logging.getLogger("ftbt").level == logging.INFO
    log.close()
    assert (logging.getLogger().handlers, logging.getLogger("ftbt").level) == (root, ours)
    assert threading.excepthook is hook


# --- secrets -------------------------------------------------------------------------------------


def test_no_form_of_the_key_reaches_the_log(write):
    """The key's digits, with 0x, in capitals, as a number, in fields and tracebacks: stars."""
    key = AgentKey(Account.from_key(KEY))
    log, path = write(Redactor(environment_secrets({"FTBT_AGENT_KEY": f"0x{KEY}"}), (key.conceal,)))
    LOG.warning("key %s 0x%s %s %d", KEY, KEY.upper(), f"..{KEY}..", int(KEY, 16))
    LOG.info("fields", extra={"fields": {KEY: [KEY], "deep": {"a": (KEY,)}, "odd": Odd()}})
    fail(RuntimeError(f"0x{KEY}"))
    logging.getLogger("urllib3").warning("POST %s", KEY)
    log.close()
    text = path.read_text().lower()
    assert len(lines(path)) == 4
    assert KEY not in text
    assert str(int(KEY, 16)) not in text
    assert text.count("***") >= 9


class Odd:
    """Something whose text has a secret in it."""

    def __str__(self):
        return KEY


def test_a_redactor_by_concealer_alone_finds_the_key():
    """The key conceals itself without being handed out."""
    redact = Redactor((), (AgentKey(Account.from_key(KEY)).conceal,))
    assert redact(f"a 0x{KEY} b {KEY.upper()}") == "a 0x*** b ***"
    assert KEY not in repr(redact)


URLS = {
    "tgram://123456789:AAEhBOweik6ad9r_QXMENQjcrGbq/12315544/?format=markdown": (
        "AAEhBOweik6ad9r_QXMENQjcrGbq", "123456789", "12315544",
    ),
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3": ("4174216298", "JHMHI8qBe7bk2ZwO5U711o3"),
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general": ("TIiajkdnlazkcOXrIdevi7FQ",),
    "mailto://ada:pa%24%24w0rd@smtp.example.com?to=ada.l@example.com": (
        "pa%24%24w0rd", "pa$$w0rd", "ada.l@example.com",
    ),
    "ntfys://ntfy.example.com/S3cretTopic": ("S3cretTopic",),
    "json://u:x1y@host.example.com:8080/a/b?token=abc123def": ("x1y", "abc123def"),
}  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_the_secret_parts_of_a_service_s_url_are_known(url):
    """Passwords, tokens, topics and addresses are hidden wherever they appear, hosts are not."""
    redact = Redactor(url_secrets(url))
    for secret in URLS[url]:
        assert secret not in redact(f"sent to {secret}!")
    assert redact(f"calling {url} now") == "calling *** now"


def test_plain_words_of_a_url_stay_readable():
    """A host, a port and a short word are no secrets: a log must stay readable."""
    redact = Redactor(
        url_secrets("json://u:hunter22@127.0.0.1:8080/hooks/alerts?rto=3&mode=insecure")
    )
    plain = "127.0.0.1:8080 hooks alerts insecure http://127.0.0.1:3001/info"
    assert redact(plain) == plain
    assert redact("hunter22") == "***"
