"""From a finished, judged run to a deployment; refuses whatever nobody could stand behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftbt.config import Duration
from ftbt.data.timeframe import Timeframe
from ftbt.deployment.model import (
    FORMAT,
    Account,
    Costs,
    DeployedStrategy,
    DeployedSymbol,
    DeployedVerdict,
    Deployment,
    Scalar,
    Schedule,
)
from ftbt.deployment.permission import judged_strategy
from ftbt.errors import InputError, IntegrityError
from ftbt.robustness.assessment_files import NAME, has_assessment, load_assessment
from ftbt.strategy.loader import strategies_folder
from ftbt.strategy.parameters import resolve
from ftbt.walkforward.ensemble import own_parameters
from ftbt.walkforward.result import Manifest, Run, SymbolFacts
from ftbt.walkforward.store import load_run

DEPLOYMENT = "deployment.json"


def promote(folder: Path, places: Iterable[Path] | None = None) -> Deployment:
    """Return the deployment of the run in *folder*: the parameters of its newest window.

    Args:
        folder: of a finished run with a verdict.
        places: folders in which the strategies' files are looked for; None: the folder of
            strategies, then the current one.

    Raises:
        StorageError: no run, an unfinished one, or a file that can't be read.
        InputError: no verdict, or a newest window that failed.
        StrategyNotFound, StrategyBroken: a strategy's file is gone, or changed since the run.
        IntegrityError: the verdict is that of another run.
    """
    run = load_run(folder)
    manifest = run.manifest
    verdict = _verdict(folder, manifest)
    newest = _newest(run)
    folders = [strategies_folder(), Path.cwd()] if places is None else list(places)
    settings = manifest.settings
    return Deployment(
        format=FORMAT,
        run_id=manifest.run_id,
        strategies=_strategies(manifest, newest, folders),
        allocation={**manifest.allocation, "weights": list(manifest.allocation["weights"])},
        symbols=tuple(_symbol(one) for one in manifest.data),
        timeframe=manifest.data[0].timeframe,
        costs=Costs(
            **{
                name: float(settings[name])
                for name in ("taker_fee", "maker_fee", "half_spread", "slippage_atr")
            }
        ),
        account=Account(
            capital=float(settings["capital"]),
            leverage=float(settings["leverage"]),
            engine=run.summary.engine,
        ),
        limits=dict(settings["limits"]),
        schedule=_schedule(manifest, int(newest["window"])),
        verdict=verdict,
        code=manifest.code,
        versions=dict(manifest.versions),
    )


def _verdict(folder: Path, manifest: Manifest) -> DeployedVerdict:
    if not has_assessment(folder):
        raise InputError(
            f"{folder} has no verdict: make it with `{manifest.command}`, which takes the finished"
            " run as it is and judges it"
        )
    found = load_assessment(folder)
    if found.run_id != manifest.run_id:
        raise IntegrityError(f"{folder / NAME} judges another run, {found.run_id}: move it away")
    verdict = found.verdict
    return DeployedVerdict(
        state=verdict.state,
        headline=verdict.headline,
        sentence=verdict.sentence,
        worst=verdict.worst,
        change=verdict.change,
        synthetic=manifest.synthetic,
        run_id=manifest.run_id,
        assessment_sha256=hashlib.sha256((folder / NAME).read_bytes()).hexdigest(),
    )


def _newest(run: Run) -> Mapping[str, Any]:
    row = {str(name): value for name, value in run.windows.iloc[-1].items()}
    if row["state"] != "done":
        raise InputError(
            f"the newest window ({row['window']}) of {run.folder} failed: {row['reason']}; there"
            " are no parameters to trade next. Older ones are not taken in their place"
        )
    return row


def _strategies(
    manifest: Manifest, newest: Mapping[str, Any], folders: list[Path]
) -> tuple[DeployedStrategy, ...]:
    facts = manifest.strategy
    chosen, shares = json.loads(newest["parameters"]), json.loads(newest["weights"])
    files, classes = facts.file.split("+"), facts.class_name.split("+")
    hashes = facts.sha256.split("+")
    made = []
    for number, name in enumerate(facts.names):
        found = judged_strategy(name, files[number], classes[number], hashes[number], folders)
        prefix = f"{name}." if len(facts.names) > 1 else ""
        given = own_parameters({**facts.fixed, **chosen}, prefix)
        values = resolve(found.load(), given, manifest.data[0].timeframe)
        made.append(
            DeployedStrategy(
                name=name,
                file=files[number],
                class_name=classes[number],
                sha256=hashes[number],
                share=float(shares[number]),
                parameters=_plain(values),
            )
        )
    return tuple(made)


def _plain(values: Mapping[str, Any]) -> dict[str, Scalar]:
    return {
        name: value
        for name, value in sorted(values.items())
        if isinstance(value, bool | int | float | str)
    }


def _symbol(facts: SymbolFacts) -> DeployedSymbol:
    return DeployedSymbol(
        symbol=facts.symbol,
        source=facts.source,
        fingerprint=facts.fingerprint,
        start_ms=facts.start_ms,
        end_ms=facts.end_ms,
        last_bar_ms=facts.end_ms - Timeframe.parse(facts.timeframe).ms,
        funding=facts.funding is not None,
    )


def _schedule(manifest: Manifest, number: int) -> Schedule:
    plan, search, window = manifest.plan, manifest.search, manifest.windows[number]
    bar = Timeframe.parse(manifest.data[0].timeframe).ms
    train = window.train or ((window.test[0], window.test[0]),)
    return Schedule(
        train=plan.train,
        test=plan.test,
        step=plan.step,
        purge=plan.purge,
        embargo=plan.embargo,
        anchored=plan.anchored,
        trials=search.trials,
        objective=search.objective,
        min_trades=search.min_trades,
        selection=search.selection,
        seed=search.seed,
        window=number,
        searched_from_ms=train[0][0],
        searched_to_ms=train[-1][1],
        tested_from_ms=window.test[0],
        tested_to_ms=window.test[1],
        due_ms=window.test[0] + Duration.parse(plan.step).bars(bar, "step") * bar,
    )
