"""Generated objects through a running hub: the bytes at both sockets are the same, and so are those of the copy it keeps."""

import hashlib
import itertools
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpi_modules import json, validation
from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.commands.schemas import CancelReservation, ReserveNow, StartSession, StopSession, UnlockConnector
from ocpi_modules.locations.schemas import EVSE, Connector, Location
from ocpi_modules.sessions.schemas import ChargingPreferences, Session
from ocpi_modules.spec import ModuleID
from ocpi_modules.tariffs.schemas import Tariff
from ocpi_modules.tokens.schemas import AuthorizationInfo, LocationReferences, Token
from ocpi_modules.types import OcpiObject
from tests.generated.build import ASCII, build, build_changes, text
from tests.generated.spell import spell
from tests.generated.strategies import FEW, RANDOM
from tests.hub.network import CPO, EMSP, HUB, Network, Partner, accepted, network
from tests.support.postgres import FreshDatabase

PUSHED: dict[str, tuple[type[OcpiObject], str, str]] = {
    "locations": (Location, "CPO", "id"),
    "sessions": (Session, "CPO", "id"),
    "tariffs": (Tariff, "CPO", "id"),
    "tokens": (Token, "EMSP", "uid"),
}
"""module -> (schema, role of the owner, field of the id)."""
COMMANDS: dict[str, type[OcpiObject]] = {
    "CANCEL_RESERVATION": CancelReservation,
    "RESERVE_NOW": ReserveNow,
    "START_SESSION": StartSession,
    "STOP_SESSION": StopSession,
    "UNLOCK_CONNECTOR": UnlockConnector,
}
NUMBERS = itertools.count(1)


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database) as running:
        yield running


def an_id(random: Random) -> str:
    """Any printable ASCII but what a URL takes for a folder."""
    found = text(random, ASCII, 36, 1)
    return found if found not in (".", "..") else "dots"


def owned(party: Any) -> dict[str, str]:
    return {"country_code": party.country_code, "party_id": party.party_id}


def customer(random: Random) -> dict[str, Any]:
    """The token of a driver of the eMSP."""
    return {**owned(EMSP), "uid": an_id(random), "type": "RFID", "contract_id": "C-1"}


def an_object(random: Random, module: str, **fixed: Any) -> tuple[dict[str, Any], str]:
    """A document of one of the PUSHED modules and its path below the module."""
    schema, role, id_field = PUSHED[module]
    owner, id = CPO if role == "CPO" else EMSP, fixed.pop("id", None) or an_id(random)
    fixed |= {"cdr_token": customer(random)} if module == "sessions" else {}
    document = build(schema, random, **owned(owner), **{id_field: id}, **fixed)
    query = f"?type={document['type']}" if module == "tokens" else ""
    return document, f"/{owner.country_code}/{owner.party_id}/{quote(id, safe='')}{query}"


def sides(net: Network, module: str) -> tuple[Partner, Partner]:
    """(pushing, receiving) partner of a module."""
    return (net.cpo, net.emsp) if PUSHED.get(module, (None, "CPO"))[1] == "CPO" else (net.emsp, net.cpo)


def same_bytes(sent: bytes, receiving: Partner) -> None:
    assert hashlib.sha256(receiving.seen[-1].body).digest() == hashlib.sha256(sent).digest()


def data_of(body: bytes) -> bytes:
    return bytes(json.members(body)["data"])


@FEW
@given(random=RANDOM, module=st.sampled_from(sorted(PUSHED)))
async def test_a_put_arrives_byte_for_byte_and_its_copy_is_kept_so(net: Network, random: Random, module: str) -> None:
    document, path = an_object(random, module)
    body = spell(document, random)
    assert validation.findings(PUSHED[module][0], json.decode(body)) == []
    pushing, receiving = sides(net, module)
    await net.rows("DELETE FROM kept_object WHERE module = $1", module)
    answer = await net.call(pushing, "PUT", f"/receiver/{module}{path}", body, to=receiving.party)
    assert answer.status_code == 1000, answer.body
    same_bytes(body, receiving)
    assert receiving.seen[-1].target == f"{receiving.endpoint(module, 'RECEIVER').removeprefix(receiving.url)}{path}"
    copy = await net.call(pushing, "GET", f"/receiver/{module}{path}", to=HUB)
    assert copy.http_status == 200, copy.body
    assert data_of(copy.body) == body.strip()


@FEW
@given(random=RANDOM, module=st.sampled_from(["locations", "sessions", "tokens"]))
async def test_a_patch_arrives_byte_for_byte(net: Network, random: Random, module: str) -> None:
    schema, _, _ = PUSHED[module]
    document, path = an_object(random, module)
    fixed = {"type": document["type"]} if module == "tokens" else {}
    fixed |= {"cdr_token": document["cdr_token"]} if module == "sessions" else {}
    body = spell(build_changes(schema, random, **fixed), random)
    pushing, receiving = sides(net, module)
    answer = await net.call(pushing, "PATCH", f"/receiver/{module}{path}", body, to=receiving.party)
    assert answer.status_code == 1000, answer.body
    same_bytes(body, receiving)


@FEW
@given(random=RANDOM, depth=st.sampled_from([1, 2]))
async def test_an_evse_and_a_connector_arrive_byte_for_byte(net: Network, random: Random, depth: int) -> None:
    ids = [an_id(random) for _ in range(depth + 1)]
    document = build(EVSE, random, uid=ids[1]) if depth == 1 else build(Connector, random, id=ids[2])
    body = spell(document, random)
    path = "/".join(quote(part, safe="") for part in [*CPO, *ids])
    answer = await net.call(net.cpo, "PUT", f"/receiver/locations/{path}", body, to=EMSP)
    assert answer.status_code == 1000, answer.body
    same_bytes(body, net.emsp)


@FEW
@given(random=RANDOM)
async def test_a_cdr_arrives_byte_for_byte_and_is_read_back_so(net: Network, random: Random) -> None:
    id = f"CDR-{next(NUMBERS)}"
    document = build(CDR, random, **owned(CPO), id=id, cdr_token=customer(random))
    document |= {"credit": False}  # a Credit CDR needs the one it credits
    body = spell(document, random)
    answer = await net.call(net.cpo, "POST", "/receiver/cdrs", body, to=EMSP)
    assert answer.status_code == 1000, answer.body
    same_bytes(body, net.emsp)
    read = await net.call(net.cpo, "GET", answer.headers["location"])
    assert data_of(read.body) == body.strip()


@FEW
@given(random=RANDOM, command=st.sampled_from(sorted(COMMANDS)))
async def test_a_command_arrives_with_its_response_url_and_nothing_else_changed(
    net: Network, random: Random, command: str
) -> None:
    fixed: dict[str, Any] = {"response_url": f"{net.emsp.url}/results/1"}
    if "token" in COMMANDS[command].model_fields:
        fixed["token"] = build(Token, random, **owned(EMSP))
    body = spell(build(COMMANDS[command], random, **fixed), random)
    net.cpo.answer = lambda seen: accepted({"result": "ACCEPTED", "timeout": 30})
    answer = await net.call(net.emsp, "POST", f"/receiver/commands/{command}", body, to=CPO)
    assert answer.status_code == 1000, answer.body
    sent, arrived = json.members(body), json.members(net.cpo.seen[-1].body)
    assert list(arrived) == list(sent)
    assert json.decode(bytes(arrived.pop("response_url"))).startswith(net.public_url)
    del sent["response_url"]
    assert {name: bytes(value) for name, value in arrived.items()} == {
        name: bytes(value) for name, value in sent.items()
    }


@FEW
@given(random=RANDOM, kind=st.sampled_from(["charging_preferences", "authorize"]))
async def test_a_write_to_a_sender_and_its_answer_pass_byte_for_byte(net: Network, random: Random, kind: str) -> None:
    id = quote(an_id(random), safe="")
    if kind == "authorize":
        sent, path, schema = LocationReferences, f"/sender/tokens/{id}/authorize", AuthorizationInfo
        asking, asked, method = net.cpo, net.emsp, "POST"
    else:
        sent, path, schema = ChargingPreferences, f"/sender/sessions/{id}/charging_preferences", None
        asking, asked, method = net.emsp, net.cpo, "PUT"
    body = spell(build(sent, random), random)
    data = spell(build(schema, random) if schema else "ACCEPTED", random)
    content = b'{ "data":' + data + b', "status_code" : 1000,"timestamp":"2026-03-01T12:00:00Z"}'
    asked.answer = lambda seen: (200, {}, content)
    answer = await net.call(asking, method, path, body, to=asked.party)
    same_bytes(body, asked)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(content).digest()


@FEW
@given(random=RANDOM, module=st.sampled_from([ModuleID.locations, ModuleID.tariffs]))
async def test_a_list_of_the_hub_holds_every_copy_as_it_was_spelled(
    net: Network, random: Random, module: ModuleID
) -> None:
    await net.rows("DELETE FROM kept_object WHERE module = $1", str(module))
    bodies = []
    for place in range(random.randint(1, 3)):
        document, path = an_object(random, str(module), id=f"L-{place}")
        bodies.append(spell(document, random))
        answer = await net.call(net.cpo, "PUT", f"/receiver/{module}{path}", bodies[-1], to=EMSP)
        assert answer.status_code == 1000, answer.body
    listed = await net.call(net.emsp, "GET", f"/sender/{module}?limit=100", to=HUB)
    kept = data_of(listed.body)
    assert all(body in kept for body in bodies)
