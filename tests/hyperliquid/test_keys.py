"""Agent keys: where they may come from, and that they never show."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from client_kit import agent_key
from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action

from ftbt.errors import ConfigError
from ftbt.hyperliquid import sdk
from ftbt.hyperliquid.keys import (
    FILE_VARIABLE,
    KEY_VARIABLE,
    PASSWORD_VARIABLE,
    load_key,
    parse_address,
)

SECRET = "b7" * 32
ADDRESS = str(Account.from_key("0x" + SECRET).address).lower()


def key_file(folder, text=SECRET, mode=0o600):
    """Return the path of a key file."""
    path = folder / "agent.key"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def keystore():
    """Return a keystore of eth-account, quick to open."""
    return json.dumps(Account.encrypt("0x" + SECRET, "right", kdf="pbkdf2", iterations=10))


@pytest.mark.parametrize("text", [SECRET, "0x" + SECRET, f"  0x{SECRET}\n"])
def test_a_key_is_read_from_the_environment_or_a_file(text, tmp_path):
    """Hex digits with or without 0x and spaces around are one key."""
    path = key_file(tmp_path, text)

    assert load_key({KEY_VARIABLE: text}).address == ADDRESS
    assert load_key({}, path).address == ADDRESS
    assert load_key({FILE_VARIABLE: str(path)}).address == ADDRESS


def test_a_keystore_is_opened_with_its_password(tmp_path, keystore):
    """The password comes from the environment or a person; a wrong or missing one is said."""
    path = key_file(tmp_path, keystore)

    assert load_key({PASSWORD_VARIABLE: "right"}, path).address == ADDRESS
    assert load_key({}, path, lambda _: "right").address == ADDRESS
    with pytest.raises(ConfigError, match="password is wrong"):
        load_key({PASSWORD_VARIABLE: "wrong"}, path)
    with pytest.raises(ConfigError, match=PASSWORD_VARIABLE):
        load_key({}, path)


@pytest.mark.parametrize("text", ['{"crypto": {}}', '{"a": 1}', "{not json", "{}"])
def test_a_broken_keystore_is_said_to_be_one(tmp_path, text):
    """No traceback of the library reaches the user."""
    with pytest.raises(ConfigError, match="keystore"):
        load_key({PASSWORD_VARIABLE: "x"}, key_file(tmp_path, text))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    """The message holds the command that mends it."""
    path = key_file(tmp_path, mode=mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        load_key({}, path)


def test_no_key_and_two_keys_are_refused(tmp_path):
    """One of them has to be there, not both; nothing is preferred silently."""
    with pytest.raises(ConfigError, match="no agent key"):
        load_key({})
    with pytest.raises(ConfigError, match="two keys"):
        load_key({KEY_VARIABLE: SECRET}, key_file(tmp_path))
    with pytest.raises(ConfigError, match="cannot read"):
        load_key({}, tmp_path / "none")


@pytest.mark.parametrize("text", ["", "abc", SECRET[:-1], SECRET + "0", "0" * 64, "f" * 64])
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path, text):
    """A key with one digit too many is a secret as well."""
    with pytest.raises(ConfigError) as caught:
        load_key({}, key_file(tmp_path, text))
    assert SECRET[:16] not in str(caught.value)


def test_a_key_never_shows(caplog):
    """Neither by printing, logging and formatting nor in a traceback or by pickling."""
    key = load_key({KEY_VARIABLE: SECRET})
    shown = [repr(key), str(key), f"{key}", f"{[key]}", "{}".format(key)]  # noqa: UP032
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("using %s %r", key, key)
        key.sign({"type": "noop"}, 1, None, None, mainnet=False)
    try:
        raise ValueError(key)  # noqa: TRY301
    except ValueError:
        shown.append(traceback.format_exc())

    assert all(SECRET[:8] not in text.lower() for text in [*shown, caplog.text])
    assert all(ADDRESS[:6] in text for text in shown)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars):
        with pytest.raises(TypeError):
            attempt(key)


@pytest.mark.parametrize("text", [SECRET, "0x" + SECRET, "", "0x12", "0X" + "a" * 40])
def test_a_key_given_as_an_address_is_not_repeated(text):
    """The commonest slip puts the secret into an error message; here it does not."""
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert SECRET[:8] not in str(caught.value)


def test_addresses_are_compared_in_lower_case():
    """The venue writes them so, wallets write them with checksums."""
    mixed = Account.from_key("0x" + SECRET).address
    assert parse_address(f" {mixed} ") == ADDRESS


def test_equal_keys_are_those_of_one_address():
    """Two loads of a key are equal, other keys are not."""
    assert load_key({KEY_VARIABLE: SECRET}) == load_key({KEY_VARIABLE: "0x" + SECRET})
    assert len({load_key({KEY_VARIABLE: SECRET}), agent_key("another")}) == 2


@pytest.mark.parametrize("mainnet", [True, False])
@pytest.mark.parametrize("vault", [None, "0x" + "5e" * 20])
@pytest.mark.parametrize("expires", [None, 1_700_000_015_000])
def test_a_signature_is_the_official_sdks(mainnet, vault, expires):
    """Our shorter way to the digest ends in the very signature of the SDK, for any action."""
    wallet = Account.from_key("0x" + "42" * 32)
    for number in range(20):
        action = {
            "type": "order", "grouping": "na",
            "orders": [{"a": number, "b": True, "p": "1670.1", "s": "0.0147", "r": False,
                        "t": {"limit": {"tif": "Ioc"}}, "c": f"0x{number:032x}"}],
        }  # fmt: skip
        nonce = 1_700_000_000_000 + number
        ours = sdk.signature(wallet, action, vault, nonce, expires, mainnet=mainnet)
        assert ours == sign_l1_action(wallet, action, vault, nonce, expires, mainnet)
