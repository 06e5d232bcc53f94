"""Facts, openings and answers as bytes and back: every digit, every instant."""

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from cpo_adapter.charging.events import Orphaned, Sampled, StartAnswer, Started, StatusReported, Stopped
from cpo_adapter.charging.transaction import Fact, Opening
from ocpi_modules import json

KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Started, Sampled, StatusReported, Stopped, Orphaned)}


class _Stored(msgspec.Struct):
    kind: str
    fact: msgspec.Raw


def write_fact(fact: Fact) -> bytes:
    """Decimals are written as strings, which keeps every digit."""
    return msgspec.json.encode({"kind": type(fact).__name__, "fact": fact})


def read_fact(body: bytes) -> Fact:
    stored = msgspec.json.decode(body, type=_Stored)
    fact: Fact = msgspec.json.decode(stored.fact, type=KINDS[stored.kind])
    return fact


def fact_key(fact: Fact) -> str:
    """Equal for what a charger says twice: everything but the time of its arrival (R18, R21)."""
    said = msgspec.to_builtins(fact)
    said.pop("received_at")
    return hashlib.sha256(msgspec.json.encode([type(fact).__name__, said])).hexdigest()


def start_key(fact: Started) -> str:
    """Charger, connector, tag, time and meter: one StartTransaction, however often it is sent (R18)."""
    said = [
        fact.charger_id.casefold(),
        fact.connector_id,
        fact.id_tag.casefold(),
        fact.at,
        fact.meter_start.normalize(),
    ]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def write_opening(opening: Opening) -> bytes:
    return json.encode(opening)


def read_opening(body: bytes) -> Opening:
    fields = json.decode(body)
    if fields["max_power_w"] is not None:
        fields["max_power_w"] = Decimal(fields["max_power_w"])
    if fields["reserved_at"] is not None:
        fields["reserved_at"] = datetime.fromisoformat(fields["reserved_at"])
    return Opening(**fields)


def write_answer(answer: StartAnswer) -> bytes:
    return msgspec.json.encode(answer)


def read_answer(body: bytes) -> StartAnswer:
    return msgspec.json.decode(body, type=StartAnswer)
