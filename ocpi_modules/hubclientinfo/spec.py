"""HubClientInfo module. Owner: the hub. Between platform and hub only, without routing headers; nothing is ever deleted.

The path names a party without its role, but a party with two roles has two objects: the key has the role in it (H-17).
"""

from ocpi_modules.hubclientinfo.schemas import ClientInfo
from ocpi_modules.spec import PAGING, Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page, Role

ONE = "/{country_code}/{party_id}"

HUBCLIENTINFO = ModuleSpec(
    id=ModuleID.hubclientinfo,
    kind=Kind.CONFIGURATION,
    owner=Role.HUB,
    object=ClientInfo,
    key=("country_code", "party_id", "role"),
    endpoints=(
        Endpoint(InterfaceRole.SENDER, Method.GET, "", returns=Page[ClientInfo], query=PAGING),
        Endpoint(InterfaceRole.RECEIVER, Method.GET, ONE, returns=ClientInfo),
        Endpoint(InterfaceRole.RECEIVER, Method.PUT, ONE, body=ClientInfo),
    ),
)
