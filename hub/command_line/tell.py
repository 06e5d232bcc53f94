"""Doing what a command asks, and telling the outcome: a sentence, a table or one line of JSON; exit codes 0, 1 and 2."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from hub.settings import Settings

Result = TypeVar("Result")
Work = Callable[["Settings"], Any]


class CommandFailed(Exception):
    """One sentence for the person at the command line."""


def now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def done(work: Work, json: bool, sentence: str | Callable[[Any], str]) -> None:
    """Do it; print its result as JSON, or the sentence."""
    result = told(work)
    if json:
        print_json(result)
    else:
        typer.echo(sentence if isinstance(sentence, str) else sentence(result))


def listed(work: Work, json: bool, nothing: str) -> None:
    """Do it; print its rows as one JSON list, or as a table; `nothing` is said when there are none."""
    rows = told(work)
    if json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        typer.echo(nothing)


def told(work: Work, environ: Mapping[str, str] | None = None) -> Any:
    """Do it with the settings, awaiting a coroutine; what a person can put right is told in sentences, not as a traceback."""
    from hub import settings, telemetry

    telemetry.configure_logs()
    try:
        result = work(settings.load(os.environ if environ is None else environ))
        return run(result) if asyncio.iscoroutine(result) else result
    except settings.SettingsError as error:
        fail(*error.sentences, code=2)
    except Exception as error:
        sentence = sentence_for(error)
        if sentence is None:
            raise
        fail(sentence)


def sentence_for(error: Exception) -> str | None:
    """The sentence of an error a person can do something about; None for a mistake of this program."""
    import asyncpg

    from hub.db.engine import DatabaseAway
    from hub.db.migrate import MigrationError
    from hub.db.postgres_binaries import EmbeddedPostgresError
    from hub.registration.invitations import InvitationRefused
    from ocpi_modules.status import OcpiError

    match error:
        case OcpiError():
            return error.message
        case CommandFailed() | DatabaseAway() | EmbeddedPostgresError() | InvitationRefused() | MigrationError():
            return str(error)
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return "The tables are missing or older than this program: run `ocpi-hub migrate`."
        case asyncpg.PostgresError():
            return f"PostgreSQL refuses: {error}"
    return None


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop where it exists (it halves the cost of a request)."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(work)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def print_json(value: Any) -> None:
    """One line."""
    from ocpi_modules import json

    typer.echo(json.encode(value).decode())


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Columns as wide as they must be; names from the first row."""
    lines = [[name.upper().replace("_", " ") for name in rows[0]]]
    lines += [[cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def cell(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={cell(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def fail(*sentences: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end; 1 failed, 2 misuse."""
    for sentence in sentences:
        typer.secho(sentence, fg="red" if sys.stderr.isatty() else None, err=True)
    raise typer.Exit(code)
