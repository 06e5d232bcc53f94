"""The tasks that deliveries run in: used again, bounded, and none of their jobs forgotten."""

import asyncio
from uuid import uuid4

import pytest

from hub.delivery import carriers
from hub.delivery.carriers import Carriers
from hub.delivery.destinations import Destination, Pending
from hub.objects.changelog import Position
from hub.objects.repository import ObjectKey
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID

JOB = Pending(ObjectKey(PartyId("NL", "CPO"), ModuleID.locations, "L1", "*"), 1)


class Work:
    """What is carried, and what is told of it. Each job waits until its destination's gate is opened."""

    def __init__(self, most: int = 2) -> None:
        self.carriers = Carriers(self.carry, self.over, most)
        self.tasks: list[asyncio.Task[None]] = []
        self.done: list[Destination] = []
        self.ended: list[Destination] = []
        self.gates: dict[PartyId, asyncio.Event] = {}

    def to(self, name: str) -> Destination:
        destination = Destination(PartyId("DE", name), uuid4(), 1, Position(0, 0))
        self.gates[destination.party] = asyncio.Event()
        return destination

    async def carry(self, destination: Destination, pending: Pending) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert pending is JOB
        self.tasks.append(task)
        await self.gates[destination.party].wait()
        self.done.append(destination)

    def over(self, destination: Destination) -> None:
        self.ended.append(destination)

    async def give(self, destination: Destination) -> None:
        self.carriers.give(destination, JOB)
        await turns()

    async def open(self, destination: Destination) -> None:
        self.gates[destination.party].set()
        await turns()


async def turns() -> None:
    """A few turns of the loop, for what needs no more than that."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_task_carries_one_job_after_the_other() -> None:
    work = Work()
    for name in ("A", "B", "C"):
        destination = work.to(name)
        await work.give(destination)
        await work.open(destination)
    assert ([str(one.party) for one in work.ended], len(set(work.tasks))) == (["DE*A", "DE*B", "DE*C"], 1)
    await work.carriers.stop(1)


async def test_a_task_that_finds_nothing_more_to_carry_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "REST_SECONDS", 0.01)
    work = Work()
    for name in ("A", "B"):
        destination = work.to(name)
        await work.give(destination)
        await work.open(destination)
        async with asyncio.timeout(5):
            await asyncio.wait([work.tasks[-1]])
    assert work.tasks[0] is not work.tasks[1]
    assert [one.party.party_id for one in work.ended] == ["A", "B"]


async def test_no_more_than_so_many_are_at_work() -> None:
    work = Work(most=2)
    one, other = work.to("A"), work.to("B")
    await work.give(one)
    assert work.carriers.free
    await work.give(other)
    assert not work.carriers.free
    await work.open(one)
    assert work.carriers.free
    await work.carriers.stop(0)


async def test_what_is_broken_off_ends_wherever_it_stands_and_takes_no_other_with_it() -> None:
    work = Work(most=9)
    earlier, lost, kept = work.to("A"), work.to("B"), work.to("C")
    await work.give(earlier)
    await work.give(kept)
    await work.open(earlier)
    work.carriers.give(lost, JOB)  # to the task at rest, which did not begin yet
    work.carriers.give(lost, JOB)  # to a new one, which did not begin yet
    work.carriers.break_off(lost)
    await turns()
    await work.give(lost)
    work.carriers.break_off(lost)
    await turns()
    assert (work.done, work.ended) == ([earlier], [earlier, lost, lost, lost])
    await work.open(kept)
    await work.give(earlier)
    assert (work.done, work.ended) == ([earlier, kept, earlier], [earlier, lost, lost, lost, kept, earlier])
    await work.carriers.stop(1)


async def test_stopping_waits_for_what_is_under_way_and_leaves_no_task_behind() -> None:
    work, before = Work(), asyncio.all_tasks()
    resting, under_way = work.to("A"), work.to("B")
    await work.give(under_way)
    await work.give(resting)
    await work.open(resting)
    stopping = asyncio.create_task(work.carriers.stop(10))
    await turns()
    assert not stopping.done()
    await work.open(under_way)
    await stopping
    work = Work()
    stuck = work.to("C")
    await work.give(stuck)
    await work.carriers.stop(0)
    await turns()
    assert (work.done, work.ended) == ([], [stuck])
    assert asyncio.all_tasks() - before == set()
