"""The chargers that may connect, and their passwords as salted MACs (R4, R11, S-45, S-47)."""

import hashlib
import hmac
import secrets
from typing import Any

import msgspec

from cpo_adapter.charging.events import Booted
from cpo_adapter.storage import charger_repository
from cpo_adapter.storage.engine import Database, Row
from ocpi_modules.message import Clock

LEAST_PASSWORD = 16
MOST_PASSWORD = 40
SALT_BYTES = 16


class UnsuitablePassword(Exception):
    """The password of a charger is too short or too long; the message says so."""


class ChargerBook:
    """`key` is a secret of the adapter: a stolen table alone does not tell whether a guess is right."""

    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        self._database = database
        self._key = key
        self._clock = clock

    async def knows(self, charger_id: str, password: str | None) -> str | None:
        """The stored spelling when the password is right; the work is the same for an unknown id. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            row = await charger_repository.charger(connection, charger_id.casefold())
        salt, expected = (row["password_salt"], row["password_mac"]) if row else (b"\0" * SALT_BYTES, b"")
        right = hmac.compare_digest(self._mac(salt, password or ""), expected)
        return row["charger_id"] if row and right and password else None

    async def add(self, charger_id: str, password: str) -> None:
        """Add a charger or replace its password. Raises UnsuitablePassword, DatabaseAway."""
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise UnsuitablePassword(
                f"The password has {len(password)} characters; OCPP asks for {LEAST_PASSWORD} to {MOST_PASSWORD}."
            )
        salt = secrets.token_bytes(SALT_BYTES)
        async with self._database.connection() as connection:
            await charger_repository.put_charger(
                connection, charger_id.casefold(), charger_id, salt, self._mac(salt, password), self._clock()
            )

    async def listed(self) -> list[dict[str, Any]]:
        """Every charger with what it said of itself."""
        async with self._database.connection() as connection:
            rows = await charger_repository.chargers(connection)
        return [_shown(row) for row in rows]

    async def shown(self, charger_id: str) -> dict[str, Any] | None:
        async with self._database.connection() as connection:
            row = await charger_repository.charger(connection, charger_id.casefold())
        return _shown(row) if row else None

    async def meter_serial_number(self, charger_id: str) -> str | None:
        """As the charger gave it at its last boot."""
        async with self._database.connection() as connection:
            row = await charger_repository.charger(connection, charger_id.casefold())
        if row is None or row["boot"] is None:
            return None
        return msgspec.json.decode(row["boot"], type=Booted).meter_serial_number or None

    def _mac(self, salt: bytes, password: str) -> bytes:
        return hmac.digest(self._key, salt + password.encode(), hashlib.sha256)


def _shown(row: Row) -> dict[str, Any]:
    boot = msgspec.json.decode(row["boot"]) if row["boot"] else {}
    seen = row["last_seen"].isoformat() if row["last_seen"] else None
    names = ("vendor", "model", "serial_number", "firmware_version", "meter_serial_number")
    return {
        "charger_id": row["charger_id"],
        "added_at": row["added_at"].isoformat(),
        "last_boot": seen,
        **{name: boot.get(name, "") for name in names},
    }
