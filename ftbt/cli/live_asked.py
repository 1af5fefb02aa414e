"""What the options of `ftbt live` ask for, checked before anything is connected or sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ftbt.backtest.portfolio import Sleeve
from ftbt.backtest.settings import Settings
from ftbt.cli.asked import KEYS, experiment_of, flag, names_given
from ftbt.cli.live_keys import key_and_account
from ftbt.cli.live_place import place_of
from ftbt.cli.live_state import LIVE
from ftbt.data.candles import Candles
from ftbt.data.market import coin_of
from ftbt.data.resolve import load_markets
from ftbt.data.timeframe import Timeframe, parse_time, show_ms, to_ms
from ftbt.deployment.files import load_deployment
from ftbt.deployment.model import Deployment
from ftbt.deployment.permission import (
    changed_code,
    require_permission,
    strategies_of,
    words_for,
)
from ftbt.errors import ConfigError
from ftbt.hyperliquid.budget import MARGIN
from ftbt.hyperliquid.market_data import BarOptions
from ftbt.hyperliquid.network import (
    MAINNET_WORDS,
    Endpoint,
    Mode,
    Network,
    confirm_mainnet,
    endpoint,
    parse_network,
)
from ftbt.hyperliquid.session import Check
from ftbt.live.config import LiveConfig
from ftbt.risk.allocation import EQUAL, FIXED, Allocation
from ftbt.walkforward.ensemble import make_ensemble
from ftbt.walkforward.inputs import check_words, limits_of

# What a deployment brings along; asked for beside it, one of the two would not be what trades.
_DEPLOYED = (
    "strategy", "symbols", "timeframe", "sets", "limits", "no_limits", "allocation", "weights",
    "drawdown_aware", "leverage", "taker_fee", "maker_fee", "half_spread", "slippage_atr",
)  # fmt: skip

Ask = Callable[[str, str], str]


@dataclass(frozen=True, slots=True, eq=False)
class _Traded:
    """What is traded, wherever it was named."""

    name: str
    sleeves: tuple[Sleeve, ...]
    coins: tuple[str, ...]
    timeframe: Timeframe
    settings: Settings
    allocation: Allocation
    checks: tuple[Check, ...]


def ask(options: Mapping[str, Any], typed: Ask) -> tuple[LiveConfig, tuple[Check, ...]]:
    """Return what the options of the command mean, and what was found out on the way.

    Args:
        options: by the names under which they arrive.
        typed: returns the words that a person types: asked for what, and which words.

    Raises:
        InputError: anything that the options name and that cannot be used.
        NetworkError: a local exchange that is not there.
    """
    network, mode = _where(options)
    deployment = None if options["deployment"] is None else load_deployment(options["deployment"])
    given = names_given(options)
    traded = _own(options, given) if deployment is None else _deployed(options, given, deployment)
    place = _endpoint(options, network, mode, deployment, typed)
    if place.is_mainnet and "capital" not in given:
        raise ConfigError("mainnet needs --capital: how much of the account the session sizes by")
    key, account = key_and_account(
        place, options["key_file"], options["account"], rehearsal(options["strategy"])
    )
    dry = bool(options["dry_run"])
    usual = f"{network}-{traded.name}{'-dry' * dry}"
    config = LiveConfig(
        place, key, account, traded.name, traded.sleeves, traded.coins, traded.timeframe,
        traded.settings, options["state"] or LIVE / usual, traded.allocation,
        stored=_stored(options, traded),
        warm_from=_time(options["warmup_from"]), until=_time(options["until"]),
        dry_run=dry, on_stop=options["on_stop"],
        bar_options=_bar_options(place, traded.timeframe),
        request_margin=request_margin(options["request_margin"], place),
    )  # fmt: skip
    return config, traded.checks


def rehearsal(strategy: str | None) -> str:
    """Return the command that needs neither key nor network."""
    return f"ftbt rehearse --strategy {strategy or 'liquidity_sweep'}"


def _where(options: Mapping[str, Any]) -> tuple[Network, Mode]:
    mode, network = options["mode"], options["network"]
    if mode is None or network is None:
        raise ConfigError(
            "name where to trade: --mode paper --network localnet (this machine) or testnet (play"
            " money), or --mode live --network mainnet (real money); to rehearse first, without"
            f" key or network: {rehearsal(options['strategy'])}"
        )
    if options["deployment"] is None and options["strategy"] is None:
        raise ConfigError(
            "name what to trade: --strategy liquidity_sweep --symbol BTC, or --deployment FILE"
            " (made by `ftbt promote`)"
        )
    return parse_network(network), Mode(mode)


def _endpoint(
    options: Mapping[str, Any],
    network: Network,
    mode: Mode,
    deployment: Deployment | None,
    typed: Ask,
) -> Endpoint:
    """Return where to trade; real money needs the words."""
    if network is not Network.MAINNET or mode is Mode.PAPER or options["url"] is not None:
        return place_of(network, mode, options["url"])
    words = words_for(deployment)
    said = options["say"] or (typed("this was not judged fit for real money", words) or ""
                              if words else "")  # fmt: skip
    require_permission(deployment, "mainnet", said)
    confirmed = options["confirm"] or typed("this is real money", MAINNET_WORDS)
    return endpoint(network, mode, confirmation=confirm_mainnet(confirmed))


def _own(options: Mapping[str, Any], given: set[str]) -> _Traded:
    """Return what the options of a back-test name."""
    wanted = {name for name in given & set(KEYS) if name != "data"}
    experiment = experiment_of(options, wanted)
    check_words(experiment)
    timeframe = Timeframe.parse(experiment.data.timeframe)
    allocation = Allocation(**experiment.allocation.given())
    ensemble = make_ensemble(experiment.strategy, timeframe, allocation)
    members = ensemble.members
    if len(members) > 1 and allocation.method not in (EQUAL, FIXED):
        raise ConfigError(
            f"--allocation {allocation.method} measures risk in the past: `ftbt walkforward` does,"
            " and a --deployment of it has the shares; here give --weights"
        )
    shares, _ = allocation.weights_from(None, len(members))
    sleeves = tuple(
        Sleeve(one.strategy, one.space.fixed, float(share))
        for one, share in zip(members, shares, strict=True)
    )
    coins = tuple(experiment.data.symbols)
    settings = Settings(**experiment.backtest.money(), limits=limits_of(experiment.risk))
    name = "-".join([ensemble.name, *coins, timeframe.text])
    unjudged = Check("verdict", f"none: nobody has judged {ensemble.name}", warning=True)
    return _Traded(name, sleeves, coins, timeframe, settings, allocation, (unjudged,))


def _deployed(options: Mapping[str, Any], given: set[str], deployment: Deployment) -> _Traded:
    """Return what a deployment names; of the options only the capital may differ."""
    beside = sorted(given & set(_DEPLOYED))
    if beside:
        raise ConfigError(
            f"{flag(beside[0])} is given beside --deployment: what was judged is what trades; drop"
            " one of them"
        )
    found = strategies_of(deployment)
    sleeves = tuple(
        Sleeve(strategy, dict(one.parameters), one.share)
        for strategy, one in zip(found, deployment.strategies, strict=True)
        if one.share > 0.0
    )
    if not sleeves:
        raise ConfigError(f"the search of {deployment.run_id} found nothing to trade: no strategy")
    settings = deployment.settings
    if options["capital"] is not None:
        settings = replace(settings, capital=options["capital"])
    coins = tuple(coin_of(one.symbol) for one in deployment.symbols)
    return _Traded(
        deployment.run_id, sleeves, coins, Timeframe.parse(deployment.timeframe), settings,
        deployment.shares, tuple(_judged(deployment)),
    )  # fmt: skip


def _judged(deployment: Deployment) -> list[Check]:
    import time  # noqa: PLC0415 - the only place that asks this clock

    verdict = deployment.verdict
    checks = [
        Check("deployment", f"{deployment.run_id}: content and strategies are what was judged"),
        Check("verdict", verdict.headline, warning=bool(words_for(deployment))),
    ]
    if deployment.overdue(int(time.time() * 1000)):
        due = show_ms(deployment.schedule.due_ms)
        text = f"were due to be searched again at {due}: older than any that the verdict is about"
        checks.append(Check("parameters", text, warning=True))
    changed = changed_code(deployment)
    return [*checks, Check("code", changed, warning=True)] if changed else checks


def _stored(options: Mapping[str, Any], traded: _Traded) -> dict[str, Candles] | None:
    """Return candles for what the exchange no longer has: the newest stretch without a hole."""
    if options["data"] is None:
        if options["store"] is not None:
            raise ConfigError("--store is for --data: name the exchange in the store as well")
        return None
    return {
        coin: load_markets(
            options["data"], coin, traded.timeframe.text, holes="split",
            store_root=options["store"],
        )[-1].candles
        for coin in traded.coins
    }  # fmt: skip


def _time(text: str | None) -> int | None:
    return None if text is None else to_ms(parse_time(text))


def _bar_options(place: Endpoint, timeframe: Timeframe) -> BarOptions | None:
    # A replay is as fast as it likes: minutes of it say nothing about how old a bar is.
    return BarOptions(fresh_ms=timeframe.ms // 2) if place.is_local else None


def request_margin(asked: float | None, place: Endpoint) -> float:
    """Return which part of the exchange's request budget is used.

    Raises:
        ConfigError: another one than usual, on an exchange that keeps its budget.
    """
    if asked is None:
        return MARGIN
    if not place.is_local:
        raise ConfigError("--request-margin is for a local exchange that keeps no budgets")
    if not asked > 0.0:
        raise ConfigError(f"--request-margin must be above 0, not {asked:g}")
    return asked
