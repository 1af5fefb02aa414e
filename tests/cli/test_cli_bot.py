"""The commands beside a bot: while it runs, after it was killed, and on a broken journal.

One bot for the file: first it runs, then it is dead, in the end it is killed and resumed.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bot_kit import Bot, new_bot, typed, until, wreck

from ftbt.live.fold import fold
from ftbt.live.journal import LiveJournal, backups_of, read_journal
from ftbt.live.offline import read_place
from ftbt.live.prospect import Class, prospect, reading
from ftbt.localnet.process import named_key


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Yield a bot that runs and holds a position."""
    with new_bot(tmp_path_factory.mktemp("bot")) as bot:
        yield bot


@pytest.fixture(scope="module")
def dead(running):
    """Return the bot after kill -9, its position and orders still on the exchange."""
    if running.alive:
        running.kill()
    return running


@pytest.fixture
def here(running, monkeypatch):
    """Work in the folder that has the bot's results."""
    monkeypatch.chdir(running.state.parents[2])
    monkeypatch.setenv("XDG_STATE_HOME", str(running.state.parent / "xdg"))
    for name in ("FTBT_AGENT_KEY", "FTBT_AGENT_KEY_FILE", "FTBT_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)


# --- while it runs --------------------------------------------------------------------------------


def test_status_of_a_bot_that_runs(running: Bot, here, capsys):
    """The status names position and orders, as text and as JSON, and finds no trouble."""
    assert running.alive
    code, out, _ = typed(capsys, "status")
    assert code == 0
    assert "running on localnet" in out
    assert "3 on the exchange" in out
    assert "decided in" in out
    assert "orders out in" in out
    code, out, _ = typed(capsys, "status", running.state, "--json")
    found = json.loads(out)
    assert (code, found["running"], found["trouble"]) == (0, True, [])
    assert found["status"]["positions"]["BTC"] == running.position()


def test_recover_leaves_a_bot_that_runs_alone(running: Bot, here, capsys):
    """Recovering is refused in one line while the bot runs, whatever is asked."""
    for more in ([], ["--begin-from-exchange"]):
        code, out, err = typed(capsys, "recover", *more)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "a bot runs in results/live/bot" in err
    assert running.alive


def test_journal_of_a_bot_that_runs(running: Bot, here, capsys):
    """Events are found by kind, coin, time and order while the bot writes, in three forms."""
    code, out, _ = typed(capsys, "journal", "--kind", "decision,fill")
    assert code == 0
    assert [line.split()[4] for line in out.splitlines()] == ["decision", "fill"]
    assert "enters long (confidence" in out
    code, out, _ = typed(capsys, "journal", "--order", 2, "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["kind"] for one in found] == ["order", "leg"]
    assert found[0]["body"]["number"] == 2
    code, out, _ = typed(capsys, "journal", "--coin", "BTC", "--csv", "--last", 3)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["coin"] for row in rows] == ["BTC"] * 3
    assert json.loads(rows[0]["body"])
    code, out, _ = typed(capsys, "journal", "--to", "2024-01-31 14:15")
    assert "fill" not in out
    assert "begins: LiquiditySweep on BTC 15m, localnet" in out
    code, out, _ = typed(capsys, "journal", "--kind", "equity", "--from", "2024-02-05")
    assert (code, out) == (0, "")
    code, _, err = typed(capsys, "journal", "--kind", "fil")
    assert code == 2
    assert "did you mean 'fill'?" in err
    code, out, _ = typed(capsys, "journal", "--check")
    assert code == 0
    assert "sound" in out
    code, out, _ = typed(capsys, "journal", "--summary")
    assert "fill       1" in out


def test_journal_can_be_followed(running: Bot, here):
    """What the bot adds is told while it is followed, and Ctrl-C ends with 130."""
    # Tests that run in the background inherit an ignored Ctrl-C.
    begin = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "sys.argv = ['ftbt', *sys.argv[1:]]; runpy.run_module('ftbt', run_name='__main__')"
    )
    words = [sys.executable, "-c", begin, "journal", "--kind", "equity", "--follow"]
    following = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        before = len(list(_events(running, "equity")))
        for _ in range(before):
            assert "equity" in following.stdout.readline()
        running.step()
        assert "equity" in following.stdout.readline()
        following.send_signal(2)
        assert following.wait(20) == 130
    finally:
        following.kill()
        following.wait()
        following.stdout.close()


def _events(bot: Bot, *kinds: str):
    with read_journal(bot.state / "journal.db") as reader:
        return list(reader.events(kinds=kinds))


def test_daily_and_weekly_reports_of_a_bot_that_runs(running: Bot, here, capsys, tmp_path):
    """The reports have the figures of the journal, as text, JSON and a page without connections."""
    code, out, _ = typed(capsys, "report", "daily")
    assert code == 0
    assert "daily report of liquidity_sweep-BTC-15m on localnet" in out
    assert "slippage      entry:" in out
    assert "limit         drawdown:" in out
    code, out, _ = typed(capsys, "report", "weekly", "--json")
    found = json.loads(out)
    (fill,) = _events(running, "fill")
    assert found["fees"] == pytest.approx(fill.body["fee"])
    assert found["slippage"][0]["mean"] == pytest.approx(fill.body["slip"])
    assert found["equity"][-1] == pytest.approx(_events(running, "equity")[-1].body["equity"])
    assert found["uptime"]["share"] == pytest.approx(1.0)
    assert found["trades"] == []
    page = tmp_path / "report.html"
    code, out, _ = typed(capsys, "report", "daily", running.state, "--html", page)
    assert (code, out.strip()) == (0, str(page))
    text = page.read_text()
    assert "default-src &#39;none&#39;" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "Confidence against outcome" in text
    code, _, err = typed(capsys, "report", "daily", "--date", "2025-01-01")
    assert code == 2
    assert "no bar was decided on from 2025-01-01" in err


def test_resume_of_a_bot_that_runs(running: Bot, here, capsys):
    """A halt holds at once, and resume lets a running bot go on, with the reason in its journal."""
    from ftbt.live.control import halt

    halt(running.state, "a test")
    until(lambda: "halted" in running.status()["ready"], "the bot sees the halt")
    code, out, _ = typed(capsys, "status")
    assert (code, "HALTED   a test" in out) == (3, True)
    assert typed(capsys, "resume")[0] == 2
    assert typed(capsys, "resume", "--reason", " ")[0] == 2
    code, out, _ = typed(capsys, "resume", "--reason", "it was a test")
    assert (code, "lifted: a test" in out) == (0, True)
    until(lambda: not running.status()["ready"], "the bot goes on")
    until(lambda: _events(running, "reset"), "it is in the journal")
    assert _events(running, "reset")[0].body["reason"] == "it was a test"


# --- after kill -9, with a position and its orders ------------------------------------------------


def test_status_of_a_dead_bot(dead: Bot, here, capsys):
    """A bot that was killed is trouble, with exit code 3, and its last figures are still told."""
    code, out, _ = typed(capsys, "status")
    assert code == 3
    assert "not running on localnet" in out
    assert "TROUBLE  the bot is dead" in out
    assert "BTC      +" in out


def test_stop_of_a_dead_bot(dead: Bot, here, capsys):
    """Nothing is asked of a bot that does not run, and no wish waits for the next one."""
    code, out, _ = typed(capsys, "stop")
    assert (code, "no bot runs" in out) == (0, True)
    assert not list((dead.state / "wishes").glob("*.json"))


def test_the_fold_is_what_the_bot_knew(dead: Bot, here):
    """The journal folded without a bot gives the position, equity and orders that it had."""
    with read_journal(dead.state / "journal.db") as reader:
        found = fold(reader)
    assert {coin: size for coin, (size, _) in found.positions.items()} == (
        dead.status()["positions"]
    )
    assert found.positions["BTC"][0] == dead.position()
    assert len(found.waiting) == dead.status()["open_orders"] == 3


def test_recover_of_a_sound_journal_only_tells(dead: Bot, here, capsys):
    """Without a difference, journal and exchange are told to agree; nothing is changed."""
    state = dead.copy("agreeing")
    before = (state / "journal.db").read_bytes()
    code, out, _ = typed(capsys, "recover", state)
    assert code == 0
    assert "sound:" in out
    assert "order 2: stop, sells" in out
    assert "journal and exchange agree" in out
    assert (state / "journal.db").read_bytes() == before
    code, _, err = typed(capsys, "recover", state, "--begin-from-exchange")
    assert code == 2
    assert "is sound: ftbt live goes on with it" in err


def test_journal_and_report_of_a_dead_bot(dead: Bot, here, capsys):
    """What a dead bot has done can be read."""
    code, out, _ = typed(capsys, "journal", "--kind", "fill")
    assert (code, out.count("\n")) == (0, 1)
    assert typed(capsys, "report", "daily")[0] == 0


def test_no_file_of_a_bot_holds_its_key(dead: Bot, here):
    """Journal, status, log and all else that a bot writes are without the key that it signs by."""
    secret = named_key("agent").secret.removeprefix("0x")
    files = [path for path in dead.state.parent.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes().lower()
        assert secret.encode() not in content, path
        assert bytes.fromhex(secret) not in content, path


# --- a broken journal -----------------------------------------------------------------------------


def _broken(dead: Bot, name: str, *, backup: bool) -> Path:
    """Return a copy of the state with a wrecked journal."""
    state = dead.copy(name)
    if backup:
        with LiveJournal.open(state / "journal.db", deployment="liquidity_sweep-BTC-15m") as one:
            one.backup()
            one.note("note", {"text": "after the backup"})
    else:
        shutil.rmtree(state / "backups", ignore_errors=True)
    wreck(state)
    return state


def test_a_broken_journal_is_rebuilt_from_its_backup(dead: Bot, here, capsys):
    """All commands name the damage; recover rebuilds the journal, and then it agrees."""
    state = _broken(dead, "broken", backup=True)
    code, out, _ = typed(capsys, "status", state)
    assert (code, f"ftbt recover {state}" in out) == (3, True)
    code, _, err = typed(capsys, "journal", state)
    assert code == 3
    assert f"its newest backup: ftbt journal {backups_of(state / 'journal.db')[0]}" in err
    assert typed(capsys, "journal", backups_of(state / "journal.db")[0])[0] == 0
    for words in (["journal", state, "--check"], ["report", "daily", state],
                  ["resume", state, "--reason", "x"]):  # fmt: skip
        code, _, err = typed(capsys, *words)
        assert (code, err.count("\n")) == (2, 1), words
        assert f"ftbt recover {state}" in err
    code, out, _ = typed(capsys, "recover", state)
    assert code == 0
    assert "all as they were written" in out
    assert "is a sound journal again" in out
    assert "journal and exchange agree" in out
    assert list(state.glob("journal.db.damaged-*"))
    assert typed(capsys, "journal", state, "--check")[0] == 0


def test_a_lost_state_comes_back_from_one_backup_alone(dead: Bot, here, capsys):
    """A backup that was kept elsewhere is enough: where the bot traded is in it, too."""
    state = _broken(dead, "source", backup=True)
    lost = dead.elsewhere / "lost"
    (lost / "backups").mkdir(parents=True)
    shutil.copy(backups_of(state / "journal.db")[0], lost / "backups")
    code, out, _ = typed(capsys, "recover", lost)
    assert code == 0
    assert "session.json was gone: written again" in out
    assert read_place(lost) == read_place(state)


def test_without_a_backup_a_new_journal_begins_from_the_exchange(dead: Bot, here, capsys):
    """Nothing is thrown away or opened, and the user is told what the bot no longer knows."""
    state = _broken(dead, "hopeless", backup=False)
    code, _, err = typed(capsys, "recover", state)
    assert (code, "--begin-from-exchange" in err) == (2, True)
    code, out, _ = typed(capsys, "recover", state, "--begin-from-exchange")
    assert code == 3
    assert "! foreign position: +" in out
    assert "! 3 orders of this deployment, stops among them" in out
    assert list(state.glob("given-up-*/journal.db"))
    code, out, _ = typed(capsys, "status", state)
    assert "HALTED   begun anew" in out
    code, out, _ = typed(capsys, "recover", state)
    assert (code, "no session has traded with this journal" in out) == (0, True)


def test_a_lost_machine_without_any_backup(dead: Bot, here, capsys):
    """In an empty folder the deployment is named by hand; then it can be looked at and killed."""
    state = dead.elsewhere / "new-machine"
    state.mkdir(parents=True)
    code, _, err = typed(capsys, "recover", state, "--begin-from-exchange")
    assert (code, "name it with --name" in err) == (2, True)
    place = read_place(dead.state)
    more = ["--name", place.deployment, "--network", "localnet", "--url", place.url,
            "--account", place.account, "--symbol", "BTC"]  # fmt: skip
    code, _out, _ = typed(capsys, "recover", state, "--begin-from-exchange", *more)
    assert code == 3
    assert read_place(state) == place


# --- differences ----------------------------------------------------------------------------------


def test_each_difference_has_its_class(dead: Bot, here, capsys):
    """What happened while the bot was dead is told with its class and what the start will do."""
    net, place = dead.net, read_place(dead.state)
    user = {"user": place.account}
    with reading(place) as rest:
        stop = next(one for one in rest.open_orders(place.account) if one.trigger is not None)
    net.control("/orders/cancel", {**user, "oid": stop.oid})
    placed = {**user, "coin": "BTC", "is_buy": True, "price": "30000", "size": "0.01"}
    net.control("/orders/place", placed)
    net.control("/orders/place", {**placed, "is_buy": False, "price": "40000", "tif": "Ioc"})
    with read_journal(dead.state / "journal.db") as reader, reading(place) as rest:
        _, found = prospect(reader, place, rest)
    kinds = {one.kind for one in found.differences}
    assert {Class.GONE, Class.STRANGER, Class.BY_HAND} <= kinds
    code, out, _ = typed(capsys, "recover")
    assert "order gone: order 2: stop" in out
    assert "foreign order: order" in out
    assert "position changed by hand: BTC filled 0.01" in out
    net.control("/orders/place", {**placed, "price": "60000", "size": "0.5", "tif": "Ioc"})
    code, out, _ = typed(capsys, "recover")
    assert code == 3
    assert "! foreign position:" in out


# --- out of everything ----------------------------------------------------------------------------


def _on_a_full_disk(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command that may make no file longer than a nonce, which is written in place."""
    code = (
        "import resource, sys\n"
        "from ftbt.cli.main import run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )


def test_kill_closes_everything_without_a_journal_and_the_halt_outlives_a_start(
    dead: Bot, here, capsys
):
    """With a broken journal and a full disk it ends flat; the halt holds until resume."""
    state = _broken(dead, "killed", backup=False)
    done = _on_a_full_disk("kill", state, "--reason", "enough")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "NOT HALTED" in done.stderr
    assert "what is sent now is written nowhere" in done.stderr
    assert "flat, no order of this deployment left" in done.stdout
    assert dead.position() == 0.0
    code, out, _ = typed(capsys, "kill", "--reason", "enough")
    assert (code, "closing" in out) == (0, False)
    dead.start()
    until(lambda: "halted: enough" in dead.status()["ready"], "the halt holds")
    for _ in range(3):
        dead.step()
    assert dead.position() == 0.0
    code, out, _ = typed(capsys, "resume", "--reason", "checked")
    assert (code, "lifted: enough" in out) == (0, True)
    until(lambda: "halted" not in dead.status()["ready"], "the bot goes on")
    code, out, _ = typed(capsys, "stop")
    assert (code, "ended" in out) == (0, True)
    assert typed(capsys, "status")[0] == 0
