"""A change of the secret key (S-03): what is still stored under the former one, and moving it to the present one.

    what                       how it moves                                                            when
    our tokens for partners    sealed anew, in portions                                                `ocpi-hub key rotate`
    tokens we gave out         only their MACs are stored: `Directory.move_tokens`, token in hand      the partner's next call
    personal values of traces  not at all: they are hashes                                             they go with HUB_TRACE_DAYS
    places in Links of lists   not at all: whoever follows an old Link begins the list again           within the hour, mostly

Nothing moves before `rotate`: a process that has not got the new key yet would not know what was moved. Tickets and Locations of
CDRs are random and hang on no key.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from hub.db.engine import Database
from hub.parties import key_repository, repository
from hub.parties.rows import key_of_sealed, sealed_anew
from ocpi_modules.message import Clock
from ocpi_modules.secrets import Keys

AT_ONCE = 100
"""Platforms of one transaction: for as long they are locked."""
MOST_NAMED = 20


@dataclass(frozen=True)
class Rotated:
    """How many of our tokens were sealed anew, and the platforms whose token opens under no key that is given."""

    sealed: int
    lost: list[str]


@dataclass
class KeyUse:
    """What hangs on the former key. `began_at`: since when tokens move to the present one; None: not yet.

    `waiting`: platforms whose tokens of ours move with their next call, `lost` those of which something opens under neither key;
    at most MOST_NAMED of each are named, those not heard of for longest first.
    """

    began_at: datetime | None
    sealed: int = 0
    issued: int = 0
    platforms: int = 0
    waiting: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def is_free(self) -> bool:
        """Whether nothing hangs on the former key any more."""
        return not self.sealed and not self.issued


async def look(database: Database, keys: Keys, clock: Clock) -> KeyUse:
    """What is stored under which key; opens, and shows, no token. Raises DatabaseAway."""
    present, former = keys.ids[0], keys.ids[1] if len(keys.ids) > 1 else None
    async with database.connection() as connection:
        use = KeyUse(await key_repository.rotation_began(connection, present))
        rows = await key_repository.issued_tokens(connection, clock(), present=present, former=former)
    lost = {row["name"] for row in rows if row["lost"]}
    waiting = [row for row in rows if row["tokens"]]
    use.issued, use.platforms = sum(row["tokens"] for row in waiting), len(waiting)
    use.waiting = [row["name"] for row in waiting][:MOST_NAMED]
    after = UUID(int=0)
    while platforms := await _next(database, after):
        async with database.connection() as connection:
            sealed = await key_repository.sealed_tokens(connection, platforms)
        for row in sealed:
            id = key_of_sealed(keys, row["platform_id"], row["outgoing_token"])
            use.sealed += id is not None and id != present
            lost |= {row["name"]} if id is None else set()
        after = platforms[-1]
    use.lost = sorted(lost)[:MOST_NAMED]
    return use


async def rotate(database: Database, keys: Keys, clock: Clock, *, at_once: int = AT_ONCE) -> Rotated:
    """Seal our tokens anew, and let every process move those we gave out. May be ended anywhere and begun again.

    Every process that serves has to have both keys. Raises DatabaseAway.
    """
    async with database.transaction() as connection:
        await key_repository.begin_rotation(connection, keys.ids[0], clock())
    done, after = Rotated(0, []), UUID(int=0)
    while platforms := await _next(database, after, at_once):
        portion = await _seal_anew(database, keys, platforms)
        done = Rotated(done.sealed + portion.sealed, [*done.lost, *portion.lost])
        after = platforms[-1]
    return done


async def _next(database: Database, after: UUID, most: int = AT_ONCE) -> list[UUID]:
    async with database.connection() as connection:
        return await key_repository.platforms_after(connection, after, most)


async def _seal_anew(database: Database, keys: Keys, platforms: list[UUID]) -> Rotated:
    """One transaction; `touch` locks the platforms, and makes every process read that their tokens move."""
    moved: dict[UUID, bytes] = {}
    lost = []
    async with database.transaction() as connection:
        await repository.touch(connection, *platforms)
        for row in await key_repository.sealed_tokens(connection, platforms):
            platform_id, sealed = row["platform_id"], row["outgoing_token"]
            id = key_of_sealed(keys, platform_id, sealed)
            if id is None:
                lost.append(row["name"])
            elif id != keys.ids[0]:
                moved[platform_id] = sealed_anew(keys, platform_id, sealed)
        if moved:
            await key_repository.store_sealed(connection, list(moved), list(moved.values()))
    return Rotated(len(moved), lost)
