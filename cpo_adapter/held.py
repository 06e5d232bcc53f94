"""Charges that are not billed until somebody decides: what is wrong with each, and the way out (R32, R37, R67)."""

from datetime import datetime
from typing import Any

from cpo_adapter.charging.events import Started
from cpo_adapter.charging.stored import load
from cpo_adapter.storage import charge_repository
from cpo_adapter.storage.engine import Database, Row

BY_HAND = "What is to be billed has to be agreed with the eMSP and settled outside the adapter."
NOBODYS = "It began while the charger was offline"
WAYS_OUT = {
    "The session is INVALID": "Nothing was charged that could be billed; nothing has to be done.",
    "Held for an operator": f"Compare the meter and the charger's own record with its facts. {BY_HAND}",
    NOBODYS: f"Find out which eMSP issued the token. {BY_HAND}",
    "It ended because its token was refused": BY_HAND,
    "No tariff was known": f"Give the connector a tariff in ADAPTER_CONFIG, for what follows. {BY_HAND}",
    "The tariff cannot be applied": f"Put the tariff right in ADAPTER_CONFIG, for what follows. {BY_HAND}",
    "evse_id is missing": f"Add evse_id to the EVSE in ADAPTER_CONFIG, for what follows. {BY_HAND}",
    "Its facts cannot be read": f"Keep the database and report it with the log line transaction_unreadable. {BY_HAND}",
}
"""By how `charge.held_because` begins."""


def way_out(reason: str, look_up_at: datetime | None = None) -> str:
    """What can be done about a charge that is held because of `reason`; its token may be looked up again at an instant."""
    if reason.startswith(NOBODYS) and look_up_at is not None:
        at = look_up_at.isoformat(timespec="seconds")
        return (
            "Let the one eMSP that issued the token push it to us, with a last_updated before the charge: it then goes on by "
            f"itself; next look at {at}."
        )
    return next((way for beginning, way in WAYS_OUT.items() if reason.startswith(beginning)), BY_HAND)


class HeldCharges:
    """What an operator has to look at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` held charges, newest first. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            rows = await charge_repository.held_charges(connection, limit)
        return [_shown(row) for row in rows]


def _shown(row: Row) -> dict[str, Any]:
    started = _started(row["first_fact"])
    return {
        "session_id": str(row["session_id"]),
        "charger": row["charger_key"],
        "connector_id": row["connector_id"],
        "transaction_id": row["transaction_id"],
        "id_tag": started.id_tag if started else None,
        "started_at": (started.at if started else row["created_at"]).isoformat(),
        "held_because": row["held_because"],
        "way_out": way_out(row["held_because"] or "", row["look_up_at"]),
    }


def _started(body: bytes | None) -> Started | None:
    """The first fact of a charge; None where it cannot be read, which may be why the charge is held."""
    try:
        fact = load(body) if body is not None else None
    except ValueError:
        return None
    return fact if isinstance(fact, Started) else None
