"""What the operator changes about a platform: each one transaction, seen by every process within a second.

Each raises UnknownPlatform and DatabaseAway. Approving more roles is `registration.invitations.approve`.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from hub.db.engine import Database
from hub.parties import announced_repository as announced
from hub.parties import repository
from hub.parties.platforms import PlatformState
from hub.parties.switches import named
from ocpi_modules.message import Clock


class UnknownPlatform(Exception):
    """There is no platform with this id, or not in a state for this change; one sentence."""


class UnknownSwitch(ValueError):
    """One sentence: the switch that does not exist and those that do, or the values a switch has."""


async def suspend(database: Database, clock: Clock, platform_id: UUID) -> None:
    """Stop a registered platform: its token is refused, nothing is sent to it, until `resume`."""
    await _change_state(database, clock, platform_id, PlatformState.REGISTERED, PlatformState.SUSPENDED)


async def resume(database: Database, clock: Clock, platform_id: UUID) -> None:
    """Let a suspended platform go on with the tokens it had."""
    await _change_state(database, clock, platform_id, PlatformState.SUSPENDED, PlatformState.REGISTERED)


async def approve_host(database: Database, clock: Clock, platform_id: UUID, host: str) -> None:
    """Let a platform move to another host with its next PUT credentials (S-25, S-27)."""
    await _change(database, clock, platform_id, lambda db: repository.approve_host(db, platform_id, host.lower()))


async def set_switches(database: Database, clock: Clock, platform_id: UUID, switches: dict[str, Any]) -> None:
    """Replace the platform's switches; raises UnknownSwitch for a name or a value the table of switches does not have."""
    try:
        read = {name: named(name).read(value) for name, value in switches.items()}
    except ValueError as error:
        raise UnknownSwitch(str(error)) from None
    await _change(database, clock, platform_id, lambda db: repository.set_switches(db, platform_id, read))


async def revoke_tokens(database: Database, clock: Clock, platform_id: UUID) -> None:
    """Emergency: every token we gave the platform is dead within a second; invite it anew afterwards (S-05)."""

    async def revoke(connection: Any) -> None:
        await repository.drop_tokens(connection, platform_id)
        await repository.forget_outgoing_token(connection, platform_id)
        await repository.suspend_parties(connection, platform_id)

    await _change(database, clock, platform_id, revoke)


async def _change_state(
    database: Database, clock: Clock, platform_id: UUID, before: PlatformState, after: PlatformState
) -> None:
    async def change(connection: Any) -> None:
        state = await repository.lock_platform(connection, platform_id)
        if state != before:
            raise UnknownPlatform(f"The platform is {state}; only a {before} one can become {after}.")
        await repository.set_state(connection, platform_id, after)

    await _change(database, clock, platform_id, change)


async def _change(
    database: Database, clock: Clock, platform_id: UUID, change: Callable[[Any], Awaitable[None]]
) -> None:
    async with database.transaction() as connection:
        if await repository.lock_platform(connection, platform_id) is None:
            raise UnknownPlatform(f"There is no platform {platform_id}; `ocpi-hub platform list` shows them.")
        await change(connection)
        await repository.touch(connection, platform_id)
        await announced.announce(connection, platform_id, clock())
