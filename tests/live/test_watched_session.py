"""A session on a local exchange, watched: what is told is what has happened."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from functools import partial
from urllib.request import urlopen

import pytest
from apprise.plugins.email import NotifyEmail
from eth_account import Account
from prometheus_client.parser import text_string_to_metric_families
from watch_kit import mail_server, webhook

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.data.retry import Retry
from ftbt.data.sample import sample_market
from ftbt.data.timeframe import DAY_MS, Timeframe, show_ms
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.market_data import BarOptions
from ftbt.hyperliquid.network import Mode, Network, endpoint
from ftbt.live.alerts import load_targets
from ftbt.live.config import LiveConfig
from ftbt.live.health import HealthConfig
from ftbt.live.journal import read_journal
from ftbt.live.logs import NAME, LogConfig
from ftbt.live.runner import LiveRun
from ftbt.live.secrets import Redactor
from ftbt.live.watch import Watch, WatchConfig
from ftbt.localnet.options import Options
from ftbt.localnet.process import localnet, named_key
from ftbt.strategy.loader import find_strategy

STEP = 900_000
SECRETS = ("Hunter2pass", "T0KENsecret99", "Corr3ctHorse", named_key("agent").secret[2:])


@pytest.fixture
def exchange():
    """Yield a paused local exchange with 32 days of history, a funded user and an agent."""
    market = sample_market(("BTC",), days=40)
    first = int(market["BTC"].candles.time[0])
    begin = show_ms(first + 32 * DAY_MS).replace(" UTC", "+00:00").replace(" ", "T")
    options = replace(Options(symbols=("BTC",), paused=True, limits=False), begin=begin)
    with localnet(options, list(market.values())) as net:
        agent = named_key("agent")
        net.control(
            "/agent",
            {"user": named_key("user").address, "agent": agent.address, "name": "ftbt"},
        )
        yield net, first


def config(net, first, state):
    """Return what the session does: the sweep on BTC."""
    return LiveConfig(
        endpoint(Network.LOCALNET, Mode.PAPER, local_url=net.url),
        AgentKey(Account.from_key(named_key("agent").secret)), named_key("user").address, "sweep",
        (Sleeve(find_strategy("liquidity_sweep"), {}),), ("BTC",), Timeframe.parse("15m"),
        Settings(), state, warm_from=first, bar_options=BarOptions(fresh_ms=7 * 60_000),
        request_margin=1_000.0,
    )  # fmt: skip


class Rehearsal:
    """A watched session on a thread, driven bar by bar."""

    def __init__(self, net, live, watch):
        self.net, self.watch, self.newest, self.error = net, watch, None, None
        self.run = LiveRun(live, show=self._show)
        watch.hear(self.run)
        self.thread = threading.Thread(target=self._go)
        self.thread.start()

    def _show(self, status):
        self.watch.show(status)
        self.newest = status

    def _go(self):
        try:
            self.run.run()
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error

    def until(self, true, seconds=60.0):
        """Wait for a status of which *true* holds."""
        end = time.monotonic() + seconds
        while self.newest is None or not true(self.newest):
            assert self.thread.is_alive(), self.error
            assert time.monotonic() < end, self.newest
            time.sleep(0.002)

    def trade(self, trades, most_bars=400):
        """Let the market go on until so many trades are over."""
        self.until(lambda _: True)
        user, last, bars = named_key("user").address, None, 0
        while self.newest.trades < trades and bars < most_bars:
            move = self.net.run_to_event(user, 2**53)
            opened = move.market // STEP * STEP
            bars += opened != last
            last = opened
            self.until(partial(_has_seen, move=move, bar=opened - STEP))


def _has_seen(status, move, bar):
    return status.bar_ms >= bar and status.fills >= move.fills and not status.busy


def ask(port, path):
    """Return the text of an answer of health."""
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_a_session_is_told_as_it_happened(exchange, tmp_path, capfd, monkeypatch):
    """Alerts, metrics and log of a session are its events and status, without a secret."""
    monkeypatch.setattr(NotifyEmail, "request_rate_per_sec", 0)
    net, first = exchange
    state = tmp_path / "state"
    live = config(net, first, state)
    with webhook() as hook, mail_server() as mail:
        redact = Redactor((), (live.key.conceal,))
        targets = load_targets({"FTBT_ALERTS": f"{hook.url} {mail.url}"}, None, redact)
        mail.never = True
        watched = WatchConfig(
            "sweep", "localnet", state, redact, targets, health=HealthConfig(0),
            log=LogConfig(state / NAME), patience=Retry(attempts=2, base_s=0.01),
        )  # fmt: skip
        with Watch(watched) as watch:
            rehearsal = Rehearsal(net, live, watch)
            try:
                rehearsal.trade(2)
                status = rehearsal.newest
                health = [ask(watch.health.port, path) for path in ("/healthz", "/readyz")]
                metrics = ask(watch.health.port, "/metrics")
            finally:
                rehearsal.run.stop()
                rehearsal.thread.join(60.0)
            assert rehearsal.error is None
    journal = list(read_journal(state / "journal.db").events())
    _check_alerts(hook, [one.body["row"] for one in journal if one.kind == "trade"])
    assert any(one.kind == "alert" and one.body["target"] == "2 E-Mail" for one in journal)
    assert [json.loads(text)["state"] for text in health] == ["alive", "ready"]
    _check_metrics(metrics, status)
    _check_log(state, [one.kind for one in journal])
    out, err = capfd.readouterr()
    written = [path.read_bytes() for path in state.rglob("*") if path.is_file()]
    for secret in SECRETS:
        assert not any(secret.encode() in content for content in written)
        assert secret not in out + err + json.dumps(hook.taken)


def _check_alerts(hook, trades):
    titles = [one["title"] for one in hook.taken]
    assert all(one.startswith("[localnet] sweep: ") for one in titles)
    assert titles[0].endswith("started on localnet")
    assert "ended: " in titles[-1]
    opened = [one for one in titles if " opened: " in one]
    closed = [one for one in titles if " closed: " in one]
    assert len(opened) >= len(trades) == len(closed) >= 2
    assert titles.index(opened[0]) < titles.index(closed[0])
    nets = [float(one.rpartition(": ")[2].split()[0].replace(",", "")) for one in closed]
    net = 15  # its column in TRADE
    assert nets == [round(row[net], 2) for row in trades]


def _check_metrics(text, status):
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["ftbt_trades_total",] == status.trades
    assert found["ftbt_equity_usdc",] == pytest.approx(status.equity, rel=0.01)
    assert found["ftbt_market_connected",] == found["ftbt_account_connected",] == 1.0
    assert 0.0 <= found["ftbt_data_age_seconds",] <= 2 * STEP / 1000
    assert 0.0 < found["ftbt_weight_used",] <= found["ftbt_weight_limit",]
    assert found["ftbt_queue_bars",] == 0.0
    assert found["ftbt_decision_latency_seconds", "median"] > 0.0


def _check_log(state, events):
    lines = [json.loads(line) for line in (state / "log.jsonl").read_text("utf-8").splitlines()]
    logged = [one["message"].split()[0] for one in lines if one["logger"] == "ftbt.live"]
    for kind in ("session", "fill", "trade", "stop"):
        assert logged.count(kind) == events.count(kind) > 0


def test_a_session_that_cannot_start_is_told(tmp_path):
    """When nothing listens where the exchange should be, the owner hears why it has ended."""
    from ftbt.errors import NetworkError

    class Gone:
        url = "http://127.0.0.1:9"

    live = config(Gone, None, tmp_path)
    with webhook() as hook:
        targets = load_targets({"FTBT_ALERTS": hook.url}, None, redact := Redactor())
        watched = WatchConfig(
            "sweep", "localnet", tmp_path, redact, targets, log=LogConfig(tmp_path / NAME)
        )
        for _ in range(2):  # as a service manager would
            with pytest.raises(NetworkError), Watch(watched) as watch:
                LiveRun(live, show=watch.show).run()
    (told,) = hook.taken
    assert told["title"] == "[localnet] sweep: ended by an error"
    assert "NetworkError" in told["message"]
    text = (tmp_path / "log.jsonl").read_text()
    assert text.count("ended by an error: ") == 2
