"""httpx on our own pool: registration, crawls and tools use the httpx API and still leave through the one door."""

import httpx

from ocpi_modules.http import failures
from ocpi_modules.http.client import DEFAULT_DEADLINE, OcpiClient, OutgoingRequest

_NOT_OURS_TO_KEEP = ("content-length", "transfer-encoding")


class PoolTransport(httpx.AsyncBaseTransport):
    """`httpx.AsyncClient(transport=PoolTransport(client))`. The read timeout of httpx is the total deadline.

    Failures become httpx.TransportError: ReadTimeout, ConnectError, UnsupportedProtocol (a URL we never call) or
    RemoteProtocolError. The client stays open: it belongs to whoever made it.
    """

    def __init__(self, client: OcpiClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions.get("timeout", {}).get("read") or DEFAULT_DEADLINE
        outgoing = OutgoingRequest(request.method, str(request.url), dict(request.headers), await request.aread())
        try:
            answer = await self._client.send(outgoing, seconds)
        except failures.SendFailed as failure:
            raise _error(failure)(failure.message, request=request) from failure
        headers = {name: value for name, value in answer.headers.items() if name not in _NOT_OURS_TO_KEEP}
        return httpx.Response(answer.http_status, headers=headers, content=answer.body)


def _error(failure: failures.SendFailed) -> type[httpx.TransportError]:
    match failure:
        case failures.TimedOut():
            return httpx.ReadTimeout
        case failures.Unreachable():
            return httpx.ConnectError
        case failures.RequestRefused():
            return httpx.UnsupportedProtocol
        case _:
            return httpx.RemoteProtocolError
