"""The official SDK (0.24.0), and the only module that imports it: it is not typed.

Taken from it are the forms of the info requests and the msgpack hash. The EIP-712 digest over that
hash is made here, since all of it but 32 bytes is the same each time; tests hold it to the
signature of the SDK. Not taken are its order methods (they make the nonce inside, so that nothing
can be written down before it is sent), its WebSocket (it never reconnects), and its HTTP calls
(they wait for ever unless told otherwise, and fail on some of the venue's own errors).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from eth_utils.conversions import to_hex
from eth_utils.crypto import keccak
from hyperliquid.info import Info
from hyperliquid.utils.signing import action_hash
from hyperliquid.utils.types import Cloid

Post = Callable[[str, dict[str, Any]], Any]

# EIP-712, https://eips.ethereum.org/EIPS/eip-712: the domain and types of the venue's L1 actions.
_DOMAIN = keccak(
    keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak(b"Exchange")
    + keccak(b"1")
    + (1337).to_bytes(32, "big")
    + bytes(32)
)
_AGENT = keccak(b"Agent(string source,bytes32 connectionId)")
_MAINNET, _TESTNET = keccak(b"a"), keccak(b"b")


class InfoRequests(Info):
    """The SDK's info requests over a transport of our own.

    Args:
        url: base address.
        post: takes a path and a payload and returns the answer.
        perpetuals, spot: the venue's `meta` and `spotMeta`; given, so that nothing is asked here.
    """

    def __init__(
        self, url: str, post: Post, perpetuals: Mapping[str, Any], spot: Mapping[str, Any]
    ) -> None:
        self._through = post
        super().__init__(url, True, perpetuals, spot, None, 0.001)
        # Requests go through `post`; nothing may slip out beside it.
        self.session.close()

    def post(self, url_path: str, payload: Any = None) -> Any:
        """Send *payload* through the client's own transport."""
        return self._through(url_path, payload or {})


def cloid(raw: str) -> Any:
    """Return the SDK's client order id."""
    return Cloid(raw)


def signature(
    account: Any,
    action: Mapping[str, Any],
    vault: str | None,
    nonce: int,
    expires_after: int | None,
    *,
    mainnet: bool,
) -> dict[str, Any]:
    """Return `{r, s, v}` of *account* (an eth-account) over an L1 action."""
    found: bytes = action_hash(action, vault, nonce, expires_after)
    agent = keccak(_AGENT + (_MAINNET if mainnet else _TESTNET) + found)
    signed = account.unsafe_sign_hash(keccak(b"\x19\x01" + _DOMAIN + agent))
    return {"r": to_hex(signed.r), "s": to_hex(signed.s), "v": signed.v}


def body(
    action: Mapping[str, Any],
    signed: Mapping[str, Any],
    vault: str | None,
    nonce: int,
    expires_after: int | None,
) -> bytes:
    """Return the bytes of a request to `/exchange`; the order of keys is the SDK's."""
    envelope = {
        "action": action,
        "nonce": nonce,
        "signature": signed,
        "vaultAddress": vault,
        "expiresAfter": expires_after,
    }
    return json.dumps(envelope, separators=(",", ":"), allow_nan=False).encode()
