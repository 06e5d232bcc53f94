"""What a simulated charger does when the central system asks (OCPP 1.6 chapter 5)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpo_adapter.simulator.charger import SimulatedCharger
    from cpo_adapter.simulator.connector import Connector

Payload = dict[str, Any]


class Orders:
    """`answer` returns the payload of the CALLRESULT, or None for an action that is not simulated."""

    def __init__(self, charger: "SimulatedCharger") -> None:
        self._charger = charger
        self._answers = {
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "UnlockConnector": self._unlock,
            "TriggerMessage": self._trigger,
            "Reset": self._reset,
            "GetConfiguration": self._configuration,
        }

    async def answer(self, action: str, payload: Payload) -> Payload | None:
        answer = self._answers.get(action)
        return None if answer is None else answer(payload)

    def _remote_start(self, payload: Payload) -> Payload:
        """The car counts as plugged in already."""
        connector = self._free(payload.get("connectorId"))
        if connector is None:
            return {"status": "Rejected"}
        charge = self._charger.plug_in_and_charge(
            payload["idTag"], connector.id, authorize=self._charger.settings.authorize_remote
        )
        self._charger.spawn(charge)
        return {"status": "Accepted"}

    def _remote_stop(self, payload: Payload) -> Payload:
        for connector in self._charger.connectors.values():
            if connector.charge is not None and connector.charge.transaction_id == payload["transactionId"]:
                connector.end("Remote")
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def _unlock(self, payload: Payload) -> Payload:
        connector = self._charger.connectors.get(payload["connectorId"])
        if connector is None:
            return {"status": "NotSupported"}
        connector.end("UnlockCommand")
        return {"status": "Unlocked"}

    def _trigger(self, payload: Payload) -> Payload:
        charger = self._charger
        match payload["requestedMessage"]:
            case "Heartbeat":
                charger.spawn(charger.heartbeat())
            case "StatusNotification":
                charger.spawn(charger.say_statuses())
            case "BootNotification":
                charger.spawn(charger.boot())
            case "MeterValues":
                for connector in charger.connectors.values():
                    charger.spawn(charger.sample(connector))
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    def _reset(self, payload: Payload) -> Payload:
        self._charger.spawn(self._charger.reboot("HardReset" if payload["type"] == "Hard" else "SoftReset"))
        return {"status": "Accepted"}

    def _configuration(self, payload: Payload) -> Payload:
        known = {
            "NumberOfConnectors": str(len(self._charger.connectors)),
            "SupportedFeatureProfiles": "Core,RemoteTrigger",
            "MeterValueSampleInterval": str(max(1, round(self._charger.settings.sample_seconds))),
            "AuthorizeRemoteTxRequests": str(self._charger.settings.authorize_remote).lower(),
        }
        asked = payload.get("key") or list(known)
        return {
            "configurationKey": [{"key": key, "readonly": True, "value": known[key]} for key in asked if key in known],
            "unknownKey": [key for key in asked if key not in known],
        }

    def _free(self, connector_id: int | None) -> "Connector | None":
        for connector in self._charger.connectors.values():
            if connector_id in (None, connector.id) and not connector.is_taken:
                return connector
        return None
