"""The thresholds of the verdict: one table, each with its source. They can be tightened only.

`Thresholds().tightened(psr=0.99, min_trades=200)` returns stricter ones; a looser value is refused,
because a verdict that anybody can loosen says nothing about a strategy and much about its owner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from ftbt.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of the table.

    Attributes:
        name: as it is given to `Thresholds.tightened`.
        gate: id of the gate that reads it; empty: the verdict itself.
        value: the default.
        stricter: `higher` or `lower`: which way a threshold may be moved.
        low, high: range that makes sense.
        text: what is compared with it.
        source: where the value comes from.
    """

    name: str
    gate: str
    value: float
    stricter: Literal["higher", "lower"]
    low: float
    high: float
    text: str
    source: str

    def is_tighter(self, value: float) -> bool:
        """Return whether *value* is at least as strict as the default."""
        return value >= self.value if self.stricter == "higher" else value <= self.value


_RULE_OF_THUMB = "rule of thumb of this program, no theory behind it"
# Nearly all records with a real edge meet it: a stricter value would only lose those.
_MEASURED = "measured on planted edges: decision record 0016"

TABLE: tuple[Threshold, ...] = (
    Threshold(
        "min_trades", "H0", 100, "higher", 1, 1e6,
        "least out-of-sample trades", "QuantConnect LEAN, strategy report: more than 100 trades",
    ),
    Threshold(
        "psr", "H1", 0.91, "higher", 0.5, 1.0,
        "least probabilistic Sharpe ratio against 0",
        "all gates together: a test below 5 % (decision record 0016); Bailey and Lopez de Prado,"
        " J. Risk 15(2), 2012",
    ),
    Threshold(
        "psr_fail", "H1", 0.50, "higher", 0.5, 1.0,
        "below this the record speaks against an edge", "more likely below 0 than above",
    ),
    Threshold(
        "dsr", "H2", 0.91, "higher", 0.5, 1.0,
        "least deflated Sharpe ratio at the highest count of looks",
        "as H1 (decision record 0016); Bailey and Lopez de Prado, JPM 40(5), 2014",
    ),
    Threshold(
        "dsr_fail", "H2", 0.50, "higher", 0.5, 1.0,
        "below this at the central count it is no better than the luckiest of as many looks",
        "Bailey and Lopez de Prado, JPM 40(5), 2014",
    ),
    Threshold(
        "pbo", "H3", 0.10, "lower", 0.0, 0.10,
        "highest probability of backtest overfitting that passes by itself",
        "Bailey, Borwein, Lopez de Prado and Zhu, J. Computational Finance 20(4), 2017",
    ),
    Threshold(
        "loss_p", "H3", 0.25, "lower", 0.0, 0.25,
        "highest calibrated p-value of the probability of loss that passes",
        "measured: decision records 0015 and 0016",
    ),
    Threshold(
        "pbo_fail", "H3", 0.50, "lower", 0.10, 0.50,
        "from here on the choice is no better than drawing a trial, which fails if it loses too",
        "the value without skill; Bailey and others 2017",
    ),
    Threshold(
        "loss_fail", "H3", 0.50, "lower", 0.10, 0.50,
        "from here on what was best in one half mostly lost in the other",
        "the value without skill; Bailey and others 2017, section 3.2",
    ),
    Threshold(
        "spa", "H4", 0.10, "lower", 0.0, 0.10,
        "highest p-value of superior predictive ability over cash that passes",
        "room for the scatter about H1's 5 %: decision record 0016; Hansen, JBES 23, 2005",
    ),
    Threshold(
        "spa_fail", "H4", 0.20, "lower", 0.10, 0.20,
        "above this p-value luck explains the record well", "convention; after Hansen 2005",
    ),
    Threshold(
        "profitable_windows", "S1", 0.50, "higher", 0.0, 1.0,
        "least share of profitable windows", "TradeStation, Walk-Forward Optimizer",
    ),
    Threshold(
        "best_window", "S1", 0.75, "lower", 0.0, 0.75,
        "the best window's part of the profit must stay below this", _MEASURED,
    ),
    Threshold(
        "efficiency", "S2", 0.50, "higher", 0.0, 10.0,
        "least walk-forward efficiency, shown for information only",
        "Pardo 2008; folklore: it hardly predicts",
    ),
    Threshold(
        "plateau", "S3", 0.60, "higher", 0.0, 1.0,
        "least share of neighbours that do nearly as well; counts only when tightened",
        _RULE_OF_THUMB,
    ),
    Threshold(
        "permutation_median", "S3", 0.0, "higher", 0.0, 100.0,
        "the median trial's annual Sharpe ratio in training must be above this",
        "Walton, System Parameter Permutation, 2014",
    ),
    Threshold(
        "break_even", "S4", 2.0, "higher", 0.0, 4.0,
        "least multiple of all costs that leaves nothing", _RULE_OF_THUMB,
    ),
    Threshold(
        "random_entries", "S5", 0.20, "lower", 0.0, 0.20,
        "highest p-value against the same trades at random times",
        "the test: Aronson 2006, Masters 2020; the value is measured: decision record 0016",
    ),
    Threshold(
        "drawdown", "S6", 1.0, "lower", 0.01, 1.0,
        "95 % of bootstrapped drawdowns must stay within this; counts only when tightened",
        "the user's limit on risk",
    ),
    Threshold(
        "top_trades", "S7", 1.0, "lower", 0.0, 1.0,
        "the five best trades' part of the profit must stay below this: without them there is"
        " still one", _MEASURED,
    ),
    Threshold(
        "soft_fails", "", 1, "lower", 0, 1,
        "most soft gates that may fail in a PASS", "convention of this program",
    ),
)  # fmt: skip

_BY_NAME: Mapping[str, Threshold] = MappingProxyType({row.name: row for row in TABLE})


@dataclass(frozen=True)
class Thresholds:
    """The thresholds that apply; `Thresholds()` are the defaults.

    Attributes:
        changed: name -> stricter value. Made by `tightened`, not by hand.
    """

    changed: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is unknown, out of range, or looser than the default."""
        for name, value in self.changed.items():
            _check(name, value)
        object.__setattr__(self, "changed", MappingProxyType(dict(self.changed)))

    def __getitem__(self, name: str) -> float:
        """Return a threshold's value."""
        return float(self.changed.get(name, _BY_NAME[name].value))

    def source(self, name: str) -> str:
        """Return where the value comes from."""
        given = " (tightened by the user)" if name in self.tightened_names else ""
        return _BY_NAME[name].source + given

    @property
    def tightened_names(self) -> tuple[str, ...]:
        """Names of thresholds that differ from the table, in its order."""
        return tuple(
            row.name for row in TABLE if self.changed.get(row.name, row.value) != row.value
        )

    def rows(self) -> tuple[tuple[str, float, str], ...]:
        """Return (name, value, source) of all, in the table's order."""
        return tuple((row.name, self[row.name], self.source(row.name)) for row in TABLE)

    def tightened(self, **values: float) -> Thresholds:
        """Return these thresholds with stricter *values*.

        Raises:
            ConfigError: an unknown name, a value out of its range, or one that is looser than the
                default or than what was given before.
        """
        for name, value in values.items():
            _check(name, value)
            if name in self.changed and not _tighter(_BY_NAME[name], value, self.changed[name]):
                raise _looser(_BY_NAME[name], value, self.changed[name])
        return Thresholds({**self.changed, **values})


def _check(name: str, value: float) -> None:
    if name not in _BY_NAME:
        hint = did_you_mean(name, _BY_NAME) or f"; there are: {', '.join(_BY_NAME)}"
        raise ConfigError(f"threshold {name!r} is not known{hint}")
    row = _BY_NAME[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or math.isnan(value):
        raise ConfigError(f"threshold {name} must be a number, not {value!r}")
    if not row.is_tighter(value):
        raise _looser(row, value, row.value)
    if not row.low <= value <= row.high:
        raise ConfigError(f"threshold {name} must be from {row.low:g} to {row.high:g}, not {value}")


def _tighter(row: Threshold, value: float, than: float) -> bool:
    return value >= than if row.stricter == "higher" else value <= than


def _looser(row: Threshold, value: float, than: float) -> ConfigError:
    way = "raised" if row.stricter == "higher" else "lowered"
    return ConfigError(
        f"threshold {row.name} is {than:g} ({row.text}) and can only be {way}, not set to"
        f" {value:g}: a verdict is never loosened"
    )
