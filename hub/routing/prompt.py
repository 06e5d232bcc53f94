"""Which requests a driver waits for at a charger: what may wait takes nothing of their share of anything (Q-09, S-31). Pure."""

from ocpi_modules.message import OcpiRequest
from ocpi_modules.spec import Method, ModuleID

_MODULES = frozenset({ModuleID.commands, ModuleID.chargingprofiles})


def is_prompt(request: OcpiRequest) -> bool:
    """Real-time authorizations, commands and charging profiles, with their results."""
    return request.module in _MODULES or (request.module is ModuleID.tokens and request.method is Method.POST)
