"""key show and rotate: changing HUB_SECRET_KEY while the hub serves (S-03)."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from hub.command_line import databases, tell
from hub.command_line.arguments import Json
from hub.command_line.tell import CommandFailed, now

if TYPE_CHECKING:
    from hub.db.engine import Database
    from hub.parties.key_rotation import KeyUse
    from hub.settings import Settings

key_app = typer.Typer(no_args_is_help=True, help="The secret key, and what still hangs on the former one.")


@key_app.command("show")
def key_show(json: Json = False) -> None:
    """What is stored under the present key and what under the former, by number; no key and no token is shown."""

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.parties.key_rotation import look

        async with databases.opened(settings) as database:
            return _shown(settings, await look(database, settings.keys, now))

    tell.done(work, json, _told)


@key_app.command("rotate")
def key_rotate(json: Json = False) -> None:
    """Move everything to the present key while the hub serves; every process must have it, and the former one, by then."""

    async def work(settings: "Settings") -> dict[str, Any]:
        from hub.parties.key_rotation import look, rotate

        if settings.secret_key_previous is None:
            raise CommandFailed(
                "There is no former key: set HUB_SECRET_KEY to the new key and HUB_SECRET_KEY_PREVIOUS to the one before, "
                "restart every process with both, then rotate."
            )
        async with databases.opened(settings) as database:
            await _refuse_while_others_lack_it(database, settings.keys.ids[0])
            done = await rotate(database, settings.keys, now)
            return {"sealed_anew": done.sealed} | _shown(settings, await look(database, settings.keys, now))

    tell.done(work, json, lambda row: f"{row['sealed_anew']} of our tokens were sealed anew. {_told(row)}")


async def _refuse_while_others_lack_it(database: "Database", key_id: str) -> None:
    from hub.parties.key_repository import serving_with_another_key

    async with database.connection() as connection:
        others = await serving_with_another_key(connection, key_id)
    if others:
        since = f"{others[0]['since']:%Y-%m-%dT%H:%M:%SZ}"
        raise CommandFailed(
            f"A process that serves since {since} (its connection is pid {others[0]['pid']} of PostgreSQL) has not got this key: "
            "restart every process with both keys first, or it would refuse the partners whose tokens move."
        )


def _shown(settings: "Settings", use: "KeyUse") -> dict[str, Any]:
    traces_until = use.began_at + timedelta(days=settings.trace_days) if use.began_at else None
    return {
        "previous_is_set": settings.secret_key_previous is not None,
        "rotating_since": _instant(use.began_at),
        "outgoing_tokens_under_previous": use.sealed,
        "issued_tokens_under_previous": use.issued,
        "platforms_to_call": use.platforms,
        "waiting_for": use.waiting,
        "under_neither": use.lost,
        "traces_under_previous_until": _instant(traces_until) if traces_until and traces_until > now() else None,
        "previous_may_be_removed": use.is_free,
    }


def _told(row: dict[str, Any]) -> str:
    sentences = []
    if row["under_neither"]:
        sentences.append(f"Under a key that is not given: tokens of {', '.join(row['under_neither'])}.")
    if not row["previous_is_set"]:
        return " ".join(["HUB_SECRET_KEY_PREVIOUS is not set.", *sentences])
    if row["outgoing_tokens_under_previous"] or row["rotating_since"] is None:
        sentences.append(
            f"Under the former key are {row['outgoing_tokens_under_previous']} of our tokens for partners; "
            "`ocpi-hub key rotate` seals them anew."
        )
    if row["platforms_to_call"]:
        sentences.append(
            f"Under the former key are {row['issued_tokens_under_previous']} tokens we gave out, of {row['platforms_to_call']} "
            f"platforms; each moves with its next call after `key rotate`: {', '.join(row['waiting_for'])}."
        )
    if row["previous_may_be_removed"]:
        sentences.append("Nothing hangs on the former key: remove HUB_SECRET_KEY_PREVIOUS and restart every process.")
    if until := row["traces_under_previous_until"]:
        sentences.append(
            f"Without it, uids in traces from before the change are not found any more; the last go on {until}."
        )
    return " ".join(sentences)


def _instant(moment: Any) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
