"""The key of an agent wallet: where it comes from, and that nobody ever sees it again.

An agent (Hyperliquid calls it API wallet) signs orders for an account and can't withdraw. That is
the only kind of key that is taken; `ftbt.hyperliquid.agents` asks the venue whether it is one.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from eth_account import Account
from eth_account.signers.local import LocalAccount

from ftbt.errors import ConfigError
from ftbt.hyperliquid import sdk

KEY_VARIABLE = "FTBT_AGENT_KEY"
FILE_VARIABLE = "FTBT_AGENT_KEY_FILE"
PASSWORD_VARIABLE = "FTBT_AGENT_KEY_PASSWORD"  # noqa: S105 - the name of a variable

_HEX = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_PR_SET_DUMPABLE = 4
_LONGEST_FILE = 65_536
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_READ_A_KEY = "; if others use this machine, make a new agent wallet as well"


def parse_address(text: str, what: str = "account address") -> str:
    """Return *text* as a lower-case address, the form in which the venue writes them.

    Raises:
        ConfigError: when it is not `0x` and 40 hex digits. The text is not repeated: a key
            pasted here by mistake must not reach a log.
    """
    if not _ADDRESS.fullmatch(text.strip()):
        raise ConfigError(
            f"the {what} must be 0x and 40 hex digits, as the website shows it; what was given has"
            f" {len(text.strip())} characters"
        )
    return text.strip().lower()


class AgentKey:
    """A private key that signs and never shows itself.

    `repr`, `str` and `format` show the address only; pickling and copying are refused.

    Attributes:
        address: of the agent, lower case.
    """

    __slots__ = ("_account", "address")

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = str(account.address).lower()

    def sign(
        self, action: Mapping[str, Any], nonce: int, expires_after: int | None, vault: str | None,
        *, mainnet: bool,
    ) -> dict[str, Any]:  # fmt: skip
        """Return the signature `{r, s, v}` of an L1 action."""
        return sdk.signature(self._account, action, vault, nonce, expires_after, mainnet=mainnet)

    def conceal(self, text: str) -> str:
        """Return *text* with stars where the key stands in it, as hex digits or as a number."""
        secret = bytes(self._account.key)
        forms = f"{secret.hex()}|{int.from_bytes(secret, 'big')}"
        return re.sub(forms, "***", text, flags=re.IGNORECASE)

    def __repr__(self) -> str:
        return f"<agent key of {self.address[:6]}…{self.address[-4:]}, hidden>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an agent key can't be pickled or copied: it stays in one process")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AgentKey) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)


def load_key(
    environment: Mapping[str, str],
    file: Path | None = None,
    ask_password: Callable[[str], str] | None = None,
) -> AgentKey:
    """Return the key from the file or the environment, whichever of them holds one.

    Args:
        environment: `os.environ`; read are FTBT_AGENT_KEY (hex), FTBT_AGENT_KEY_FILE and
            FTBT_AGENT_KEY_PASSWORD.
        file: a file named on the command line; 64 hex digits, or a keystore of eth-account.
        ask_password: asks a person for the keystore's password; None where nobody sits.

    Raises:
        ConfigError: no key, two keys, a file that others can read, a wrong password.
    """
    _no_core_file()
    plain, named = one_place(environment, KEY_VARIABLE, FILE_VARIABLE, file, "there are two keys,")
    if named is not None:
        return _from_file(named, environment.get(PASSWORD_VARIABLE), ask_password)
    if not plain:
        raise ConfigError(
            f"there is no agent key: set {FILE_VARIABLE} to a file with it (chmod 600), or"
            f" {KEY_VARIABLE} to its 64 hex digits"
        )
    return _from_hex(plain, KEY_VARIABLE)


def _no_core_file() -> None:
    """Keep the memory of this process, which is about to hold a key, out of files after a crash."""
    try:
        import resource  # noqa: PLC0415 - Windows has neither it nor core files
    except ImportError:
        return
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A core that is piped to a program knows no limit; one of a process that is closed to others
    # is not made. Linux only.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _from_hex(text: str, where: str) -> AgentKey:
    if not _HEX.fullmatch(text):
        raise ConfigError(
            f"{where} holds no key: expected are 64 hex digits, with or without 0x, or a keystore;"
            f" found are {len(text)} characters"
        )
    try:
        account: LocalAccount = Account.from_key(text)
    except ValueError:
        raise ConfigError(f"{where}: these hex digits are not a valid key") from None
    return AgentKey(account)


def _from_file(
    path: Path, password: str | None, ask_password: Callable[[str], str] | None
) -> AgentKey:
    text = read_private(path, "key file", _OTHERS_READ_A_KEY).strip()
    if not text.startswith("{"):
        return _from_hex(text, str(path))
    try:
        keystore = json.loads(text)
    except ValueError:
        raise ConfigError(f"{path} begins like a keystore, but it is not JSON") from None
    if password is None and ask_password is not None:
        password = ask_password(f"password of {path}: ")
    if password is None:
        raise ConfigError(f"{path} is encrypted: set {PASSWORD_VARIABLE} to its password")
    return _decrypted(path, keystore, password)


def _decrypted(path: Path, keystore: Any, password: str) -> AgentKey:
    try:
        key = Account.decrypt(keystore, password)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise ConfigError(f"{path}: the password is wrong") from None
        raise ConfigError(f"{path} is not a keystore that eth-account reads") from None
    except (TypeError, KeyError, AttributeError):
        raise ConfigError(f"{path} is not a keystore that eth-account reads") from None
    account: LocalAccount = Account.from_key(key)
    return AgentKey(account)


def one_place(
    environment: Mapping[str, str], variable: str, file_variable: str, file: Path | None, what: str
) -> tuple[str, Path | None]:
    """Return where something secret stands: its text in the environment, or the path of its file.

    Args:
        environment: `os.environ`.
        variable: names the text.
        file_variable: names the file, where the command line names none.
        file: named on the command line.
        what: what it is, for messages: "alert targets are".

    Raises:
        ConfigError: it is in both; nobody could tell which one counts.
    """
    named = environment.get(file_variable)
    path = file or (Path(named).expanduser() if named else None)
    plain = environment.get(variable, "").strip()
    if path is not None and plain:
        raise ConfigError(f"{what} in {variable} and in {path}: leave one of them out")
    return plain, path


def read_private(path: Path, what: str, advice: str = "") -> str:
    """Return the text of a file that only its owner can read.

    Args:
        path: of the file.
        what: what it is, for messages: "key file".
        advice: what else to do when others could read it.

    Raises:
        ConfigError: it can't be read, or others than its owner can.
    """
    try:
        # Looked at and read through one handle: what is checked is what is read.
        with path.open("rb") as handle:
            found = os.fstat(handle.fileno())
            data = handle.read(_LONGEST_FILE)
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from None
    mode = stat.S_IMODE(found.st_mode)
    if os.name == "posix" and mode & _FOR_OTHERS:
        raise ConfigError(
            f"{path} can be read or changed by others (mode {mode:03o}): run chmod 600 {path}"
            + advice
        )
    return data.decode("utf-8", errors="replace")
