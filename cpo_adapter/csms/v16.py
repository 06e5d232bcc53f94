"""OCPP 1.6: a CALL of a charger becomes a fact, the answer to it becomes a payload (charging R8, R9, R23, R33, 5.6).

Lenient in: what breaks the schema is logged and read as far as it can be. Strict out: answers keep to the schemas.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from cpo_adapter.charging.events import Facts, TokenAnswer
from cpo_adapter.csms import facts16
from cpo_adapter.csms.frames import Call, NotAnswerable
from cpo_adapter.csms.readings import instant
from cpo_adapter.csms.validation16 import ACTIONS, findings

log = structlog.get_logger(__name__)

SUBPROTOCOL = "ocpp1.6"
MAXIMUM_PARENT_ID_TAG = 20
Payload = dict[str, Any]


class Ocpp16:
    """Answers the calls of 1.6 chargers. `heartbeat_seconds` is spread by a fifth either way, so that chargers that come
    back together do not stay together."""

    def __init__(
        self,
        facts: Facts,
        clock: Callable[[], datetime],
        heartbeat_seconds: int = 300,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._facts = facts
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._spread = spread
        self._answers: dict[str, Callable[[str, Payload], Awaitable[Payload]]] = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "StatusNotification": self._status,
            "Authorize": self._authorize,
            "StartTransaction": self._start,
            "MeterValues": self._meter_values,
            "StopTransaction": self._stop,
            "DataTransfer": self._data_transfer,
            "SignCertificate": self._sign_certificate,
            **dict.fromkeys(_NOTED, self._note),
        }

    async def answer(self, charger_id: str, call: Call) -> Payload:
        """The payload of the CALLRESULT. Raises NotAnswerable for what gets a CALLERROR; what Facts raises passes through."""
        answer = self._answers.get(call.action)
        if answer is None and call.action in ACTIONS:
            raise NotAnswerable("NotSupported", f"{call.action} is not served here.")
        if answer is None:
            raise NotAnswerable("NotImplemented", f"{call.action[:50]} is no action of OCPP 1.6.")
        self._flag(charger_id, call)
        return await answer(charger_id, call.payload)

    async def unheard(self, charger_id: str, call: Call) -> None:
        """The charger did not get the answer to this CALL. It matters where the answer alone tells it a number (R20)."""
        if call.action == "StartTransaction":
            with suppress(NotAnswerable):
                await self._facts.start_unheard(facts16.started(charger_id, call.payload, self._clock()))

    def _flag(self, charger_id: str, call: Call) -> None:
        found = findings(call.action, call.payload)
        if call.action in _TIMED and instant(call.payload.get("timestamp")) is None:
            found.append("timestamp: unreadable, the time of arrival is used")
        if found:
            log.warning("call_repaired", charger_id=charger_id, action=call.action, findings=found)

    async def _boot(self, charger_id: str, payload: Payload) -> Payload:
        now = self._clock()
        await self._facts.booted(facts16.booted(charger_id, payload, now))
        interval = round(self._heartbeat_seconds * self._spread(0.8, 1.2))
        return {"status": "Accepted", "currentTime": write_instant(now), "interval": max(1, interval)}

    async def _heartbeat(self, charger_id: str, payload: Payload) -> Payload:
        return {"currentTime": write_instant(self._clock())}

    async def _status(self, charger_id: str, payload: Payload) -> Payload:
        await self._facts.status_reported(facts16.status_reported(charger_id, payload, self._clock()))
        return {}

    async def _authorize(self, charger_id: str, payload: Payload) -> Payload:
        token = await self._facts.token_asked(charger_id, facts16.id_tag_asked(payload))
        return {"idTagInfo": write_token(token)}

    async def _start(self, charger_id: str, payload: Payload) -> Payload:
        answer = await self._facts.started(facts16.started(charger_id, payload, self._clock()))
        return {"transactionId": answer.transaction_id, "idTagInfo": write_token(answer.token)}

    async def _meter_values(self, charger_id: str, payload: Payload) -> Payload:
        fact = facts16.sampled(charger_id, payload, self._clock())
        if fact.samples:
            await self._facts.sampled(fact)
        return {}

    async def _stop(self, charger_id: str, payload: Payload) -> Payload:
        token = await self._facts.stopped(facts16.stopped(charger_id, payload, self._clock()))
        return {} if token is None else {"idTagInfo": write_token(token)}

    async def _data_transfer(self, charger_id: str, payload: Payload) -> Payload:
        return {"status": "UnknownVendorId"}

    async def _sign_certificate(self, charger_id: str, payload: Payload) -> Payload:
        return {"status": "Rejected"}

    async def _note(self, charger_id: str, payload: Payload) -> Payload:
        kind = payload.get("status") or payload.get("type")
        log.info("charger_notice", charger_id=charger_id, notice=str(kind)[:50])
        return {}


def write_instant(at: datetime) -> str:
    """UTC with `Z` and milliseconds (R23)."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_token(token: TokenAnswer) -> Payload:
    """idTagInfo. A group longer than 20 characters has no form in 1.6 and is left out (R52, R55)."""
    info: Payload = {"status": token.decision.value}
    if token.expires_at is not None:
        info["expiryDate"] = write_instant(token.expires_at)
    if token.parent_id_tag is not None and len(token.parent_id_tag) <= MAXIMUM_PARENT_ID_TAG:
        info["parentIdTag"] = token.parent_id_tag
    return info


_TIMED = ("StartTransaction", "StopTransaction")
_NOTED = (
    "FirmwareStatusNotification",
    "DiagnosticsStatusNotification",
    "SecurityEventNotification",
    "LogStatusNotification",
    "SignedFirmwareStatusNotification",
)
