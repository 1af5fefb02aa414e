"""What the options of `walkforward` and `backtest` ask for, as an experiment file would say it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ftbt.errors import ConfigError, ParameterError, did_you_mean

if TYPE_CHECKING:
    from ftbt.config import Experiment

# Where each option belongs in an experiment file.
KEYS = {
    "strategy": "strategy.name",
    "data": "data.source",
    "symbols": "data.symbols",
    "timeframe": "data.timeframe",
    "start": "data.from",
    "end": "data.to",
    "holes": "data.holes",
    "detail": "data.detail",
    "train": "walk_forward.train",
    "test": "walk_forward.test",
    "step": "walk_forward.step",
    "purge": "walk_forward.purge",
    "embargo": "walk_forward.embargo",
    "anchored": "walk_forward.anchored",
    "short_last": "walk_forward.short_last",
    "trials": "search.trials",
    "objective": "search.objective",
    "min_trades": "search.min_trades",
    "selection": "search.selection",
    "seed": "search.seed",
    "engine": "backtest.engine",
    "capital": "backtest.capital",
    "leverage": "backtest.leverage",
    "taker_fee": "backtest.taker_fee",
    "maker_fee": "backtest.maker_fee",
    "half_spread": "backtest.half_spread",
    "slippage_atr": "backtest.slippage_atr",
    "allocation": "allocation.method",
    "weights": "allocation.weights",
    "drawdown_aware": "allocation.drawdown_aware",
}
_FLAGS = {
    "symbols": "--symbol",
    "start": "--from",
    "end": "--to",
    "sets": "--set",
    "limits": "--limit",
}


def flag(name: str) -> str:
    """Return how the user writes the option that arrives as *name*."""
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")


def names_given(options: Mapping[str, Any]) -> set[str]:
    """Return the names of the *options* that were typed: 0 is a value like any other."""
    # By identity: 0 == False, and a fee of 0 that is left out is charged at the usual rate.
    return {
        name
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    }


def experiment_of(options: Mapping[str, Any], given: Collection[str]) -> Experiment:
    """Return what the options ask for.

    Args:
        options: all of them, by the names under which they arrive.
        given: names of those that were typed; the others keep the defaults of an experiment.

    Raises:
        ConfigError, ParameterError: a value that can't be used, named by its option.
    """
    from ftbt.config import make_experiment  # noqa: PLC0415 - help answers without it

    values = {**options, "weights": _weights(options["weights"])}
    plain: dict[str, dict[str, Any]] = {}
    for name in sorted(set(given) & set(KEYS)):
        table, key = KEYS[name].split(".")
        value = values[name]
        plain.setdefault(table, {})[key] = list(value) if isinstance(value, tuple) else value
    if "weights" in given:
        plain["allocation"].setdefault("method", "fixed")
    plain["risk"] = risk_table(options["limits"], options["no_limits"])
    plain["strategy"]["parameters"] = parameters_of(options["strategy"], options["sets"])
    limits = {f"risk.{name}": f"--limit {name}" for name in plain["risk"]}
    names = {key: flag(name) for name, key in KEYS.items()}
    return make_experiment(plain, names={**names, **limits})


def _weights(text: str | None) -> tuple[float, ...] | None:
    """Return the numbers of `--weights`."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--weights must be numbers with commas, for example 0.6,0.4, not {text!r}"
        ) from None


def risk_table(limits: Sequence[str], no_limits: bool) -> dict[str, Any]:
    """Return the `[risk]` table that the options mean.

    Raises:
        ConfigError: not of the form name=value, an unknown limit, no number, or limits beside
            *no_limits*.
    """
    from ftbt.risk.limits import Limits, limit_names  # noqa: PLC0415 - help answers without it

    found: dict[str, Any] = {}
    whole = {item.name for item in fields(Limits) if item.type == "int"}
    for text in limits:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ConfigError(f"--limit {text}: write name=value, for example positions=2")
        if name not in limit_names():
            hint = did_you_mean(name, limit_names()) or f"; there are: {', '.join(limit_names())}"
            raise ConfigError(f"no limit {name!r}{hint}")
        if name in found:
            raise ConfigError(f"--limit {name} is given twice")
        try:
            found[name] = int(value) if name in whole else float(value)
        except ValueError:
            kind = "a whole number" if name in whole else "a number"
            raise ConfigError(f"--limit {name} must be {kind}, not {value!r}") from None
    if not no_limits:
        return found
    if found:
        raise ConfigError(f"--limit {next(iter(found))} is given beside --no-limits: drop one")
    return {"limits": "none"}


def parameters_of(strategies: str, sets: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--set` options, typed and checked by the ranges of the strategies.

    With several strategies a parameter is called `strategy.parameter`.

    Raises:
        ParameterError: not of the form name=value, an unknown name, or a value out of its range.
    """
    from ftbt.strategy.loader import find_strategy  # noqa: PLC0415 - help needs none
    from ftbt.walkforward.ensemble import near_parameter, split_names  # noqa: PLC0415

    found = [find_strategy(name) for name in split_names(strategies)]
    prefixes = [f"{one.name}." if len(found) > 1 else "" for one in found]
    values: dict[str, Any] = {}
    for text in sets:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ParameterError(f"--set {text}: write name=value, for example --set swing=5")
        owners = [
            (one, name.removeprefix(prefix))
            for one, prefix in zip(found, prefixes, strict=True)
            if name.startswith(prefix)
        ]
        if not owners:
            raise ParameterError(
                f"--set {text}: with several strategies write strategy.parameter=value"
                + near_parameter(name, found)
            )
        if name in values:
            raise ParameterError(f"--set {name} is given twice")
        one, own = owners[0]
        values[name] = _parsed(one.load(), own, value)
    return values


def _parsed(cls: type[Any], name: str, value: str) -> Any:
    """Return the text *value* as the parameter *name* of *cls* takes it."""
    from ftbt.strategy.parameters import defaults_of, ranges_of  # noqa: PLC0415 - help needs none

    ranges = ranges_of(cls)
    if name not in defaults_of(cls):
        near = did_you_mean(name, ranges) or did_you_mean(name.rpartition(".")[2], ranges)
        hint = near or f"; it has: {', '.join(ranges)}"
        raise ParameterError(f"{cls.__name__} has no parameter {name!r}{hint}")
    return ranges[name].parse(f"{cls.__name__}: {name}", value) if name in ranges else value
