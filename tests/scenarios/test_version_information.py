"""version_information_endpoint: the two documents everything else is found by."""

import pytest

from ocpi_modules import headers as names
from tests.scenarios.conftest import EMSP, World

FUNCTIONAL = {"cdrs", "chargingprofiles", "commands", "locations", "sessions", "tariffs", "tokens"}
ROUTING = {"OCPI-to-country-code", "OCPI-to-party-id", "OCPI-from-country-code", "OCPI-from-party-id"}


@pytest.mark.rule("E-01", "E-02", "E-07", "E-17", "G-62", "X-98", "E-09")
async def test_the_list_of_versions_leads_to_the_details_by_absolute_urls(world: World) -> None:
    answer = await world.raw("GET", "/ocpi/versions", authorized(world))
    assert answer.data == [{"version": "2.2.1", "url": f"{world.url}/ocpi/2.2.1"}]
    details = await world.raw("GET", "/ocpi/2.2.1", authorized(world))
    assert details.data["version"] == "2.2.1"
    assert set(details.data) == {"version", "endpoints"}


@pytest.mark.rule("E-03", "E-04", "E-05", "E-06", "E-08", "E-10", "E-11", "L-02")
async def test_the_details_list_both_interfaces_of_each_functional_module_and_credentials_once(world: World) -> None:
    listed = (await world.raw("GET", "/ocpi/2.2.1", authorized(world))).data["endpoints"]
    assert {frozenset(entry) for entry in listed} == {frozenset({"identifier", "role", "url"})}
    found = sorted((entry["identifier"], entry["role"]) for entry in listed)
    both = [(module, role) for module in FUNCTIONAL for role in ("SENDER", "RECEIVER")]
    assert found == sorted([*both, ("credentials", "SENDER"), ("hubclientinfo", "SENDER")])
    assert len({entry["url"] for entry in listed}) == len(listed)


@pytest.mark.rule("E-17", "X-98", "X-99")
async def test_the_urls_are_the_configured_ones_whatever_host_was_asked(world: World) -> None:
    for header in ({}, {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp"}, {"Host": "evil.example"}):
        answer = await world.raw("GET", "/ocpi/2.2.1", authorized(world) | header)
        assert all(entry["url"].startswith(world.url + "/ocpi/2.2.1/") for entry in answer.data["endpoints"])


@pytest.mark.rule("E-02", "X-75", "X-18")
@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_get_is_the_only_method(world: World, path: str, method: str) -> None:
    answer = await world.raw(method, path, authorized(world))
    assert (answer.http_status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.rule("E-16", "R-02", "R-10", "H-01")
@pytest.mark.parametrize("path", ["/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/sender/hubclientinfo"])
async def test_routing_headers_are_neither_read_nor_sent_here(world: World, path: str) -> None:
    plain = await world.raw("GET", path, authorized(world))
    for given in (
        names.routing_headers(to=EMSP, sender=world.cpo.id),
        {"OCPI-to-party-id": "MSP"},
        {"OCPI-from-country-code": "XX", "OCPI-from-party-id": "XXX"},
    ):
        answer = await world.raw("GET", path, authorized(world) | given)
        assert (answer.http_status, answer.data) == (200, plain.data)
        assert not {name.lower() for name in ROUTING} & set(answer.headers)


@pytest.mark.rule("E-16", "R-02", "H-01", "X-85")
async def test_the_hubs_own_calls_of_configuration_modules_have_no_routing_headers_but_both_ids(world: World) -> None:
    seen = [item for item in world.cpo.log if item.method == "GET"]
    assert [item.raw_path for item in seen] == ["/ocpi/versions", "/ocpi/2.2.1"]
    for item in seen:
        assert not {name.lower() for name in ROUTING} & set(item.headers)
        assert item.headers["x-request-id"]
        assert item.headers["x-correlation-id"]
    assert len({item.headers["x-request-id"] for item in seen}) == 2


def authorized(world: World) -> dict[str, str]:
    return {"Authorization": names.authorization(world.cpo.hub_token)}
