"""The hub's own modules, which are answered and never routed (R-02): versions, version details, credentials, hubclientinfo."""

from hub.clientinfo.announcements import Announcements
from hub.db.engine import DatabaseAway
from hub.parties.directory import Directory
from hub.parties.platforms import Caller, Platform
from hub.registration.handshake import Registration
from ocpi_modules import paging
from ocpi_modules.envelope import success
from ocpi_modules.headers import RETRY_AFTER
from ocpi_modules.http.paths import custom_endpoint_url, details_url, endpoint_url, endpoint_urls
from ocpi_modules.message import Clock, OcpiRequest, OcpiResponse
from ocpi_modules.registry import VERSIONS
from ocpi_modules.spec import InterfaceRole, Kind, Method, ModuleID
from ocpi_modules.status import MethodNotAllowed, NotAvailable, NotFound

MOST_ON_A_PAGE = 1000


def offered(version: str) -> list[tuple[ModuleID, InterfaceRole]]:
    """What the hub implements: every functional module on both interfaces, credentials, and hubclientinfo as Sender (E-11)."""
    functional = [spec.id for spec in VERSIONS[version].values() if spec.kind is Kind.FUNCTIONAL]
    both = [(module, interface) for module in functional for interface in InterfaceRole]
    own = [(ModuleID.credentials, InterfaceRole.SENDER), (ModuleID.hubclientinfo, InterfaceRole.SENDER)]
    return own + both


class OwnModules:
    """Answers the configuration modules for an authenticated caller."""

    def __init__(
        self,
        directory: Directory,
        registration: Registration,
        announcements: Announcements,
        public_url: str,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._announcements = announcements
        self._registration = registration
        self._public_url = public_url
        self._clock = clock

    async def answer(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        """The answer; raises OcpiError to refuse."""
        match request.module:
            case ModuleID.versions:
                return self._versions(request, caller)
            case ModuleID.credentials:
                return await self._credentials(request, caller)
            case ModuleID.hubclientinfo:
                return await self._client_infos(request, caller)
        raise NotFound(f"The module {request.module} does not end at the hub.")

    def _versions(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        version = request.variables.get("version")
        if version is None:
            documents = [{"version": known, "url": details_url(self._public_url, known)} for known in VERSIONS]
            return success(documents, now=self._clock())
        if version not in VERSIONS:
            raise NotFound(f"Version {version} is not spoken here; take a URL from the list of versions.")
        endpoints = endpoint_urls(self._public_url, VERSIONS[version], offered(version), version)
        endpoints += self._custom_modules(caller.platform, version)
        return success({"version": version, "endpoints": endpoints}, now=self._clock())

    def _custom_modules(self, platform: Platform, version: str) -> list[dict[str, str]]:
        """Those that the asker lists itself, and somebody else too; nobody is shown an identifier it may not know (E-12)."""
        others = [other for other in self._directory.platforms() if other.registered and other.id != platform.id]
        shared = platform.custom_modules & frozenset[str]().union(*(other.custom_modules for other in others))
        return [
            {
                "identifier": identifier,
                "role": str(interface),
                "url": custom_endpoint_url(self._public_url, identifier, interface, version),
            }
            for identifier in sorted(shared)
            for interface in InterfaceRole
        ]

    async def _credentials(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        match request.method:
            case Method.GET:
                return await self._registration.show(request, caller)
            case Method.POST:
                return await self._registration.register(request, caller)
            case Method.PUT:
                return await self._registration.update(request, caller)
            case Method.DELETE:
                return await self._registration.unregister(request, caller)
        raise MethodNotAllowed("credentials knows GET, POST, PUT and DELETE.")

    async def _client_infos(self, request: OcpiRequest, caller: Caller) -> OcpiResponse:
        if request.interface is not InterfaceRole.SENDER or request.method is not Method.GET:
            raise MethodNotAllowed("The hub is the Sender of hubclientinfo: GET its list.", headers={"Allow": "GET"})
        page = paging.parse(request.query, cap=caller.platform.switches.at_most(MOST_ON_A_PAGE))
        try:
            shown, total = await self._announcements.page(caller.platform, page)
        except DatabaseAway:
            raise NotAvailable(
                "The hub cannot read its list now; ask again after the time in Retry-After.", headers={RETRY_AFTER: "3"}
            ) from None
        offset = page.offset + len(shown)
        url = endpoint_url(self._public_url, ModuleID.hubclientinfo, InterfaceRole.SENDER, request.version)
        link = paging.link_header(url, page, offset=offset) if shown and offset < total else None
        headers = paging.headers(page, total=total, link=link)
        return success([view.document for view in shown], now=self._clock(), headers=headers)
