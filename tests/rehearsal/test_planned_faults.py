"""Which faults a rehearsal has, and when."""

from __future__ import annotations

import pytest

from ftbt.errors import ConfigError
from ftbt.localnet.faults import KINDS
from ftbt.rehearsal.faults import USUAL_COUNT, planned


def test_a_seed_always_draws_the_same_faults():
    """The same seed gives the same list, another one another, all inside the rehearsal."""
    one, again, other = planned("7:50", 96), planned("7:50", 96), planned("8:50", 96)
    assert one == again != other
    assert len(one) == 50
    assert [fault.bar for fault in one] == sorted(fault.bar for fault in one)
    assert all(0 <= fault.bar < 96 for fault in one)
    assert len(planned("7", 96)) == USUAL_COUNT


def test_every_fault_that_can_be_drawn_is_one_of_the_exchange():
    """Drawn faults have names that the exchange knows, or other paths of its control API."""
    for fault in planned("1:2000", 10):
        assert fault.path != "/faults" or fault.body["name"] in KINDS
        assert fault.name


def test_a_file_names_faults_one_by_one(tmp_path):
    """Fields beside bar and control go to the control API as they are."""
    path = tmp_path / "faults.toml"
    path.write_text(
        '[[fault]]\nbar = 2\nname = "slow"\nseconds = 1.5\n'
        '[[fault]]\nbar = 0\ncontrol = "/sockets"\ndo = "abort"\n'
    )
    slow, abort = planned(str(path), 10)
    assert (slow.bar, slow.path, slow.name) == (2, "/faults", "slow")
    assert slow.body == {"name": "slow", "seconds": 1.5}
    assert (abort.path, abort.body, abort.name) == ("/sockets", {"do": "abort"}, "sockets abort")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[fault]]\nbar = 99\nname = "slow"', "bar must be a whole number from 0 to 9, not 99"),
        ('[[fault]]\nname = "slow"', "bar must be a whole number"),
        ('[[fault]]\nbar = 1\nname = "slwo"', "no fault 'slwo' - did you mean 'slow'?"),
        ('[[fault]]\nbar = 1\ncontrol = "/socket"', "did you mean '/sockets'"),
        ('[[fualt]]\nbar = 1', r"write one \[\[fault\]\] table"),
        ("fault = [", "--faults"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_is_refused(tmp_path, text, told):
    """A wrong name, bar or table is one clear line with the place."""
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        planned(str(path), 10)


@pytest.mark.parametrize("text", ["seven", "7:", "7:many", "7:0", "-1", "no/such/file.toml"])
def test_words_that_are_no_faults_are_refused(text):
    """What is neither a seed nor a file is refused."""
    with pytest.raises(ConfigError, match="--faults"):
        planned(text, 10)
