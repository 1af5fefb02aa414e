"""Which key signs and for which account; on a local exchange there is one for everybody."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from eth_account import Account

from ftbt.cli.live_state import key_for
from ftbt.errors import ConfigError, ExchangeError, NetworkError
from ftbt.hyperliquid import sdk
from ftbt.hyperliquid.keys import FILE_VARIABLE, KEY_VARIABLE, AgentKey, parse_address
from ftbt.hyperliquid.network import Endpoint

ACCOUNT_VARIABLE = "FTBT_ACCOUNT"
_AGENT_NAME = "ftbt"
_PATIENCE_S = 10.0


def key_and_account(
    endpoint: Endpoint, file: Path | None, account: str | None, rehearsal: str
) -> tuple[AgentKey, str]:
    """Return who signs, and for whom.

    Args:
        endpoint: of the exchange. On a local one the account that it funds is taken, and an agent
            of it, where none is named.
        file: of `--key-file`.
        account: of `--account`, else of the environment.
        rehearsal: command that needs neither.

    Raises:
        ConfigError: no key or account, or none that can be used.
        NetworkError, ExchangeError: the local exchange does not answer, or does not want the agent.
    """
    named = account or os.environ.get(ACCOUNT_VARIABLE)
    given = bool(file or os.environ.get(FILE_VARIABLE) or os.environ.get(KEY_VARIABLE))
    if endpoint.is_local:
        from ftbt.localnet.process import named_key  # noqa: PLC0415 - not on a real exchange

        user = named_key("user").address if named is None else parse_address(named)
        if not given:
            _approve_agent(endpoint.url)
        return key_for("localnet", file), user
    if not given:
        raise ConfigError(
            f"{endpoint.network} needs the key of an agent wallet: set {FILE_VARIABLE} to a file"
            f" with it (chmod 600), or name it with --key-file; without a key: {rehearsal}"
        )
    if named is None:
        raise ConfigError(
            f"name the account that the agent trades for: --account 0x..., or {ACCOUNT_VARIABLE}"
        )
    return key_for(str(endpoint.network), file), parse_address(named)


def _approve_agent(url: str) -> None:
    """Let the local exchange's user approve the agent that is there for everybody."""
    from ftbt.localnet.process import named_key  # noqa: PLC0415 - not on a real exchange

    user, agent = named_key("user"), named_key("agent")
    asked = {"type": "extraAgents", "user": user.address}
    known = {row["address"].lower() for row in _post(url, "/info", asked)}
    if agent.address not in known:
        _approve(url, user.secret, agent.address)


def _approve(url: str, secret: str, agent: str) -> None:
    nonce = int(time.time() * 1000)
    action: dict[str, Any] = {
        "type": "approveAgent", "agentAddress": agent, "agentName": _AGENT_NAME, "nonce": nonce,
    }  # fmt: skip
    signed = sdk.approval(Account.from_key(secret), action)
    answer = _post(url, "/exchange", {"action": action, "nonce": nonce, "signature": signed})
    if answer.get("status") != "ok":
        raise ExchangeError(f"the exchange at {url} does not take our agent: {answer}")


def _post(url: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(  # noqa: S310 - checked to be a loopback address
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NetworkError(
            f"no local exchange answers at {url} ({reason}): start one in another terminal with"
            " `ftbt localnet --symbol BTC`, and name its address with --url"
        ) from None
