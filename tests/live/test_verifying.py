"""`ftbt verify`: its trials prove themselves on a local exchange, and leave the account flat."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trading_kit import COIN, exchange

from ftbt.cli.main import run
from ftbt.cli.verify import NAMES
from ftbt.live.verifying import TRIALS
from ftbt.localnet.process import Localnet, named_key


@contextmanager
def falling(net: Localnet) -> Iterator[None]:
    """Let the price fall a little, again and again."""
    over = threading.Event()

    def fall() -> None:
        while not over.wait(0.7):
            price = float(net.state()["marks"][COIN]) * 0.9996
            net.control("/market/price", {"coin": COIN, "price": f"{price:.0f}"})
            net.run_until(net.market_time() + 60_000)

    thread = threading.Thread(target=fall)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_every_trial_finds_what_is_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All trials run; what can be told is as assumed; nothing is held and nothing waits after."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with exchange() as net:
        net.control("/market/depth", {"notional": "40"})
        common = ["verify", "--network", "localnet", "--url", net.url, "--symbol", COIN,
                  "--wait", "20", "--json", "--request-margin", "1000"]  # fmt: skip
        moving = ["--check", "trigger", "--check", "candle"]
        still = [word for name in NAMES if name not in moving for word in ("--check", name)]
        codes = [run([*common, *still])]
        with falling(net):
            codes.append(run([*common, *moving]))
        state = net.state()
    out, err = capsys.readouterr()
    assert codes == [0, 0], out + err
    found: dict[str, Any] = {one["name"]: one for one in map(json.loads, out.splitlines())}
    assert set(found) == {"partial", "nonce", "trigger", "post-only", "expired", "far price",
                          "reduce-only", "candle", "dead man", "equity"}  # fmt: skip
    assert {name for name, one in found.items() if one["same"] is None} <= {"far price", "equity"}
    assert "duplicate nonce" in found["nonce"]["seen"].lower()
    user = named_key("user").address
    assert state["accounts"][user]["positions"] == {}
    assert state["orders"][user] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name where to try: --network testnet"),
        (["--network", "mainnet"], "name where to try"),
        (["--network", "testnet"], "testnet needs the key of an agent wallet"),
        (["--network", "testnet", "--url", "http://127.0.0.1:1"], "testnet has its own"),
        (["--network", "localnet", "--url", "http://127.0.0.1:9"], "no local exchange answers"),
    ],
)
def test_where_is_named(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Trials run on testnet or a local exchange only, and never where nobody named it."""
    for name in ("FTBT_AGENT_KEY", "FTBT_AGENT_KEY_FILE", "FTBT_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    assert run(["verify", *words]) == 2
    assert says in capsys.readouterr().err


def test_the_command_offers_every_trial() -> None:
    """What `--check` takes are the trials that there are."""
    assert tuple(TRIALS) == NAMES
