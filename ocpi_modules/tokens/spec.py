"""Tokens module (mod_tokens). Owner: eMSP. A Token is identified by its type too, which travels in the query (K-03, K-04).

Tokens are never deleted: `valid` becomes false (K-01). Real-time authorization is a POST on the SENDER interface (K-10).
"""

from ocpi_modules.spec import PAGING, Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page, Partial, Role
from ocpi_modules.tokens.schemas import AuthorizationInfo, LocationReferences, Token

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
ONE = "/{country_code}/{party_id}/{token_uid}"
TYPE = ("type",)

TOKENS = ModuleSpec(
    id=ModuleID.tokens,
    kind=Kind.FUNCTIONAL,
    owner=Role.EMSP,
    object=Token,
    key=("country_code", "party_id", "uid", "type"),
    query_key={"type": "RFID"},
    broadcast=True,
    endpoints=(
        Endpoint(SENDER, Method.GET, "", returns=Page[Token], query=PAGING),
        Endpoint(
            SENDER,
            Method.POST,
            "/{token_uid}/authorize",
            body=LocationReferences,
            body_optional=True,
            returns=AuthorizationInfo,
            query=TYPE,
        ),
        Endpoint(RECEIVER, Method.GET, ONE, returns=Token, query=TYPE),
        Endpoint(RECEIVER, Method.PUT, ONE, body=Token, query=TYPE),
        Endpoint(RECEIVER, Method.PATCH, ONE, body=Partial[Token], query=TYPE),
    ),
)
