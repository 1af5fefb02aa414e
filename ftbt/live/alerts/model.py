"""What an alert is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much an alert matters. CRITICAL: somebody must look now."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    CRITICAL = "critical"


class Topic(StrEnum):
    """What an alert is about; each can be left out."""

    START = "start"
    STOP = "stop"
    FAILURE = "failure"
    FILL = "fill"
    SETUP = "setup"
    REFUSALS = "refusals"
    BREAKER = "breaker"
    DISCONNECT = "disconnect"
    RECOVERY = "recovery"
    TROUBLE = "trouble"
    HALT = "halt"
    CRITICAL = "critical"
    PROTECTION = "protection"
    SILENCE = "silence"
    DAILY = "daily"
    HELD = "held"
    TEST = "test"


MEANINGS = {
    Topic.START: "a session has begun: where, what, with how much",
    Topic.STOP: "a session has ended on purpose, and what it holds",
    Topic.FAILURE: "a session was ended by an error",
    Topic.FILL: "a position was opened, made smaller or closed: price, size, profit",
    Topic.SETUP: "a setup with a high confidence, taken or not, with the terminal's bell",
    Topic.REFUSALS: "the exchange has refused several orders and nothing has filled in between",
    Topic.BREAKER: "a limit on losses has stopped entries",
    Topic.DISCONNECT: "no connection, or no fresh market data, for too long",
    Topic.RECOVERY: "what was told before is over, or a session carries on after a restart",
    Topic.TROUBLE: "something is wrong with the account or an order",
    Topic.HALT: "the owner has halted the deployment",
    Topic.CRITICAL: "positions could not be relied upon to be protected: halted, and why",
    Topic.PROTECTION: "a position has had no working stop for too long",
    Topic.SILENCE: "the loop that trades has said nothing for too long",
    Topic.DAILY: "the day at midnight UTC: equity, trades, costs, trouble",
    Topic.HELD: "how many alerts were held back because there were too many",
    Topic.TEST: "sent by `ftbt alerts test`",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell.

    Attributes:
        topic, level: what it is about, and how much it matters.
        key: alerts with the same key are the same thing.
        title: one line.
        text: lines; may be empty.
        lasting: it is so for as long as it is returned; being returned again is no news.
    """

    topic: Topic
    level: Level
    key: str
    title: str
    text: str = ""
    lasting: bool = False
