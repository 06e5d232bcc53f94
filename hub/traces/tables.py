"""Tables of traces: what passed, and where the hub could not keep up with writing it down."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


def _number(*, key: bool = False) -> Any:
    return Column(BigInteger, primary_key=key, nullable=not key)


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package."""


class Trace(Table, table=True):
    """A request with the one that was forwarded for it, partitioned by the day of `traced_at`.

    A second leg beside it, and a delivery, is a row of its own without the columns of the first. Personal values are hashed.
    """

    __tablename__ = "trace"

    sender: str = Field(primary_key=True)
    """The FROM party, `NL*ABC`; empty where a request names none."""
    traced_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    """When it was answered."""
    seq: int = Field(sa_column=_number(key=True))
    receiver: str
    """The party it went to, else the TO party; empty where there is none."""
    sender_platform: str
    receiver_platform: str
    module: str
    interface: str
    method: str
    route: str
    """One of the seven, `Delivery` for what the hub sent by itself, empty when it was refused before a route was chosen."""
    correlation_id: str
    object_owner: str
    object_id: str
    """Folded; of a Token `#` and ten digits."""
    request_id: str | None = None
    target: str | None = None
    """Path and query below the endpoint."""
    http_status: int | None = None
    status_code: int | None = None
    """OCPI's, as the sender read it."""
    microseconds: int | None = Field(default=None, sa_column=_number())
    """From the request to its answer."""
    request_bytes: int | None = Field(default=None, sa_column=_number())
    answer_bytes: int | None = Field(default=None, sa_column=_number())
    refusal: str | None = None
    """Why the hub refused it, in its own words."""
    forwarded_request_id: str | None = None
    forwarded_target: str | None = None
    forwarded_outcome: str | None = None
    """A type of `hub.delivery.outcome`."""
    forwarded_http_status: int | None = None
    forwarded_status_code: int | None = None
    forwarded_microseconds: int | None = Field(default=None, sa_column=_number())
    forwarded_bytes: int | None = Field(default=None, sa_column=_number())
    forwarded_answer_bytes: int | None = Field(default=None, sa_column=_number())
    flags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    headers: dict[str, dict[str, str]] = Field(sa_column=Column(JSONB, nullable=False))
    """The named headers of `request`, `answer`, `forwarded` and `forwarded_answer`."""


class TraceGap(Table, table=True):
    """A time in which a process had to drop the oldest traces."""

    __tablename__ = "trace_gap"

    gap_id: UUID = Field(primary_key=True)
    began_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ended_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
