"""`ftbt live` as a process: it trades, stops as told, goes on where it was killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from trading_kit import COIN, STEP, Trader, drive, exchange, strategy_file

from ftbt.backtest.result import TRADE
from ftbt.cli.main import run
from ftbt.data.timeframe import from_ms
from ftbt.hyperliquid.keys import KEY_VARIABLE
from ftbt.live.journal import read_journal
from ftbt.localnet.process import Localnet, named_key


@pytest.fixture(scope="module")
def net() -> Iterator[Localnet]:
    """Yield the local exchange of this module; its market only goes on."""
    with exchange() as running:
        yield running


@pytest.fixture
def new_trader(net: Localnet, tmp_path: Path) -> Iterator[Callable[[str], Trader]]:
    """Yield a maker of traders by name; none outlives its test, and no fault does."""
    made: list[Trader] = []

    def make(name: str, account: str = "") -> Trader:
        made.append(Trader(net, tmp_path / name, account or name))
        return made[-1]

    yield make
    for one in made:
        one.gone()
    net.control("/faults", method="DELETE")


def trades(trader: Trader) -> np.ndarray:
    """Return all closed trades in a journal, a row each.

    Numbers of bars are left out: a process counts from the first bar of its own history.
    """
    with read_journal(trader.state / "journal.db") as reader:
        rows = [event.body["row"] for event in reader.events(kinds=("trade",))]
    return np.array(rows, float).reshape(-1, len(TRADE.names or ()))[:, 2:]


def kinds(trader: Trader) -> list[str]:
    """Return the kinds of all events in a journal."""
    with read_journal(trader.state / "journal.db") as reader:
        return [event.kind for event in reader.events()]


def until_held(net: Localnet, traders: list[Trader]) -> None:
    """Let the market trade, bar by bar, until all *traders* hold a position."""
    for _ in range(40):
        drive(net, traders, (net.market_time() // STEP + 1) * STEP)
        if all(trader.position() for trader in traders):
            return
    raise AssertionError("nobody bought")


def test_killed_with_a_position_it_goes_on_to_the_same_end(
    net: Localnet, new_trader: Callable[..., Trader]
) -> None:
    """Killed while it holds a position and started again, it has the trades of one that ran on."""
    whole, killed = (new_trader(name) for name in ("whole", "killed"))
    for one in (whole, killed):
        one.start()
    until_held(net, [whole, killed])
    before = len(trades(killed))
    killed.kill()
    # Two bars pass without it; its stop and targets stand on the exchange.
    drive(net, [whole], (net.market_time() // STEP + 2) * STEP)
    killed.start()
    drive(net, [whole, killed], (net.market_time() // STEP + 20) * STEP)
    for one in (whole, killed):
        assert one.ends() == 0, one.output()

    expected, found = trades(whole), trades(killed)
    assert len(found) > before
    assert len(found) >= 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert kinds(killed).count("session") == 2
    assert net.state()["balanced"]


def test_it_stops_as_told_and_shows_no_secret(
    net: Localnet, new_trader: Callable[..., Trader], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Ctrl-C keeps the position with its stop; with --on-stop flatten it closes it; exit code 0.

    Neither what it prints nor what it writes holds the key. While it runs, a second process with
    the same key, or the same state, is refused in one line.
    """
    trader = new_trader("stopped")
    trader.start()
    until_held(net, [trader])
    monkeypatch.setenv("XDG_STATE_HOME", trader.environment()["XDG_STATE_HOME"])
    for more, says in (
        (["--state", str(trader.folder / "other")], "another process trades on localnet"),
        (["--dry-run"], f"{trader.state}: end it first"),
    ):
        assert run(trader.words(*more)) == 2
        assert says in capsys.readouterr().err

    assert trader.ends() == 0, trader.output()
    said = trader.output()
    assert "ok       agent" in said
    assert "trading begins" in said
    assert "enters long (confidence 77, the eighth bar" in said
    assert "with their stops and targets on the exchange" in said
    assert f"stays on the exchange: {COIN} +" in said
    assert trader.position() > 0.0
    assert any(order["isTrigger"] for order in trader.orders())

    trader.start("--on-stop", "flatten")
    assert f"ok       positions            {COIN} +" in trader.output()
    assert trader.ends() == 0, trader.output()
    assert trader.position() == 0.0
    assert trader.orders() == []
    assert "no position stays" in trader.output()
    secret = trader.agent.secret.removeprefix("0x").encode()
    for path in trader.folder.rglob("*"):
        if path.is_file() and path != trader.key_file:
            assert secret not in path.read_bytes().lower(), path


def test_a_dry_run_decides_and_sends_nothing(
    net: Localnet, new_trader: Callable[..., Trader]
) -> None:
    """With --dry-run and --until it decides, places no order, and ends by itself with 0."""
    trader = new_trader("dry")
    last = (net.market_time() // STEP + 17) * STEP
    trader.start("--dry-run", "--json", "--until", from_ms(last).isoformat())
    drive(net, [trader], last - STEP)
    net.run_until(last)

    assert trader.ends(0) == 0, trader.output()
    with read_journal(trader.state / "journal.db") as reader:
        assert list(reader.sent()) == []
        assert any(one.body["side"] for one in reader.events(kinds=("decision",)))
    assert trader.orders() == []
    assert net.fills_of(trader.user.address) == 0
    lines = [line for line in trader.output().splitlines() if line]
    assert all(line.startswith('{"what": "') for line in lines), trader.output()
    assert {'{"what": "check"', '{"what": "event"', '{"what": "status"', '{"what": "summary"'} <= {
        line.partition(",")[0] for line in lines
    }


@pytest.mark.parametrize(
    ("key", "account", "says"),
    [
        ("user", "user", "this is the key of the account"),
        ("stranger", "user", "is not approved for"),
        ("agent of other", "user", "is approved for"),
        ("agent of user", "agent of other", "is an API wallet: give the address of the account"),
        ("agent of user", "nobody", "the exchange does not know"),
    ],
)
def test_a_wrong_key_is_explained(
    net: Localnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], key: str, account: str, says: str,
) -> None:  # fmt: skip
    """A key that may not trade for the account stops the start: a FAILED line, exit code 2."""
    for name in ("user", "other"):
        user, agent = (named_key(one).address for one in (name, f"agent of {name}"))
        net.fund(user)
        net.control("/agent", {"user": user, "agent": agent, "name": "a"})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv(KEY_VARIABLE, named_key(key).secret)
    words = ["live", "--mode", "paper", "--network", "localnet", "--url", net.url, "--strategy",
             str(strategy_file(tmp_path)), "--state", str(tmp_path / "state"), "--account",
             named_key(account).address]  # fmt: skip

    assert run(words) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert "FAILED   agent" in out
    assert named_key(key).secret.removeprefix("0x") not in out + err


def test_without_a_key_the_local_agent_trades(
    net: Localnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """On a local exchange no key is needed; a coin that it does not have is named."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    words = ["live", "--mode", "paper", "--network", "localnet", "--url", net.url, "--strategy",
             str(strategy_file(tmp_path)), "--symbol", "BTX", "--state",
             str(tmp_path / "state")]  # fmt: skip

    for _ in range(2):  # the second time the agent is there already
        assert run(words) == 2
        assert "the exchange has no 'BTX' - did you mean 'BTC'?" in capsys.readouterr().err
    known = net.control("/state")["accounts"]
    assert named_key("user").address in known


@pytest.mark.slow
def test_a_second_interrupt_ends_at_once(net: Localnet, new_trader: Callable[..., Trader]) -> None:
    """Ctrl-C twice ends within seconds and with 130, whatever waits."""
    trader = new_trader("hurried")
    trader.start("--on-stop", "flatten")
    until_held(net, [trader])
    net.fault("hang", match={"path": "exchange"}, lasts=30.0)
    assert trader.process is not None
    trader.process.send_signal(signal.SIGINT)
    trader.wait(lambda status: status["busy"] > 0)

    assert trader.ends(seconds=15.0) == 130
    assert "Traceback" not in trader.output()
