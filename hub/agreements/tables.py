"""Tables of agreements."""

from datetime import datetime

from sqlalchemy import Column, DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the adapter."""


class Agreement(Table, table=True):
    """A CPO and an eMSP (or NSP, NAP, SCSP) that may exchange messages; parties are written `NL*ABC`."""

    __tablename__ = "agreement"

    cpo: str = Field(primary_key=True)
    emsp: str = Field(primary_key=True)
    modules: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))
