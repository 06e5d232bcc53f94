"""Receivers that follow a script, and the wire between them and the workers."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from hub.delivery.outcome import Outcome, TimedOut, Unreachable, classify
from hub.delivery.send import RoutedMessage
from hub.objects.repository import ObjectKey
from hub.parties.platforms import Platform
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method, ModuleID, Role

if TYPE_CHECKING:
    from tests.simulation.invariants import Judge

TIMEOUT = 10.0
ARRIVED_AFTER = 0.05
"""What was sent has arrived then, whatever became of its sender."""
OK = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'
NO = b'{"status_code":2001,"status_message":"no","timestamp":"2026-01-01T00:00:00Z"}'
DELIVERED, REFUSED = classify(IncomingAnswer(200, {}, OK)), classify(IncomingAnswer(200, {}, NO))
AWAY_BEHIND = classify(IncomingAnswer(200, {}, NO.replace(b"2001", b"4003")))
BROKEN = classify(IncomingAnswer(500, {}, b"oops"))
VERSION = re.compile(rb'"version":(\d+)')
KINDS = (
    "down",
    "blackhole",
    "slow",
    "lost answers",
    "throttled",
    "broken",
    "refuses one",
    "stumbles over one",
    "away behind a hub",
    "flapping",
    "lying",
)
LIES = (
    classify(IncomingAnswer(200, {}, b"<html>busy</html>")),
    classify(IncomingAnswer(500, {}, OK)),
    classify(IncomingAnswer(200, {}, b'{"status_code":3000,"timestamp":"2026-01-01T00:00:00Z"}')),
    classify(IncomingAnswer(302, {"location": "http://127.0.0.1/"}, b"")),
    classify(IncomingAnswer(401, {}, OK)),
    classify(IncomingAnswer(200, {}, NO)),
)
"""What some say whether they took it or not."""


class Reply(NamedTuple):
    """After how many seconds which outcome, once the message was seen, and whether the receiver has it then."""

    seconds: float
    outcome: Outcome
    took: bool = False


@dataclass
class Receiver:
    """`moods` are (from when, kind), in order; the last one lasts. `held` is what it has: key -> (version, deleted)."""

    platform: Platform
    party: PartyId
    role: Role = Role.EMSP
    moods: list[tuple[float, str]] = field(default_factory=lambda: [(0.0, "healthy")])
    grudge: str = ""
    """The object key it refuses or stumbles over."""
    think: float = 0.01
    held: dict[ObjectKey, tuple[int, bool]] = field(default_factory=dict)
    accepted: dict[ObjectKey, int] = field(default_factory=lambda: defaultdict(int))
    pushes: int = 0
    order: list[ObjectKey] = field(default_factory=list)

    def mood(self, now: float) -> str:
        for since, kind in reversed(self.moods):
            if since <= now:
                return kind if kind != "flapping" else "down" if int(now / 2) % 2 else "healthy"
        return "healthy"

    def answer(self, mood: str, key: ObjectKey, chance: Random) -> Reply:
        match mood:
            case "slow":
                return Reply(3 + 12 * chance.random(), DELIVERED, took=True)
            case "lost answers" if chance.random() < 0.7:
                return Reply(0.1, Unreachable("reset", request_was_sent=True), took=True)
            case "throttled":
                after = {"retry-after": str(int(10 ** (5 * chance.random())))}
                return Reply(self.think, classify(IncomingAnswer(429, after, NO)))
            case "broken":
                return Reply(self.think, BROKEN)
            case "refuses one" if key.key_folded == self.grudge:
                return Reply(self.think, REFUSED)
            case "stumbles over one" if key.key_folded == self.grudge:
                return Reply(self.think, BROKEN)
            case "away behind a hub" if key.module is ModuleID.sessions or key.key_folded == self.grudge:
                return Reply(self.think, AWAY_BEHIND)
            case "lying" if chance.random() < 0.7:
                return Reply(self.think, chance.choice(LIES), took=chance.random() < 0.5)
        return Reply(self.think, DELIVERED, took=True)


class Wire:
    """The door out of one worker. What was sent arrives within ARRIVED_AFTER, whatever becomes of the sender."""

    def __init__(
        self,
        receivers: dict[PartyId, Receiver],
        chance: Random,
        judge: "Judge",
        sender: object,
        thawed: Callable[[], "asyncio.Future[None] | None"] = lambda: None,
    ) -> None:
        self._receivers = receivers
        self._chance = chance
        self._judge = judge
        self._sender = sender
        self._thawed = thawed
        self.alive = True

    async def send(self, message: RoutedMessage, platform: Platform, *, push: bool = False) -> Outcome:
        if not self.alive:
            return Unreachable("this process is dead")
        loop = asyncio.get_running_loop()
        receiver = self._receivers[message.to]
        key = key_of(message)
        self._judge.sent(self._sender, receiver, key)
        outcome: asyncio.Future[Outcome] = loop.create_future()
        loop.call_later(
            0.001 + 0.98 * ARRIVED_AFTER * self._chance.random(), self._arrive, receiver, key, message, outcome
        )
        timer = loop.call_later(TIMEOUT, _set, outcome, TimedOut(TIMEOUT))
        try:
            answered = await outcome
        finally:
            timer.cancel()
        frozen = self._thawed()
        if frozen is not None:
            await frozen
        return answered

    def _arrive(
        self, receiver: Receiver, key: ObjectKey, message: RoutedMessage, outcome: "asyncio.Future[Outcome]"
    ) -> None:
        loop = asyncio.get_running_loop()
        mood = receiver.mood(loop.time())
        if mood == "down":
            _set(outcome, Unreachable("refused"))
        elif mood != "blackhole":
            reply = receiver.answer(mood, key, self._chance)
            version = self._judge.seen(receiver, key, message, took=reply.took)
            if reply.outcome is DELIVERED:
                receiver.accepted[key] = max(receiver.accepted[key], version)
            loop.call_later(reply.seconds, _set, outcome, reply.outcome)


def _set(outcome: "asyncio.Future[Outcome]", value: Outcome) -> None:
    if not outcome.done():
        outcome.set_result(value)


def key_of(message: RoutedMessage) -> ObjectKey:
    _, country_code, party_id, key, *_ = message.path.split("/")
    owner = PartyId(country_code, party_id)
    audience = str(message.to) if message.module == "sessions" else "*"
    return ObjectKey(owner, message.module, f"{key}|RFID" if message.module == "tokens" else key, audience)


def version_of(message: RoutedMessage) -> int | None:
    """What the body says; None for a DELETE, which has none."""
    if message.method is Method.DELETE:
        return None
    found = VERSION.search(message.body)
    assert found is not None, message
    return int(found.group(1))
