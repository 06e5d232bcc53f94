"""Agreements as text for people and spreadsheets, JSON or CSV; what `write` makes, `read` takes (pure).

Fields: cpo, emsp (`NL/ABC`), modules (names, or all), valid_from, valid_until (UTC instants; nothing: open ended), cdr_mode.
JSON is a list of objects, or objects one after the other; CSV has these names in its first line and modules with blanks between.
"""

import csv
import io
import json as stdlib_json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from hub.agreements.policy import CdrMode, Terms
from hub.agreements.repository import Agreement
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from ocpi_modules.status import NotJson
from ocpi_modules.types import parse_datetime

FIELDS = ("cpo", "emsp", "modules", "valid_from", "valid_until", "cdr_mode")
REQUIRED = ("cpo", "emsp")
MOST = 100_000
_ALL = "all"
_PARTY = re.compile(r"^([A-Za-z]{2})[/*]([A-Za-z0-9]{3})$")
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_BETWEEN = re.compile(r"[\s,\]]*")


class Format(StrEnum):
    json = "json"
    csv = "csv"


class WrongLines(ValueError):
    """Every line that cannot be taken, as sentences with its number, its field and the way out."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


def write(agreements: Iterable[Agreement], form: Format) -> str:
    """One agreement a line, so that two exports can be compared."""
    documents = [document(agreement) for agreement in agreements]
    if form is Format.json:
        lines = ",\n".join(json.encode(item).decode() for item in documents)
        return f"[\n{lines}\n]\n" if lines else "[]\n"
    text = io.StringIO()
    table = csv.DictWriter(text, FIELDS, lineterminator="\n")
    table.writeheader()
    table.writerows(item | {"modules": " ".join(item["modules"])} for item in documents)
    return text.getvalue()


def document(agreement: Agreement) -> dict[str, Any]:
    """One agreement as JSON values."""
    terms = agreement.terms
    return {
        "cpo": "/".join(agreement.cpo),
        "emsp": "/".join(agreement.emsp),
        "modules": sorted(terms.modules) or [_ALL],
        "valid_from": _text(terms.valid_from),
        "valid_until": _text(terms.valid_until),
        "cdr_mode": str(terms.cdr_mode),
    }


def read(text: str) -> list[Agreement]:
    """The agreements of a JSON or CSV text. Raises WrongLines, with every line that is wrong; then nothing is to be used."""
    wrong: list[str] = []
    lines: dict[frozenset[PartyId], int] = {}
    agreements = []
    for number, fields in _lines(text.removeprefix("\ufeff")):
        try:
            agreement = parse(fields)
            pair = frozenset((agreement.cpo, agreement.emsp))
            if (before := lines.setdefault(pair, number)) != number:
                raise ValueError(f"cpo, emsp: the same two parties as line {before}; keep one of the two.")
            agreements.append(agreement)
        except ValueError as error:
            wrong.append(f"Line {number}: {error}")
    if len(agreements) > MOST:
        wrong.append(f"There are {len(agreements)} agreements; give at most {MOST} at once.")
    if wrong:
        raise WrongLines(wrong)
    return agreements


def parse(fields: Mapping[str, Any]) -> Agreement:
    """One agreement from its fields. Raises ValueError: the field, what is wrong and what is expected."""
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]}: there is no such field; fields are {', '.join(FIELDS)}.")
    cpo, emsp = (_party(name, fields.get(name)) for name in REQUIRED)
    if cpo == emsp:
        raise ValueError(f"emsp: {cpo} needs no agreement with itself; name the other party.")
    valid_from, valid_until = (_instant(name, fields.get(name)) for name in ("valid_from", "valid_until"))
    if valid_from and valid_until and valid_from >= valid_until:
        raise ValueError("valid_until: it ends before it begins; give an instant after valid_from.")
    return Agreement(cpo, emsp, Terms(_modules(fields.get("modules")), valid_from, valid_until, _mode(fields)))


def instant(text: str) -> datetime:
    """A UTC instant, or a day, which is its first instant. Raises ValueError with what is expected."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if _DAY.match(text) else parse_datetime(text)
    except ValueError:
        raise ValueError(f"{text} is no UTC instant; write 2026-01-31T12:00:00Z or 2026-01-31.") from None


# The lines


def _lines(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return _objects(text) if text.lstrip()[:1] in ("[", "{") else _rows(text)


def _objects(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a list, or one after the other, with the line each begins in."""
    scanner = stdlib_json.JSONDecoder()
    is_list = text.lstrip().startswith("[")
    if is_list and not text.rstrip().endswith("]"):
        last = text.rstrip().count("\n") + 1
        raise WrongLines([f"Line {last}: the list does not end with a ]; the file may have been cut off."])
    position = text.index("[") + 1 if is_list else 0
    while (position := _skip(text, position)) < len(text):
        number = text.count("\n", 0, position) + 1
        try:
            _, end = scanner.raw_decode(text, position)
            fields = json.decode(text[position:end].encode())
        except (ValueError, NotJson, RecursionError):  # also: a number of too many digits
            raise WrongLines([f"Line {number}: what begins here is not JSON; compare it with an export."]) from None
        if not isinstance(fields, dict):
            raise WrongLines([f"Line {number}: an agreement is an object with the fields {', '.join(FIELDS)}."])
        yield number, fields
        position = end


def _skip(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    table = csv.DictReader(io.StringIO(text), restkey="more", strict=True)
    try:
        missing = [name for name in REQUIRED if name not in (table.fieldnames or ())]
        if missing:
            raise WrongLines([f"Line 1: {missing[0]}: the first line names the fields: {','.join(FIELDS)}."])
        for row in table:
            if "more" in row:
                raise WrongLines([f"Line {table.line_num}: there are more values than fields in line 1; quote commas."])
            yield table.line_num, row
    except csv.Error as error:
        raise WrongLines([f"Line {table.line_num}: it is not CSV: {error}."]) from None


# The fields


def _party(name: str, given: Any) -> PartyId:
    match = _PARTY.match(given) if isinstance(given, str) else None
    if match is None:
        raise ValueError(f"{name}: {given or 'nothing'} is not COUNTRY/PARTY; write for example NL/ABC.")
    return PartyId.of(match[1], match[2])


def _modules(given: Any) -> frozenset[ModuleID]:
    names = given.split() if isinstance(given, str) else given or []
    if names in ([], [_ALL]):
        return frozenset()
    wrong = [name for name in names if name not in tuple(ModuleID)] if isinstance(names, list) else [names]
    if wrong:
        raise ValueError(f"modules: {wrong[0]} is no module; write all, or some of {', '.join(ModuleID)}.")
    return frozenset(ModuleID(name) for name in names)


def _instant(name: str, given: Any) -> datetime | None:
    if given in (None, ""):
        return None
    try:
        return instant(str(given))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _mode(fields: Mapping[str, Any]) -> CdrMode:
    given = fields.get("cdr_mode") or CdrMode.transparent
    if given not in tuple(CdrMode):
        raise ValueError(f"cdr_mode: {given} is none; write {' or '.join(CdrMode)}.")
    return CdrMode(given)


def _text(given: datetime | None) -> str | None:
    return None if given is None else given.astimezone(UTC).isoformat().replace("+00:00", "Z")
