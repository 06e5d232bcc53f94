"""GET All via Hubs, seen over sockets (transport_and_format)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.agreements.policy import DefaultPolicy
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.paging import parse_link
from ocpi_modules.spec import Method, ModuleID
from tests.hub.network import CPO, EMSP, HUB, Answer, Network, Outage, Partner, network, register
from tests.hub.objects.seeds import body_of, keep, push_of
from tests.support import objects
from tests.support.postgres import FreshDatabase

OTHER_CPO, OTHER_EMSP = PartyId("BE", "CPX"), PartyId("FR", "MSX")
LIST = "/sender/locations"


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database) as built:
        yield built


async def another(net: Network, party: PartyId, role: str) -> Partner:
    """A platform that only asks; nothing listens at its address."""
    partner = Partner(party, role, port=9)
    await register(net.database, net.keys, partner)
    await net.directory.refresh()
    return partner


async def seed(net: Network, *pushes: Any) -> None:
    await keep(net.database, net.objects, *pushes)


async def ids(net: Network, partner: Partner, target: str = LIST, **options: Any) -> list[str]:
    answer = await net.call(partner, "GET", target, **options)
    assert answer.status_code == 1000, answer.message
    return [item["id"] for item in answer.document["data"]]


def next_page(answer: Answer) -> str | None:
    return parse_link(answer.headers["link"]) if "link" in answer.headers else None


@pytest.mark.rule("R-61", "R-62", "R-63", "R-64", "X-43", "U-10", "R-86")
async def test_a_list_is_answered_from_the_hubs_own_store_in_the_owners_spelling(net: Network) -> None:
    odd = body_of(CPO, "L1").replace(b'"id"', b'"x":[1.10, 1E2] , "id"')
    await another(net, OTHER_CPO, "CPO")
    await seed(net, push_of(CPO, "L1", body=odd), push_of(OTHER_CPO, "L2"))
    answer = await net.call(net.emsp, "GET", LIST, to=HUB)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert answer.routing == ("DE*MSP", "NL*HUB")
    assert answer.body.startswith(b'{"data":[' + body_of(OTHER_CPO, "L2") + b"," + odd + b"],")
    assert (answer.headers["x-total-count"], answer.headers["x-limit"]) == ("2", "100")
    assert "link" not in answer.headers
    assert net.cpo.seen == []


@pytest.mark.rule("R-72", "U-09")
async def test_a_list_without_receiver_or_with_the_own_party_is_the_same_list(net: Network) -> None:
    await seed(net, push_of(CPO, "L1"))
    for to in (None, HUB, EMSP):
        assert await ids(net, net.emsp, to=to) == ["L1"]


async def test_an_empty_list_is_an_array_and_has_no_link(net: Network) -> None:
    answer = await net.call(net.emsp, "GET", LIST)
    assert (answer.document["data"], answer.headers["x-total-count"]) == ([], "0")
    assert "link" not in answer.headers


@pytest.mark.rule("X-38", "X-39", "X-41", "X-42", "R-67", "X-34")
async def test_links_are_absolute_lead_to_the_hub_and_repeat_filters_offset_and_limit(net: Network) -> None:
    await seed(net, *(push_of(CPO, f"L{n}") for n in range(5)))
    answer = await net.call(net.emsp, "GET", f"{LIST}?limit=2&date_from=2026-01-01T00:00:00Z")
    link = next_page(answer)
    start = f"{net.public_url}/ocpi/2.2.1/sender/locations?date_from=2026-01-01T00:00:00Z&offset=2&limit=2&hub_after="
    assert link is not None
    assert link.startswith(start)
    assert (answer.headers["x-total-count"], answer.headers["x-limit"]) == ("5", "100")
    answer = await net.call(net.emsp, "GET", f"{LIST}?limit=2000")
    assert answer.headers["x-limit"] == "100"


@pytest.mark.rule("X-33", "X-40", "X-46", "R-70")
async def test_links_followed_as_they_are_show_every_object_once(net: Network) -> None:
    await another(net, OTHER_CPO, "CPO")
    await seed(net, *(push_of(party, f"L{n}") for n in range(5) for party in (CPO, OTHER_CPO)))
    found, target = [], f"{LIST}?limit=3"
    while target:
        answer = await net.call(net.emsp, "GET", target)
        assert answer.headers["x-total-count"] == "10"
        found += [(item["party_id"], item["id"]) for item in answer.document["data"]]
        target = next_page(answer) or ""
    assert found == [(party, f"L{n}") for party in ("CPX", "CPO") for n in range(5)]


@pytest.mark.rule("X-33", "X-47")
async def test_offsets_count_objects_over_all_owners(net: Network) -> None:
    await another(net, OTHER_CPO, "CPO")
    await seed(net, *(push_of(party, f"{party.party_id}{n}") for n in range(3) for party in (CPO, OTHER_CPO)))
    everything = await ids(net, net.emsp)
    for offset in range(8):
        assert await ids(net, net.emsp, f"{LIST}?offset={offset}&limit=2") == everything[offset : offset + 2]
    for query in ("limit=0", "offset=-1", "limit=x", "date_from=yesterday"):
        answer = await net.call(net.emsp, "GET", f"{LIST}?{query}")
        assert (answer.http_status, answer.status_code) == (200, 2001)
        assert answer.routing == ("DE*MSP", "NL*HUB")


@pytest.mark.rule("X-31", "X-32", "X-40")
async def test_date_from_is_inclusive_and_date_to_exclusive(net: Network) -> None:
    days = [push_of(CPO, f"L{day}", body=body_of(CPO, f"L{day}", f"2026-03-0{day}T12:00:00Z")) for day in range(1, 6)]
    await seed(net, *days)
    answer = await net.call(
        net.emsp, "GET", f"{LIST}?date_from=2026-03-02T12:00:00Z&date_to=2026-03-04T12:00:00Z&limit=1"
    )
    assert [item["id"] for item in answer.document["data"]] == ["L2"]
    assert answer.headers["x-total-count"] == "2"
    assert await ids(net, net.emsp, next_page(answer) or "") == ["L3"]
    assert await ids(net, net.emsp, f"{LIST}?date_to=2026-03-02T12:00:00Z") == ["L1"]
    assert await ids(net, net.emsp, f"{LIST}?date_from=2026-03-04T12:00:00Z&offset=1") == ["L5"]


@pytest.mark.rule("X-35", "X-36")
async def test_an_update_does_not_move_an_object(net: Network) -> None:
    await seed(net, *(push_of(CPO, f"L{n}") for n in range(3)))
    await seed(net, push_of(CPO, "L0", body=body_of(CPO, "L0", "2026-03-02T00:00:00Z")))
    assert await ids(net, net.emsp) == ["L0", "L1", "L2"]


@pytest.mark.rule("U-49", "R-65", "G-73", "X-28")
async def test_a_unicast_push_is_seen_by_its_addressee_only(net: Network) -> None:
    stranger = await another(net, OTHER_EMSP, "EMSP")
    await seed(
        net, push_of(CPO, "L1", EMSP), push_of(CPO, "L2"), push_of(CPO, "L2", OTHER_EMSP, body=body_of(CPO, "L2", x=1))
    )
    assert await ids(net, net.emsp) == ["L1", "L2"]
    answer = await net.call(stranger, "GET", LIST)
    assert (answer.document["data"], answer.headers["x-total-count"]) == ([json.decode(body_of(CPO, "L2", x=1))], "1")


async def test_an_agreement_is_asked_at_read_time(hub_database: FreshDatabase) -> None:
    async with network(hub_database, policy=DefaultPolicy.agreement) as net:
        await keep(net.database, net.objects, *(push_of(CPO, f"L{n}") for n in range(3)))
        assert await ids(net, net.emsp) == []
        net.policy.replace({frozenset((CPO, EMSP)): frozenset({ModuleID.locations})})
        first = await net.call(net.emsp, "GET", f"{LIST}?limit=2")
        assert len(first.document["data"]) == 2
        net.policy.replace({frozenset((CPO, EMSP)): frozenset({ModuleID.tariffs})})
        second = await net.call(net.emsp, "GET", next_page(first) or "")
        assert (second.document["data"], second.headers["x-total-count"]) == ([], "0")
        assert "link" not in second.headers


async def test_objects_of_a_party_that_left_are_not_listed(net: Network) -> None:
    await seed(net, push_of(CPO, "L1"))
    async with net.database.connection() as connection:
        await connection.execute("UPDATE party SET state = 'SUSPENDED' WHERE party_id = 'CPO'")
        await connection.execute(
            "UPDATE platform SET revision = (SELECT max(revision) + 1 FROM platform) WHERE name = 'CPO'"
        )
    await net.directory.refresh()
    assert await ids(net, net.emsp) == []


@pytest.mark.rule("R-66", "R-90", "S-04", "S-05")
async def test_sessions_are_listed_for_their_two_parties_only(net: Network) -> None:
    stranger = await another(net, OTHER_EMSP, "EMSP")
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    session = objects.session(country_code="NL", party_id="CPO", id="S1", cdr_token=token)
    pushed = await net.call(net.cpo, "PUT", "/receiver/sessions/NL/CPO/S1", json.encode(session), to=EMSP)
    assert pushed.status_code == 1000
    target = "/sender/sessions?date_from=2020-01-01T00:00:00Z"
    assert [await ids(net, asker, target) for asker in (net.cpo, net.emsp, stranger)] == [["S1"], ["S1"], []]
    assert await ids(net, net.emsp, "/sender/sessions") == ["S1"]
    assert "parameter left out" in [line["event"] for line in net.flagged]


@pytest.mark.rule("D-24", "R-66", "R-93")
async def test_cdrs_are_listed_from_the_journal_for_their_two_parties_only(net: Network) -> None:
    stranger = await another(net, OTHER_EMSP, "EMSP")
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    own = {"country_code": "NL", "party_id": "CPO", "cdr_token": token, "credit": None, "credit_reference_id": None}
    bodies = [json.encode(objects.cdr(**own, id=f"C{n}")) for n in range(3)]
    for body in bodies:
        assert (await net.call(net.cpo, "POST", "/receiver/cdrs", body, to=EMSP)).http_status in (200, 201)
    for asker in (net.cpo, net.emsp):
        first = await net.call(asker, "GET", "/sender/cdrs?limit=2", to=HUB)
        assert first.body.startswith(b'{"data":[' + b",".join(bodies[:2]) + b"]")
        assert first.headers["x-total-count"] == "3"
        assert await ids(net, asker, next_page(first) or "") == ["C2"]
        assert await ids(net, asker, "/sender/cdrs?offset=1&limit=1") == ["C1"]
        assert await ids(net, asker, "/sender/cdrs?date_to=2020-01-01T00:00:00Z") == []
    assert await ids(net, stranger, "/sender/cdrs") == []


@pytest.mark.rule("R-66")
async def test_an_owner_sees_each_of_its_own_objects_once(net: Network) -> None:
    newer = body_of(CPO, "L1", "2026-03-05T00:00:00Z")
    await seed(net, push_of(CPO, "L1"), push_of(CPO, "L2", EMSP), push_of(CPO, "L1", EMSP, body=newer))
    await another(net, OTHER_CPO, "CPO")
    await seed(net, push_of(OTHER_CPO, "X1"))
    answer = await net.call(net.cpo, "GET", LIST)
    assert answer.document["data"] == [json.decode(newer), json.decode(body_of(CPO, "L2"))]
    assert answer.headers["x-total-count"] == "2"
    assert await ids(net, net.cpo, f"{LIST}?offset=1") == ["L2"]


@pytest.mark.rule("R-98")
async def test_a_cpo_reads_the_tokens_of_emsps(net: Network) -> None:
    await seed(net, push_of(EMSP, "T1|RFID", module=ModuleID.tokens, body=body_of(EMSP, "T1")))
    assert await ids(net, net.cpo, "/sender/tokens") == ["T1"]


@pytest.mark.rule("R-96")
async def test_a_deleted_tariff_is_gone_from_list_and_count(net: Network) -> None:
    await seed(net, *(push_of(CPO, f"T{n}", module=ModuleID.tariffs) for n in range(3)))
    await seed(net, push_of(CPO, "T1", module=ModuleID.tariffs, method=Method.DELETE))
    answer = await net.call(net.emsp, "GET", "/sender/tariffs")
    assert [item["id"] for item in answer.document["data"]] == ["T0", "T2"]
    assert answer.headers["x-total-count"] == "2"


async def test_a_key_opens_for_its_viewer_and_module_only(net: Network) -> None:
    stranger = await another(net, OTHER_EMSP, "EMSP")
    await seed(net, *(push_of(CPO, f"L{n}") for n in range(3)))
    link = next_page(await net.call(net.emsp, "GET", f"{LIST}?limit=1")) or ""
    for asker, target in (
        (stranger, link),
        (net.emsp, link.replace("locations", "tariffs")),
        (net.emsp, link[:-6] + "AAAAAA"),
        (net.emsp, f"{LIST}?hub_after=%C3%A9"),
    ):
        answer = await net.call(asker, "GET", target)
        assert (answer.http_status, answer.status_code) == (200, 2001)


async def test_the_hubs_key_is_taken_out_of_a_direct_request(net: Network) -> None:
    await net.call(net.emsp, "GET", f"{LIST}?offset=1&hub_after=abc&limit=2", to=CPO)
    assert net.cpo.seen[0].target.endswith("/locations?offset=1&limit=2")


async def test_a_role_that_does_not_read_a_module_is_told_so(net: Network) -> None:
    nsp = await another(net, PartyId("NL", "NSP"), "NSP")
    assert (await net.call(nsp, "GET", "/sender/cdrs")).status_code == 2000
    assert (await net.call(nsp, "GET", "/sender/locations")).status_code == 1000


async def test_while_the_store_is_away_the_hub_says_when_to_ask_again(hub_database: FreshDatabase) -> None:
    async with network(hub_database, wrap=Outage) as net:
        net.seen_database.away = True
        for target in (LIST, f"{LIST}/L1"):
            answer = await net.call(net.emsp, "GET", target, to=HUB)
            assert (answer.http_status, answer.status_code) == (503, 3000)
            assert answer.headers["retry-after"]


LOCATION = (
    b'{"country_code":"NL","party_id":"CPO","id":"L1","evses":[{"uid":"E0"}, { "uid" : "e1","x":1.10,"connectors":[\n'
    b' {"id":"1" , "max_voltage":230.0}]}],"last_updated":"2026-03-01T12:00:00Z"}'
)
EVSE = b'{ "uid" : "e1","x":1.10,"connectors":[\n {"id":"1" , "max_voltage":230.0}]}'


@pytest.mark.rule("U-08", "R-87", "L-15")
@pytest.mark.parametrize(
    ("path", "expected"),
    [("", LOCATION), ("/E1", EVSE), ("/E1/1", b'{"id":"1" , "max_voltage":230.0}')],
)
async def test_one_object_comes_from_the_store_byte_for_byte(net: Network, path: str, expected: bytes) -> None:
    await seed(net, push_of(CPO, "L1", body=LOCATION))
    for partner, target in ((net.emsp, "/sender/locations/l1"), (net.cpo, "/receiver/locations/NL/CPO/l1")):
        answer = await net.call(partner, "GET", target + path, to=HUB)
        assert answer.body.startswith(b'{"data":' + expected + b',"status_code":1000')
        assert answer.routing == (str(partner.party), "NL*HUB")
    assert net.cpo.seen == net.emsp.seen == []


@pytest.mark.rule("U-08", "R-89")
async def test_what_is_not_the_callers_is_answered_like_what_is_not_there(net: Network) -> None:
    stranger = await another(net, OTHER_EMSP, "EMSP")
    await seed(net, push_of(CPO, "L1", EMSP), push_of(CPO, "T1", EMSP, module=ModuleID.tariffs))
    for there, nowhere in (
        ("/sender/locations/L1", "/sender/locations/L9"),
        ("/receiver/tariffs/NL/CPO/T1", "/receiver/tariffs/NL/CPO/T9"),
    ):
        hidden, missing = [await net.call(stranger, "GET", target, to=HUB) for target in (there, nowhere)]
        assert (hidden.http_status, missing.http_status) == (404, 404)
        assert (hidden.message, hidden.headers) == (missing.message, missing.headers)
    assert (await net.call(net.emsp, "GET", "/sender/locations/L1/E9", to=HUB)).http_status == 404


@pytest.mark.rule("L-15", "R-59")
async def test_an_id_of_several_owners_is_not_guessed(net: Network) -> None:
    await another(net, OTHER_CPO, "CPO")
    await seed(net, push_of(CPO, "L1"), push_of(OTHER_CPO, "L1"))
    answer = await net.call(net.emsp, "GET", "/sender/locations/L1", to=HUB)
    assert answer.status_code == 4001
