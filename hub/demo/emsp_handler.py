"""The sample eMSP's side of OCPI: what it answers when hub and CPOs call it. Keeps first, then acknowledges."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

from hub.demo.emsp_folder import EmspFolder
from ocpi_modules import headers, json, secrets
from ocpi_modules.envelope import success, success_with_bytes
from ocpi_modules.http.paths import details_url, endpoint_url, endpoint_urls, versions_url
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.patch import changed
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import InvalidParameters, MethodNotAllowed, NotAuthenticated, NotFound, UnknownToken
from ocpi_modules.types import format_datetime

OFFERED = frozenset(
    {
        (ModuleID.credentials, InterfaceRole.SENDER),
        (ModuleID.tokens, InterfaceRole.SENDER),
        (ModuleID.commands, InterfaceRole.SENDER),
        (ModuleID.locations, InterfaceRole.RECEIVER),
        (ModuleID.tariffs, InterfaceRole.RECEIVER),
        (ModuleID.sessions, InterfaceRole.RECEIVER),
        (ModuleID.cdrs, InterfaceRole.RECEIVER),
        (ModuleID.hubclientinfo, InterfaceRole.RECEIVER),
    }
)


class EmspHandler:
    """Implements `ocpi_modules.message.Handler` over an EmspFolder."""

    def __init__(self, folder: EmspFolder, party: PartyId, public_url: str, clock: Clock) -> None:
        self.folder = folder
        self.party = party
        self.public_url = public_url
        self.clock = clock

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        self._authenticate(request)
        effect, response = self._answer(request)
        self.folder.log(self._line(request, effect, response))
        if request.sender is None or request.module in (ModuleID.hubclientinfo, ModuleID.credentials):
            return response
        routing = headers.routing_headers(to=request.sender, sender=self.party)
        return OcpiResponse(response.http_status, response.body, {**routing, **response.headers})

    def _authenticate(self, request: OcpiRequest) -> None:
        known = self.folder.read("credentials") or {}
        for token in headers.tokens_in(request.authorization):
            if any(hmac.compare_digest(token.encode(), ours.encode()) for ours in known.get("our_tokens", [])):
                return
        raise NotAuthenticated("The token in the Authorization header is not known here.")

    def _answer(self, request: OcpiRequest) -> tuple[bool, OcpiResponse]:
        """The answer, and whether the request had an effect of its own (a repeat of a CDR has none)."""
        match request.module:
            case ModuleID.versions:
                return False, self._versions(request)
            case ModuleID.credentials:
                return False, self._credentials(request)
            case ModuleID.tokens:
                return False, self._tokens(request)
            case ModuleID.commands | ModuleID.chargingprofiles:
                return self._result(request)
            case ModuleID.cdrs:
                return self._cdr(request)
            case ModuleID.locations | ModuleID.tariffs | ModuleID.sessions | ModuleID.hubclientinfo:
                return self._object(request)
            case ModuleID.custom:
                raise NotFound("This platform has no custom modules.")

    def _versions(self, request: OcpiRequest) -> OcpiResponse:
        if "version" not in request.variables:
            return success([{"version": "2.2.1", "url": details_url(self.public_url)}], now=self.clock())
        endpoints = endpoint_urls(self.public_url, MODULES, OFFERED)
        return success({"version": "2.2.1", "endpoints": endpoints}, now=self.clock())

    def _credentials(self, request: OcpiRequest) -> OcpiResponse:
        state = self.folder.read("credentials")
        if request.method is Method.GET:
            return success(self.credentials_object(state["our_tokens"][-1]), now=self.clock())
        if request.method is Method.PUT and state.get("joined"):
            fresh = secrets.new_token("emspC_")
            theirs = request.document
            self.folder.write(
                "credentials", state | {"hub_token": theirs["token"], "our_tokens": [state["our_tokens"][-1], fresh]}
            )
            return success(self.credentials_object(fresh), now=self.clock())
        if request.method is Method.DELETE and state.get("joined"):
            self.folder.write("credentials", {})
            return success(now=self.clock())
        raise MethodNotAllowed("This platform registers with hubs itself; POST is not offered here.")

    def credentials_object(self, token: str) -> dict[str, Any]:
        """Our own Credentials object (C-16)."""
        role = {
            "role": "EMSP",
            "country_code": self.party.country_code,
            "party_id": self.party.party_id,
            "business_details": {"name": "Sample eMSP", "website": self.public_url},
        }
        return {"token": token, "url": versions_url(self.public_url), "roles": [role]}

    def _tokens(self, request: OcpiRequest) -> OcpiResponse:
        kept = [json.decode(body) for body in self.folder.objects("tokens")]
        if request.method is Method.GET:
            counts = {headers.TOTAL_COUNT: str(len(kept)), headers.LIMIT: "1000"}
            return success(kept, now=self.clock(), headers=counts)
        uid, kind = request.variables["token_uid"].upper(), request.params.get("type", "RFID")
        for token in kept:
            if token["uid"].upper() == uid and token["type"] == kind:
                allowed = "ALLOWED" if token["valid"] else "BLOCKED"
                return success({"allowed": allowed, "token": token}, now=self.clock())
        raise UnknownToken(f"No token {request.variables['token_uid']} of type {kind} here.", http_status=404)

    def _result(self, request: OcpiRequest) -> tuple[bool, OcpiResponse]:
        new = self.folder.keep("results", request.path.rpartition("/")[2], request.body)
        return new, success(now=self.clock())

    def _cdr(self, request: OcpiRequest) -> tuple[bool, OcpiResponse]:
        if request.method is Method.GET:
            kept = self.folder.object("cdrs", request.variables["reference"])
            if kept is None:
                raise NotFound("No CDR at this URL.")
            return False, success_with_bytes(kept, now=self.clock())
        cdr = request.document
        key = f"{cdr['country_code']}-{cdr['party_id']}-{cdr['id']}"
        kept = self.folder.object("cdrs", key)
        if kept is not None and json.decode(kept) != cdr:
            raise InvalidParameters(f"id: a different CDR {cdr['id']} was received before; a CDR never changes.")
        if kept is None:
            self.folder.keep("cdrs", key, request.body)
        base = endpoint_url(self.public_url, ModuleID.cdrs, InterfaceRole.RECEIVER)
        location = {headers.LOCATION: f"{base}/{key}"}
        return kept is None, success(now=self.clock(), http_status=201 if kept is None else 200, headers=location)

    def _object(self, request: OcpiRequest) -> tuple[bool, OcpiResponse]:
        module, names = request.module, list(request.variables.values())
        key = "-".join(names[:3])
        kept = self.folder.object(module, key)
        match request.method:
            case Method.GET:
                if kept is None:
                    raise NotFound("No such object here.")
                return False, success_with_bytes(kept, now=self.clock())
            case Method.DELETE:
                self.folder.remove(module, key)
                return True, success(now=self.clock())
            case Method.PUT if len(names) <= 3:
                new = self.folder.keep(module, key, request.body)
                return True, success(now=self.clock(), http_status=201 if new else 200)
            case _:
                return True, self._merged(request, key, kept)

    def _merged(self, request: OcpiRequest, key: str, kept: bytes | None) -> OcpiResponse:
        if kept is None:
            raise NotFound("No such object here; PUT it first.")
        spec = MODULES[request.module]
        whole = changed(spec, json.decode(kept), request.method, request.variables, request.document)
        self.folder.keep(request.module, key, json.encode(whole))
        return success(now=self.clock())

    def _line(self, request: OcpiRequest, effect: bool, response: OcpiResponse) -> dict[str, Any]:
        return {
            "at": format_datetime(self.clock()),
            "method": request.method,
            "module": request.module,
            "path": request.path,
            "query": request.query,
            "from": str(request.sender) if request.sender else None,
            "correlation_id": request.correlation_id,
            "sha256": hashlib.sha256(request.body).hexdigest(),
            "body": request.body.decode("utf-8", "replace"),
            "effect": effect,
            "http_status": response.http_status,
        }


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)
