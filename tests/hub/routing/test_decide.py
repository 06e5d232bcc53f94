"""decide(): every kind of request against every kind of addressee."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from hub.routing.decide import (
    BroadcastPush,
    GetAll,
    OpenRouting,
    OwnCopy,
    OwnModule,
    PartyToParty,
    Route,
    Ticket,
    TicketKind,
    decide,
)
from ocpi_modules import registry
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import InterfaceRole, Kind, Method
from ocpi_modules.status import ClientError
from tests.hub.routing.requests import CPO, EMSP, HUB, RECEIVER, SENDER, request

NOBODY = PartyId("FR", "XXX")
LOCATION = "/NL/CPO/LOC1"


def route(asked: OcpiRequest, sender: PartyId = CPO) -> Route:
    return decide(asked, sender, registry.module("2.2.1", asked.module), HUB)


def table() -> list[dict[str, str]]:
    with (Path(__file__).parents[2] / "spec" / "routing.csv").open() as file:
        return list(csv.DictReader(file))


CELLS = [(row, column) for row in table() for column in ("to_party", "to_hub", "to_nobody")]


@pytest.mark.parametrize(
    ("row", "column"), CELLS, ids=[f"{r['method']} {r['interface']} {r['module']}{r['path']} {c}" for r, c in CELLS]
)
@pytest.mark.rule("R-86", "R-88", "R-92", "R-94", "R-97", "R-100", "R-105", "R-107")
def test_every_cell_of_the_routing_table_written_by_hand(row: dict[str, str], column: str) -> None:
    to = {"to_party": EMSP, "to_hub": HUB, "to_nobody": None}[column]
    path = row["path"].replace("{version}", "2.2.1").replace("{", "").replace("}", "")
    asked = request(row["method"], InterfaceRole(row["interface"]), row["module"], path, to=to)
    assert type(route(asked)).__name__ == row[column]


def test_the_table_written_by_hand_leaves_no_endpoint_out() -> None:
    written = {(row["module"], row["interface"], row["method"], row["path"]) for row in table()}
    offered = {
        (str(spec.id), str(endpoint.interface), str(endpoint.method), endpoint.path)
        for spec in registry.MODULES.values()
        for endpoint in spec.endpoints
    }
    assert written == offered


FUNCTIONAL = [
    (endpoint, spec)
    for spec in registry.MODULES.values()
    for endpoint in spec.endpoints
    if spec.kind is Kind.FUNCTIONAL and not endpoint.self_defined
]
NAMES = [f"{endpoint.method} {endpoint.interface} {spec.id}{endpoint.path}" for endpoint, spec in FUNCTIONAL]


@pytest.mark.parametrize(("endpoint", "spec"), FUNCTIONAL, ids=NAMES)
@pytest.mark.rule("R-11", "R-30")
@pytest.mark.parametrize("to", [EMSP, NOBODY])
def test_a_named_receiver_is_meant_whether_it_exists_or_not(to: PartyId, endpoint, spec) -> None:
    path = endpoint.path.replace("{", "").replace("}", "")
    assert route(request(endpoint.method, endpoint.interface, spec.id, path, to=to)) == PartyToParty(to)


@pytest.mark.parametrize(("endpoint", "spec"), FUNCTIONAL, ids=NAMES)
@pytest.mark.rule("R-36", "R-43", "R-45", "R-61", "R-72", "P-26")
def test_without_a_receiver_method_interface_and_module_decide(endpoint, spec) -> None:
    path = endpoint.path.replace("{", "").replace("}", "")
    to_hub = route(request(endpoint.method, endpoint.interface, spec.id, path, to=HUB))
    to_nobody = route(request(endpoint.method, endpoint.interface, spec.id, path, to=None))
    if endpoint.method is not Method.GET:
        shared = endpoint.interface is RECEIVER and spec.id in ("locations", "tariffs", "tokens")
        expected = (BroadcastPush(), BroadcastPush()) if shared else (OpenRouting(), OpenRouting())
    elif not endpoint.names:
        expected = (GetAll(), GetAll())
    elif spec.id == "chargingprofiles":
        expected = (OpenRouting(), OpenRouting())
    else:
        expected = (OwnCopy(), OpenRouting())
    assert (to_hub, to_nobody) == expected


@pytest.mark.rule("R-02", "R-10", "R-107")
@pytest.mark.parametrize("to", [None, HUB, EMSP, NOBODY])
def test_configuration_modules_end_at_the_hub_whatever_the_headers_say(to: PartyId | None) -> None:
    assert route(request("GET", SENDER, "credentials", to=to)) == OwnModule()
    assert route(request("GET", SENDER, "hubclientinfo", to=to)) == OwnModule()
    assert route(request("GET", SENDER, "versions", "/2.2.1", to=to)) == OwnModule()


@pytest.mark.rule("M-34", "P-06", "D-16")
@pytest.mark.parametrize("to", [None, HUB, EMSP, NOBODY])
def test_a_url_of_ours_is_a_ticket_before_anything_else(to: PartyId | None) -> None:
    result = Ticket(TicketKind.RESPONSE_URL, "abc")
    assert route(request("POST", SENDER, "commands", "/abc", to=to)) == result
    assert route(request("POST", SENDER, "chargingprofiles", "/abc", to=to)) == result
    assert route(request("GET", RECEIVER, "cdrs", "/abc", to=to)) == Ticket(TicketKind.CDR_LOCATION, "abc")
    assert route(request("GET", SENDER, "cdrs", query="hub_link=abc", to=to)) == Ticket(TicketKind.LINK, "abc")


def test_a_client_that_names_itself_as_receiver_of_a_list_gets_the_list_of_all() -> None:
    assert route(request("GET", SENDER, "tokens", to=CPO), sender=CPO) == GetAll()
    assert route(request("GET", SENDER, "tokens", to=CPO), sender=EMSP) == PartyToParty(CPO)


@pytest.mark.rule("R-70")
def test_a_link_of_ours_names_its_receiver_where_the_headers_do_not() -> None:
    asked = request("GET", SENDER, "locations", query="offset=50&hub_to=DE*MSP", to=None)
    assert route(asked) == PartyToParty(EMSP)


def test_a_list_on_a_receiver_interface_is_refused() -> None:
    asked = request("GET", RECEIVER, "cdrs", "/x", to=HUB)
    odd = next(e for e in registry.module("2.2.1", asked.module).endpoints if e.is_list)
    with pytest.raises(ClientError) as refused:
        route(replace(asked, endpoint=replace(odd, interface=RECEIVER)))
    assert refused.value.status_code == 2000
