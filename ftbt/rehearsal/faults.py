"""What is to go wrong in a rehearsal, and at which bar: drawn from a seed, or from a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ftbt.errors import ConfigError, did_you_mean
from ftbt.localnet.faults import KINDS

USUAL_COUNT = 20
_FAULTS = "/faults"
_CONTROLS = ("/sockets", "/server/refuse", "/limits", "/market/halt", "/behaviour")
_EXCHANGE = {"path": "exchange"}
_ORDERS = {"path": "exchange", "type": "order"}

# What a session must survive without another trade than in calm weather: all of it strikes once.
_DRAWN: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (_FAULTS, {"name": "commit_then_drop", "match": _ORDERS}),
    (_FAULTS, {"name": "commit_then_bad_gateway", "match": _ORDERS}),
    (_FAULTS, {"name": "bad_gateway", "match": _EXCHANGE}),
    (_FAULTS, {"name": "server_error", "match": {"path": "info"}}),
    (_FAULTS, {"name": "rate_limited", "match": {"path": "info"}}),
    (_FAULTS, {"name": "reset", "match": _EXCHANGE}),
    (_FAULTS, {"name": "slow", "match": _EXCHANGE, "seconds": 0.5}),
    (_FAULTS, {"name": "duplicate_delivery", "match": _ORDERS}),
    (_FAULTS, {"name": "close_after", "match": _EXCHANGE}),
    (_FAULTS, {"name": "partial_body", "match": _EXCHANGE}),
    (_FAULTS, {"name": "unknown_oid"}),
    (_FAULTS, {"name": "ws_duplicate", "match": {"channel": "userFills"}}),
    (_FAULTS, {"name": "ws_drop", "match": {"channel": "userFills"}}),
    (_FAULTS, {"name": "ws_drop", "match": {"channel": "orderUpdates"}}),
    (_FAULTS, {"name": "ws_late", "match": {"channel": "userFills"}, "seconds": 0.5}),
    (_FAULTS, {"name": "candle_repeat", "match": {"channel": "candle"}}),
    (_FAULTS, {"name": "ws_foreign_coin", "match": {"channel": "userFills"}}),
    ("/sockets", {"do": "abort"}),
    ("/sockets", {"do": "close", "code": 1000, "reason": "Expired"}),
    ("/server/refuse", {"seconds": 1.0}),
)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One request to the control API of the local exchange.

    Attributes:
        bar: queued before this bar opens; the first one that is traded is 0.
        path: of the control API.
        body: of the request.
    """

    bar: int
    path: str
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return str(self.body.get("name") or f"{self.path[1:]} {self.body.get('do', '')}".strip())


def planned(text: str, bars: int) -> tuple[PlannedFault, ...]:
    """Return the faults that `--faults` asks for: `SEED`, `SEED:COUNT`, or a TOML file.

    Args:
        text: as typed.
        bars: of the rehearsal.

    Raises:
        ConfigError: neither of them, or a file that asks for what there is not.
    """
    if Path(text).suffix == ".toml":
        return _from_file(Path(text), bars)
    seed, colon, count = text.partition(":")
    if not seed.isdigit() or (colon and not count.isdigit()):
        raise ConfigError(
            f"--faults must be SEED, SEED:COUNT or a TOML file, for example 7:20, not {text!r}"
        )
    return drawn(int(seed), int(count) if colon else USUAL_COUNT, bars)


def drawn(seed: int, count: int, bars: int) -> tuple[PlannedFault, ...]:
    """Return *count* faults at random bars; the same seed gives the same ones.

    Raises:
        ConfigError: a count that is none.
    """
    if not 1 <= count <= 100_000:
        raise ConfigError(f"--faults: the count must be from 1 to 100000, not {count}")
    random = np.random.Generator(np.random.PCG64(seed))
    at = np.sort(random.integers(0, max(1, bars), count))
    kinds = random.integers(0, len(_DRAWN), count)
    return tuple(PlannedFault(int(bar), *_DRAWN[kind]) for bar, kind in zip(at, kinds, strict=True))


def _from_file(path: Path, bars: int) -> tuple[PlannedFault, ...]:
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--faults {path}: {error}") from error
    rows = plain.get("fault")
    if set(plain) != {"fault"} or not isinstance(rows, list):
        raise ConfigError(f"--faults {path}: write one [[fault]] table for each fault")
    return tuple(_row(f"{path}: fault {n}", row, bars) for n, row in enumerate(rows, start=1))


def _row(where: str, row: dict[str, Any], bars: int) -> PlannedFault:
    bar = row.get("bar")
    if not isinstance(bar, int) or not 0 <= bar < bars:
        raise ConfigError(f"{where}: bar must be a whole number from 0 to {bars - 1}, not {bar!r}")
    body = {name: value for name, value in row.items() if name not in ("bar", "control")}
    path = row.get("control", _FAULTS)
    if path != _FAULTS:
        if path not in _CONTROLS:
            hint = did_you_mean(str(path), _CONTROLS)
            raise ConfigError(f"{where}: control {path!r} is none of {', '.join(_CONTROLS)}{hint}")
        return PlannedFault(bar, path, body)
    if row.get("name") not in KINDS:
        raise ConfigError(
            f"{where}: no fault {row.get('name')!r}{did_you_mean(str(row.get('name')), KINDS)}"
        )
    return PlannedFault(bar, path, body)
