"""The OCPI status of EVSEs from what a charger's connectors report (3.1, R46 to R50). On 1.6 an EVSE is one connector."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from cpo_adapter.charging.events import StatusReported
from cpo_adapter.charging.transaction import repaired

OCPI_STATUS = MappingProxyType(
    {
        "Available": "AVAILABLE",
        "Preparing": "BLOCKED",
        "Charging": "CHARGING",
        "SuspendedEV": "CHARGING",
        "SuspendedEVSE": "CHARGING",
        "Finishing": "BLOCKED",
        "Reserved": "RESERVED",
        "Unavailable": "INOPERATIVE",
        "Faulted": "OUTOFORDER",
    }
)
OVERLAYS = ("Unavailable", "Faulted")
WHOLE_CHARGER = 0
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class StatusView:
    """What is held of one charger: the latest report of each connector, and since when it is out of reach.

    Reports are ordered by the charger's time where it is believable and not ahead, else by arrival, so a replayed one changes
    nothing and a clock that was set back keeps nothing as it was (R46).
    """

    connectors: Mapping[int, StatusReported] = field(default_factory=dict)
    lost_at: datetime | None = None

    def apply(self, fact: StatusReported) -> "StatusView":
        """The view with one more report; an older one than the held changes nothing (R46)."""
        held = self.connectors.get(fact.connector_id)
        if held is not None and _order(fact) <= _order(held):
            return self
        return replace(self, connectors={**self.connectors, fact.connector_id: fact})

    def lost(self, at: datetime) -> "StatusView":
        """The charger is gone for longer than the grace time: every status is UNKNOWN until reported anew (R2, R3)."""
        return replace(self, lost_at=at)

    def ocpi_status(self, connector_id: int) -> str:
        """Location.EVSE.status. Unavailable or Faulted on connector 0 covers all; other words there mean nothing (R47)."""
        own, whole = self._current(connector_id), self._current(WHOLE_CHARGER)
        if whole is not None and whole.status in OVERLAYS:
            return OCPI_STATUS[whole.status]
        return UNKNOWN if own is None else OCPI_STATUS.get(own.status, UNKNOWN)

    def _current(self, connector_id: int) -> StatusReported | None:
        held = self.connectors.get(connector_id)
        fresh = held is not None and (self.lost_at is None or held.received_at > self.lost_at)
        return held if fresh else None


def _order(fact: StatusReported) -> tuple[datetime, datetime, str]:
    at = min(repaired(fact).at or fact.received_at, fact.received_at)
    return at, fact.received_at, fact.status
