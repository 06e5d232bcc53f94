"""After every fault (promises section 4): what the senders were told is what the receivers have, by their own raw logs."""

from collections import Counter
from typing import Any

import asyncpg

from hub.clearing.canonical import content_hash
from tests.faults.world import World, document, eventually
from tests.support.party import Party, Received

BUDGET_SECONDS = 32.0


async def check(world: World) -> None:
    """Raises AssertionError with a sentence. Waits for what has to converge."""
    await converge(world)
    await cdrs_once(world)
    never_backwards(world)
    answered_in_budget(world)
    silent(world)
    await alive(world)


async def converge(world: World) -> None:
    """C2: at every receiver the last state of each location is the last acknowledged one, and nothing else was sent."""
    wanted = {key: body for (module, key), body in world.history.acknowledged.items() if module == "locations"}
    for receiver in world.receivers:
        await eventually(
            lambda receiver=receiver: states(receiver) == wanted,  # type: ignore[misc]
            what=f"the convergence of {receiver.id}",
        )


async def cdrs_once(world: World) -> None:
    """C1: every acknowledged CDR stands once in the journal with its hash, and had effect once where ids are minded."""
    received = world.emsp.received("POST", "cdrs")
    effects = {document(call.body)["id"]: call.body for call in received}
    world.notes["raw_cdr_posts"] = len(received)
    world.notes["cdrs"] = len(world.history.cdrs)
    assert {key: effects.get(key) for key in world.history.cdrs} == world.history.cdrs
    bodies: dict[str, set[bytes]] = {}
    for call in received:
        bodies.setdefault(document(call.body)["id"], set()).add(call.body)
    assert all(len(spellings) == 1 for spellings in bodies.values())
    journal = await rows(world, "SELECT id_folded, hash FROM cdr_identity")
    kept = {row["id_folded"]: row["hash"] for row in journal}
    assert len(kept) == len(journal)
    for key, body in world.history.cdrs.items():
        assert kept[key.upper()] == content_hash(document(body)), key


def never_backwards(world: World) -> None:
    """C3: no receiver is sent an older state of an object after a newer one."""
    for receiver in world.receivers:
        newest: dict[str, str] = {}
        for call in _pushes(receiver):
            stamp = document(call.body)["last_updated"]
            assert stamp >= newest.get(call.raw_path, ""), f"{receiver.id} got {call.raw_path} backwards"
            newest[call.raw_path] = stamp


def answered_in_budget(world: World) -> None:
    """C4: an answer or a broken connection, in time; what is refused is refused as unavailable."""
    assert world.history.slowest < BUDGET_SECONDS, world.history.slowest
    odd = {key: n for key, n in world.history.answers.items() if key[1] >= 500 and key[1] != 503}
    assert not odd, odd


def silent(world: World) -> None:
    """C5: no token in any log."""
    tokens = [token for party in (world.cpo, *world.receivers) for token in (*party.our_tokens, party.hub_token)]
    for hub in world.hubs:
        log = hub.log.read_text(errors="replace")
        assert not [token for token in tokens if token and token in log]
        assert "Traceback" not in log, log[log.index("Traceback") :][:2000]


async def alive(world: World) -> None:
    """C7: every process serves, and says so once it has forgotten that it was stopped."""
    for hub in world.hubs:
        assert hub.process.poll() is None
        await eventually(lambda hub=hub: hub.ready()[0] == 200, what="readiness")  # type: ignore[misc]


def states(receiver: Party) -> dict[str, bytes]:
    """What a receiver has of locations that minds what it is sent, by id."""
    return {call.raw_path.rpartition("/")[2]: call.body for call in _pushes(receiver)}


def counts(world: World) -> Counter[str]:
    """How many raw pushes each receiver got."""
    return Counter({str(receiver.id): len(_pushes(receiver)) for receiver in world.receivers})


async def rows(world: World, query: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(world.postgres.dsn("hub_template"), timeout=5)
    try:
        return [dict(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def _pushes(receiver: Party) -> list[Received]:
    return receiver.received("PUT", "locations")
