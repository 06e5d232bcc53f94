"""Sessions module (mod_sessions). Owner: CPO. Sessions cannot be deleted (S-02)."""

from ocpi_modules.patch import append_charging_periods
from ocpi_modules.sessions.enums import ChargingPreferencesResponse
from ocpi_modules.sessions.schemas import ChargingPreferences, Session
from ocpi_modules.spec import PAGING, Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page, Partial, Role

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
ONE = "/{country_code}/{party_id}/{session_id}"

SESSIONS = ModuleSpec(
    id=ModuleID.sessions,
    kind=Kind.FUNCTIONAL,
    owner=Role.CPO,
    object=Session,
    key=("country_code", "party_id", "id"),
    receiver_hint=("cdr_token.country_code", "cdr_token.party_id"),
    merge=append_charging_periods,
    endpoints=(
        Endpoint(SENDER, Method.GET, "", returns=Page[Session], query=PAGING, expected_query=("date_from",)),
        Endpoint(
            SENDER,
            Method.PUT,
            "/{session_id}/charging_preferences",
            body=ChargingPreferences,
            returns=ChargingPreferencesResponse,
        ),
        Endpoint(RECEIVER, Method.GET, ONE, returns=Session),
        Endpoint(RECEIVER, Method.PUT, ONE, body=Session),
        Endpoint(RECEIVER, Method.PATCH, ONE, body=Partial[Session]),
    ),
)
