"""What the layers of one running local exchange share."""

from __future__ import annotations

from decimal import Decimal

from ftbt.localnet.clock import Pace, WallClock
from ftbt.localnet.faults import Faults
from ftbt.localnet.identity import Identity
from ftbt.localnet.limits import AddressLimits, IpLimits
from ftbt.localnet.venue import Venue


class Host:
    """The venue with its clocks, users, budgets and faults.

    Attributes:
        scheduled: wall time (ms) by account at which all its orders are cancelled.
        fired: how often that happened, by (account, day).
        referrals: code by account.
    """

    def __init__(self, venue: Venue, pace: Pace) -> None:
        self.venue = venue
        self.pace = pace
        self.wall = WallClock()
        self.identity = Identity()
        self.ip = IpLimits(self.wall.now, lambda: venue.time)
        self.address = AddressLimits()
        self.faults = Faults()
        self.scheduled: dict[str, int] = {}
        self.fired: dict[tuple[str, int], int] = {}
        self.referrals: dict[str, str] = {}
        self.specials: list[str] = []

    def fund(self, user: str, amount: Decimal) -> None:
        """Pay USDC into the account of *user*, which may act from then on."""
        self.identity.users.add(user)
        self.venue.core.deposit(user, amount)
