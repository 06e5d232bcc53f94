"""One seed: a hub of several workers on one database, receivers, writers, and everything that can go wrong, then calm."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import structlog

from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy, Terms
from hub.db.engine import DatabaseAway
from hub.delivery.audience import Audience
from hub.delivery.destinations import Destination, Fresh
from hub.delivery.store import LEASE_SECONDS, Standing
from hub.delivery.worker import DeliveryWorker
from hub.objects.changelog import Position
from hub.objects.repository import ObjectKey
from hub.parties.platforms import Connection, Party, Platform, PlatformState, Switches
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID, Role
from tests.hub.network import NOW
from tests.simulation import virtual_time
from tests.simulation.invariants import Judge, Violated
from tests.simulation.memory import Backup, Debt, Given, Held, MemoryDatabase, MemoryStore, Transaction
from tests.simulation.receivers import ARRIVED_AFTER, KINDS, Receiver, Wire

HUB = PartyId("NL", "HUB")
CALM_AFTER = 25.0
PATIENCE = 400.0
CROWDED = 20
"""Every so many seeds there are 300 receivers."""
MODULES = (ModuleID.locations, ModuleID.tariffs, ModuleID.tokens)
SWITCHES: tuple[tuple[str, Any], ...] = (("resync", "pull"), ("send_put_for_patch", True), ("rate_cap", 5))
ENDPOINTS = {(str(one), InterfaceRole.RECEIVER): "http://x" for one in (*MODULES, ModuleID.sessions)}


class Directory:
    """What `Audience` asks: who is where, and who is connected."""

    hub_party = HUB

    def __init__(self) -> None:
        self.platforms: dict[PartyId, Platform] = {}
        self._added = 0

    def known_platform_of(self, party: PartyId) -> Platform | None:
        return self.platforms.get(party)

    def add(self, party: PartyId, role: Role, lacks: ModuleID | None = None, **switches: Any) -> Platform:
        self._added += 1
        platform = Platform(
            UUID(int=self._added),
            str(party),
            PlatformState.REGISTERED,
            endpoints={name: url for name, url in ENDPOINTS.items() if name[0] != lacks},
            parties=(Party(*party, role),),
            switches=Switches(**switches),
            connection=Connection.CONNECTED,
        )
        self.platforms[party] = platform
        return platform

    def offer(self, party: PartyId) -> Platform:
        """It has every Receiver from now on."""
        known = self.platforms[party]
        self.platforms[party] = replace(known, endpoints=ENDPOINTS, revision=known.revision + 1)
        return self.platforms[party]

    def leave(self, party: PartyId) -> None:
        known = self.platforms[party]
        self.platforms[party] = replace(
            known, state=PlatformState.UNREGISTERED, parties=(), revision=known.revision + 1
        )

    def connect(self, party: PartyId, connection: Connection) -> None:
        known = self.platforms[party]
        if known.registered and known.connection is not connection:
            self.platforms[party] = replace(known, connection=connection, revision=known.revision + 1)


class Process:
    """A worker with its store and its wire. It can be killed at any wait for the database, and stand still."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.dead = False
        self.still_until = 0.0
        self.wire = Wire(world.receivers, world.chance, world.judge, None, self._thawed)
        store = Store(self, world.database, self._around)
        self.worker = DeliveryWorker(
            store=store,
            audience=world.audience,
            door=self.wire,  # type: ignore[arg-type]
            alarm=lambda event, **fields: None,
            clock=world.loop.time,
            chance=world.chance.random,
        )
        self.worker.id = UUID(int=world.chance.getrandbits(128))
        self.wire._sender = self.worker.id
        self.task = world.loop.create_task(self.worker.run())

    def die(self) -> None:
        """kill -9: nothing it does from now on has an effect."""
        self.dead = self.task.done() or True
        self.wire.alive = False
        self.task.cancel()

    def _thawed(self) -> "asyncio.Future[None] | None":
        remaining = self.still_until - self.world.loop.time()
        return asyncio.ensure_future(asyncio.sleep(remaining)) if remaining > 0 else None  # type: ignore[arg-type]

    async def _around(self, after: bool) -> None:
        chance, loop = self.world.chance, self.world.loop
        if self.dead:
            raise DatabaseAway("dead")
        latency = 0.001 + 0.004 * chance.random()
        await asyncio.sleep(max(latency, self.still_until - loop.time()))
        if self.world.faults(0.002):
            self.die()
        elif self.world.faults(0.002):
            self.still_until = loop.time() + 12 * chance.random()
        if self.dead:
            raise DatabaseAway("dead")
        if loop.time() < self.world.database_away_until or self.world.faults(0.005):
            raise DatabaseAway("away, or committed and nobody knows" if after else "away")


class Store(MemoryStore):
    """Lets the judge see what becomes of each cursor."""

    def __init__(self, process: Process, database: MemoryDatabase, around: Callable[[bool], Awaitable[None]]) -> None:
        super().__init__(database, around)
        self._process = process

    async def renew(self, destinations: Sequence[Destination]) -> dict[PartyId, Standing]:
        given = [Given(one.party, one.epoch, one.cursor, one.walk, one.ahead) for one in destinations]
        return await self._do(lambda: self._watched(given))

    def _watched(self, given: list[Given]) -> dict[PartyId, Standing]:
        world, worker = self._process.world, self._process.worker.id
        held = [known for one in given if (known := self.database.under_lease(one)) is not None]
        before = [(one.cursor, one.walk is not None) for one in held]
        standings = self.database.renew(given, self.lease_seconds)
        for one, (cursor, walked) in zip(held, before, strict=True):
            world.judge.cursor_moved(worker, cursor, walked, one, world.receivers[one.party])
        return standings


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, *, receivers: int | None = None) -> None:
        self.chance = Random(seed)
        self.loop = asyncio.get_running_loop()
        self.calm = False
        self.database_away_until = 0.0
        self.backup: Backup | None = None
        self.gone: dict[PartyId, float] = {}
        """Who unregistered, and when."""
        crowd = seed % CROWDED == 0
        count = receivers or (300 if crowd else self.chance.choice((2, 4, 8, 16)))
        self.objects = 3 if crowd else self.chance.randint(2, 12)
        self.writes = 6 if crowd else self.chance.randint(10, 80)
        caps = (self.chance.choice((5, 30, 1000)), self.chance.choice((3, 10, 1000)))
        self.database = MemoryDatabase(self.loop.time, window_rows=caps[0], window_changes=caps[1])
        self.directory = Directory()
        self.agreements = AgreementBook()
        self.audience = Audience(self.directory, Policy(DefaultPolicy.agreement, self.agreements, lambda: NOW))  # type: ignore[arg-type]
        self.judge = Judge(self.database, self.audience, self.loop.time)
        self.receivers: dict[PartyId, Receiver] = {}
        self.owners = [PartyId("NL", f"C{number:02}") for number in range(2)]
        self.emsp = PartyId("DE", "E00")
        for owner in self.owners:
            self._join(owner, Role.CPO)
        for number in range(count):
            self._join(
                PartyId("DE", f"E{number:02}"), self.chance.choice((Role.EMSP, Role.NSP)) if number else Role.EMSP
            )
        self._agree()
        self.processes = [Process(self) for _ in range(self.chance.randint(1, 3))]

    def faults(self, probability: float) -> bool:
        return not self.calm and self.chance.random() < probability

    # The scenery

    def _register(self, party: PartyId, role: Role) -> Platform:
        switches = {name: value for name, value in SWITCHES if self.chance.random() < 0.05}
        lacks = self.chance.choice(MODULES) if self.chance.random() < 0.2 else None
        return self.directory.add(party, role, lacks, **switches)

    def _join(self, party: PartyId, role: Role) -> None:
        platform = self._register(party, role)
        receiver = Receiver(platform, party, role, grudge=f"O{self.chance.randrange(self.objects)}")
        receiver.moods = list(self._moods())
        self.receivers[party] = receiver
        self.database.destinations[party] = Held(party, platform.id, Position(0, 0), 1)

    def _moods(self) -> Iterator[tuple[float, str]]:
        yield 0.0, "healthy" if self.chance.random() < 0.5 else self.chance.choice(KINDS)
        at = 0.0
        while self.chance.random() < 0.5:
            at += CALM_AFTER * self.chance.random() / 2
            yield at, "healthy" if self.chance.random() < 0.4 else self.chance.choice(KINDS)
        yield CALM_AFTER, "healthy"

    def _agree(self) -> None:
        pairs = [frozenset((owner, other)) for owner in self.owners for other in self.receivers if other != owner]
        kept = [pair for pair in pairs if self.chance.random() < 0.95]
        for pair in set(pairs) - set(kept):
            one, other = tuple(pair)
            self.judge.unsteady |= {(one, other), (other, one)}
        self.agreements.replace({pair: Terms() for pair in kept})

    # What happens

    async def run(self) -> None:
        """Trouble, then calm until everything has converged; raises Violated."""
        helpers = [self.loop.create_task(work()) for work in (self._trouble, self._watch)]
        try:
            await asyncio.gather(*(self._writer() for _ in range(3)))
            await asyncio.sleep(max(0.0, CALM_AFTER - self.loop.time()))
            await self._calm_down()
            await self._converge()
        finally:
            for task in (*helpers, *(one.task for one in self.processes)):
                task.cancel()
            await asyncio.gather(*helpers, *(one.task for one in self.processes), return_exceptions=True)
        self.judge.verdict()

    async def _writer(self) -> None:
        chance = self.chance
        for _ in range(self.writes // 3):
            await asyncio.sleep(chance.expovariate(self.writes / 3 / 20))
            await self._transaction()

    async def _transaction(self) -> None:
        """One push, stored; its transaction stays open for a while, so that others overtake it."""
        chance, database = self.chance, self.database
        own, fresh = database.begin(), []
        module = chance.choice(MODULES)
        owner = chance.choice(self.owners) if module is not ModuleID.tokens else self.emsp
        if chance.random() < 0.1:
            self._missed_session(own)
        else:
            name = f"O{chance.randrange(self.objects)}"
            key = ObjectKey(owner, module, f"{name}|RFID" if module is ModuleID.tokens else name, "*")
            fresh = self._push(own, key, name)
        await asyncio.sleep(chance.choice((0.0, 0.002, 0.05, 0.05, 2.0)) * chance.random())
        if database.running.get(own.xid) is not own:
            return  # a backup was restored meanwhile
        if chance.random() < 0.05:
            database.rollback(own)
            return
        database.commit(own)
        hearing = [one for one in self.processes if not one.dead]
        if hearing and fresh and chance.random() < 0.9:
            chance.choice(hearing).worker.told(fresh[0])

    def _push(self, own: Transaction, key: ObjectKey, name: str) -> list[Fresh]:
        chance, known = self.chance, self.database.objects.get(key)
        living = known is not None and not known[0].deleted
        deleted = living and chance.random() < 0.1
        revoked = key.module is ModuleID.tokens and not deleted and chance.random() < 0.3
        version = self.database.write(
            own, key, lambda number: body(key, name, number), deleted=deleted, revoked=revoked
        )
        if version is None:
            return []
        if deleted:
            own.then.append(lambda: self.judge.tombstones.__setitem__(key, version))
        patch = living and not deleted and chance.random() < 0.4
        method = Method.DELETE if deleted else Method.PATCH if patch else Method.PUT
        content = b"" if deleted else body(key, name, version)
        path = f"/{key.owner.country_code}/{key.owner.party_id}/{name}"
        return [Fresh(key, version, method, path, "", content, revoked=revoked)]

    def _missed_session(self, own: Transaction) -> None:
        """A push to one party that nobody took: its latest state is owed."""
        party = self.chance.choice([one for one in self.database.destinations if one not in self.owners])
        key = ObjectKey(self.owners[0], ModuleID.sessions, "S1", str(party))
        version = self.database.write(own, key, lambda number: body(key, "S1", number))
        if version is not None:
            due = self.loop.time()
            debt = Debt(version, 0, due, "It was not there.")
            own.then.append(lambda: self._owe(party, key, debt))

    def _owe(self, party: PartyId, key: ObjectKey, debt: Debt) -> None:
        if party in self.database.destinations:
            self.database.debts[party, key] = debt

    async def _trouble(self) -> None:
        """Restarts of the dead, outages of the database, agreements that end, a log that is dropped, operators who pause, parties
        that leave and come back or hear more than before, backups that are restored."""
        chance = self.chance
        while True:
            await asyncio.sleep(0.5)
            for number, process in enumerate(self.processes):
                if process.dead and (self.calm or chance.random() < 0.3):
                    self.processes[number] = Process(self)
            self._connections()
            if self.faults(0.02):
                self.database_away_until = self.loop.time() + 8 * chance.random()
            if self.faults(0.02):
                self._agree()
            if self.faults(0.02):
                self.database.drop_log(chance.randint(1, 40))
            if self.faults(0.04):
                self.database.pause(chance.choice(list(self.database.destinations)))
            if self.faults(0.03):
                self._hears_more(chance.choice(list(self.database.destinations)))
            self._come_and_go()
            if self.faults(0.05):
                self.backup = self.database.backup()
            if self.faults(0.01) and self.backup is not None:
                await self._restore(self.backup)

    async def _restore(self, backup: Backup) -> None:
        """Every process ends, and the backup goes into a new cluster. Receivers must get again what is for everybody (F-51)."""
        for process in self.processes:
            process.die()
        await asyncio.sleep(ARRIVED_AFTER)
        self.database.restore(backup, self.chance.randint(100, self.database.next_xid))
        self.judge.begins_anew()
        for party, receiver in self.receivers.items():
            receiver.held.clear()
            receiver.accepted.clear()
            for_it = [key for key in self.database.objects if key.audience == str(party)]
            self._has(receiver, [key for key in for_it if (party, key) not in self.database.debts])
            if party in self.gone:
                self.database.leave(party)
            elif party in self.database.destinations:
                self.database.destinations[party].platform_id = receiver.platform.id
            else:
                self._leave(party)

    def _hears_more(self, party: PartyId) -> None:
        """It has a Receiver that it had not, or another role: it is walked through everything (Q-13)."""
        self.receivers[party].platform = self.directory.offer(party)
        self.database.walk_again(party)
        self.judge.owes_walk(party)

    def _come_and_go(self) -> None:
        if len(self.database.destinations) > len(self.owners) + 1 and self.faults(0.03):
            self._leave(self.chance.choice(list(self.database.destinations)))
        for party, since in list(self.gone.items()):
            if self.loop.time() > since + LEASE_SECONDS:
                self._come_back(party)

    def _leave(self, party: PartyId) -> None:
        self.directory.leave(party)
        self.database.leave(party)
        self.gone[party] = self.loop.time()
        self.judge.left(party)
        self.judge.unsteady |= {(party, other) for other in self.receivers}

    def _come_back(self, party: PartyId) -> None:
        """It reads everything there is at that moment, as a party must that registers, and hears what follows."""
        del self.gone[party]
        self.judge.gone.discard(party)
        receiver = self.receivers[party]
        receiver.platform = self._register(party, receiver.role)
        self.database.join(party, receiver.platform.id, Position(self.database.oldest_running, 0))
        self._has(receiver, [key for key in self.database.objects if key.audience in ("*", str(party))])

    def _has(self, receiver: Receiver, keys: Iterable[ObjectKey]) -> None:
        """It came by these objects as they are now, and the hub knows."""
        for key in keys:
            state, _ = self.database.objects[key]
            receiver.held[key], receiver.accepted[key] = (state.version, state.deleted), state.version

    def _connections(self) -> None:
        """HubClientInfo, in short: who is down is noticed, and who is back as well; some call us themselves."""
        now, chance = self.loop.time(), self.chance
        for party, receiver in self.receivers.items():
            if chance.random() > 0.4 or party not in self.database.destinations:
                continue
            if receiver.mood(now) == "down":
                self.directory.connect(party, Connection.OFFLINE)
                continue
            self.directory.connect(party, Connection.CONNECTED)
            if chance.random() < 0.2:
                for process in self.processes:
                    process.worker.heard(receiver.platform)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(2.0)
            for process in self.processes:
                for destination in process.worker.destinations.values():
                    self.judge.looks(destination)

    async def _calm_down(self) -> None:
        """The end of all trouble: everything is up, and every receiver calls once."""
        self.calm = True
        self.database_away_until = 0.0
        for process in self.processes:
            process.still_until = 0.0
        await asyncio.sleep(2.0)
        while self.gone:
            await asyncio.sleep(1.0)
        for party, receiver in self.receivers.items():
            self.directory.connect(party, Connection.CONNECTED)
            self.database.retry(party)
            self.database.resume(party)
            for process in self.processes:
                process.worker.heard(receiver.platform)

    async def _converge(self) -> None:
        give_up = self.loop.time() + PATIENCE
        judge = self.judge
        while (missing := judge.missing(self.receivers)) or (left_out := judge.not_walked(self.receivers)):
            if judge.first is not None:
                return
            if self.loop.time() > give_up and missing:
                judge.violated("every object converges", "; ".join(missing))
                return
            if self.loop.time() > give_up:
                judge.violated("a walk that is owed is walked to its end", "; ".join(left_out))
                return
            await asyncio.sleep(1.0)
            for party in {party for party, _ in self.database.debts}:
                self.database.retry(party)


def body(key: ObjectKey, name: str, version: int) -> bytes:
    """An object that tells its version."""
    field = "uid" if key.module is ModuleID.tokens else "id"
    text = f'{{"country_code":"{key.owner.country_code}","party_id":"{key.owner.party_id}","{field}":"{name}",'
    return f'{text}"version":{version}}}'.encode()


@contextmanager
def errors_noted(errors: list[str]) -> Iterator[None]:
    """The hub's own log says nothing here, but an unexpected exception in it is one."""

    def note(logger: Any, method: str, event: dict[str, Any]) -> str:
        errors.append(str(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, note],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def simulate(seed: int) -> int:
    """Live through one seed; how many pushes there were. Raises Violated."""

    async def live() -> int:
        world = World(seed)
        await world.run()
        return sum(receiver.pushes for receiver in world.receivers.values())

    errors: list[str] = []
    with errors_noted(errors), suppress(asyncio.CancelledError):
        pushes = virtual_time.run(live())
    if errors:
        raise Violated("no exception is swallowed", errors[0])
    return pushes
