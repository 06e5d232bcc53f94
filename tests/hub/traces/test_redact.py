"""What a trace shows of paths, queries, headers and sentences."""

import pytest

from hub.traces import redact
from ocpi_modules import json
from ocpi_modules.spec import InterfaceRole, ModuleID
from tests.hub.routing.requests import RECEIVER, SENDER, request


def hidden(text: str) -> str:
    return f"<{len(text)}>"


@pytest.mark.promise("S-36")
@pytest.mark.parametrize(
    ("module", "interface", "path", "query", "shown"),
    [
        ("tokens", RECEIVER, "/DE/MSP/ABC", "type=RFID", "/DE/MSP/#<3>?type=RFID"),
        ("tokens", RECEIVER, "/DE/MSP/%41BC", "type=ABC", "/DE/MSP/#<3>?type=#<3>"),
        ("tokens", SENDER, "/ABC/authorize", "", "/#<3>/authorize"),
        ("tokens", SENDER, "", "offset=10&limit=5&uid=ABC", "?offset=10&limit=5&?=#<3>"),
        ("locations", RECEIVER, "/NL/CPO/L1/E1", "", "/NL/CPO/L1/E1"),
        ("chargingprofiles", RECEIVER, "/S1", "response_url=https%3A%2F%2Fa.b%2Fc", "/S1?response_url=https://a.b/..."),
    ],
)
def test_uids_and_unknown_parameters_are_hashed(
    module: str, interface: InterfaceRole, path: str, query: str, shown: str
) -> None:
    assert redact.target(ModuleID(module), interface, path, query, hidden) == shown


@pytest.mark.promise("S-07", "S-36")
def test_sentences_keep_neither_what_is_quoted_nor_what_the_request_calls_personal() -> None:
    given = request("PUT", RECEIVER, "tokens", "/DE/MSP/PATHUID", body=json.encode({"a": [{"contract_id": "CON-1"}]}))
    assert redact.sentence("type is 'secret' of pathuid", given, hidden) == "type is '...' of #<7>"
    assert "CON-1" in redact.sentence("of CON-1", given, hidden)
    assert given.document
    assert redact.sentence("of CON-1", given, hidden) == "of #<5>"


@pytest.mark.promise("S-07")
def test_of_a_body_full_of_personal_values_only_those_in_the_sentence_are_looked_at() -> None:
    hashes = []
    body = json.encode([{"uid": f"x{number:06}"} for number in range(1000)])
    given = request("PUT", RECEIVER, "tokens", "/DE/MSP/OTHER", body=body)
    assert given.document
    shown = redact.sentence("of X000007", given, lambda text: hashes.append(text) or "1")  # type: ignore[func-returns-value]
    assert (shown, hashes) == ("of #1", ["X000007"])


@pytest.mark.promise("S-07")
def test_of_headers_only_named_ones_are_shown() -> None:
    given = {"Authorization": "Token x", "X-Limit": "5", "Link": '<https://a.b/secret>; rel="next"', "X-Own": "y"}
    assert redact.headers(given) == {"x-limit": "5", "link": "https://a.b/..."}
