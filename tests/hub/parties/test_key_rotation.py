"""A changed secret key: what is stored moves to the new one while the hub serves, so that the former can be taken away (S-03)."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from hub.admin import doctor
from hub.db.engine import Database, DatabaseAway
from hub.parties import repository
from hub.parties.directory import Directory
from hub.parties.key_rotation import KeyUse, Rotated, look, rotate
from hub.parties.rows import seal_token
from hub.registration.invitations import invite
from ocpi_modules.message import PartyId
from ocpi_modules.secrets import Keys, new_token, token_mac
from ocpi_modules.spec import ModuleID, Role
from ocpi_modules.status import NotAuthenticated
from tests.hub.parties.test_directory import request
from tests.hub.support import HUB, Clock, opened
from tests.support.postgres import FreshDatabase

OLD, NEW = b"o" * 32, b"n" * 32
BEFORE, BOTH, AFTER = Keys.derived_from(OLD), Keys.derived_from(NEW, OLD), Keys.derived_from(NEW)
clock = Clock()


@pytest.fixture
async def database(hub_database: FreshDatabase) -> AsyncIterator[Database]:
    async with opened(hub_database.app_dsn) as built:
        yield built


async def registered(database: Database, name: str, keys: Keys = BEFORE, *, labelled: bool = True) -> str:
    """A platform with a token in both directions; the one it calls with. `labelled`: as this program issues tokens."""
    platform_id, token = uuid4(), new_token("hubC_")
    async with database.transaction() as connection:
        await repository.add_platform(connection, platform_id, name, clock())
        await repository.store_registration(
            connection,
            platform_id,
            version="2.2.1",
            versions_url="https://partner.example/versions",
            approved_host="partner.example",
            outgoing_token=seal_token(keys, platform_id, f"theirs of {name}"),
            base64_learned=True,
            name=name,
            now=clock(),
        )
        await repository.add_token(
            connection,
            token_mac(keys.mac[0], token),
            platform_id,
            "C",
            clock(),
            retires_others=False,
            key_id=keys.ids[0] if labelled else None,
        )
        await repository.touch(connection, platform_id)
    return token


async def directory_with(database: Database, keys: Keys) -> Directory:
    directory = Directory(database, keys, HUB, clock)
    await directory.refresh()
    return directory


def ours(directory: Directory) -> dict[str, str]:
    """The tokens we call partners with."""
    tokens = {platform.name: platform.token for platform in directory.platforms()}
    return {name: token.get_secret_value() for name, token in tokens.items() if token}


async def said(database: Database, keys: Keys) -> list[tuple[str, str]]:
    """What doctor says of the key."""
    directory = Directory(database, keys, HUB, clock)
    found = await doctor.examine(database, directory, "https://hub.example", clock, keys=keys)
    return [(finding.what, finding.mend) for finding in found if "SECRET_KEY" in finding.what + finding.mend]


async def authenticates(directory: Directory, token: str) -> bool:
    try:
        await directory.authenticate(request(token, module=ModuleID.versions))
    except NotAuthenticated:
        return False
    return True


@pytest.mark.promise("S-03")
async def test_everything_moves_to_the_new_key_and_the_former_can_be_taken_away(database: Database) -> None:
    calling = await registered(database, "calls")
    quiet = await registered(database, "quiet", labelled=False)
    serving = await directory_with(database, BOTH)
    assert await authenticates(serving, calling)
    await serving.move_tokens()
    before = await look(database, BOTH, clock)
    assert (before.began_at, before.sealed, before.issued, before.is_free) == (None, 2, 2, False)
    assert (await said(database, BOTH))[0][1].startswith("ocpi-hub key rotate")

    assert await rotate(database, BOTH, clock, at_once=1) == Rotated(2, [])
    await serving.refresh()
    assert await authenticates(serving, calling)
    await serving.move_tokens()
    use = await look(database, BOTH, clock)
    assert (use.sealed, use.issued, use.platforms, use.waiting) == (0, 1, 1, ["quiet"])
    [(what, _)] = await said(database, BOTH)
    assert "1 platforms have not called since" in what
    assert what.endswith(": quiet.")

    assert await authenticates(serving, quiet)
    await serving.move_tokens()
    assert (await look(database, BOTH, clock)).is_free
    [(what, mend)] = await said(database, BOTH)
    assert (what, mend.startswith("Remove it")) == ("HUB_SECRET_KEY_PREVIOUS is set and not needed any more.", True)
    alone = await directory_with(database, AFTER)
    assert ours(alone) == {"calls": "theirs of calls", "quiet": "theirs of quiet"}
    assert [await authenticates(alone, token) for token in (calling, quiet)] == [True, True]
    assert await said(database, AFTER) == []


@pytest.mark.promise("S-03")
async def test_nothing_moves_before_the_operator_says_that_every_process_has_the_key(database: Database) -> None:
    token = await registered(database, "calls")
    new, old = await directory_with(database, BOTH), await directory_with(database, BEFORE)
    for _ in range(2):
        assert await authenticates(new, token)
        await new.move_tokens()
        await old.refresh()
        assert await authenticates(old, token)
    assert (await look(database, BOTH, clock)).issued == 1


@pytest.mark.promise("S-03")
async def test_a_token_moves_once_whatever_process_it_reaches(database: Database) -> None:
    token = await registered(database, "calls")
    await rotate(database, BOTH, clock)
    one, two = await directory_with(database, BOTH), await directory_with(database, BOTH)
    assert [await authenticates(directory, token) for directory in (one, two)] == [True, True]
    writes = Writes(database)
    for directory in (one, two):
        directory._database = writes  # type: ignore[assignment]
        for _ in range(3):
            await directory.move_tokens()
            await directory.refresh()
            assert await authenticates(directory, token)
    assert writes.begun == 2
    assert await authenticates(await directory_with(database, AFTER), token)


class Writes:
    """Counts transactions; from the one numbered `dies` on, none is committed."""

    def __init__(self, database: Database, dies: int = 1000) -> None:
        self._database = database
        self.begun = 0
        self.dies = dies

    def connection(self, deadline: float | None = None) -> Any:
        return self._database.connection(deadline)

    @contextlib.asynccontextmanager
    async def transaction(self, deadline: float | None = None) -> AsyncIterator[Any]:
        self.begun += 1
        async with self._database.transaction(deadline) as connection:
            yield connection
            if self.begun >= self.dies:
                raise DatabaseAway("killed before the commit")


@pytest.mark.promise("S-03")
@pytest.mark.parametrize("dies", [1, 2, 3, 4])
async def test_a_rotation_that_is_killed_at_any_row_leaves_what_both_keys_open_and_is_begun_again(
    database: Database, dies: int
) -> None:
    names = {"a", "b", "c"}
    tokens = [await registered(database, name) for name in names]
    with pytest.raises(DatabaseAway):
        await rotate(Writes(database, dies), BOTH, clock, at_once=1)  # type: ignore[arg-type]
    halfway = await directory_with(database, BOTH)
    assert set(ours(halfway)) == names
    assert (await look(database, BOTH, clock)).sealed == 5 - max(dies, 2)
    assert (await rotate(database, BOTH, clock, at_once=1)).sealed == 5 - max(dies, 2)
    assert [await authenticates(halfway, token) for token in tokens] == [True] * 3
    assert set(ours(await directory_with(database, AFTER))) == names


@pytest.mark.promise("S-03")
async def test_no_request_waits_for_a_token_to_move_and_an_outage_only_puts_it_off(database: Database) -> None:
    token = await registered(database, "calls")
    await rotate(database, BOTH, clock)
    directory = await directory_with(database, BOTH)
    writes = Writes(database, dies=1)
    directory._database = writes  # type: ignore[assignment]
    assert await authenticates(directory, token)
    assert writes.begun == 0
    with pytest.raises(DatabaseAway):
        await directory.move_tokens()
    writes.dies = 1000
    await directory.move_tokens()
    assert (await look(database, BOTH, clock)).is_free


@pytest.mark.promise("S-03")
async def test_an_invitation_moves_with_its_use_and_hangs_on_no_key_once_it_has_expired(database: Database) -> None:
    roles = [(Role.CPO, PartyId("NL", "ABC"))]
    token, _ = await invite(database, BEFORE, clock, "https://hub.example", HUB, roles)
    await rotate(database, BOTH, clock)
    assert (await look(database, BOTH, clock)).waiting == ["NL*ABC"]
    directory = await directory_with(database, BOTH)
    for _ in range(2):  # the first use ends the tokens before it
        assert await authenticates(directory, token)
        await directory.move_tokens()
    assert (await look(database, BOTH, clock)).is_free
    other = [(Role.CPO, PartyId("NL", "XYZ"))]
    await invite(database, BEFORE, clock, "https://hub.example", HUB, other, expires=-clock.ahead)
    assert (await look(database, BOTH, clock)).is_free


@pytest.mark.promise("S-03", "U-18")
async def test_a_key_that_was_taken_away_too_early_is_a_problem_that_names_who_suffers(database: Database) -> None:
    await registered(database, "left behind")
    use = await look(database, AFTER, clock)
    assert use == KeyUse(None, lost=["left behind"])
    [(what, mend)] = await said(database, AFTER)
    assert what == "No key that is given opens what is stored of left behind."
    assert mend.startswith("Set HUB_SECRET_KEY_PREVIOUS")


@pytest.mark.promise("S-03", "Q-16")
async def test_a_process_that_was_given_the_new_key_beforehand_understands_what_moved_and_moves_nothing_back(
    database: Database,
) -> None:
    token = await registered(database, "calls")
    prepared = await directory_with(database, Keys.derived_from(OLD, NEW))
    await rotate(database, BOTH, clock)
    moving = await directory_with(database, BOTH)
    assert await authenticates(moving, token)
    await moving.move_tokens()
    writes = Writes(database)
    prepared._database = writes  # type: ignore[assignment]
    await prepared.refresh()
    assert (ours(prepared), await authenticates(prepared, token)) == ({"calls": "theirs of calls"}, True)
    await prepared.move_tokens()
    assert writes.begun == 0
    assert (await look(database, BOTH, clock)).is_free
