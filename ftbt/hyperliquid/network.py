"""Which exchange is spoken to. It is always named, and real money needs more than a name.

An `Endpoint` is the only thing that the client takes an address from, and it can't be made for
mainnet unless three things agree: the network, the mode and a confirmation in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from ftbt.errors import ConfigError, did_you_mean

MAINNET_WORDS = "trade real money"

_MAINNET_URL = "https://api.hyperliquid.xyz"
_TESTNET_URL = "https://api.hyperliquid-testnet.xyz"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Network(StrEnum):
    """The exchanges that speak this protocol."""

    LOCALNET = "localnet"
    TESTNET = "testnet"
    MAINNET = "mainnet"


class Mode(StrEnum):
    """Whether the money is real."""

    PAPER = "paper"
    LIVE = "live"


class _Seal:
    """Held by this module only, so that nothing else can make a confirmation."""


_SEAL = _Seal()


class MainnetConfirmation:
    """Proof that a person typed the words. Made by `confirm_mainnet` and by nothing else."""

    __slots__ = ("_seal",)

    def __init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise ConfigError("a confirmation for mainnet is made by confirm_mainnet() only")
        self._seal = seal

    def __reduce__(self) -> str:
        raise TypeError("a confirmation for mainnet can't be stored or handed on")

    def __repr__(self) -> str:
        return "<confirmed: real money>"


def confirm_mainnet(typed: str) -> MainnetConfirmation:
    """Return the confirmation when *typed* is exactly `trade real money`.

    Raises:
        ConfigError: for anything else, saying what to type.
    """
    if typed != MAINNET_WORDS:
        raise ConfigError(
            f"mainnet is not confirmed: type exactly '{MAINNET_WORDS}' (got {typed[:40]!r});"
            " --network testnet or localnet risks nothing"
        )
    return MainnetConfirmation(_SEAL)


def parse_network(text: str) -> Network:
    """Return the network named *text*.

    Raises:
        ConfigError: for an unknown name; an empty one is never taken for a default.
    """
    try:
        return Network(text)
    except ValueError:
        names = ", ".join(Network)
        hint = did_you_mean(text, Network)
        raise ConfigError(f"network {text!r} is not known{hint}: name one of {names}") from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go.

    Attributes:
        network: its name.
        mode: paper or live; live is mainnet and mainnet is live.
        url: base address of REST without a slash at the end.
        confirmation: needed for mainnet, forbidden elsewhere.
    """

    network: Network
    mode: Mode
    url: str
    confirmation: MainnetConfirmation | None = None

    def __post_init__(self) -> None:
        _check_mode(self.network, self.mode, self.confirmation)
        _check_url(self.network, self.url)

    @property
    def is_mainnet(self) -> bool:
        """Whether actions are signed for the chain with real money."""
        return self.network is Network.MAINNET

    @property
    def is_local(self) -> bool:
        """Whether the exchange runs on this machine."""
        return self.network is Network.LOCALNET

    @property
    def socket_url(self) -> str:
        """Address of the WebSocket."""
        return "ws" + self.url[len("http") :] + "/ws"


def endpoint(
    network: Network,
    mode: Mode,
    *,
    local_url: str | None = None,
    confirmation: MainnetConfirmation | None = None,
) -> Endpoint:
    """Return the endpoint of *network*.

    Args:
        network: must be named; there is no default.
        mode: paper for localnet and testnet, live for mainnet.
        local_url: address of the local exchange, for localnet only, for example
            `http://127.0.0.1:3001`.
        confirmation: what `confirm_mainnet` returned, for mainnet only.

    Raises:
        ConfigError: when these do not belong together.
    """
    if (network is Network.LOCALNET) != (local_url is not None):
        raise ConfigError(
            "localnet needs the address of the local exchange, the other networks have their own"
        )
    known = {Network.TESTNET: _TESTNET_URL, Network.MAINNET: _MAINNET_URL}
    url = known[network] if local_url is None else local_url.rstrip("/")
    return Endpoint(network, mode, url, confirmation)


def _check_mode(network: Network, mode: Mode, confirmation: MainnetConfirmation | None) -> None:
    if network is Network.MAINNET and mode is not Mode.LIVE:
        raise ConfigError(
            "mode paper can't trade on mainnet: name --network testnet or localnet, or --mode live"
        )
    if mode is Mode.LIVE and network is not Network.MAINNET:
        raise ConfigError(
            f"mode live trades real money, and {network} has none: name --mode paper,"
            " or --network mainnet"
        )
    confirmed = isinstance(confirmation, MainnetConfirmation)
    if network is Network.MAINNET and not confirmed:
        raise ConfigError(f"mainnet needs a confirmation: type '{MAINNET_WORDS}'")
    if network is not Network.MAINNET and confirmation is not None:
        raise ConfigError(f"{network} takes no confirmation for mainnet: was mainnet meant?")


def _check_url(network: Network, url: str) -> None:
    """Raise when *url* is not *network*'s; the SDK signs for mainnet by this very string."""
    if network is not Network.LOCALNET:
        wanted = _MAINNET_URL if network is Network.MAINNET else _TESTNET_URL
        if url != wanted:
            raise ConfigError(f"{network} is at {wanted}, not at {url!r}")
        return
    parts = urlsplit(url)
    plain = parts.scheme == "http" and not (parts.path or parts.query or parts.username)
    if not plain or parts.hostname not in _LOOPBACK or parts.port is None:
        raise ConfigError(
            f"a local exchange is at http://127.0.0.1:PORT or localhost, not at {url!r}"
        )
