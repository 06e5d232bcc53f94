"""Tables of kept objects. Keys begin with the owner; `audience` is `*` or the one party a push was addressed to (U-49)."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

METADATA = MetaData()


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """The tables of this package, apart from those of the adapter."""


class KeptObject(Table, table=True):
    """A client owned object as its owner spelled it."""

    __tablename__ = "kept_object"

    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    key_folded: str = Field(primary_key=True)
    audience: str = Field(primary_key=True)
    created_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The order of lists; the copies of one object share it."""
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Counts up with every change; never a clock."""
    last_updated: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    deleted: bool = False
    buried_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    """When it was deleted; a tombstone is forgotten long after."""
    stale: bool = False
    """A push that is no older could not be kept, and no whole object was pushed since."""
    correlation_id: str = ""
    """That of the push that made this version, for its deliveries by whichever process (X-91)."""
    listed: bool = False
    """Alive, and what its audience finds in a list: `*` itself, or a copy for one party beside which there is no `*`."""
    revoked: bool = False
    """A Token that is not valid any more; such go first wherever objects are owed."""
    owner_last_updated: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    """Where the hub itself has marked an object REMOVED: what its owner said last, to which the next word is compared."""


class ObjectCount(Table, table=True):
    """How many objects of an owner are not deleted, exactly. The audience `=` counts each object once, for the owner itself."""

    __tablename__ = "object_count"

    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    audience: str = Field(primary_key=True)
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    listed: int = Field(sa_column=Column(BigInteger, nullable=False))


class ObjectPage(Table, table=True):
    """Where every 1000th listed object of an owner stands: `from_seq` is the created_seq at the offset 1000 * `page`."""

    __tablename__ = "object_page"

    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    audience: str = Field(primary_key=True)
    page: int = Field(sa_column=Column(BigInteger, primary_key=True))
    from_seq: int = Field(sa_column=Column(BigInteger, nullable=False))


class ChangeLogFloor(Table, table=True):
    """The last position of what was dropped of the change log, in the cluster it means."""

    __tablename__ = "change_log_floor"

    only_row: bool = Field(default=True, primary_key=True)
    system_identifier: int = Field(sa_column=Column(BigInteger, nullable=False))
    xid: str = Field(sa_column=Column(Text, nullable=False))
    """xid8 in the database."""
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))


class Change(Table, table=True):
    """Which object became which version; read by the pair (xid, seq) below the oldest running transaction.

    One partition a day.
    """

    __tablename__ = "change_log"

    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    xid: str = Field(sa_column=Column(Text, primary_key=True))
    """xid8 in the database."""
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True))
    owner: str
    module: str
    key_folded: str
    audience: str
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
