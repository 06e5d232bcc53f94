# ruff: noqa: E501
"""`python -m tests.simulation.mutants [NAME ...]`: breaks delivery in a copy of the tree, and shows what notices.

A mistake in delivery must be noticed by an invariant of the simulation or by one of its stories. What stands in SQL or before
the delivery is broken there and must be noticed by the tests on PostgreSQL; the same mistake in the database of the simulation
must be noticed by an invariant.
"""

import re
import sys
import tempfile
from pathlib import Path

from tests.support.mutation import GREEN, SLOW, STALE, Mutant, copy_to, judge, run

SEEDS = 200
SECONDS = 300
DESTINATIONS, SENDING, WORKER = "hub/delivery/destinations.py", "hub/delivery/sending.py", "hub/delivery/worker.py"
BACKOFF, STATES = "hub/delivery/backoff.py", "hub/delivery/states.py"
CATCH_UP, WALKS = "hub/delivery/catch_up.py", "hub/delivery/walks.py"
MEMORY, REPOSITORY, LOG = (
    "tests/simulation/memory.py",
    "hub/delivery/repository.py",
    "hub/objects/changelog_repository.py",
)
AUDIENCE = "hub/delivery/audience.py"
BEGINNINGS = "hub/delivery/beginnings_repository.py"
BATCHES, ENTRIES = "hub/objects/batches.py", "hub/clearing/entries.py"
STORIES = (
    "tests/simulation/test_scenarios.py",
    "tests/simulation/test_stories.py",
    "tests/simulation/test_revoked_first.py",
)
OTHERS = {
    BACKOFF: STORIES,
    REPOSITORY: ("tests/hub/delivery/test_store_contract.py",),
    LOG: ("tests/hub/delivery/test_store_contract.py", "tests/hub/objects/test_changelog.py"),
    BEGINNINGS: ("tests/hub/delivery/test_beginnings.py", "tests/hub/registration/test_receiver.py"),
    BATCHES: (
        "tests/scenarios/test_broadcast_push.py",
        "tests/hub/objects/test_batches.py",
        "tests/scenarios/test_answers_after_the_commit.py",
    ),
    ENTRIES: ("tests/scenarios/test_answers_after_the_commit.py",),
}
"""By the file that is broken: the tests that must notice. All other mistakes are looked for by seeds, then by stories."""
COMMITTED_LATER = """
        class Early:  # answers while the commit is under way
            async def __aenter__(early):
                early.real = self._database.transaction()
                return await early.real.__aenter__()

            async def __aexit__(early, kind, error, trace):
                if kind is not None:
                    return await early.real.__aexit__(kind, error, trace)
                self.under_way = asyncio.ensure_future(early.real.__aexit__(None, None, None))
"""

MUTANTS = (
    Mutant(
        "no fencing",
        MEMORY,
        "return held if held is not None and held.epoch == destination.epoch else None",
        "return held",
    ),
    Mutant(
        "no fencing in SQL",
        REPOSITORY,
        '"WHERE own.party = given.party AND own.epoch = given.epoch "\n            "RETURNING own.party',
        '"WHERE own.party = given.party "\n            "RETURNING own.party',
    ),
    Mutant("sends to the end of the lease", WORKER, "SENDING_PART = 0.8", "SENDING_PART = 2.0"),
    Mutant(
        "cursor moved before success",
        DESTINATIONS,
        "if key is not None and not self._settled(key, version):",
        "if key is not None and key not in self.pending and not self._settled(key, 0):",
    ),
    Mutant("cursor on seq alone", MEMORY, "Row(Position(own.xid, self.next_seq), key", "Row(Position(0, self.next_seq), key"),
    Mutant("no snapshot bound", MEMORY, "return min(self.running, default=self.next_xid)", "return self.next_xid"),
    Mutant(
        "cursor on seq alone in SQL",
        LOG,
        '"WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND (xid, seq) <= ($3::text::xid8, $4::bigint) AND audience',
        '"WHERE seq > $2::bigint AND $1 <> $3 AND (xid, seq) <= ($3::text::xid8, $4::bigint) AND audience',
    ),
    Mutant(
        "no snapshot bound in SQL",
        LOG,
        "$4::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot()) ",
        "$4::bigint) ",
    ),
    Mutant(
        "no snapshot bound of what is revoked",
        LOG,
        "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, seq OFFSET $3",
        "ORDER BY xid, seq OFFSET $3",
    ),
    Mutant("two states of an object at once", DESTINATIONS, "        if key in self.in_flight:\n", "        if False:\n"),
    Mutant(
        "an old state is good for ever",
        STATES,
        "known[0].version >= version and self._clock() < known[1] + FRESH_SECONDS",
        "True",
    ),
    Mutant(
        "PATCH after an attempt",
        DESTINATIONS,
        "        self.delivered.pop(pending.key, None)\n        self._release(pending)\n        self.want(Pending(pending.key, pending.version, owed",
        "        self._release(pending)\n        self.want(Pending(pending.key, pending.version, pending.fresh, owed",
    ),
    Mutant("PATCH onto anything", DESTINATIONS, "return fresh.version == 1 or self", "return True or self"),
    Mutant(
        "entitlement asked too early",
        SENDING,
        "                if platform is not None and not self._audience.includes(destination.party, platform, pending.key):\n                    attempt = None\n",
        "",
    ),
    Mutant("an absent receiver is remembered", SENDING, "        destination.forget()\n        destination.skipping", "        destination.skipping"),
    Mutant("a debt is settled by any version", MEMORY, "if known is None or known[0].version <= version:", "if True:"),
    Mutant("told but not read again", DESTINATIONS, "                unsettled.append((change.position, change.key, change.version))\n", ""),
    Mutant("revocations wait their turn", DESTINATIONS, "lane = self.urgent or self.pending", "lane = self.pending or self.urgent"),
    Mutant("the log is read before what is revoked in it", CATCH_UP, "if one.hungry and one.forewarned]", "if one.hungry]"),
    Mutant("what is revoked is read ahead only once", DESTINATIONS, "self.live and self.forewarned and self.walking is None and not self.busy", "self.forewarned"),
    Mutant("what was told ahead is told again", DESTINATIONS, " and not (change.revoked and change.position <= ahead)", ""),
    Mutant("read ahead is as good as told", DESTINATIONS, "self.delivered, self.unsettled, self.ahead", "self.delivered, self.unsettled, self._read_ahead"),
    Mutant("how far it was told is forgotten", MEMORY, "(held.system, one.ahead)", "(held.system, Position(0, 0))"),
    Mutant("a place of another cluster in SQL", REPOSITORY, "CASE WHEN ahead[1] = system_identifier::text THEN ahead[2:3] END", "ahead[2:3]"),
    Mutant("a walk under the same epoch in SQL", BEGINNINGS, "SET epoch = epoch + 1, ", "SET "),
    Mutant("a walk under the same epoch", MEMORY, "        held.epoch += 1\n        held.system", "        held.system"),
    Mutant("a walk is over once it has begun", DESTINATIONS, "self.walk = mark.place", "self.walk = None"),
    Mutant("who fails in a walk does not walk on", DESTINATIONS, "self._read_ahead = self.ahead\n        self.walking = self.walk\n        self.live", "self._read_ahead = self.ahead\n        self.walking = None\n        self.live"),
    Mutant("a walk ends with its first stretch", WALKS, "if stretch in (LAST, ALL):", "if True:"),
    Mutant("objects outlive the roles of their owner", AUDIENCE, "home.roles_of(owner) if home is not None else _NO_ROLES", "frozenset({Role.CPO, Role.EMSP})"),
    Mutant("open while others ask for agreements", BEGINNINGS, "(SELECT FROM delivery_worker AS other WHERE NOT other.open)", "(SELECT WHERE false)"),
    Mutant("a walk in the order of keys", WALKS, 'place or (REVOKED, "", "")', 'place or ("", "", "")'),
    Mutant("a call changes nothing", WORKER, "self._heard.add(platform.id)", "return"),
    Mutant("failing for ever pauses nobody", MEMORY, "held.failing_since < now - PAUSE_DAYS * 86_400", "False"),
    Mutant("being gone for ever pauses nobody", WORKER, "        await self._pause_absent()\n", ""),
    Mutant("a receiver silences itself for a day", BACKOFF, "min(max(retry_after, QUICK_SECONDS), MOST_RETRY_AFTER_SECONDS)", "max(retry_after, QUICK_SECONDS)"),
    Mutant("poison is tried for ever", BACKOFF, "    if attempts > len(OBJECT_SECONDS):\n        return None\n", "    attempts = min(attempts, len(OBJECT_SECONDS))\n"),
    Mutant("who a hub did not reach is poison", SENDING, "delay = backoff.passing_delay if isinstance(why, Failed) and why.passing else backoff.object_delay", "delay = backoff.object_delay"),
    Mutant("a quiet receiver is held up by what it stumbles over", DESTINATIONS, "self._take_another() if self.failures and self.stumbled_over else None", "None"),
    Mutant("a restored backup goes unnoticed", WORKER, "if not lease.same_cluster and not await", "if False and not await"),
    Mutant("a floor of another cluster", MEMORY, "self.floor = Position(0, 0)  # that", "self.floor = Position(10**9, 0)  # that"),
    Mutant("all are woken at once", BACKOFF, "return chance * min(30.0, backlogged / 10)", "return 0.0"),
    Mutant(
        "a renewal moves a cursor back",
        MEMORY,
        "if one.cursor >= held.cursor:",
        "if True:",
    ),
    Mutant(
        "a renewal moves a cursor back in SQL",
        REPOSITORY,
        "greatest(given.xid::xid8, own.cursor_xid)",
        "given.xid::xid8",
    ),
    Mutant(
        "an answer before the commit",
        BATCHES,
        "        for _ in range(TRIES):\n            if member.given_up:\n                return\n            try:\n                async with self._database.transaction() as connection:",
        COMMITTED_LATER + "        for _ in range(TRIES):\n            try:\n                async with Early() as connection:",
    ),
    Mutant(
        "answers before the commit of their batch",
        BATCHES,
        "        try:\n            async with opened() as connection:\n                if any",
        COMMITTED_LATER + "        try:\n            async with Early() as connection:\n                if any",
    ),
    Mutant(
        "a CDR acknowledged before the commit",
        ENTRIES,
        "        try:\n            async with self._database.transaction() as connection:\n                first",
        "        import asyncio\n" + COMMITTED_LATER + "        try:\n            async with Early() as connection:\n                first",
    ),
)  # fmt: skip


def main(only: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    caught = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_to(tree)
        for mutant in chosen:
            verdict = judge(tree, mutant, lambda file=mutant.file: noticed(tree, file))  # type: ignore[misc]
            caught += verdict not in (GREEN, SLOW, STALE)
            print(f"{mutant.name:36} {verdict}", flush=True)
    print(f"{caught} of {len(chosen)} mutants are noticed")
    return 0 if caught == len(chosen) else 1


def noticed(tree: Path, file: str) -> str:
    """The invariants or tests that turn red, or `green`."""
    if file not in OTHERS:
        seeds = run(tree, SECONDS, "-m", "tests.simulation", "--seeds", str(SEEDS), "--processes", "1", "--until-red")
        names = sorted(set(re.findall(r"^seed \d+: ([^:]+):", seeds.stdout, re.MULTILINE)))
        if names or seeds.returncode:
            return ", ".join(names) or "red"
    tests = run(tree, SECONDS, "-m", "pytest", "--tb=no", "-rf", *OTHERS.get(file, STORIES))
    return ", ".join(re.findall(r"^FAILED \S+::(\w+)", tests.stdout, re.MULTILINE)) or GREEN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
