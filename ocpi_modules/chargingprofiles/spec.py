"""ChargingProfiles module (mod_charging_profiles). The Sender is an eMSP or SCSP, the Receiver a CPO (P-01).

A GET here has effects at the charger: it is never answered from a kept copy (P-26). For GET and DELETE the response_url stands in
the query, for PUT in the body (P-02 to P-04). The result's kind is known only from the request it belongs to (P-06).
"""

from ocpi_modules.chargingprofiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfileResponse,
    ChargingProfileResult,
    ClearProfileResult,
    SetChargingProfile,
)
from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Place

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
ONE = "/{session_id}"

CHARGINGPROFILES = ModuleSpec(
    id=ModuleID.chargingprofiles,
    kind=Kind.FUNCTIONAL,
    owner=None,
    object=None,
    endpoints=(
        Endpoint(
            RECEIVER,
            Method.GET,
            ONE,
            returns=ChargingProfileResponse,
            required_query=("duration", "response_url"),
            response_url=Place.QUERY,
        ),
        Endpoint(
            RECEIVER,
            Method.PUT,
            ONE,
            body=SetChargingProfile,
            returns=ChargingProfileResponse,
            response_url=Place.BODY,
        ),
        Endpoint(
            RECEIVER,
            Method.DELETE,
            ONE,
            returns=ChargingProfileResponse,
            required_query=("response_url",),
            response_url=Place.QUERY,
        ),
        Endpoint(
            SENDER,
            Method.POST,
            "/{ticket}",
            body=ActiveChargingProfileResult | ChargingProfileResult | ClearProfileResult,
            self_defined=True,
        ),
        Endpoint(SENDER, Method.PUT, ONE, body=ActiveChargingProfile),
    ),
)
