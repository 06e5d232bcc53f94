"""The tables of the adapter as they are after all migrations, in a MetaData of their own; a test compares the two."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, Column, DateTime, LargeBinary, MetaData, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the hub."""


def _at(nullable: bool = False) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


def _bytes(nullable: bool = False) -> Any:
    return Field(sa_column=Column(LargeBinary, nullable=nullable))


class Charger(Table, table=True):
    """A charger that may connect. `charger_key` is the id without case, `boot` what it last said of itself."""

    __tablename__ = "charger"

    charger_key: str = Field(primary_key=True)
    charger_id: str
    password_salt: bytes = _bytes()
    password_mac: bytes = _bytes()
    boot: bytes | None = _bytes(nullable=True)
    last_seen: datetime | None = _at(nullable=True)
    added_at: datetime = _at()


class HubRegistration(Table, table=True):
    """The one registration: JOINING, JOINED or LEFT. Our tokens as MACs, newest last; the hub's token sealed."""

    __tablename__ = "hub_registration"

    one: bool = Field(sa_column=Column(Boolean, primary_key=True))
    state: str
    versions_url: str
    token_macs: list[bytes] = Field(sa_column=Column(ARRAY(LargeBinary), nullable=False))
    sealed_token: bytes = _bytes()
    base64: bool
    hub_country_code: str
    hub_party_id: str
    public_url: str
    endpoints: bytes = _bytes()
    updated_at: datetime = _at()


class KnownClientInfo(Table, table=True):
    """A party behind the hub in one role."""

    __tablename__ = "client_info"

    country_code: str = Field(primary_key=True)
    party_id: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    status: str
    last_updated: datetime = _at()


class KeptToken(Table, table=True):
    """A Token as it came."""

    __tablename__ = "token"

    country_code: str = Field(primary_key=True)
    party_id: str = Field(primary_key=True)
    uid_key: str = Field(primary_key=True, index=True)
    type: str = Field(primary_key=True)
    document: bytes = _bytes()
    last_updated: datetime = _at()


class ExpectedStart(Table, table=True):
    """A start that was allowed before it happened (R53)."""

    __tablename__ = "expected_start"

    charger_key: str = Field(primary_key=True)
    id_tag_key: str = Field(primary_key=True)
    token: bytes = _bytes()
    authorization_reference: str | None = Field(sa_column=Column(Text))
    auth_method: str
    expires_at: datetime = _at()


class Charge(Table, table=True):
    """A transaction: OPEN, STOPPED, then DONE, HELD (with the reason) or, for a refused token, REFUSED.

    `answer_undelivered`: the answer to its start is known not to have reached the charger, which lacks the number (R20).
    `look_up_at`: when the unknown token of a held one is looked up again (R32).
    """

    __tablename__ = "charge"

    session_id: UUID = Field(primary_key=True)
    charger_key: str
    connector_id: int
    transaction_id: int = Field(unique=True)
    start_key: str = Field(unique=True)
    state: str
    opening: bytes = _bytes()
    answer: bytes = _bytes()
    held_because: str | None
    answer_undelivered: bool
    look_up_at: datetime | None = _at(nullable=True)
    lookups: int
    created_seq: int
    created_at: datetime = _at()


class StoredFact(Table, table=True):
    """What a charger reported of a transaction; appended, never changed."""

    __tablename__ = "fact"

    session_id: UUID = Field(primary_key=True, foreign_key="charge.session_id")
    fact_key: str = Field(primary_key=True)
    seq: int
    body: bytes = _bytes()
    received_at: datetime = _at()


class UnmatchedFact(Table, table=True):
    """A stop nobody can place (R20)."""

    __tablename__ = "unmatched_fact"

    fact_key: str = Field(primary_key=True)
    charger_key: str
    body: bytes = _bytes()
    received_at: datetime = _at()


class ConnectorStatus(Table, table=True):
    """The last status a connector reported."""

    __tablename__ = "connector_status"

    charger_key: str = Field(primary_key=True)
    connector_id: int = Field(primary_key=True)
    body: bytes = _bytes()


class Document(Table, table=True):
    """An object of ours as it is now. `receiver` is "NL*TNM" for what only one eMSP may see, "" for public objects."""

    __tablename__ = "document"

    module: str = Field(primary_key=True)
    object_key: str = Field(primary_key=True)
    body: bytes = _bytes()
    receiver: str
    last_updated: datetime = _at()
    created_seq: int


class IssuedCdr(Table, table=True):
    """A CDR, frozen: the running program may only insert and read."""

    __tablename__ = "cdr"

    session_id: UUID = Field(primary_key=True, foreign_key="charge.session_id")
    cdr_id: str = Field(unique=True)
    body: bytes = _bytes()
    made_at: datetime = _at()


class Push(Table, table=True):
    """The state a receiver is to have and the one it acknowledged; None when that is not known."""

    __tablename__ = "push"

    receiver: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    object_key: str = Field(primary_key=True)
    wanted: bytes = _bytes()
    sent: bytes | None = _bytes(nullable=True)
    attempts: int
    next_at: datetime = _at()
    held_because: str | None


class Command(Table, table=True):
    """A command that was answered ACCEPTED and owes a result (R58)."""

    __tablename__ = "command"

    command_id: UUID = Field(primary_key=True)
    kind: str
    charger_key: str
    receiver: str
    response_url: str
    correlation_id: str
    result: str | None
    attempts: int
    next_at: datetime = _at()
    expires_at: datetime = _at()
