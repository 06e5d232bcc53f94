"""Modules two parties agreed on themselves (version_information_endpoint, Custom Modules, E-12): any method, at any path.

Nothing is known of them but their identifier, so their bodies are opaque and there is no object, no list and no owner.
"""

import re

from ocpi_modules.spec import Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
"""What a custom identifier may look like here: it is a segment of a URL. `nltnm-tokens` is the advised form."""

CUSTOM = ModuleSpec(
    id=ModuleID.custom,
    kind=Kind.FUNCTIONAL,
    owner=None,
    object=None,
    endpoints=tuple(Endpoint(interface, method, "") for interface in InterfaceRole for method in Method),
)
"""The one table of all custom modules; it stands beside `registry.MODULES`, which lists what OCPI defines."""


_DEFINED = frozenset(ModuleID)


def is_custom(identifier: str) -> bool:
    """Whether a module id of version details is one that OCPI does not define, and can be spelled in a URL."""
    return identifier not in _DEFINED and IDENTIFIER.fullmatch(identifier) is not None
