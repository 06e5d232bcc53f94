"""What the adapter answers when the hub calls it: authenticate, then the one answer of each module.

Everything is private to the hub (its token B is the only key), and what belongs to one eMSP is shown to that eMSP only.
"""

from datetime import datetime
from typing import Any

from cpo_adapter.party.commands import Commander
from cpo_adapter.party.credentials import CredentialsDesk
from cpo_adapter.party.kept_tokens import KeptTokens
from cpo_adapter.party.neighbours import Neighbours
from cpo_adapter.storage import client_info_repository
from cpo_adapter.storage import outbox_repository as outbox
from cpo_adapter.storage.engine import Database, DatabaseAway
from ocpi_modules import headers, json, paging
from ocpi_modules.envelope import success, success_with_bytes
from ocpi_modules.http.paths import details_url, endpoint_url, endpoint_urls
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import MethodNotAllowed, NotAvailable, NotFound, UnknownLocation, UnknownReceiver
from ocpi_modules.types import format_datetime

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
OFFERED = (
    (ModuleID.credentials, SENDER),
    (ModuleID.locations, SENDER),
    (ModuleID.tariffs, SENDER),
    (ModuleID.sessions, SENDER),
    (ModuleID.cdrs, SENDER),
    (ModuleID.tokens, RECEIVER),
    (ModuleID.commands, RECEIVER),
    (ModuleID.hubclientinfo, RECEIVER),
)
PRIVATE = (ModuleID.sessions, ModuleID.cdrs)
PAGE_CAP = 100


class AdapterHandler:
    """Implements `ocpi_modules.message.Handler`."""

    def __init__(
        self,
        database: Database,
        party: PartyId,
        public_url: str,
        credentials: CredentialsDesk,
        tokens: KeptTokens,
        commander: Commander,
        neighbours: Neighbours,
        clock: Clock,
    ) -> None:
        self._database = database
        self._party = party
        self._public_url = public_url
        self._credentials = credentials
        self._tokens = tokens
        self._commander = commander
        self._neighbours = neighbours
        self._clock = clock

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        """Raises OcpiError; NotAvailable (503) while the database is away, because nothing is acknowledged unstored (Q-04)."""
        try:
            token = await self._credentials.authenticate(request)
            response = await self._answer(request, token)
        except DatabaseAway:
            raise NotAvailable("The storage is away; try again soon.", headers={headers.RETRY_AFTER: "5"}) from None
        if request.sender is None:
            return response
        routing = headers.routing_headers(to=request.sender, sender=self._party)
        return OcpiResponse(response.http_status, response.body, {**routing, **response.headers})

    async def _answer(self, request: OcpiRequest, token: str) -> OcpiResponse:
        self._check_offered(request)
        match request.module:
            case ModuleID.versions:
                return self._versions(request)
            case ModuleID.credentials:
                return await self._credentials.answer(request, token)
            case ModuleID.tokens:
                return await self._tokens.answer(request)
            case ModuleID.commands:
                return success(await self._commander.take(request), now=self._clock())
            case ModuleID.hubclientinfo:
                return await self._client_info(request)
            case ModuleID.locations if request.variables:
                return await self._one_location(request)
            case _:
                return await self._list(request)

    def _check_offered(self, request: OcpiRequest) -> None:
        if request.module is ModuleID.versions:
            return
        if request.module is not ModuleID.credentials and (request.module, request.interface) not in OFFERED:
            raise NotFound("This module is not offered here. Take URLs from version details.")
        if request.module in PRIVATE and request.method is not Method.GET:
            raise MethodNotAllowed("Charging preferences are not offered here.", headers={"Allow": "GET"})
        if request.to is not None and request.to != self._party:
            raise UnknownReceiver(f"{request.to} is not a party of this platform; here is {self._party}.")

    def _versions(self, request: OcpiRequest) -> OcpiResponse:
        if "version" not in request.variables:
            return success([{"version": "2.2.1", "url": details_url(self._public_url)}], now=self._clock())
        endpoints = endpoint_urls(self._public_url, MODULES, OFFERED)
        return success({"version": "2.2.1", "endpoints": endpoints}, now=self._clock())

    async def _client_info(self, request: OcpiRequest) -> OcpiResponse:
        if request.method is Method.GET:
            return await self._one_client_info(request)
        document = request.document
        if isinstance(document, dict):
            named = {name: request.variables[name] for name in ("country_code", "party_id")}
            document = {**named, **document}
        await self._neighbours.heard(document)
        return success(now=self._clock())

    async def _one_client_info(self, request: OcpiRequest) -> OcpiResponse:
        party = PartyId.of(request.variables["country_code"], request.variables["party_id"])
        async with self._database.connection() as connection:
            rows = await client_info_repository.client_infos(connection)
        for row in rows:
            if (row["country_code"], row["party_id"]) == party:
                names = ("country_code", "party_id", "role", "status")
                return success(
                    {**{name: row[name] for name in names}, "last_updated": format_datetime(row["last_updated"])},
                    now=self._clock(),
                )
        raise NotFound(f"Nothing is known here of {party}.")

    async def _one_location(self, request: OcpiRequest) -> OcpiResponse:
        names = request.variables
        async with self._database.connection() as connection:
            row = await outbox.document(connection, "locations", names["location_id"].casefold())
        if row is None:
            raise UnknownLocation(f"There is no location {names['location_id']} here.", http_status=404)
        if len(names) == 1:
            return success_with_bytes(bytes(row["body"]), now=self._clock())
        found: Any = json.decode(row["body"])
        for name, members, id in (("evse_uid", "evses", "uid"), ("connector_id", "connectors", "id")):
            if name in names:
                wanted = names[name].casefold()
                found = next((child for child in found[members] if child[id].casefold() == wanted), None)
                if found is None:
                    raise UnknownLocation(f"There is no {name} {names[name]} at this location.", http_status=404)
        return success(found, now=self._clock())

    async def _list(self, request: OcpiRequest) -> OcpiResponse:
        page = paging.parse(request.query, cap=PAGE_CAP)
        receiver = str(request.sender) if request.sender else ""
        window: tuple[datetime | None, datetime | None] = (page.date_from, page.date_to)
        async with self._database.connection() as connection:
            total = await outbox.count_documents(connection, request.module, receiver, *window)
            rows = await outbox.documents(connection, request.module, receiver, *window, page.offset, page.limit)
        following = page.offset + len(rows)
        url = endpoint_url(self._public_url, request.module, SENDER)
        link = paging.link_header(url, page, offset=following) if rows and following < total else None
        data = b"[" + b",".join(bytes(row["body"]) for row in rows) + b"]"
        return success_with_bytes(data, now=self._clock(), headers=paging.headers(page, total=total, link=link))
