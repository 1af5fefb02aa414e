"""What a back-test assumes about money: capital, leverage, fees, slippage, limits on risk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ftbt.errors import ConfigError
from ftbt.risk.limits import Limits, percent

_RANGES = {
    "capital": (1.0, 1e12),
    "leverage": (1.0, 200.0),
    "taker_fee": (0.0, 0.05),
    "maker_fee": (-0.01, 0.05),
    "half_spread": (0.0, 0.05),
    "slippage_atr": (0.0, 5.0),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Money and costs of a run; printed in every result.

    Attributes:
        capital: equity at the start, quote currency.
        leverage: account leverage; initial margin is notional / leverage. The instrument's
            maximum applies on top.
        taker_fee: fee of market and stop fills, fraction of the notional (0.00045 = 0.045 %).
        maker_fee: fee of resting limit fills.
        half_spread: least slippage of market and stop fills, fraction of the price.
        slippage_atr: slippage as a multiple of ATR(14) of the last closed bar; the larger of
            this and the half spread applies.
        limits: what the account may risk.
    """

    capital: float = 10_000.0
    leverage: float = 10.0
    taker_fee: float = 0.00045
    maker_fee: float = 0.00015
    half_spread: float = 0.0001
    slippage_atr: float = 0.02
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.name == "limits":
                continue
            value = getattr(self, item.name)
            low, high = _RANGES[item.name]
            if not low <= value <= high:  # also refuses NaN
                raise ConfigError(f"{item.name} must be from {low:g} to {high:g}, not {value!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)

    def describe(self) -> str:
        """Return one line for people."""
        return (
            f"capital {self.capital:,.13g}, leverage {self.leverage:g}x,"
            f" fees {percent(self.taker_fee)} taker / {percent(self.maker_fee)} maker,"
            f" slippage max({self.half_spread * 1e4:.10g} bp, {self.slippage_atr:g} x ATR14);"
            f" {self.limits.describe()}"
        )
