"""Who may exchange what with whom, asked at one place for every routed message."""

from enum import StrEnum
from typing import Protocol

from ocpi_modules.message import PartyId
from ocpi_modules.spec import ModuleID


class DefaultPolicy(StrEnum):
    """HUB_DEFAULT_POLICY."""

    agreement = "agreement"
    open = "open"


class Agreements(Protocol):
    """The agreements in memory."""

    def between(self, one: PartyId, other: PartyId) -> frozenset[ModuleID] | None: ...


class AgreementBook:
    """Agreements by their two parties, replaced as a whole when they change. An empty set of modules means all of them."""

    def __init__(self) -> None:
        self._modules: dict[frozenset[PartyId], frozenset[ModuleID]] = {}

    def replace(self, agreements: dict[frozenset[PartyId], frozenset[ModuleID]]) -> None:
        self._modules = dict(agreements)

    def between(self, one: PartyId, other: PartyId) -> frozenset[ModuleID] | None:
        return self._modules.get(frozenset((one, other)))


class Policy:
    """`open` lets everybody talk to everybody; `agreement` asks for an agreement between the two parties."""

    def __init__(self, default: DefaultPolicy, agreements: Agreements) -> None:
        self._default = default
        self._agreements = agreements

    def allows(self, sender: PartyId, receiver: PartyId, module: ModuleID) -> bool:
        if self._default is DefaultPolicy.open:
            return True
        modules = self._agreements.between(sender, receiver)
        return modules is not None and (not modules or module in modules)
