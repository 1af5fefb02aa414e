"""The deployment file: goes both ways, and every change by hand is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judged_kit import Judged

from ftbt.deployment.files import HASH, content_hash, load_deployment, write_deployment
from ftbt.deployment.model import Deployment
from ftbt.deployment.permission import may_trade, require_permission, words_for
from ftbt.deployment.promote import promote
from ftbt.errors import InputError


@pytest.fixture(scope="module")
def made(judged: Judged) -> Deployment:
    """Return a deployment."""
    return promote(judged.folder, [judged.strategies])


def signed(path: Path, deployment: Deployment, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a deployment with a *change*, under a hash that fits: as a faulty writer would."""
    plain = json.loads(write_deployment(path, deployment).read_text())
    change(plain)
    plain[HASH] = content_hash(plain)
    path.write_text(json.dumps(plain))
    return path


def test_what_was_written_is_read(made: Deployment, tmp_path: Path) -> None:
    """All values come back equal, numbers with their types, in a frozen value."""
    found = load_deployment(write_deployment(tmp_path / "d.json", made))

    assert found == made
    for one, other in zip(found.strategies, made.strategies, strict=True):
        kinds = {name: type(value) for name, value in one.parameters.items()}
        assert kinds == {name: type(value) for name, value in other.parameters.items()}
    with pytest.raises(AttributeError):
        found.timeframe = "1m"  # type: ignore[misc]


def test_layout_is_no_change(made: Deployment, tmp_path: Path) -> None:
    """An editor that only lays the file out anew has changed nothing."""
    path = write_deployment(tmp_path / "d.json", made)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=7))

    assert load_deployment(path) == made


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"state": "NOT JUDGED"', '"state": "PASS"'),
        ('"positions": 2', '"positions": 9'),
        ('"flip": true', '"flip": false'),
        ('"share": 0.75', '"share": 0.76'),
    ],
)
def test_every_change_by_hand_is_noticed(
    made: Deployment, tmp_path: Path, old: str, new: str
) -> None:
    """A verdict, a limit, a parameter, a share: changed after the fact, the file is not read."""
    path = write_deployment(tmp_path / "d.json", made)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))

    with pytest.raises(InputError, match="was changed after it was made"):
        load_deployment(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p["costs"].update(takerfee=0.1), "unknown key costs.takerfee - did you mean"),
        (lambda p: p["strategies"][0].update(x=1), "unknown key strategies[0].x; known here"),
        (lambda p: p.update(verdct={}), "unknown key verdct - did you mean 'verdict'?"),
        (lambda p: p["limits"].update(position=3), "unexpected keyword argument 'position'"),
        (lambda p: p["limits"].pop("drawdown"), "limits has no drawdown"),
        (lambda p: p["limits"].update(drawdown=7.0), "limit drawdown must be from 0.01 to 1.0"),
        (lambda p: p["costs"].update(taker_fee=0.5), "taker_fee must be from 0 to 0.05"),
        (lambda p: p["costs"].update(taker_fee="0"), "costs.taker_fee: input should be a valid"),
        (lambda p: p["schedule"].pop("due_ms"), "schedule.due_ms is missing"),
        (lambda p: p["verdict"].update(state="GOOD"), "verdict.state: input should be 'NOT"),
        (lambda p: p.update(strategies=[]), "needs at least one strategy"),
        (lambda p: p.update(format=2), "format 2, this ftbt reads 1"),
    ],
)  # fmt: skip
def test_what_no_deployment_has_is_refused(
    made: Deployment, tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    """An unknown key, a value out of its range or of another type is one line with its place."""
    path = signed(tmp_path / "d.json", made, change)

    with pytest.raises(InputError) as caught:
        load_deployment(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not JSON"), ("[1]", "not a JSON object"), ('{"format": null}', "format None")],
)
def test_other_files_are_no_deployments(tmp_path: Path, text: str, says: str) -> None:
    """Damage is told as such."""
    path = tmp_path / "d.json"
    path.write_text(text)

    with pytest.raises(InputError, match=says):
        load_deployment(path)
    with pytest.raises(InputError, match=r"did you mean 'd\.json'"):
        load_deployment(tmp_path / "dd.json")


def judged_as(made: Deployment, state: str, synthetic: bool = False) -> Deployment:
    """Return the deployment with another verdict."""
    return replace(made, verdict=replace(made.verdict, state=state, synthetic=synthetic))


@pytest.mark.parametrize("mode", ["paper", "localnet", "testnet"])
@pytest.mark.parametrize("state", ["NOT JUDGED", "FAIL", "INCONCLUSIVE", "PASS"])
def test_without_money_everything_may(made: Deployment, mode: Any, state: str) -> None:
    """Paper, the local exchange and a testnet take any verdict, on any market."""
    assert may_trade(judged_as(made, state), mode).allowed
    assert may_trade(judged_as(made, state, synthetic=True), mode).allowed


def test_a_pass_on_a_real_market_may_trade_money(made: Deployment) -> None:
    """Nothing has to be said then."""
    found = may_trade(judged_as(made, "PASS"), "mainnet")

    assert found.allowed
    assert found.words == words_for(judged_as(made, "PASS")) == ""


@pytest.mark.parametrize(
    ("state", "synthetic", "words"),
    [
        ("FAIL", False, "I trade real money on a verdict of FAIL"),
        ("INCONCLUSIVE", False, "I trade real money on a verdict of INCONCLUSIVE"),
        ("NOT JUDGED", False, "I trade real money on a verdict of NOT JUDGED"),
        ("PASS", True, "I trade real money on a verdict of PASS about a made-up market"),
    ],
)
def test_any_other_verdict_has_to_be_said(
    made: Deployment, state: str, synthetic: bool, words: str
) -> None:
    """Mainnet is refused until exactly the words are repeated; other words don't do."""
    deployment = judged_as(made, state, synthetic)
    refused = may_trade(deployment, "mainnet")

    assert not refused.allowed
    assert refused.words == words
    assert refused.reason.endswith(f"repeat exactly: {words}")
    assert may_trade(deployment, "mainnet", f"  {words}\n").allowed
    for other in ("yes", words.lower(), "I trade real money on a verdict of PASS", words + "!"):
        assert not may_trade(deployment, "mainnet", other).allowed
    require_permission(deployment, "mainnet", words)
    with pytest.raises(InputError, match="mainnet is refused"):
        require_permission(deployment, "mainnet")


def test_an_unknown_mode_is_no_permission(made: Deployment) -> None:
    """A mistyped mode is an error, never a yes."""
    with pytest.raises(InputError, match="mode"):
        may_trade(made, "mainet")  # type: ignore[arg-type]
