"""agreement ...: who may exchange what with whom."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.command_line import arguments, databases, tell
from hub.command_line.arguments import Json
from hub.command_line.tell import CommandFailed, now
from ocpi_modules.message import PartyId

if TYPE_CHECKING:
    from hub.agreements.repository import Agreement
    from hub.settings import Settings

MOST_BYTES = 64 * 1024 * 1024
MOST_SENTENCES = 20
IMPORT_SECONDS = 60.0
IMPORTED_AT_ONCE = 2000
Cpo = Annotated[str, typer.Option(help="The CPO: NL/ABC.")]
Emsp = Annotated[str, typer.Option(help="The eMSP: DE/XYZ.")]
agreement_app = typer.Typer(no_args_is_help=True, help="Who may exchange what with whom.")


@agreement_app.command("set")
def agreement_set(
    cpo: Cpo,
    emsp: Emsp,
    module: Annotated[list[str] | None, typer.Option(help="One module; may be repeated; all when left out.")] = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="It holds from this UTC instant or day on, 2026-01-31T12:00:00Z.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option("--until", help="It holds before this UTC instant or day, and no longer.")
    ] = None,
    cdr_mode: Annotated[
        str, typer.Option(help="transparent: the eMSP's answer to a CDR; guaranteed: the hub answers and delivers.")
    ] = "transparent",
    json: Json = False,
) -> None:
    """Let a CPO and an eMSP exchange messages; replaces what was agreed before."""
    one, other = _pair(cpo, emsp)
    given = {"cpo": cpo, "emsp": emsp, "modules": [str(name) for name in arguments.modules(module)]}
    agreement = _agreement(given | {"valid_from": valid_from, "valid_until": valid_until, "cdr_mode": cdr_mode})

    strangers: list[PartyId] = []

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.agreements import repository

        async with databases.with_directory(settings) as (database, directory), database.transaction() as connection:
            await repository.put_agreements(connection, [agreement])
            strangers.extend(party for party in (one, other) if directory.known_platform_of(party) is None)
        return _row(agreement)

    def told(row: dict[str, Any]) -> str:
        waits = [f"{party} is not known here yet; `ocpi-hub invite` invites it." for party in strangers]
        return " ".join([f"{one} and {other} may exchange {_sentence(row)}.", *waits])

    tell.done(work, json, told)


@agreement_app.command("list")
def agreement_list(json: Json = False) -> None:
    """Every agreement, and whether it holds now."""

    async def work(settings: "Settings") -> list[dict[str, Any]]:
        return [_row(agreement) for agreement in await _stored(settings)]

    tell.listed(work, json, "There is no agreement yet; `ocpi-hub agreement set --cpo NL/ABC --emsp DE/XYZ` makes one.")


@agreement_app.command("remove")
def agreement_remove(cpo: Cpo, emsp: Emsp, json: Json = False) -> None:
    """End an agreement: messages between the two are refused within a second."""
    one, other = _pair(cpo, emsp)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.agreements import repository

        async with databases.opened(settings) as database, database.transaction() as connection:
            if not await repository.drop_agreement(connection, one, other):
                raise CommandFailed(
                    f"{one} and {other} have no agreement; `ocpi-hub agreement list` shows those there are."
                )
        return {"cpo": str(one), "emsp": str(other)}

    tell.done(work, json, f"{one} and {other} may not exchange any more.")


@agreement_app.command("export")
def agreement_export(
    form: Annotated[str, typer.Option("--format", help="json or csv.")] = "json", json: Json = False
) -> None:
    """Print every agreement as a file that `import` takes; `--json` prints it as one line."""
    from hub.agreements import files

    if form not in tuple(files.Format):
        raise typer.BadParameter(f"{form} is no format; write {' or '.join(files.Format)}.")

    async def work(settings: "Settings") -> list["Agreement"]:
        return await _stored(settings)

    agreements = tell.told(work)
    if json:
        tell.print_json([files.document(agreement) for agreement in agreements])
    else:
        typer.echo(files.write(agreements, files.Format(form)), nl=False)


@agreement_app.command("import")
def agreement_import(
    file: Annotated[str, typer.Argument(help="A JSON or CSV file as `export` makes it; - is standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    json: Json = False,
) -> None:
    """Make and change agreements, all or none of them; those that the file does not name stay."""
    agreements = _read(file)

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.agreements import repository

        async with databases.opened(settings) as database, database.transaction(IMPORT_SECONDS) as connection:
            plan = _plan(await repository.all_agreements(connection), agreements)
            if not dry_run:
                for begin in range(0, len(agreements), IMPORTED_AT_ONCE):
                    await repository.put_agreements(connection, agreements[begin : begin + IMPORTED_AT_ONCE])
        return plan

    tell.done(work, json, lambda plan: _told(plan, dry_run))


async def _stored(settings: "Settings") -> list["Agreement"]:
    from hub.agreements import repository

    async with databases.opened(settings) as database, database.connection(IMPORT_SECONDS) as connection:
        return await repository.all_agreements(connection)


def _read(file: str) -> list["Agreement"]:
    """Ends with exit code 1 and a sentence for each wrong line, or for a file that cannot be read."""
    from hub.agreements import files

    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            tell.fail(f"{file} is larger than {MOST_BYTES // 1024**2} MB; give it in parts.")
        return files.read(content.decode())
    except OSError as error:
        tell.fail(f"{file} cannot be read: {error.strerror}.")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        tell.fail(f"Line {line}: {file} is not written in UTF-8; save it so.")
    except files.WrongLines as wrong:
        more = len(wrong.sentences) - MOST_SENTENCES
        rest = [f"{more} more lines are wrong."] if more > 0 else []
        tell.fail(*wrong.sentences[:MOST_SENTENCES], *rest, "Nothing was changed.")


def _plan(stored: list["Agreement"], given: list["Agreement"]) -> dict[str, Any]:
    """What an import changes: rows before and after."""
    before = {frozenset((item.cpo, item.emsp)): item for item in stored}
    plan: dict[str, Any] = {"added": [], "changed": [], "unchanged": 0}
    for item in given:
        old = before.get(frozenset((item.cpo, item.emsp)))
        if old is None:
            plan["added"].append(_row(item))
        elif old == item:
            plan["unchanged"] += 1
        else:
            plan["changed"].append({"before": _row(old), "after": _row(item)})
    return plan


def _told(plan: dict[str, Any], dry_run: bool) -> str:
    lines = [f"+ {_line(row)}" for row in plan["added"]]
    for change in plan["changed"]:
        lines += [f"- {_line(change['before'])}", f"+ {_line(change['after'])}"]
    counts = f"{len(plan['added'])} new, {len(plan['changed'])} changed, {plan['unchanged']} as they were."
    return "\n".join([*lines, f"Nothing was changed; it would be: {counts}" if dry_run else f"Agreements: {counts}"])


def _line(row: dict[str, Any]) -> str:
    return f"{row['cpo']} {row['emsp']} {_sentence(row)}"


def _sentence(row: dict[str, Any]) -> str:
    """What is agreed, in words."""
    words = ["every module" if row["modules"] == ["all"] else ", ".join(row["modules"])]
    words += [f"from {row['valid_from']}"] if row["valid_from"] else []
    words += [f"until {row['valid_until']}"] if row["valid_until"] else []
    return " ".join(words) + (", CDRs guaranteed" if row["cdr_mode"] == "guaranteed" else "")


def _row(agreement: "Agreement") -> dict[str, Any]:
    from hub.agreements import files

    return files.document(agreement) | {"holds_now": agreement.terms.hold_at(now())}


def _agreement(fields: dict[str, Any]) -> "Agreement":
    from hub.agreements import files

    try:
        return files.parse(fields)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _pair(cpo: str, emsp: str) -> tuple[PartyId, PartyId]:
    one, other = arguments.party(cpo), arguments.party(emsp)
    if one == other:
        raise typer.BadParameter(f"{one} needs no agreement with itself.")
    return one, other
