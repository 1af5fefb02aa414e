"""Whether a key is an agent of an account, asked from the venue before anything is signed."""

from __future__ import annotations

from dataclasses import dataclass

from ftbt.data.timeframe import DAY_MS, HOUR_MS, show_ms
from ftbt.errors import ConfigError
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.rest import Rest

_SHORTEST_MS = HOUR_MS


@dataclass(frozen=True, slots=True)
class Approval:
    """An agent that may trade for an account.

    Attributes:
        account: whose positions they are; every question is asked for it.
        vault: the account again when it is a sub-account, which actions then name; else None.
        name: of the agent; None for the unnamed one.
        valid_until: ms; None when the venue does not list an end.
    """

    account: str
    vault: str | None
    name: str | None
    valid_until: int | None

    def warning(self, now: int) -> str | None:
        """Return a line when the approval ends within a week of *now* (ms)."""
        if self.valid_until is None or self.valid_until - now > 7 * DAY_MS:
            return None
        return f"the agent wallet's approval ends at {show_ms(self.valid_until)}: renew it"


def check_agent(rest: Rest, key: AgentKey, account: str, now: int) -> Approval:
    """Return the approval of *key* for *account* (both lower-case addresses).

    Args:
        rest: of the venue.
        key: the key that is to sign.
        account: the address that holds the money.
        now: ms UTC, on the venue's clock.

    Raises:
        ConfigError: the master's own key, an agent's address given as the account, an agent of
            somebody else, one that is not approved or about to end.
    """
    if key.address == account:
        raise ConfigError(
            f"this is the key of the account {account} itself: whoever has it can withdraw"
            " everything. Make an API wallet on the website (More > API), give its key, and keep"
            " this one off the machine"
        )
    master, vault = _master(rest, account)
    role = rest.role(key.address)
    kind = role.text("role")
    if kind in ("user", "subAccount", "vault"):
        raise ConfigError(
            f"the key of {key.address} is the key of an account, not of an API wallet: such a key"
            " can withdraw. Make an API wallet on the website (More > API) and give its key"
        )
    if kind != "agent":
        raise ConfigError(
            f"{key.address} is not approved for {account}: approve it as API wallet on the"
            " website (More > API) with the account's own wallet"
        )
    owner = role.at("data").text("user").lower()
    if owner != master:
        raise ConfigError(
            f"the API wallet {key.address} is approved for {owner}, not for {account}"
        )
    name, until = _listed(rest, key, master)
    if until is not None and until - now < _SHORTEST_MS:
        raise ConfigError(
            f"the approval of {key.address} ends at {show_ms(until)}: approve a new API wallet"
        )
    return Approval(account, vault, name, until)


def _master(rest: Rest, account: str) -> tuple[str, str | None]:
    """Return the wallet that approves agents for *account*, and the vault address of actions."""
    role = rest.role(account)
    kind = role.text("role")
    if kind == "agent":
        raise ConfigError(
            f"{account} is an API wallet: give the address of the account that it trades for,"
            f" {role.at('data').text('user')}"
        )
    if kind == "subAccount":
        return role.at("data").text("master").lower(), account
    if kind == "missing":
        raise ConfigError(
            f"the exchange does not know {account}: check the address and the network; a new"
            " account must be funded first"
        )
    if kind != "user":
        raise ConfigError(f"{account} is a {kind}; ftbt trades for accounts and sub-accounts")
    return account, None


def _listed(rest: Rest, key: AgentKey, master: str) -> tuple[str | None, int | None]:
    """Return name and end of the approval; the unnamed agent is not in the list."""
    for row in rest.agents(master).items():
        if row.text("address").lower() == key.address:
            return row.text("name"), row.whole("validUntil")
    return None, None
