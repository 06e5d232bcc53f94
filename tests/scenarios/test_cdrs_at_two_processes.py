"""One CDR posted to two processes of the hub at the same moment is one attempt with one answer; the receiver's raw log counts.

mod_cdrs knows no second POST of a CDR; what the CPO's two nodes do at once, the hub must not double.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ocpi_modules import headers as names
from ocpi_modules import json
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.status import HubError
from tests.support import objects
from tests.support.hub_process import HubProcess
from tests.support.party import Party, Received, Scripted
from tests.support.postgres import FreshDatabase

ROUNDS = 20
EMSP = PartyId("DE", "XYZ")
REFUSED = Scripted(status_code=2001, message="Not ours", delay=0.1)
SLOWLY = Scripted(http_status=201, headers={names.LOCATION: "9"}, delay=0.2)


@dataclass
class Two:
    hubs: tuple[HubProcess, HubProcess]
    cpo: Party
    emsp: Party

    async def post(self, hub: HubProcess, body: dict[str, Any], deadline: float = 30.0) -> IncomingAnswer:
        path = "/" + self.cpo.hub_endpoints["cdrs", "RECEIVER"].split("/", 3)[3]
        sent = names.routing_headers(to=EMSP, sender=self.cpo.id)
        return await self.cpo.call(
            "POST", hub.url + path, self.cpo.hub_token, json.encode(body), sent, deadline=deadline
        )

    async def at_once(self, first: dict[str, Any], second: dict[str, Any]) -> list[IncomingAnswer]:
        bodies = zip(self.hubs, (first, second), strict=True)
        return list(await asyncio.gather(*(self.post(hub, body) for hub, body in bodies)))

    def arrived(self) -> Counter[str]:
        """How many POSTs of each CDR stand in the receiver's raw log."""
        return Counter(call.document["id"] for call in self.posts())

    def posts(self) -> list[Received]:
        return self.emsp.received("POST", "cdrs")


@pytest.fixture
async def two(hub_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Two]:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    urls, settings = (hub_database.app_dsn, hub_database.owner_dsn), {"HUB_DEFAULT_POLICY": "open"}
    one = HubProcess(tmp_path / "one", *urls, **settings)
    other = HubProcess(tmp_path / "other", *urls, **settings, HUB_PUBLIC_URL=one.url)
    async with Party.running(("CPO", "NL/ABC")) as cpo, Party.running(("EMSP", "DE/XYZ")) as emsp:
        with one.serving(), other.serving():
            await cpo.register(one.versions_url, one.invite("CPO:NL/ABC"))
            await emsp.register(one.versions_url, one.invite("EMSP:DE/XYZ"))
            yield Two((one, other), cpo, emsp)


def cdr(id: str, **fields: Any) -> dict[str, Any]:
    token = objects.cdr_token(country_code="DE", party_id="XYZ")
    own = {"country_code": "NL", "party_id": "ABC", "id": id, "cdr_token": token}
    return objects.cdr(**own | {"credit": None, "credit_reference_id": None} | fields)


def credit(id: str, of: str) -> dict[str, Any]:
    price = objects.price(excl_vat=Decimal(-10), incl_vat=Decimal("-12.10"))
    return cdr(id, credit=True, credit_reference_id=of, total_cost=price)


def codes(answers: list[IncomingAnswer]) -> list[int]:
    return sorted(json.decode(answer.body)["status_code"] for answer in answers)


@pytest.mark.rule("D-22", "Q-07", "F-50")
async def test_the_same_cdr_at_two_processes_at_once_reaches_its_receiver_once_in_either_mode(two: Two) -> None:
    for number in range(ROUNDS):
        two.emsp.script("POST", "cdrs", SLOWLY) if number % 2 else two.emsp.unscript("POST", "cdrs")
        answers = await two.at_once(cdr(f"C{number}"), cdr(f"C{number}"))
        assert codes(answers) == [1000, 1000]
        assert len({answer.headers["location"] for answer in answers}) == 1
    command = ["agreement", "set", "--cpo", "NL/ABC", "--emsp", "DE/XYZ", "--cdr-mode", "guaranteed"]
    await asyncio.to_thread(two.hubs[0].json, *command)
    for number in range(ROUNDS, 2 * ROUNDS):
        assert codes(await two.at_once(cdr(f"C{number}"), cdr(f"C{number}"))) == [1000, 1000]
    async with asyncio.timeout(20):
        while await asyncio.to_thread(two.hubs[0].json, "cdr", "list"):
            await asyncio.sleep(0.1)
    assert two.arrived() == Counter({f"C{number}": 1 for number in range(2 * ROUNDS)})


@pytest.mark.rule("D-22", "D-19", "D-01", "D-04")
async def test_at_once_both_hear_a_refusal_and_of_two_contents_or_two_credits_one_passes(two: Two) -> None:
    two.emsp.script("POST", "cdrs", REFUSED)
    answers = await two.at_once(cdr("NO"), cdr("NO"))
    assert [json.decode(answer.body)["status_message"] for answer in answers] == ["Not ours", "Not ours"]
    two.emsp.script("POST", "cdrs", SLOWLY)
    assert codes(await two.at_once(cdr("C1"), cdr("C1", currency="SEK"))) == [1000, 2001]
    assert any(hub.says("cdr changed") for hub in two.hubs)
    assert codes(await two.at_once(credit("C1-A", "C1"), credit("C1-B", "C1"))) == [1000, 2001]
    assert any(hub.says("cdr credited twice") for hub in two.hubs)
    assert sorted(two.arrived().values()) == [1, 1, 1]
    same = credit("NO-C", "NO")
    assert codes(await two.at_once(same, same)) == [2001, 2001]
    assert codes(await two.at_once(cdr("NO"), cdr("NO"))) == [1000, 1000]
    assert codes(await two.at_once(same, same)) == [1000, 1000]
    assert two.arrived()["NO-C"] == 1


@pytest.mark.rule("D-19", "F-01")
async def test_who_waits_for_a_process_that_is_killed_forwards_the_cdr_itself(two: Two) -> None:
    """IN_DOUBT: nobody knows whether the killed one's POST was taken, and the receiver knows the CDR by its id."""
    never = asyncio.Event()

    async def hang(request: OcpiRequest) -> OcpiResponse:
        await never.wait()
        raise HubError("too late")

    two.emsp.script("POST", "cdrs", hang, SLOWLY)
    lost = asyncio.create_task(two.post(two.hubs[0], cdr("C1")))
    await two.emsp.wait_for("POST", "cdrs")
    waiting = asyncio.create_task(two.post(two.hubs[1], cdr("C1")))
    two.hubs[0].stop(signal.SIGKILL)
    assert codes([await waiting]) == [1000]
    never.set()
    await asyncio.gather(lost, return_exceptions=True)
    assert two.arrived() == Counter({"C1": 2})
