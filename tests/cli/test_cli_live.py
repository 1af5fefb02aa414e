"""`ftbt live` before it reaches an exchange: what must be named, and what is refused."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account

from ftbt.cli import live_asked
from ftbt.cli.live_asked import ask
from ftbt.cli.main import run
from ftbt.deployment.files import write_deployment
from ftbt.deployment.model import (
    Account as DeployedAccount,
)
from ftbt.deployment.model import (
    Costs,
    DeployedStrategy,
    DeployedSymbol,
    DeployedVerdict,
    Deployment,
    Schedule,
)
from ftbt.deployment.permission import UNJUDGED
from ftbt.errors import ConfigError
from ftbt.risk.limits import Limits
from ftbt.strategy.loader import find_strategy
from ftbt.walkforward.fingerprint import code_hash

PLAIN = '''
import backtrader as bt


class Idle(bt.Strategy):
    """Does nothing."""

    params = dict(length=3)
'''
LOCAL = ["--mode", "paper", "--network", "localnet", "--url", "http://127.0.0.1:9"]
TESTNET = ["--mode", "paper", "--network", "testnet"]
MAINNET = ["--mode", "live", "--network", "mainnet"]
REAL = [*MAINNET, "--confirm", "trade real money"]
ACCOUNT = ["--account", "0x" + "ab" * 20]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with one strategy, without keys."""
    for name in ("FTBT_AGENT_KEY", "FTBT_AGENT_KEY_FILE", "FTBT_AGENT_KEY_PASSWORD",
                 "FTBT_ACCOUNT", "FTBT_STORE", "FTBT_STRATEGIES"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "idle.py").write_text(PLAIN)
    return tmp_path


def key_file(place: Path) -> Path:
    """Return a key file as it should be."""
    path = place / "agent.key"
    path.touch(mode=0o600)
    path.write_text("0x" + "5e" * 32)
    return path


def deployment(place: Path, state: str = "PASS", **changes: object) -> Path:
    """Write a deployment of the strategy of these tests."""
    found = find_strategy("idle")
    made = Deployment(
        format=1, run_id="idle-BTC-15m-0000",
        strategies=(DeployedStrategy("idle", "idle.py", "Idle", found.sha256, 1.0, {"length": 5}),),
        allocation={"method": "equal"},
        symbols=(DeployedSymbol("BTC/USDT:USDT", "binance", "f", 0, 900_000, 0, True),),
        timeframe="15m", costs=Costs(0.00045, 0.00015, 0.0001, 0.02),
        account=DeployedAccount(20_000.0, 5.0, "auto"),
        limits={name: getattr(Limits(), name) for name in Limits.__dataclass_fields__},
        schedule=Schedule("90d", "30d", "30d", "0", "0", False, 10, "sharpe", 5, "best", 1, 3,
                          0, 1, 2, 3, 4_000_000_000_000),
        verdict=DeployedVerdict(state, "a headline", "a sentence", "", "", False, "run", "a"),
        code=code_hash(), versions={},
    )  # fmt: skip
    return write_deployment(place / "deployment.json", replace(made, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name where to trade: --mode paper --network localnet"),
        ([], "ftbt rehearse --strategy liquidity_sweep"),
        (["--mode", "paper"], "name where to trade"),
        (["--network", "testnet", "--strategy", "idle"], "ftbt rehearse --strategy idle"),
        (["--mode", "real"], "'real' is not one of 'paper', 'live'"),
        (LOCAL, "name what to trade: --strategy liquidity_sweep --symbol BTC"),
        (["--mode", "paper", "--network", "tesnet", "--strategy", "idle"], "mean 'testnet'"),
        (["--mode", "paper", "--network", "mainnet", "--strategy", "idle"], "paper can't trade"),
        (["--mode", "live", "--network", "testnet", "--strategy", "idle"], "testnet has none"),
        (["--mode", "live", "--network", "localnet", "--strategy", "idle"], "localnet has none"),
        ([*TESTNET, "--strategy", "idle", "--url", "http://127.0.0.1:1"], "testnet has its own"),
        ([*LOCAL[:4], "--url", "https://api.hyperliquid.xyz", "--strategy", "idle"],
         "a local exchange is at http://127.0.0.1:PORT"),
        ([*LOCAL, "--strategy", "idel"], "did you mean 'idle'?"),
        ([*LOCAL, "--strategy", "idle", "--set", "lenght=3"], "did you mean 'length'?"),
        ([*LOCAL, "--strategy", "idle", "--symbol", "BTC,BTC"], "BTC is given twice"),
        ([*LOCAL, "--strategy", "idle", "--timeframe", "quarter"], "timeframe"),
        ([*LOCAL, "--strategy", "idle", "--capital", "-5"], "capital"),
        ([*LOCAL, "--strategy", "idle", "--limit", "positons=2"], "did you mean 'positions'?"),
        ([*LOCAL, "--strategy", "idle"], "no local exchange answers at http://127.0.0.1:9"),
        ([*TESTNET, "--strategy", "idle"], "testnet needs the key of an agent wallet"),
        ([*TESTNET, "--strategy", "idle"], "without a key: ftbt rehearse --strategy idle"),
        ([*TESTNET, "--strategy", "idle", "--key-file", "none.key", *ACCOUNT],
         "cannot read the key file none.key"),
        ([*MAINNET, "--strategy", "idle"], f"repeat exactly: {UNJUDGED}"),
        ([*REAL, "--strategy", "idle"], f"repeat exactly: {UNJUDGED}"),
        ([*REAL, "--strategy", "idle", "--say", "I trade"], f"repeat exactly: {UNJUDGED}"),
        ([*MAINNET, "--strategy", "idle", "--say", UNJUDGED], "type exactly 'trade real money'"),
        ([*MAINNET, "--confirm", "yes", "--strategy", "idle", "--say", UNJUDGED],
         "type exactly 'trade real money' (got 'yes')"),
        ([*REAL, "--strategy", "idle", "--say", UNJUDGED], "mainnet needs --capital"),
        ([*REAL, "--strategy", "idle", "--say", UNJUDGED, "--capital", "300"],
         "mainnet needs the key of an agent wallet"),
        ([*LOCAL, "--deployment", "deploymnt.json"], "no deployment file deploymnt.json"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_one_line(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every wrong command line ends with 2 and one line that says what to name."""
    assert run(["live", *words]) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert len(err.splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--strategy", "idle"], "--strategy is given beside --deployment"),
        (["--symbol", "ETH"], "--symbol is given beside --deployment"),
        (["--set", "length=4"], "--set is given beside --deployment"),
        (["--limit", "positions=9"], "--limit is given beside --deployment"),
        (["--leverage", "20"], "--leverage is given beside --deployment"),
    ],
)
def test_a_deployment_trades_as_judged(
    place: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a deployment names can't be named beside it."""
    path = deployment(place)
    assert run(["live", *LOCAL, "--deployment", str(path), *words]) == 2
    assert says in capsys.readouterr().err


def test_real_money_asks_for_the_words_of_the_verdict(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A FAIL is refused on mainnet until its words are said; a PASS has none."""
    failed = ["live", *REAL, "--deployment", str(deployment(place, "FAIL")), "--capital", "300"]
    words = "I trade real money on a verdict of FAIL"
    assert run(failed) == 2
    assert f"repeat exactly: {words}" in capsys.readouterr().err
    assert run([*failed, "--say", words]) == 2
    assert "needs the key" in capsys.readouterr().err

    passed = ["live", *REAL, "--deployment", str(deployment(place)), "--capital", "300"]
    assert run(passed) == 2
    assert "needs the key" in capsys.readouterr().err


def test_a_changed_strategy_is_not_the_deployed_one(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The strategy file of a deployment must be the one that was judged."""
    path = deployment(place)
    (place / "strategies" / "idle.py").write_text(PLAIN + "\n# changed\n")
    assert run(["live", *LOCAL, "--deployment", str(path)]) == 2
    assert "changed since the run" in capsys.readouterr().err


def asked(*words: str) -> live_asked.LiveConfig:
    """Return what a command line asks for."""
    from ftbt.cli.live import live

    context = live.make_context("live", list(words))
    return ask(context.params, lambda _why, _words: "")[0]


def test_a_deployment_is_taken_over(place: Path) -> None:
    """Strategy, parameters, coin, costs and leverage are the deployment's; capital may differ.

    Its state folder is named after network and run, and after the dry run.
    """
    path = str(deployment(place))
    common = [*TESTNET, "--deployment", path, "--key-file", str(key_file(place)), *ACCOUNT]
    config = asked(*common, "--capital", "500")

    assert [one.parameters for one in config.sleeves] == [{"length": 5}]
    assert config.coins == ("BTC",)
    assert (config.settings.capital, config.settings.leverage) == (500.0, 5.0)
    assert config.state == Path("results/live/testnet-idle-BTC-15m-0000")
    assert config.deployment == "idle-BTC-15m-0000"
    assert config.key.address == Account.from_key("0x" + "5e" * 32).address.lower()
    assert asked(*common).settings.capital == 20_000.0
    dry = asked(*common, "--dry-run")
    assert (dry.dry_run, dry.state.name) == (True, "testnet-idle-BTC-15m-0000-dry")


def test_options_mean_what_they_mean_for_a_backtest(place: Path) -> None:
    """Strategy, symbols, parameters, limits, weights and times arrive in the session's config."""
    (place / "strategies" / "still.py").write_text(PLAIN.replace("Idle", "Still"))
    config = asked(
        *TESTNET, "--strategy", "idle,still", "--symbol", "ETH,BTC", "--timeframe", "1h",
        "--param", "idle.length=7", "--weights", "0.25,0.75", "--limit", "positions=1",
        "--until", "2030-01-02", "--warmup-from", "2030-01-01", "--on-stop", "flatten",
        "--key-file", str(key_file(place)), *ACCOUNT,
    )  # fmt: skip

    assert [(dict(one.parameters), one.share) for one in config.sleeves] == [
        ({"length": 7}, 0.25), ({}, 0.75)]  # fmt: skip
    assert config.coins == ("ETH", "BTC")
    assert config.timeframe.text == "1h"
    assert config.settings.limits.positions == 1
    assert config.until is not None
    assert config.warm_from is not None
    assert config.until - config.warm_from == 86_400_000
    assert config.on_stop == "flatten"


@pytest.mark.parametrize(
    ("option", "line"),
    [("--capital", "capital must be from 1"), ("--leverage", "leverage must be from 1")],
)
def test_a_zero_is_not_the_usual_value(place: Path, option: str, line: str) -> None:
    """A capital or leverage of 0 is refused; the session never sizes by another number."""
    with pytest.raises(ConfigError, match=line):
        asked(*TESTNET, "--strategy", "idle", option, "0",
              "--key-file", str(key_file(place)), *ACCOUNT)  # fmt: skip


def test_a_full_disk_is_said(place: Path) -> None:
    """A journal that there is no room for stops the start with one line and exit code 2."""
    words = [*TESTNET, "--strategy", "idle", "--key-file", str(key_file(place)), *ACCOUNT]
    done = subprocess.run(
        [sys.executable, "-m", "ftbt", "live", *words], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)), check=False,
    )  # fmt: skip

    assert done.returncode == 2, done.stderr
    assert "FAILED   journal" in done.stdout
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
