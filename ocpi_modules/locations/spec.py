"""Locations module (mod_locations). Owner: CPO. Nothing is deleted: an EVSE gets the status REMOVED (L-04).

EVSEs and Connectors have URLs of their own below their Location; the body follows the depth of the path (L-13, L-17, L-19).
"""

from ocpi_modules.locations.schemas import EVSE, Connector, Location
from ocpi_modules.spec import PAGING, Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page, Partial, Role

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
ONE = "/{country_code}/{party_id}/{location_id}"
ONE_EVSE = f"{ONE}/{{evse_uid}}"
ONE_CONNECTOR = f"{ONE_EVSE}/{{connector_id}}"

LOCATIONS = ModuleSpec(
    id=ModuleID.locations,
    kind=Kind.FUNCTIONAL,
    owner=Role.CPO,
    object=Location,
    key=("country_code", "party_id", "id"),
    nested=(("evse_uid", "evses", "uid"), ("connector_id", "connectors", "id")),
    broadcast=True,
    endpoints=(
        Endpoint(SENDER, Method.GET, "", returns=Page[Location], query=PAGING),
        Endpoint(SENDER, Method.GET, "/{location_id}", returns=Location),
        Endpoint(SENDER, Method.GET, "/{location_id}/{evse_uid}", returns=EVSE),
        Endpoint(SENDER, Method.GET, "/{location_id}/{evse_uid}/{connector_id}", returns=Connector),
        Endpoint(RECEIVER, Method.GET, ONE, returns=Location),
        Endpoint(RECEIVER, Method.GET, ONE_EVSE, returns=EVSE),
        Endpoint(RECEIVER, Method.GET, ONE_CONNECTOR, returns=Connector),
        Endpoint(RECEIVER, Method.PUT, ONE, body=Location),
        Endpoint(RECEIVER, Method.PUT, ONE_EVSE, body=EVSE),
        Endpoint(RECEIVER, Method.PUT, ONE_CONNECTOR, body=Connector),
        Endpoint(RECEIVER, Method.PATCH, ONE, body=Partial[Location]),
        Endpoint(RECEIVER, Method.PATCH, ONE_EVSE, body=Partial[EVSE]),
        Endpoint(RECEIVER, Method.PATCH, ONE_CONNECTOR, body=Partial[Connector]),
    ),
)
