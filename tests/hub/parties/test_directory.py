"""The directory: who is it, where does a party live, and what other processes changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
import pytest

from hub.db.engine import Database, DatabaseAway
from hub.parties import repository
from hub.parties.directory import WATCH_SECONDS, Directory
from hub.parties.platforms import Platform, PlatformState
from hub.parties.switches import Switches
from hub.parties.tables import PartiesTable
from ocpi_modules import envelope, headers
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.registry import MODULES
from ocpi_modules.secrets import Keys, new_token, token_mac
from ocpi_modules.spec import Method, ModuleID, Role
from ocpi_modules.status import InvalidParameters, NotAuthenticated, NotAvailable
from tests.hub.support import HUB, KEYS, SmallHub, opened
from tests.support.party import Party
from tests.support.postgres import FreshDatabase

CPO, EMSP = ("CPO", "NL/ABC"), ("EMSP", "NL/ABC")
ABC = PartyId("NL", "ABC")


def request(
    token: str, sender: PartyId | None = None, *, module: ModuleID = ModuleID.locations, base64: bool = True
) -> OcpiRequest:
    endpoint = next(item for item in MODULES[module].endpoints if item.method is Method.GET)
    return OcpiRequest(
        Method.GET, module, endpoint, sender=sender, authorization=headers.authorization(token, base64_encoded=base64)
    )


class CountingDatabase:
    """Counts readings; away while `away` is set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.readings = 0
        self.away = False

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        self.readings += 1
        if self.away:
            raise DatabaseAway("PostgreSQL is away in this test.")
        async with self._database.connection() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.away:
            raise DatabaseAway("PostgreSQL is away in this test.")
        async with self._database.transaction() as connection:
            yield connection


def directory_on(database: object, hub: SmallHub, keys: Keys = KEYS) -> Directory:
    return Directory(cast(Database, database), keys, HUB, hub.clock)


async def registered(hub: SmallHub, party: Party, *roles: tuple[str, str]) -> IncomingAnswer:
    await party.register(hub.versions_url, await hub.invite(*roles))
    return await party.send("GET", "locations", "SENDER")


@pytest.mark.rule("R-31", "R-09", "X-10")
async def test_a_second_process_knows_a_fresh_registration_at_once(hub: SmallHub, hub_database: FreshDatabase) -> None:
    async with Party.running(CPO) as party, opened(hub_database.app_dsn) as database:
        other = directory_on(database, hub)
        await other.refresh()
        await registered(hub, party, CPO)
        caller = await other.authenticate(request(party.hub_token))
        assert caller.party == ABC
        unaware = directory_on(database, hub)
        platform = await unaware.platform_of(PartyId("nl", "Abc"))
        assert platform is not None
        assert platform.serves(ABC)


@pytest.mark.rule("X-13", "X-06", "X-08", "X-14")
@pytest.mark.promise("S-02")
async def test_every_spelling_of_the_token_is_recognised(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        token = party.hub_token
        encoded = headers.authorization(token)
        for authorization in (encoded, f"Token {token}", encoded.replace("Token", "token")):
            found = await hub.directory.authenticate(
                OcpiRequest(
                    Method.GET,
                    ModuleID.locations,
                    MODULES[ModuleID.locations].endpoints[0],
                    authorization=authorization,
                )
            )
            assert found.token.get_secret_value() == token
            assert found.base64 is (token not in authorization)


@pytest.mark.rule("X-11", "X-14")
@pytest.mark.parametrize("authorization", ["", "Token", "Token ", "Bearer abc", "Token abc def", "Token " + "x" * 300])
async def test_no_token_or_an_unknown_one_is_401(hub: SmallHub, authorization: str) -> None:
    endpoint = MODULES[ModuleID.locations].endpoints[0]
    with pytest.raises(NotAuthenticated) as refused:
        await hub.directory.authenticate(
            OcpiRequest(Method.GET, ModuleID.locations, endpoint, authorization=authorization)
        )
    assert refused.value.http_status == 401


@pytest.mark.rule("R-07", "R-06", "R-09")
@pytest.mark.promise("S-10")
async def test_from_must_be_a_party_of_the_platform(hub: SmallHub) -> None:
    async with Party.running(CPO, EMSP) as single, Party.running(("CPO", "DE/ONE"), ("CPO", "DE/TWO")) as double:
        await registered(hub, single, CPO, EMSP)
        await registered(hub, double, ("CPO", "DE/ONE"), ("CPO", "DE/TWO"))
        assert (await hub.directory.authenticate(request(single.hub_token))).party == ABC
        lower = await hub.directory.authenticate(request(double.hub_token, PartyId("de", "two")))
        assert lower.party == PartyId("DE", "TWO")
        with pytest.raises(InvalidParameters, match="NL\\*ABC"):
            await hub.directory.authenticate(request(double.hub_token, ABC))
        with pytest.raises(InvalidParameters, match="OCPI-from"):
            await hub.directory.authenticate(request(double.hub_token))
        quiet = await hub.directory.authenticate(request(double.hub_token, module=ModuleID.hubclientinfo))
        assert quiet.party is None


async def test_a_thousand_callers_with_unknown_tokens_cost_few_readings(hub: SmallHub) -> None:
    counting = CountingDatabase(hub.database)
    directory = directory_on(counting, hub)
    tries = [directory.authenticate(request(new_token("hubC_"))) for _ in range(1000)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(result, NotAuthenticated) for result in results)
    assert counting.readings <= 3
    token = new_token("hubC_")
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await directory.authenticate(request(token))
    assert counting.readings <= 4


@pytest.mark.rule("X-11")
async def test_while_the_database_is_away_known_tokens_work_and_unknown_ones_are_503(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        counting = CountingDatabase(hub.database)
        directory = directory_on(counting, hub)
        await directory.refresh()
        counting.away = True
        assert (await directory.authenticate(request(party.hub_token))).party == ABC
        for ask in (directory.authenticate(request("unknown")), directory.platform_of(PartyId("XX", "YYY"))):
            with pytest.raises(NotAvailable) as refused:
                await ask
            assert refused.value.http_status == 503
            assert refused.value.headers["Retry-After"]
        counting.away = False
        with pytest.raises(NotAuthenticated):
            await directory.authenticate(request("unknown"))


@pytest.mark.promise("S-05")
async def test_what_another_process_ends_is_dead_here_within_a_second(
    hub: SmallHub, hub_database: FreshDatabase
) -> None:
    async with Party.running(CPO) as party, opened(hub_database.app_dsn) as database:
        await registered(hub, party, CPO)
        other = directory_on(database, hub)
        changed: list[Platform] = []
        other.listeners.append(changed.append)
        watching = asyncio.create_task(other.watch())
        try:
            async with asyncio.timeout(5):
                while not changed:
                    await asyncio.sleep(0.01)
            assert (await other.authenticate(request(party.hub_token))).party == ABC
            changed.clear()
            await party.unregister()
            async with asyncio.timeout(1.0 + WATCH_SECONDS):
                while not changed:
                    await asyncio.sleep(0.01)
            assert changed[-1].state is PlatformState.UNREGISTERED
            with pytest.raises(NotAuthenticated):
                await other.authenticate(request(party.hub_token))
        finally:
            watching.cancel()


@pytest.mark.rule("C-15")
@pytest.mark.promise("S-01", "S-03", "S-07")
async def test_no_token_stands_readable_in_the_database_or_in_a_repr(
    hub: SmallHub, hub_database: FreshDatabase
) -> None:
    async with Party.running(CPO) as party:
        token_a = await hub.invite(CPO)
        await party.register(hub.versions_url, token_a)
        admin = await asyncpg.connect(hub_database.admin_dsn)
        try:
            names = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            rows = [str(await admin.fetch(f"SELECT t::text FROM {name['tablename']} t")) for name in names]
        finally:
            await admin.close()
        platform = await hub.directory.platform_of(ABC)
        seen = "".join(rows) + repr(platform) + repr(await hub.directory.authenticate(request(party.hub_token)))
        for token in (token_a, party.hub_token, party.our_tokens[0]):
            assert token not in seen
            assert token.encode().hex() not in seen


@pytest.mark.promise("S-03")
async def test_a_sealed_token_moved_to_another_platform_does_not_open(
    hub: SmallHub, hub_database: FreshDatabase
) -> None:
    async with Party.running(CPO) as one, Party.running(("CPO", "DE/TWO")) as two:
        await registered(hub, one, CPO)
        await registered(hub, two, ("CPO", "DE/TWO"))
        admin = await asyncpg.connect(hub_database.admin_dsn)
        try:
            await admin.execute(
                "UPDATE platform SET outgoing_token = (SELECT outgoing_token FROM platform p JOIN party USING (platform_id)"
                " WHERE party_id = 'ABC') WHERE platform_id = (SELECT platform_id FROM party WHERE party_id = 'TWO')"
            )
        finally:
            await admin.close()
        fresh = directory_on(hub.database, hub)
        assert await fresh.platform_of(ABC) is not None
        assert await fresh.platform_of(PartyId("DE", "TWO")) is None


async def test_tokens_of_the_previous_secret_key_still_work(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        newer = Keys.derived_from(b"n" * 32, b"0123456789abcdef0123456789abcdef")
        rotated = directory_on(hub.database, hub, newer)
        caller = await rotated.authenticate(request(party.hub_token))
        assert caller.platform.token is not None
        assert caller.platform.token.get_secret_value() == party.our_tokens[0]
        lost = directory_on(hub.database, hub, Keys.derived_from(b"n" * 32))
        with pytest.raises(NotAuthenticated):
            await lost.authenticate(request(party.hub_token))


async def test_a_suspended_platform_is_refused(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        async with hub.database.transaction() as connection:
            await repository.set_state(connection, platform.id, "SUSPENDED")
            await repository.touch(connection, platform.id)
        await hub.directory.refresh()
        with pytest.raises(NotAuthenticated, match="suspended"):
            await hub.directory.authenticate(request(party.hub_token))


async def test_a_party_is_found_as_it_is_now_however_often_it_was_asked_for(hub: SmallHub) -> None:
    async with Party.running(CPO) as party, Party.running(("EMSP", "DE/XYZ")) as other:
        await registered(hub, party, CPO)
        await registered(hub, other, ("EMSP", "DE/XYZ"))
        before = hub.directory.known_platform_of(ABC)
        assert before is not None
        assert hub.directory.known_platform_of(PartyId("nl", "abc")) is before
        async with hub.database.transaction() as connection:
            await repository.set_state(connection, before.id, "SUSPENDED")
            await repository.touch(connection, before.id)
        await hub.directory.refresh()
        after = hub.directory.known_platform_of(ABC)
        assert (after, after and after.state) == (hub.directory.platform(before.id), PlatformState.SUSPENDED)
        assert hub.directory.known_platform_of(PartyId("NL", "AB")) is None


async def test_a_value_that_came_to_mean_two_platforms_is_refused_although_it_was_recognised_before(
    hub: SmallHub,
) -> None:
    """The same Authorization value: one platform's token in Base64, and another's as it stands."""
    async with Party.running(CPO) as party, Party.running(("EMSP", "DE/XYZ")) as other:
        await registered(hub, party, CPO)
        await registered(hub, other, ("EMSP", "DE/XYZ"))
        asked = request(party.hub_token)
        assert (await hub.directory.authenticate(asked)).party == ABC
        platform = await hub.directory.platform_of(PartyId("DE", "XYZ"))
        assert platform is not None
        mac = token_mac(KEYS.mac[0], asked.authorization.removeprefix("Token "))
        async with hub.database.transaction() as connection:
            await repository.add_token(connection, mac, platform.id, "C", hub.clock(), retires_others=False)
            await repository.touch(connection, platform.id)
        await hub.directory.refresh()
        with pytest.raises(NotAuthenticated):
            await hub.directory.authenticate(asked)


async def test_switches_of_a_platform_are_read(hub: SmallHub) -> None:
    async with Party.running(CPO) as party:
        await registered(hub, party, CPO)
        platform = await hub.directory.platform_of(ABC)
        assert platform is not None
        stored = {"push_timeout": 3, "strict": True, "later": 1, "endpoint_overrides": {"cdrs:SENDER": "http://x/cdrs"}}
        async with hub.database.transaction() as connection:
            await repository.set_switches(connection, platform.id, stored)
            await repository.touch(connection, platform.id)
        await hub.directory.refresh()
        changed = hub.directory.platform(platform.id)
        assert changed is not None
        assert changed.switches == Switches(
            push_timeout=3.0, strict=True, endpoint_overrides={"cdrs:SENDER": "http://x/cdrs"}
        )
        assert {module: url for (module, side), url in changed.endpoints.items() if side == "SENDER"}[
            "cdrs"
        ] == "http://x/cdrs"


async def test_two_processes_that_use_a_token_first_agree(hub: SmallHub, hub_database: FreshDatabase) -> None:
    async with Party.running(CPO) as party, opened(hub_database.app_dsn) as database:
        await party.register(hub.versions_url, await hub.invite(CPO))
        other = directory_on(database, hub)
        callers = await asyncio.gather(
            *(directory.authenticate(request(party.hub_token)) for directory in (hub.directory, other) * 10)
        )
        assert {caller.party for caller in callers} == {ABC}
        async with database.connection() as connection:
            mac = token_mac(KEYS.mac[0], party.hub_token)
            rows = await repository.changed_platforms(connection, 0)
        assert [bytes(token[0]) for token in rows[0]["tokens"]] == [mac]


async def test_the_tables_are_described_as_they_are(hub_database: FreshDatabase) -> None:
    connection = await asyncpg.connect(hub_database.admin_dsn)
    try:
        for table in PartiesTable.metadata.sorted_tables:
            rows = await connection.fetch(
                "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = $1", table.name
            )
            real = {row["column_name"]: row["is_nullable"] == "YES" for row in rows}
            assert real == {column.name: bool(column.nullable) for column in table.columns}, table.name
    finally:
        await connection.close()


async def test_a_registration_that_another_process_ended_a_moment_ago_is_known_at_once(
    hub: SmallHub, hub_database: FreshDatabase
) -> None:
    """The other process read the platform while it was registering: token known, platform not registered yet."""
    async with Party.running(("CPO", "NL/ABC")) as party, opened(hub_database.app_dsn) as database:
        other = Directory(database, KEYS, HUB, hub.clock)

        async def look_meanwhile(_: OcpiRequest) -> OcpiResponse:
            await other.refresh()
            return envelope.success(party.credentials("partyC_their-token"), now=hub.clock())

        party.script("POST", "credentials", look_meanwhile)
        approved = [(Role.CPO, ABC)]
        await hub.registration.connect(party.versions_url, party.issue_token_a(), approved)
        token = party.received("POST", "credentials")[0].document["token"]
        assert (await other.authenticate(request(token))).platform.registered
