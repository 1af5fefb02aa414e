"""Faults of HTTP answers, seen through the official SDK: late, cut, wrong, twice or never."""

from __future__ import annotations

import time

import pytest
import requests
from faults_kit import CLOIDS, resting, statuses
from hyperliquid.utils.error import ClientError, ServerError
from hyperliquid.utils.types import Cloid
from localnet_kit import exchange_of, info_of, until

pytestmark = pytest.mark.usefixtures("each_fault_strikes")


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("rate_limited", ClientError, 429),
        ("server_error", ServerError, 500),
        ("bad_gateway", ServerError, 502),
        ("unprocessable", ClientError, 422),
    ],
)
def test_http_answers_that_are_errors(net, info, name, kind, status):
    """The next request is answered with that status, the one after it as ever."""
    net.fault(name, match={"type": "allMids"})
    with pytest.raises(kind) as refused:
        info.all_mids()
    assert refused.value.status_code == status
    assert info.all_mids()


def test_an_answer_that_is_no_json(net, info):
    """The SDK gives back an error object instead of raising."""
    net.fault("not_json", match={"type": "allMids"})
    assert info.all_mids()["error"].startswith("Could not parse JSON")


@pytest.mark.parametrize(
    ("name", "committed"),
    [
        ("hang", False),
        ("reset", False),
        ("commit_then_hang", True),
        ("commit_then_drop", True),
        ("commit_then_bad_gateway", True),
    ],
)
def test_lost_answers(net, info, key, name, committed):
    """The client knows nothing; whether the order exists depends on where it was lost."""
    impatient = exchange_of(net, key, timeout=0.7)
    cloid = Cloid.from_int(next(CLOIDS))
    net.fault(name, match={"path": "exchange", "cloid": cloid.to_raw()}, seconds=3)
    with pytest.raises((requests.exceptions.RequestException, ServerError)):
        resting(impatient, info, cloid)
    found = info.query_order_by_cloid(key.address, cloid)
    assert found["status"] == ("order" if committed else "unknownOid")


def test_a_slow_answer(net, info):
    """It comes, late."""
    net.fault("slow", match={"type": "allMids"}, seconds=0.4)
    before = time.monotonic()
    assert info.all_mids()
    assert time.monotonic() - before > 0.4


def test_a_request_that_is_delivered_twice(net, info, exchange, key):
    """The second delivery dies on its nonce: there is one order."""
    cloid = Cloid.from_int(next(CLOIDS))
    net.fault("duplicate_delivery", match={"cloid": cloid.to_raw()})
    assert "resting" in statuses(resting(exchange, info, cloid))[0]
    mine = [o for o in info.open_orders(key.address) if o.get("cloid") == cloid.to_raw()]
    assert len(mine) == 1


def test_a_kept_connection_that_closes(net):
    """The connection that the client would reuse is gone after the answer."""
    own = info_of(net)
    net.fault("close_after", match={"type": "allMids"})
    assert own.all_mids()
    pool = own.session.get_adapter(net.url).poolmanager.connection_from_url(net.url)
    kept = pool._get_conn()
    until(lambda: not kept.is_connected or kept.sock is None or _is_over(kept.sock), 2)
    kept.close()


def _is_over(line):
    """Tell whether the other side has closed the connection."""
    line.settimeout(0.05)
    try:
        return line.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("name", ["partial_body", "wrong_length"])
def test_bodies_that_end_early(net, info, name):
    """The body is shorter than its length: the client cannot read it."""
    net.fault(name, match={"type": "meta"})
    with pytest.raises(requests.exceptions.RequestException):
        info.meta()


def test_connections_that_are_refused(net, info):
    """Nothing listens for a while, then everything is as before."""
    net.control("/server/refuse", {"seconds": 0.5})
    with pytest.raises(requests.exceptions.ConnectionError):
        info_of(net)
    until(lambda: _answers(info), 5)


def _answers(info):
    try:
        return info.all_mids()
    except requests.exceptions.ConnectionError:
        return None
