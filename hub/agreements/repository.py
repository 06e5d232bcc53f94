"""SQL of agreements."""

from collections.abc import Iterable
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


async def all_agreements(connection: Any) -> list[Agreement]:
    """Every agreement, whether it holds or not, by its parties."""
    rows = await connection.fetch(
        "SELECT cpo, emsp, modules, valid_from, valid_until, cdr_mode FROM agreement ORDER BY cpo, emsp"
    )
    return [_agreement(row) for row in rows]


async def put_agreements(connection: Any, agreements: Iterable[Agreement]) -> None:
    """Make or change agreements; two parties have one, whichever of them is called the CPO."""
    await connection.executemany(
        """
        INSERT INTO agreement (cpo, emsp, modules, valid_from, valid_until, cdr_mode) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (least(cpo, emsp), greatest(cpo, emsp)) DO UPDATE
        SET cpo = excluded.cpo, emsp = excluded.emsp, modules = excluded.modules, valid_from = excluded.valid_from,
            valid_until = excluded.valid_until, cdr_mode = excluded.cdr_mode
        """,
        [
            (
                str(given.cpo),
                str(given.emsp),
                sorted(given.terms.modules),
                given.terms.valid_from,
                given.terms.valid_until,
                given.terms.cdr_mode,
            )
            for given in agreements
        ],
    )


async def drop_agreement(connection: Any, cpo: PartyId, emsp: PartyId) -> bool:
    """End the agreement of two parties, whichever of them was called the CPO; False when there was none."""
    status = await connection.execute(
        "DELETE FROM agreement WHERE (cpo, emsp) = ($1, $2) OR (cpo, emsp) = ($2, $1)", str(cpo), str(emsp)
    )
    return bool(status != "DELETE 0")


def _agreement(row: Any) -> Agreement:
    modules = frozenset(ModuleID(name) for name in row["modules"])
    terms = Terms(modules, row["valid_from"], row["valid_until"], CdrMode(row["cdr_mode"]))
    return Agreement(_party(row["cpo"]), _party(row["emsp"]), terms)


def _party(text: str) -> PartyId:
    country_code, _, party_id = text.partition("*")
    return PartyId.of(country_code, party_id)
