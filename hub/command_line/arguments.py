"""Words of the command line turned into values; each raises typer.BadParameter (exit code 2) with the form that is expected."""

import re
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID, Role
from ocpi_modules.typed import LONGEST_LINE

Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
Parties = Annotated[
    list[str] | None, typer.Option("--party", help="ROLE:COUNTRY/PARTY, for example CPO:NL/ABC; may be repeated.")
]
PartyOption = Annotated[str, typer.Option(help="A party, for example NL/ABC.")]

LONGEST_SENTENCE = 200
_DURATION = re.compile(r"^(\d{1,5})([dhm])$")
_PARTY = re.compile(r"^([A-Za-z]{2})[/*]([A-Za-z0-9]{3})$")
_ROLES = [role for role in Role if role is not Role.HUB]
_RESET = "default"


def secret_line(what: str) -> str:
    """The first line of standard input, which holds `what`."""
    try:
        given = sys.stdin.buffer.readline(LONGEST_LINE).decode().strip()
    except UnicodeDecodeError:
        raise typer.BadParameter(
            f"standard input is not written in UTF-8; give {what} as it was handed over."
        ) from None
    if not given:
        raise typer.BadParameter(f"standard input holds no {what}.")
    return given


def sentence(text: str, option: str) -> str:
    """Some words of the operator that are shown again."""
    words = " ".join(text.split())
    if not words or len(words) > LONGEST_SENTENCE or not words.isprintable():
        raise typer.BadParameter(f"{option} must be 1 to {LONGEST_SENTENCE} printable characters.")
    return words


def party(text: str) -> PartyId:
    """NL/ABC or NL*ABC."""
    match = _PARTY.match(text)
    if match is None:
        raise typer.BadParameter(f"{text} is not COUNTRY/PARTY, for example NL/ABC.")
    return PartyId.of(match[1], match[2])


def role_and_party(text: str) -> tuple[Role, PartyId]:
    """CPO:NL/ABC."""
    role, _, rest = text.partition(":")
    if role not in _ROLES or not _PARTY.match(rest):
        raise typer.BadParameter(
            f"{text} is not ROLE:COUNTRY/PARTY, for example CPO:NL/ABC; roles are {', '.join(_ROLES)}."
        )
    return Role(role), party(rest)


def roles_and_parties(given: list[str] | None) -> list[tuple[Role, PartyId]]:
    """At least one CPO:NL/ABC."""
    if not given:
        raise typer.BadParameter("name at least one party: --party CPO:NL/ABC.")
    return [role_and_party(text) for text in given]


def modules(given: list[str] | None) -> list[ModuleID]:
    """Module ids by name."""
    unknown = [name for name in given or [] if name not in ModuleID.__members__]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no module; modules are {', '.join(ModuleID.__members__)}.")
    return [ModuleID(name) for name in given or []]


def duration(text: str) -> timedelta:
    """7d, 12h or 30m."""
    match = _DURATION.match(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text} is not a time: write 7d, 12h or 30m.")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def switches(given: list[str]) -> tuple[dict[str, Any], list[str]]:
    """`strict=true direct_timeout=10 push_timeout=default` as (what is set, what goes back to the hub's own value)."""
    from hub.parties.switches import named

    changes: dict[str, Any] = {}
    reset: list[str] = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not NAME=VALUE, for example strict=true or direct_timeout=10.")
        try:
            switch = named(name)
            if value == _RESET:
                reset.append(name)
            else:
                changes[name] = switch.read(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return changes, reset
