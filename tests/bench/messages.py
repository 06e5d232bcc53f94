"""The two PUTs of B-1 to B-3 and the answers to them."""

from collections.abc import Callable
from dataclasses import dataclass

from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.message import PartyId
from tests.support import objects

CPO, EMSP = PartyId("NL", "CPO"), PartyId("DE", "MSP")
_TAIL = b'"status_code":1000,"status_message":"Success","timestamp":"2026-03-01T12:30:00Z"}'


@dataclass(frozen=True)
class Message:
    """`path` is that of the hub's URL, below the version; the routed PUT goes to the same module at the receiver."""

    path: str
    to: PartyId
    sender: PartyId
    body: bytes

    def requests(self, token: str) -> Callable[[int], bytes]:
        """The bytes of the nth request to a hub; every request has an id of its own."""
        routing = names.routing_headers(to=self.to, sender=self.sender)
        lines = [
            f"PUT /ocpi/2.2.1{self.path} HTTP/1.1",
            "Host: hub.example",
            f"Authorization: {names.authorization(token)}",
            *(f"{name}: {value}" for name, value in routing.items()),
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        ]
        head = "\r\n".join(lines).encode()
        tail = b"\r\n\r\n" + self.body

        def request(number: int) -> bytes:
            ids = b"\r\nX-Request-ID: req-%032d\r\nX-Correlation-ID: cor-%032d" % (number, number)
            return b"".join((head, ids, tail))

        return request


MESSAGES = {
    "preferences": Message(
        path="/sender/sessions/SES-1/charging_preferences",
        to=CPO,
        sender=EMSP,
        body=json.encode(objects.charging_preferences()),
    ),
    "session": Message(
        path="/receiver/sessions/NL/CPO/SES-1",
        to=EMSP,
        sender=CPO,
        body=json.encode(
            objects.session(party_id="CPO", cdr_token=objects.cdr_token(country_code="DE", party_id="MSP"))
        ),
    ),
}
ANSWERS = {"preferences": b'{"data":"ACCEPTED",' + _TAIL, "session": b"{" + _TAIL}
