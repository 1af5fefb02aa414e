"""Words that nobody may read: which they are, and stars in their place.

Everything that leaves the process as text for people - log, alert, error - goes through one
`Redactor`. It knows the words themselves, so it finds them wherever they come from: a library's
message, a traceback, a URL inside an answer.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from ftbt.hyperliquid.keys import KEY_VARIABLE, PASSWORD_VARIABLE

STARS = "***"
# A name that can be looked up says nothing that is secret; a token in its place has no dot.
_HOST = re.compile(r"localhost|[a-z0-9-]+(\.[a-z0-9-]+)+", re.IGNORECASE)
_LONG, _MIXED, _DIGITS = 16, 6, 8


class Redactor:
    """Puts stars in the place of secrets. `repr` tells how many it knows, and nothing else.

    Args:
        words: what must not be read.
        concealers: functions that take a secret out of a text without giving it away, such as
            `AgentKey.conceal`.
    """

    def __init__(
        self, words: Iterable[str] = (), concealers: Iterable[Callable[[str], str]] = ()
    ) -> None:
        self._words: set[str] = set()
        self._concealers = tuple(concealers)
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        self.learn(*words)

    def learn(self, *words: str) -> None:
        """Know *words* as well, in the forms in which a URL would have them."""
        with self._lock:
            for word in words:
                self._words.update(one for one in _forms(word) if one.strip())
            longest = sorted(self._words, key=len, reverse=True)
            if longest:
                self._pattern = re.compile("|".join(map(re.escape, longest)), re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return *text* with stars for each secret in it."""
        for conceal in self._concealers:
            text = conceal(text)
        return text if self._pattern is None else self._pattern.sub(STARS, text)

    def __repr__(self) -> str:
        return f"<redactor of {len(self._words) + len(self._concealers)} secrets>"


def environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return what must not be read of *environment*: key, password."""
    found = (environment.get(name, "").strip() for name in (KEY_VARIABLE, PASSWORD_VARIABLE))
    return [word.removeprefix("0x") for word in found if word]


def url_secrets(url: str) -> set[str]:
    """Return the parts of a service's URL that must not be read: passwords, tokens, addresses.

    Such a URL is a key: `service://token/room`, `mailto://user:password@host`. The name of a host
    is none, and short plain words are left readable, or no log could be read any more.
    """
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    first, *path = place.split("/")
    login, at, host = first.rpartition("@")
    found = {url, rest, *_of_login(login, known=bool(at))}
    parts = [*host.split(":"), *path, *(pair.partition("=")[2] for pair in query.split("&"))]
    found.update(part for part in parts if _is_token(unquote(part)))
    return {word for word in found if word}


def _of_login(login: str, *, known: bool) -> Iterator[str]:
    user, _, password = login.partition(":")
    if known and password:
        yield password
        yield login
    if _is_token(unquote(user)):
        yield user


def _is_token(word: str) -> bool:
    if _HOST.fullmatch(word):
        return False
    if word.isdigit():
        return len(word) >= _DIGITS
    mixed = any(c.isdigit() for c in word) or word.lower() != word
    return "@" in word or len(word) >= _LONG or (mixed and len(word) >= _MIXED)


def _forms(word: str) -> set[str]:
    plain = unquote(word)
    return {word, plain, unquote_plus(word), quote(plain, safe=""), quote_plus(plain)}
