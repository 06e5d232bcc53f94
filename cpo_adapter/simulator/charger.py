"""A simulated OCPP 1.6 charger: boots, reports, charges in real time, and owes its transaction messages until they are answered.

Transaction messages (StartTransaction, MeterValues, StopTransaction) go through the queue, in order and with the time of
their event; everything else is said when there is a connection and forgotten otherwise.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import structlog

from cpo_adapter.simulator.connector import Connector, written
from cpo_adapter.simulator.faults import Fault, Faults
from cpo_adapter.simulator.ledger import Charge, Ledger
from cpo_adapter.simulator.link import Link, Payload, Refused, Unanswered
from cpo_adapter.simulator.orders import Orders
from cpo_adapter.simulator.queue import Owed, TransactionQueue
from cpo_adapter.simulator.settings import ChargerSettings

log = structlog.get_logger(__name__)


class SimulatedCharger:
    """`url` is the listener without the charger id (`ws://127.0.0.1:9000/ocpp`). Use as `async with`, or `start` and `stop`."""

    def __init__(
        self,
        url: str,
        charger_id: str,
        password: str,
        settings: ChargerSettings | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.charger_id = charger_id
        self.settings = settings = settings or ChargerSettings()
        self.faults = Faults()
        self.ledger = Ledger(settings.ledger or self._file("ledger.jsonl"))
        self.booted = asyncio.Event()
        self._clock = clock
        self._queue = TransactionQueue(self._file("queue.json"))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._numbered = asyncio.Condition()
        registers = self._registers()
        self.connectors = {
            id: Connector(id, registers.get(str(id), settings.register_wh), elapsed)
            for id in range(1, settings.connectors + 1)
        }
        self._link = Link(
            url, charger_id, password, Orders(self).answer, self._greet, self.faults,
            settings.patience_seconds, settings.backoff_seconds,
        )  # fmt: skip

    async def start(self) -> None:
        """Connect and go on connecting. Charges that a restart cut off are stopped as PowerLoss."""
        for charge in self.ledger.charges:
            if charge.meter_stop is None:
                await self._stop(charge, self.connectors[charge.connector_id], "PowerLoss")
        self.spawn(self._link.run())
        self.spawn(self._deliver())

    async def stop(self) -> None:
        """Hang up. What is owed stays owed."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def is_online(self) -> bool:
        """Connected, and the boot was accepted."""
        return self._link.is_connected and self.booted.is_set()

    @property
    def connections(self) -> int:
        """How often a socket was opened."""
        return self._link.connections

    async def wait_online(self, seconds: float = 30) -> None:
        """Until the boot was accepted; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self.booted.wait()

    async def settle(self, seconds: float = 30) -> None:
        """Until every transaction message was answered; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._queue.wait_empty()

    def cut(self) -> None:
        """Pull the cable; the charger comes back by itself."""
        self._link.cut()

    async def go_offline(self) -> None:
        """Lose the connection until `come_back`."""
        self._link.allowed.clear()
        self._link.cut()

    def come_back(self) -> None:
        self._link.allowed.set()

    async def call(self, action: str, payload: Payload) -> Payload:
        """Any CALL, for tests. Raises Unanswered or Refused."""
        return await self._link.call(action, payload)

    async def plug_in_and_charge(
        self,
        id_tag: str,
        connector_id: int = 1,
        *,
        charge_wh: Decimal | None = None,
        parking_seconds: float | None = None,
        authorize: bool = True,
    ) -> Charge | None:
        """A whole charge, from plug to plug: the ledger's entry, or None when the token was refused.

        Online the token is asked first; offline it charges at once. Raises RuntimeError when the connector is taken.
        """
        connector = self.connectors[connector_id]
        connector.take()
        try:
            self.report(connector, "Preparing")
            if authorize and not await self._authorized(id_tag):
                return None
            charge = await self._begin(connector, id_tag)
            await self._charge(connector, charge, self.settings.charge_wh if charge_wh is None else charge_wh)
            await self._park(
                connector, charge, self.settings.parking_seconds if parking_seconds is None else parking_seconds
            )
            await self._stop(charge, connector, connector.ended_because or "EVDisconnected")
            return charge
        finally:
            connector.charge, connector.is_taken = None, False
            self.report(connector, "Available")

    def report(self, connector: Connector, status: str) -> None:
        """Take on this status and say so, if there is somebody to hear it."""
        connector.status = status
        if self.is_online:
            self.spawn(self._say_status(connector.id, status, self._clock()))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run beside; ended by `stop`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reboot(self, reason: str) -> None:
        """End the charges, then the socket; it comes back with a boot."""
        for connector in self.connectors.values():
            connector.end(reason)
        with suppress(TimeoutError):
            await self.settle(5)
        await self._link.hang_up()

    async def boot(self) -> float:
        """BootNotification until accepted; the heartbeat interval in seconds."""
        payload = {
            "chargePointVendor": self.settings.vendor,
            "chargePointModel": self.settings.model,
            "chargePointSerialNumber": self.charger_id[:25],
            "firmwareVersion": self.settings.firmware_version,
            "meterSerialNumber": f"M-{self.charger_id}"[:25],
        }
        while True:
            try:
                answer = await self._link.call("BootNotification", payload)
            except Refused:
                answer = {"status": "Rejected", "interval": self.settings.repeat_seconds}
            if answer["status"] == "Accepted":
                return float(answer["interval"]) or 300.0
            await asyncio.sleep(float(answer["interval"]) or self.settings.repeat_seconds)

    async def say_statuses(self) -> None:
        now = self._clock()
        await self._say_status(0, "Available", now)
        for connector in self.connectors.values():
            await self._say_status(connector.id, connector.status, now)

    async def heartbeat(self) -> None:
        with suppress(Unanswered, Refused):
            await self._link.call("Heartbeat", {})

    async def _greet(self) -> None:
        """What is said on a new socket."""
        self.booted.clear()
        try:
            interval = await self.boot()
            self.booted.set()
            await self.say_statuses()
            while True:
                await asyncio.sleep(interval)
                await self.heartbeat()
        except Unanswered:
            self.cut()
        finally:
            self.booted.clear()

    async def _say_status(self, connector_id: int, status: str, at: datetime) -> None:
        payload = {"connectorId": connector_id, "errorCode": "NoError", "status": status, "timestamp": written(at)}
        with suppress(Unanswered, Refused):
            await self._link.call("StatusNotification", payload)

    async def _authorized(self, id_tag: str) -> bool:
        if not self.is_online:
            return True
        try:
            answer = await self._link.call("Authorize", {"idTag": id_tag})
        except Unanswered:
            return True
        except Refused:
            return False
        return bool(answer["idTagInfo"]["status"] == "Accepted")

    async def _begin(self, connector: Connector, id_tag: str) -> Charge:
        """Begin a charge; online its start is answered before energy flows."""
        at = self._now()
        charge = Charge(
            number=self.ledger.next_number(),
            charger_id=self.charger_id,
            connector_id=connector.id,
            id_tag=id_tag,
            started_at=at,
            meter_start=connector.meter.settle(),
        )
        connector.charge = charge
        self.ledger.begin(charge)
        start = {
            "connectorId": connector.id,
            "idTag": id_tag,
            "meterStart": charge.meter_start,
            "timestamp": written(at),
        }
        await self._queue.put(Owed(charge.number, "StartTransaction", start))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.patience_seconds), self._numbered:
                await self._numbered.wait_for(lambda: charge.transaction_id is not None or not self.is_online)
        return charge

    async def _charge(self, connector: Connector, charge: Charge, charge_wh: Decimal) -> None:
        """Full power until the car has what it wants, or somebody ends it."""
        if connector.ended_because is None:
            self.report(connector, "Charging")
        full, power_w = charge.meter_start + charge_wh, self.settings.power_kw * 1000
        connector.meter.switch(power_w)
        while connector.ended_because is None and connector.meter.register_wh < full:
            left = float((full - connector.meter.register_wh) / power_w * 3600) if power_w else 3600.0
            await connector.wait_end(min(self.settings.sample_seconds, left))
            connector.meter.read(full)
            await self.sample(connector)
        connector.meter.settle(full)

    async def _park(self, connector: Connector, charge: Charge, seconds: float) -> None:
        """The car is full and stays."""
        ends_at = asyncio.get_running_loop().time() + seconds
        if seconds and connector.ended_because is None:
            self.report(connector, "SuspendedEV")
        while connector.ended_because is None and (left := ends_at - asyncio.get_running_loop().time()) > 0:
            await connector.wait_end(min(self.settings.sample_seconds, left))
            await self.sample(connector)

    async def sample(self, connector: Connector) -> None:
        """Owe a MeterValues of the open charge, and remember the register."""
        if connector.charge is None:
            return
        values = {"connectorId": connector.id, "meterValue": [connector.sample(self._now())]}
        self._remember_registers()
        await self._queue.put(Owed(connector.charge.number, "MeterValues", values))

    async def _stop(self, charge: Charge, connector: Connector, reason: str) -> None:
        at, meter_stop = self._now(), connector.meter.settle()
        self._remember_registers()
        self.ledger.end(charge, at, meter_stop, reason)
        stop = {
            "idTag": charge.id_tag,
            "meterStop": meter_stop,
            "timestamp": written(at),
            "reason": reason,
            "transactionData": [connector.sample(at, "Transaction.End")],
        }
        await self._queue.put(Owed(charge.number, "StopTransaction", stop))
        self.report(connector, "Finishing")

    async def _deliver(self) -> None:
        """Send what is owed, the oldest first, again and again until it was answered."""
        while True:
            owed = await self._queue.first()
            await self.booted.wait()
            try:
                await self._send(owed)
            except (Unanswered, Refused) as failure:
                log.info(
                    "transaction_message_owed", charger_id=self.charger_id, action=owed.action, reason=str(failure)
                )
                async with self._numbered:
                    self._numbered.notify_all()
                await asyncio.sleep(self.settings.repeat_seconds)
            else:
                await self._queue.done()

    async def _send(self, owed: Owed) -> None:
        charge, payload = self.ledger.find(owed.number), dict(owed.payload)
        if owed.action != "StartTransaction":
            payload["transactionId"] = charge.transaction_id
        answer = await self._link.call(owed.action, payload)
        if self.faults.take(Fault.duplicate, owed.action):
            answer = await self._link.call(owed.action, payload)
        if owed.action == "StartTransaction":
            await self._number(charge, answer)

    async def _number(self, charge: Charge, answer: Payload) -> None:
        """The start was answered. A refused token ends the charge (R33)."""
        self.ledger.number(charge, answer["transactionId"])
        connector = self.connectors[charge.connector_id]
        if answer["idTagInfo"]["status"] != "Accepted" and connector.charge is charge:
            connector.end("DeAuthorized")
        async with self._numbered:
            self._numbered.notify_all()

    def _now(self) -> datetime:
        """The time in the milliseconds that the wire has."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _file(self, name: str) -> Path | None:
        if self.settings.state is None:
            return None
        self.settings.state.mkdir(parents=True, exist_ok=True)
        return self.settings.state / f"{self.charger_id}.{name}"

    def _registers(self) -> dict[str, Decimal]:
        path = self._file("registers.json")
        if path is None or not path.exists():
            return {}
        return {id: Decimal(register) for id, register in json.loads(path.read_text()).items()}

    def _remember_registers(self) -> None:
        path = self._file("registers.json")
        if path is not None:
            registers = {str(id): str(connector.meter.register_wh) for id, connector in self.connectors.items()}
            temporary = path.with_name(path.name + ".new")
            temporary.write_text(json.dumps(registers))
            temporary.replace(path)
