"""What the sample eMSP asks of the hub: joining, tokens, commands."""

from typing import Any
from uuid import uuid4

from hub.demo.emsp_folder import EmspFolder
from hub.demo.emsp_handler import EmspHandler
from ocpi_modules import envelope, json, secrets
from ocpi_modules.http import handshake
from ocpi_modules.http.client import OcpiClient, OutgoingRequest, join_url, ocpi_headers
from ocpi_modules.http.paths import endpoint_url
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import ClientApiUnusable
from ocpi_modules.types import format_datetime

DEADLINE_SECONDS = 30


class EmspCalls:
    """The sample eMSP as a caller; what it learns is kept in the folder of its handler."""

    def __init__(self, client: OcpiClient, handler: EmspHandler) -> None:
        self.client = client
        self.handler = handler

    @property
    def folder(self) -> EmspFolder:
        return self.handler.folder

    def joined(self) -> bool:
        """Registered with a hub, under the URL we have today."""
        state = self.folder.read("credentials") or {}
        return bool(state.get("joined")) and state.get("public_url") == self.handler.public_url

    async def join(self, hub_versions_url: str, token_a: str) -> None:
        """Register with a hub; may be repeated after any failure (C-07, C-08)."""
        token_b = secrets.new_token("emspC_")
        self.folder.write("credentials", {"our_tokens": [token_b], "joined": False})
        platform = await handshake.details(self.client, hub_versions_url, token_a)
        theirs = await handshake.post_credentials(
            self.client, platform, token_a, self.handler.credentials_object(token_b)
        )
        hub = theirs["roles"][0]
        endpoints = [{"identifier": name, "role": role, "url": url} for (name, role), url in platform.endpoints.items()]
        state = {
            "our_tokens": [token_b],
            "joined": True,
            "hub_token": theirs["token"],
            "base64": platform.base64,
            "public_url": self.handler.public_url,
            "hub": {"country_code": hub["country_code"], "party_id": hub["party_id"]},
            "endpoints": endpoints,
        }
        self.folder.write("credentials", state)

    async def cpos(self) -> list[PartyId]:
        """The CPOs the hub says are connected."""
        listed = await self._send(Method.GET, "hubclientinfo", "SENDER", "", to=None, routed=False)
        return [
            PartyId.of(info["country_code"], info["party_id"])
            for info in listed
            if info["role"] == "CPO" and info["status"] == "CONNECTED"
        ]

    async def push_token(self, to: PartyId, token: dict[str, Any]) -> None:
        """PUT a Token to one CPO, and keep it as ours."""
        body = json.encode(token)
        self.folder.keep("tokens", f"{token['uid']}-{token['type']}", body)
        path = f"/{token['country_code']}/{token['party_id']}/{token['uid']}?type={token['type']}"
        await self._send(Method.PUT, "tokens", "RECEIVER", path, to=to, body=body)

    async def start_session(self, to: PartyId, token: dict[str, Any], location_id: str, evse_uid: str) -> Any:
        """START_SESSION; the CommandResponse. The result comes later to our response_url."""
        body = {"token": token, "location_id": location_id, "evse_uid": evse_uid}
        return await self._command(to, "START_SESSION", body)

    async def stop_session(self, to: PartyId, session_id: str) -> Any:
        """STOP_SESSION; the CommandResponse."""
        return await self._command(to, "STOP_SESSION", {"session_id": session_id})

    async def _command(self, to: PartyId, command: str, body: dict[str, Any]) -> Any:
        url = f"{endpoint_url(self.handler.public_url, ModuleID.commands, InterfaceRole.SENDER)}/{uuid4()}"
        body = {"response_url": url, **body}
        return await self._send(Method.POST, "commands", "RECEIVER", f"/{command}", to=to, body=json.encode(body))

    async def _send(
        self,
        method: Method,
        module: str,
        role: str,
        path: str,
        *,
        to: PartyId | None,
        body: bytes = b"",
        routed: bool = True,
    ) -> Any:
        state = self.folder.read("credentials")
        endpoint = next(end["url"] for end in state["endpoints"] if end["identifier"] == module and end["role"] == role)
        sent = ocpi_headers(
            state["hub_token"],
            request_id=str(uuid4()),
            correlation_id=str(uuid4()),
            base64_encoded=state["base64"],
            to=to if routed else None,
            sender=self.handler.party if routed else None,
        )
        request = OutgoingRequest(method, join_url(endpoint, path), sent, body)
        answer = await self.client.send(request, DEADLINE_SECONDS)
        content = envelope.read(answer.body)
        if content is None or not content.succeeded:
            reason = f"{content.status_code} {content.status_message}" if content else f"HTTP {answer.http_status}"
            raise ClientApiUnusable(f"{method} {module}{path} was refused: {reason}")
        return content.data


def sample_token(party: PartyId, now_text: str) -> dict[str, Any]:
    """An APP_USER token of the sample eMSP's one driver."""
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "uid": "DEMODRIVER01",
        "type": "APP_USER",
        "contract_id": f"{party.country_code}-{party.party_id}-C00000001-X",
        "issuer": "Sample eMSP",
        "valid": True,
        "whitelist": "ALWAYS",
        "last_updated": now_text,
    }


def now_text(handler: EmspHandler) -> str:
    return format_datetime(handler.clock())
