"""Invitations: the operator names parties and gets a Token A for their platform (C-02, C-40, S-04)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from hub.db.engine import Database
from hub.parties import repository
from hub.parties.platforms import PlatformState
from ocpi_modules.http.paths import versions_url
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.secrets import Keys, new_token, token_mac
from ocpi_modules.spec import Role

DEFAULT_LIFE = timedelta(days=7)


class InvitationRefused(Exception):
    """One sentence: what stands in the way and the way out."""


async def invite(
    database: Database,
    keys: Keys,
    clock: Clock,
    public_url: str,
    hub_party: PartyId,
    parties: Sequence[tuple[Role, PartyId]],
    *,
    expires: timedelta = DEFAULT_LIFE,
    name: str | None = None,
) -> tuple[str, str]:
    """A new Token A bound to these roles, and the versions URL to hand over with it: (token_a, versions_url).

    The parties are claimed by one platform from now on. A second invitation of the same parties replaces the first, and lets
    the platform come back from another host. Raises InvitationRefused, DatabaseAway.
    """
    token = new_token("hubA_")
    now = clock()
    async with database.transaction() as connection:
        platform_id = await plan_platform(connection, hub_party, parties, clock, name)
        await repository.drop_tokens(connection, platform_id, ["A"])
        mac = token_mac(keys.mac[0], token)
        await repository.add_token(connection, mac, platform_id, "A", now, expires_at=now + expires, key_id=keys.ids[0])
        await repository.approve_host(connection, platform_id, None)
        await repository.touch(connection, platform_id)
    return token, versions_url(public_url)


async def plan_platform(
    connection: Any, hub_party: PartyId, parties: Sequence[tuple[Role, PartyId]], clock: Clock, name: str | None = None
) -> UUID:
    """The platform these parties belong to, made when nobody has them yet, with their roles approved.

    Raises InvitationRefused when they belong to a registered platform, to several, or to the hub.
    """
    wanted = [(role, PartyId.of(*party)) for role, party in parties]
    refuse_impossible(wanted, hub_party)
    ids = list(dict.fromkeys((party.country_code, party.party_id) for _, party in wanted))
    owners = await repository.claim_owners(connection, ids)
    for owner in owners:
        _refuse_registered(owner)
    platforms = {owner["platform_id"] for owner in owners}
    if len(platforms) > 1:
        raise InvitationRefused("These parties belong to several platforms; invite each platform by itself.")
    platform_id: UUID = platforms.pop() if platforms else uuid4()
    if not owners:
        title = name or ", ".join(str(PartyId(*party)) for party in ids)
        await repository.add_platform(connection, platform_id, title, clock())
    await approve(connection, platform_id, wanted, clock)
    return platform_id


async def approve(connection: Any, platform_id: UUID, parties: Sequence[tuple[Role, PartyId]], clock: Clock) -> None:
    """Let a platform register these roles, now or by a later PUT credentials (C-36). Raises InvitationRefused."""
    ids = list(dict.fromkeys((party.country_code, party.party_id) for _, party in parties))
    await repository.lock_platform(connection, platform_id)
    await repository.claim(connection, platform_id, ids)
    for owner in await repository.claim_owners(connection, ids):
        if owner["platform_id"] != platform_id:
            raise InvitationRefused(f"{owner['country_code']}*{owner['party_id']} belongs to another platform.")
    roles = [(*party, role.value) for role, party in parties]
    await repository.approve_roles(connection, platform_id, roles, clock())
    await repository.touch(connection, platform_id)


def refuse_impossible(parties: Sequence[tuple[Role, PartyId]], hub_party: PartyId) -> None:
    """Raises InvitationRefused for roles nobody can be given."""
    if not parties:
        raise InvitationRefused("Name at least one party, for example CPO:NL/ABC.")
    if any(party == hub_party for _, party in parties):
        raise InvitationRefused(f"{hub_party} is the hub's own party.")
    if any(role is Role.HUB for role, _ in parties):
        raise InvitationRefused("A party with the role HUB cannot be invited.")


def _refuse_registered(owner: repository.Row) -> None:
    state = PlatformState(owner["state"])
    if state in (PlatformState.REGISTERED, PlatformState.SUSPENDED):
        raise InvitationRefused(
            f"{owner['country_code']}*{owner['party_id']} is on a platform that is {state}; unregister that platform first."
        )
