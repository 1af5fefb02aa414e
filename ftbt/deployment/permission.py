"""Who may trade where: one rule, asked by everything that could send an order.

Paper, the local exchange and a testnet risk nothing, so they always may. On mainnet a verdict of
PASS on a real market may; every other verdict is refused until the user says in words what they
are about to do. The words name the verdict, so that nobody types them without having read it. A
strategy that was never judged has no verdict, and words of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ftbt.deployment.model import Deployment
from ftbt.errors import InputError, StrategyBroken, StrategyNotFound
from ftbt.robustness.checks import one_of
from ftbt.strategy.loader import StrategyRef, find_strategy, strategies_folder
from ftbt.walkforward.fingerprint import code_hash

Mode = Literal["paper", "localnet", "testnet", "mainnet"]
MODES: tuple[str, ...] = get_args(Mode)
UNJUDGED = "I trade real money without a verdict"


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a deployment may trade.

    Attributes:
        allowed: True: it may.
        reason: one sentence: why, or why not and what to do.
        words: what has to be said to be allowed; empty when nothing has to be.
    """

    allowed: bool
    reason: str
    words: str


def may_trade(deployment: Deployment | None, mode: Mode, said: str = "") -> Permission:
    """Return whether *deployment* may trade in *mode*.

    Args:
        deployment: of `load_deployment`; None for a strategy that nothing has judged.
        mode: `paper`, `localnet`, `testnet` or `mainnet`.
        said: the user's own words; they count when they are exactly the ones asked for (spaces at
            the ends aside).

    Raises:
        InputError: an unknown mode.
    """
    one_of(mode, "mode", MODES)
    if mode != "mainnet":
        return Permission(True, f"{mode} risks no money: any verdict may", "")
    words = words_for(deployment)
    if deployment is not None and not words:
        return Permission(True, f"the verdict of {deployment.verdict.run_id} is PASS", "")
    if said.strip() == words:
        return Permission(True, f"the user said: {words}", words)
    return Permission(
        False,
        f"mainnet is refused: {_why_not(deployment)}; to trade it with real money all the same,"
        f" repeat exactly: {words}",
        words,
    )


def _why_not(deployment: Deployment | None) -> str:
    if deployment is None:
        return "without a deployment (`ftbt promote`) nothing has judged what would be traded"
    verdict = deployment.verdict
    about = " about a made-up market" if verdict.synthetic else ""
    return f"the verdict of {verdict.run_id} is {verdict.state}{about}"


def words_for(deployment: Deployment | None) -> str:
    """Return what a user has to say before this deployment trades real money; empty for a PASS."""
    if deployment is None:
        return UNJUDGED
    verdict = deployment.verdict
    if verdict.state == "PASS" and not verdict.synthetic:
        return ""
    market = " about a made-up market" if verdict.synthetic else ""
    return f"I trade real money on a verdict of {verdict.state}{market}"


def strategies_of(
    deployment: Deployment, places: Iterable[Path] | None = None
) -> tuple[StrategyRef, ...]:
    """Return the strategies of a deployment, each the very file that was judged.

    Args:
        deployment: of `load_deployment`.
        places: folders to look in; None: the folder of strategies, then the current one.

    Raises:
        StrategyNotFound: no such file in any place.
        StrategyBroken: the file changed since the run, or can't be loaded.
    """
    folders = [strategies_folder(), Path.cwd()] if places is None else list(places)
    return tuple(
        judged_strategy(one.name, one.file, one.class_name, one.sha256, folders)
        for one in deployment.strategies
    )


def judged_strategy(
    name: str, file: str, class_name: str, sha256: str, places: Iterable[Path]
) -> StrategyRef:
    """Return the strategy in *file* of one of *places*, whose bytes have this *sha256*.

    Raises:
        StrategyNotFound, StrategyBroken: as in `strategies_of`.
    """
    there = [folder / file for folder in places if (folder / file).is_file()]
    if not there:
        raise StrategyNotFound(
            f"strategy {name}: no file {file} in {' or '.join(str(one) for one in places)}; put"
            " the file of the run there"
        )
    found = [find_strategy(f"{path}:{class_name}") for path in there]
    same = [one for one in found if one.sha256 == sha256]
    if not same:
        raise StrategyBroken(
            f"strategy file {there[0]} changed since the run: what was judged is not what would"
            " trade; restore it, or walk the new one forward"
        )
    return StrategyRef(same[0].path, class_name, name, sha256)


def changed_code(deployment: Deployment) -> str:
    """Return one sentence when ftbt itself is not the one that made the run; empty otherwise."""
    if deployment.code == code_hash():
        return ""
    return (
        f"ftbt changed since the run {deployment.run_id}: its lines and fills may differ from those"
        " that were judged; walk it forward again to be sure"
    )


def require_permission(deployment: Deployment | None, mode: Mode, said: str = "") -> None:
    """Pass when `may_trade` allows it.

    Raises:
        InputError: it does not; the line says which words would change that.
    """
    permission = may_trade(deployment, mode, said)
    if not permission.allowed:
        raise InputError(permission.reason)
