"""What the hub answers 1000 to is stored: one that dies with the commit has told nobody that it took it (contracts 10)."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from hub.agreements.policy import CdrMode, Terms
from ocpi_modules import envelope, headers, json
from ocpi_modules.http.failures import SendFailed
from ocpi_modules.message import PartyId
from tests.hub.network import CPO, EMSP, FailingCommit, network
from tests.support import objects
from tests.support.hub_process import HubProcess, wait_until
from tests.support.party import Party
from tests.support.postgres import FreshDatabase

OWN = {"country_code": CPO.country_code, "party_id": CPO.party_id}
TOKEN = objects.cdr_token(country_code=EMSP.country_code, party_id=EMSP.party_id)
CDR = json.encode(objects.cdr(**OWN, id="CDR1", cdr_token=TOKEN, credit=None, credit_reference_id=None))


@dataclass(frozen=True)
class Pushed:
    """A message of the CPO, and the bytes that stand in what is stored of it."""

    method: str
    module: str
    path: str
    body: bytes
    mark: bytes
    to: PartyId | None = None


def location(number: int) -> Pushed:
    body = json.encode(objects.location(**OWN, id=f"L{number}", last_updated="2026-03-01T12:00:01Z"))
    return Pushed("PUT", "locations", f"/NL/CPO/L{number}", body, body)


def name_of(number: int) -> Pushed:
    body = json.encode({"name": f"new {number}", "last_updated": "2026-03-01T12:00:02Z"})
    return Pushed("PATCH", "locations", f"/NL/CPO/L{number}", body, b'"new %d"' % number)


def tariff(name: str) -> Pushed:
    text = [objects.display_text(text=name)]
    body = json.encode(objects.tariff(**OWN, id="T1", tariff_alt_text=text, last_updated="2026-03-01T12:00:01Z"))
    return Pushed("PUT", "tariffs", "/NL/CPO/T1", body, body)


@dataclass
class Doomed:
    """A hub process that dies with its next commit of the write that `flag` names, and its partners."""

    hub: HubProcess
    flag: Path
    cpo: Party
    dsn: str

    async def missing(self, pushes: Sequence[Pushed]) -> list[Pushed]:
        """Those of which nothing is stored."""
        connection = await asyncpg.connect(self.dsn, timeout=5)
        try:
            rows = await connection.fetch("SELECT body FROM kept_object UNION SELECT body FROM cdr")
        finally:
            await connection.close()
        return [pushed for pushed in pushes if not any(pushed.mark in row["body"] for row in rows)]

    async def send(self, pushed: Pushed) -> int:
        """The OCPI status; 0 when there was no answer."""
        try:
            url = self.cpo.hub_endpoints[pushed.module, "RECEIVER"] + pushed.path
            routing = headers.routing_headers(to=pushed.to, sender=CPO)
            answer = await self.cpo.call(pushed.method, url, self.cpo.hub_token, pushed.body, routing, deadline=20)
        except SendFailed:
            return 0
        content = envelope.read(answer.body)
        return content.status_code if content else -1

    async def died(self) -> bool:
        return await asyncio.to_thread(self.hub.process.wait, 20) == -signal.SIGKILL

    async def start(self) -> None:
        self.hub.log.write_bytes(b"")
        self.hub.start()
        await asyncio.to_thread(wait_until, lambda: self.hub.says("The hub serves"))


@pytest.fixture
async def doomed(hub_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Doomed]:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn, HUB_DEFAULT_POLICY="open")
    flag = tmp_path / "armed"
    hub.run_by = ("tests.support.dies_at_commit", str(flag))
    async with AsyncExitStack() as stack:
        cpo = await stack.enter_async_context(Party.running(("CPO", "NL/CPO")))
        emsp = await stack.enter_async_context(Party.running(("EMSP", "DE/MSP")))
        here = Doomed(hub, flag, cpo, hub_database.admin_dsn)
        await here.start()
        stack.callback(lambda: hub.stop())
        for partner, role in ((cpo, "CPO:NL/CPO"), (emsp, "EMSP:DE/MSP")):
            await partner.register(hub.versions_url, await asyncio.to_thread(hub.invite, role))
        yield here


@pytest.mark.timeout(180)
@pytest.mark.rule("F-01", "R-36")
async def test_a_kill_at_the_commit_loses_nothing_that_was_acknowledged(doomed: Doomed) -> None:
    """Broadcasts of one batch, of new objects and of known ones, one alone that comes back, and a guaranteed CDR."""
    pair = ["--cpo", str(CPO).replace("*", "/"), "--emsp", str(EMSP).replace("*", "/")]
    await asyncio.to_thread(doomed.hub.json, "agreement", "set", *pair, "--cdr-mode", "guaranteed")
    for number in range(8):
        assert await doomed.send(location(number)) == 1000
    for gone in (tariff("gone"), Pushed("DELETE", "tariffs", "/NL/CPO/T1", b"", b"")):
        assert await doomed.send(gone) == 1000
    new = [location(number) for number in range(8, 16)]
    cdr = Pushed("POST", "cdrs", "", CDR, CDR, EMSP)
    batch = [name_of(number) for number in range(8)]
    writes = {"add_objects": new, "update_objects": batch, "log_change": [tariff("back")], "insert_cdr": [cdr]}
    for write, pushes in writes.items():
        doomed.flag.write_text(write)
        answers = await asyncio.gather(*(doomed.send(one) for one in pushes))
        assert await doomed.died()
        acknowledged = [one for one, code in zip(pushes, answers, strict=True) if code == 1000]
        assert await doomed.missing(acknowledged) == []
        assert 0 in answers
        doomed.flag.unlink()
        await doomed.start()
        assert await asyncio.gather(*(doomed.send(one) for one in pushes)) == [1000] * len(pushes)
        assert await doomed.missing(pushes) == []


@pytest.mark.rule("Q-04")
async def test_a_guaranteed_cdr_whose_commit_fails_is_not_acknowledged(hub_database: FreshDatabase) -> None:
    async with network(hub_database, wrap=FailingCommit) as net:
        net.policy.replace({frozenset((CPO, EMSP)): Terms(cdr_mode=CdrMode.guaranteed)})
        net.seen_database.away = True
        answer = await net.call(net.cpo, "POST", "/receiver/cdrs", CDR, to=EMSP)
        assert (answer.http_status, answer.status_code) == (503, 3000)
        net.seen_database.away = False
        assert await net.rows("SELECT * FROM cdr_identity") == []
        answer = await net.call(net.cpo, "POST", "/receiver/cdrs", CDR, to=EMSP)
        assert (answer.http_status, answer.status_code) == (201, 1000)
