"""CDRs module (mod_cdrs). Owner: CPO. POSTed once; the answer's Location header is the URL to read it back (D-15, D-16)."""

from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.spec import PAGING, Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page, Role

CDRS = ModuleSpec(
    id=ModuleID.cdrs,
    kind=Kind.FUNCTIONAL,
    owner=Role.CPO,
    object=CDR,
    key=("country_code", "party_id", "id"),
    receiver_hint=("cdr_token.country_code", "cdr_token.party_id"),
    endpoints=(
        Endpoint(InterfaceRole.SENDER, Method.GET, "", returns=Page[CDR], query=PAGING),
        Endpoint(InterfaceRole.RECEIVER, Method.POST, "", body=CDR, location_header=True),
        Endpoint(InterfaceRole.RECEIVER, Method.GET, "/{reference}", returns=CDR, self_defined=True),
    ),
)
