"""Objects of our own in the shape of each example file of the specification: free of findings, and identical behind the hub.

The files of tests/spec/shapes carry the specification's file names; fields and nesting are the same, the values are ours. What is
no message by itself (opening hours, an energy mix, a text) travels inside one. Versions and credentials are never routed.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from ocpi_modules import json, validation
from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.credentials.schemas import Credentials
from ocpi_modules.locations.schemas import EVSE, Connector, Hours, Location
from ocpi_modules.sessions.schemas import Session
from ocpi_modules.spec import Partial
from ocpi_modules.tariffs.schemas import Tariff
from ocpi_modules.tokens.schemas import Token
from ocpi_modules.types import DisplayText
from ocpi_modules.versions.schemas import Version, VersionDetails
from tests.hub.network import CPO, EMSP, Network, accepted, network
from tests.support.postgres import FreshDatabase

FOLDER = Path(__file__).parents[1] / "spec" / "shapes"
FILES = sorted(FOLDER.glob("*.json"))
TYPES: dict[str, Any] = {
    "cdr_": CDR,
    "credentials_": Credentials,
    "location_energymix_": Partial[Location],
    "location_example": Location,
    "location_hours_": Hours,
    "location_patch_example_location": Partial[Location],
    "location_patch_example_tariff": Partial[Connector],
    "location_patch_": Partial[EVSE],
    "location_put_": EVSE,
    "location_regularhours_": Partial[Location],
    "session_patch_": Partial[Session],
    "session_": Session,
    "tariff": Tariff,
    "token_patch_": Partial[Token],
    "token_": Token,
    "transport_and_format_get_token_example": Token,
    "transport_and_format_get_token_list_": list[Token],
    "transport_and_format_version_details_": VersionDetails,
    "transport_and_format_version_info_": list[Version],
    "type_displaytext_": DisplayText,
    "version_details_": VersionDetails,
    "versions_info_": list[Version],
}
"""The first beginning that fits says what a file holds."""
FAULTS = {
    "location_put_example_add_evse": {
        "connectors[0].power_type",
        "connectors[0].max_voltage",
        "connectors[0].max_amperage",
        "connectors[0].last_updated",
        "physical_reference",
    },
    "tariff_put_example": {"last_updated"},
}
"""Where the specification's own example breaks its own tables: such objects pass as well, with a note in the trace."""
UPDATED = b"2026-03-02T07:00:00Z"


def type_of(file: Path) -> Any:
    return next(kind for beginning, kind in TYPES.items() if file.name.startswith(beginning))


def is_envelope(file: Path) -> bool:
    return file.name.startswith("transport_and_format_")


ROUTED = [file for file in FILES if type_of(file) not in (Credentials, VersionDetails, list[Version])]


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database) as running:
        yield running


def test_there_is_one_for_each_example_file() -> None:
    assert len(FILES) == 59


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shape_is_free_of_findings(file: Path) -> None:
    raw = file.read_bytes()
    document = json.decode(_dated(raw) if type_of(file) == Partial[Location] else raw)
    found = validation.findings(type_of(file), document["data"] if is_envelope(file) else document)
    assert {finding.path for finding in found} == FAULTS.get(file.stem, set())


@pytest.mark.parametrize("file", ROUTED, ids=lambda file: file.stem)
def test_every_routed_shape_has_a_way_through_the_hub(file: Path) -> None:
    assert is_envelope(file) or route(file, {}).method in ("PUT", "PATCH", "POST")


async def test_every_routed_shape_comes_out_of_the_hub_byte_for_byte(net: Network) -> None:
    for file in ROUTED:
        if is_envelope(file):
            await passes_as_an_answer(net, file)
        else:
            await passes_as_a_message(net, file)


async def passes_as_an_answer(net: Network, file: Path) -> None:
    content = file.read_bytes()
    net.cpo.answer = net.emsp.answer = lambda seen: (200, {}, content)
    if "list" in file.name:
        answer = await net.call(net.cpo, "GET", "/sender/tokens", to=EMSP)
    else:
        answer = await net.call(net.emsp, "GET", "/receiver/tokens/DE/MSP/OBJ-1", to=CPO)
    assert (answer.http_status, answer.body) == (200, content), file.name
    net.cpo.answer = net.emsp.answer = lambda seen: accepted()


async def passes_as_a_message(net: Network, file: Path) -> None:
    way = route(file, json.decode(file.read_bytes()))
    body = way.around(file.read_bytes())
    owner = EMSP if way.module == "tokens" else CPO
    pushing, receiving = (net.emsp, net.cpo) if owner == EMSP else (net.cpo, net.emsp)
    path = f"/{owner.country_code}/{owner.party_id}{way.path}" if way.method != "POST" else ""
    answer = await net.call(pushing, way.method, f"/receiver/{way.module}{path}", body, to=receiving.party)
    assert answer.status_code == 1000, f"{file.name}: {answer.body!r}"
    assert receiving.seen[-1].body == body, file.name
    assert receiving.seen[-1].target.endswith(f"/{way.module}{path}")


class Way(NamedTuple):
    """How a shape travels; `around` puts what is no message by itself into one."""

    method: str
    module: str
    path: str
    around: Callable[[bytes], bytes] = lambda raw: raw


def route(file: Path, document: dict[str, Any]) -> Way:
    kind = type_of(file)
    id = quote(str(document.get("id") or document.get("uid") or "OBJ-1"), safe="")
    if kind in (Hours, DisplayText):
        inside = (
            b'{"opening_times":%b,"last_updated":"%b"}' if kind is Hours else b'{"directions":[%b],"last_updated":"%b"}'
        )
        return Way("PATCH", "locations", "/OBJ-1", lambda raw: inside % (raw, UPDATED))
    if kind == Partial[Location]:
        return Way("PATCH", "locations", "/OBJ-1", _dated)
    if kind in (EVSE, Partial[EVSE], Partial[Connector]):
        return Way(
            "PUT" if kind is EVSE else "PATCH", "locations", f"/LOC-1/{id}{'/1' if kind == Partial[Connector] else ''}"
        )
    if kind is CDR:
        return Way("POST", "cdrs", "")
    module = "sessions" if kind in (Session, Partial[Session]) else "tokens" if kind in (Token, Partial[Token]) else ""
    module = module or ("tariffs" if kind is Tariff else "locations")
    method = "PATCH" if kind in (Partial[Session], Partial[Token]) else "PUT"
    return Way(method, module, f"/{id}" + (f"?type={document['type']}" if "uid" in document else ""))


def _dated(raw: bytes) -> bytes:
    """A PATCH says when: the fragments of the specification do not."""
    if b"last_updated" in raw:
        return raw
    return raw.rstrip()[:-1] + b',"last_updated":"%b"}' % UPDATED
