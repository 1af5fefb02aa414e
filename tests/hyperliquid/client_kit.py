"""A client over a local exchange: what tests of the client have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from eth_account import Account

from ftbt.data.market import Market
from ftbt.data.sample import sample_market
from ftbt.hyperliquid.agents import Approval, check_agent
from ftbt.hyperliquid.budget import Budget
from ftbt.hyperliquid.keys import AgentKey
from ftbt.hyperliquid.network import Endpoint, Mode, Network, endpoint
from ftbt.hyperliquid.nonces import Nonces
from ftbt.hyperliquid.orders import CloidMaker, OrderRequest, Tif, Trigger
from ftbt.hyperliquid.records import Universe
from ftbt.hyperliquid.resolving import Patience, Resolver
from ftbt.hyperliquid.rest import Rest
from ftbt.hyperliquid.sending import Sender
from ftbt.hyperliquid.transport import Timeouts, Transport
from ftbt.live.journal import LiveJournal
from ftbt.localnet.process import Key, Localnet, test_key

QUICK = Timeouts(connect=1.0, read=0.7, turn=5.0)
# For tests in which no request may fail by itself, however busy the machine is.
UNHURRIED = Timeouts(connect=20.0, read=60.0, turn=60.0)
HURRIED = Patience(poll_s=0.05, grace_s=0.4, least_looks=3, longest_s=6.0)


@cache
def replayed() -> dict[str, Market]:
    """Return the markets that the local exchange of these tests replays, 15m bars."""
    return sample_market(("BTC", "ETH"), days=14)


def local_endpoint(url: str) -> Endpoint:
    """Return the endpoint of a local exchange."""
    return endpoint(Network.LOCALNET, Mode.PAPER, local_url=url)


def agent_key(name: str) -> AgentKey:
    """Return the agent key called *name*."""
    return AgentKey(Account.from_key(test_key(name).secret))


@dataclass
class Client:
    """A funded account with an agent, and everything to trade with."""

    net: Localnet
    user: Key
    key: AgentKey
    transport: Transport
    rest: Rest
    approval: Approval
    journal: LiveJournal
    sender: Sender
    resolver: Resolver
    universe: Universe
    cloids: CloidMaker
    count: int = field(default=0)

    @property
    def account(self) -> str:
        """Address of the account."""
        return self.user.address

    def order(self, coin: str, *, buy: bool, price: str, size: str, **more: Any) -> OrderRequest:
        """Return an order with the next client order id."""
        self.count += 1
        cloid = more.pop("cloid", None) or self.cloids.make("test", self.count)
        asset = self.universe.tradable(coin)
        return OrderRequest(asset, buy, Decimal(price), Decimal(size), cloid, **more)

    def market(self, coin: str, *, buy: bool, size: str, **more: Any) -> OrderRequest:
        """Return an order that trades at once."""
        mid = self.rest.mids()[coin]
        bound = mid * Decimal("1.05" if buy else "0.95")
        price = f"{bound:.3g}"
        return self.order(
            coin, buy=buy, price=f"{Decimal(price):f}", size=size, tif=Tif.IOC, **more
        )

    def stop(self, coin: str, *, buy: bool, trigger: str, size: str, **more: Any) -> OrderRequest:
        """Return a reduce-only stop."""
        wake = Trigger(Decimal(trigger), stop=True)
        return self.order(
            coin, buy=buy, price=trigger, size=size, trigger=wake, reduce_only=True, **more
        )

    def position(self, coin: str) -> Decimal:
        """Return the signed position that the exchange has."""
        held = self.rest.account(self.account).positions.get(coin)
        return Decimal(0) if held is None else held.size


def make_client(net: Localnet, folder: Path, name: str, **more: Any) -> Client:
    """Return a client for a new account called *name*, its agent approved."""
    user, key = test_key(name), agent_key(f"{name} agent")
    net.fund(user.address, 10_000)
    net.control("/agent", {"user": user.address, "agent": key.address, "name": "ftbt"})
    budget = more.pop("budget", None) or Budget()
    transport = Transport(local_endpoint(net.url), budget, more.pop("timeouts", QUICK))
    rest = Rest(transport)
    approval = check_agent(rest, key, user.address, rest.server_time())
    journal = LiveJournal.open(folder / name / "journal.db", deployment=name)
    sender = Sender(
        transport, key, approval, Nonces(key.address, "localnet", folder), journal, **more
    )
    return Client(
        net, user, key, transport, rest, approval, journal, sender,
        Resolver(sender, rest, HURRIED), rest.universe(), CloidMaker(name),
    )  # fmt: skip


ClientMaker = Callable[..., Client]
