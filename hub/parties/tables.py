"""The tables of the directory. The truth about their form are the migrations; a test compares the two.

A token we issued is here only as its MAC, a token we use only sealed for its platform (S-01, S-03). Every change of a platform
takes the next number of `directory_revision`, so that other processes read on from the number they have seen.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKeyConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class PartiesTable(SQLModel, registry=registry()):
    """The registry of this package; `PartiesTable.metadata` holds its tables only."""


def _instant(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class DirectoryRevision(PartiesTable, table=True):
    """One row: the number of the last change."""

    __tablename__ = "directory_revision"

    only_row: bool = Field(default=True, primary_key=True)
    revision: int = 0


class PlatformRow(PartiesTable, table=True):
    """A partner's system: one connection, one pair of tokens, any number of parties (R-31)."""

    __tablename__ = "platform"

    platform_id: UUID = Field(primary_key=True)
    name: str
    state: str
    version: str | None = None
    versions_url: str | None = None
    approved_host: str | None = None
    outgoing_token: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    token_encoding: str = "auto"  # noqa: S105 - read by earlier versions only; it is a switch now
    base64_learned: bool = True
    switches: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    connection: str = "OFFLINE"
    last_seen: datetime | None = Field(default=None, sa_column=_instant())
    registered_at: datetime | None = Field(default=None, sa_column=_instant())
    created_at: datetime = Field(sa_column=_instant(nullable=False))
    revision: int = 0
    told_url: str | None = None
    renewal_url: str | None = None
    renewal_attempts: int = 0
    renew_after: datetime | None = Field(default=None, sa_column=_instant())
    token_refused_at: datetime | None = Field(default=None, sa_column=_instant())
    """Since when it answers our token with 401."""


class EndpointRow(PartiesTable, table=True):
    """One interface of one module, as the platform's version details list it."""

    __tablename__ = "endpoint"
    __table_args__ = (ForeignKeyConstraint(["platform_id"], ["platform.platform_id"]),)

    platform_id: UUID = Field(primary_key=True)
    module: str = Field(primary_key=True)
    interface: str = Field(primary_key=True)
    url: str


class PartyClaim(PartiesTable, table=True):
    """A (country_code, party_id) belongs to one platform, whatever its roles (R-33, C-39, S-12)."""

    __tablename__ = "party_claim"
    __table_args__ = (
        ForeignKeyConstraint(["platform_id"], ["platform.platform_id"]),
        UniqueConstraint("country_code", "party_id", "platform_id"),
    )

    country_code: str = Field(primary_key=True)
    party_id: str = Field(primary_key=True)
    platform_id: UUID


class PartyRow(PartiesTable, table=True):
    """A role of a party, here from the invitation on: that is the operator's approval of it (C-40). Never deleted (H-07)."""

    __tablename__ = "party"
    __table_args__ = (
        ForeignKeyConstraint(
            ["country_code", "party_id", "platform_id"],
            ["party_claim.country_code", "party_claim.party_id", "party_claim.platform_id"],
        ),
        CheckConstraint("country_code = upper(country_code) AND party_id = upper(party_id)"),
    )

    country_code: str = Field(primary_key=True)
    party_id: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    platform_id: UUID
    state: str = "PLANNED"
    business_details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    announced: str = "PLANNED"
    announced_at: datetime = Field(sa_column=_instant(nullable=False))


class IssuedToken(PartiesTable, table=True):
    """A token we gave out, as its MAC. `retires_others`: its first use ends every other token of the platform."""

    __tablename__ = "issued_token"
    __table_args__ = (ForeignKeyConstraint(["platform_id"], ["platform.platform_id"]),)

    mac: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    platform_id: UUID
    kind: str
    retires_others: bool = True
    issued_at: datetime = Field(sa_column=_instant(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=_instant())
    first_used_at: datetime | None = Field(default=None, sa_column=_instant())
    key_id: str | None = None
    """The secret key of the MAC; null for what was issued before that was noted."""


class KeyRotation(PartiesTable, table=True):
    """One row: the secret key that everything is to be moved to, and since when; none before the first `ocpi-hub key rotate`."""

    __tablename__ = "key_rotation"

    only_row: bool = Field(default=True, primary_key=True)
    key_id: str
    began_at: datetime = Field(sa_column=_instant(nullable=False))
