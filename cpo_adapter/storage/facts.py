"""What makes two facts the same, and the answer to a start as bytes; facts themselves are written by charging.stored."""

import hashlib

import msgspec

from cpo_adapter.charging.events import StartAnswer, Started
from cpo_adapter.charging.transaction import Fact


def fact_key(fact: Fact) -> str:
    """Equal for what a charger says twice: everything but the time of its arrival (R18, R21)."""
    said = msgspec.to_builtins(fact)
    said.pop("received_at")
    return hashlib.sha256(msgspec.json.encode([type(fact).__name__, said])).hexdigest()


def start_key(fact: Started, finished: int = 0) -> str:
    """Charger, connector, tag, time and meter: one StartTransaction, however often it is sent (R18).

    `finished` counts the finished transactions of the connector and matters where the charger's clock tells nothing: a clock
    that stands still says the same at each start, but nobody starts again what was stopped.
    """
    said = [
        fact.charger_id.casefold(),
        fact.connector_id,
        fact.id_tag.casefold(),
        fact.raw_at or fact.at,
        fact.meter_start.normalize(),
    ]
    return hashlib.sha256(msgspec.json.encode([*said, finished] if finished else said)).hexdigest()


def write_answer(answer: StartAnswer) -> bytes:
    return msgspec.json.encode(answer)


def read_answer(body: bytes) -> StartAnswer:
    return msgspec.json.decode(body, type=StartAnswer)
