"""What a session did, read from its journal: the same tables that a back-test leaves.

Orders, fills and trades are the ones that the books had, numbered on one even clock from the first
bar that was decided on to the last; between two sessions of a deployment the equity stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ftbt.backtest.result import FILL, ORDER, REFUSED, TRADE, Kind, Result, Status
from ftbt.backtest.settings import Settings
from ftbt.backtest.working import PRICELESS
from ftbt.data.timeframe import Timeframe
from ftbt.errors import InputError, IntegrityError
from ftbt.live.evidence import Evidence, Refusal
from ftbt.live.journal import Event
from ftbt.risk.limits import Limits
from ftbt.strategy import records

NAN = float("nan")
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Traded:
    """One strategy of a session.

    Attributes:
        name: as the session calls it, which is its class's.
        parameters: all of them.
        share: of the account.
        reasons: words of the entry reasons.
    """

    name: str
    parameters: Mapping[str, Any]
    share: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A session of a deployment, or all of them, as one run.

    Attributes:
        result: orders, fills, trades, refusals, equity.
        evidence: bars that were decided on, and what the exchange refused.
        strategies: with parameters and shares.
        network: where it traded.
        account: whose money.
        warm: bars that warmed the lines up before the first one.
    """

    result: Result
    evidence: Evidence
    strategies: tuple[Traded, ...]
    network: str
    account: str
    warm: int


def read_record(events: Iterable[Event]) -> Record:
    """Return what *events* (of one journal, in order) tell.

    Raises:
        InputError: no bar was decided on.
        IntegrityError: events that do not fit together.
    """
    fold = _Fold()
    number = 0
    try:
        for event in events:
            number = event.id
            fold.take(event)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"the journal can't be read as a session: event {number} does not fit ({error!r})"
        ) from error
    return fold.record()


@dataclass(slots=True)
class _Fold:
    """Carries events into tables."""

    session: Body = field(default_factory=dict)
    equity: dict[int, float] = field(default_factory=dict)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    fills: list[tuple[str, Body]] = field(default_factory=list)
    trades: list[tuple[str, list[float]]] = field(default_factory=list)
    refused: list[tuple[int, str, int, int]] = field(default_factory=list)
    said_no: list[Refusal] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Carry one event in; kinds that say nothing about trades are passed over."""
        carry = _KINDS.get(event.kind)
        if carry is not None:
            carry(self, event)

    # --- one event ------------------------------------------------------------------------------

    def _session(self, event: Event) -> None:
        self.session = self.session or event.body
        for name in ("symbols", "timeframe"):
            if event.body[name] != self.session[name]:
                raise ValueError(f"{name} {event.body[name]} after {self.session[name]}")

    def _equity(self, event: Event) -> None:
        self.equity[int(event.body["bar"])] = float(event.body["equity"])

    def _order(self, event: Event) -> None:
        body = event.body
        self.orders[int(body["number"])] = {
            **body, "coin": event.coin, "filled": 0.0, "status": int(Status.OPEN), "end_ms": -1,
        }  # fmt: skip

    def _moved(self, event: Event) -> None:
        self.orders[int(event.body["order"])].update(
            price=event.body["price"], limit=event.body["limit"]
        )

    def _fill(self, event: Event) -> None:
        order = self.orders[int(event.body["order"])]
        order["filled"] += float(event.body["size"])
        order["end_ms"] = int(event.body["time"])
        if order["filled"] >= float(order["size"]) * (1.0 - 1e-9):
            order["status"] = int(Status.FILLED)
        self.fills.append((event.coin, event.body))

    def _end(self, event: Event) -> None:
        order = self.orders[int(event.body["order"])]
        order["status"], order["end_ms"] = int(event.body["status"]), event.market_ms

    def _trade(self, event: Event) -> None:
        row = [NAN if x is None else float(x) for x in event.body["row"]]
        if len(row) != len(TRADE.names or ()):
            raise ValueError(f"a trade has {len(TRADE.names or ())} fields, not {len(row)}")
        self.trades.append((event.coin, row))

    def _decision(self, event: Event) -> None:
        body = event.body
        if body["refusal"]:
            one = int(body["bar"]), event.coin, int(body["strategy"]), int(body["refusal"])
            self.refused.append(one)

    def _not_ready(self, event: Event) -> None:
        order = self.orders[int(event.body["order"])]
        rule = int(records.Refusal.NOT_LIVE)
        self.refused.append((int(order["bar"]), event.coin, int(order["sleeve"]), rule))

    def _said_no(self, event: Event) -> None:
        self.said_no.append(Refusal(event.market_ms, event.coin, str(event.body["text"])))

    # --- all of them ----------------------------------------------------------------------------

    def record(self) -> Record:
        """Return the whole.

        Raises:
            InputError: no bar was decided on.
        """
        if not self.session or not self.equity:
            raise InputError("the journal holds no bar that was decided on: nothing to compare")
        session = self.session
        traded = tuple(
            Traded(one["name"], one["parameters"], float(one["share"]), tuple(one["reasons"]))
            for one in session["strategies"]
        )
        return Record(
            result=self._result(traded),
            evidence=Evidence(decided=frozenset(self.equity), refusals=tuple(self.said_no)),
            strategies=traded,
            network=str(session["network"]),
            account=str(session["account"]),
            warm=int(session["warm"]),
        )

    def _result(self, traded: tuple[Traded, ...]) -> Result:
        session = self.session
        frame, symbols = Timeframe.parse(session["timeframe"]), tuple(session["symbols"])
        first, last = min(self.equity), max(self.equity)
        time = np.arange(first, last + 1, frame.ms, dtype=np.int64)
        settings = _settings(session["settings"])
        equity = np.empty(len(time))
        value = settings.capital
        for at, opened in enumerate(time.tolist()):
            equity[at] = value = self.equity.get(opened, value)
        place = {symbol: number for number, symbol in enumerate(symbols)}

        def bar(time_ms: float) -> int:
            return int((frame.floor(int(time_ms)) - first) // frame.ms)

        return Result(
            strategies=tuple(one.name for one in traded),
            parameter_sets=tuple(one.parameters for one in traded),
            entry_reasons=tuple(one.reasons for one in traded),
            symbols=symbols,
            timeframe=frame,
            first_bar=0,
            time=time,
            equity=equity,
            closes=np.full((len(time), len(symbols)), NAN),
            orders=np.array([_order_row(o, place, bar) for o in self.orders.values()], ORDER),
            fills=np.array([self._fill_row(c, b, place, bar) for c, b in self.fills], FILL),
            trades=np.array([_trade_row(c, row, place, bar) for c, row in self.trades], TRADE),
            refusals=np.array(
                [
                    (bar(ms), ms, rule, NAN, NAN, place[coin], strategy)
                    for ms, coin, strategy, rule in self.refused
                ],
                REFUSED,
            ),
            settings=settings,
            funding_modelled=True,
            synthetic=session["network"] == "localnet",
            engine="session",
        )

    def _fill_row(
        self, coin: str, body: Body, place: Mapping[str, int], bar: Callable[[float], int]
    ) -> tuple[Any, ...]:
        order = self.orders[int(body["order"])]
        return (
            order["number"], bar(body["time"]), body["time"], order["side"], body["size"],
            body["price"], body["fee"], 0.0, int(body["maker"]), 0, place[coin], order["sleeve"],
        )  # fmt: skip


def _order_row(
    order: Mapping[str, Any], place: Mapping[str, int], bar: Callable[[float], int]
) -> tuple[Any, ...]:
    price = NAN if Kind(int(order["kind"])) in PRICELESS else order["price"]
    ended = -1 if order["status"] == Status.OPEN else bar(order["end_ms"])
    return (
        order["number"], order["parent"] or 0, bar(order["bar"]), order["side"], order["kind"],
        order["role"], order["size"], NAN if price is None else price,
        NAN if order["limit"] is None else order["limit"], order["filled"], order["status"], ended,
        place[order["coin"]], order["sleeve"],
    )  # fmt: skip


def _trade_row(
    coin: str, row: list[float], place: Mapping[str, int], bar: Callable[[float], int]
) -> tuple[Any, ...]:
    """Return a TRADE row whose bars count on the clock of the whole record."""
    found = dict(zip(TRADE.names or (), row, strict=True))
    found["entry_bar"], found["exit_bar"] = bar(found["entry_time"]), bar(found["exit_time"])
    found["symbol"] = place[coin]
    return tuple(found.values())


def _settings(plain: Mapping[str, Any]) -> Settings:
    """Return the settings that `Settings.as_dict` has written; what is not known is left out."""
    names = {item.name for item in fields(Settings)} - {"limits"}
    limits = {item.name for item in fields(Limits)}
    given = {name: value for name, value in plain["limits"].items() if name in limits}
    return Settings(
        **{name: plain[name] for name in names if name in plain}, limits=Limits(**given)
    )


_KINDS: Mapping[str, Callable[[_Fold, Event], None]] = {
    "session": _Fold._session,  # noqa: SLF001 - its own functions
    "equity": _Fold._equity,  # noqa: SLF001
    "order": _Fold._order,  # noqa: SLF001
    "moved": _Fold._moved,  # noqa: SLF001
    "fill": _Fold._fill,  # noqa: SLF001
    "end": _Fold._end,  # noqa: SLF001
    "trade": _Fold._trade,  # noqa: SLF001
    "decision": _Fold._decision,  # noqa: SLF001
    "refusal": _Fold._not_ready,  # noqa: SLF001
    "refused": _Fold._said_no,  # noqa: SLF001
}
KINDS = tuple(_KINDS)
