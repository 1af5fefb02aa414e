"""Nonces: unique and rising across threads, processes and restarts."""

from __future__ import annotations

import multiprocessing
import threading

import pytest

from ftbt.data.timeframe import DAY_MS, HOUR_MS
from ftbt.errors import ConfigError, StorageError
from ftbt.hyperliquid.nonces import FURTHEST_AHEAD_MS, Nonces, state_folder

KEY = "0x" + "ab" * 20
NOW = 1_800_000_000_000


def take_many(folder, count, out):
    """Put *count* nonces into a queue: the work of another process."""
    nonces = Nonces(KEY, "localnet", folder)
    out.put([nonces.next() for _ in range(count)])


def test_nonces_follow_the_clock_and_never_repeat(tmp_path):
    """A clock that stands still or steps back still gives rising nonces."""
    times = iter([NOW, NOW, NOW - HOUR_MS, NOW + 5])
    nonces = Nonces(KEY, "localnet", tmp_path, lambda: next(times))
    assert [nonces.next() for _ in range(4)] == [NOW, NOW + 1, NOW + 2, NOW + 5]


def test_several_nonces_are_taken_at_once(tmp_path):
    """They follow each other, and whoever comes next goes on after the last of them."""
    nonces = Nonces(KEY, "localnet", tmp_path, lambda: NOW)
    assert list(nonces.take(3)) == [NOW, NOW + 1, NOW + 2]
    assert Nonces(KEY, "localnet", tmp_path, lambda: NOW).next() == NOW + 3


def test_a_restart_goes_on_after_the_last_nonce(tmp_path):
    """Another object with the same key knows what was used, though the clock was set back."""
    first = Nonces(KEY, "localnet", tmp_path, lambda: NOW).next()
    again = Nonces("0x" + KEY[2:].upper(), "localnet", tmp_path, lambda: NOW - 60_000)
    assert again.next() == first + 1


def test_threads_share_the_counter(tmp_path):
    """Eight threads with two objects get 400 different nonces."""
    counters = [Nonces(KEY, "localnet", tmp_path, lambda: NOW) for _ in range(2)]
    taken = []

    def take(number):
        taken.extend(counters[number % 2].next() for _ in range(50))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(NOW, NOW + 400))


def test_processes_share_the_counter(tmp_path):
    """Three processes at once never get the same nonce, and each gets rising ones."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=take_many, args=(tmp_path, 60, out)) for _ in range(3)]
    for worker in workers:
        worker.start()
    lists = [out.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()

    assert len({nonce for one in lists for nonce in one}) == 180
    assert all(one == sorted(one) for one in lists)


def test_keys_and_networks_count_for_themselves(tmp_path):
    """Another key or network begins at the clock."""
    Nonces(KEY, "localnet", tmp_path, lambda: NOW + 50).next()
    assert Nonces(KEY, "testnet", tmp_path, lambda: NOW).next() == NOW
    assert Nonces("0x" + "cd" * 20, "localnet", tmp_path, lambda: NOW).next() == NOW


def test_a_clock_far_behind_is_refused(tmp_path):
    """Nonces too far ahead would be refused by the venue for a day: the clock has to be mended."""
    Nonces(KEY, "localnet", tmp_path, lambda: NOW + DAY_MS).next()
    with pytest.raises(ConfigError, match=r"24\.0 h behind"):
        Nonces(KEY, "localnet", tmp_path, lambda: NOW).next()
    assert FURTHEST_AHEAD_MS < DAY_MS


def test_a_damaged_file_stops_the_counter(tmp_path):
    """A lost counter is not begun anew silently."""
    nonces = Nonces(KEY, "localnet", tmp_path)
    nonces.next()
    next(tmp_path.rglob("*localnet-0x*[!k]")).write_text("12x\n")
    with pytest.raises(StorageError, match="damaged"):
        nonces.next()


def test_the_state_folder_can_be_moved(monkeypatch, tmp_path):
    """XDG_STATE_HOME says where it is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "ftbt"
