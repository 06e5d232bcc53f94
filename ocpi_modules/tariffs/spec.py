"""Tariffs module (mod_tariffs). Owner: CPO. Tariffs are really deleted, and never patched (T-01, T-03)."""

from ocpi_modules.spec import PAGING, Endpoint, InterfaceRole, Kind, Method, ModuleID, ModuleSpec, Page, Role
from ocpi_modules.tariffs.schemas import Tariff

ONE = "/{country_code}/{party_id}/{tariff_id}"

TARIFFS = ModuleSpec(
    id=ModuleID.tariffs,
    kind=Kind.FUNCTIONAL,
    owner=Role.CPO,
    object=Tariff,
    key=("country_code", "party_id", "id"),
    broadcast=True,
    endpoints=(
        Endpoint(InterfaceRole.SENDER, Method.GET, "", returns=Page[Tariff], query=PAGING),
        Endpoint(InterfaceRole.RECEIVER, Method.GET, ONE, returns=Tariff),
        Endpoint(InterfaceRole.RECEIVER, Method.PUT, ONE, body=Tariff),
        Endpoint(InterfaceRole.RECEIVER, Method.DELETE, ONE),
    ),
)
