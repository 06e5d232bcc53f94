"""OCPI status codes (status_codes) and the one tree of errors.

OcpiError
|-- ClientError 2000
|   |-- NotAuthenticated (401)   MethodNotAllowed (405)   BodyTooLarge (413)   UnsupportedContent (415)   TooManyRequests (429)
|   |-- NotJson (400, 2001)      NotFound (404, 2001)
|   |-- InvalidParameters 2001   NotEnoughInformation 2002
|   |-- UnknownLocation 2003     UnknownToken 2004
|-- ServerError 3000
|   |-- NotAvailable (503)
|   |-- ClientApiUnusable 3001   UnsupportedVersion 3002   NoMatchingEndpoints 3003
`-- HubError 4000
    |-- UnknownReceiver 4001     RequestTimedOut 4002      ConnectionProblem 4003

Raised anywhere, turned into HTTP and an envelope in exactly one place: `http/server.py`. Without a number in brackets the HTTP
status is 200: the request reached the OCPI layer (X-69, R-24).
"""

from collections.abc import Mapping
from typing import ClassVar

SUCCESS = 1000


class OcpiError(Exception):
    """A refusal a partner will read: `message` is one sentence that names the field and the way out."""

    status_code: ClassVar[int] = 2000
    default_http_status: ClassVar[int] = 200

    def __init__(
        self, message: str, *, http_status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = self.default_http_status if http_status is None else http_status
        self.headers = dict(headers or {})


class ClientError(OcpiError):
    """2000: generic client error."""


class InvalidParameters(ClientError):
    """2001: invalid or missing parameters."""

    status_code = 2001


class NotEnoughInformation(ClientError):
    """2002: not enough information."""

    status_code = 2002


class UnknownLocation(ClientError):
    """2003: unknown Location."""

    status_code = 2003


class UnknownToken(ClientError):
    """2004: unknown Token; at real-time authorization with HTTP 404 (X-73)."""

    status_code = 2004


class NotJson(InvalidParameters):
    """The body is not JSON we accept (X-68, F-33 to F-37)."""

    default_http_status = 400


class NotFound(InvalidParameters):
    """GET of what does not exist, or a URL that is not offered (X-70)."""

    default_http_status = 404


class NotAuthenticated(ClientError):
    """Missing or unknown token, or token A outside versions and credentials (X-11, X-12)."""

    default_http_status = 401


class MethodNotAllowed(ClientError):
    """The method is not offered here, or not in this state of the registration (X-72, X-75, C-24 to C-26)."""

    default_http_status = 405


class BodyTooLarge(ClientError):
    """F-31."""

    default_http_status = 413


class UnsupportedContent(ClientError):
    """F-39."""

    default_http_status = 415


class TooManyRequests(ClientError):
    """U-36; carries Retry-After."""

    default_http_status = 429


class ServerError(OcpiError):
    """3000: generic server error."""

    status_code = 3000


class NotAvailable(ServerError):
    """What must be stored cannot be stored now; carries Retry-After (Q-04)."""

    default_http_status = 503


class ClientApiUnusable(ServerError):
    """3001: unable to use the client's API (C-10)."""

    status_code = 3001


class UnsupportedVersion(ServerError):
    """3002: unsupported version (C-13)."""

    status_code = 3002


class NoMatchingEndpoints(ServerError):
    """3003: no matching endpoints, or expected ones missing (C-12)."""

    status_code = 3003


class HubError(OcpiError):
    """4000: generic hub error."""

    status_code = 4000


class UnknownReceiver(HubError):
    """4001: the TO party is unknown (R-21)."""

    status_code = 4001


class RequestTimedOut(HubError):
    """4002: the receiver did not answer in time (R-22)."""

    status_code = 4002


class ConnectionProblem(HubError):
    """4003: the receiver is known but not connected (R-23)."""

    status_code = 4003
