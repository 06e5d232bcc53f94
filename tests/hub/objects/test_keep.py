"""What is kept of the pushes that pass."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ocpi_modules import json
from tests.hub.network import CPO, EMSP, Network, Outage, eventually, network
from tests.support import objects
from tests.support.postgres import FreshDatabase

LOCATION = "/receiver/locations/NL/CPO/L1"


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database) as built:
        yield built


def location(**fields: Any) -> bytes:
    own = {"country_code": "NL", "party_id": "CPO", "id": "L1", "last_updated": "2026-03-01T12:00:00Z"}
    return json.encode(objects.location(**own | fields))


async def push(net: Network, method: str, path: str, body: bytes = b"", **options: Any) -> None:
    sender, to = (net.emsp, CPO) if "/tokens/" in path else (net.cpo, EMSP)
    answer = await net.call(sender, method, path, body, to=to, **options)
    assert answer.status_code == 1000, answer.message


async def kept(net: Network) -> list[dict[str, Any]]:
    return await net.rows("SELECT * FROM kept_object ORDER BY created_seq")


async def changes(net: Network) -> list[tuple[str, int]]:
    rows = await net.rows("SELECT key_folded, version FROM change_log ORDER BY xid, seq")
    return [(row["key_folded"], row["version"]) for row in rows]


async def count(net: Network) -> list[int]:
    return [row["count"] for row in await net.rows("SELECT count FROM object_count WHERE audience <> '='")]


@pytest.mark.rule("U-49", "Q-07")
async def test_a_push_is_kept_as_spelled_for_its_owner_and_its_addressee(net: Network) -> None:
    odd = location().replace(b'"id":"L1"', b'"id" : "l1", "x_unknown":[1.10, 1E2]')
    await push(net, "PUT", LOCATION, odd)
    [row] = await kept(net)
    assert (row["owner"], row["module"], row["key_folded"], row["audience"]) == ("NL*CPO", "locations", "L1", "DE*MSP")
    assert (row["body"], row["version"], row["deleted"]) == (odd, 1, False)
    assert (await changes(net), await count(net)) == ([("L1", 1)], [1])


@pytest.mark.rule("Q-06", "U-33", "U-34")
async def test_the_newest_wins_and_with_equal_times_the_last(net: Network) -> None:
    await push(net, "PUT", LOCATION, location())
    await push(net, "PUT", LOCATION, location(name="older", last_updated="2026-03-01T11:59:59Z"))
    assert (await kept(net))[0]["body"] == location()
    await push(net, "PUT", LOCATION, location(name="same time"))
    assert (await kept(net))[0]["body"] == location(name="same time")
    assert (await changes(net), await count(net)) == ([("L1", 1), ("L1", 2)], [1])
    assert len(net.emsp.seen) == 3


@pytest.mark.rule("L-25", "G-54")
async def test_a_patch_changes_its_fields_and_no_other_byte(net: Network) -> None:
    odd = location().replace(b'"id":"L1"', b'"id":"L1","x_unknown":{"b":1.10,"a":"\\u00e9\\/"}')
    await push(net, "PUT", LOCATION, odd)
    await push(net, "PATCH", LOCATION, b'{"name":"N\\u00e9w","last_updated":"2026-03-01T13:00:00Z"}')
    before, after = json.members(odd), json.members((await kept(net))[0]["body"])
    assert list(before) == list(after)
    different = {name for name in before if bytes(before[name]) != bytes(after[name])}
    assert different == {"name", "last_updated"}
    assert bytes(after["name"]) == b'"N\\u00e9w"'
    await push(net, "PATCH", LOCATION, b'{"name":"late","last_updated":"2026-03-01T12:30:00Z"}')
    assert bytes(json.members((await kept(net))[0]["body"])["name"]) == b'"N\\u00e9w"'


@pytest.mark.rule("L-20", "L-24")
async def test_an_evse_and_a_connector_are_merged_into_their_location(net: Network) -> None:
    evses = [objects.evse(uid="E1"), objects.evse(uid="E2", last_updated="2026-03-01T12:00:00Z")]
    await push(net, "PUT", LOCATION, location(evses=evses))
    await push(net, "PATCH", f"{LOCATION}/e2", b'{"status":"BLOCKED","last_updated":"2026-03-01T14:00:00Z"}')
    await push(net, "PUT", f"{LOCATION}/E3", json.encode(objects.evse(uid="E3", last_updated="2026-03-01T13:00:00Z")))
    document = json.decode((await kept(net))[0]["body"])
    assert [(evse["uid"], evse["status"]) for evse in document["evses"]][1] == ("E2", "BLOCKED")
    assert [evse["uid"] for evse in document["evses"]] == ["E1", "E2", "E3"]
    assert document["last_updated"] == "2026-03-01T14:00:00Z"
    connector = json.encode(objects.connector(id="9", last_updated="2026-03-01T15:00:00Z"))
    await push(net, "PUT", f"{LOCATION}/E3/9", connector)
    assert connector in (await kept(net))[0]["body"]
    await push(net, "PATCH", f"{LOCATION}/E2", b'{"status":"AVAILABLE","last_updated":"2026-03-01T13:59:59Z"}')
    assert json.decode((await kept(net))[0]["body"])["evses"][1]["status"] == "BLOCKED"


async def test_a_patch_of_what_was_never_kept_passes_and_keeps_nothing(net: Network) -> None:
    await push(net, "PATCH", LOCATION, b'{"name":"x","last_updated":"2026-03-01T13:00:00Z"}')
    assert (await kept(net), await changes(net)) == ([], [])


@pytest.mark.rule("S-10")
async def test_a_patch_adds_charging_periods_to_a_session_as_spelled(net: Network) -> None:
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    own = {
        "country_code": "NL",
        "party_id": "CPO",
        "id": "S1",
        "cdr_token": token,
        "last_updated": "2026-03-01T12:00:00Z",
    }
    await push(net, "PUT", "/receiver/sessions/NL/CPO/S1", json.encode(objects.session(**own)))
    period = json.encode(objects.charging_period()).replace(b":", b" : ", 1)
    patch = b'{"charging_periods":[' + period + b'],"last_updated":"2026-03-01T13:00:00Z"}'
    for _ in ("sent", "sent again"):
        await push(net, "PATCH", "/receiver/sessions/NL/CPO/S1", patch)
    body = (await kept(net))[0]["body"]
    assert len(json.decode(body)["charging_periods"]) == len(objects.session()["charging_periods"]) + 1
    assert period + b"]" in body


@pytest.mark.rule("T-03")
async def test_a_deleted_tariff_leaves_a_tombstone_and_may_come_again(net: Network) -> None:
    own = {"country_code": "NL", "party_id": "CPO", "id": "T1"}
    body = json.encode(objects.tariff(**own))
    path = "/receiver/tariffs/NL/CPO/T1"
    await push(net, "PUT", path, body)
    await push(net, "DELETE", path)
    await push(net, "DELETE", path)
    [row] = await kept(net)
    assert (row["deleted"], row["version"], await count(net)) == (True, 2, [0])
    await push(net, "PUT", path, body)
    [row] = await kept(net)
    assert (row["deleted"], row["version"], await count(net)) == (False, 3, [1])
    assert await changes(net) == [("T1", 1), ("T1", 2), ("T1", 3)]


@pytest.mark.rule("K-04", "K-05", "K-03")
async def test_a_token_is_kept_by_uid_and_type(net: Network) -> None:
    path = "/receiver/tokens/DE/MSP/t1"
    own = {"country_code": "DE", "party_id": "MSP", "uid": "T1", "last_updated": "2026-03-01T12:00:00Z"}
    await push(net, "PUT", path, json.encode(objects.token(**own | {"type": "RFID"})))
    await push(net, "PUT", path, json.encode(objects.token(**own | {"type": "APP_USER"})))
    patch = b'{"valid":false,"last_updated":"2026-03-01T13:00:00Z"}'
    await push(net, "PATCH", f"{path}?type=APP_USER", patch)
    rows = {row["key_folded"]: json.decode(row["body"])["valid"] for row in await kept(net)}
    assert rows == {"T1|RFID": True, "T1|APP_USER": False}


async def test_a_refused_push_is_not_kept(net: Network) -> None:
    net.emsp.answer = lambda seen: (200, {}, b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}')
    assert (await net.call(net.cpo, "PUT", LOCATION, location(), to=EMSP)).status_code == 2001
    assert await kept(net) == []


async def test_first_pushes_at_once_are_one_object_and_one_count(net: Network) -> None:
    await asyncio.gather(*(push(net, "PUT", LOCATION, location(name=f"N{number}")) for number in range(8)))
    [row] = await kept(net)
    assert (row["version"], await count(net)) == (8, [1])
    assert sorted(await changes(net)) == [("L1", version) for version in range(1, 9)]


@pytest.mark.rule("Q-04")
async def test_what_passed_while_the_database_was_away_is_kept_afterwards(hub_database: FreshDatabase) -> None:
    async with network(hub_database, wrap=Outage) as net:
        net.seen_database.away = True
        await push(net, "PUT", LOCATION, location())
        await push(net, "PATCH", LOCATION, b'{"name":"x","last_updated":"2026-03-01T13:00:00Z"}')
        worker = asyncio.create_task(net.later.run())
        net.seen_database.away = False
        await eventually(lambda: not len(net.later))
        worker.cancel()
        [row] = await kept(net)
        assert (row["version"], json.decode(row["body"])["name"]) == (2, "x")
