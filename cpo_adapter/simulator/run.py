"""`cpo-adapter simulate`: one charger that charges a number of times, or for ever on remote starts."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

from cpo_adapter.simulator.charger import SimulatedCharger
from cpo_adapter.simulator.ledger import Charge
from cpo_adapter.simulator.settings import ChargerSettings

Told = Callable[[str], None]


async def run(
    url: str,
    charger_id: str,
    password: str,
    settings: ChargerSettings | None = None,
    *,
    id_tag: str | None = None,
    charges: int = 1,
    charge_wh: Decimal | None = None,
    faults: Sequence[str] = (),
    tell: Told = lambda line: None,
) -> list[Charge]:
    """Charge `charges` times with `id_tag`, then return the ledger's entries; without `id_tag` wait for remote starts until
    cancelled. `faults` are written `cut_after:StopTransaction`. Raises ValueError for an unknown one.
    """
    charger = SimulatedCharger(url, charger_id, password, settings)
    for fault in faults:
        kind, _, action = fault.partition(":")
        charger.faults.order(kind, action)
    async with charger:
        tell(f"{charger_id} connects to {url}")
        if id_tag is None:
            await asyncio.Event().wait()
        for _ in range(charges if id_tag is not None else 0):
            charge = await charger.plug_in_and_charge(id_tag or "", charge_wh=charge_wh)
            tell(_described(charge))
        await charger.settle(3600)
    return charger.ledger.charges


def _described(charge: Charge | None) -> str:
    if charge is None:
        return "the token was refused"
    return f"transaction {charge.transaction_id}: {charge.wh} Wh on connector {charge.connector_id}, {charge.reason}"
