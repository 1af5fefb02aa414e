"""What is worth an alert: events of the journal, and what statuses say for how long.

Nothing here waits, sends or remembers beyond the process; times are of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbt.data.timeframe import DAY_MS
from ftbt.live.alerts.day import Day
from ftbt.live.alerts.fills import Fills
from ftbt.live.alerts.model import Alert, Level, Topic
from ftbt.live.alerts.settings import AlertSettings
from ftbt.live.alerts.states import States
from ftbt.live.alerts.words import positions_text, setup_text, side_word
from ftbt.live.status import Status
from ftbt.strategy.records import REFUSAL_WORDS, Refusal

# What the limits remember once one of them is reached, see `ftbt.risk.limits`.
_BREAKERS = {
    "fallen": "the drawdown breaker is open", "day_lost": "the loss of a day is reached",
    "week_lost": "the loss of a week is reached",
}  # fmt: skip


class Rules:
    """Turns events and statuses into alerts.

    Args:
        settings: thresholds.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._fills, self._day, self._states = Fills(), Day(), States(settings)
        self._strategies: list[Mapping[str, Any]] = []
        self._refusals: list[str] = []
        self._open: set[str] = set()  # breakers that were told
        self._full_day = -1  # the day on which the limit of trades was told

    def event(self, kind: str, body: Mapping[str, Any], coin: str, now: float) -> list[Alert]:
        """Return what an event of the journal is worth."""
        self._day.event(kind, body)
        if kind == "order":
            self._fills.order(body, coin)
        elif kind == "fill":
            self._refusals.clear()
            self._fills.fill(body, coin, now)
        elif kind == "trade":
            return self._fills.trade(body, coin)
        elif kind == "refused":
            return self._refused(body, coin)
        elif kind == "decision":
            return self._decision(body, coin)
        elif kind == "equity":
            return self._limits(body.get("limits", {}))
        elif kind == "stop":
            return [*self.rest(now), self._stopped(body)]
        else:
            found = self._plain(kind, body, coin)
            return [] if found is None else [found]
        return []

    def status(self, status: Status, now: float) -> list[Alert]:
        """Return what a status is worth."""
        found = self._states.status(status, now)
        day = self._day.status(status, now)
        return found if day is None else [*found, day]

    def tick(self, now: float) -> list[Alert]:
        """Return what is worth an alert because time has passed."""
        return [*self._fills.due(now), *self._states.tick(now)]

    def rest(self, now: float) -> list[Alert]:
        """Return what was kept back to be told together."""
        return self._fills.due(now, all_of_them=True)

    def failed(self, error: str) -> Alert:
        """Return the alert of an error that ended the session."""
        self._states.ended()
        text = f"{error}\npositions keep their stops on the exchange; ftbt status tells more"
        return Alert(Topic.FAILURE, Level.CRITICAL, "failure", "ended by an error", text)

    # --- kinds ------------------------------------------------------------------------------------

    def _plain(self, kind: str, body: Mapping[str, Any], coin: str) -> Alert | None:
        if kind == "session":
            return self._started(body)
        if kind == "critical":
            text = f"{body['text']}\nhalted: ftbt status, and ftbt resume once it is mended"
            return Alert(Topic.CRITICAL, Level.CRITICAL, "critical", f"{body['what']}", text)
        if kind == "alarm":
            self._states.troubled()
            text = f"{body['text']}\nnothing is opened until this is over"
            key = f"alarm {body['what']}"
            return Alert(Topic.TROUBLE, Level.WARNING, key, f"trouble: {body['what']}", text)
        if kind == "error":
            text = str(body.get("error", ""))
            title = f"{coin} {body['what']}".strip()
            return Alert(Topic.TROUBLE, Level.WARNING, f"error {coin} {body['what']}", title, text)
        if kind == "orphan":
            title = f"{coin}: an order of ours stood for nothing and is cancelled"
            return Alert(Topic.TROUBLE, Level.WARNING, f"orphan {coin}", title)
        return self._noted(body) if kind == "note" else None

    def _stopped(self, body: Mapping[str, Any]) -> Alert:
        self._states.ended()
        title = f"ended: {positions_text(body['positions'])}"
        return Alert(Topic.STOP, Level.INFO, "stop", title, f"policy: {body['policy']}")

    def _started(self, body: Mapping[str, Any]) -> Alert:
        self._strategies = list(body["strategies"])
        names = ", ".join(str(one["name"]) for one in body["strategies"])
        capital = body["settings"].get("capital", 0.0)
        lines = [
            f"{names} on {', '.join(body['symbols'])}, {body['timeframe']}",
            f"capital {capital:,.2f}, account {body['account']}, at the end: {body['on_stop']}",
        ]
        if body["dry_run"]:
            lines.append("dry run: nothing is sent")
        return Alert(
            Topic.START, Level.INFO, f"start {body['pid']}", f"started on {body['network']}",
            "\n".join(lines),
        )  # fmt: skip

    def _noted(self, body: Mapping[str, Any]) -> Alert | None:
        text = str(body.get("text", ""))
        if text.startswith("carried on from"):
            return Alert(
                Topic.RECOVERY, Level.INFO, "carried on", "carried on after a restart", text
            )
        if text.startswith("asked to"):
            who = f"by {body['by']}" if "by" in body else ""
            return Alert(Topic.HALT, Level.INFO, f"wish {text}", text, who)
        return None

    def _refused(self, body: Mapping[str, Any], coin: str) -> list[Alert]:
        self._refusals.append(f"{coin} {body['leg']}: {body['text']}")
        count = len(self._refusals)
        if count < self._settings.refusals:
            return []
        last = "\n".join(self._refusals[-5:])
        title = f"{count} orders refused by the exchange, none filled in between"
        del self._refusals[:-100]
        return [Alert(Topic.REFUSALS, Level.WARNING, "refusals", title, last)]

    def _decision(self, body: Mapping[str, Any], coin: str) -> list[Alert]:
        found = []
        rule = int(body["refusal"])
        day = int(body["bar"]) // DAY_MS
        if rule == Refusal.TRADES_PER_DAY and day != self._full_day:
            self._full_day = day
            title = (
                f"entries are refused until midnight UTC: {REFUSAL_WORDS[Refusal.TRADES_PER_DAY]}"
            )
            found.append(Alert(Topic.BREAKER, Level.WARNING, f"trades of day {day}", title))
        confidence = float(body["confidence"])
        if body["side"] and confidence > self._settings.confidence:
            title = f"{coin} {side_word(body['side'])} setup, confidence {confidence:.1f}"
            key = f"setup {coin} {body['strategy']} {body['bar']}"
            text = setup_text(body, coin, self._strategies)
            found.append(Alert(Topic.SETUP, Level.INFO, key, title, text))
        return found

    def _limits(self, state: Mapping[str, float]) -> list[Alert]:
        found = []
        for name, words in _BREAKERS.items():
            lost = float(state.get(name) or 0.0)
            if lost and name not in self._open:
                self._open.add(name)
                text = f"{lost:.2%} lost; nothing is opened until the limit allows it again"
                if name == "fallen":
                    text = f"{lost:.2%} below the peak; a person lifts it: ftbt resume"
                found.append(Alert(Topic.BREAKER, Level.CRITICAL, f"breaker {name}", words, text))
            elif not lost and name in self._open:
                self._open.discard(name)
                title = f"over: {words}"
                found.append(Alert(Topic.RECOVERY, Level.INFO, f"breaker over {name}", title))
        return found
