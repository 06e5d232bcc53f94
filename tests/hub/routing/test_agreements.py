"""Agreements as they are stored and asked."""

from hub.agreements import book, repository
from hub.agreements.policy import AgreementBook, DefaultPolicy, Policy
from hub.db.engine import Database, open_pool
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID
from tests.support.postgres import FreshDatabase

CPO, EMSP, OTHER = PartyId("NL", "CPO"), PartyId("DE", "MSP"), PartyId("FR", "OTH")


async def test_an_agreement_holds_in_both_directions_for_its_modules(hub_database: FreshDatabase) -> None:
    database = Database(await open_pool(hub_database.app_dsn, application_name="test"))
    try:
        async with database.transaction() as connection:
            await repository.put_agreement(connection, CPO, EMSP, [ModuleID.sessions])
            await repository.put_agreement(connection, CPO, OTHER, [ModuleID.cdrs])
            await repository.put_agreement(connection, CPO, OTHER, [])
        agreements = AgreementBook()
        await book.read(agreements, database)
    finally:
        await database.close()
    policy = Policy(DefaultPolicy.agreement, agreements)
    assert policy.allows(CPO, EMSP, ModuleID.sessions)
    assert policy.allows(EMSP, CPO, ModuleID.sessions)
    assert not policy.allows(CPO, EMSP, ModuleID.cdrs)
    assert policy.allows(OTHER, CPO, ModuleID.tokens)
    assert not policy.allows(EMSP, OTHER, ModuleID.tokens)
    assert Policy(DefaultPolicy.open, agreements).allows(EMSP, OTHER, ModuleID.tokens)
