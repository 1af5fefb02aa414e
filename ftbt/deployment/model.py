"""A deployment: everything that live trading takes over from a walk-forward, in plain values.

Times are ms UTC: opens of bars, ends exclusive. Money is in the quote currency. Names, units and
ranges of costs and limits are those of `ftbt.backtest.settings.Settings` and
`ftbt.risk.limits.Limits`; a deployment out of their ranges can't be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from ftbt.backtest.settings import Settings
from ftbt.risk.allocation import Allocation
from ftbt.risk.limits import Limits
from ftbt.robustness.assessment import State

# Bump when a field changes its meaning.
FORMAT = 1

Scalar: TypeAlias = bool | int | float | str

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class DeployedStrategy:
    """One strategy with the parameters of the newest window.

    Attributes:
        name: as in the run.
        file: its file, without the folders of the machine.
        class_name: the class in it.
        sha256: of the file's bytes; another file is another strategy.
        share: part of the account that it sizes by; 0: the search found nothing for it.
        parameters: all of them, defaults and presets included. A value that JSON has no type for
            is left out and comes from the file.
    """

    name: str
    file: str
    class_name: str
    sha256: str
    share: float
    parameters: Mapping[str, Scalar]


@dataclass(frozen=True, config=_STRICT)
class DeployedSymbol:
    """One symbol and the candles that the verdict rests on.

    Attributes:
        symbol: name.
        source: where the candles came from.
        fingerprint: sha256 of them.
        start_ms: open of the first bar.
        end_ms: close of the last bar.
        last_bar_ms: open of the last bar.
        funding: True when funding rates were charged.
    """

    symbol: str
    source: str
    fingerprint: str
    start_ms: int
    end_ms: int
    last_bar_ms: int
    funding: bool


@dataclass(frozen=True, config=_STRICT)
class Costs:
    """Fees and slippage that the verdict assumes, as `ftbt walkforward` takes them.

    Attributes:
        taker_fee: fee of market and stop fills, fraction of the notional.
        maker_fee: fee of resting limit fills.
        half_spread: least slippage of market and stop fills, fraction of the price.
        slippage_atr: slippage as a multiple of ATR(14) of the last closed bar, if that is more.
    """

    taker_fee: float
    maker_fee: float
    half_spread: float
    slippage_atr: float


@dataclass(frozen=True, config=_STRICT)
class Account:
    """What the verdict assumes about the account.

    Attributes:
        capital: equity at the start; sizes are fractions of the equity, so that another capital is
            the same strategy only while lots and least orders don't bind.
        leverage: of the account.
        engine: that ran the tests.
    """

    capital: float
    leverage: float
    engine: str


@dataclass(frozen=True, config=_STRICT)
class Schedule:
    """How the parameters were searched, and when the walk-forward would search them again.

    Attributes:
        train, test, step, purge, embargo: as written, for example `90d` or `96 bars`.
        anchored: True when every training starts with the first one.
        trials, objective, min_trades, selection, seed: of each search.
        window: number of the newest one.
        searched_from_ms, searched_to_ms: its training.
        tested_from_ms, tested_to_ms: its test.
        due_ms: when the next window's test would begin: from then on these parameters are older
            than any that the verdict is about.
    """

    train: str
    test: str
    step: str
    purge: str
    embargo: str
    anchored: bool
    trials: int
    objective: str
    min_trades: int
    selection: str
    seed: int
    window: int
    searched_from_ms: int
    searched_to_ms: int
    tested_from_ms: int
    tested_to_ms: int
    due_ms: int


@dataclass(frozen=True, config=_STRICT)
class DeployedVerdict:
    """What the assessment said.

    Attributes:
        state, headline, sentence, worst, change: see `ftbt.robustness.assessment.Verdict`.
        synthetic: True: the verdict is about a made-up market.
        run_id: of the run that was judged.
        assessment_sha256: of its robustness.json.
    """

    state: State
    headline: str
    sentence: str
    worst: str
    change: str
    synthetic: bool
    run_id: str
    assessment_sha256: str


@dataclass(frozen=True, config=_STRICT)
class Deployment:
    """Everything that live trading takes over from a run.

    Attributes:
        format: version of this structure.
        run_id: the run it came from.
        strategies: in the order in which they decide.
        allocation: how they share the account (`ftbt.risk.allocation.Allocation`).
        symbols: in the order in which they are decided on.
        timeframe: bar length.
        costs, account: assumptions of the verdict.
        limits: by the names of `ftbt.risk.limits.Limits`.
        schedule: when the parameters are due to be searched again.
        verdict: see there.
        code: sha256 over the sources of ftbt that made the run.
        versions: of the packages that made it.
    """

    format: int
    run_id: str
    strategies: tuple[DeployedStrategy, ...]
    allocation: Mapping[str, Any]
    symbols: tuple[DeployedSymbol, ...]
    timeframe: str
    costs: Costs
    account: Account
    limits: Mapping[str, int | float]
    schedule: Schedule
    verdict: DeployedVerdict
    code: str
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse costs, limits and shares that no account may have."""
        missing = {item.name for item in fields(Limits)} - set(self.limits)
        if missing:
            raise ValueError(f"limits has no {min(missing)}")
        if not self.strategies or not self.symbols:
            raise ValueError("a deployment needs at least one strategy and one symbol")
        _ = self.settings, self.shares

    @property
    def settings(self) -> Settings:
        """Money, costs and limits, as the back-test had them.

        Raises:
            ConfigError: a value out of its range.
        """
        return Settings(
            capital=self.account.capital,
            leverage=self.account.leverage,
            taker_fee=self.costs.taker_fee,
            maker_fee=self.costs.maker_fee,
            half_spread=self.costs.half_spread,
            slippage_atr=self.costs.slippage_atr,
            limits=Limits(**dict(self.limits)),  # type: ignore[arg-type]
        )

    @property
    def shares(self) -> Allocation:
        """How the strategies share the account.

        Raises:
            ConfigError: a value out of its range.
        """
        plain = dict(self.allocation)
        return Allocation(**{**plain, "weights": tuple(plain.get("weights", ()))})

    def overdue(self, now_ms: int) -> bool:
        """Return whether the parameters should have been searched again by *now_ms*, UTC."""
        return now_ms >= self.schedule.due_ms
