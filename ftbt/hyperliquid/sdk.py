"""The official SDK (0.24.0), and the only module that imports it: it is not typed.

Taken from it are the forms of the info requests, the msgpack hash and the EIP-712 signature. Not
taken are its order methods (they make the nonce inside, so that nothing can be written down before
it is sent), its WebSocket (it never reconnects), and its HTTP calls (they wait for ever unless
told otherwise, and fail on some of the venue's own errors).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hyperliquid.info import Info
from hyperliquid.utils.signing import sign_agent, sign_l1_action
from hyperliquid.utils.types import Cloid

Post = Callable[[str, dict[str, Any]], Any]


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
    made: dict[str, Any] = sign_l1_action(account, action, vault, nonce, expires_after, mainnet)
    return made


def approval(account: Any, action: dict[str, Any]) -> dict[str, Any]:
    """Return `{r, s, v}` of *account* over an `approveAgent` action, off mainnet only."""
    made: dict[str, Any] = sign_agent(account, action, False)
    return made


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
