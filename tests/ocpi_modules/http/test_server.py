"""The door in: what reaches the handler, and how everything else is refused."""

import json

from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from tests.ocpi_modules.http.conftest import PUT, RECEIVER, Recorder, Serving

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
