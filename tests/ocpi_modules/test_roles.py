"""Who may call what, and who hears a broadcast."""

import pytest

from ocpi_modules.registry import MODULES
from ocpi_modules.roles import MATRIX, audience, callees, may_call, may_exchange
from ocpi_modules.spec import InterfaceRole, Kind, ModuleID, Role

S, R = InterfaceRole.SENDER, InterfaceRole.RECEIVER
READERS = {Role.EMSP, Role.OTHER, Role.NSP, Role.NAP}
CALLERS = {
    (ModuleID.locations, S): READERS,
    (ModuleID.locations, R): {Role.CPO, Role.NAP},
    (ModuleID.tariffs, S): READERS,
    (ModuleID.tariffs, R): {Role.CPO, Role.NAP},
    (ModuleID.sessions, S): {Role.EMSP, Role.OTHER, Role.SCSP},
    (ModuleID.sessions, R): {Role.CPO, Role.EMSP, Role.OTHER},
    (ModuleID.cdrs, S): {Role.EMSP, Role.OTHER},
    (ModuleID.cdrs, R): {Role.CPO},
    (ModuleID.tokens, S): {Role.CPO},
    (ModuleID.tokens, R): {Role.EMSP, Role.OTHER},
    (ModuleID.commands, S): {Role.CPO},
    (ModuleID.commands, R): {Role.EMSP, Role.OTHER},
    (ModuleID.chargingprofiles, S): {Role.CPO, Role.EMSP, Role.OTHER},
    (ModuleID.chargingprofiles, R): {Role.EMSP, Role.OTHER, Role.SCSP},
}


@pytest.mark.rule("R-83", "R-32")
@pytest.mark.parametrize(("module", "interface"), CALLERS)
def test_each_interface_is_open_to_its_callers_only(module: ModuleID, interface: InterfaceRole) -> None:
    assert {role for role in Role if may_call([role], module, interface)} == CALLERS[module, interface]


def test_the_matrix_covers_every_functional_module_and_none_else() -> None:
    functional = {spec.id for spec in MODULES.values() if spec.kind is Kind.FUNCTIONAL}
    assert set(MATRIX) == {(module, interface) for module in functional for interface in InterfaceRole}


@pytest.mark.rule("R-107")
def test_configuration_modules_are_open_to_every_role() -> None:
    for module in (ModuleID.versions, ModuleID.credentials, ModuleID.hubclientinfo):
        assert all(may_call([role], module, S) for role in Role)
        assert may_exchange([Role.CPO], module, S, [Role.HUB])


@pytest.mark.rule("R-92", "R-105", "R-106", "P-01")
def test_an_emsp_passes_sessions_on_to_an_scsp_but_not_to_a_cpo() -> None:
    assert may_exchange([Role.EMSP], ModuleID.sessions, R, [Role.SCSP])
    assert not may_exchange([Role.EMSP], ModuleID.sessions, R, [Role.CPO, Role.EMSP])
    assert may_exchange([Role.SCSP], ModuleID.chargingprofiles, R, [Role.EMSP])
    assert not may_exchange([Role.EMSP], ModuleID.chargingprofiles, R, [Role.EMSP])
    assert callees([Role.CPO], ModuleID.cdrs, S) == frozenset()


@pytest.mark.rule("R-41", "R-42", "R-51")
@pytest.mark.parametrize(
    ("pushers", "module", "heard"),
    [
        ([Role.CPO], ModuleID.locations, {Role.EMSP, Role.NSP, Role.OTHER, Role.NAP}),
        ([Role.CPO], ModuleID.tariffs, {Role.EMSP, Role.NSP, Role.OTHER, Role.NAP}),
        ([Role.NAP], ModuleID.locations, {Role.EMSP, Role.NSP, Role.OTHER}),
        ([Role.EMSP], ModuleID.tokens, {Role.CPO}),
        ([Role.OTHER], ModuleID.tokens, {Role.CPO}),
        ([Role.CPO, Role.EMSP], ModuleID.tokens, {Role.CPO}),
        ([Role.EMSP], ModuleID.locations, set()),
        ([Role.CPO], ModuleID.tokens, set()),
        ([Role.SCSP], ModuleID.tokens, set()),
    ],
)
def test_a_broadcast_is_heard_by_the_opposite_roles(pushers: list[Role], module: ModuleID, heard: set[Role]) -> None:
    assert audience(pushers, module) == heard
