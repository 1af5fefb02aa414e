"""What can be listened to, and which acknowledgement or frame belongs to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The venue names the channel of these after something else.
_CHANNELS = {"userEvents": "user"}


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription of a socket.

    Attributes:
        kind: as the venue calls it, for example `candle`.
        coin, interval, user: what kinds that take them are about; user in lower case.
    """

    kind: str
    coin: str | None = None
    interval: str | None = None
    user: str | None = None

    def message(self) -> dict[str, str]:
        """Return it in the venue's form."""
        named = {"coin": self.coin, "interval": self.interval, "user": self.user}
        return {"type": self.kind} | {k: v for k, v in named.items() if v is not None}

    @property
    def channel(self) -> str:
        """The channel that its frames carry."""
        return _CHANNELS.get(self.kind, self.kind)

    def is_acknowledged_by(self, echo: Any) -> bool:
        """Tell whether *echo*, which the venue completes with defaults, is about this."""
        if not isinstance(echo, dict):
            return False
        return all(
            str(echo.get(name, "")).lower() == value.lower()
            for name, value in self.message().items()
        )


def candle(coin: str, interval: str) -> Subscription:
    """Return the subscription to the forming candle."""
    return Subscription("candle", coin=coin, interval=interval)


def of_account(user: str) -> tuple[Subscription, ...]:
    """Return the subscriptions to an account's orders and fills."""
    return (
        Subscription("orderUpdates", user=user),
        Subscription("userFills", user=user),
        Subscription("userEvents", user=user),
    )
