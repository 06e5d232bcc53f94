"""The file ADAPTER_CONFIG names: locations, tariffs, and which connector of which charger stands where. JSON or TOML.

    {"business_details": {"name": "..."},
     "tariffs":   [Tariff, ...],          OCPI objects; country_code, party_id and last_updated are filled in
     "locations": [Location, ...],        with evses and connectors; EVSE status and last_updated are filled in
     "chargers":  [{"charger_id": "CP-1", "evses": [
                       {"connector_id": 1, "location_id": "LOC1", "evse_uid": "E1", "connector": "1"}]}]}

`connector_id` is the charger's own number of the EVSE it serves.

`"assume_ocpp16": true` beside `charger_id` lets a charger in that offers no WebSocket subprotocol (R5).
`connector` may be left out where the EVSE has one. The first of a connector's tariff_ids applies to its sessions.
"""

import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from cpo_adapter import site_checks
from ocpi_modules import json
from ocpi_modules.locations.schemas import Location
from ocpi_modules.message import PartyId
from ocpi_modules.status import NotJson
from ocpi_modules.tariffs.schemas import Tariff
from ocpi_modules.validation import findings

NEVER = "1970-01-01T00:00:00.000Z"
Document = dict[str, Any]


class ConfigError(Exception):
    """One sentence a mistake, each naming the field."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True)
class Place:
    """Where one connector of a charger stands. Ids compare without case; the charger id is folded."""

    charger_key: str
    charger_id: str
    connector_id: int
    location_id: str
    evse_uid: str
    ocpi_connector_id: str
    max_power_w: Decimal | None = None


@dataclass(frozen=True)
class Site:
    """What the file says, checked. `locations` and `tariffs` by folded id."""

    party: PartyId
    business_details: Document
    locations: dict[str, Document]
    tariffs: dict[str, Document]
    places: tuple[Place, ...] = ()
    chargers: tuple[str, ...] = field(default=())
    assume_ocpp16: frozenset[str] = frozenset()
    """Folded ids of chargers that may offer no subprotocol."""

    def place(self, charger_key: str, connector_id: int) -> Place | None:
        """Where this connector of this charger stands; None when the file does not say."""
        return next((p for p in self.places if (p.charger_key, p.connector_id) == (charger_key, connector_id)), None)

    def places_at(self, location_id: str, evse_uid: str | None = None, connector_id: str | None = None) -> list[Place]:
        """The connectors at a location, narrowed to an EVSE and a connector."""
        return [
            place
            for place in self.places
            if place.location_id.casefold() == location_id.casefold()
            and (evse_uid is None or place.evse_uid.casefold() == evse_uid.casefold())
            and (connector_id is None or place.ocpi_connector_id.casefold() == connector_id.casefold())
        ]

    def evse(self, place: Place) -> Document:
        return next(e for e in self.locations[place.location_id.casefold()]["evses"] if e["uid"] == place.evse_uid)

    def connector(self, place: Place) -> Document:
        return next(c for c in self.evse(place)["connectors"] if c["id"] == place.ocpi_connector_id)

    def tariffs_of(self, place: Place) -> list[Document]:
        """The tariffs of a connector, the one that applies first."""
        return [self.tariffs[id.casefold()] for id in self.connector(place).get("tariff_ids", [])]


def load(path: Path, party: PartyId) -> Site:
    """Read and check the file. Raises ConfigError."""
    document = _read(path)
    if not isinstance(document, dict):
        raise ConfigError([f"{path}: the file must hold an object with locations, tariffs and chargers."])
    unknown = document.keys() - {"business_details", "tariffs", "locations", "chargers"}
    wrong = [
        f"{path}: {name} is not known; known are business_details, tariffs, locations, chargers." for name in unknown
    ]
    wrong += [f"ADAPTER_CONFIG: {sentence}" for sentence in site_checks.misshapen(document)]
    if wrong:
        raise ConfigError(wrong)
    owner = {"country_code": party.country_code, "party_id": party.party_id}
    tariffs = [{**owner, "last_updated": NEVER, **tariff} for tariff in document.get("tariffs", [])]
    locations = [_location({**owner, **location}) for location in document.get("locations", [])]
    wrong += _mistakes(Tariff, "tariffs", tariffs) + _mistakes(Location, "locations", locations)
    if wrong:
        raise ConfigError(wrong)
    wrong = [f"ADAPTER_CONFIG: {sentence}" for sentence in site_checks.contradictions(party, tariffs, locations)]
    if wrong:
        raise ConfigError(wrong)
    site = Site(
        party,
        document.get("business_details", {"name": str(party)}),
        {location["id"].casefold(): location for location in locations},
        {tariff["id"].casefold(): tariff for tariff in tariffs},
    )
    wrong = _unknown_tariffs(site)
    places = tuple(_places(site, document.get("chargers", []), wrong))
    listed = ((p.charger_id, p.connector_id, f"{p.location_id} {p.evse_uid} {p.ocpi_connector_id}") for p in places)
    chargers = tuple(charger["charger_id"] for charger in document.get("chargers", []))
    wrong += [f"ADAPTER_CONFIG: {sentence}" for sentence in site_checks.places_twice(listed, chargers)]
    wrong += [
        f"ADAPTER_CONFIG: EVSE {p.evse_uid} has no evse_id; a CDR needs it." for p in places if not _has_id(site, p)
    ]
    if wrong:
        raise ConfigError(wrong)
    assumed = frozenset(
        one["charger_id"].casefold() for one in document.get("chargers", []) if one.get("assume_ocpp16")
    )
    return Site(site.party, site.business_details, site.locations, site.tariffs, places, chargers, assumed)


def _has_id(site: Site, place: Place) -> bool:
    return "evse_id" in site.evse(place)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".toml":
            return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        return json.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"ADAPTER_CONFIG: {path} cannot be read: {error.strerror}."]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, NotJson) as error:
        raise ConfigError([f"ADAPTER_CONFIG: {path} cannot be read: {error}"]) from None


def _location(location: Document) -> Document:
    evses = [
        {
            "status": "UNKNOWN",
            "last_updated": NEVER,
            **evse,
            "connectors": [{"last_updated": NEVER, **connector} for connector in evse.get("connectors", [])],
        }
        for evse in location.get("evses", [])
    ]
    return {"publish": True, "last_updated": NEVER, **location, "evses": evses}


def _mistakes(schema: type[Any], name: str, objects: list[Document]) -> list[str]:
    return [
        f"ADAPTER_CONFIG: {name}[{number}]: {finding.message}"
        for number, item in enumerate(objects)
        for finding in findings(schema, item)
    ]


def _unknown_tariffs(site: Site) -> list[str]:
    return [
        f"ADAPTER_CONFIG: connector {connector['id']} of EVSE {evse['uid']} names the tariff {id}, which is not in tariffs."
        for location in site.locations.values()
        for evse in location["evses"]
        for connector in evse["connectors"]
        for id in connector.get("tariff_ids", [])
        if id.casefold() not in site.tariffs
    ]


def _places(site: Site, chargers: list[Document], wrong: list[str]) -> list[Place]:
    places = []
    for charger in chargers:
        for evse in charger.get("evses", []):
            try:
                places.append(_place(site, charger["charger_id"], evse))
            except (KeyError, StopIteration, TypeError) as error:
                wrong.append(
                    f"ADAPTER_CONFIG: charger {charger.get('charger_id')}: {evse} needs connector_id, and a location_id, "
                    f"evse_uid and connector that stand in locations ({error or 'not found'})."
                )
    return places


def _place(site: Site, charger_id: str, given: Document) -> Place:
    location = site.locations[given["location_id"].casefold()]
    evse = next(evse for evse in location["evses"] if evse["uid"] == given["evse_uid"])
    asked = given.get("connector") or (evse["connectors"][0]["id"] if len(evse["connectors"]) == 1 else None)
    connector = next(connector for connector in evse["connectors"] if connector["id"] == asked)
    power = given.get("max_power_w", connector.get("max_electric_power"))
    return Place(
        charger_id.casefold(),
        charger_id,
        int(given["connector_id"]),
        location["id"],
        evse["uid"],
        connector["id"],
        Decimal(power) if power is not None else None,
    )
