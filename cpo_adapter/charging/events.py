"""The words in which `csms` and the rest of the adapter meet: version-free facts of chargers, and the answers they wait for.

A fact is what a charger reported, normalised: instants are aware UTC, energy is Decimal Wh, power Decimal W. `at` is the
charger's own time of the event, `received_at` ours (charging R22). `raw_at` is the charger's time as received
when `at` was repaired (R23), 1970 when none could be read, else None.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Decision(StrEnum):
    """The answer to a token: OCPP 1.6 AuthorizationStatus."""

    Accepted = "Accepted"
    Blocked = "Blocked"
    Expired = "Expired"
    Invalid = "Invalid"
    ConcurrentTx = "ConcurrentTx"


@dataclass(frozen=True)
class Booted:
    """BootNotification."""

    charger_id: str
    received_at: datetime
    vendor: str = ""
    model: str = ""
    serial_number: str = ""
    firmware_version: str = ""
    meter_serial_number: str = ""


@dataclass(frozen=True)
class StatusReported:
    """StatusNotification; connector 0 is the whole charger (R47). `at` is None when the charger sent no time."""

    charger_id: str
    connector_id: int
    status: str
    received_at: datetime
    at: datetime | None = None
    error_code: str = "NoError"
    info: str = ""
    raw_at: datetime | None = None


@dataclass(frozen=True)
class Sample:
    """One sampled value with the defaults of R35 filled in and the unit folded: Wh, W, A, V, Percent, or as received.

    `value` is None for "", "NaN" and signed data, which is no number (R35, R45); `raw_value` is the text as received.
    """

    at: datetime
    measurand: str
    value: Decimal | None
    unit: str
    raw_value: str
    context: str = "Sample.Periodic"
    location: str = "Outlet"
    phase: str = ""
    format: str = "Raw"
    raw_at: datetime | None = None


@dataclass(frozen=True)
class Started:
    """StartTransaction: `meter_start` in Wh. Equal facts are one start sent twice (R18)."""

    charger_id: str
    connector_id: int
    id_tag: str
    meter_start: Decimal
    at: datetime
    received_at: datetime
    reservation_id: int | None = None
    raw_at: datetime | None = None


@dataclass(frozen=True)
class Sampled:
    """MeterValues; `transaction_id` is the charger's number, None when it sent none (R42) or one that it made up itself, which
    is `invented_id`: it never heard ours (R20)."""

    charger_id: str
    connector_id: int
    transaction_id: int | None
    samples: tuple[Sample, ...]
    received_at: datetime
    invented_id: int | None = None


@dataclass(frozen=True)
class Stopped:
    """StopTransaction: `meter_stop` in Wh."""

    charger_id: str
    transaction_id: int
    meter_stop: Decimal
    at: datetime
    received_at: datetime
    id_tag: str | None = None
    reason: str = "Local"
    samples: tuple[Sample, ...] = ()
    raw_at: datetime | None = None


@dataclass(frozen=True)
class Orphaned:
    """Our own decision that no StopTransaction will come (R19, R29): the transaction was over at `at` at the latest."""

    charger_id: str
    at: datetime
    received_at: datetime


@dataclass(frozen=True)
class TokenAnswer:
    """What a charger hears about a token; `parent_id_tag` is the group, at most 20 characters in 1.6 (R55)."""

    decision: Decision
    parent_id_tag: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class StartAnswer:
    """The answer to a Started: a positive 31-bit number, never time-based (R17), also for a refused token (R33)."""

    transaction_id: int
    token: TokenAnswer


class Facts(Protocol):
    """What the OCPP side calls. Whatever the charger deletes from its queue on our answer is stored before the call returns
    (charging 5.6, point 4): booted, asked, started and stopped raise when it could not be stored, and the charger repeats."""

    async def knows(self, charger_id: str, password: str | None) -> str | None:
        """The stored spelling of the charger id when the Basic password is right, else None (R4, R11, S-45, S-47)."""

    async def connected(self, charger_id: str, at: datetime) -> None: ...

    async def disconnected(self, charger_id: str, at: datetime) -> None: ...

    async def booted(self, fact: Booted) -> None: ...

    async def status_reported(self, fact: StatusReported) -> None: ...

    async def token_asked(self, charger_id: str, id_tag: str) -> TokenAnswer: ...

    async def started(self, fact: Started) -> StartAnswer: ...

    async def start_unheard(self, fact: Started) -> None:
        """The charger did not get the answer to this start: its socket was gone, or it was told an error instead (R20)."""

    async def sampled(self, fact: Sampled) -> None: ...

    async def stopped(self, fact: Stopped) -> TokenAnswer | None: ...


class RemoteAnswer(StrEnum):
    """How a charger answered a remote call (charging 3.6)."""

    Accepted = "Accepted"
    Rejected = "Rejected"
    NotSupported = "NotSupported"
    Failed = "Failed"
    NoAnswer = "NoAnswer"
    Offline = "Offline"


class Chargers(Protocol):
    """What the OCPI side may ask of a connected charger; each call has a deadline and never raises for the charger's part."""

    def is_online(self, charger_id: str) -> bool: ...

    async def remote_start(self, charger_id: str, connector_id: int | None, id_tag: str) -> RemoteAnswer: ...

    async def remote_stop(self, charger_id: str, transaction_id: int) -> RemoteAnswer: ...

    async def unlock(self, charger_id: str, connector_id: int) -> RemoteAnswer: ...
