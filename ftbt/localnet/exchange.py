"""`/exchange`: from a signed envelope to an action of the venue, and back to its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ftbt.localnet import actions, rules, signing
from ftbt.localnet import wireform as w
from ftbt.localnet.host import Host
from ftbt.localnet.operations import OPERATIONS, Refused
from ftbt.localnet.wireform import Unreadable

_ENVELOPE = w.record(
    {"action": lambda value: value, "nonce": w.whole, "signature": lambda value: value},
    {"vaultAddress": w.address, "expiresAfter": w.whole, "isFrontend": w.flag},
)
_TESTNET = "Testnet"
_EXPIRED_COST = 5

Answer = dict[str, Any]


def failed(text: str) -> Answer:
    """Return the answer to an action that is refused as a whole."""
    return {"status": "err", "response": text}


@dataclass(frozen=True, slots=True)
class Signed:
    """An action whose signer is known.

    Attributes:
        action: canonical.
        signer: who signed.
        by_user: signed as a typed message, which only the user's own wallet may.
    """

    action: dict[str, Any]
    nonce: int
    signer: str
    by_user: bool
    vault: str | None
    expires: int | None

    @property
    def kind(self) -> str:
        """The type of the action."""
        return str(self.action["type"])

    @property
    def items(self) -> int:
        """How many orders, cancels or modifications it holds."""
        for name in ("orders", "cancels", "modifies"):
            if name in self.action:
                return max(1, len(self.action[name]))
        return 1


class Exchange:
    """Admits actions and carries them out."""

    def __init__(self, host: Host, note: Callable[[str], None]) -> None:
        self.host = host
        self._note = note

    def handle(self, body: Any) -> Answer:
        """Return the answer to a request.

        Raises:
            Unreadable: not of the shape that the venue reads (HTTP 422).
        """
        envelope = _ENVELOPE(body)
        try:
            signed = self._recover(envelope)
        except signing.BadSignature:
            return failed("Unable to recover signer.")
        now = self.host.wall.now()
        user, refusal = self._who(signed, envelope, now)
        if user is None:
            return failed(refusal)
        return self._admit(signed, user, now)

    def _admit(self, signed: Signed, user: str, now: int) -> Answer:
        host = self.host
        nonces = host.identity.nonces[signed.signer]
        refused = nonces.refusal(signed.nonce, now)
        if refused is not None:
            return failed(refused)
        nonces.use(signed.nonce, now)
        if signed.expires is not None and now > signed.expires:
            host.address.charge(user, _EXPIRED_COST * signed.items)
            return failed("Action already expired")
        volume = host.venue.core.account(user).volume
        cancels = signed.kind in ("cancel", "cancelByCloid", "scheduleCancel")
        limit = host.address.admit(user, signed.items, volume, now, cancels=cancels)
        if limit is not None:
            return failed(limit)
        if signed.items > rules.MAX_BATCH:
            return failed(rules.OVERWEIGHT)
        try:
            return OPERATIONS[signed.kind](host, user, signed.action)
        except Refused as refusal:
            return failed(str(refusal))

    # --- who --------------------------------------------------------------------------------------

    def _recover(self, envelope: dict[str, Any]) -> Signed:
        action, nonce = envelope["action"], envelope["nonce"]
        if not isinstance(action, dict) or not isinstance(action.get("type"), str):
            raise Unreadable("an action has a type")
        kind = action["type"]
        vault, expires = envelope.get("vaultAddress"), envelope.get("expiresAfter")
        if kind in actions.USER_SIGNED:
            signer, canonical = self._by_user(kind, action, nonce, envelope["signature"])
            return Signed(canonical, nonce, signer, True, vault, None)
        if kind in actions.NOT_OFFERED:
            canonical = action
        elif kind in actions.L1:
            canonical = actions.L1[kind](action)
        else:
            raise Unreadable(f"unknown action {kind}")
        digest = signing.action_hash(canonical, nonce, vault, expires)
        signer = signing.recover_l1(digest, envelope["signature"])
        self._warn_of_mainnet(digest, envelope["signature"], signer)
        return Signed(canonical, nonce, signer, False, vault, expires)

    def _warn_of_mainnet(self, digest: bytes, signature: object, signer: str) -> None:
        """Say on the console when a client signs for mainnet: the venue only says "unknown"."""
        if self.host.identity.master_of(signer, self.host.wall.now()) is not None:
            return
        other = signing.recover_l1(digest, signature, signing.MAINNET)
        if self.host.identity.master_of(other, self.host.wall.now()) is not None:
            self._note(
                f"refused: {other} signs for mainnet; with ccxt call set_sandbox_mode(True) before"
                " the URLs are set"
            )

    def _by_user(
        self, kind: str, action: dict[str, Any], nonce: int, signature: object
    ) -> tuple[str, dict[str, Any]]:
        form = actions.USER_SIGNED[kind]
        canonical = form.parse(action)
        if canonical[form.clock] != nonce:
            raise Unreadable("two nonces")
        try:
            chain = int(canonical["signatureChainId"], 16)
        except ValueError:
            raise Unreadable("signatureChainId is not hexadecimal") from None
        # Texts are signed as they were written; only absent ones have a default.
        message = {"hyperliquidChain": _TESTNET}
        for name, type_name in form.types:
            message[name] = canonical.get(name, "" if type_name == "string" else None)
        types = (("hyperliquidChain", "string"), *form.types)
        return signing.recover_user(form.primary, types, message, chain, signature), canonical

    def _who(self, signed: Signed, envelope: dict[str, Any], now: int) -> tuple[str | None, str]:
        del envelope
        identity, signer = self.host.identity, signed.signer
        own = signed.by_user or signed.kind == "reserveRequestWeight"
        if own:
            if signer not in identity.users:
                return None, f"Must deposit before performing actions. User: {signer}"
            return signer, ""
        master = identity.master_of(signer, now)
        if master is None:
            return None, f"User or API Wallet {signer} does not exist."
        user = identity.acts_for(master, signed.vault)
        if user is None:
            return None, f"Vault not registered: {signed.vault}"
        return user, ""


def decimal_of(text: str) -> Decimal | None:
    """Return the number that a user-signed amount writes, None when it is none."""
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    return value if value.is_finite() and value > 0 else None
