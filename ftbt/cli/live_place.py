"""Which exchange the options of a command mean, as long as no real money is meant."""

from __future__ import annotations

from ftbt.errors import ConfigError
from ftbt.hyperliquid.network import Endpoint, Mode, Network, endpoint

LOCAL_URL = "http://127.0.0.1:3001"


def place_of(network: Network, mode: Mode, url: str | None) -> Endpoint:
    """Return the endpoint of *network*; *url* is that of a local exchange.

    Raises:
        ConfigError: these do not belong together.
    """
    if network is Network.LOCALNET:
        return endpoint(network, mode, local_url=url or LOCAL_URL)
    if url is not None:
        raise ConfigError(f"--url is the address of a local exchange; {network} has its own")
    return endpoint(network, mode)
