"""Asking an exchange again: what is worth a second try, how long to wait, when to give up.

Only what may pass by itself is tried again: no connection, no answer in time, an answer cut in
the middle, an overloaded server, a rate limit. A plain no (unknown symbol, forbidden, wrong
request) is handed on at once. Waits double with each try and carry jitter, so that many clients
that failed together do not come back together. One budget of retries is shared by a whole run:
an exchange that is really down is not hammered once per series.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from ftbt.errors import ExchangeError, ExternalError, InputError, NetworkError

Answer = TypeVar("Answer")

# A failing parse of an answer that is JSON but has another shape than the exchange documents.
_SHAPE_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
_SUCCESSES_PER_REFILL = 10

_MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Retry:
    """How patiently an exchange is asked.

    Attributes:
        attempts: tries of one request, the first one included (1 to 50).
        base_s: wait before the second try; doubles with each further one, seconds.
        cap_s: longest wait between two tries, seconds.
        budget: retries of the whole run; every ten answers give one back.
        longest_hold_s: longest `Retry-After` that is waited for, seconds.
    """

    attempts: int = 6
    base_s: float = 0.5
    cap_s: float = 30.0
    budget: int = 60
    longest_hold_s: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= 50:
            raise InputError(f"attempts must be 1 to 50, not {self.attempts}")
        if self.base_s < 0 or self.cap_s < 0 or self.longest_hold_s < 0 or self.budget < 0:
            raise InputError("waits and budget of retries must not be negative")

    def wait_s(self, failures: int, jitter: float) -> float:
        """Return the seconds to wait after *failures* tries; *jitter* is 0 to 1.

        Half of the wait is fixed, half is jitter: it never shrinks to nothing.
        """
        # After hours of outage the power itself would be beyond any float.
        full = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
        return full * (0.5 + 0.5 * jitter)


class Retrier:
    """Calls an exchange until it answers, it refuses, or patience ends.

    Args:
        exchange: its name, for messages.
        policy: waits and limits.
        notice: called with a line for the user when something is tried again.
    """

    def __init__(self, exchange: str, policy: Retry, notice: Callable[[str], None]) -> None:
        self._exchange = exchange
        self._policy = policy
        self._notice = notice
        self._left = float(policy.budget)
        self._open_at = 0.0
        self._jitter = random.Random()  # noqa: S311 - spreads load, guards nothing

    def hold(self, seconds: float) -> None:
        """Let no request of this run start for *seconds*: the exchange asked for a pause.

        Raises:
            ExchangeError: when that is longer than anyone waits in front of a terminal.
        """
        if seconds > self._policy.longest_hold_s:
            raise ExchangeError(
                f"{self._exchange} asks for a pause of {seconds:.0f} s (too many requests from this"
                " address); run the same command again after that, it goes on where it stopped"
            )
        self._open_at = max(self._open_at, time.monotonic() + seconds)

    async def call(self, what: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer of `ask()`.

        Args:
            what: the request in the user's words, for messages.
            ask: makes one request; called once per try.

        Raises:
            NetworkError: no answer after all tries, or the budget of the run is spent.
            ExchangeError: the exchange refused, or answered in an unknown form.
        """
        import ccxt.async_support as ccxt  # noqa: PLC0415 - slow to import, loaded on first use

        failures = 0
        while True:
            await self._pause()
            try:
                answer = await ask()
            except ccxt.BaseError as error:
                failures += 1
                if not is_transient(error):
                    raise self._refused(what, error) from error
                await self._again(what, failures, error)
            except _SHAPE_ERRORS as error:
                raise ExchangeError(
                    f"{self._exchange} answered in an unknown form: {what}"
                    f" ({type(error).__name__}: {shorten(str(error))}); a newer ccxt may know it"
                ) from error
            else:
                refilled = self._left + 1.0 / _SUCCESSES_PER_REFILL
                self._left = min(float(self._policy.budget), refilled)
                return answer

    async def _pause(self) -> None:
        while (seconds := self._open_at - time.monotonic()) > 0:
            await asyncio.sleep(seconds)

    async def _again(self, what: str, failures: int, error: Exception) -> None:
        if failures >= self._policy.attempts:
            tries = f"{failures} tries" if failures > 1 else "1 try"
            raise NetworkError(
                f"no answer from {self._exchange} after {tries}: {what} ({reason(error)})"
            ) from error
        if self._left < 1.0:
            raise NetworkError(
                f"{self._exchange} failed too often in this run, last: {what} ({reason(error)})"
            ) from error
        self._left -= 1.0
        seconds = self._policy.wait_s(failures, self._jitter.random())
        seconds = max(seconds, self._open_at - time.monotonic())
        self._notice(f"{what}: {reason(error)}; trying again in {seconds:.1f} s")
        await asyncio.sleep(seconds)

    def _refused(self, what: str, error: Exception) -> ExternalError:
        if _is_certificate_error(error):
            return NetworkError(
                f"{self._exchange} has a certificate that this machine does not trust"
                f" ({reason(error)}); set SSL_CERT_FILE to the right authorities"
            )
        return ExchangeError(f"{self._exchange} refuses: {what} ({reason(error)})")


def is_transient(error: Exception) -> bool:
    """Tell whether the same request may be answered in a moment."""
    import aiohttp  # noqa: PLC0415 - comes with ccxt
    import ccxt.async_support as ccxt  # noqa: PLC0415

    if _is_certificate_error(error):
        return False
    if isinstance(error, ccxt.InvalidNonce):
        return False
    # ccxt reports a body that was cut short as a plain ExchangeError; its cause tells.
    if isinstance(error.__cause__, aiohttp.ClientPayloadError):
        return True
    return isinstance(error, ccxt.OperationFailed)


def _is_certificate_error(error: Exception) -> bool:
    import aiohttp  # noqa: PLC0415

    return isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError)


def reason(error: Exception) -> str:
    """Return what happened in a few words: the cause below ccxt when there is one."""
    cause = error.__cause__
    if isinstance(cause, TimeoutError) or type(error).__name__ == "RequestTimeout":
        return "no answer in time"
    if cause is not None and str(cause):
        return shorten(str(cause))
    return shorten(str(error))


def shorten(text: str) -> str:
    """Return *text* as one line of at most 200 characters, without markup of error pages."""
    plain = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    line = " ".join(plain.split())
    return line if len(line) <= 200 else line[:199] + "…"


def retry_after_s(headers: Any) -> float | None:
    """Return the seconds that the header `Retry-After` asks for, None without or unreadable."""
    found = next((str(v) for k, v in dict(headers).items() if k.lower() == "retry-after"), None)
    if found is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", found):
        return float(found)
    try:
        moment = parsedate_to_datetime(found)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
