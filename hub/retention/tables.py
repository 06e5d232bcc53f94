"""Tables of retention: work that one process of all does."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


def _instant(*, nullable: bool = False) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package."""


class Job(Table, table=True):
    """Who does it now, when it is due, and when it was last done to its end. Times are the database's own."""

    __tablename__ = "job"

    name: str = Field(primary_key=True)
    holder: UUID | None = None
    lease_until: datetime | None = Field(default=None, sa_column=_instant(nullable=True))
    due_at: datetime = Field(sa_column=_instant())
    ran_at: datetime = Field(sa_column=_instant())
