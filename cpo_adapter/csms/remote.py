"""What we ask of a connected charger (charging 3.6, R6, R7, R58 to R61): the `Chargers` of `charging.events` for OCPP 1.6."""

from typing import Any

import structlog

from cpo_adapter.charging.events import RemoteAnswer
from cpo_adapter.csms.registry import Registry
from cpo_adapter.csms.rpc import CallFailed, CallRefused, CallUnanswered, Disconnected

log = structlog.get_logger(__name__)

MAXIMUM_ID_TAG = 20
_ANSWERS = {
    "accepted": RemoteAnswer.Accepted,
    "scheduled": RemoteAnswer.Accepted,
    "rejected": RemoteAnswer.Rejected,
    "unlocked": RemoteAnswer.Accepted,
    "unlockfailed": RemoteAnswer.Failed,
    "notsupported": RemoteAnswer.NotSupported,
    "notimplemented": RemoteAnswer.NotSupported,
}


class RemoteChargers:
    """Chargers with a socket here. Each call ends within `seconds` of being asked for, at once on a disconnect."""

    def __init__(self, registry: Registry, seconds: float = 25.0) -> None:
        self._registry = registry
        self._seconds = seconds

    def is_online(self, charger_id: str) -> bool:
        return self._registry.is_online(charger_id)

    async def remote_start(self, charger_id: str, connector_id: int | None, id_tag: str) -> RemoteAnswer:
        """RemoteStartTransaction. `id_tag` has at most 20 characters; longer tokens go by an alias (R52)."""
        if not 1 <= len(id_tag) <= MAXIMUM_ID_TAG:
            log.error("id_tag_length", charger_id=charger_id, length=len(id_tag), most=MAXIMUM_ID_TAG)
            return RemoteAnswer.Failed
        payload: dict[str, Any] = {"idTag": id_tag}
        if connector_id is not None:
            payload["connectorId"] = connector_id
        return await self._ask(charger_id, "RemoteStartTransaction", payload)

    async def remote_stop(self, charger_id: str, transaction_id: int) -> RemoteAnswer:
        """RemoteStopTransaction of the charger's own transaction number."""
        return await self._ask(charger_id, "RemoteStopTransaction", {"transactionId": transaction_id})

    async def unlock(self, charger_id: str, connector_id: int) -> RemoteAnswer:
        """UnlockConnector."""
        return await self._ask(charger_id, "UnlockConnector", {"connectorId": connector_id})

    async def reset(self, charger_id: str, type: str = "Soft") -> RemoteAnswer:
        """Reset, `Soft` or `Hard`."""
        return await self._ask(charger_id, "Reset", {"type": type})

    async def trigger(self, charger_id: str, requested_message: str, connector_id: int | None = None) -> RemoteAnswer:
        """TriggerMessage (R29, R64)."""
        payload: dict[str, Any] = {"requestedMessage": requested_message}
        if connector_id is not None:
            payload["connectorId"] = connector_id
        return await self._ask(charger_id, "TriggerMessage", payload)

    async def _ask(self, charger_id: str, action: str, payload: dict[str, Any]) -> RemoteAnswer:
        rpc = self._registry.find(charger_id)
        if rpc is None:
            return RemoteAnswer.Offline
        try:
            return _read(await rpc.call(action, payload, self._seconds))
        except CallFailed as failure:
            log.warning("remote_call_failed", charger_id=charger_id, action=action, reason=str(failure)[:200])
            return _outcome(failure)


def _outcome(failure: CallFailed) -> RemoteAnswer:
    match failure:
        case CallRefused(code=code):
            return _ANSWERS.get(code.casefold(), RemoteAnswer.Failed) if code.startswith("Not") else RemoteAnswer.Failed
        case Disconnected():
            return RemoteAnswer.Offline
        case CallUnanswered():
            return RemoteAnswer.NoAnswer
    return RemoteAnswer.Failed


def _read(payload: Any) -> RemoteAnswer:
    status = payload.get("status") if isinstance(payload, dict) else None
    return _ANSWERS.get(str(status).strip().casefold(), RemoteAnswer.Failed)
