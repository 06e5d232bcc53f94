"""Party to Party via Hub, seen from both sockets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.agreements.policy import DefaultPolicy
from hub.delivery.send import Deadlines
from hub.parties import repository as parties
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.hub.network import CPO, EMSP, Network, Partner, accepted, network, register
from tests.support import objects
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import raw_server

SESSION = "/receiver/sessions/NL/CPO/S1"
HOSTILE = (
    b'{ "kwh" :1.10,"total_cost":{"excl_vat":1E2 , "incl_vat":1.2100e+2},\r\n\t"id":"S1",  "party_id":"CPO","x_unknown":'
    b'{"b":[1.0,-0,2.50],"a":"\\u00e9\\/ \\ud83d\\ude00"},"country_code" : "NL","zzz":null,'
    b'"last_updated":"2026-03-01T12:00:00.000Z"} '
)


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    deadlines = Deadlines(direct=1.0, authorize=0.3)
    async with network(hub_database, deadlines=deadlines) as built:
        yield built


def session(**fields: Any) -> bytes:
    token = objects.cdr_token(country_code="DE", party_id="MSP")
    return json.encode(
        objects.session(**{"country_code": "NL", "party_id": "CPO", "id": "S1", "cdr_token": token} | fields)
    )


@pytest.mark.rule("R-11", "R-15", "R-17", "R-18", "X-88", "X-89", "X-90", "R-14")
async def test_a_push_arrives_byte_for_byte_with_the_receivers_token_and_a_new_request_id(net: Network) -> None:
    answer = await net.call(net.cpo, "PUT", SESSION + "?a=%2F&b=+x", HOSTILE, to=EMSP)
    seen = net.emsp.seen[0]
    assert hashlib.sha256(seen.body).digest() == hashlib.sha256(HOSTILE).digest()
    assert (seen.method, seen.target) == ("PUT", "/msp/receiver/v/sessions/NL/CPO/S1?a=%2F&b=+x")
    assert seen.routing == ("DE*MSP", "NL*CPO")
    assert seen.headers["authorization"] == f"Token {_base64(net.emsp.token_of_ours)}"
    assert seen.headers["x-request-id"] not in ("", "req-1")
    assert seen.headers["x-correlation-id"] == "corr-1"
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("req-1", "corr-1")


@pytest.mark.rule("R-12", "R-13")
async def test_the_answer_comes_back_byte_for_byte_and_says_who_answered(net: Network) -> None:
    body = b'{"status_code":1000 ,"data":{"x":1.10,"y":1E2},"timestamp":"2026-01-01T00:00:00Z","extra":null}'
    net.emsp.answer = lambda seen: (201, {"OCPI-from-party-id": "XXX", "OCPI-from-country-code": "XX"}, body)
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.body) == (201, body)
    assert answer.routing == ("NL*CPO", "DE*MSP")


@pytest.mark.rule("R-17")
@pytest.mark.parametrize("body", [b"null", b"[]"])
async def test_a_body_that_says_nothing_passes_where_none_is_needed(net: Network, body: bytes) -> None:
    """As stacks write an object that is not there (Jackson) or that is empty (PHP)."""
    for method, path in (
        ("POST", "/sender/tokens/T1/authorize"),
        ("DELETE", "/receiver/tariffs/NL/CPO/T1"),
        ("GET", "/receiver/tariffs/NL/CPO/T1"),
    ):
        answer = await net.call(net.cpo, method, path, body, to=EMSP)
        assert (answer.status_code, net.emsp.seen[-1].method, net.emsp.seen[-1].body) == (1000, method, body)
    refused = await net.call(net.cpo, "PUT", SESSION, body, to=EMSP)
    assert (refused.status_code, refused.message) == (2001, "The body must be one JSON object.")


@pytest.mark.rule("R-19", "R-20", "X-81", "U-02")
@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [
        (200, 2001, 200),
        (200, 2003, 200),
        (202, 3000, 202),
        (404, 2004, 404),
        (405, 2000, 405),
        (400, 2001, 200),
        (422, 2002, 200),
        (500, 3001, 200),
        (503, 3000, 200),
    ],
)
async def test_a_refusal_of_the_receiver_comes_back_as_its_own(
    net: Network, status: int, code: int, shown: int
) -> None:
    body = b'{"status_code":%d,"status_message":"their words","timestamp":"2026-01-01T00:00:00Z"}' % code
    net.emsp.answer = lambda seen: (status, {}, body)
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.body) == (shown, body)
    assert answer.routing == ("NL*CPO", "DE*MSP")
    assert len(net.emsp.seen) == 1


ENVELOPE = b'{"status_code":2000,"timestamp":"2026-01-01T00:00:00Z"}'


@pytest.mark.rule("R-20", "R-24", "R-26", "X-82", "F-23", "G-27")
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, ENVELOPE, 4000),
        (403, b"", 4000),
        (500, b"<b>Internal</b>", 4000),
        (422, b'{"detail":[{"type":"missing"}]}', 4000),
        (200, b"not json", 4000),
        (200, b"", 4000),
        (404, b"<html>", 4000),
        (302, ENVELOPE, 4000),
        (502, b"bad gateway", 4003),
        (503, b"", 4003),
        (504, b"<html>", 4003),
    ],
)
async def test_what_is_no_answer_of_ocpi_is_an_error_of_the_hub(
    net: Network, status: int, body: bytes, code: int
) -> None:
    net.emsp.answer = lambda seen: (status, {"WWW-Authenticate": "x"}, body)
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.status_code) == (200, code)
    assert answer.routing == ("NL*CPO", "NL*HUB")
    assert "<" not in answer.message
    assert "www-authenticate" not in answer.headers
    assert len(net.emsp.seen) == 1


@pytest.mark.rule("F-23", "U-36")
@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (429, b"slow down", 4000, "takes no more for now (HTTP 429); send it again after 7 s."),
        (503, b"", 4003, "HTTP 503; send it again after 7 s."),
        (429, ENVELOPE, 2000, None),
        (503, ENVELOPE, 2000, None),
    ],
)
async def test_a_receiver_that_has_too_much_says_when_to_come_again(
    net: Network, status: int, body: bytes, code: int, says: str | None
) -> None:
    net.emsp.answer = lambda seen: (status, {"Retry-After": "7"}, body)
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.status_code, answer.headers["retry-after"]) == (200, code, "7")
    assert (answer.message if says else answer.body).endswith(says or body)  # type: ignore[arg-type]
    assert len(net.emsp.seen) == 1
    net.emsp.answer = lambda seen: (status, {"Retry-After": "soon"}, body)
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.status_code, "retry-after" in answer.headers) == (code, False)


@pytest.mark.rule("R-22", "R-25", "R-29", "K-34", "K-31")
async def test_a_receiver_that_does_not_answer_in_time_is_4002_and_asked_once(net: Network) -> None:
    async def silence(seen: Any) -> None:
        await asyncio.sleep(5)

    net.emsp.answer = silence
    answer = await net.call(net.cpo, "POST", "/sender/tokens/T1/authorize", to=EMSP)
    assert (answer.http_status, answer.status_code) == (200, 4002)
    assert "0.3 seconds" in answer.message
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert answer.status_code == 4002
    assert len(net.emsp.seen) == 2
    assert net.reached == []


@pytest.mark.rule("R-23", "R-29")
async def test_a_receiver_that_hangs_up_is_4003_and_asked_once(net: Network) -> None:
    net.emsp.answer = lambda seen: None
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.status_code) == (200, 4003)
    assert len(net.emsp.seen) == 1
    assert net.reached == [("MSP", False)]


async def test_a_request_the_hub_cannot_send_does_not_make_the_receiver_seem_away(net: Network) -> None:
    answer = await net.call(net.cpo, "PUT", f"{SESSION}?x={'y' * 4000}", session(), to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 4000, [])
    assert "longer than" in answer.message
    assert net.reached == []


async def change(net: Network, work: Any) -> None:
    async with net.database.transaction() as connection:
        await work(connection)
        await parties.touch(connection, net.emsp.platform_id)
    await net.directory.refresh()


@pytest.mark.rule("R-23", "U-47")
async def test_a_receiver_that_is_offline_is_4003_without_an_attempt(net: Network) -> None:
    await change(net, lambda connection: parties.set_connection(connection, net.emsp.platform_id, "OFFLINE"))
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 4003, [])


@pytest.mark.rule("R-23")
async def test_a_suspended_receiver_is_4003(net: Network) -> None:
    await change(net, lambda connection: parties.set_state(connection, net.emsp.platform_id, "SUSPENDED"))
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 4003, [])


@pytest.mark.rule("R-27", "U-04")
async def test_a_receiver_without_the_module_is_4000_and_says_so(net: Network) -> None:
    await change(net, lambda connection: parties.drop_endpoints(connection, net.emsp.platform_id))
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    assert (answer.http_status, answer.status_code) == (200, 4000)
    assert "sessions" in answer.message


@pytest.mark.rule("R-21", "R-24")
async def test_an_unknown_receiver_is_4001(net: Network) -> None:
    answer = await net.call(net.cpo, "PUT", SESSION, session(), to=PartyId("FR", "XXX"))
    assert (answer.http_status, answer.status_code) == (200, 4001)
    assert answer.routing == ("NL*CPO", "NL*HUB")


@pytest.mark.rule("R-28", "U-05", "R-21")
async def test_a_party_without_an_agreement_looks_like_an_unknown_one(hub_database: FreshDatabase) -> None:
    async with network(hub_database, policy=DefaultPolicy.agreement) as net:
        answer = await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
        assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 4001, [])
        unknown = await net.call(net.cpo, "PUT", SESSION, session(), to=PartyId("FR", "XXX"))
        assert unknown.message.replace("FR*XXX", "DE*MSP") == answer.message
        for nobody in (EMSP, PartyId("FR", "XXX")):  # what its role does not call it is told alike
            assert (await net.call(net.cpo, "GET", "/sender/locations", to=nobody)).status_code == 2000
        net.policy.replace({frozenset((CPO, EMSP)): frozenset()})
        assert (await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)).status_code == 1000


@pytest.mark.rule("X-55", "X-56", "U-26")
@pytest.mark.promise("S-11", "S-16", "S-19")
@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("PUT", "/receiver/sessions/DE/MSP/S1", session(), "URL"),
        ("PUT", "/receiver/sessions/NL/ABC/S1", session(party_id="ABC"), "URL"),
        ("PUT", SESSION, session(party_id="ABC"), "party_id"),
        ("PUT", SESSION, session(country_code="BE"), "country_code"),
        ("PUT", SESSION, session(id="S2"), "`id`"),
        ("PATCH", SESSION, b'{"id":"S2","last_updated":"2026-01-01T00:00:00Z"}', "`id`"),
        ("PATCH", SESSION, b'{"party_id":"ABC","last_updated":"2026-01-01T00:00:00Z"}', "party_id"),
        ("PUT", SESSION, session(cdr_token=objects.cdr_token(country_code="DE", party_id="OTH")), "cdr_token"),
        ("PUT", SESSION, b"[1]", "JSON object"),
        ("PUT", "/receiver/locations/NL/CPO/L1/E1", json.encode(objects.evse(uid="E2")), "`uid`"),
        ("PUT", "/receiver/locations/NL/CPO/L1/E1/1", json.encode(objects.connector(id="2")), "`id`"),
        ("GET", "/receiver/sessions/DE/MSP/S1", b"", "URL"),
    ],
)
async def test_what_the_sender_does_not_own_goes_nowhere(
    net: Network, method: str, path: str, body: bytes, named: str
) -> None:
    answer = await net.call(net.cpo, method, path, body, to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (200, 2001, [])
    assert named in answer.message


async def test_ids_are_compared_without_case(net: Network) -> None:
    body = session(id="s1", country_code="nl", party_id="cpo")
    assert (await net.call(net.cpo, "PUT", "/receiver/sessions/nl/cpo/S1", body, to=EMSP)).status_code == 1000
    assert net.emsp.seen[0].target.endswith("/nl/cpo/S1")


@pytest.mark.rule("R-83", "R-07")
async def test_a_role_calls_only_what_belongs_to_it(net: Network) -> None:
    answer = await net.call(net.emsp, "PUT", "/receiver/sessions/DE/MSP/S1", session(), to=CPO)
    assert (answer.http_status, answer.status_code, net.cpo.seen) == (200, 2000, [])
    assert "EMSP" in answer.message
    spoofed = {"OCPI-from-party-id": "CPO", "OCPI-from-country-code": "NL"}
    answer = await net.call(net.emsp, "PUT", SESSION, session(), to=CPO, headers=spoofed)
    assert (answer.status_code, net.cpo.seen) == (2001, [])


@pytest.mark.rule("X-68", "F-34", "F-37")
@pytest.mark.parametrize("body", [b"", b"{", b'{"id":"a","id":"b"}', b'{"a":NaN}', b'{"a":"\\u0000"}'])
async def test_a_body_that_is_not_json_is_400(net: Network, body: bytes) -> None:
    answer = await net.call(net.cpo, "PUT", SESSION, body, to=EMSP)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (400, 2001, [])


@pytest.mark.rule("U-25")
async def test_an_odd_object_passes_flagged_and_is_not_kept(net: Network) -> None:
    await net.call(net.cpo, "PUT", SESSION, session(), to=EMSP)
    answer = await net.call(net.cpo, "PUT", SESSION, session(currency="euros"), to=EMSP)
    assert (answer.status_code, len(net.emsp.seen)) == (1000, 2)
    assert "currency" in " ".join((await net.traced())[-1]["flags"])
    kept = await net.rows("SELECT version, stale, body FROM kept_object")
    assert [(row["version"], row["stale"], row["body"]) for row in kept] == [(1, True, session())]


@pytest.mark.rule("U-25")
async def test_a_strict_platform_gets_no_odd_object(net: Network) -> None:
    await change(net, lambda connection: parties.set_switches(connection, net.emsp.platform_id, {"strict": True}))
    answer = await net.call(net.cpo, "PUT", SESSION, session(currency="euros"), to=EMSP)
    assert (answer.status_code, net.emsp.seen) == (2001, [])
    assert "currency" in answer.message


@pytest.mark.rule("R-84", "R-85")
async def test_a_trace_tells_both_legs_and_no_secret(net: Network) -> None:
    await net.call(net.cpo, "POST", "/sender/tokens/SECRETUID/authorize", to=EMSP)
    (line,) = await net.traced()
    assert (line["request_id"], line["correlation_id"]) == ("req-1", "corr-1")
    assert line["forwarded_request_id"] == net.emsp.seen[0].headers["x-request-id"]
    assert (line["sender"], line["receiver"], line["status_code"]) == ("NL*CPO", "DE*MSP", 1000)
    assert not any(word in str(line) for word in ("SECRETUID", net.emsp.token_of_ours, net.cpo.token_for_us))


@pytest.mark.rule("K-33", "X-73", "R-99")
async def test_an_unknown_token_at_authorize_comes_back_as_404_and_2004(net: Network) -> None:
    body = b'{"status_code":2004,"status_message":"Unknown Token","timestamp":"2026-01-01T00:00:00Z"}'
    net.emsp.answer = lambda seen: (404, {}, body)
    answer = await net.call(net.cpo, "POST", "/sender/tokens/T1/authorize?type=RFID", to=EMSP)
    assert (answer.http_status, answer.body) == (404, body)
    assert net.emsp.seen[0].target == "/msp/sender/v/tokens/T1/authorize?type=RFID"


@pytest.mark.rule("R-68", "R-69", "R-70", "X-23")
async def test_a_list_is_crawled_through_the_hub(net: Network) -> None:
    def pages(seen: Any) -> tuple[int, dict[str, str], bytes]:
        first = "offset" not in seen.target
        link = f'<{net.emsp.endpoint("tokens", "SENDER")}?offset=1&limit=1&date_from=2026-01-01T00:00:00Z>; rel="next"'
        counts = {"X-Total-Count": "2", "X-Limit": "1"}
        return accepted([1 if first else 2], headers=counts | ({"Link": link} if first else {}))

    net.emsp.answer = pages
    first = await net.call(net.cpo, "GET", "/sender/tokens?date_from=2026-01-01T00:00:00Z", to=EMSP)
    assert (first.headers["x-total-count"], first.headers["x-limit"]) == ("2", "1")
    url = first.headers["link"].split("<")[1].split(">")[0]
    assert url.startswith(f"{net.public_url}/ocpi/2.2.1/sender/tokens?offset=1&limit=1&date_from=2026-01-01T00:00:00Z")
    second = await net.call(net.cpo, "GET", url, to=None)
    assert second.document["data"] == [2]
    assert "link" not in second.headers
    assert net.emsp.seen[1].target == "/msp/sender/v/tokens?offset=1&limit=1&date_from=2026-01-01T00:00:00Z"


@pytest.mark.rule("R-69", "R-71")
async def test_a_link_without_offset_waits_behind_a_ticket_of_the_asker(net: Network) -> None:
    opaque = f"{net.emsp.endpoint('tokens', 'SENDER')}/page/77?c=%2F"
    net.emsp.answer = lambda seen: accepted(
        [], headers={} if "page" in seen.target else {"Link": f'<{opaque}>; rel="next"'}
    )
    first = await net.call(net.cpo, "GET", "/sender/tokens", to=EMSP)
    url = first.headers["link"].split("<")[1].split(">")[0]
    assert "page" not in url
    theirs, unknown = await net.call(net.emsp, "GET", url), await net.call(net.emsp, "GET", f"{url}x")
    assert (theirs.http_status, theirs.message) == (unknown.http_status, unknown.message)
    assert theirs.http_status == 404
    assert (await net.call(net.cpo, "GET", url)).status_code == 1000
    assert net.emsp.seen[-1].target == "/msp/sender/v/tokens/page/77?c=%2F"


@pytest.mark.rule("R-91", "R-16")
@pytest.mark.promise("S-28")
async def test_charging_preferences_go_to_the_senders_interface_of_the_cpo(net: Network) -> None:
    net.cpo.answer = lambda seen: accepted("ACCEPTED")
    body = b'{ "profile_type":"GREEN", "energy_need":11.50 }'
    answer = await net.call(net.emsp, "PUT", "/sender/sessions/S%2F1/charging_preferences", body, to=CPO)
    assert answer.document["data"] == "ACCEPTED"
    seen = net.cpo.seen[0]
    assert (seen.target, seen.body) == ("/cpo/sender/v/sessions/S%2F1/charging_preferences", body)
    assert seen.routing == ("NL*CPO", "DE*MSP")


@pytest.mark.rule("P-07", "R-106", "P-23")
async def test_an_active_charging_profile_goes_to_the_party_that_is_named(net: Network) -> None:
    body = json.encode(objects.active_charging_profile())
    assert (await net.call(net.cpo, "PUT", "/sender/chargingprofiles/S1", body, to=EMSP)).status_code == 1000
    assert (net.emsp.seen[0].target, net.emsp.seen[0].body) == ("/msp/sender/v/chargingprofiles/S1", body)


@pytest.mark.rule("R-92")
async def test_an_scsp_gets_sessions_of_other_parties_drivers(net: Network) -> None:
    scsp = Partner(PartyId("BE", "SCP"), "SCSP")
    async with raw_server(scsp.behave) as scsp.port:
        await register(net.database, net.keys, scsp)
        answer = await net.call(net.cpo, "PUT", SESSION, session(), to=scsp.party)
        assert (answer.status_code, len(scsp.seen)) == (1000, 1)


@pytest.mark.rule("R-68")
async def test_page_headers_that_are_no_numbers_do_not_pass(net: Network) -> None:
    net.emsp.answer = lambda seen: accepted([], headers={"X-Total-Count": "many", "X-Limit": "7", "Set-Cookie": "a=b"})
    answer = await net.call(net.cpo, "GET", "/sender/tokens", to=EMSP)
    assert (answer.headers.get("x-total-count"), answer.headers["x-limit"]) == (None, "7")
    assert "set-cookie" not in answer.headers


@pytest.mark.rule("R-71")
async def test_a_link_to_a_third_host_is_an_error_and_not_the_end_of_the_list(net: Network) -> None:
    net.emsp.answer = lambda seen: accepted([], headers={"Link": '<http://evil.example/page/2>; rel="next"'})
    answer = await net.call(net.cpo, "GET", "/sender/tokens", to=EMSP)
    assert (answer.http_status, answer.status_code) == (200, 4000)


@pytest.mark.rule("R-30", "R-31", "R-32")
async def test_two_parties_of_one_platform_reach_each_other_through_the_hub(net: Network) -> None:
    both = Partner(PartyId("FR", "ONE"), "CPO")
    async with raw_server(both.behave) as both.port:
        await register(net.database, net.keys, both, parties_of=[(both.party, "CPO"), (PartyId("FR", "TWO"), "EMSP")])
        body = session(
            country_code="FR", party_id="ONE", cdr_token=objects.cdr_token(country_code="FR", party_id="TWO")
        )
        answer = await net.call(both, "PUT", "/receiver/sessions/FR/ONE/S1", body, to=PartyId("FR", "TWO"))
        assert answer.status_code == 1000
        assert both.seen[0].routing == ("FR*TWO", "FR*ONE")


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()
