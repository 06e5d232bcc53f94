"""The Basic header of a charger, and the forms its password may stand for (charging R4, R11, R12, S-47)."""

import base64
import binascii
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

MAXIMUM_CHARGER_ID = 255
MAXIMUM_PASSWORD_BYTES = 128
REMEMBERED_SOURCES = 20_000


@dataclass(frozen=True)
class Basic:
    """User name and password; `forms` are the spellings under which the password may be stored."""

    user: str
    forms: tuple[str, ...]


def charger_id_of(path: str) -> str | None:
    """The last path segment, URL-decoded; None when there is none or it is no readable id."""
    segment = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    try:
        charger_id = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return None
    return charger_id if 0 < len(charger_id) <= MAXIMUM_CHARGER_ID and charger_id.isprintable() else None


def read_basic(header: str, charger_id: str) -> Basic | None:
    """An Authorization header; None when it is not Basic or not readable. The user name has as many colons as the charger id
    of the URL, which it must equal (R11); what follows is the password, with whatever colons."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.casefold() != "basic":
        return None
    try:
        *user, password = base64.b64decode(encoded.strip(), validate=True).split(b":", charger_id.count(":") + 1)
        if len(user) <= charger_id.count(":") or not 0 < len(password) <= MAXIMUM_PASSWORD_BYTES:
            return None
        return Basic(b":".join(user).decode("utf-8"), password_forms(password))
    except (binascii.Error, ValueError):
        return None


def password_forms(password: bytes) -> tuple[str, ...]:
    """As text, as the hex digits of raw bytes, and as the bytes that hex digits stand for (R12); the number depends on the
    password sent alone, so that a wrong id costs the same as a wrong password."""
    forms = [_as_text(password), password.hex(), password.hex().upper()]
    try:
        forms.append(_as_text(bytes.fromhex(password.decode("ascii"))))
        forms += [password.decode("ascii").lower(), password.decode("ascii").upper()]
    except ValueError:
        pass
    return tuple(dict.fromkeys(form for form in forms if form))


def _as_text(password: bytes) -> str:
    try:
        return password.decode("utf-8")
    except UnicodeDecodeError:
        return password.decode("latin-1")


class FailedLogins:
    """Failures per (source, charger id) and per source. A pair that once logged in is never held up, so that nobody behind the
    same address can lock a charger out (R16)."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        most_per_charger: int = 10,
        most_per_source: int = 600,
        window: timedelta = timedelta(minutes=1),
    ) -> None:
        self._clock = clock
        self._most_per_charger = most_per_charger
        self._most_per_source = most_per_source
        self._window = window
        self._failures: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()

    def are_too_many(self, source: str, charger_id: str) -> bool:
        """True when this source failed too often lately, with this id or with all together."""
        if (source, charger_id.casefold()) in self._welcome:
            return False
        pair = self._recent((source, charger_id.casefold()))
        return pair >= self._most_per_charger or self._recent((source, "")) >= self._most_per_source

    def note(self, source: str, charger_id: str) -> None:
        for key, most in (
            ((source, charger_id.casefold()), self._most_per_charger),
            ((source, ""), self._most_per_source),
        ):
            self._failures.setdefault(key, deque(maxlen=most)).append(self._clock())
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED_SOURCES:
            self._failures.popitem(last=False)

    def welcome(self, source: str, charger_id: str) -> None:
        """This charger showed its right password from there."""
        key = (source, charger_id.casefold())
        self._failures.pop(key, None)
        self._welcome[key] = None
        self._welcome.move_to_end(key)
        while len(self._welcome) > REMEMBERED_SOURCES:
            self._welcome.popitem(last=False)

    def _recent(self, key: tuple[str, str]) -> int:
        since = self._clock() - self._window
        return sum(at > since for at in self._failures.get(key, ()))
