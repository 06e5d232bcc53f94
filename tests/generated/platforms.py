"""Partner platforms of a fuzz run: plain sockets that register with the hub and answer what a seed says, at times nonsense."""

import asyncio
import base64
from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.spec import Kind, Role
from tests.support.raw_http import RawConnection, connected

SAID = "partner"
"""What every status_message of a partner begins with, so that its answers are told from the hub's."""
STAMP = "2026-03-01T12:00:00Z"
Answer = tuple[int, dict[str, str], bytes]
OFFERED = [
    (str(spec.id), str(interface))
    for spec in MODULES.values()
    if spec.kind is Kind.FUNCTIONAL
    for interface in sorted({endpoint.interface for endpoint in spec.endpoints})
] + [("credentials", "SENDER"), ("hubclientinfo", "RECEIVER")]


@dataclass
class Platform:
    """One platform and the parties on it. `tickets` are URLs of the hub it may answer to, `received` counts what came."""

    parties: dict[PartyId, set[Role]]
    seed: str
    port: int = 0
    hub_token: str = ""
    token: str = "partner-token"
    tickets: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    received: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def behave(self, connection: RawConnection) -> None:
        while True:
            line, headers, body = await connection.request(seconds=600)
            method, target, _ = line.split(" ")
            answer = self._configuration(target) or self._answer(method, target, headers, body)
            if answer is None:
                return
            status, own, content = answer
            head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
            await connection.send(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{head}\r\n".encode("latin-1") + content
            )

    def _configuration(self, target: str) -> Answer | None:
        if target == "/versions":
            return said([{"version": "2.2.1", "url": f"{self.url}/details"}])
        if target == "/details":
            endpoints = [
                {"identifier": module, "role": role, "url": f"{self.url}/{role.lower()}/{module}"}
                for module, role in OFFERED
            ]
            return said({"version": "2.2.1", "endpoints": endpoints})
        return None

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer | None:
        random = Random(f"{self.seed} {headers.get('x-correlation-id')} {method}")
        self.received[method] += 1
        self._remember_ticket(target, body)
        if random.random() < 0.08:
            return random.choice(NONSENSE)
        return self._sensible(method, target.partition("?")[0], random)

    def _sensible(self, method: str, path: str, random: Random) -> Answer:
        _, interface, module, *rest = path.split("/")
        if method == "GET" and interface == "sender" and not rest:
            return self._page(module, random)
        if method == "POST" and module == "cdrs":
            return said(headers={"Location": f"{self.url}/receiver/cdrs/{random.getrandbits(40):x}"})
        if module in ("commands", "chargingprofiles") and interface == "receiver":
            return said({"result": random.choice(("ACCEPTED", "REJECTED")), "timeout": 30})
        if path.endswith("/authorize"):
            return said({"allowed": "BLOCKED", "token": {}})
        if method == "GET":
            return said({"id": "anything", "kwh": 1}) if random.random() < 0.7 else said(status=404, code=2001)
        return said(code=random.choice((1000, 1000, 1000, 2000, 2003, 3000)))

    def _page(self, module: str, random: Random) -> Answer:
        headers = {"X-Total-Count": "7", "X-Limit": "2"}
        if random.random() < 0.5:
            query = random.choice(("?offset=2&limit=2", "?cursor=abc", "", "?offset=x", "?offset=4&date_from=" + STAMP))
            host = self.url if random.random() < 0.8 else "http://192.0.2.1"
            headers["Link"] = f'<{host}/sender/{module}{query}>; rel="next"'
        return said([{"id": "1"}, {"id": "2"}], headers=headers)

    def _remember_ticket(self, target: str, body: bytes) -> None:
        if b"response_url" in body:
            url = json.decode(body).get("response_url")
            if isinstance(url, str) and "/ocpi/" in url:
                self.tickets.append(url[url.index("/ocpi/") :])

    async def register(self, hub_port: int, token_a: str) -> None:
        """POST credentials."""
        roles = [
            {**party._asdict(), "role": str(role), "business_details": {"name": f"{role} {party}"}}
            for party, roles in self.parties.items()
            for role in sorted(roles)
        ]
        body = json.encode({"token": self.token, "url": f"{self.url}/versions", "roles": roles})
        head = (
            f"POST /ocpi/2.2.1/credentials HTTP/1.1\r\nHost: hub\r\nAuthorization: {authorization(token_a)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        async with asyncio.timeout(60), connected(hub_port) as connection:
            await connection.send(head.encode() + body)
            status, _, answer = await connection.answer(60)
        assert status == 200, answer
        self.hub_token = json.decode(answer)["data"]["token"]


def authorization(token: str) -> str:
    return f"Token {base64.b64encode(token.encode()).decode()}"


def said(data: Any = None, *, status: int = 200, code: int = 1000, headers: dict[str, str] | None = None) -> Answer:
    content: dict[str, Any] = {"status_code": code, "status_message": f"{SAID} says {code}", "timestamp": STAMP}
    content |= {"data": data} if data is not None else {}
    sent = {"Content-Type": "application/json", "OCPI-from-party-id": "XXX"} | (headers or {})
    return status, sent, json.encode(content)


NONSENSE: tuple[Answer | None, ...] = (
    None,
    (500, {}, b""),
    (502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>"),
    (401, {}, b""),
    (403, {}, said(code=2000)[2]),
    (204, {}, b""),
    (405, {"Allow": "GET"}, said(code=2000)[2]),
    (302, {"Location": "/elsewhere"}, b""),
    (307, {"Location": "/sender/loop"}, b""),
    (301, {"Location": "\x80\xff"}, b""),
    (200, {}, b"\xff\xfe not json"),
    (200, {}, b"[]"),
    (200, {}, b'{"status_code":"1000"}'),
    (200, {}, b'{"status_code":1000}'),
    (200, {}, b'{"status_code":1e400,"timestamp":null}'),
    (200, {}, b'{"status_code":99999999999999999999999}'),
    (200, {}, b'{"status_code":1000,"status_code":2000,"timestamp":"x"}'),
    (200, {names.LINK: "<::::>; rel=next", "X-Total-Count": "-1"}, said([])[2]),
    (200, {names.LINK: f'<http://127.0.0.1:1/{"a" * 300}?offset=99999999999999999999>; rel="next"'}, said([])[2]),
    (200, {"Location": "http://[::1"}, said()[2]),
    (201, {"Location": "\x7f" + "x" * 3000}, said()[2]),
    (200, {}, b"[" * 100_000),
    (200, {}, said("\u2028" * 1000)[2]),
)
"""What a broken platform answers; None closes the connection."""

ODD_BODIES = {answer[2] for answer in NONSENSE if answer is not None and answer[2]}
