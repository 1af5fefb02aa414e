"""Figures of a session in Prometheus' text format.

All are read from the newest status; what is not known yet is left out rather than shown as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ftbt.live.status import Status
from ftbt.live.vitals import COUNTERS, MEANINGS

CONTENT_TYPE = CONTENT_TYPE_LATEST
_EXTRA_COUNTERS = frozenset(
    ("alerts_sent", "alerts_failed", "alerts_dropped", "alerts_held", "alerts_repeated", "log_lost",
     "heartbeats")
)  # fmt: skip
_EXTRA = {
    "alerts_sent": "alerts that arrived", "alerts_failed": "alerts that did not arrive",
    "alerts_dropped": "alerts that found no room to wait",
    "alerts_held": "alerts held back because there were too many",
    "alerts_repeated": "alerts held back because they were told already",
    "alerts_waiting": "alerts that wait to be sent",
    "alerts_failing": "targets whose newest alert did not arrive",
    "log_lost": "records of the log that could not be written",
    "heartbeats": "signs of life that the monitor outside has taken",
}  # fmt: skip


class Source(Protocol):
    """Where figures come from."""

    @property
    def status(self) -> Status | None:
        """The newest status."""
        ...

    @property
    def age_s(self) -> float | None:
        """Seconds since it came."""
        ...


class Exposition:
    """Makes the text.

    Args:
        source: of the newest status.
        extra: further figures, by the names of alerts and log.
    """

    def __init__(self, source: Source, extra: Callable[[], Mapping[str, float]]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        # Memory, processor and open files, where the system tells them (Linux).
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Session(source, extra))

    def text(self) -> bytes:
        """Return the figures of now."""
        return generate_latest(self._registry)


class _Session(Collector):
    def __init__(self, source: Source, extra: Callable[[], Mapping[str, float]]) -> None:
        self._source, self._extra = source, extra

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        status, age = self._source.status, self._source.age_s
        yield _gauge("up", "whether a status has come yet", float(status is not None))
        for name, value in self._extra().items():
            yield _family(name, _EXTRA[name], value, grows=name in _EXTRA_COUNTERS)
        if status is None or age is None:
            return
        yield _gauge("heartbeat_age_seconds", "since the loop has last said something", age)
        yield from _of_session(status)
        yield from _by_coin(status)
        for name, value in status.vitals.items():
            yield _family(name, MEANINGS[name], value, grows=name in COUNTERS)


def _of_session(status: Status) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "ftbt_session_info", "what runs where", labels=("deployment", "network")
    )
    info.add_metric((status.deployment, status.network), 1.0)
    yield info
    yield _gauge("connected", "whether both streams stand", float(status.connected))
    yield _gauge("live", "whether the bars are new and orders may be sent", float(status.live))
    yield _gauge("ready", "whether positions may be opened", float(not status.ready))
    yield _gauge("over", "whether the session has ended on purpose", float(status.over))
    yield _gauge("market_time_seconds", "the market's clock", status.market_ms / 1000.0)
    yield _gauge("bar_time_seconds", "open of the newest bar decided on", status.bar_ms / 1000.0)
    yield _gauge("equity_usdc", "equity of our books", status.equity)
    if status.account_equity is not None:
        text = "equity of the account as the exchange tells it"
        yield _gauge("account_equity_usdc", text, status.account_equity)
    yield _gauge("open_orders", "orders that stand on the exchange", status.open_orders)
    yield _gauge("busy", "events and jobs on their way", status.busy)
    yield _gauge("weight_left_ratio", "request weight left this minute", status.weight_left)
    yield _family("fills", "fills booked by this process", status.fills, grows=True)
    # A restart carries trades on from the journal, so these may begin above zero.
    yield _family("trades", "trades closed", status.trades, grows=True)
    yield _family("trades_won", "trades closed with a profit", status.wins, grows=True)
    latency = GaugeMetricFamily(
        "ftbt_decision_latency_seconds", "from the proof of a bar to the decision",
        labels=("figure",),
    )  # fmt: skip
    for figure, milliseconds in status.latency.items():
        latency.add_metric((figure,), milliseconds / 1000.0)
    yield latency


def _by_coin(status: Status) -> Iterator[Metric]:
    for name, text, values in (
        ("position_size", "signed size", status.positions),
        ("position_entry_price", "mean price of the entry", status.entries),
        ("price", "last close", status.prices),
    ):
        yield _coins(name, text, values)
    # A coin without trouble is shown as zero, so that an alarm can compare.
    bare = {coin: status.unprotected.get(coin, 0.0) for coin in status.prices}
    yield _coins("unprotected_seconds", "without a working stop that is meant to be there", bare)


def _coins(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"ftbt_{name}", text, labels=("coin",))
    for coin, value in values.items():
        family.add_metric((coin,), value)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ftbt_{name}", text, value=value)


def _family(name: str, text: str, value: float, *, grows: bool) -> Metric:
    made = CounterMetricFamily if grows else GaugeMetricFamily
    family: Metric = made(f"ftbt_{name}", text, value=value)
    return family
