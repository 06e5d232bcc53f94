"""After every fault (promises section 4): what the senders were told is what the receivers have, by their own raw requests."""

import asyncio
from pathlib import Path

from ocpi_modules import json
from tests.faults.baseline import Rest, at_rest_again
from tests.faults.history import Key
from tests.faults.states import State, state
from tests.faults.witness import Witness
from tests.faults.world import HUB, PATIENCE, World, document, eventually, rows
from tests.support.party import Party

BUDGET_SECONDS = 32.0
RECEIVED = ("locations", "tariffs")
"""What is for everybody but the CPO, who gets Tokens."""


async def check(world: World, before: Rest) -> None:
    """Raises AssertionError with a sentence. Waits for what has to converge."""
    await converge(world)
    await hub_agrees(world)
    await cdrs_once(world)
    never_backwards(world)
    answered_in_budget(world)
    silent(world)
    await alive(world)
    await at_rest_again(world, before)


async def converge(world: World) -> None:
    """C2: each receiver has the last acknowledged state of every object that is for it, and nothing else."""
    for witness in world.witnesses.values():
        modules = _modules(world, witness)
        wanted = world.history.standing(*modules)
        since = world.history.standing(*modules, since=witness.since)
        await eventually(
            lambda witness=witness, since=since, wanted=wanted: (
                not _missing(witness, since)  # type: ignore[misc]
                and witness.objects.keys() <= wanted.keys()
            ),
            what=f"the convergence of {witness.id}",
            explain=lambda witness=witness, since=since, wanted=wanted: (  # type: ignore[misc]
                f"it lacks {_missing(witness, since)[:5]} and has {sorted(witness.objects.keys() - wanted.keys())[:5]} too much"
            ),
        )
        world.notes[f"pushes to {witness.id}"] = witness.pushes


def _modules(world: World, witness: Witness) -> tuple[str, ...]:
    return ("tokens",) if witness.party is world.cpo else RECEIVED


def _missing(witness: Witness, wanted: dict[Key, State]) -> list[Key]:
    return [key for key, state in wanted.items() if not state.agrees(witness.objects.get(key))]


async def hub_agrees(world: World) -> None:
    """C2: what the hub serves on its Sender interfaces is what it was told, to the last page."""
    for party, modules in ((world.emsp, RECEIVED), (world.nsp, RECEIVED), (world.cpo, ("tokens",))):
        for module in modules:
            served = {(module, id): found for id, found in (await _all(party, module)).items()}
            wanted = world.history.standing(module)
            odd = [key for key in served.keys() | wanted.keys() if not _agree(served.get(key), wanted.get(key))]
            assert not odd, f"the hub serves {party.id} other {module} than were acknowledged: {odd[:5]}"


def _agree(one: State | None, other: State | None) -> bool:
    return one is not None and one.agrees(other)


async def _all(party: Party, module: str) -> dict[str, State]:
    """GET All at the hub itself."""
    found: dict[str, State] = {}
    while True:
        query = f"offset={len(found)}&limit=100"
        answer = await party.send("GET", module, "SENDER", to=HUB, query=query)
        assert answer.http_status == 200, answer.body[:500]
        entries = json.entries(json.members(answer.body)["data"])
        for body in entries:
            read = document(bytes(body))
            found[read.get("id") or read["uid"]] = state(read, bytes(body))
        if not list(entries) or len(found) >= int(answer.headers["x-total-count"]):
            return found


async def cdrs_once(world: World) -> None:
    """C1: every acknowledged CDR stands once in the journal with its hash, and had effect once where ids are minded."""
    received, sent = world.witness(world.emsp).cdrs, world.history.cdrs
    world.notes["raw_cdr_posts"] = world.witness(world.emsp).raw["POST", "cdrs"]
    world.notes["cdrs"] = len(sent)
    lost = [key for key, (spelling, _) in sent.items() if received.get(key) != {spelling}]
    assert not lost, f"acknowledged CDRs that did not arrive as they were sent: {lost[:5]}"
    twofold = [key for key, spellings in received.items() if len(spellings) != 1]
    assert not twofold, f"CDRs that arrived with two contents: {twofold[:5]}"
    journal = await rows(world, "SELECT id_folded, hash FROM cdr_identity")
    kept = {row["id_folded"]: row["hash"] for row in journal}
    assert len(kept) == len(journal)
    wrong = [key for key, (_, content) in sent.items() if kept.get(key.upper()) != content]
    assert not wrong, f"acknowledged CDRs that the journal lacks or has otherwise: {wrong[:5]}"


def never_backwards(world: World) -> None:
    """C3: no receiver is sent an older state of an object after a newer one, nor a part of what it was never sent."""
    for witness in world.witnesses.values():
        assert not witness.wrong, witness.wrong


def answered_in_budget(world: World) -> None:
    """C4: one answer or a broken connection, in time; what is refused is refused as unavailable, or fails where it has to."""
    assert world.history.slowest < BUDGET_SECONDS, world.history.slowest
    expected = (0, 200, 201, 503, 500 if world.failures_told else 503)
    odd = {key: n for key, n in world.history.answers.items() if key[1] not in expected}
    assert not odd, odd


def silent(world: World) -> None:
    """C5: no token and no driver's data in any log of any life, PostgreSQL's included; and no crash."""
    secrets = {token for witness in world.witnesses.values() for token in _tokens(witness.party)}
    for hub in world.hubs:
        log = hub.words(ever=True)
        assert world.canary not in log, _around(log, world.canary)
        assert not [token for token in secrets if token in log]
        assert world.failures_told or "Traceback" not in log, _around(log, "Traceback")
    log = _text(world.postgres.directory / "postgres.log")
    assert world.canary not in log, _around(log, world.canary)
    assert not [token for token in secrets if token in log]


def _tokens(party: Party) -> list[str]:
    return [token for token in (*party.our_tokens, party.hub_token) if token]


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _around(log: str, words: str) -> str:
    where = log.index(words)
    return log[max(0, where - 500) : where + 2000]


async def alive(world: World) -> None:
    """C7: every process serves, ended by nobody but us, and says so once it has forgotten that it was stopped."""
    for hub in world.hubs:
        assert hub.child.poll() is None, f"exit code {hub.child.returncode}: {hub.words()[-3000:]}"
        async with asyncio.timeout(PATIENCE):
            while (await asyncio.to_thread(hub.ready))[0] != 200:
                await asyncio.sleep(0.1)
    world.notes["restarts"] = world.restarts
