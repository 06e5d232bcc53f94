"""The door in: what reaches the handler, and how everything else is refused."""

import json
from uuid import UUID

import pytest

from ocpi_modules import envelope
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.http.server import details_url, endpoint_urls, versions_url
from ocpi_modules.message import OcpiResponse, PartyId
from ocpi_modules.spec import ModuleID
from ocpi_modules.status import NotAuthenticated
from tests.ocpi_modules.http.conftest import MODULES, NOW, PUT, RECEIVER, SENDER, Recorder, Serving
from tests.support.raw_http import connected

LOCATION = "/ocpi/2.2.1/receiver/locations/NL/TNM/LOC1"


async def ask(url: str, method: str = "GET", path: str = "", body: bytes = b"", **headers: str) -> IncomingAnswer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with OcpiClient(allow_insecure=True) as client:
        return await client.send(OutgoingRequest(method, url + path, sent, body), 5)


def status_code(answer: IncomingAnswer) -> int:
    return int(json.loads(answer.body)["status_code"])


async def test_a_put_reaches_the_handler_with_its_bytes_unchanged(serving: Serving, recorder: Recorder) -> None:
    body = b'{ "b" : 1.10,"a":1E2, "x":"\\u00e9" }'
    async with serving() as listening:
        answer = await ask(
            listening.url,
            "PUT",
            "/ocpi/2.2.1/receiver/locations/NL/TNM/BE%2FA%2A1%20%2B?x=%31&x=2",
            body,
            authorization="Token abc",
            x_request_id="r-1",
            x_correlation_id="c-1",
            ocpi_to_party_id="abc",
            ocpi_to_country_code="de",
        )
    request = recorder.last
    assert (answer.http_status, status_code(answer)) == (200, 1000)
    assert (request.method, request.module, request.interface) == (PUT, ModuleID.locations, RECEIVER)
    assert request.body == body
    assert (request.path, request.query) == ("/NL/TNM/BE%2FA%2A1%20%2B", "x=%31&x=2")
    assert request.variables == {"country_code": "NL", "party_id": "TNM", "location_id": "BE/A*1 +"}
    assert request.params == {"x": "1"}
    assert (request.to, request.sender) == (PartyId("DE", "ABC"), None)
    assert (request.request_id, request.correlation_id, request.authorization) == ("r-1", "c-1", "Token abc")
    assert request.client_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "path", "module", "suffix", "variables"),
    [
        ("GET", "/versions", "versions", "/versions", {}),
        ("GET", "/versions/", "versions", "/versions", {}),
        ("GET", "/2.2.1", "versions", "/2.2.1", {"version": "2.2.1"}),
        ("DELETE", "/2.2.1/credentials", "credentials", "", {}),
        ("GET", "/2.2.1/sender/locations/", "locations", "", {}),
        ("POST", "/2.2.1/sender/tokens/a%2520b/authorize", "tokens", "/a%2520b/authorize", {"token_uid": "a%20b"}),
        ("PUT", "/2.2.1/sender/chargingprofiles/S1", "chargingprofiles", "/S1", {"session_id": "S1"}),
        ("POST", "/2.2.1/sender/chargingprofiles/abc", "chargingprofiles", "/abc", {"ticket": "abc"}),
        ("GET", "/2.2.1/receiver/cdrs/any/thing", "cdrs", "/any/thing", {}),
        ("GET", "/2.2.1/receiver/locations/NL/TNM/LOC1/", "locations", "/NL/TNM/LOC1", None),
    ],
)
@pytest.mark.rule("X-101", "X-102", "E-02")
async def test_every_path_of_the_tables_is_found_with_and_without_a_slash_at_its_end(
    serving: Serving,
    recorder: Recorder,
    method: str,
    path: str,
    module: str,
    suffix: str,
    variables: dict[str, str] | None,
) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, method, "/ocpi" + path)
    assert answer.http_status == 200
    assert (recorder.last.module, recorder.last.path, recorder.last.method) == (module, suffix, method)
    assert variables is None or recorder.last.variables == variables


@pytest.mark.parametrize(
    "path",
    [
        "/ocpi",
        "/ocpi/",
        "/ocpi/9.9",
        "/ocpi/2.2.1/locations",
        "/ocpi/2.2.1/sender/bananas",
        "/ocpi/2.2.1/receiver/tokens",
        "/ocpi/2.2.1/sender/locations/a/b/c/d",
        "/ocpi//2.2.1/sender/locations",
        "/ocpi/2.2.1/sender/locations/..",
        "/ocpi/2.2.1/sender/locations/%2e%2e",
        "/ocpi/2.2.1/receiver/locations/NL//LOC1",
        "/ocpi/2.2.1/sender/locations//",
        "/ocpi/2.2.1/sender/locations/a%00b",
        "/ocpi/2.2.1/sender/locations/%ff",
    ],
)
@pytest.mark.rule("X-70", "X-65", "X-66", "X-92")
async def test_a_path_that_is_not_offered_is_404_in_an_envelope(
    serving: Serving, recorder: Recorder, path: str
) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, "GET", path, x_request_id="r-404", x_correlation_id="c-404")
    assert (answer.http_status, status_code(answer)) == (404, 2001)
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r-404", "c-404")
    assert recorder.requests == []


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "HEAD", "POST"])
@pytest.mark.rule("X-18", "X-75")
async def test_a_method_that_is_not_offered_is_405_and_names_those_that_are(serving: Serving, method: str) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, method, LOCATION)
    assert (answer.http_status, answer.headers["allow"]) == (405, "GET, PUT, PATCH")
    assert method == "HEAD" or status_code(answer) == 2000


async def test_a_path_over_2_kb_is_414(serving: Serving) -> None:
    async with serving() as listening, OcpiClient(allow_insecure=True) as client:
        assert len(listening.url) < 100
        answer = await client.send(OutgoingRequest("GET", f"{listening.url}/ocpi/2.2.1/sender/tokens?{'x' * 1900}"), 5)
        assert answer.http_status == 200
        async with connected(listening.port) as raw:
            await raw.send(b"GET /ocpi/2.2.1/sender/locations/" + b"x" * 2100 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await raw.answer())[0] == 414


async def test_paths_outside_ocpi_belong_to_the_wrapped_application(serving: Serving, recorder: Recorder) -> None:
    async with serving() as listening:
        for path in ("/health", "/ocpis/versions", "/"):
            assert (await ask(listening.url, "GET", path)).body == b"wrapped " + path.encode()
    assert recorder.requests == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;odata=verbose"]
)
@pytest.mark.rule("X-15", "X-17")
async def test_json_bodies_are_taken_with_any_parameter(
    serving: Serving, recorder: Recorder, content_type: str
) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, "PUT", LOCATION, b"{}", content_type=content_type)
    assert answer.http_status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/jsonp"},
        {"content_type": "application/json; charset=utf-16"},
        {"content_type": ""},
        {"content_type": "application/json", "content_encoding": "gzip"},
    ],
)
async def test_other_bodies_are_415(serving: Serving, recorder: Recorder, headers: dict[str, str]) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, "PUT", LOCATION, b"{}", **headers)
    assert (answer.http_status, status_code(answer)) == (415, 2000)
    assert recorder.requests == []


@pytest.mark.rule("X-16")
async def test_no_content_type_is_needed_without_a_body(serving: Serving) -> None:
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(b"DELETE /ocpi/2.2.1/credentials HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.answer())[0] == 200
        await raw.send(b"DELETE /ocpi/2.2.1/credentials HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await raw.answer())[0] == 200


async def test_a_body_over_its_limit_is_413_and_locations_have_a_limit_of_their_own(
    serving: Serving, recorder: Recorder
) -> None:
    credentials = "/ocpi/2.2.1/credentials"
    async with serving(body_limit=1000, locations_body_limit=2000) as listening:
        assert (await ask(listening.url, "POST", credentials, b" " * 1000)).http_status == 200
        assert (await ask(listening.url, "POST", credentials, b" " * 1001)).http_status == 413
        assert (await ask(listening.url, "PUT", LOCATION, b" " * 2000)).http_status == 200
        answer = await ask(listening.url, "PUT", LOCATION, b" " * 2001, x_request_id="big")
    assert (answer.http_status, status_code(answer), answer.headers["x-request-id"]) == (413, 2000, "big")
    assert len(recorder.requests) == 2


async def test_a_chunked_body_is_cut_at_the_limit_and_whole_below_it(serving: Serving, recorder: Recorder) -> None:
    head = b"POST /ocpi/2.2.1/credentials HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    async with serving(body_limit=1000) as listening:
        async with connected(listening.port) as raw:
            await raw.send(head + b"3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n")
            assert (await raw.answer())[0] == 200
            assert recorder.last.body == b"[1,2]"
            await raw.send(head + (b"100\r\n" + b" " * 256 + b"\r\n") * 4)
            assert (await raw.answer())[0] == 413
            assert await raw.rest() == b""


@pytest.mark.parametrize(
    "name",
    ["Authorization", "X-Request-ID", "X-Correlation-ID", "OCPI-to-party-id", "OCPI-from-country-code", "Content-Type"],
)
@pytest.mark.rule("X-22")
async def test_a_header_that_names_who_or_where_must_not_stand_twice(
    serving: Serving, recorder: Recorder, name: str
) -> None:
    lines = f"{name}: a\r\n{name.swapcase()}: b\r\n".encode()
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
        status, _, body = await raw.answer()
    assert (status, json.loads(body)["status_code"]) == (400, 2001)
    assert name.lower() in json.loads(body)["status_message"]
    assert recorder.requests == []


@pytest.mark.parametrize("value", ["x" * 65, "a b", "caf\xe9"])
async def test_a_message_id_of_other_characters_is_400_and_not_echoed(
    serving: Serving, recorder: Recorder, value: str
) -> None:
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(f"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nX-Request-ID: {value}\r\n\r\n".encode("latin-1"))
        status, headers, _ = await raw.answer()
    assert status == 400
    assert value not in headers["x-request-id"]
    assert recorder.requests == []


@pytest.mark.rule("X-85", "X-86", "X-87", "X-93")
async def test_missing_message_ids_are_made_up_and_told(serving: Serving, recorder: Recorder) -> None:
    async with serving() as listening:
        answers = [await ask(listening.url, "GET", "/ocpi/versions") for _ in range(2)]
    ids = [request.request_id for request in recorder.requests]
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    assert [answer.headers["x-correlation-id"] for answer in answers] == [r.correlation_id for r in recorder.requests]
    assert len({UUID(text) for text in ids}) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"ocpi_to_party_id": "ABC"},
        {"ocpi_from_country_code": "NL"},
        {"ocpi_to_party_id": "ABCD", "ocpi_to_country_code": "NL"},
        {"ocpi_to_party_id": "ABC", "ocpi_to_country_code": "NLD"},
    ],
)
@pytest.mark.rule("R-08", "R-03")
async def test_half_or_bad_routing_headers_are_2001(
    serving: Serving, recorder: Recorder, headers: dict[str, str]
) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, "GET", "/ocpi/2.2.1/sender/locations", b"", **headers)
    assert (answer.http_status, status_code(answer)) == (200, 2001)
    assert recorder.requests == []


@pytest.mark.rule("R-02")
async def test_configuration_modules_take_no_notice_of_routing_headers(serving: Serving, recorder: Recorder) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, "GET", "/ocpi/versions", ocpi_to_party_id="ABC")
    assert (answer.http_status, recorder.last.to) == (200, None)


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("date_from=2020-01-01T00:00:00+02:00&limit=5", {"date_from": "2020-01-01T00:00:00+02:00", "limit": "5"}),
        ("date_to=2020-01-01T00%3A00%3A00%2B02%3A00", {"date_to": "2020-01-01T00:00:00+02:00"}),
        ("limit=1&limit=2", {"limit": "1"}),
        ("a=x+y%20z&b", {"a": "x y z", "b": ""}),
        (
            "duration=900&response_url=https://emsp.example/p?x=1&y=%2F",
            {"duration": "900", "response_url": "https://emsp.example/p?x=1&y=%2F"},
        ),
        (
            "response_url=https%3A%2F%2Femsp.example%2Fp%3Fx%3D1%26y%3D%252F&duration=900",
            {"response_url": "https://emsp.example/p?x=1&y=%2F", "duration": "900"},
        ),
    ],
)
@pytest.mark.rule("P-22", "G-10")
async def test_the_query_is_decoded_once_and_its_bytes_are_kept(
    serving: Serving, recorder: Recorder, query: str, params: dict[str, str]
) -> None:
    async with serving() as listening:
        await ask(listening.url, "GET", f"/ocpi/2.2.1/receiver/chargingprofiles/S1?{query}")
    assert recorder.last.query == query
    assert recorder.last.params == params


async def test_a_refusal_of_the_handler_keeps_its_status_code_and_headers(serving: Serving, recorder: Recorder) -> None:
    def refuse(request: object) -> OcpiResponse:
        raise NotAuthenticated("Who are you?", headers={"Retry-After": "7"})

    recorder.answer = refuse
    async with serving() as listening:
        answer = await ask(listening.url, "PUT", LOCATION, b"this is not json", x_request_id="r", x_correlation_id="c")
    assert (answer.http_status, status_code(answer), answer.headers["retry-after"]) == (401, 2000, "7")
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("r", "c")


@pytest.mark.rule("X-68")
async def test_a_body_is_parsed_by_the_handler_only_and_bad_json_is_400(serving: Serving, recorder: Recorder) -> None:
    recorder.answer = lambda request: envelope.success(request.document, now=NOW)
    async with serving() as listening:
        answer = await ask(listening.url, "PUT", LOCATION, b'{"a":1,"a":2}')
    assert (answer.http_status, status_code(answer)) == (400, 2001)


async def test_a_crash_is_told_to_the_operator_and_not_to_the_partner(serving: Serving, recorder: Recorder) -> None:
    def crash(request: object) -> OcpiResponse:
        raise KeyError("secret detail")

    recorder.answer = crash
    async with serving() as listening:
        answer = await ask(listening.url, "GET", "/ocpi/versions", x_request_id="r")
    assert (answer.http_status, status_code(answer), answer.headers["x-request-id"]) == (500, 3000, "r")
    assert b"secret" not in answer.body
    assert [type(error) for error in recorder.crashes] == [KeyError]


@pytest.mark.parametrize("value", ["https://x/\r\nSet-Cookie: a=b", "a\x00", "\u20ac"])
async def test_a_response_header_that_would_break_the_answer_is_not_sent(
    serving: Serving, recorder: Recorder, value: str
) -> None:
    recorder.answer = lambda request: envelope.success(now=NOW, headers={"Location": value})
    async with serving() as listening:
        answer = await ask(listening.url, "GET", "/ocpi/versions")
    assert (answer.http_status, status_code(answer)) == (500, 3000)
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.rule("E-04", "E-08", "E-11", "E-17", "X-98", "X-99")
async def test_every_url_of_the_documents_is_one_the_dispatcher_knows(serving: Serving, recorder: Recorder) -> None:
    offered = [(module, role) for module in MODULES for role in (SENDER, RECEIVER)]
    async with serving() as listening:
        endpoints = endpoint_urls(listening.url + "/", MODULES, offered)
        assert versions_url(listening.url) == f"{listening.url}/ocpi/versions"
        assert details_url(listening.url) == f"{listening.url}/ocpi/2.2.1"
        for endpoint in endpoints:
            assert endpoint["url"].startswith(f"{listening.url}/ocpi/2.2.1/")
        lists = [
            end["url"] for end in endpoints if end["role"] == "SENDER" and end["identifier"] in ("locations", "tokens")
        ]
        for url in lists:
            assert (await ask(url)).http_status == 200
    assert [end["role"] for end in endpoints if end["identifier"] == "credentials"] == ["SENDER"]
    assert len(lists) == 2


@pytest.mark.parametrize("query", ["type=%00", "hub_link=a%00b", "%00=x", "date_from=%00"])
async def test_a_nul_in_the_query_is_refused(serving: Serving, recorder: Recorder, query: str) -> None:
    async with serving() as listening:
        answer = await ask(listening.url, "GET", f"/ocpi/2.2.1/receiver/chargingprofiles/S1?{query}")
    assert (answer.http_status, status_code(answer)) == (200, 2001)
    assert recorder.requests == []
