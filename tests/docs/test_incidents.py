"""The playbook works: each command of it is typed in the incident that it is for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bot_kit import new_bot, typed, until, wreck
from docs_kit import ROOT, Command, blocks

from ftbt.live.journal import LiveJournal, backups_of
from ftbt.live.offline import Place, keep_place, read_place

PAGE = ROOT / "docs" / "incident-response.md"
NOBODY = "http://127.0.0.1:9"


def _commands(scene: str) -> list[tuple[Command, int]]:
    """Return the commands of *scene* in the order of the page, with their exit codes."""
    return [
        (command, int(block.note("exits") or 0))
        for block in blocks(PAGE) if block.note("scene") == scene
        for command in block.commands()
    ]  # fmt: skip


@pytest.fixture(scope="module")
def bot(tmp_path_factory):
    """Return a bot that was killed while it held a position."""
    with new_bot(tmp_path_factory.mktemp("incident")) as made:
        made.kill()
        yield made


@pytest.fixture
def place(bot, tmp_path, monkeypatch):
    """Work where there is one state folder, a copy of the dead bot's, with a backup."""
    state = tmp_path / "results" / "live" / "bot"
    shutil.copytree(bot.state, state)
    with LiveJournal.open(state / "journal.db", deployment=read_place(state).deployment) as one:
        one.backup()
    return _at(tmp_path, bot, monkeypatch)


def _at(folder: Path, bot, monkeypatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(bot.state.parent / "xdg"))
    for name in ("FTBT_AGENT_KEY", "FTBT_AGENT_KEY_FILE", "FTBT_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    return folder / "results" / "live" / "bot"


def _follow(scene: str, capsys, **names: str) -> str:
    """Type the commands of *scene*, and return all that they print."""
    told = ""
    found = _commands(scene)
    assert found, f"the page has no commands for {scene}"
    for command, expected in found:
        words = [names.get(word, word) for word in command.words]
        if words[0] != "ftbt":
            assert shutil.which(words[0]), command.text
            continue
        code, out, err = typed(capsys, *words[1:])
        assert code == expected, f"{command.text} ended with {code}:\n{out}{err}"
        assert "Traceback" not in err
        told += out + err
    return told


def test_every_scene_of_the_page_is_played():
    """No command of the playbook is left out, and each incident has its four parts."""
    played = {"dead", "damaged", "unreachable", "foreign", "running", "lost",
              "lost without a backup"}  # fmt: skip
    typed_blocks = [block for block in blocks(PAGE) if block.commands()]
    assert {block.note("scene") for block in typed_blocks} == played
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:-1]
    assert len(parts) == 11
    for part in parts:
        for word in ("**Sign.**", "**First command", "**Check.**", "**All-clear.**"):
            assert word.rstrip(".*") in part or (word == "**Check.**" and "**check**" in part), part


def test_the_bot_is_dead(bot, place, capsys):
    """Status, recover, journal, report and stop tell of a dead bot; it changes nothing there."""
    told = _follow("dead", capsys)
    assert "the bot is dead" in told
    assert "journal and exchange agree" in told
    assert bot.position()


def test_the_journal_is_damaged(bot, place, capsys):
    """The damaged journal is rebuilt, and sound after it."""
    wreck(place)
    told = _follow("damaged", capsys)
    assert "is a sound journal again" in told
    assert "sound, all as it was written" in told


def test_the_exchange_cannot_be_reached(bot, place, capsys):
    """What is known here is told without it, and that it does not answer."""
    known = read_place(place)
    keep_place(place, Place(known.deployment, known.network, NOBODY, known.account, known.coins))
    told = _follow("unreachable", capsys)
    assert NOBODY.removeprefix("http://").partition(":")[0] in told


def test_the_machine_is_lost(bot, place, capsys):
    """One backup in an empty folder is enough to know everything again."""
    kept = place.parents[2] / "kept.db"
    backup = backups_of(place / "journal.db")[0]
    shutil.copy(backup, kept)
    shutil.rmtree(place)
    (place / "backups").mkdir(parents=True)
    shutil.copy(kept, place / "backups" / backup.name)
    assert "journal and exchange agree" in _follow("lost", capsys)


def test_incidents_while_the_bot_runs(bot, capsys, monkeypatch):
    """Started again it carries on; resume, kill, status and journal do what the page says."""
    folder = bot.state.parents[2]
    _at(folder, bot, monkeypatch)
    bot.start()
    until(lambda: bot.status()["open_orders"] == 3, "the orders stand")
    assert bot.position()
    told = _follow("running", capsys)
    assert "the bot is asked to close everything" in told
    assert "flat, no order of this deployment left" in told
    assert bot.position() == 0.0
    assert bot.process.wait(30) == 0
    assert typed(capsys, "status")[0] == 0


def test_a_position_is_not_ours(bot, place, capsys):
    """A position that somebody opened by hand is told as foreign, with exit code 3."""
    order = {"user": read_place(place).account, "coin": "BTC", "is_buy": True, "price": "60000",
             "size": "1", "tif": "Ioc"}  # fmt: skip
    bot.net.control("/orders/place", order)
    assert "! foreign position: " in _follow("foreign", capsys)


def test_the_machine_is_lost_and_there_is_no_backup(bot, place, capsys):
    """The deployment is begun anew by its name, killed, and may be begun again."""
    known = read_place(place)
    told = _follow(
        "lost without a backup", capsys,
        NAME=known.deployment, URL=known.url, ACCOUNT=known.account,
    )  # fmt: skip
    assert "flat, no order of this deployment left" in told
    assert bot.position() == 0.0
