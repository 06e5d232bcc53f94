"""What can be wrong with the site file beyond its OCPI objects: a sentence for each mistake. Pure.

Two entries of one name would let the last one price or place a charge; what has no price or no evse_id has no CDR either.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from ocpi_modules.message import PartyId
from ocpi_modules.tariffs.pricing import Tariff, Unpriceable

Document = dict[str, Any]
_OF_CHARGER = {"charger_id", "evses", "assume_ocpp16"}
_OF_PLACE = {"connector_id", "location_id", "evse_uid", "connector", "max_power_w"}


def misshapen(document: Document) -> list[str]:
    """What is no list, object, text or number where one belongs."""
    wrong: list[str] = []
    for location, path in _objects(document, "locations", "", wrong):
        for evse, inner in _objects(location, "evses", f"{path}.", wrong):
            list(_objects(evse, "connectors", f"{inner}.", wrong))
    list(_objects(document, "tariffs", "", wrong))
    for charger, path in _objects(document, "chargers", "", wrong):
        wrong += _wrong_charger(charger, path)
        for place, inner in _objects(charger, "evses", f"{path}.", wrong):
            wrong += _wrong_place(place, inner)
    if not isinstance(document.get("business_details", {}), dict):
        wrong.append("business_details must be an object with a name.")
    return wrong


def _objects(parent: Document, name: str, before: str, wrong: list[str]) -> Iterator[tuple[Document, str]]:
    found = parent.get(name, [])
    if not isinstance(found, list):
        wrong.append(f"{before}{name} must be a list.")
        return
    for number, item in enumerate(found):
        path = f"{before}{name}[{number}]"
        if isinstance(item, dict):
            yield item, path
        else:
            wrong.append(f"{path} must be an object.")


def _wrong_charger(charger: Document, path: str) -> Iterator[str]:
    yield from _unknown(charger, _OF_CHARGER, path)
    if not isinstance(charger.get("charger_id"), str) or not charger["charger_id"].strip():
        yield f"{path}.charger_id must be the charger's id, a text."
    if not isinstance(charger.get("assume_ocpp16", False), bool):
        yield f"{path}.assume_ocpp16 must be true or false."


def _wrong_place(place: Document, path: str) -> Iterator[str]:
    yield from _unknown(place, _OF_PLACE, path)
    connector_id, power = place.get("connector_id"), place.get("max_power_w")
    if type(connector_id) is not int or connector_id < 1:
        yield f"{path}.connector_id must be the charger's own number of the connector, 1 or more."
    for name in ("location_id", "evse_uid", "connector"):
        if not isinstance(place.get(name, "" if name == "connector" else None), str):
            yield f"{path}.{name} must be a text."
    if power is not None and not (type(power) in (int, Decimal) and power > 0):
        yield f"{path}.max_power_w must be a number of watts above 0."


def _unknown(given: Document, known: set[str], path: str) -> Iterator[str]:
    for name in sorted(given.keys() - known):
        yield f"{path}.{name} is not known; known are {', '.join(sorted(known))}."


def contradictions(party: PartyId, tariffs: list[Document], locations: list[Document]) -> list[str]:
    """Names given twice, other people's objects, tariffs nothing can be priced with. The objects are valid OCPI."""
    wrong = _twice("tariffs: the id", (tariff["id"] for tariff in tariffs))
    wrong += _twice("locations: the id", (location["id"] for location in locations))
    for location in locations:
        wrong += _twice(f"location {location['id']}: the EVSE uid", (evse["uid"] for evse in location["evses"]))
        for evse in location["evses"]:
            wrong += _twice(f"EVSE {evse['uid']}: the connector id", (each["id"] for each in evse["connectors"]))
    for kind, owned in (("tariff", tariffs), ("location", locations)):
        wrong += [
            f"{kind} {item['id']} belongs to {owner}, not to {party}; leave country_code and party_id out."
            for item in owned
            if (owner := PartyId.of(item["country_code"], item["party_id"])) != party
        ]
    return wrong + [sentence for tariff in tariffs for sentence in _unpriceable(tariff)]


def _unpriceable(tariff: Document) -> Iterator[str]:
    try:
        Tariff.from_ocpi(tariff)
    except Unpriceable as error:
        yield f"tariff {tariff['id']} cannot be priced: {error.reason}."


def places_twice(places: Iterable[tuple[str, int, str]], chargers: Iterable[str]) -> list[str]:
    """`places` are the charger, its connector number and the OCPI connector as text, `chargers` all charger ids."""
    listed = list(places)
    return [
        *_twice("chargers: the charger_id", chargers),
        *_twice("chargers: connector", (f"{connector_id} of {charger}" for charger, connector_id, _ in listed)),
        *_twice("chargers: the place", (place for _, _, place in listed)),
    ]


def _twice(what: str, names: Iterable[str]) -> list[str]:
    counted = Counter(name.casefold() for name in names)
    return [f"{what} {name} is given {times} times." for name, times in counted.items() if times > 1]
