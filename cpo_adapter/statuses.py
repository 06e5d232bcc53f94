"""The OCPI status of each EVSE, from the StatusView of each charger and from who has a socket (R2, R3, R46 to R48)."""

from datetime import datetime, timedelta

from cpo_adapter.charging.events import StatusReported
from cpo_adapter.charging.status import UNKNOWN, StatusView
from cpo_adapter.config import Place, Site

GRACE = timedelta(minutes=2)
BUSIEST_FIRST = ("CHARGING", "BLOCKED", "RESERVED", "AVAILABLE", "OUTOFORDER", "INOPERATIVE", UNKNOWN)


class Statuses:
    """A charger without a socket longer than the grace time is UNKNOWN until it reports anew (R3)."""

    def __init__(self, site: Site, started_at: datetime) -> None:
        self._site = site
        self._views = {place.charger_key: StatusView() for place in site.places}
        self._gone_since = dict.fromkeys(self._views, started_at)

    def report(self, fact: StatusReported) -> bool:
        """Remember it; False when it changes nothing (R46)."""
        key = fact.charger_id.casefold()
        held = self._views.get(key, StatusView())
        self._views[key] = held.apply(fact)
        return self._views[key] is not held

    def connected(self, charger_id: str) -> None:
        self._gone_since.pop(charger_id.casefold(), None)

    def disconnected(self, charger_id: str, at: datetime) -> None:
        self._gone_since[charger_id.casefold()] = at

    def of(self, place: Place) -> str:
        """The OCPI status of one connector's EVSE as last reported."""
        return self._views[place.charger_key].ocpi_status(place.connector_id)

    def now(self, now: datetime) -> dict[tuple[str, str], str]:
        """(location id, EVSE uid) -> OCPI Status."""
        for charger_key, since in list(self._gone_since.items()):
            view = self._views.get(charger_key, StatusView())
            if now - since > GRACE and (view.lost_at is None or view.lost_at < since):
                self._views[charger_key] = view.lost(since)
        found: dict[tuple[str, str], set[str]] = {}
        for place in self._site.places:
            status = self._views[place.charger_key].ocpi_status(place.connector_id)
            found.setdefault((place.location_id, place.evse_uid), set()).add(status)
        return {evse: next(s for s in BUSIEST_FIRST if s in statuses) for evse, statuses in found.items()}
