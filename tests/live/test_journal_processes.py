"""The journal between processes: one writes, any is killed, the disk is really full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from journal_kit import NAME, SENT, started

from ftbt.errors import StateLocked
from ftbt.live.journal import read_journal, recover_from_backup
from ftbt.live.journal.checking import check_file
from ftbt.live.journal.writer import lock_of
from ftbt.live.locks import hold_key, is_held

# Says each thing on its output once it counts as kept, and goes on until it is killed.
WRITING = """
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from ftbt.hyperliquid.journal import Sent
from ftbt.live.journal import LiveJournal
journal = LiveJournal.open(Path(sys.argv[1]), deployment="btc-sweep")
sent = Sent("0xagent", "0xuser", 0, 99, "order", ("0xa",), b"signed" * 100, "entry")
number = 0
while True:
    number += 1
    with journal.together():
        for part in range(3):
            journal.note("fill", {"number": number, "part": part})
    print("fills", number, flush=True)
    journal.note("equity", {"number": number}, durable=False)
    print("equity", number, flush=True)
    journal.before_sending(replace(sent, nonce=number))
    print("sent", number, flush=True)
    journal.after(replace(sent, nonce=number), "resting", final=True)
    print("outcome", number, flush=True)
    if number % 7 == 0:
        journal.tidy()
    if number % 11 == 0:
        journal.backup()
"""

HOLDING = """
import sys, time
from pathlib import Path
from ftbt.live.journal import LiveJournal
from ftbt.live.journal.writer import lock_of
from ftbt.live.locks import hold_key, is_held
folder = Path(sys.argv[1])
journal = LiveJournal.open(folder / "journal.db", deployment="btc-sweep")
key = hold_key("0xAgent", "testnet", folder)
print("held", flush=True)
time.sleep(60)
"""

# Fills a disk of its own until only the journal's reserve is left.
FULL = """
import sys, os
from dataclasses import replace
from pathlib import Path
from ftbt.errors import StorageFull
from ftbt.hyperliquid.journal import Sent
from ftbt.live.journal import LiveJournal, read_journal
from ftbt.live.journal.checking import check_file
folder = Path(sys.argv[1])
path, ballast = folder / "state" / "journal.db", folder / "ballast"
journal = LiveJournal.open(path, deployment="btc-sweep")
sent = Sent("0xagent", "0xuser", 0, 99, "order", ("0xa",), b"signed" * 100, "stop")
with ballast.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(os.urandom(4096))
    except OSError:
        pass
calm = number = 0
try:
    while True:
        number += 1
        journal.before_sending(replace(sent, nonce=number))
        if journal.trouble is None:
            calm = number
except StorageFull as error:
    assert "make room" in str(error)
print(calm, number, flush=True)
journal.note("fill", {"lost": False, "big": "x" * 50_000})
try:
    journal.check()
except StorageFull:
    print("full", journal.waiting > 0, flush=True)
try:
    journal.backup()
except StorageFull:
    print("no backup", flush=True)
ballast.unlink()
journal.tidy()
journal.check()
print("room", journal.trouble, journal.waiting, flush=True)
journal.backup()
journal.close()
with read_journal(path) as reader:
    print(len(list(reader.sent())), [event.body["lost"] for event in reader.events(kinds={"fill"})])
check_file(path)
"""

GLANCE = """
import sys
from pathlib import Path
from ftbt.live.journal import read_journal
print(read_journal(Path(sys.argv[1]) / "journal.db").summary().unanswered)
"""

LIMITED = """
import os, resource, sys
from dataclasses import replace
from pathlib import Path
from ftbt.errors import StorageError
from ftbt.hyperliquid.journal import Sent
from ftbt.live.journal import LiveJournal
journal = LiveJournal.open(Path(sys.argv[1]), deployment="btc-sweep")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
sent = Sent("0xagent", "0xuser", 0, 99, "order", ("0xa",), b"signed" * 100, "stop")
for number in range(1, 1000):
    try:
        journal.before_sending(replace(sent, nonce=number))
    except StorageError as error:
        print(type(error).__name__, number, flush=True)
        os._exit(0)
"""


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 47, 171])
def test_what_a_killed_process_was_told_is_kept_is_there(path, lines):
    """Whatever it was writing then: groups are whole, chains hold, and it can be opened again."""
    process = started(WRITING, path)
    said = [process.stdout.readline().split() for _ in range(lines)]
    process.kill()
    said += [line.split() for line in process.stdout.read().splitlines()]
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()

    told = {what: int(number) for what, number in said}
    with read_journal(path) as reader:
        fills = [event.body["number"] for event in reader.events(kinds={"fill"})]
        equity = [event.body["number"] for event in reader.events(kinds={"equity"})]
        sent = [one.sent.nonce for one in reader.sent()]
        outcomes = [one.action for one in reader.outcomes()]
    assert fills == [number for number in range(1, len(fills) // 3 + 1) for _ in range(3)]
    assert fills[-1] >= told["fills"]
    for kept, what in ((equity, "equity"), (sent, "sent"), (outcomes, "outcome")):
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= told.get(what, 0)
    check_file(path)


def test_a_killed_process_leaves_nothing_locked(path, opened):
    """The next one opens the journal, knows what was open, and goes on with its chain."""
    process = started(WRITING, path)
    while process.stdout.readline().split() != ["sent", "3"]:
        pass
    process.kill()
    process.communicate()
    journal = opened()
    with read_journal(path) as reader:
        actions, answered = list(reader.sent()), {one.action for one in reader.outcomes()}
    assert journal.unanswered() == [one.sent for one in actions if one.id not in answered]
    assert len(actions) - len(answered) in (0, 1)
    journal.before_sending(replace(SENT, nonce=10**9))
    journal.close()
    assert check_file(path).logs["sent"].count == len(actions) + 1


def test_whether_a_process_runs_can_be_asked_by_who_may_only_read(tmp_path):
    """Asking makes no file and needs no right to write; the answer follows the process."""
    assert not is_held(tmp_path / "keys" / "none.lock")
    assert not list(tmp_path.iterdir())
    process = started(HOLDING, tmp_path)
    assert process.stdout.readline().strip() == "held"
    lock = lock_of(tmp_path / "journal.db")
    lock.chmod(0o444)
    try:
        assert is_held(lock)
    finally:
        process.kill()
        process.communicate()
    assert not is_held(lock)


def test_two_processes_can_not_have_one_deployment_or_one_key(tmp_path, opened):
    """The second is told so in a line; when the first is killed it may."""
    process = started(HOLDING, tmp_path)
    assert process.stdout.readline().strip() == "held"
    try:
        with pytest.raises(StateLocked, match="another process runs the deployment of"):
            opened(tmp_path / "journal.db")
        with pytest.raises(StateLocked, match="another process trades on testnet with the key"):
            hold_key("0xagent", "testnet", tmp_path)
        hold_key("0xagent", "mainnet", tmp_path).release()
        with read_journal(tmp_path / "journal.db") as reader:
            assert reader.latest(1)[0].body["pid"] == process.pid
    finally:
        process.kill()
        process.communicate()
    opened(tmp_path / "journal.db")
    hold_key("0xagent", "testnet", tmp_path).release()


def test_a_key_is_free_again_when_it_is_released(tmp_path):
    """Holding it twice in one process is refused as well."""
    first = hold_key("0xagent", "testnet", tmp_path)
    with pytest.raises(StateLocked):
        hold_key("0xAGENT", "testnet", tmp_path)
    first.release()
    hold_key("0xagent", "testnet", tmp_path).release()


def _own_disk() -> bool:
    """Tell whether this machine lets a test have a file system of its own."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not _own_disk(), reason="no file system of its own to fill")
def test_on_a_full_disk_stops_are_still_sent_and_nothing_noted_is_lost(tmp_path):
    """The reserve takes some hundred actions; then nothing is sent; with room all is written."""
    mounted = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", mounted, "sh", tmp_path, sys.executable, FULL]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, *rest, last = done.stdout.splitlines()
    calm, refused = map(int, first.split())
    assert refused - calm > 200
    assert rest == ["full True", "no backup", "room None 0"]
    assert last == f"{refused - 1} [False]"


def die_at(step, monkeypatch):
    """End this process just before one of its renames, as if it was killed."""
    left = [step]

    def dying(real):
        def move(self, target):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, target)

        return move

    monkeypatch.setattr(Path, "rename", dying(Path.rename))
    monkeypatch.setattr(Path, "replace", dying(Path.replace))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_recovery_that_is_killed_is_done_again(path, opened, monkeypatch):
    """Before each of its renames; nothing that was sound is lost."""
    kills = 0
    for step in range(1, 20):
        file = path.parent / str(step) / "journal.db"
        journal = opened(file)
        journal.before_sending(SENT)
        journal.backup()
        journal.close()
        file.write_bytes(file.read_bytes()[:5_000])
        child = os.fork()
        if child == 0:
            die_at(step, monkeypatch)
            recover_from_backup(file, deployment=NAME)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        recover_from_backup(file, deployment=NAME)
        again = opened(file)
        assert again.unanswered() == [SENT]
        again.close()
        if not os.WIFSIGNALED(status):
            break
    assert kills >= 3


def test_readers_in_other_processes_and_the_writer_do_not_disturb_each_other(path):
    """Reading all the time while it writes, tidies and is backed up: each look is whole."""
    process = started(WRITING, path)
    process.stdout.readline()
    drain = threading.Thread(target=process.stdout.read)
    drain.start()
    seen, looks, end = 0, 0, time.monotonic() + 1.5
    with read_journal(path) as reader:
        while time.monotonic() < end:
            fills = [event.body["number"] for event in reader.events(kinds={"fill"})]
            assert len(fills) % 3 == 0
            assert len(fills) >= seen
            assert reader.summary().actions >= len(fills) // 3 - 1
            seen, looks = len(fills), looks + 1
    process.kill()
    drain.join()
    process.wait()
    process.stdout.close()
    assert looks > 3
    assert seen > 3
    check_file(path)


@pytest.mark.skipif(not _own_disk(), reason="no file system of its own to make read-only")
def test_a_journal_of_a_dead_bot_is_read_from_a_read_only_disk(tmp_path, opened):
    """As a dashboard in a container sees it."""
    journal = opened(tmp_path / "journal.db")
    journal.before_sending(SENT)
    journal.close()
    mounted = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-c", mounted, "sh", tmp_path, sys.executable, GLANCE]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_a_largest_size_of_files_is_a_full_disk(path):
    """A quota or limit of the process is told like a full disk, and loses nothing written."""
    done = started(LIMITED, path)
    output, _ = done.communicate()
    assert done.returncode == 0
    kind, refused = output.split()
    assert kind == "StorageFull"
    with read_journal(path) as reader:
        assert [one.sent.nonce for one in reader.sent()] == list(range(1, int(refused)))
    check_file(path)
