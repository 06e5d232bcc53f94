"""Tables of routing: the URLs the hub handed out, and what open routing remembers."""

from datetime import datetime

from sqlalchemy import Column, DateTime, LargeBinary, MetaData, func
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the adapter."""


class TicketRow(Table, table=True):
    """A response_url or a Link of somebody, behind an unguessable reference of ours (M-34)."""

    __tablename__ = "ticket"

    reference: str = Field(primary_key=True)
    kind: str
    module: str
    url: str
    asker: str
    """The party the URL belongs to, `NL*ABC`."""
    addressee: str
    """The party the request went to; results are accepted from its platform only."""
    command: str = ""
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))


class TicketResult(Table, table=True):
    """A result that was delivered, so that the same one is answered again instead of delivered twice (M-29)."""

    __tablename__ = "ticket_result"

    reference: str = Field(primary_key=True, foreign_key="ticket.reference", ondelete="CASCADE")
    body_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    http_status: int
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class KnownRoute(Table, table=True):
    """Who has to do with a reservation, profile, session or authorization of `owner` (R-103, P-24)."""

    __tablename__ = "known_route"

    owner: str = Field(primary_key=True)
    """The party that was asked, or whose session it is: the CPO, `NL*ABC`."""
    kind: str = Field(primary_key=True)
    reference_folded: str = Field(primary_key=True)
    partner: str = Field(primary_key=True)
    """The party that asked, or whose driver it is."""
    ticket: str | None = None
    """The ticket of the request that made this known; a request that was not taken takes it back."""
    noted_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))
