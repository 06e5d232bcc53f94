"""Tables of HubClientInfo."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the adapter."""


def _instant(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class ClientInfoRow(Table, table=True):
    """One ClientInfo object as one platform sees it (H-19). Never deleted (H-07).

    It is owed to the viewer while `pushed_at` is empty, or older than the viewer's registration; only the latest state is.
    """

    __tablename__ = "client_info"

    viewer: UUID = Field(primary_key=True)
    country_code: str = Field(primary_key=True)
    party_id: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    position: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    """The order of the list."""
    status: str
    last_updated: datetime = Field(sa_column=_instant(nullable=False))
    pushed_at: datetime | None = Field(default=None, sa_column=_instant())
    push_after: datetime = Field(sa_column=_instant(nullable=False))
    """Not tried before: a push is under way, or failed."""
    attempts: int = 0


class ClientInfoLeader(Table, table=True):
    """One row: the process that brings the objects up to date and pushes them, until its lease ends."""

    __tablename__ = "client_info_leader"

    only_row: bool = Field(default=True, primary_key=True)
    holder: UUID | None = None
    lease_until: datetime | None = Field(default=None, sa_column=_instant())


class SelfSuspicionRow(Table, table=True):
    """A process to which most partners seem to have gone at once (Q-11); `seen_at` is refreshed while it lives."""

    __tablename__ = "self_suspicion"

    process: UUID = Field(primary_key=True)
    since: datetime = Field(sa_column=_instant(nullable=False))
    seen_at: datetime = Field(sa_column=_instant(nullable=False))
