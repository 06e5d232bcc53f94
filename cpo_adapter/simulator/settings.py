"""How one simulated charger behaves."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True)
class ChargerSettings:
    """Seconds are real seconds. `register_wh` is the lifetime reading every meter starts with. A charge ends after
    `charge_wh`, and then stays parked for `parking_seconds`. `state` is a folder: ledger, queue and registers survive there;
    `ledger` puts the ledger elsewhere."""

    connectors: int = 1
    power_kw: Decimal = Decimal(350)
    register_wh: Decimal = Decimal("1234567")
    sample_seconds: float = 1.0
    charge_wh: Decimal = Decimal(1000)
    parking_seconds: float = 0.0
    patience_seconds: float = 10.0
    backoff_seconds: tuple[float, float] = (0.5, 30.0)
    repeat_seconds: float = 1.0
    authorize_remote: bool = False
    vendor: str = "Simulated"
    model: str = "SIM-350"
    firmware_version: str = "1.0"
    state: Path | None = None
    ledger: Path | None = None
