"""Any object of OCPI as one party writes it: its own codes and ids, its driver's token, and texts that give it away."""

import re
from collections.abc import Mapping
from typing import Any

from ocpi_modules.message import PartyId
from tests.support import objects
from tests.support.objects import Document

TEXTS = (
    "name",
    "address",
    "remark",
    "authorization_reference",
    "visual_number",
    "issuer",
    "meter_id",
    "physical_reference",
)
"""Fields that hold any text of up to 16 characters."""
WHEN = "2026-03-01T12:00:00Z"


def written(
    name: str,
    ids: Mapping[str, str],
    *,
    owner: PartyId,
    driver: PartyId,
    text: str,
    response_url: str,
    own_id: str | None = None,
) -> Document:
    """The object `name`; one nobody has an example of yet has an owner and an id. `own_id` is its `id` or `uid`."""
    builder = objects.BUILDERS.get(name, _unknown)
    document = builder(last_updated=WHEN) if "last_updated" in builder() else builder()
    document |= {field: text for field in TEXTS if field in document}
    document |= {field: ids[field] for field in document if field in ids}
    document |= {field: own_id for field in ("id", "uid") if field in document and own_id}
    fields: dict[str, Any] = {
        **owner._asdict(),
        "response_url": response_url,
        "cdr_token": _token(objects.cdr_token, driver, ids),
        "token": _token(objects.token, driver, ids, text),
        "tariff_alt_text": [objects.display_text(text=text)],
        "terms_and_conditions": f"https://{text}.example",
        "cdr_location": objects.cdr_location(id=ids["location_id"], evse_uid=ids["evse_uid"], name=text),
        "connectors": [objects.connector(id=ids["connector_id"], terms_and_conditions=f"https://{text}.example")],
        "evses": [evse(ids, text)],
        "credit": False,
        "credit_reference_id": None,
    }
    document |= {field: value for field, value in fields.items() if field in document}
    return {field: value for field, value in document.items() if value is not None}


def evse(ids: Mapping[str, str], text: str) -> Document:
    connector = objects.connector(id=ids["connector_id"], terms_and_conditions=f"https://{text}.example")
    return objects.evse(uid=ids["evse_uid"], physical_reference=text, connectors=[connector])


def changes(document: Document) -> Document:
    """A PATCH of it that would show: everything that identifies or dates it, and its texts."""
    kept = ("country_code", "party_id", "id", "uid", "type", "last_updated", *TEXTS)
    return {field: value for field, value in document.items() if field in kept}


def strings(value: Any) -> list[str]:
    """Every string in a document."""
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in strings(item)]
    if isinstance(value, list):
        return [found for item in value for found in strings(item)]
    return [value] if isinstance(value, str) else []


def command_of(name: str) -> str:
    """`StartSession` is asked for as START_SESSION."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _token(builder: Any, driver: PartyId, ids: Mapping[str, str], text: str = "") -> Document:
    texts = {"visual_number": text, "issuer": text} if text else {}
    return builder(**driver._asdict(), uid=ids["token_uid"], **texts)


def _unknown(**overrides: Any) -> Document:
    return {"country_code": "", "party_id": "", "id": "", "name": "", "last_updated": WHEN} | overrides
