"""Which exchange is spoken to, and that mainnet can't be reached by accident."""

from __future__ import annotations

import copy
import pickle

import pytest

from ftbt.errors import ConfigError
from ftbt.hyperliquid.network import (
    MAINNET_WORDS,
    Endpoint,
    MainnetConfirmation,
    Mode,
    Network,
    confirm_mainnet,
    endpoint,
    parse_network,
)

MAINNET_URL = "https://api.hyperliquid.xyz"
LOCAL_URL = "http://127.0.0.1:3001"


def test_each_network_has_its_own_address():
    """Testnet and mainnet have fixed addresses; a local exchange is where it says."""
    testnet = endpoint(Network.TESTNET, Mode.PAPER)
    mainnet = endpoint(Network.MAINNET, Mode.LIVE, confirmation=confirm_mainnet(MAINNET_WORDS))
    local = endpoint(Network.LOCALNET, Mode.PAPER, local_url=LOCAL_URL + "/")

    assert testnet.socket_url == "wss://api.hyperliquid-testnet.xyz/ws"
    assert mainnet.url == MAINNET_URL
    assert local.socket_url == "ws://127.0.0.1:3001/ws"
    assert [e.is_mainnet for e in (testnet, mainnet, local)] == [False, True, False]


@pytest.mark.parametrize("network", [Network.LOCALNET, Network.TESTNET])
def test_only_mainnet_is_live(network):
    """Mode live names real money; a network without any is refused."""
    with pytest.raises(ConfigError, match="real money"):
        endpoint(network, Mode.LIVE, local_url=LOCAL_URL if network == "localnet" else None)


def test_paper_never_holds_the_address_of_mainnet():
    """Neither the network mainnet nor its address under another name passes with mode paper."""
    confirmation = confirm_mainnet(MAINNET_WORDS)
    with pytest.raises(ConfigError, match="paper can't trade on mainnet"):
        endpoint(Network.MAINNET, Mode.PAPER, confirmation=confirmation)
    for network in (Network.TESTNET, Network.LOCALNET):
        with pytest.raises(ConfigError):
            Endpoint(network, Mode.PAPER, MAINNET_URL)


def test_mainnet_needs_the_confirmation():
    """Network and mode alone do not reach mainnet."""
    with pytest.raises(ConfigError, match="confirmation"):
        endpoint(Network.MAINNET, Mode.LIVE)
    with pytest.raises(ConfigError, match="confirmation"):
        Endpoint(Network.MAINNET, Mode.LIVE, MAINNET_URL, object())


@pytest.mark.parametrize("typed", ["", "yes", "Trade real money", "trade real money ", "y"])
def test_only_the_exact_words_confirm(typed):
    """Anything but the words is refused, and the refusal says what to type."""
    with pytest.raises(ConfigError, match="type exactly 'trade real money'"):
        confirm_mainnet(typed)


def test_a_confirmation_is_made_by_typing_only():
    """It can't be constructed, pickled or copied."""
    made = confirm_mainnet(MAINNET_WORDS)
    with pytest.raises(ConfigError):
        MainnetConfirmation(object())
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(made)


def test_a_confirmation_for_another_network_is_a_mistake():
    """Who confirms mainnet and names testnet meant one of them."""
    with pytest.raises(ConfigError, match="was mainnet meant"):
        endpoint(Network.TESTNET, Mode.PAPER, confirmation=confirm_mainnet(MAINNET_WORDS))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:3001", "http://10.0.0.5:3001", "http://127.0.0.1",
        "http://localhost:3001/info", "http://user@localhost:3001", MAINNET_URL,
    ],
)  # fmt: skip
def test_a_local_exchange_is_on_this_machine(url):
    """Everything but plain HTTP to a port of the loopback is refused."""
    with pytest.raises(ConfigError):
        endpoint(Network.LOCALNET, Mode.PAPER, local_url=url)


def test_the_address_is_exact_because_signatures_follow_it():
    """A slash at the end of mainnet's address would make the SDK sign for testnet."""
    confirmation = confirm_mainnet(MAINNET_WORDS)
    with pytest.raises(ConfigError, match="mainnet is at"):
        Endpoint(Network.MAINNET, Mode.LIVE, MAINNET_URL + "/", confirmation)


@pytest.mark.parametrize("text", ["", "main", "prod"])
def test_a_network_is_never_guessed(text):
    """No name and no near name stands for a network."""
    with pytest.raises(ConfigError, match="name one of localnet, testnet, mainnet"):
        parse_network(text)


def test_a_mistyped_network_is_named():
    """The message has the nearest name."""
    with pytest.raises(ConfigError, match="did you mean 'testnet'"):
        parse_network("tesnet")
