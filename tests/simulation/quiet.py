"""A world in which nothing goes wrong by itself, for stories about one promise."""

import asyncio
from random import Random
from typing import Any
from uuid import UUID

from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy, Terms
from hub.delivery.audience import Audience
from hub.delivery.destinations import Fresh
from hub.delivery.worker import DeliveryWorker
from hub.objects.changelog import Position
from hub.objects.repository import ObjectKey
from hub.parties.platforms import Connection
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID, Role
from tests.hub.network import NOW
from tests.simulation.invariants import Judge
from tests.simulation.memory import Debt, Held, MemoryDatabase, MemoryStore
from tests.simulation.receivers import Receiver, Wire
from tests.simulation.world import Directory, body

CPO = PartyId("NL", "CPO")


class Quiet:
    """One worker, one CPO and any number of eMSPs; nothing goes wrong by itself."""

    def __init__(
        self, receivers: int, database: MemoryDatabase | None = None, lease_seconds: float = 5.0, **switches: Any
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.database = database or MemoryDatabase(self.loop.time)
        self.directory = Directory()
        self.agreements = AgreementBook()
        policy = Policy(DefaultPolicy.agreement, self.agreements, lambda: NOW)
        self.audience = Audience(self.directory, policy)  # type: ignore[arg-type]
        self.judge = Judge(self.database, self.audience, self.loop.time)
        self.receivers: dict[PartyId, Receiver] = {}
        self.directory.add(CPO, Role.CPO)
        for number in range(receivers):
            party = PartyId("DE", f"{number:03}")
            self.directory.add(party, Role.EMSP, **switches)
            self.listen(party)
        self.agreements.replace({frozenset((CPO, party)): Terms() for party in self.receivers})
        self.alarms: list[tuple[float, str]] = []
        self.latency = 0.001
        self._lease_seconds = lease_seconds
        self._chance = Random(7)
        self._begin(1)

    def _begin(self, number: int) -> None:
        async def around(after: bool) -> None:
            await asyncio.sleep(self.latency)

        wire = Wire(self.receivers, self._chance, self.judge, None)
        self.worker = DeliveryWorker(
            store=MemoryStore(self.database, around, lease_seconds=self._lease_seconds),
            audience=self.audience,
            door=wire,  # type: ignore[arg-type]
            alarm=lambda event, **fields: self.alarms.append((self.loop.time(), event)),
            clock=self.loop.time,
            chance=self._chance.random,
        )
        self.worker.id = UUID(int=number)
        self.task = self.loop.create_task(self.worker.run())

    async def hand_over(self) -> None:
        """The worker ends, and another goes on."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self._begin(2)

    @property
    def all(self) -> list[Receiver]:
        return list(self.receivers.values())

    def listen(self, party: PartyId) -> Receiver:
        """This party is delivered to as well."""
        platform = self.directory.platforms[party]
        self.database.destinations[party] = Held(party, platform.id, Position(0, 0), 1)
        receiver = self.receivers[party] = Receiver(platform, party)
        return receiver

    def put(self, name: str, *, told: bool = True, method: Method = Method.PUT) -> None:
        """The CPO broadcasts a Location."""
        self._push(location(name), name, f"/NL/CPO/{name}", told=told, method=method)

    def put_tariff(self, name: str) -> None:
        """The CPO broadcasts a Tariff."""
        self._push(ObjectKey(CPO, ModuleID.tariffs, name, "*"), name, f"/NL/CPO/{name}", told=False)

    def put_token(self, owner: PartyId, name: str, *, revoked: bool = False, told: bool = True) -> None:
        """An eMSP broadcasts a Token."""
        path = f"/{owner.country_code}/{owner.party_id}/{name}"
        self._push(ObjectKey(owner, ModuleID.tokens, f"{name}|RFID", "*"), name, path, revoked=revoked, told=told)

    def miss_session(self, party: PartyId) -> None:
        """The CPO pushes a Session to one party that is not there: its latest state is owed."""
        key = ObjectKey(CPO, ModuleID.sessions, "S1", str(party))
        own = self.database.begin()
        version = self.database.write(own, key, lambda number: body(key, "S1", number))
        self.database.commit(own)
        if version is not None:
            self.database.debts[party, key] = Debt(version, 0, self.loop.time(), "It was not there.")

    def _push(
        self, key: ObjectKey, name: str, path: str, *, revoked: bool = False, told: bool, method: Method = Method.PUT
    ) -> None:
        own = self.database.begin()
        version = self.database.write(own, key, lambda number: body(key, name, number), revoked=revoked)
        self.database.commit(own)
        if told and version is not None:
            content = body(key, name, version)
            self.worker.told(Fresh(key, version, method, path, "", content, revoked=revoked))

    def set_connection(self, connection: Connection) -> None:
        for party in self.receivers:
            self.directory.connect(party, connection)
            offline = connection is Connection.OFFLINE
            self.database.destinations[party].offline_since = self.loop.time() if offline else None

    def departures(self) -> list[float]:
        """When each message left, from now on, whether it arrives or not."""
        times: list[float] = []
        sent = self.judge.sent

        def noted(sender: object, receiver: Receiver, key: ObjectKey) -> None:
            times.append(self.loop.time())
            sent(sender, receiver, key)

        self.judge.sent = noted  # type: ignore[method-assign]
        return times

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.judge.verdict()


def location(name: str) -> ObjectKey:
    """The key of what the CPO broadcasts."""
    return ObjectKey(CPO, ModuleID.locations, name, "*")
