"""Tables of agreements."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the adapter."""


def _instant() -> Any:
    return Column(DateTime(timezone=True))


class Agreement(Table, table=True):
    """A CPO and an eMSP (or NSP, NAP, SCSP) that may exchange messages; parties are written `NL*ABC`.

    Two parties have one agreement, whichever of them is called the CPO.
    """

    __tablename__ = "agreement"

    cpo: str = Field(primary_key=True)
    emsp: str = Field(primary_key=True)
    modules: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))
    valid_from: datetime | None = Field(default=None, sa_column=_instant())
    valid_until: datetime | None = Field(default=None, sa_column=_instant())
    cdr_mode: str = "transparent"
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))


Index(
    "agreement_pair",
    func.least(Agreement.cpo, Agreement.emsp),
    func.greatest(Agreement.cpo, Agreement.emsp),
    unique=True,
)


class AgreementRevision(Table, table=True):
    """One row, counted up by a trigger with every change, so that a process reads agreements only when one changed."""

    __tablename__ = "agreement_revision"

    only_row: bool = Field(default=True, primary_key=True)
    revision: int = Field(sa_column=Column(BigInteger, nullable=False))


class AgreementBeginning(Table, table=True):
    """Two parties, in the order of their names, between whom something passes from `begins_at` on that did not pass before.

    Made by a trigger; taken out when what they missed is owed (`hub/delivery/beginnings.py`).
    """

    __tablename__ = "agreement_beginning"

    one: str = Field(primary_key=True)
    other: str = Field(primary_key=True)
    begins_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
