"""Which requests a driver waits for at a charger: what may wait takes nothing of their share of anything (Q-09, S-31). Pure."""

from ocpi_modules.message import OcpiRequest
from ocpi_modules.spec import Method, ModuleID


def is_prompt(request: OcpiRequest) -> bool:
    """Real-time authorizations, commands and charging profiles, with their results."""
    module = request.module
    if module is ModuleID.tokens:
        return request.method is Method.POST
    return module is ModuleID.commands or module is ModuleID.chargingprofiles
