"""SQL of agreements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub.agreements.policy import CdrMode, Terms
from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID


@dataclass(frozen=True)
class Agreement:
    """One agreement as it is stored."""

    cpo: PartyId
    emsp: PartyId
    terms: Terms


async def revision(connection: Any) -> int:
    """A number that grows with every change of any agreement."""
    return await connection.fetchval("SELECT revision FROM agreement_revision")


async def all_rows(connection: Any) -> list[Any]:
    """Every agreement, whether it holds or not, by its parties; `agreement` reads one."""
    return list(
        await connection.fetch(
            "SELECT cpo, emsp, modules, valid_from, valid_until, cdr_mode FROM agreement ORDER BY cpo, emsp"
        )
    )


async def all_agreements(connection: Any) -> list[Agreement]:
    """As `all_rows`, read."""
    return [agreement(row) for row in await all_rows(connection)]


async def put_agreements(connection: Any, agreements: Sequence[Agreement]) -> None:
    """Make or change agreements; two parties have one, whichever of them is called the CPO. Some thousands at a time."""
    terms = [given.terms for given in agreements]
    await connection.execute(
        """
        INSERT INTO agreement (cpo, emsp, modules, valid_from, valid_until, cdr_mode)
        SELECT cpo, emsp, string_to_array(modules, ' '), valid_from, valid_until, cdr_mode
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[])
             AS given (cpo, emsp, modules, valid_from, valid_until, cdr_mode)
        ON CONFLICT (least(cpo, emsp), greatest(cpo, emsp)) DO UPDATE
        SET cpo = excluded.cpo, emsp = excluded.emsp, modules = excluded.modules, valid_from = excluded.valid_from,
            valid_until = excluded.valid_until, cdr_mode = excluded.cdr_mode
        """,
        [str(given.cpo) for given in agreements],
        [str(given.emsp) for given in agreements],
        [" ".join(sorted(one.modules)) for one in terms],
        [one.valid_from for one in terms],
        [one.valid_until for one in terms],
        [str(one.cdr_mode) for one in terms],
    )


async def drop_agreement(connection: Any, cpo: PartyId, emsp: PartyId) -> bool:
    """End the agreement of two parties, whichever of them was called the CPO; False when there was none."""
    status = await connection.execute(
        "DELETE FROM agreement WHERE (cpo, emsp) = ($1, $2) OR (cpo, emsp) = ($2, $1)", str(cpo), str(emsp)
    )
    return bool(status != "DELETE 0")


def agreement(row: Any) -> Agreement:
    """From a row of `agreement`."""
    modules = frozenset(ModuleID(name) for name in row["modules"])
    terms = Terms(modules, row["valid_from"], row["valid_until"], CdrMode(row["cdr_mode"]))
    return Agreement(PartyId.read(row["cpo"]), PartyId.read(row["emsp"]), terms)


async def take_beginning(connection: Any, seconds: float) -> tuple[str, str] | None:
    """The parties of an agreement that began at least `seconds` ago, which nobody else takes while this transaction lasts."""
    row = await connection.fetchrow(
        "DELETE FROM agreement_beginning WHERE (one, other) IN (SELECT one, other FROM agreement_beginning "
        "WHERE begins_at <= clock_timestamp() - $1 * interval '1 second' ORDER BY begins_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
        "RETURNING one, other",
        seconds,
    )
    return (row["one"], row["other"]) if row is not None else None
