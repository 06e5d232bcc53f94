"""What may differ for one platform (how real stacks deviate): one table of switches, set by `ocpi-hub platform set`.

The fields of Switches are the table: each carries its values and their reader, what it does, and the code that reads it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from ocpi_modules.spec import InterfaceRole

T = TypeVar("T")
LONGEST_TIMEOUT_SECONDS = 300
MOST_ON_A_PAGE = 1000
MOST_A_SECOND = 1000
MOST_HOURS = 168
_HOURS = re.compile(r"([1-9][0-9]{0,2})h", re.ASCII)


class Wrong(ValueError):
    """What is wrong with a value, where its words alone would not tell."""


class Values(NamedTuple):
    """How a switch is written. `read` takes a text or a JSON value; ValueError (without the switch's name) says what it is."""

    words: str
    read: Callable[[Any], Any]


class Switch(NamedTuple):
    """One row of the table."""

    name: str
    values: Values
    default: Any
    meaning: str
    read_by: str

    def read(self, given: Any) -> Any:
        """The value of a text or a JSON value; ValueError with a sentence."""
        try:
            return self.values.read(given)
        except Wrong as wrong:
            raise ValueError(f"{self.name}: {wrong}") from None
        except (ValueError, TypeError, ArithmeticError):
            raise ValueError(f"{self.name} is {self.values.words}, or default.") from None


def _number(most: float, *, whole: bool = False) -> Callable[[Any], float]:
    def read(given: Any) -> float:
        number = float(given)
        if isinstance(given, bool) or not 0 < number <= most or not math.isfinite(number) or (whole and number % 1):
            raise ValueError
        return int(number) if whole else number

    return read


def _one_of(*words: str) -> Values:
    def read(given: Any) -> str:
        return words[words.index(given)]

    return Values(f"{', '.join(words[:-1])} or {words[-1]}", read)


def _boolean(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    return {"true": True, "false": False}[given] if given in ("true", "false") else _refuse()


def _overrides(given: Any) -> dict[str, str]:
    """`sessions:RECEIVER=https://...`, several with commas, or the same as a mapping."""
    entries = given.items() if isinstance(given, Mapping) else [entry.partition("=")[::2] for entry in given.split(",")]
    for key, url in entries:
        module, _, interface = key.partition(":")
        if not module or interface not in tuple(InterfaceRole) or not str(url).startswith(("https://", "http://")):
            _refuse()
        if not _is_whole(url):
            raise Wrong(
                f"{url} names no host that can be called; write it like https://ocpi.example.com/2.2.1/{module}."
            )
    return dict(entries)


def _is_whole(url: str) -> bool:
    """Whether a URL has a host that can be called, a port that is one if it names one, and no blanks."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s\x00-\x1f]", url)
    except ValueError:
        return False


def _how_often(given: Any) -> str:
    hours = _HOURS.fullmatch(given)
    return str(given) if given in ("nightly", "never") or (hours and int(hours[1]) <= MOST_HOURS) else _refuse()


def _refuse() -> Any:
    raise ValueError


SECONDS = Values(f"a number of seconds up to {LONGEST_TIMEOUT_SECONDS}", _number(LONGEST_TIMEOUT_SECONDS))
COUNT = Values(f"a whole number up to {MOST_ON_A_PAGE}", _number(MOST_ON_A_PAGE, whole=True))
RATE = Values(f"a number a second up to {MOST_A_SECOND}", _number(MOST_A_SECOND))
BOOLEAN = Values("true or false", _boolean)
HOW_OFTEN = Values(f"nightly, never or hours like 6h, up to {MOST_HOURS}h", _how_often)
OVERRIDES = Values("written <module>:<SENDER|RECEIVER>=https://..., several with commas", _overrides)


def _switch(default: T, values: Values, meaning: str, read_by: str) -> T:
    made: T = field(default=default, metadata={"row": (values, meaning, read_by)})
    return made


@dataclass(frozen=True)
class Switches:
    """The switches of one platform. Timeouts are total deadlines in seconds; None means the hub's own."""

    token_encoding: str = _switch(
        "auto",
        _one_of("auto", "base64", "raw"),
        "How our token is sent in the Authorization header; auto is as the platform sends its own (X-06, X-07).",
        "parties/rows, registration/handshake",
    )
    omit_routing_headers: bool = _switch(
        False, BOOLEAN, "Nothing sent to it carries OCPI-to and OCPI-from headers.", "delivery/send"
    )
    explicit_nulls: bool = _switch(
        False,
        BOOLEAN,
        "In a PUT of a delivery and in our Credentials, optional fields that are not there are written as null. "
        "What one party sends to another stays byte for byte as it is.",
        "delivery/sending, registration/handshake",
    )
    send_put_for_patch: bool = _switch(
        False, BOOLEAN, "A delivery of a change is a PUT of the whole object, never a PATCH.", "delivery/sending"
    )
    page_cap: int | None = _switch(
        None,
        COUNT,
        "Most objects on a page: of lists the hub serves it, and as the limit of lists that are asked of it.",
        "routing/get_all, own_modules, routing/party_to_party",
    )
    rate_cap: float | None = _switch(
        None,
        RATE,
        "Most deliveries a second; the rest waits its turn and the latest state is sent. Its parties share it evenly.",
        "delivery/pace",
    )
    trailing_slash: str = _switch(
        "as_listed",
        _one_of("as_listed", "always", "never"),
        "Whether URLs made of its endpoints end with a slash; as_listed joins endpoint and path as they are.",
        "delivery/send, clientinfo/pushes",
    )
    strict: bool = _switch(
        False,
        BOOLEAN,
        "What it sends and gets is refused with 2001 for every finding, instead of passed on and flagged.",
        "routing/findings, routing/get_all",
    )
    resync: str = _switch(
        "push",
        _one_of("push", "pull"),
        "After it was away it is pushed what it missed, or (pull) reads that for itself (U-22).",
        "delivery/worker",
    )
    pull: str = _switch(
        "nightly",
        HOW_OFTEN,
        "How often its lists are read: nightly those it does not push, by the hour pushed or not.",
        "pulls/schedule",
    )
    direct_timeout: float | None = _switch(
        None, SECONDS, "Deadline of a message from one party to another (30 s).", "delivery/send"
    )
    authorize_timeout: float | None = _switch(
        None, SECONDS, "Deadline of a real-time authorization (8 s).", "delivery/send"
    )
    push_timeout: float | None = _switch(None, SECONDS, "Deadline of a delivery (10 s).", "delivery/send")
    endpoint_overrides: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}),
        metadata={
            "row": (
                OVERRIDES,
                "URLs of interfaces it serves but does not list, or lists wrongly.",
                "parties/rows",
            )
        },
    )

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Switches":
        """From the stored JSON; names and values this version does not know are passed over."""
        values = {}
        for switch in TABLE:
            if stored.get(switch.name) is not None:
                try:
                    values[switch.name] = switch.read(stored[switch.name])
                except ValueError:
                    continue
        return cls(**values)

    def at_most(self, cap: int) -> int:
        """The most objects on a page, of `cap` and its own."""
        return min(cap, self.page_cap or cap)

    def shaped(self, url: str) -> str:
        """A URL made of an endpoint, with or without the slash the platform wants at the end of its path."""
        if self.trailing_slash == "as_listed":
            return url
        path, question_mark, query = url.partition("?")
        return f"{path.rstrip('/')}{'/' if self.trailing_slash == 'always' else ''}{question_mark}{query}"

    def changed(self) -> dict[str, Any]:
        """What differs from the usual, as JSON values."""
        values = {switch.name: getattr(self, switch.name) for switch in TABLE}
        shown = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
        return {switch.name: shown[switch.name] for switch in TABLE if shown[switch.name] != switch.default}


TABLE: tuple[Switch, ...] = tuple(
    Switch(item.name, values, {} if callable(item.default_factory) else item.default, meaning, read_by)
    for item in fields(Switches)
    for values, meaning, read_by in [item.metadata["row"]]
)
"""Every switch, in the order of the fields."""


def named(name: str) -> Switch:
    """One switch; ValueError with a sentence that lists them all."""
    for switch in TABLE:
        if switch.name == name:
            return switch
    raise ValueError(f"{name} is not a switch; there are {', '.join(switch.name for switch in TABLE)}.")
