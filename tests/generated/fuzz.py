"""Seeded requests of three partner platforms against a running hub; no answer may be an unhandled error.

    python -m tests.generated.fuzz --requests 100000 --seed 1

A request counts as passed when nothing was broken in it on purpose, the token was taken, and the hub answered 1xxx or relayed a
partner's answer. Unhandled is HTTP 500, a 3000 of the hub's own, no answer, an answer without an envelope, a crash in the log.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hub.db.embedded import open_embedded
from ocpi_modules import json
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Role
from tests.generated.calls import Call, Generator
from tests.generated.hostile import break_it
from tests.generated.platforms import ODD_BODIES, SAID, Platform
from tests.support.hub_process import HubProcess
from tests.support.postgres import FAST
from tests.support.raw_http import RawConnection, raw_server

CONNECTIONS = 12
PATIENCE_SECONDS = 60.0
_LINK = re.compile(r"<https?://[^/]+(/[^>]*)>")
_CRASHED = re.compile(r"request crashed|write failed|Traceback|\"reason\": \"\w+(Error|Exception)\"")


@dataclass
class Report:
    """What came back. `unhandled` holds a readable request and what was answered."""

    requests: int = 0
    authenticated: int = 0
    passed: int = 0
    relayed: int = 0
    seconds: float = 0.0
    http: Counter[int] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    unhandled: list[str] = field(default_factory=list)

    def note(self, call: Call, http_status: int, body: bytes) -> None:
        """Count one answer; HEAD has no body."""
        self.requests += 1
        self.http[http_status] += 1
        self.faults.update(call.faults)
        self.authenticated += http_status != 401
        code, message = _status(body) if call.method != "HEAD" else (0, "")
        from_partner = message.startswith(SAID) or body in ODD_BODIES
        self.classes[f"{code // 1000}xxx{' of a partner' if from_partner else ''}" if code else "none"] += 1
        self.relayed += from_partner
        good = from_partner or code // 1000 == 1
        self.passed += good and not call.faults
        answered = code != 0 or from_partner or call.method == "HEAD" or not call.path.startswith("/ocpi/")
        if http_status >= 500 or (code == 3000 and not from_partner) or not answered:
            self.unhandled.append(f"{_shown(call)}\n  -> {http_status} {body[:500]!r}")

    def lines(self) -> list[str]:
        share = 100 / max(1, self.requests)
        return [
            f"requests                  {self.requests} in {self.seconds:.0f} s",
            f"passed authentication     {self.authenticated} ({self.authenticated * share:.1f} %)",
            f"  and validation          {self.passed} ({self.passed * share:.1f} %)",
            f"relayed from a partner    {self.relayed}",
            "HTTP status               " + _counted(self.http),
            "OCPI status               " + _counted(self.classes),
            "broken on purpose         " + _counted(self.faults),
            f"unhandled errors          {len(self.unhandled)}",
            *self.unhandled[:20],
        ]


def _counted(counter: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counter.items(), key=str))


def _status(body: bytes) -> tuple[int, str]:
    """(status_code, status_message) of an envelope; (0, "") of what is none."""
    try:
        content = json.decode(body)
        assert isinstance(content["timestamp"], str)
        return int(content["status_code"]), str(content.get("status_message", ""))
    except Exception:
        found = re.search(rb'"status_message":"(%b says (\d{4}))"' % SAID.encode(), body)
        return (int(found[2]), found[1].decode()) if found else (0, "")


def _shown(call: Call) -> str:
    head = call.wire()[:1500].decode("utf-8", "replace")
    return f"call {call.number}, broken: {', '.join(call.faults) or 'nothing'}\n  " + head.replace("\r\n", "\n  ")


async def fuzz(
    hub: HubProcess, platforms: list[Platform], requests: int, seed: int, seconds: float = math.inf
) -> Report:
    """Send calls 0 to `requests` over some connections at once, as many of them as fit into `seconds`."""
    generator, report = Generator(platforms, seed, break_it), Report()
    begun = time.monotonic()
    numbers = itertools.takewhile(lambda number: time.monotonic() - begun < seconds, range(requests))
    await asyncio.gather(*(_work(hub.port, generator, numbers, report) for _ in range(CONNECTIONS)))
    report.seconds = time.monotonic() - begun
    log = hub.log.read_text(errors="replace")
    report.unhandled += [f"the hub's log: {line}" for line in log.splitlines() if _CRASHED.search(line)]
    return report


async def _work(port: int, generator: Generator, numbers: Iterator[int], report: Report) -> None:
    connection: RawConnection | None = None
    for number in numbers:
        call = generator.call(number)
        try:
            connection = connection or await _connect(port)
            status, headers, body = await _exchange(connection, call)
        except (OSError, EOFError, TimeoutError) as error:
            report.requests += 1
            report.unhandled.append(f"{_shown(call)}\n  -> no answer ({type(error).__name__})")
            connection = _closed(connection)
            continue
        report.note(call, status, body)
        _remember(generator, call, headers)
        if headers.get("connection", "").lower() == "close":
            connection = _closed(connection)
    _closed(connection)


async def _connect(port: int) -> RawConnection:
    return RawConnection(*await asyncio.open_connection("127.0.0.1", port))


def _closed(connection: RawConnection | None) -> None:
    if connection:
        connection.writer.transport.abort()


async def _exchange(connection: RawConnection, call: Call) -> tuple[int, dict[str, str], bytes]:
    """Answers may come before the body was taken (413), and 100 before the answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ConnectionError):
            await connection.send(call.wire())
        while True:
            head = (await connection.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
            length = 0 if call.method == "HEAD" else int(headers.get("content-length", "0"))
            status = int(line.split(" ")[1])
            if status >= 200:
                return status, headers, await connection.reader.readexactly(length)


def _remember(generator: Generator, call: Call, headers: dict[str, str]) -> None:
    if link := _LINK.search(headers.get("link", "")):
        sender = call.headers.get("OCPI-from-country-code"), call.headers.get("OCPI-from-party-id")
        if all(sender):
            generator.memory.links.append((call.platform, PartyId.of(*sender), link[1]))  # type: ignore[arg-type]
    if "/ocpi/" in (location := headers.get("location", "")):
        generator.memory.locations.append((call.platform, location[location.index("/ocpi/") :]))


@contextlib.asynccontextmanager
async def registered(hub: HubProcess, seed: int, kind: type[Platform] = Platform) -> AsyncIterator[list[Platform]]:
    """Three platforms that listen and have registered: a CPO, an eMSP, and one that is all sorts of things."""
    of = PartyId.of
    platforms = [
        kind({of("NL", "CPO"): {Role.CPO}}, f"{seed} 0"),
        kind({of("DE", "MSP"): {Role.EMSP}}, f"{seed} 1"),
        kind(
            {of("FR", "ROA"): {Role.CPO, Role.EMSP}, of("BE", "NAV"): {Role.NSP}, of("FR", "SCP"): {Role.SCSP}},
            f"{seed} 2",
        ),
    ]
    async with contextlib.AsyncExitStack() as stack:
        for platform in platforms:
            platform.port = await stack.enter_async_context(raw_server(platform.behave))
            named = [f"{role}:{'/'.join(party)}" for party, roles in platform.parties.items() for role in sorted(roles)]
            token_a = await asyncio.to_thread(hub.invite, *named)
            await platform.register(hub.port, token_a)
        yield platforms


async def run(hub: HubProcess, requests: int, seed: int, seconds: float = math.inf) -> Report:
    """Register, and fuzz; the hub serves already."""
    async with registered(hub, seed) as platforms:
        return await fuzz(hub, platforms, requests, seed, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.generated.fuzz")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="send no more after this time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, open_embedded(Path(name) / "database", FAST):
        hub = HubProcess(Path(name), f"embedded:{name}/database", HUB_DEFAULT_POLICY="open")
        with hub.serving():
            report = asyncio.run(run(hub, given.requests, given.seed, given.seconds))
    print("\n".join(report.lines()))
    return 1 if report.unhandled or report.passed * 2 < report.requests else 0


if __name__ == "__main__":
    sys.exit(main())
