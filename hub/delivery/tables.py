"""Tables of delivery. No message is kept: a position in the change log for each receiver, and the exceptions beside it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


def _instant(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package."""


class DestinationRow(Table, table=True):
    """A receiving party (`NL*ABC`), how far it has read, who serves it now, and how it fares."""

    __tablename__ = "destination"

    party: str = Field(primary_key=True)
    platform_id: UUID
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Counts the leases; a cursor moves only under the newest one."""
    holder: UUID | None = None
    lease_until: datetime | None = Field(default=None, sa_column=_instant())
    system_identifier: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The cluster whose transaction ids the cursor means."""
    cursor_xid: str = Field(sa_column=Column(Text, nullable=False))
    """xid8 in the database."""
    cursor_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    walk_after: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    """The key a walk through all objects has come to; null when there is none."""
    ahead: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    """(system_identifier, xid, seq): revoked Tokens were told up to there, where that is behind the cursor."""
    state: str = "ACTIVE"
    failures: int = 0
    failing_since: datetime | None = Field(default=None, sa_column=_instant())
    next_attempt_at: datetime | None = Field(default=None, sa_column=_instant())
    last_error: str = ""


class Undelivered(Table, table=True):
    """An object the cursor has passed although the receiver did not take it; without a next attempt it waits for a change."""

    __tablename__ = "undelivered"

    party: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    key_folded: str = Field(primary_key=True)
    audience: str = Field(primary_key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempts: int
    next_attempt_at: datetime | None = Field(default=None, sa_column=_instant())
    last_error: str
    changed_at: datetime = Field(sa_column=_instant(nullable=False))
    revoked: bool = False
    """A Token that was not valid any more when this was noted."""


class DeliveryWorker(Table, table=True):
    """A process that delivers, and when it was last heard of."""

    __tablename__ = "delivery_worker"

    worker: UUID = Field(primary_key=True)
    seen_at: datetime = Field(sa_column=_instant(nullable=False))
    open: bool = False
    """Whether it lets everybody send to everybody."""


class ReceiverBeginning(Table, table=True):
    """A party that hears more since `begins_at` than before; taken out when it is to be walked through every object."""

    __tablename__ = "receiver_beginning"

    party: str = Field(primary_key=True)
    begins_at: datetime = Field(sa_column=_instant(nullable=False))


class DefaultPolicyRow(Table, table=True):
    """One row: whether everybody could send to everybody when a process last said so; null before the first."""

    __tablename__ = "default_policy"

    only_row: bool = Field(default=True, primary_key=True)
    open: bool | None = None
