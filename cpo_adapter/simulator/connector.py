"""One connector of a simulated charger: its status, its meter, and the charge that runs on it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cpo_adapter.simulator.ledger import Charge
from cpo_adapter.simulator.metering import Meter

Payload = dict[str, Any]


class Connector:
    """`status` is an OCPP 1.6 ChargePointStatus; `charge` the open charge."""

    def __init__(self, id: int, register_wh: Decimal, elapsed: Callable[[], float]) -> None:
        self.id = id
        self.status = "Available"
        self.meter = Meter(register_wh, elapsed)
        self.charge: Charge | None = None
        self.is_taken = False
        self._ending = asyncio.Event()
        self._reason = ""

    def take(self) -> None:
        """A car is plugged in. Raises RuntimeError when there is one already."""
        if self.is_taken or self.status not in ("Available", "Preparing", "Reserved"):
            raise RuntimeError(f"Connector {self.id} is {self.status}; nothing can be plugged in.")
        self.is_taken = True
        self._ending.clear()
        self._reason = ""

    def end(self, reason: str) -> None:
        """End the charge; `reason` is an OCPP 1.6 Reason. The first reason counts."""
        self._reason = self._reason or reason
        self._ending.set()

    @property
    def ended_because(self) -> str | None:
        return self._reason if self._ending.is_set() else None

    async def wait_end(self, seconds: float) -> bool:
        """True when `end` was called within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return False
        return True

    def sample(self, at: datetime, context: str = "Sample.Periodic") -> Payload:
        """One meterValue: the register in Wh with one decimal, and the power."""
        return {
            "timestamp": written(at),
            "sampledValue": [
                {
                    "value": tenth(self.meter.register_wh),
                    "context": context,
                    "measurand": "Energy.Active.Import.Register",
                    "unit": "Wh",
                },
                {
                    "value": tenth(self.meter.power_w),
                    "context": context,
                    "measurand": "Power.Active.Import",
                    "unit": "W",
                },
            ],
        }


def tenth(value: Decimal) -> str:
    return str(value.quantize(Decimal("0.1"), ROUND_HALF_UP))


def written(at: datetime) -> str:
    """UTC with `Z` and milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
