"""The OCPI status of each EVSE from what chargers report (charging 3.1, R3, R24, R46 to R50): pure but for what it remembers."""

from collections import Counter
from datetime import datetime, timedelta

from cpo_adapter.charging.events import StatusReported
from cpo_adapter.config import Site

GRACE = timedelta(minutes=2)
AHEAD = timedelta(minutes=5)
STATUSES = {
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
BUSIEST_FIRST = ("CHARGING", "BLOCKED", "RESERVED", "AVAILABLE", "OUTOFORDER", "INOPERATIVE", "UNKNOWN")
OVERLAYS = ("Unavailable", "Faulted")


class Statuses:
    """Connector 0 overlays its whole charger while it is Unavailable or Faulted (R47); a charger without a socket longer
    than the grace time is UNKNOWN (R3)."""

    def __init__(self, site: Site, started_at: datetime) -> None:
        self._site = site
        self._held: dict[tuple[str, int], StatusReported] = {}
        self._gone_since: dict[str, datetime] = {p.charger_key: started_at for p in site.places}

    def report(self, fact: StatusReported) -> bool:
        """Remember it; False for a status older than the held one (R46)."""
        key = (fact.charger_id.casefold(), fact.connector_id)
        held = self._held.get(key)
        if held is not None and _is_older(fact, held):
            return False
        self._held[key] = fact
        return True

    def connected(self, charger_id: str) -> None:
        self._gone_since.pop(charger_id.casefold(), None)

    def disconnected(self, charger_id: str, at: datetime) -> None:
        self._gone_since[charger_id.casefold()] = at

    def ocpp_status(self, charger_key: str, connector_id: int) -> str:
        """The last status of a connector, "" before the first."""
        held = self._held.get((charger_key, connector_id))
        return held.status if held else ""

    def now(self, now: datetime) -> dict[tuple[str, str], str]:
        """(location id, EVSE uid) -> OCPI Status."""
        found: dict[tuple[str, str], Counter[str]] = {}
        for place in self._site.places:
            status = self._of_connector(place.charger_key, place.connector_id, now)
            found.setdefault((place.location_id, place.evse_uid), Counter())[status] += 1
        return {evse: next(s for s in BUSIEST_FIRST if statuses[s]) for evse, statuses in found.items()}

    def _of_connector(self, charger_key: str, connector_id: int, now: datetime) -> str:
        gone = self._gone_since.get(charger_key)
        if gone is not None and now - gone > GRACE:
            return "UNKNOWN"
        overlay = self.ocpp_status(charger_key, 0)
        status = overlay if overlay in OVERLAYS else self.ocpp_status(charger_key, connector_id)
        return STATUSES.get(status, "UNKNOWN")


def _is_older(fact: StatusReported, held: StatusReported) -> bool:
    if fact.at is None or held.at is None or held.at > held.received_at + AHEAD:
        return False
    return fact.at < held.at
