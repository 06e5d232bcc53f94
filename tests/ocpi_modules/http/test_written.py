"""What was prepared for an endpoint leaves as any other request would, byte for byte, and refuses the same."""

from itertools import product

import pytest

from ocpi_modules.http.client import RequestRefused, join_url, ocpi_headers
from ocpi_modules.http.written import OutgoingRequest, PreparedEndpoint, WrittenRequest, routing_lines, write
from ocpi_modules.message import PartyId

TO, SENDER = PartyId("NL", "TNM"), PartyId("DE", "ABC")
ENDPOINTS = (
    "https://partner.example/ocpi/2.2.1/locations",
    "https://Partner.example:8443/ocpi/locations//",
    "https://partner.example",
    "https://partner.example?key=1",
    "https://b\u00fccher.example/ocpi",
    "https://[2001:db8::1]:8443/x",
)
PATHS = ("", "/", "/NL/TNM/LOC1", "//NL/TNM", "/NL/T%20M/LO%43/", "NL/TNM", "/a?b")
ODD_PATHS = ("/a b", "/a\r\nX: y", "/\u00e4", "/a#b", f"/{'x' * 2000}", f"/{'x' * (2000 - len(ENDPOINTS[0]))}")
IDS = (("r", "c"), ("", ""), ("r r", "c"), ("r", "c\r\nX: y"), ("r\u20ac", "c"), ("r\x00", "c"), ("r#", "c"))


def prepared(url: str, method: str, path: str, query: str, ids: tuple[str, str], body: bytes) -> WrittenRequest | None:
    endpoint = PreparedEndpoint(url, "Token dA==")
    return endpoint.written(method, path, query, *ids, routing_lines(TO, SENDER), body)


def usual(url: str, method: str, path: str, query: str, ids: tuple[str, str], body: bytes) -> WrittenRequest:
    sent = ocpi_headers("t", request_id=ids[0], correlation_id=ids[1], to=TO, sender=SENDER)
    whole = join_url(url, path)
    return write(OutgoingRequest(method, f"{whole}?{query}" if query else whole, sent, body))


@pytest.mark.parametrize("url", ENDPOINTS)
def test_a_prepared_request_has_the_bytes_of_any_other(url: str) -> None:
    alike = 0
    for method, path, query, body in product(("GET", "PUT", "DELETE", "POST"), PATHS, ("", "x=%31&y=+"), (b"", b"{}")):
        given = (url, method, path, query, ("r", "c"), body)
        found = prepared(*given)
        if found is not None:
            expected = usual(*given)
            assert (found, found.bytes_to(found.target)) == (expected, expected.bytes_to(expected.target))
            alike += 1
    assert alike == 4 * 4 * 2 * 2, "paths of the endpoint itself and of what is below it"


@pytest.mark.parametrize("path", PATHS[:3] + ODD_PATHS)
@pytest.mark.parametrize("ids", IDS)
@pytest.mark.rule("S-21")
def test_what_any_other_request_refuses_is_never_prepared(path: str, ids: tuple[str, str]) -> None:
    for query in ("", "x=1", "x=\r\n", "x= ", "x=\u00e4", "x=1#y", "x=" + "y" * 2000):
        given = (ENDPOINTS[0], "PUT", path, query, ids, b"{}")
        found = prepared(*given)
        try:
            expected = usual(*given)
        except RequestRefused:
            assert found is None, given
        else:
            assert found in (None, expected), given


@pytest.mark.parametrize(
    ("url", "authorization"),
    [
        ("partner.example/x", "Token dA=="),
        ("ftp://partner.example/x", "Token dA=="),
        ("https://user@partner.example/x", "Token dA=="),
        ("https://partner.example:22/x", "Token dA=="),
        ("https://partner.example/x#y", "Token dA=="),
        ("https://partner.example/x", "Token dA==\r\nX: y"),
        ("https://partner.example/x", "Token \u20ac"),
    ],
)
def test_an_endpoint_that_could_not_be_called_is_not_prepared(url: str, authorization: str) -> None:
    with pytest.raises(RequestRefused):
        PreparedEndpoint(url, authorization)


def test_parties_that_would_break_the_headers_are_refused() -> None:
    with pytest.raises(RequestRefused, match="OCPI-to-party-id"):
        routing_lines(PartyId("NL", "T\r\nX"), SENDER)
