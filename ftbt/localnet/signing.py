"""Who signed: EIP-712 recovery over the canonical form of an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

_ZERO_ADDRESS = "0x" + "00" * 20
_L1_CHAIN = 1337
_DOMAIN_TYPE = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
_AGENT_TYPE = [
    {"name": "source", "type": "string"},
    {"name": "connectionId", "type": "bytes32"},
]
TESTNET, MAINNET = "b", "a"


class BadSignature(Exception):  # noqa: N818 - reads as what happened
    """No address follows from the signature."""


def action_hash(
    action: Mapping[str, Any], nonce: int, vault: str | None, expires_after: int | None
) -> bytes:
    """Return the hash that is signed for an action of the exchange itself."""
    data: bytes = msgpack.packb(action)
    data += nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault[2:])
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return bytes(keccak(data))


def recover_l1(digest: bytes, signature: object, source: str = TESTNET) -> str:
    """Return the lower-case address that signed an action with *digest*.

    Args:
        digest: result of `action_hash`.
        signature: `{"r": hex, "s": hex, "v": 27 or 28}`; r and s may lack leading zeros.
        source: `b` on every network that is not mainnet.

    Raises:
        BadSignature: when no address follows.
    """
    return _recover(
        {"name": "Exchange", "version": "1", "chainId": _L1_CHAIN},
        "Agent",
        _AGENT_TYPE,
        {"source": source, "connectionId": digest},
        signature,
    )


def recover_user(
    primary: str,
    types: Sequence[tuple[str, str]],
    message: Mapping[str, Any],
    chain_id: int,
    signature: object,
) -> str:
    """Return the lower-case address that signed a typed message of the user.

    Raises:
        BadSignature: when no address follows.
    """
    return _recover(
        {"name": "HyperliquidSignTransaction", "version": "1", "chainId": chain_id},
        f"HyperliquidTransaction:{primary}",
        [{"name": name, "type": kind} for name, kind in types],
        message,
        signature,
    )


def _recover(
    domain: dict[str, Any],
    primary: str,
    types: list[dict[str, str]],
    message: Mapping[str, Any],
    signature: object,
) -> str:
    full = {
        "domain": {**domain, "verifyingContract": _ZERO_ADDRESS},
        "types": {primary: types, "EIP712Domain": _DOMAIN_TYPE},
        "primaryType": primary,
        "message": dict(message),
    }
    try:
        vrs = _numbers(signature)
        address: str = Account.recover_message(encode_typed_data(full_message=full), vrs=vrs)
    except Exception as error:  # the libraries raise half a dozen unrelated kinds
        raise BadSignature(str(error)) from error
    return address.lower()


def _numbers(signature: object) -> tuple[int, int, int]:
    if not isinstance(signature, Mapping):
        raise BadSignature("no signature")
    r, s = (int(str(signature[name]), 16) for name in ("r", "s"))
    v = int(signature["v"])
    return (v + 27 if v < 27 else v), r, s
