"""Faults of the process, and that no kind of fault is without a test."""

from __future__ import annotations

import ast
import signal
from pathlib import Path

import pytest
import requests
from localnet_kit import info_of

from ftbt.errors import InputError
from ftbt.localnet.faults import ACTION_TEXTS, KINDS

pytestmark = pytest.mark.usefixtures("each_fault_strikes")


def test_a_frozen_server_and_a_wrong_clock(net, info, exchange):
    """A stopped process answers nobody until it goes on; a clock that is off refuses nonces."""
    impatient = info_of(net, timeout=0.3)
    net.signal(signal.SIGSTOP)
    with pytest.raises(requests.exceptions.RequestException):
        impatient.all_mids()
    net.signal(signal.SIGCONT)
    assert info.all_mids()
    net.control("/clock", {"wall_offset_ms": -3 * 86_400_000})
    assert exchange.update_leverage(3, "BTC")["response"].startswith(
        "Invalid nonce: nonce too high"
    )
    net.control("/clock", {"wall_offset_ms": 0})
    assert exchange.update_leverage(3, "BTC")["status"] == "ok"


def test_unknown_faults_are_refused(net):
    """A name that does not exist is answered with the nearest that does."""
    with pytest.raises(InputError, match="did you mean 'rate_limited'"):
        net.fault("rate_limitd")


def test_every_fault_has_struck():
    """No kind of fault is without a test that queues it, and what a test queues has to strike."""
    named = set(ACTION_TEXTS)  # all of them are parameters of one test
    for path in Path(__file__).parent.glob("test_localnet_faults*.py"):
        named |= {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    assert set(KINDS) - named == set()
