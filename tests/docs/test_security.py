"""What the security page promises and no other test holds."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from docs_kit import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ftbt.cli.main import cli
from ftbt.localnet.options import Options
from ftbt.localnet.process import localnet, named_key

LOCK = ROOT / "docs" / "deploy" / "requirements.lock"
SECRET = re.compile(r"secret|private|password|passphrase|token|(^|-)key$")


def _locked() -> dict[str, list[tuple[Requirement, int]]]:
    """Return each locked package with its pins and how many hashes each has."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in re.split(r"\n(?=\S)", LOCK.read_text(encoding="utf-8").strip()):
        head, *hashes = entry.split(" \\\n")
        pin = Requirement(head)
        good = [one for one in hashes if re.fullmatch(r"\s*--hash=sha256:[0-9a-f]{64}", one)]
        assert len(good) == len(hashes), entry[:80]
        found.setdefault(canonicalize_name(pin.name), []).append((pin, len(good)))
    return found


def _asked() -> list[Requirement]:
    """Return what setup.cfg asks for."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].splitlines()
    return [Requirement(line) for line in lines if line.strip()]


def test_the_lock_file_has_all_that_the_project_asks_for():
    """Each package of setup.cfg is pinned to a version that setup.cfg allows."""
    locked = _locked()
    for wanted in _asked():
        pins = locked.get(canonicalize_name(wanted.name))
        assert pins, f"{wanted.name} is not locked: make docs/deploy/requirements.lock anew"
        for pin, _ in pins:
            (one,) = pin.specifier
            assert one.operator == "=="
            assert wanted.specifier.contains(one.version, prereleases=True), f"{pin} for {wanted}"


def test_every_locked_package_has_hashes():
    """Nothing is pinned without the hash of at least one file, or by an address."""
    locked = _locked()
    assert len(locked) > len(_asked())
    for name, pins in locked.items():
        for pin, hashes in pins:
            assert hashes > 0, name
            assert pin.url is None, name


def _commands(group: click.Group, context: click.Context):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, context)
        yield name, command


def test_no_command_takes_a_secret_as_an_argument():
    """No option is for a key, a password or a token itself: who sees processes would see it."""
    seen = 0
    for name, command in _commands(cli, click.Context(cli)):
        for parameter in command.params:
            for option in parameter.opts:
                assert not SECRET.search(option.lstrip("-")), f"{name} {option}"
                seen += 1
    assert seen > 100


@pytest.mark.skipif(sys.platform != "linux", reason="the second half is of Linux")
def test_a_process_with_a_key_leaves_no_core_file():
    """Once a key was read, the operating system may not write the process's memory to a file."""
    code = (
        "import resource\n"
        "from ftbt.hyperliquid.keys import load_key\n"
        f"load_key({{'FTBT_AGENT_KEY': '{named_key('agent').secret}'}})\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])\n"
        "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"  # PR_GET_DUMPABLE
    )
    shell = f'ulimit -S -c unlimited 2>/dev/null; exec "{sys.executable}" -c "$0"'
    done = subprocess.run(
        ["bash", "-c", shell, code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "0"]


def test_the_local_exchange_listens_on_this_machine_only():
    """All ports of the local exchange are of loopback, the control port as well."""
    with localnet(Options(symbols=("BTC",), paused=True, limits=False)) as net:
        listening = set()
        for path in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(path).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                address, port = local.rsplit(":", 1)
                if state == "0A":
                    listening.add((int(port, 16), address))
        ports = {int(url.rpartition(":")[2]) for url in (net.url, net.control_url)}
        found = {address for port, address in listening if port in ports}
        assert found == {"0100007F"}
