"""The checkers see what is wrong: each is shown evidence of a broken promise."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ocpi_modules import json
from tests.faults import checkers
from tests.faults.baseline import Rest, _excesses
from tests.faults.history import History
from tests.faults.hub import Use
from tests.faults.states import state
from tests.faults.witness import Witness
from tests.support import objects
from tests.support.party import Received


@pytest.fixture
def witness() -> Witness:
    return Witness(SimpleNamespace(id="DE*XYZ", recorder=None))  # type: ignore[arg-type]


def call(method: str, path: str, document: dict[str, Any] | None = None) -> Received:
    body = b"" if document is None else json.encode(document)
    return Received(method, f"/ocpi/2.2.1/receiver/{path}", "", {}, body, datetime.now(UTC))


def location(second: int, **fields: Any) -> dict[str, Any]:
    return objects.location(id="L1", last_updated=f"2026-01-01T00:00:{second:02}Z", **fields)


def test_an_older_state_after_a_newer_one_is_seen(witness: Witness) -> None:
    witness.heard(call("PUT", "locations/NL/ABC/L1", location(2)))
    witness.heard(call("PUT", "locations/NL/ABC/L1", location(2)))
    assert not witness.wrong
    witness.heard(call("PUT", "locations/NL/ABC/L1", location(1)))
    assert len(witness.wrong) == 1


def test_a_state_from_before_a_deletion_is_seen(witness: Witness) -> None:
    tariff = objects.tariff(id="T1", last_updated="2026-01-01T00:00:01Z")
    witness.heard(call("PUT", "tariffs/NL/ABC/T1", tariff))
    witness.heard(call("DELETE", "tariffs/NL/ABC/T1"))
    assert (witness.objects, witness.wrong) == ({}, [])
    witness.heard(call("PUT", "tariffs/NL/ABC/T1", tariff))
    assert len(witness.wrong) == 1


def test_a_part_of_what_was_never_sent_is_seen(witness: Witness) -> None:
    witness.heard(call("PATCH", "locations/NL/ABC/L1", {"name": "x", "last_updated": "2026-01-01T00:00:01Z"}))
    assert len(witness.wrong) == 1


def test_a_missed_patch_and_a_changed_byte_are_seen(witness: Witness) -> None:
    sent = location(1, evses=[objects.evse(uid="EVSE-1")])
    witness.heard(call("PUT", "locations/NL/ABC/L1", sent))
    key = ("locations", "L1")
    assert state(sent, json.encode(sent)).agrees(witness.objects[key])
    assert not state(sent, json.encode(sent) + b" ").agrees(witness.objects[key])
    change = {"status": "CHARGING", "last_updated": "2026-01-01T00:00:02Z"}
    changed = sent | {"evses": [sent["evses"][0] | change], "last_updated": change["last_updated"]}
    assert not state(changed, None).agrees(witness.objects[key])
    witness.heard(call("PATCH", "locations/NL/ABC/L1/EVSE-1", change))
    assert state(changed, None).agrees(witness.objects[key])


def test_what_does_not_come_back_to_rest_is_seen() -> None:
    use = Use(memory=70_000, descriptors=40, threads=5, tasks=20)
    before = Rest([use], 10)
    assert not _excesses(before, before, 0)
    for more in (
        replace(use, memory=120_000),
        replace(use, descriptors=80),
        replace(use, threads=30),
        replace(use, tasks=60),
    ):
        assert len(_excesses(before, Rest([more], 10), 0)) == 1
    assert len(_excesses(before, Rest([use], 17), 0)) == 1


@pytest.mark.parametrize("line", ["CNRY000007", "hubC_secret", "Traceback (most recent call last)"])
def test_a_drivers_datum_a_token_and_a_crash_in_a_log_are_seen(line: str, tmp_path: Path) -> None:
    party = SimpleNamespace(our_tokens=[], hub_token="hubC_secret")
    world: Any = SimpleNamespace(
        canary="CNRY000007",
        witnesses={"": SimpleNamespace(party=party)},
        hubs=[SimpleNamespace(words=lambda ever: "served\n")],
        failures_told=False,
        postgres=SimpleNamespace(directory=tmp_path),
    )
    checkers.silent(world)
    world.hubs.append(SimpleNamespace(words=lambda ever: f"served\n{line}\n"))
    with pytest.raises(AssertionError):
        checkers.silent(world)


def test_an_answer_that_is_no_refusal_of_the_moment_is_seen() -> None:
    history = History()
    world: Any = SimpleNamespace(history=history, failures_told=False)
    history.answered("locations", 503, 3000, 0.1)
    history.answered("locations", 0, 0, 15.0)
    checkers.answered_in_budget(world)
    history.answered("locations", 500, 3000, 0.1)
    with pytest.raises(AssertionError):
        checkers.answered_in_budget(world)
    world.failures_told = True
    checkers.answered_in_budget(world)
    history.answered("tokens", 400, 2000, 0.1)
    with pytest.raises(AssertionError):
        checkers.answered_in_budget(world)
