"""cdr ...: which CDRs reached nobody, posting one again, and giving one up."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json
from hub.command_line.tell import CommandFailed

if TYPE_CHECKING:
    from hub.settings import Settings

MOST_ROWS = 1000
cdr_app = typer.Typer(no_args_is_help=True, help="CDRs on their way.")


@cdr_app.command("list")
def cdr_list(
    state: Annotated[
        list[str] | None, typer.Option(help="One state; may be repeated; all but DELIVERED when left out.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Only those of this CPO: NL/ABC.")] = None,
    receiver: Annotated[str | None, typer.Option(help="Only those for this eMSP: DE/XYZ.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """Where CDRs stand, the one that changed last first."""
    from hub.clearing.journal import CdrState

    states = state or [known for known in CdrState if known is not CdrState.DELIVERED]
    unknown = [name for name in states if name not in tuple(CdrState)]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no state of a CDR; there are {', '.join(CdrState)}.")
    parties = [arguments.party(text) if text else None for text in (owner, receiver)]

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        from hub.clearing import guaranteed_repository as repository

        names = [str(party) if party else None for party in parties]
        async with databases.with_directory(settings) as (database, directory), database.connection() as connection:
            rows = await repository.list_deliveries(connection, states, names[0], names[1], limit)
        for party in parties:
            if party and not rows:
                databases.platform_of(party, directory)
        return [_row(row) for row in rows]

    tell.listed(work, json, "Every CDR was delivered.")


@cdr_app.command("retry")
def cdr_retry(
    cdr_id: Annotated[str, typer.Argument(help="The id of the CDR.")],
    owner: Annotated[str, typer.Option(help="The CPO that owns it: NL/ABC.")],
    json: Json = False,
) -> None:
    """Post a CDR that was not delivered to its receiver again, until it is taken."""
    party = arguments.party(owner)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.clearing import guaranteed_repository as repository
        from hub.clearing.journal import CdrState
        from ocpi_modules.types import folded

        async with databases.with_directory(settings) as (database, directory), database.transaction() as connection:
            kept = await repository.has_body(connection, party, folded(cdr_id))
            state = await repository.retry(connection, party, folded(cdr_id)) if kept else None
        if state is None:
            databases.platform_of(party, directory)
            raise CommandFailed(
                f"There is no CDR {cdr_id} of {party} here, or it is older than HUB_CDR_YEARS; `ocpi-hub cdr list` shows those "
                "on their way."
            )
        if state == CdrState.DELIVERED:
            raise CommandFailed(f"CDR {cdr_id} of {party} was delivered already; nothing is sent twice.")
        return {"owner": str(party), "id": folded(cdr_id)}

    tell.done(work, json, f"The serving hub posts CDR {cdr_id} of {party} until it is taken.")


@cdr_app.command("give-up")
def cdr_give_up(
    cdr_id: Annotated[str, typer.Argument(help="The id of the CDR.")],
    owner: Annotated[str, typer.Option(help="The CPO that owns it: NL/ABC.")],
    reason: Annotated[str, typer.Option(help="Why; `cdr list` shows it.")],
    json: Json = False,
) -> None:
    """Deliver a guaranteed CDR no longer, as when its receiver left for good. It stays in the journal and can be retried."""
    party, why = arguments.party(owner), arguments.sentence(reason, "--reason")

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.clearing import guaranteed_repository as repository
        from ocpi_modules.types import folded

        async with databases.with_directory(settings) as (database, directory), database.transaction() as connection:
            given_up = await repository.give_up(connection, party, folded(cdr_id), f"Given up by the operator: {why}")
        if not given_up:
            databases.platform_of(party, directory)
            raise CommandFailed(
                f"There is no CDR {cdr_id} of {party} that the hub still has to deliver; `ocpi-hub cdr list` shows those on "
                "their way, and which of them are guaranteed."
            )
        return {"owner": str(party), "id": folded(cdr_id)}

    tell.done(work, json, f"CDR {cdr_id} of {party} is no longer posted; tell the CPO that it did not arrive.")


def _row(row: Any) -> dict[str, Any]:
    return {
        "owner": row["owner"],
        "id": row["id_folded"],
        "receiver": row["receiver"],
        "state": row["state"],
        "guaranteed": row["guaranteed"],
        "attempts": row["attempts"],
        "changed_at": row["changed_at"].isoformat(),
        "next_attempt_at": row["next_attempt_at"].isoformat() if row["next_attempt_at"] else None,
        "last_error": row["last_error"],
    }
