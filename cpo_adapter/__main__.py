"""The command line of the adapter. Exit codes: 0 done, 1 failed, 2 misuse. Secrets come by stdin."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import structlog
import typer
from rich.console import Console
from rich.table import Table

from cpo_adapter import settings as settings_module
from cpo_adapter.app import Adapter, create_adapter, working
from cpo_adapter.chargers import UnsuitablePassword
from cpo_adapter.config import ConfigError
from cpo_adapter.csms.tls import CertificateUnusable
from cpo_adapter.settings import Settings, SettingsError
from cpo_adapter.simulator.run import run as simulation
from cpo_adapter.simulator.settings import ChargerSettings
from cpo_adapter.storage import migrate as migrations
from cpo_adapter.storage.engine import DatabaseAway
from cpo_adapter.storage.migrate import MigrationError
from ocpi_modules.http.listener import Listener, plain_bind, running
from ocpi_modules.message import PartyId
from ocpi_modules.status import OcpiError
from ocpi_modules.typed import LONGEST_LINE, complaint

T = TypeVar("T")
PLAIN = """\
**********************************************************************************
*  OCPP WITHOUT TLS: chargers send their passwords and all they say unencrypted. *
*  For development only. ADAPTER_OCPP_CERTIFICATE and ADAPTER_OCPP_KEY, or a     *
*  proxy that ends TLS and ADAPTER_OCPP_TLS_IN_FRONT=true, put that right.       *
**********************************************************************************"""
HELD = """\
{charger} connector {connector_id}, tag {id_tag!r}, started {started_at}, session {session_id}
  {held_because}
  {way_out}"""
MOST_HELD = 1000
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
charger_cli = typer.Typer(no_args_is_help=True, help="The chargers that may connect.")
cli.add_typer(charger_cli, name="charger")
charge_cli = typer.Typer(no_args_is_help=True, help="What was charged.")
cli.add_typer(charge_cli, name="charge")


class Failed(Exception):
    """Exit code 1, or 2 for misuse; the message is for people."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


FOR_PEOPLE = (
    Failed,
    DatabaseAway,
    MigrationError,
    UnsuitablePassword,
    ConfigError,
    CertificateUnusable,
    OcpiError,
)


@cli.command()
def serve(as_json: AsJson = False) -> None:
    """Serve chargers and the hub until SIGTERM or SIGINT."""
    settings = _settings()
    if settings.is_ocpp_plain:
        Console(stderr=True).print(PLAIN, markup=False, highlight=False, soft_wrap=True)

    async def work() -> None:
        await _check_migrated(settings)
        async with working(await create_adapter(settings, utc_now)) as adapter:
            listener = Listener(adapter.ocpi, settings.host, settings.ocpi_port)
            _stop_on_signals(listener.stop)
            serving = asyncio.create_task(listener.serve())
            if await _is_up(listener, serving):
                _say(
                    {"serving": True, "ocpi_port": listener.port, "ocpp_port": adapter.ocpp.port, "url": settings.url},
                    f"Serving OCPI at {settings.url}, chargers at "
                    f"{'wss' if adapter.tls else 'ws'}://{settings.ocpp_host}:{adapter.ocpp.port}/ocpp/<charger id>.",
                    as_json,
                )
            await serving

    _run(work())


@cli.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the tables up to date (ADAPTER_DATABASE_MIGRATE_URL, else ADAPTER_DATABASE_URL)."""
    settings = _settings()
    _run(migrations.upgrade(settings.migrate_url))
    _say({"migrated": True}, "The tables are up to date.", as_json)


@cli.command()
def join(
    versions_url: Annotated[str, typer.Option(help="The hub's versions URL.")],
    token_a_stdin: Annotated[bool, typer.Option("--token-a-stdin", help="Read token A from stdin.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register with a hub. May be repeated with the same token after a failure."""
    settings = _settings()
    token_a = _secret(token_a_stdin, "--token-a-stdin", "the token A of the hub's invitation")

    async def work() -> PartyId:
        await _check_migrated(settings)
        adapter = await create_adapter(settings, utc_now)
        try:
            if _is_served(settings):
                return await adapter.registrar.join(versions_url, token_a)
            async with running(adapter.ocpi, settings.host, settings.ocpi_port):
                return await adapter.registrar.join(versions_url, token_a)
        finally:
            await adapter.close()

    hub = _run(work())
    _say({"joined": True, "hub": str(hub)}, f"Joined the hub {hub}.", as_json)


@cli.command()
def simulate(
    charger_id: Annotated[str, typer.Option(help="The charger's id.")],
    url: Annotated[str, typer.Option(help="Where chargers connect.")] = "ws://127.0.0.1:9000/ocpp",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    password_file: Annotated[Path | None, typer.Option(help="Or read it from this file.")] = None,
    id_tag: Annotated[str | None, typer.Option(help="Charge with this tag; without it wait for remote starts.")] = None,
    charges: Annotated[int, typer.Option(min=1, help="How often to charge with the tag.")] = 1,
    power_kw: Annotated[int, typer.Option(min=1, help="Power of the charger.")] = 350,
    charge_wh: Annotated[int, typer.Option(min=1, help="Energy of one charge.")] = 1000,
    parking_seconds: Annotated[float, typer.Option(min=0, help="How long the car stays plugged in after it.")] = 0,
    connectors: Annotated[int, typer.Option(min=1, max=20)] = 1,
    state: Annotated[Path | None, typer.Option(help="Folder in which ledger, queue and meters survive.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="File for the ledger; its folder is the default of --state.")
    ] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Such as cut_after:StopTransaction; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Be a charger: an OCPP 1.6 charger with a meter that runs in real time."""
    password = _password(password_stdin, password_file)
    settings = ChargerSettings(
        connectors=connectors,
        power_kw=Decimal(power_kw),
        charge_wh=Decimal(charge_wh),
        parking_seconds=parking_seconds,
        state=state or (ledger.parent if ledger else None),
        ledger=ledger,
    )

    def tell(line: str) -> None:
        _say({"said": line}, line, as_json)

    try:
        _run(
            simulation(
                url, charger_id, password, settings, id_tag=id_tag, charges=charges, faults=fault or (), tell=tell
            )
        )
    except ValueError as error:
        _fail(Failed(f"--fault: {error}.", 2))


@charger_cli.command("add")
def charger_add(
    charger_id: str,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a charger connect, or give it another password."""
    password = _secret(password_stdin, "--password-stdin", "the password of the charger")
    _with_adapter(lambda adapter: adapter.book.add(charger_id, password))
    _say({"charger_id": charger_id, "added": True}, f"The charger {charger_id} may connect.", as_json)


@charger_cli.command("list")
def charger_list(as_json: AsJson = False) -> None:
    """Every charger that may connect."""
    chargers = _with_adapter(lambda adapter: adapter.book.listed())
    if as_json:
        _say({"chargers": chargers}, "", as_json)
        return
    table = Table("charger", "vendor", "model", "firmware", "last boot")
    for charger in chargers:
        table.add_row(*(str(charger[name] or "") for name in _COLUMNS))
    Console().print(table)


_COLUMNS = ("charger_id", "vendor", "model", "firmware_version", "last_boot")


@charger_cli.command("show")
def charger_show(charger_id: str, as_json: AsJson = False) -> None:
    """What is known of one charger."""
    charger = _with_adapter(lambda adapter: adapter.book.shown(charger_id))
    if charger is None:
        _fail(Failed(f"There is no charger {charger_id}; `cpo-adapter charger list` shows all."))
    _say(charger, "\n".join(f"{name}: {value}" for name, value in (charger or {}).items()), as_json)


@charge_cli.command("held")
def charge_held(
    limit: Annotated[int, typer.Option(min=1, max=MOST_HELD, help="At most so many.")] = 100, as_json: AsJson = False
) -> None:
    """The charges that cannot be billed as they are, newest first: what is wrong with each, and the way out."""
    charges = _with_adapter(lambda adapter: adapter.held.listed(limit))
    if as_json:
        _say({"charges": charges}, "", as_json)
        return
    for charge in charges:
        _say({}, HELD.format_map(charge), as_json)
    if not charges:
        _say({}, "No charge is held.", as_json)
    elif len(charges) == limit < MOST_HELD:
        _say({}, f"There may be more: --limit {MOST_HELD} shows as many.", as_json)


def main() -> None:
    """The entry point of the console script."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if sentence := complaint(sys.argv[1:]):
        sys.stderr.write(f"{sentence}\n")
        sys.exit(2)
    cli()


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


def _settings() -> Settings:
    try:
        return settings_module.load(os.environ)
    except SettingsError as error:
        _fail(Failed("\n".join(error.sentences), 2))


async def _check_migrated(settings: Settings) -> None:
    if missing := await migrations.pending(settings.database_url):
        raise Failed(f"The database lacks {', '.join(missing)}: run `cpo-adapter migrate` first.")


async def _is_up(listener: Listener, serving: asyncio.Task[None]) -> bool:
    while not listener.started:
        done, _ = await asyncio.wait([serving], timeout=0.01)
        if done:
            return False
    return True


def _is_served(settings: Settings) -> bool:
    try:
        plain_bind(settings.host, settings.ocpi_port)
    except OSError:
        return True
    return False


def _with_adapter(work: Callable[[Adapter], Coroutine[Any, Any, T]]) -> T:
    settings = _settings()

    async def run() -> T:
        await _check_migrated(settings)
        adapter = await create_adapter(settings, utc_now)
        try:
            return await work(adapter)
        finally:
            await adapter.close()

    return _run(run())


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except FOR_PEOPLE as error:
        _fail(error if isinstance(error, Failed) else Failed(str(error)))
    except OSError as error:
        _fail(Failed(f"It cannot be served: {error}."))
    except KeyboardInterrupt:
        _fail(Failed("Interrupted."))


def _secret(given: bool, option: str, what: str) -> str:
    if not given:
        _fail(Failed(f"Give {option} and {what} on stdin: secrets are never arguments.", 2))
    try:
        secret = sys.stdin.buffer.readline(LONGEST_LINE).decode().strip()
    except UnicodeDecodeError:
        _fail(Failed(f"stdin is not written in UTF-8; give {what} as it was handed over.", 2))
    if not secret:
        _fail(Failed(f"Nothing was read from stdin; {what} is needed.", 2))
    return secret


def _password(from_stdin: bool, file: Path | None) -> str:
    if file is None:
        return _secret(from_stdin, "--password-stdin or --password-file", "the password of the charger")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        _fail(Failed(f"--password-file: {file} cannot be read: {error}.", 2))


def _stop_on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _say(document: Any, sentence: str, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    else:
        Console().print(sentence, markup=False, highlight=False, soft_wrap=True)


def _fail(failure: Failed) -> NoReturn:
    Console(stderr=True).print(str(failure), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(failure.code)


if __name__ == "__main__":
    main()
