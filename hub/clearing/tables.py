"""Tables of clearing: CDRs are written once; only their delivery changes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the adapter."""


class CdrIdentity(Table, table=True):
    """One row for every CDR ever taken; never partitioned, changed or dropped."""

    __tablename__ = "cdr_identity"

    owner: str = Field(primary_key=True)
    id_folded: str = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash_version: int
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class Cdr(Table, table=True):
    """The body as received, partitioned by the month of `received_at`; insert only."""

    __tablename__ = "cdr"

    owner: str = Field(primary_key=True)
    id_folded: str = Field(primary_key=True)
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    receiver: str
    last_updated: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    credit_reference_id: str | None = None
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    owner_place: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The how-manieth CDR of its owner, in the order of lists; without gaps."""
    receiver_place: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The same among those for its receiver."""


class CdrDelivery(Table, table=True):
    """What became of it at the receiver, and the answer the CPO gets again."""

    __tablename__ = "cdr_delivery"

    owner: str = Field(primary_key=True)
    id_folded: str = Field(primary_key=True)
    receiver: str
    state: str
    reference: str = Field(unique=True)
    location: str | None = None
    """The URL the receiver gave; None: the hub's own copy stands behind the reference (D-21)."""
    http_status: int | None = None
    answer: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    attempts: int = 0
    attempt_id: UUID | None = None
    """The attempt under way, of whichever process; of guaranteed ones `next_attempt_at` tells."""
    attempt_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    """Prolonged while its process lives; then another may forward it."""
    guaranteed: bool = False
    """The hub acknowledged it and posts it until it is taken; otherwise only its CPO starts an attempt."""
    next_attempt_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    """Of a guaranteed one; null: refused too often, until its CPO or an operator asks again."""
    refusals: int = 0
    correlation_id: str = ""
    last_error: str = ""
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
