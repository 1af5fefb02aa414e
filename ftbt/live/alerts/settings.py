"""When an alert is due, and how many may be sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ftbt.errors import ConfigError, ParameterError, did_you_mean
from ftbt.live.alerts.model import Topic
from ftbt.ranges import Bool, Float, Int, Range

RANGES: dict[str, Range] = {
    "confidence": Float(0.0, 100.0),
    "refusals": Int(2, 100),
    "disconnected_s": Float(5.0, 86_400.0),
    "silent_s": Float(5.0, 3_600.0),
    "unprotected_s": Float(1.0, 3_600.0),
    "again_s": Float(10.0, 86_400.0),
    "per_hour": Int(1, 3_600),
    "burst": Int(1, 100),
    "bell": Bool(),
}
MEANINGS = {
    "confidence": "setups above it are told, 0 to 100",
    "refusals": "so many refusals of the exchange without a fill in between are told",
    "disconnected_s": "a connection that is gone, or data that are old, for so long is told",
    "silent_s": "a loop that says nothing for so long is told",
    "unprotected_s": "a position without a working stop for so long is told",
    "again_s": "the same is told again after so long, not before",
    "per_hour": "alerts an hour that may be sent; critical ones are counted apart",
    "burst": "alerts that may be sent at once",
    "bell": "ring the terminal's bell for a setup of high confidence",
}


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Thresholds; `MEANINGS` says what each does, `RANGES` what it may be.

    Attributes:
        mute: topics that are not told.
    """

    confidence: float = 70.0
    refusals: int = 3
    disconnected_s: float = 60.0
    silent_s: float = 60.0
    unprotected_s: float = 30.0
    again_s: float = 900.0
    per_hour: int = 60
    burst: int = 20
    bell: bool = True
    mute: frozenset[Topic] = frozenset()

    def __post_init__(self) -> None:
        for name, limits in RANGES.items():
            _checked(limits.check, name, getattr(self, name))

    @classmethod
    def parse(cls, texts: Iterable[str], mute: Iterable[str] = ()) -> AlertSettings:
        """Return the settings that `NAME=VALUE` texts and names of topics ask for.

        Raises:
            ConfigError: an unknown name, a value out of its range, something given twice.
        """
        values: dict[str, Any] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            name = name.strip()
            if not equals or name not in RANGES:
                hint = did_you_mean(name, RANGES) or f"; there are {', '.join(RANGES)}"
                raise ConfigError(f"--alert {text}: no such setting as {name!r}{hint}")
            if name in values:
                raise ConfigError(f"--alert {name} is given twice")
            values[name] = _checked(RANGES[name].parse, name, value)
        return cls(**values, mute=frozenset(_topic(name) for name in mute))


def _checked(check: Any, name: str, value: Any) -> Any:
    try:
        return check(f"--alert {name}", value)
    except ParameterError as error:
        raise ConfigError(str(error)) from None


def _topic(name: str) -> Topic:
    try:
        return Topic(name.strip())
    except ValueError:
        hint = did_you_mean(name, list(Topic)) or f"; there are {', '.join(Topic)}"
        raise ConfigError(f"--mute {name}: no such alert{hint}") from None
