"""transport_and_format, Party to Party via Hub, Platforms, Offline behaviour and Message Routing Headers."""

import asyncio
import base64

import pytest

from ocpi_modules.message import PartyId
from tests.scenarios.conftest import Answer
from tests.scenarios.eight.platforms import (
    AAA,
    BBB,
    CUSTOM,
    DUO,
    NSP,
    OFF,
    QUI,
    RAW,
    SLO,
    Eight,
    at,
    fresh,
    got,
    location,
    pair,
)
from tests.support.party import Party, Scripted


@pytest.mark.rule("R-04", "R-11", "R-12", "R-17", "X-88", "G-23")
async def test_one_party_of_three_is_addressed_and_the_bytes_are_the_same(eight: Eight) -> None:
    id = fresh("L")
    body = location(DUO, id)
    answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), body, to=BBB)
    assert (answer.http_status, answer.status_code, pair(answer)) == (201, 1000, ("FR*DUO", "DE*BBB"))
    [seen] = got(eight.three, id)
    assert (seen.to, seen.sender, seen.body) == (BBB, DUO, body)
    assert seen.raw_path == f"/ocpi/2.2.1/receiver/locations/FR/DUO/{id}"
    token = base64.b64encode(eight.three.our_tokens[0].encode()).decode()
    assert seen.headers["authorization"] == f"Token {token}"
    assert [got(platform, id) for platform in eight.here if platform is not eight.three] == [[]] * 6


@pytest.mark.rule("U-44")
async def test_a_cpo_reads_back_what_the_receiver_has_and_not_what_the_hub_has(eight: Eight) -> None:
    id = fresh("L")
    await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id), to=BBB)
    eight.three.kept["locations", at(DUO, id)] = b'{"id":"as the eMSP has it"}'
    answer = await eight.call(eight.duo, "GET", "locations", "RECEIVER", at(DUO, id), to=BBB)
    assert (answer.data["id"], pair(answer)) == ("as the eMSP has it", ("FR*DUO", "DE*BBB"))
    assert [item.method for item in got(eight.three, id)] == ["PUT", "GET"]


@pytest.mark.rule("X-06", "X-07")
async def test_a_platform_with_raw_tokens_gets_and_sends_them_raw(eight: Eight) -> None:
    id = fresh("L")
    answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id), to=RAW)
    assert answer.status_code == 1000, answer.message
    assert got(eight.raw, id)[0].headers["authorization"] == f"Token {eight.raw.our_tokens[0]}"
    assert (await eight.call(eight.raw, "GET", "locations", "SENDER", to=DUO)).status_code == 1000


@pytest.mark.rule("R-06", "R-13", "U-48")
async def test_who_writes_no_headers_is_named_by_the_hub(eight: Eight) -> None:
    id = fresh("L")
    answer = await eight.call(eight.quiet, "PUT", "locations", "RECEIVER", at(QUI, id), location(QUI, id), to=AAA)
    assert answer.status_code == 1000, answer.message
    assert [(item.to, item.sender) for item in got(eight.three, id)] == [(AAA, QUI)]
    answer = await eight.call(eight.raw, "GET", "locations", "SENDER", to=QUI)
    assert (answer.status_code, pair(answer)) == (1000, ("CH*RAW", "NL*QUI"))


@pytest.mark.rule("R-06", "R-07", "U-07", "S-10")
@pytest.mark.parametrize("sender", [None, DUO], ids=["left out", "of another platform"])
async def test_a_platform_with_three_parties_says_which_of_them_asks(eight: Eight, sender: PartyId | None) -> None:
    url = eight.three.hub_endpoints["locations", "SENDER"]
    before = len(eight.duo.log)
    if sender is None:
        raw = await eight.three.call("GET", url, eight.three.hub_token)
        assert (raw.http_status, b'"status_code":2001' in raw.body) == (200, True)
    else:
        answer = await eight.call(eight.three, "GET", "locations", "SENDER", to=DUO, sender=sender)
        assert answer.status_code == 2001
    assert len(eight.duo.log) == before


@pytest.mark.rule("R-09")
async def test_names_of_parties_are_read_in_any_case(eight: Eight) -> None:
    id = fresh("L")
    lower = {"ocpi-to-country-code": "de", "ocpi-to-party-id": "aaa"}
    answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id), extra=lower)
    assert answer.status_code == 1000
    assert [item.to for item in got(eight.three, id)] == [AAA]


@pytest.mark.rule("R-23", "R-48", "U-47", "U-01", "U-06")
async def test_to_a_party_that_is_away_nothing_is_sent_and_4003_comes_from_the_hub(eight: Eight) -> None:
    id = fresh("L")
    answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id), to=OFF)
    assert (answer.http_status, answer.status_code, pair(answer)) == (200, 4003, ("FR*DUO", "NL*HUB"))
    assert [line for line in eight.away if "versions" not in line] == []


@pytest.mark.rule("R-21", "U-01")
async def test_a_party_nobody_knows_is_4001(eight: Eight) -> None:
    answer = await eight.call(eight.duo, "GET", "tokens", "SENDER", to=PartyId("XX", "YYY"))
    assert (answer.http_status, answer.status_code) == (200, 4001)


@pytest.mark.rule("R-25")
async def test_a_slow_receiver_is_waited_for_by_its_asker_alone(eight: Eight) -> None:
    ids = [fresh("L") for _ in range(2)]
    eight.hold.clear()
    try:
        path = at(DUO, ids[0])
        waiting = eight.call(eight.duo, "PUT", "locations", "RECEIVER", path, location(DUO, ids[0]), to=SLO)
        asked = asyncio.create_task(waiting)
        path = at(DUO, ids[1])
        answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", path, location(DUO, ids[1]), to=AAA)
        assert answer.status_code == 1000
        assert not asked.done()
    finally:
        eight.hold.set()
    assert (await asked).status_code == 1000


@pytest.mark.rule("R-20", "U-02")
async def test_an_answer_of_a_receiver_comes_back_as_it_is(eight: Eight) -> None:
    id = fresh("L")
    eight.raw.script("PUT", "locations", Scripted(http_status=404, status_code=2003, message="never heard of it"))
    try:
        answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id), to=RAW)
    finally:
        eight.raw.unscript("PUT", "locations")
    assert (answer.http_status, answer.status_code, answer.message) == (404, 2003, "never heard of it")


@pytest.mark.rule("R-108", "U-45", "E-12")
async def test_a_custom_module_passes_between_two_that_list_it(eight: Eight) -> None:
    id = fresh("P")
    body = b'[1.10 , {"a":1,"a":2}, 1E2 ]'
    path = f"/any/depth/{id}%2Fx"
    for method in ("PUT", "POST", "PATCH"):
        answer = await eight.call(
            eight.three, method, CUSTOM, "RECEIVER", path, body, to=QUI, sender=BBB, query="q=1&r=%20"
        )
        assert (answer.status_code, pair(answer)) == (1000, ("DE*BBB", "NL*QUI"))
    answer = await eight.call(eight.three, "GET", CUSTOM, "SENDER", f"/{id}", to=QUI, sender=BBB)
    assert (answer.http_status, pair(answer)) == (404, ("DE*BBB", "NL*QUI"))
    seen = got(eight.quiet, id)
    assert [item.method for item in seen] == ["PUT", "POST", "PATCH", "GET"]
    assert [item.body for item in seen] == [body, body, body, b""]
    assert {item.raw_path for item in seen[:3]} == {f"/ocpi/2.2.1/receiver/{CUSTOM}{path}"}
    assert {(item.to, item.sender, item.query) for item in seen[:3]} == {(QUI, BBB, "q=1&r=%20")}
    assert seen[3].raw_path == f"/ocpi/2.2.1/sender/{CUSTOM}/{id}"


@pytest.mark.rule("R-108", "U-45")
async def test_a_custom_module_goes_to_nobody_else(eight: Eight) -> None:
    id = fresh("P")
    url = eight.three.hub_endpoints[CUSTOM, "RECEIVER"]
    eight.duo.hub_endpoints[CUSTOM, "RECEIVER"] = url
    asked = [(eight.three, BBB, NSP), (eight.three, BBB, None), (eight.duo, DUO, QUI), (eight.three, BBB, OFF)]
    codes = []
    for party, sender, to in asked:
        answer = await eight.call(party, "PUT", CUSTOM, "RECEIVER", f"/{id}", b"{}", to=to, sender=sender)
        codes.append((answer.http_status, answer.status_code))
    assert codes == [(200, 4000), (200, 2000), (404, 2001), (200, 4003)]
    unknown = url.replace(CUSTOM, "nlqui-other")
    assert (await eight.three.call("GET", unknown, "no-token")).http_status == 401
    assert [got(platform, id) for platform in eight.here] == [[]] * 7


@pytest.mark.rule("E-12")
async def test_version_details_show_a_custom_module_to_those_alone_that_list_it(eight: Eight) -> None:
    for party in eight.here:
        listed = {module for module, _ in await listed_by_the_hub(eight, party)}
        assert (CUSTOM in listed) == (party in (eight.three, eight.quiet))


async def listed_by_the_hub(eight: Eight, party: Party) -> list[tuple[str, str]]:
    answer = await party.call("GET", f"{eight.hub.url}/ocpi/2.2.1", party.hub_token)
    return [(entry["identifier"], entry["role"]) for entry in Answer.of(answer).data["endpoints"]]
