"""Credentials module: registration. Symmetric; listed once, with role SENDER, and never routed (C-01, E-08)."""

from ocpi_modules.credentials.schemas import Credentials
from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec

SENDER = InterfaceRole.SENDER

CREDENTIALS = ModuleSpec(
    id=ModuleID.credentials,
    kind=Kind.CONFIGURATION,
    owner=None,
    object=Credentials,
    endpoints=(
        Endpoint(SENDER, Method.GET, "", returns=Credentials),
        Endpoint(SENDER, Method.POST, "", body=Credentials, returns=Credentials),
        Endpoint(SENDER, Method.PUT, "", body=Credentials, returns=Credentials),
        Endpoint(SENDER, Method.DELETE, ""),
    ),
)
