"""Makes the helper module of these tests importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
if str(_HERE) not in sys.path:
    sys.path.append(str(_HERE))


@pytest.fixture(scope="session")
def net():
    """Run one exchange with two coins for all tests: standing still, without budgets."""
    from localnet_kit import running, wave

    with running(wave("BTC", 40_000, 400), wave("ETH", 2000, 400, seed=4), limits=False) as one:
        one.step()
        yield one


@pytest.fixture(scope="module")
def info(net):
    """Return the SDK's Info."""
    from localnet_kit import info_of

    return info_of(net)


@pytest.fixture(scope="module")
def key(net, request):
    """Return an account of this file's tests."""
    from localnet_kit import new_user

    return new_user(net, request.module.__name__, 100_000)


@pytest.fixture(scope="module")
def exchange(net, key):
    """Return the SDK's Exchange with a short patience."""
    from localnet_kit import exchange_of

    return exchange_of(net, key, account_address=key.address)


@pytest.fixture
def socket(net):
    """Return a connected client."""
    from localnet_kit import Socket

    one = Socket(net)
    yield one
    one.close()


@pytest.fixture
def each_fault_strikes(net, monkeypatch):
    """Clear what waits, and assert afterwards that every fault of the test has struck in it."""
    net.control("/faults", method="DELETE")
    before, queued, queue = len(net.struck()), set(), net.fault

    def fault(name, **spec):
        queue(name, **spec)
        queued.add(name)

    monkeypatch.setattr(net, "fault", fault)
    yield
    assert queued - set(net.struck()[before:]) == set()
    net.control("/faults", method="DELETE")
