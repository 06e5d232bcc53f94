"""mod_sessions and mod_cdrs, pushed by a CPO through the hub to the driver's eMSP."""

from typing import Any

import pytest

from hub.settings import MAXIMUM_PUBLIC_URL
from ocpi_modules import headers as names
from ocpi_modules import json
from tests.scenarios.conftest import EMSP, World, cdr, session
from tests.support import objects
from tests.support.party import Party, Scripted

SESSION = "/receiver/sessions/NL/CPO/S1"


async def push(world: World, method: str, body: Any) -> None:
    assert (await world.call(world.cpo, method, SESSION, body, to=EMSP)).status_code == 1000


@pytest.mark.rule("S-09", "S-10", "S-13", "X-49")
async def test_a_patch_adds_its_periods_once_and_is_sent_once(world: World) -> None:
    periods = [objects.charging_period(start_date_time=f"2026-03-01T12:0{number}:00Z") for number in range(4)]
    await push(world, "PUT", session(charging_periods=periods[:1], last_updated="2026-03-01T12:00:00Z"))
    for number in (1, 2):
        patch = {"charging_periods": [periods[number]], "last_updated": f"2026-03-01T12:0{number}:00Z"}
        await push(world, "PATCH", patch)
    await push(world, "PATCH", {"charging_periods": [], "kwh": 7, "last_updated": "2026-03-01T12:05:00Z"})
    [kept] = await world.kept()
    assert (kept["charging_periods"], kept["kwh"]) == (periods[:3], 7)
    assert len(world.emsp.received("PATCH", "sessions")) == 3
    await push(world, "PUT", session(charging_periods=periods[3:], last_updated="2026-03-01T12:06:00Z"))
    assert (await world.kept())[0]["charging_periods"] == periods[3:]
    await push(world, "PUT", session(charging_periods=None, last_updated="2026-03-01T12:07:00Z"))
    assert "charging_periods" not in (await world.kept())[0]


@pytest.mark.rule("S-13", "R-29", "X-25", "X-27")
async def test_a_patch_that_got_no_answer_is_not_sent_again(world: World) -> None:
    world.emsp.script("PATCH", "sessions", Scripted(http_status=503, raw=b"later"))
    patch = {"charging_periods": [objects.charging_period()], "last_updated": "2026-03-01T12:01:00Z"}
    answer = await world.call(world.cpo, "PATCH", SESSION, patch, to=EMSP)
    assert answer.status_code == 4003
    assert len(world.emsp.received("PATCH", "sessions")) == 1


@pytest.mark.rule("G-14", "G-16")
async def test_periods_sent_twice_and_odd_quantities_pass_as_they_are(world: World) -> None:
    period = objects.charging_period(dimensions=[objects.cdr_dimension(volume=41000)])
    await push(world, "PUT", session(charging_periods=[period], last_updated="2026-03-01T12:00:00Z"))
    patch = json.encode({"charging_periods": [period], "last_updated": "2026-03-01T12:01:00Z"})
    await push(world, "PATCH", patch)
    assert world.emsp.received("PATCH", "sessions")[0].body == patch
    assert (await world.kept())[0]["charging_periods"] == [period, period]


@pytest.mark.rule("S-29", "R-45", "R-44", "X-54")
async def test_a_session_goes_to_the_party_it_names_and_to_nobody_else(world: World) -> None:
    async with Party.running(("EMSP", "FR/OTH")) as other:
        await other.register(world.versions_url, await world.invite(("EMSP", "FR/OTH")))
        await push(world, "PUT", session())
        assert len(world.emsp.received("PUT", "sessions")) == 1
        assert other.received("PUT", "sessions") == []
        foreign = await world.call(world.cpo, "PUT", SESSION, session(), to=other.id)
        assert foreign.status_code == 2001
        assert other.received("PUT", "sessions") == []


@pytest.mark.rule("S-28", "R-16", "R-91", "S-06")
async def test_preferences_go_to_the_sender_interface_of_the_cpo(world: World) -> None:
    path = "/sender/sessions/S1/charging_preferences"
    world.cpo.script("PUT", "sessions", Scripted(data="ACCEPTED"))
    body = json.encode(objects.charging_preferences())
    assert (await world.call(world.emsp, "PUT", path, body, to=world.cpo.id)).data == "ACCEPTED"
    [seen] = world.cpo.received("PUT", "sessions")
    assert (seen.raw_path, seen.body, seen.to, seen.sender) == ("/ocpi/2.2.1" + path, body, world.cpo.id, EMSP)


@pytest.mark.rule("G-79", "X-74", "S-27")
@pytest.mark.parametrize("http_status", [200, 404])
async def test_preferences_that_are_not_offered_come_back_in_either_http_status(world: World, http_status: int) -> None:
    world.cpo.script("PUT", "sessions", Scripted(http_status=http_status, status_code=2001))
    path = "/sender/sessions/S1/charging_preferences"
    answer = await world.call(world.emsp, "PUT", path, objects.charging_preferences(), to=world.cpo.id)
    assert (answer.http_status, answer.status_code) == (http_status, 2001)


@pytest.mark.rule("D-01", "D-15", "D-16", "D-18", "G-33", "Y-19", "G-31")
@pytest.mark.parametrize("location", ["absolute", "relative", "missing"])
async def test_a_cdr_is_read_back_at_a_short_url_of_the_hub(world: World, location: str) -> None:
    theirs = {"absolute": f"{world.emsp.url}/ocpi/2.2.1/receiver/cdrs/7", "relative": "7"}.get(location)
    world.emsp.script("POST", "cdrs", Scripted(http_status=201, headers={names.LOCATION: theirs} if theirs else {}))
    answer = await world.call(world.cpo, "POST", "/receiver/cdrs", cdr(), to=EMSP)
    url = answer.headers["location"]
    assert url.startswith(f"{world.url}/ocpi/2.2.1/receiver/cdrs/")
    assert len(url) - len(world.url) + MAXIMUM_PUBLIC_URL <= 255
    world.emsp.script("GET", "cdrs", Scripted(data={"id": "C1"}))
    read = await world.call(world.cpo, "GET", url.removeprefix(f"{world.url}/ocpi/2.2.1"))
    assert read.data["id"] == "C1"
    assert len(world.emsp.received("GET", "cdrs")) == (0 if location == "missing" else 1)
    assert (await world.call(world.cpo, "DELETE", url.removeprefix(f"{world.url}/ocpi/2.2.1"))).http_status == 405


@pytest.mark.rule("D-47", "D-45", "D-46", "R-17", "R-78")
async def test_signed_values_and_public_urls_arrive_byte_for_byte(world: World) -> None:
    signed = objects.signed_data(
        signed_values=[objects.signed_value(plain_data="a\r\n\t b ", signed_data="T1\u0301\u2028==", nature="Start")],
        url="https://verify.example/?q=%2F",
    )
    body = json.encode(cdr(signed_data=signed)).replace(b"verify", b"v\\u0065rify")
    assert (await world.call(world.cpo, "POST", "/receiver/cdrs", body, to=EMSP)).status_code == 1000
    [seen] = world.emsp.received("POST", "cdrs")
    assert seen.body == body


@pytest.mark.rule("G-50", "D-04", "D-08", "D-05")
async def test_a_credit_passes_with_the_signs_its_cpo_gave_it(world: World) -> None:
    assert (await world.call(world.cpo, "POST", "/receiver/cdrs", cdr(), to=EMSP)).status_code == 1000
    price = objects.price(excl_vat=-10, incl_vat=-12)
    credit = cdr(id="C1-C", credit=True, credit_reference_id="C1", total_cost=price)
    answer = await world.call(world.cpo, "POST", "/receiver/cdrs", credit, to=EMSP)
    assert answer.status_code == 1000
    assert world.emsp.received("POST", "cdrs")[1].document["total_cost"]["excl_vat"] == -10
    unknown = cdr(id="C2-C", credit=True, credit_reference_id="C2", total_cost=price)
    assert (await world.call(world.cpo, "POST", "/receiver/cdrs", unknown, to=EMSP)).status_code == 2001


@pytest.mark.rule("G-76", "D-22")
async def test_a_cdr_in_another_currency_than_its_tariff_is_not_converted(world: World) -> None:
    body = json.encode(cdr(currency="SEK", tariffs=[objects.tariff(currency="EUR")]))
    assert (await world.call(world.cpo, "POST", "/receiver/cdrs", body, to=EMSP)).status_code == 1000
    assert world.emsp.received("POST", "cdrs")[0].body == body


@pytest.mark.rule("D-03", "D-33", "G-75")
async def test_a_cdr_needs_no_known_location_and_may_have_the_placeholder_dates(world: World) -> None:
    body = cdr(start_date_time="1970-1-1T00:00:00Z", end_date_time="1970-1-1T00:00:00Z")
    assert (await world.call(world.cpo, "POST", "/receiver/cdrs", body, to=EMSP)).status_code == 1000
