"""Tables of pulls: one row for each party and module that may be read, and what the whole reading under way has seen."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


def _instant(*, nullable: bool = True) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable)


def _number() -> Any:
    return Column(BigInteger, nullable=False)


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package."""


class PullRow(Table, table=True):
    """One list of one party (`NL*ABC`): whether it is wanted, who reads it now, and how far the newest run has come."""

    __tablename__ = "pull"

    party: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    known_since: datetime = Field(sa_column=_instant(nullable=False))
    """A list that became known today is first read in the next night."""
    pushed_at: datetime | None = Field(default=None, sa_column=_instant())
    """When the party last changed something here by a broadcast push."""
    wanted_at: datetime | None = Field(default=None, sa_column=_instant())
    """A run waits since then, by the schedule or because an operator asked."""
    wanted_whole: bool = False
    wanted_by_hand: bool = False
    epoch: int = Field(sa_column=_number())
    """Counts the leases; progress is stored only under the newest one."""
    holder: UUID | None = None
    lease_until: datetime | None = Field(default=None, sa_column=_instant())
    not_before: datetime | None = Field(default=None, sa_column=_instant())
    failures: int = 0
    """How often the page the run stands at was asked for in vain."""
    state: str = "NEVER"
    whole: bool = True
    """The whole list; otherwise what changed since `date_from`."""
    by_hand: bool = False
    began_at: datetime | None = Field(default=None, sa_column=_instant())
    ended_at: datetime | None = Field(default=None, sa_column=_instant())
    date_from: datetime | None = Field(default=None, sa_column=_instant())
    begin_xid: str | None = Field(default=None, sa_column=Column(Text))
    """xid8 in the database: what has changed since the run began stands in the change log from here on."""
    system_identifier: int | None = Field(default=None, sa_column=Column(BigInteger))
    """The cluster whose transaction ids `begin_xid` means."""
    look: int = 1
    """1: reading; 2: reading once more because something was not there; 3: taking out what was not there twice."""
    next_url: str | None = None
    """The page to ask for next; null at the first."""
    received: int = Field(sa_column=_number())
    """Objects on the pages of this look."""
    pages: int = Field(sa_column=_number())
    objects: int = Field(sa_column=_number())
    changed: int = Field(sa_column=_number())
    vanished: int = Field(sa_column=_number())
    refused: int = Field(sa_column=_number())
    unnamed: int = Field(sa_column=_number())
    """Entries whose key could not be read, so that nobody knows what they stand for."""
    said: str = ""
    """The last thing worth telling an operator, one sentence."""
    flag: str = ""
    """How the party's pages differ from the specification."""
    succeeded_at: datetime | None = Field(default=None, sa_column=_instant())
    """When the newest run that ended well began."""
    whole_at: datetime | None = Field(default=None, sa_column=_instant())


class PullSeen(Table, table=True):
    """An object that stood in the list of the whole run under way."""

    __tablename__ = "pull_seen"

    party: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    key_folded: str = Field(primary_key=True)
