"""What a simulated charger says it delivered, read from its own ledger."""

from decimal import Decimal
from pathlib import Path

from cpo_adapter.simulator.ledger import Charge, Ledger


def charges(path: Path) -> list[Charge]:
    """The charges in the ledger, in order."""
    return Ledger(path).charges


def delivered_kwh(path: Path, number: int = -1) -> Decimal:
    """The energy of one charge, the last by default."""
    wh = charges(path)[number].wh
    assert wh is not None, "the charge has not ended"
    return Decimal(wh) / 1000
