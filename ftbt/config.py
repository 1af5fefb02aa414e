"""Experiment files: TOML, one question each, read into frozen, strict models.

Nothing is guessed: an unknown key, a word for a number or a value out of its range is one
`ConfigError` that names the file, the key, the value, what is allowed and the nearest known key.
What can only be judged with the strategy or the data at hand (parameters, time stamps, names of
objectives) is kept as written and judged there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails

from ftbt.errors import ConfigError, did_you_mean

Scalar: TypeAlias = bool | int | float | str

_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d{1,7})\s*(m|h|d|w|bars?)")


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of calendar time (`90d`, `36h`, `2w`, `30m`) or of bars (`96 bars`).

    Attributes:
        amount: of *unit*, from 0.
        unit: `m`, `h`, `d`, `w` or `bars`.
    """

    amount: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return the duration written as *text*; `0` is no time at all.

        Raises:
            ValueError: for anything else, with what is understood.
        """
        clean = str(text).strip().lower()
        found = _DURATION.fullmatch("0 bars" if clean == "0" else clean)
        if found is None:
            raise ValueError("a duration such as 90d, 36h, 2w or 96 bars")
        return cls(int(found[1]), "bars" if found[2].startswith("bar") else found[2])

    def bars(self, timeframe_ms: int, name: str) -> int:
        """Return how many bars of *timeframe_ms* this is.

        Raises:
            ConfigError: naming *name* when it is not a whole number of bars.
        """
        if self.unit == "bars":
            return self.amount
        whole, rest = divmod(self.amount * _UNIT_MS[self.unit], timeframe_ms)
        if rest:
            raise ConfigError(
                f"{name} is {self}, which is not a whole number of {timeframe_ms // 60_000}-minute"
                f" bars: write a multiple of the bar length, or a number of bars (`{whole + 1}"
                " bars`)"
            )
        return whole

    def __str__(self) -> str:
        return f"{self.amount} bars" if self.unit == "bars" else f"{self.amount}{self.unit}"


def _duration(value: Any) -> Any:
    if isinstance(value, str) or (value == 0 and not isinstance(value, bool)):
        return Duration.parse(str(value))
    if isinstance(value, Duration):
        return value
    raise ValueError("a duration such as 90d, 36h, 2w or 96 bars")


def _moment(value: Any) -> Any:
    """TOML has dates of its own: keep them as their text."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def _sequence(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _scalar(value: Any) -> Scalar:
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError("a number, text in quotes, true or false")


# One validator for all four kinds: a union would report each kind's refusal.
Value = Annotated[Any, PlainValidator(_scalar)]
Span = Annotated[Duration, BeforeValidator(_duration)]
Moment = Annotated[str | None, BeforeValidator(_moment)]
Words = Annotated[tuple[str, ...], BeforeValidator(_sequence), Field(min_length=1)]
Limits = Annotated[tuple[Value, ...], BeforeValidator(_sequence), Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )


class StrategyPart(_Part):
    """`[strategy]`: which one, what is fixed, what is searched in a narrower range.

    Attributes:
        name: as `--strategy` takes it: a name, `path.py` or `path.py:Class`; several with commas.
        parameters: fixed values; they leave the search. With several strategies a parameter is
            called `strategy.parameter`.
        ranges: narrower search: `[low, high]` of a number, or the words of a choice.
    """

    name: str = Field(min_length=1)
    parameters: Mapping[str, Value] = Field(default_factory=dict)
    ranges: Mapping[str, Limits] = Field(default_factory=dict)


class DataPart(_Part):
    """`[data]`: what is traded.

    Attributes:
        source: `sample`, a candle file, or the name of an exchange in the store.
        symbols: one or more; with several, all share one parameter set and one account.
        timeframe: bar length.
        start: first open (`from` in the file), UTC.
        end: close of the last bar (`to` in the file), UTC.
        holes: `refuse`, or `split` at missing bars.
        detail: shorter bar length that resolves the path inside a bar.
        fingerprint: refuse to run on candles of another fingerprint (its first 8 digits at
            least; several symbols: joined by `+`).
    """

    source: str = Field(default="sample", min_length=1)
    symbols: Words = ("BTC",)
    timeframe: str = "15m"
    start: Moment = Field(default=None, alias="from")
    end: Moment = Field(default=None, alias="to")
    holes: Literal["refuse", "split"] = "refuse"
    detail: str | None = None
    fingerprint: str | None = Field(default=None, min_length=8)


class BacktestPart(_Part):
    """`[backtest]`: engine and money; what is left out is `Settings`' default."""

    engine: str = "auto"
    capital: float | None = None
    leverage: float | None = None
    taker_fee: float | None = None
    maker_fee: float | None = None
    half_spread: float | None = None
    slippage_atr: float | None = None

    def money(self) -> dict[str, float]:
        """Return what was given, by the names of `Settings`."""
        return self.model_dump(exclude={"engine"}, exclude_none=True)


class RiskPart(_Part):
    """`[risk]`: limits of the account; what is left out is `ftbt.risk.limits.Limits`' default.

    With `limits = "none"` and nothing else there are none.
    """

    limits: Literal["default", "none"] = "default"
    risk_per_trade: float | None = None
    total_exposure: float | None = None
    group_exposure: float | None = None
    correlation: float | None = None
    correlation_days: int | None = None
    positions: int | None = None
    trades_per_day: int | None = None
    daily_loss: float | None = None
    weekly_loss: float | None = None
    drawdown: float | None = None
    breaker_days: int | None = None
    smallest_share: float | None = None

    def given(self) -> dict[str, float | int]:
        """Return the limits that were given, by the names of `Limits`."""
        return self.model_dump(exclude={"limits"}, exclude_none=True)


class AllocationPart(_Part):
    """`[allocation]`: how several strategies share the account; see `ftbt.risk.allocation`.

    Attributes:
        method: `equal`, `inverse-volatility`, `equal-risk` or `fixed`.
        weights: of `fixed`, one per strategy.
        drawdown_aware: a strategy in a drawdown of its own trades with less.
        cut_at: drawdown at which it trades with the least.
        floor: that least part of its share.
    """

    method: str = "equal"
    weights: Annotated[tuple[float, ...], BeforeValidator(_sequence)] = ()
    drawdown_aware: bool = False
    cut_at: float | None = None
    floor: float | None = None

    def given(self) -> dict[str, Any]:
        """Return what was given, by the names of `Allocation`."""
        return self.model_dump(exclude_none=True, exclude_defaults=True)


class WalkForwardPart(_Part):
    """`[walk_forward]`: how windows are laid; see `ftbt.walkforward.windows`.

    Attributes:
        train: length of each training (the first one, when anchored).
        test: length of each out-of-sample test.
        step: from one test to the next; None: as long as the test.
        purge: left out between a training's end and its test.
        embargo: left out of later trainings after each test.
        anchored: every training starts with the first one.
        short_last: keep a last test that the data cut short.
    """

    train: Span = Duration(90, "d")
    test: Span = Duration(30, "d")
    step: Span | None = None
    purge: Span = Duration(0, "bars")
    embargo: Span = Duration(0, "bars")
    anchored: bool = False
    short_last: bool = False


class SearchPart(_Part):
    """`[search]`: how the parameters of a window are chosen.

    Attributes:
        trials: per window.
        objective: what is maximised in training.
        min_trades: a trial with fewer trades in training has the worst value.
        selection: `best` trial, or the best `plateau` of neighbours.
        seed: everything random comes from it.
    """

    trials: int = Field(default=50, ge=1, le=100_000)
    objective: str = "sharpe"
    min_trades: int = Field(default=10, ge=0, le=1_000_000)
    selection: Literal["best", "plateau"] = "best"
    seed: int = Field(default=1, ge=0, le=2**32 - 1)


class Experiment(_Part):
    """One question: strategy, data, windows, search, and what one expects to see.

    Attributes:
        title: one line for people.
        hypothesis: what should be true and why, written before the run.
    """

    title: str = ""
    hypothesis: str = ""
    strategy: StrategyPart
    data: DataPart = Field(default_factory=DataPart)
    backtest: BacktestPart = Field(default_factory=BacktestPart)
    risk: RiskPart = Field(default_factory=RiskPart)
    allocation: AllocationPart = Field(default_factory=AllocationPart)
    walk_forward: WalkForwardPart = Field(default_factory=WalkForwardPart)
    search: SearchPart = Field(default_factory=SearchPart)


def load_experiment(path: Path) -> Experiment:
    """Return the experiment in the TOML file *path*.

    Raises:
        ConfigError: no such file, broken TOML (with the line), or a key or value that
            `Experiment` refuses; title and hypothesis must be there.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = did_you_mean(path.name, (item.name for item in path.parent.glob("*.toml")))
        raise ConfigError(f"no experiment file {path}{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"experiment file {path} cannot be read: {error}") from error
    plain = _parse_toml(text, path)
    for name in ("title", "hypothesis"):
        if not str(plain.get(name, "")).strip():
            raise ConfigError(
                f"{path}: {name} is missing: an experiment says before the run what it asks"
            )
    return make_experiment(plain, f"{path}: ")


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r"at line (\d+), column (\d+)", message)
        reason = re.sub(r"\s*\(at .*\)$", "", message)
        if found is None:
            raise ConfigError(f"{path} is not valid TOML: {message}") from error
        line = text.splitlines()[int(found[1]) - 1].strip() if text.splitlines() else ""
        raise ConfigError(
            f"{path} line {found[1]} is not valid TOML: {reason.lower()}, near: {line}"
        ) from error


def make_experiment(
    plain: Mapping[str, Any], where: str = "", names: Mapping[str, str] | None = None
) -> Experiment:
    """Return *plain* values as an experiment.

    Args:
        plain: nested values, as TOML gives them.
        where: begins every message, for example the file.
        names: dotted key -> how the user calls it, for example `search.trials` -> `--trials`.

    Raises:
        ConfigError: naming the first bad key and how many more there are.
    """
    try:
        return Experiment.model_validate(dict(plain))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(where + _explain(problems[0], names or {}) + more) from None


_WANTED = {
    "finite": "a finite number",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text in quotes",
    "model": "a table",
    "dict": "a table",
    "mapping": "a table",
    "tuple": "a list",
}


def _explain(problem: ErrorDetails, names: Mapping[str, str]) -> str:
    """Return one pydantic error in the project's words."""
    path = [str(item) for item in problem["loc"]]
    key, value, kind = ".".join(path), problem["input"], problem["type"]
    name = names.get(key) or _entry(path, names) or key
    context = problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys(path[:-1])
        hint = did_you_mean(path[-1], known) or f"; known here: {', '.join(known)}"
        return f"unknown key {name!r}{hint}"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"{name} must be one of {', '.join(words)}, not {value!r}" + did_you_mean(
            str(value), words
        )
    if kind in ("greater_than_equal", "less_than_equal"):
        low, high = _limits(path)
        return f"{name} must be from {low} to {high}, not {value!r}"
    if kind == "value_error":
        return f"{name} must be {context.get('error')}, not {value!r}"
    if kind in ("too_short", "string_too_short"):
        unit = "entries" if kind == "too_short" else "characters"
        return f"{name} must have at least {context.get('min_length')} {unit}, not {value!r}"
    wanted = _WANTED.get(kind.partition("_")[0], problem["msg"].lower())
    return f"{name} must be {wanted}, not {value!r}"


def _entry(path: list[str], names: Mapping[str, str]) -> str:
    """Return how the user calls an entry of a list that has a name, else an empty text."""
    listed = names.get(".".join(path[:-1]))
    return f"{listed} number {int(path[-1]) + 1}" if listed and path[-1].isdigit() else ""


def _model(path: Iterable[str]) -> type[BaseModel] | None:
    """Return the model that holds the table *path*, None inside free tables."""
    model: type[BaseModel] = Experiment
    for name in path:
        inner = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        model = inner
    return model


def _keys(path: Iterable[str]) -> list[str]:
    model = _model(path)
    fields = {} if model is None else model.model_fields
    return [item.alias or name for name, item in fields.items()]


def _limits(path: list[str]) -> tuple[Any, Any]:
    model = _model(path[:-1])
    metadata = [] if model is None else model.model_fields[path[-1]].metadata
    low = next((item.ge for item in metadata if hasattr(item, "ge")), "-inf")
    high = next((item.le for item in metadata if hasattr(item, "le")), "inf")
    return low, high
