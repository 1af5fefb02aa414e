"""Who may act for whom, and which nonces are used up."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass, field

from ftbt.data.timeframe import DAY_MS

KEPT_NONCES = 100
_WINDOW_BACK_MS = 2 * DAY_MS
_WINDOW_AHEAD_MS = DAY_MS
_NAMED_AGENTS = 3
_LONGEST_VALIDITY_MS = 180 * DAY_MS
_VALID_UNTIL = re.compile(r"^(.*?) ?valid_until (\d+)$")


@dataclass(slots=True)
class Agent:
    """A wallet that signs for *master*; unnamed when *name* is empty."""

    address: str
    master: str
    name: str
    valid_until: int


@dataclass(slots=True)
class Nonces:
    """The nonces of one signer."""

    seen: list[int] = field(default_factory=list)

    def refusal(self, nonce: int, now: int) -> str | None:
        """Return why *nonce* cannot be used at wall time *now* (ms); None when it can."""
        oldest, newest = now - _WINDOW_BACK_MS, now + _WINDOW_AHEAD_MS
        if nonce <= oldest:
            return f"Invalid nonce: nonce too low {nonce} < {oldest}"
        if nonce >= newest:
            return f"Invalid nonce: nonce too high {nonce} > {newest}"
        where = bisect_left(self.seen, nonce)
        if where < len(self.seen) and self.seen[where] == nonce:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(self.seen) >= KEPT_NONCES and nonce < self.seen[-KEPT_NONCES]:
            return f"Invalid nonce: nonce too low {nonce} < {self.seen[-KEPT_NONCES]}"
        return None

    def use(self, nonce: int, now: int) -> None:
        """Use *nonce* up."""
        insort(self.seen, nonce)
        # What has left the window is refused by its age, so it may be forgotten.
        del self.seen[: bisect_left(self.seen, now - _WINDOW_BACK_MS)]


class Identity:
    """Users, their agents and sub-accounts."""

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.agents: dict[str, Agent] = {}
        self.sub_accounts: dict[str, tuple[str, str]] = {}
        self.builder_fees: dict[tuple[str, str], int] = {}
        self.nonces: dict[str, Nonces] = defaultdict(Nonces)

    def master_of(self, signer: str, now: int) -> str | None:
        """Return the user for whom *signer* may trade: itself, or its master; None for nobody."""
        agent = self.agents.get(signer)
        if agent is not None:
            return agent.master if agent.valid_until > now else None
        return signer if signer in self.users else None

    def acts_for(self, master: str, vault: str | None) -> str | None:
        """Return the account that an action is for; None when it is not the master's."""
        if vault is None or vault == master:
            return master
        known = self.sub_accounts.get(vault)
        return vault if known is not None and known[0] == master else None

    def approve(self, master: str, address: str, name: str, now: int) -> str | None:
        """Let *address* sign for *master*; an agent of the same name is dropped.

        *name* may end with ` valid_until <ms>`. Returns the refusal, None when done.
        """
        known = self.agents.get(address)
        if address in self.users or (known is not None and known.master != master):
            return "Extra agent already used."
        valid = now + _LONGEST_VALIDITY_MS
        match = _VALID_UNTIL.match(name)
        if match:
            name, asked = match[1], int(match[2])
            if not now < asked <= valid:
                return "Invalid agent valid until."
            valid = asked
        own = [agent for agent in self.agents.values() if agent.master == master]
        same = [agent for agent in own if agent.name == name]
        if name and not same and sum(1 for agent in own if agent.name) >= _NAMED_AGENTS:
            return "Too many extra agents."
        for agent in same:
            self.revoke(agent.address)
        self.agents[address] = Agent(address, master, name, valid)
        return None

    def revoke(self, address: str) -> bool:
        """Drop an agent and its nonces; tell whether there was one."""
        self.nonces.pop(address, None)
        return self.agents.pop(address, None) is not None

    def role(self, address: str) -> dict[str, object]:
        """Return the answer to `userRole`."""
        if address in self.agents:
            return {"role": "agent", "data": {"user": self.agents[address].master}}
        if address in self.sub_accounts:
            return {"role": "subAccount", "data": {"master": self.sub_accounts[address][0]}}
        return {"role": "user" if address in self.users else "missing"}

    def extra_agents(self, master: str) -> list[dict[str, object]]:
        """Return the answer to `extraAgents`: the named ones."""
        return [
            {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until}
            for agent in self.agents.values()
            if agent.master == master and agent.name
        ]
