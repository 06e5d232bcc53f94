"""The Sender's side of a registration as plain calls (C-03): GET versions, GET details, POST credentials.

No storage and no opinion: who calls it has stored token B before the POST (C-07) and stores what comes back. The form of the
token that worked (Base64 or raw) is learned on the first call and reported (X-07, G-02).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocpi_modules import envelope, headers, json
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.spec import Method
from ocpi_modules.status import ClientApiUnusable, NoMatchingEndpoints, UnsupportedVersion

DEADLINE_SECONDS = 20
MOST_SAID = 200


@dataclass(frozen=True)
class PlatformDetails:
    """What a platform offers in one version: (identifier, role) -> url, and the token form it understood."""

    version: str
    endpoints: Mapping[tuple[str, str], str]
    base64: bool

    def url(self, identifier: str, role: str) -> str | None:
        return self.endpoints.get((identifier, role))

    @property
    def credentials_url(self) -> str:
        """The one credentials endpoint; its role is ignored (E-08)."""
        found = next((url for (identifier, _), url in self.endpoints.items() if identifier == "credentials"), None)
        if found is None:
            raise NoMatchingEndpoints("The platform lists no credentials endpoint.")
        return found


async def details(
    client: OcpiClient, versions_url: str, token: str, *, version: str = "2.2.1", base64: bool = True
) -> PlatformDetails:
    """Read versions and the details of `version`; tries the other token form once after a 401.

    Raises ClientApiUnusable (3001), UnsupportedVersion (3002), NoMatchingEndpoints (3003).
    """
    try:
        listed = await call(client, Method.GET, versions_url, token, base64=base64)
    except Unauthorized:
        base64 = not base64
        listed = await call(client, Method.GET, versions_url, token, base64=base64)
    url = _version_url(listed, version)
    document = await call(client, Method.GET, url, token, base64=base64)
    return PlatformDetails(version, _endpoints(document), base64)


async def post_credentials(
    client: OcpiClient, platform: PlatformDetails, token_a: str, credentials: dict[str, Any]
) -> dict[str, Any]:
    """POST our Credentials object with token A; the answer is theirs, with token C in it."""
    theirs = await call(
        client, Method.POST, platform.credentials_url, token_a, base64=platform.base64, body=json.encode(credentials)
    )
    return _credentials(theirs)


async def put_credentials(
    client: OcpiClient, platform: PlatformDetails, token: str, credentials: dict[str, Any]
) -> dict[str, Any]:
    """PUT our Credentials object (new token or new URL); the answer holds a new token for us (C-21)."""
    theirs = await call(
        client, Method.PUT, platform.credentials_url, token, base64=platform.base64, body=json.encode(credentials)
    )
    return _credentials(theirs)


class Unauthorized(ClientApiUnusable):
    """HTTP 401: perhaps the other form of the token is understood."""


class RefusedThere(ClientApiUnusable):
    """The platform answered in an envelope that it will not: nothing was changed there."""


async def call(
    client: OcpiClient, method: Method, url: str, token: str, *, base64: bool = True, body: bytes = b""
) -> Any:
    """One call of a configuration module; the `data` of a successful answer, else ClientApiUnusable with the reason."""
    ids = {headers.REQUEST_ID: headers.new_message_id(), headers.CORRELATION_ID: headers.new_message_id()}
    sent = {"Authorization": headers.authorization(token, base64_encoded=base64), **ids}
    if body:
        sent["Content-Type"] = "application/json"
    try:
        answer = await client.send(OutgoingRequest(method, url, sent, body), DEADLINE_SECONDS)
    except SendFailed as error:
        raise ClientApiUnusable(f"{method} {url} failed: {error}") from error
    if answer.http_status == 401:
        raise Unauthorized(f"{method} {url} was answered HTTP 401: the token is not accepted there.")
    if 300 <= answer.http_status < 400:
        raise ClientApiUnusable(
            f"{method} {url} was redirected with HTTP {answer.http_status} to {answer.headers.get('location', '')[:255]!r}, "
            "which is not followed; hand out the URL it leads to."
        )
    content = envelope.read(answer.body)
    if content is None:
        raise ClientApiUnusable(f"{method} {url} was answered HTTP {answer.http_status} without an OCPI envelope.")
    if not content.succeeded:
        said = _without(content.status_message, token)
        raise RefusedThere(f"{method} {url} was refused: {content.status_code} {said}")
    return content.data


def _without(words: str, token: str) -> str:
    """What a partner says, for people and logs: the token it was sent stands in neither of its forms, and it ends some time."""
    for form in (token, headers.authorization(token).partition(" ")[2]):
        words = words.replace(form, "...")
    return words[:MOST_SAID]


def _version_url(listed: Any, version: str) -> str:
    if not isinstance(listed, list):
        raise ClientApiUnusable("The versions document is not a list.")
    for entry in listed:
        if isinstance(entry, dict) and entry.get("version") == version and isinstance(entry.get("url"), str):
            return str(entry["url"])
    raise UnsupportedVersion(f"The platform does not offer version {version}.")


def _endpoints(document: Any) -> dict[tuple[str, str], str]:
    entries = document.get("endpoints") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ClientApiUnusable("The version details hold no list of endpoints.")
    found = {
        (str(entry["identifier"]), str(entry.get("role", "SENDER"))): str(entry["url"])
        for entry in entries[:200]
        if isinstance(entry, dict) and "identifier" in entry and "url" in entry
    }
    if not found:
        raise NoMatchingEndpoints("The platform lists no endpoints.")
    return found


def _credentials(data: Any) -> dict[str, Any]:
    theirs = envelope.sole(data)
    if not isinstance(theirs, dict) or not isinstance(theirs.get("token"), str) or not theirs.get("roles"):
        raise ClientApiUnusable("The answer is not a Credentials object: token, url and roles are needed.")
    return theirs
