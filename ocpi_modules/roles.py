"""Which role calls which interface of which module, and who hears a broadcast (R-41, R-42, R-51, R-83, R-86 to R-106).

The roles table of the specification is only typical; this is the matrix that is enforced. Data first, questions below.
"""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from ocpi_modules.spec import InterfaceRole, ModuleID, Role

CPO, EMSP, HUB, NAP, NSP, OTHER, SCSP = Role.CPO, Role.EMSP, Role.HUB, Role.NAP, Role.NSP, Role.OTHER, Role.SCSP
SENDER, RECEIVER = InterfaceRole.SENDER, InterfaceRole.RECEIVER
Roles = frozenset[Role]


def _roles(*roles: Role) -> Roles:
    return frozenset(roles)


class Relation(NamedTuple):
    """These callers may call this interface at these callees."""

    callers: Roles
    callees: Roles


_OFFERS = _roles(CPO, NAP)
_READS = _roles(EMSP, OTHER, NSP, NAP)
_DRIVERS = _roles(EMSP, OTHER)
_CPO = _roles(CPO)
_SCSP = _roles(SCSP)

MATRIX: Mapping[tuple[ModuleID, InterfaceRole], tuple[Relation, ...]] = {
    (ModuleID.locations, SENDER): (Relation(_READS, _OFFERS),),
    (ModuleID.locations, RECEIVER): (Relation(_OFFERS, _READS),),
    (ModuleID.tariffs, SENDER): (Relation(_READS, _OFFERS),),
    (ModuleID.tariffs, RECEIVER): (Relation(_OFFERS, _READS),),
    (ModuleID.sessions, SENDER): (Relation(_DRIVERS | _SCSP, _CPO),),
    # An eMSP passes Sessions on to the SCSP that works for it.
    (ModuleID.sessions, RECEIVER): (Relation(_CPO, _DRIVERS | _SCSP), Relation(_DRIVERS, _SCSP)),
    (ModuleID.cdrs, SENDER): (Relation(_DRIVERS, _CPO),),
    (ModuleID.cdrs, RECEIVER): (Relation(_CPO, _DRIVERS),),
    (ModuleID.tokens, SENDER): (Relation(_CPO, _DRIVERS),),
    (ModuleID.tokens, RECEIVER): (Relation(_DRIVERS, _CPO),),
    (ModuleID.commands, SENDER): (Relation(_CPO, _DRIVERS),),
    (ModuleID.commands, RECEIVER): (Relation(_DRIVERS, _CPO),),
    # An eMSP between SCSP and CPO is Receiver for the one and Sender for the other (P-01, R-105, R-106).
    (ModuleID.chargingprofiles, SENDER): (Relation(_CPO, _DRIVERS | _SCSP), Relation(_DRIVERS, _SCSP)),
    (ModuleID.chargingprofiles, RECEIVER): (Relation(_DRIVERS | _SCSP, _CPO), Relation(_SCSP, _DRIVERS)),
}
"""Functional modules only: configuration modules end at the platform and are open to every registered one (R-107)."""

OPPOSITE: Mapping[Role, Roles] = {
    CPO: _roles(EMSP, NSP, OTHER),
    EMSP: _CPO,
    OTHER: _CPO,
    NAP: _roles(EMSP, NSP, OTHER),
    NSP: _OFFERS,
    SCSP: _roles(CPO, EMSP, OTHER),
    HUB: _roles(),
}
"""With whom a role mainly talks (R-41, R-42); whom HubClientInfo shows it, besides the NAP (H-18)."""


def may_call(callers: Iterable[Role], module: ModuleID, interface: InterfaceRole) -> bool:
    """Whether one of a party's roles lets it call this interface at all (R-83)."""
    return bool(callees(callers, module, interface)) or (module, interface) not in MATRIX


def may_exchange(
    callers: Iterable[Role], module: ModuleID, interface: InterfaceRole, receivers: Iterable[Role]
) -> bool:
    """Whether a party with the roles `callers` may call this interface at a party with the roles `receivers`."""
    return (module, interface) not in MATRIX or not callees(callers, module, interface).isdisjoint(receivers)


@cache
def owners(module: ModuleID) -> Roles:
    """The roles that have a Sender interface of this module, and so objects of their own."""
    return frozenset[Role]().union(*(relation.callees for relation in MATRIX.get((module, SENDER), ())))


def callees(callers: Iterable[Role], module: ModuleID, interface: InterfaceRole) -> Roles:
    """The roles at which a party with these roles may call this interface; empty for configuration modules."""
    return _callees(frozenset(callers), module, interface)


@lru_cache(maxsize=1024)
def _callees(own: Roles, module: ModuleID, interface: InterfaceRole) -> Roles:
    relations = MATRIX.get((module, interface), ())
    return frozenset[Role]().union(*(relation.callees for relation in relations if relation.callers & own))


def audience(pushers: Iterable[Role], module: ModuleID) -> Roles:
    """The roles that hear a broadcast push: the opposite roles, and of Locations and Tariffs also a NAP (R-41, R-42, R-51).

    An SCSP hears nothing by broadcast, and a NAP not what a NAP offers.
    """
    own = frozenset(pushers)
    heard = frozenset[Role]().union(*(OPPOSITE[role] for role in own)) & callees(own, module, RECEIVER)
    return heard | _roles(NAP) if CPO in own and NAP in callees(own, module, RECEIVER) else heard
