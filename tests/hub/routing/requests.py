"""Requests as the door in makes them, built from the module tables."""

from collections.abc import Mapping
from urllib.parse import unquote

from ocpi_modules import registry
from ocpi_modules.http.parsing import read_params
from ocpi_modules.message import OcpiRequest, PartyId
from ocpi_modules.spec import Endpoint, InterfaceRole, Method, ModuleID

SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
CPO, EMSP, HUB = PartyId("NL", "CPO"), PartyId("DE", "MSP"), PartyId("NL", "HUB")


def endpoint_at(module: ModuleID, interface: InterfaceRole, method: Method, path: str) -> Endpoint:
    parts = [part for part in path.split("/") if part]
    for endpoint in registry.module("2.2.1", module).endpoints:
        if endpoint.interface is interface and endpoint.method is method and _fits(endpoint.segments, parts):
            return endpoint
    raise LookupError(f"{method} {interface} {module} {path}")


def request(
    method: str,
    interface: InterfaceRole,
    module: str,
    path: str = "",
    *,
    body: bytes = b"",
    query: str = "",
    to: PartyId | None = EMSP,
    sender: PartyId | None = CPO,
    headers: Mapping[str, str] | None = None,
) -> OcpiRequest:
    endpoint = endpoint_at(ModuleID(module), interface, Method(method), path)
    decoded = [unquote(part) for part in path.split("/") if part]
    variables = {
        name[1:-1]: value for name, value in zip(endpoint.segments, decoded, strict=True) if name.startswith("{")
    }
    return OcpiRequest(
        method=Method(method),
        module=ModuleID(module),
        endpoint=endpoint,
        path=path,
        query=query,
        params=read_params(query),
        variables=variables,
        headers=dict(headers or {}),
        body=body,
        to=to,
        sender=sender,
        request_id="incoming-request",
        correlation_id="the-correlation",
    )


def _fits(segments: tuple[str, ...], parts: list[str]) -> bool:
    return len(segments) == len(parts) and all(
        segment.startswith("{") or segment == part for segment, part in zip(segments, parts, strict=True)
    )
