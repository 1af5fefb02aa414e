"""A few hours of soak with real processes: kill -9, faults, and accounts to the cent."""

from __future__ import annotations

import json

import pytest

from soak import __main__ as program
from soak.plan import Asked, drawn

SEED, DAYS, COINS = 3, 0.2, ("ETH", "SOL")


def test_hours_under_faults_and_a_kill_keep_every_promise(tmp_path, capsys):
    """The live process dies and loses nothing: exit code 0, every promise that can be judged."""
    words = ["--seed", str(SEED), "--days", str(DAYS), "--symbols", ",".join(COINS),
             "--results", str(tmp_path)]  # fmt: skip
    strokes = drawn(Asked(SEED, DAYS, COINS))
    assert any(one.name == "kill -9" for one in strokes)
    code = program.main([*words, "--state", str(tmp_path / "state")])
    said = capsys.readouterr()
    assert code == 0, said.err
    found = json.loads((tmp_path / "soak.json").read_text())
    met = {one["name"]: one["met"] for one in found["promises"]}
    assert met.pop("classes") is met.pop("memory") is None
    assert all(met.values())
    assert found["lives"]["count"] >= 2
    assert found["money"]["compared"] >= 2
    assert sum(one["struck"] for one in found["faults"].values()) >= len(strokes) // 2
    assert program.main([*words, "--state", str(tmp_path / "state")]) == 2
    assert "holds the journal of another soak" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seed", "-1"], "--seed must be 0 or more, not -1"),
        (["--days", "100"], "--days must be from 0.2 to 30"),
        (["--symbols", "BTC,ETC"], "did you mean 'ETH'"),
    ],
)
def test_wrong_words_are_one_line(words, told, capsys):
    """What cannot be soaked is refused with exit code 2 before anything is started."""
    assert program.main(words) == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_a_day_keeps_every_promise(tmp_path, capsys):
    """The same over a whole day of three symbols."""
    words = ["--seed", "11", "--days", "1", "--results", str(tmp_path)]
    assert program.main(words) == 0, capsys.readouterr().err
