"""The URLs of the real module tables: documents and dispatcher know the same ones."""

import pytest

from ocpi_modules.http.paths import Paths, details_url, endpoint_url, endpoint_urls, versions_url
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import Endpoint, InterfaceRole, ModuleID

PUBLIC = "https://hub.example/base"
EVERY = [(spec.id, endpoint) for spec in MODULES.values() for endpoint in spec.endpoints]
paths = Paths(MODULES)


def url_of(module: ModuleID, endpoint: Endpoint) -> str:
    suffix = endpoint.path.replace("{version}", "2.2.1").replace("{", "").replace("}", "")
    if module == ModuleID.versions:
        return details_url(PUBLIC).removesuffix("/2.2.1") + suffix
    return endpoint_url(PUBLIC, module, endpoint.interface) + suffix


@pytest.mark.parametrize(
    ("module", "endpoint"), EVERY, ids=[f"{module} {end.interface} {end.method} {end.path}" for module, end in EVERY]
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_endpoint_of_the_tables_is_found_by_its_url(module: ModuleID, endpoint: Endpoint, slash: str) -> None:
    match = paths.match(endpoint.method, url_of(module, endpoint).removeprefix(PUBLIC) + slash)
    assert (match.module, match.endpoint) == (module, endpoint)
    assert tuple(match.variables) == endpoint.names


@pytest.mark.rule("E-04", "E-08", "E-11")
def test_version_details_list_what_is_offered_once_each() -> None:
    offered = [(module, role) for module in MODULES for role in InterfaceRole]
    listed = endpoint_urls(PUBLIC, MODULES, offered)
    assert len({(end["identifier"], end["role"]) for end in listed}) == len(listed)
    assert {end["identifier"] for end in listed} == set(MODULES) - {"versions"}
    assert [end for end in listed if end["identifier"] == "credentials"] == [
        {"identifier": "credentials", "role": "SENDER", "url": f"{PUBLIC}/ocpi/2.2.1/credentials"}
    ]
    assert {"identifier": "cdrs", "role": "RECEIVER", "url": f"{PUBLIC}/ocpi/2.2.1/receiver/cdrs"} in listed
    assert versions_url(PUBLIC) == f"{PUBLIC}/ocpi/versions"


def test_what_is_not_in_the_tables_is_never_promised() -> None:
    assert endpoint_urls(PUBLIC, {}, [(ModuleID.cdrs, InterfaceRole.SENDER)]) == []
