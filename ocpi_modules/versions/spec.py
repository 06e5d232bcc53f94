"""The two documents every connection starts with. GET only, never routed (E-02, E-16).

Paths follow the public base of the OCPI service, not an endpoint URL: version details are where the endpoint URLs come from.
"""

from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec
from ocpi_modules.versions.schemas import Version, VersionDetails

VERSIONS = ModuleSpec(
    id=ModuleID.versions,
    kind=Kind.CONFIGURATION,
    owner=None,
    object=VersionDetails,
    endpoints=(
        Endpoint(InterfaceRole.SENDER, Method.GET, "/versions", returns=list[Version]),
        Endpoint(InterfaceRole.SENDER, Method.GET, "/{version}", returns=VersionDetails),
    ),
)
