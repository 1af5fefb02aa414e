"""Alerts on their way: real mail, real web services, what fails, and what nobody may read."""

from __future__ import annotations

import io
import json
import pickle
import threading
import time
from dataclasses import replace

import pytest
from watch_kit import mail_server, status, wait_until, webhook

from ftbt.cli.main import run
from ftbt.data.retry import Retry
from ftbt.errors import ConfigError
from ftbt.live.alerts import (
    Alert,
    AlertConfig,
    Alerts,
    AlertSettings,
    Level,
    Topic,
    load_targets,
)  # fmt: skip
from ftbt.live.alerts.limiter import Limiter, remembered_trouble
from ftbt.live.secrets import Redactor


@pytest.fixture(autouse=True)
def _no_pause_between_mails(monkeypatch):
    """Apprise sends a mail every 5.5 s at most; these tests send several to a server of theirs."""
    from apprise.plugins.email import NotifyEmail

    monkeypatch.setattr(NotifyEmail, "request_rate_per_sec", 0)


QUICK = Retry(attempts=3, base_s=0.02, cap_s=0.05)
SETUP = Alert(Topic.SETUP, Level.INFO, "setup", "BTC long setup, confidence 82", "entry 1")
SECRETS = ("Hunter2pass", "T0KENsecret99", "Corr3ctHorse", "owner@example.com")


def alert(key="k", level=Level.INFO, topic=Topic.TROUBLE, **more):
    """Return an alert of some kind."""
    return Alert(topic, level, key, f"title {key}", f"text {key}", **more)


def service(urls, redact=None, **more):
    """Return alerts to *urls*."""
    redact = redact or Redactor()
    targets = load_targets({"FTBT_ALERTS": "\n".join(urls)}, None, redact)
    config = AlertConfig("sweep", "testnet", targets, patience=QUICK)
    return Alerts(replace(config, **more), redact)


# --- arriving ------------------------------------------------------------------------------------


def test_an_alert_arrives_by_mail_and_by_web():
    """One event reaches a mail server and a web service, with deployment, network and text."""
    with webhook() as hook, mail_server() as mail:
        alerts = service([hook.url, mail.url])
        alerts.listener("alarm", {"what": "account stream", "text": "it is down"}, "")
        alerts.close()
    (sent,) = hook.taken
    assert sent["title"] == "[testnet] sweep: trouble: account stream"
    assert sent["message"].startswith("it is down\n")
    assert sent["type"] == "warning"
    assert hook.paths == ["/hook/T0KENsecret99"]
    (message,) = mail.taken
    assert message["Subject"] == sent["title"]
    assert "it is down" in message.get_content()
    assert mail.envelopes == [("bot@example.com", ["owner@example.com"])]
    assert mail.logins == [("robot", "Corr3ctHorse")]
    assert [(one.name, one.sent) for one in alerts.figures().channels] == [
        ("1 JSON", 1), ("2 E-Mail", 1),
    ]  # fmt: skip


def test_what_fails_for_a_moment_is_sent_again():
    """A service that fails twice gets the alert at the third attempt, once."""
    with webhook() as hook, mail_server() as mail:
        hook.refuse, mail.later = 2, 2
        alerts = service([hook.url, mail.url])
        alerts.tell(alert())
        wait_until(lambda: hook.taken and mail.taken)
        assert (len(hook.taken), hook.asked, len(mail.taken)) == (1, 3, 1)
        # The servers have it a moment before the senders know that they do.
        wait_until(lambda: alerts.figures().trouble == "")
        assert alerts.figures().trouble == ""
        alerts.close()


def test_an_alert_that_does_not_arrive_is_seen(tmp_path):
    """After the last attempt it is counted and handed out; the next one that arrives says so."""
    memory = tmp_path / "alerts.json"
    with webhook() as hook, mail_server() as mail:
        mail.never = True
        alerts = service([hook.url, mail.url], memory=memory)
        alerts.tell(alert("first"))
        wait_until(lambda: alerts.figures().channels[1].failed == 1)
        (lost,) = alerts.lost()
        assert (lost.target, lost.title) == ("2 E-Mail", "[testnet] sweep: title first")
        assert "failed" in lost.reason
        assert alerts.lost() == []
        wait_until(lambda: "alerts to 2 E-Mail fail" in remembered_trouble(memory))
        mail.never = False
        alerts.tell(alert("second"))
        wait_until(lambda: mail.taken)
        assert "(1 alerts before this one could not be sent here)" in mail.taken[0].get_content()
        wait_until(lambda: remembered_trouble(memory) == "")
        assert [one["title"][-5:] for one in hook.taken] == ["first", "econd"]
        alerts.close()


def test_trading_does_not_wait_for_a_service_that_hangs():
    """A service that never answers delays neither trading, nor other services, nor the end."""
    with webhook() as dead, webhook() as well:
        dead.hang = threading.Event()
        alerts = service([dead.url, well.url])
        begin = time.perf_counter()
        for number in range(10_000):
            alerts.listener("error", {"what": f"w{number % 3}", "error": "x"}, "BTC")
            alerts.show(status())
        assert time.perf_counter() - begin < 5.0
        wait_until(lambda: len(well.taken) >= 3)
        begin = time.monotonic()
        alerts.close(1.0)
        assert time.monotonic() - begin < 3.0
        assert dead.taken == []


def test_events_that_come_too_fast_are_counted(monkeypatch):
    """A queue that is full loses events, never time, and says how many."""
    held = threading.Event()
    alerts = service([])
    monkeypatch.setattr(alerts._rules, "event", lambda *_: held.wait(20.0) and [])
    for _ in range(6_000):
        alerts.listener("error", {"what": "w", "error": "x"}, "BTC")
    figures = alerts.figures()
    assert 900 <= figures.overflow <= 1_000
    assert "came too fast" in figures.trouble
    held.set()
    alerts.close()


def test_an_event_of_an_unknown_form_silences_nobody(caplog):
    """What cannot be read is logged; the alerts after it arrive."""
    with webhook() as hook:
        alerts = service([hook.url])
        alerts.listener("trade", {"row": [1.0]}, "BTC")
        alerts.listener("alarm", {"what": "w", "text": "x"}, "")
        alerts.close()
        assert hook.titles == ["trouble: w"]
    assert "an alert could not be made" in caplog.text


def test_muted_topics_are_not_told():
    """A topic that the owner mutes goes nowhere."""
    with webhook() as hook:
        alerts = service([hook.url], settings=AlertSettings(mute=frozenset({Topic.TROUBLE})))
        alerts.tell(alert())
        alerts.tell(SETUP)
        alerts.close()
        assert len(hook.taken) == 1


class Terminal(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, tty):
        super().__init__()
        self.tty = tty

    def isatty(self):
        """Return what it was told."""
        return self.tty


@pytest.mark.parametrize(("tty", "bell", "rung"), [(True, True, "\a"), (True, False, ""),
                                                   (False, True, "")])  # fmt: skip
def test_a_setup_rings_the_bell_of_a_terminal(tty, bell, rung):
    """Sound for a setup of high confidence: on a terminal, unless switched off; no other rings."""
    terminal = Terminal(tty)
    alerts = service([], bell=terminal, settings=AlertSettings(bell=bell))
    alerts.tell(alert())
    alerts.tell(SETUP)
    alerts.close()
    assert terminal.getvalue() == rung


def test_what_waits_at_the_end_is_counted_as_not_sent():
    """Alerts behind one that hangs are lost at the end of a session, and that is told."""
    with webhook() as dead:
        dead.hang = threading.Event()
        alerts = service([dead.url])
        for number in range(3):
            alerts.tell(alert(str(number)))
        wait_until(lambda: dead.asked)
        alerts.close(0.3)
        assert [(one.title[-1], one.reason) for one in alerts.lost()] == [
            (n, "the session ended before it could be sent") for n in "12"
        ]
        assert alerts.figures().channels[0].failed == 2


# --- not too many --------------------------------------------------------------------------------


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now=1_000.0):
        self.now = now

    def __call__(self):
        return self.now


def test_the_same_is_told_once_in_its_time():
    """A key passes again only after `again_s`; repetitions of events are counted."""
    clock = Clock()
    limiter = Limiter(AlertSettings(again_s=600.0), clock=clock, wall=clock)
    assert [limiter.passes(alert()) is not None for _ in range(3)] == [True, False, False]
    assert limiter.repeated == 2
    clock.now += 599.0
    assert limiter.passes(alert()) is None
    assert limiter.passes(alert("other")) is not None
    clock.now += 2.0
    assert limiter.passes(alert()) is not None


def test_too_many_are_held_back_counted_and_told():
    """Beyond the bucket nothing passes but what is critical; the next one says what was held."""
    clock = Clock()
    limiter = Limiter(AlertSettings(burst=3, per_hour=60), clock=clock, wall=clock)
    passed = [limiter.passes(alert(str(n))) for n in range(10)]
    assert sum(one is not None for one in passed) == 3
    assert limiter.held == 7
    urgent = limiter.passes(alert("urgent", Level.CRITICAL))
    assert urgent.text == "text urgent\n(held back before this: 7 trouble)"
    limiter.passes(alert("11"))
    clock.now += 61.0
    digest = limiter.digest()
    assert (digest.topic, digest.text) == (Topic.HELD, "held back before this: 1 trouble")
    assert limiter.digest() is None
    clock.now += 60.0
    assert limiter.passes(alert("12")).text == "text 12"


def test_what_was_told_is_remembered_over_restarts(tmp_path):
    """A process that starts again and again tells once why it ends, and gets no new bucket."""
    clock, memory = Clock(), tmp_path / "alerts.json"
    settings = AlertSettings(burst=2, per_hour=1, again_s=900.0)
    fatal = alert("failure", Level.CRITICAL)
    told = []
    for number in range(5):
        limiter = Limiter(settings, memory, clock, clock)
        told.append(limiter.passes(fatal) is not None)
        told.append(limiter.passes(alert(f"start {number}")) is not None)
        clock.now += 30.0
    assert told == [True, True, False, True, *[False] * 6]
    clock.now += 900.0
    assert Limiter(settings, memory, clock, clock).passes(fatal) is not None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"told": 3}', '{"told": {"a": "x"}}'])
def test_a_broken_memory_is_no_reason_to_be_silent(tmp_path, content):
    """A file that can't be read counts as none."""
    memory = tmp_path / "alerts.json"
    memory.write_text(content)
    assert Limiter(AlertSettings(), memory).passes(alert()) is not None
    assert remembered_trouble(memory) == ""
    assert set(json.loads(memory.read_text())) == {"told", "tokens", "wall", "trouble"}


def test_a_clock_that_is_set_back_silences_nothing_for_long(tmp_path):
    """What was told in the future is told again after its time, not after the clock's."""
    memory, clock = tmp_path / "alerts.json", Clock()
    settings = AlertSettings(again_s=60.0)
    Limiter(settings, memory, clock, Clock(1e9)).passes(alert())
    later = Limiter(settings, memory, clock, Clock(1e6))
    assert later.passes(alert()) is None
    clock.now += 61.0
    assert later.passes(alert()) is not None


# --- secrets -------------------------------------------------------------------------------------


def test_nothing_shows_the_url_of_a_target():
    """Neither repr nor str nor figures nor reasons have the secrets; pickling is refused."""
    with webhook() as hook, mail_server() as mail:
        redact = Redactor()
        targets = load_targets({"FTBT_ALERTS": f"{hook.url} {mail.url}"}, None, redact)
    alerts = Alerts(AlertConfig("s", "t", targets, patience=Retry(attempts=1)), redact)
    alerts.tell(alert())  # both servers are gone by now
    wait_until(lambda: all(one.failed for one in alerts.figures().channels))
    shown = f"{targets} {redact} {alerts._config} {alerts.figures()} {alerts.lost()}"
    for secret in SECRETS:
        assert secret not in shown
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(targets[0])
    alerts.close()


def test_a_secret_in_an_error_does_not_leave_in_an_alert():
    """An error text that quotes a URL goes out with stars."""
    with webhook() as hook:
        alerts = service([hook.url])
        alerts.listener("error", {"what": "send", "error": f"POST {hook.url} failed"}, "")
        alerts.close()
        assert "***" in hook.taken[0]["message"]
        assert not any(secret in json.dumps(hook.taken) for secret in SECRETS)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is no URL"),
        ("nosuch://S3cretToken", "no URL of the service nosuch"),
        ("mailto://robot:S3cretToken@", "can't be used"),
        ("tgram://S3cretToken", "no URL of the service tgram"),
    ],
)
def test_a_target_that_cannot_be_used_is_told_without_its_secret(url, words):
    """The message says which one and where to look, and shows no secret."""
    with pytest.raises(ConfigError, match=words) as caught:
        load_targets({"FTBT_ALERTS": url}, None, Redactor())
    assert "URL 1 of FTBT_ALERTS" in str(caught.value)
    assert "S3cretToken" not in str(caught.value)


def test_a_file_of_targets_must_be_private(tmp_path):
    """One URL a line; refused when others can read it, it is empty, or the variable is set."""
    path = tmp_path / "alerts.txt"
    path.write_text("# mine\n\njson://127.0.0.1:1/\njson://127.0.0.1:2/\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}$"):
        load_targets({}, path, Redactor())
    path.chmod(0o600)
    for environment, file in (({}, path), ({"FTBT_ALERTS_FILE": str(path)}, None)):
        assert len(load_targets(environment, file, Redactor())) == 2
    with pytest.raises(ConfigError, match="leave one of them out"):
        load_targets({"FTBT_ALERTS": "json://127.0.0.1:1/"}, path, Redactor())
    with pytest.raises(ConfigError, match="cannot read"):
        load_targets({}, tmp_path / "none", Redactor())
    path.write_text("# nothing\n")
    with pytest.raises(ConfigError, match="names no alert target"):
        load_targets({}, path, Redactor())
    assert load_targets({}, None, Redactor()) == ()


# --- the command ---------------------------------------------------------------------------------


def test_the_command_sends_a_test_and_says_what_came_of_it(monkeypatch, capsys):
    """`ftbt alerts test` ends with 0 when all arrive, with 3 when one does not, without secrets."""
    with webhook() as hook, mail_server() as mail:
        monkeypatch.setenv("FTBT_ALERTS", f"{hook.url} {mail.url}")
        assert run(["alerts", "test"]) == 0
        assert capsys.readouterr().out == "1 JSON: taken\n2 E-Mail: taken\n"
        assert hook.taken[0]["title"] == mail.taken[0]["Subject"] == "ftbt: a test"
        hook.refuse = 1
        assert run(["alerts", "test"]) == 3
        out = capsys.readouterr().out
        assert "1 JSON: did not arrive: " in out
        assert "2 E-Mail: taken" in out
        assert run(["alerts", "show"]) == 0
        shown = capsys.readouterr()
    assert "target 1 JSON\ntarget 2 E-Mail\n" in shown.out
    assert "confidence=70" in shown.out
    assert not any(secret in out + shown.out + shown.err for secret in SECRETS)


def test_the_command_without_targets_says_what_to_do(monkeypatch, capsys):
    """Nothing to send to is something to mend."""
    monkeypatch.delenv("FTBT_ALERTS", raising=False)
    monkeypatch.delenv("FTBT_ALERTS_FILE", raising=False)
    assert run(["alerts", "test"]) == 2
    assert "set FTBT_ALERTS_FILE to a file" in capsys.readouterr().err
