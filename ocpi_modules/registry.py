"""Which module exists in which version."""

from collections.abc import Mapping

from ocpi_modules.cdrs.spec import CDRS
from ocpi_modules.chargingprofiles.spec import CHARGINGPROFILES
from ocpi_modules.commands.spec import COMMANDS
from ocpi_modules.credentials.spec import CREDENTIALS
from ocpi_modules.custom import CUSTOM
from ocpi_modules.hubclientinfo.spec import HUBCLIENTINFO
from ocpi_modules.locations.spec import LOCATIONS
from ocpi_modules.sessions.spec import SESSIONS
from ocpi_modules.spec import ModuleID, ModuleSpec
from ocpi_modules.status import UnsupportedVersion
from ocpi_modules.tariffs.spec import TARIFFS
from ocpi_modules.tokens.spec import TOKENS
from ocpi_modules.versions.spec import VERSIONS as VERSIONS_MODULE

MODULES: Mapping[ModuleID, ModuleSpec] = {
    spec.id: spec
    for spec in (
        VERSIONS_MODULE,
        CREDENTIALS,
        LOCATIONS,
        SESSIONS,
        CDRS,
        TARIFFS,
        TOKENS,
        COMMANDS,
        CHARGINGPROFILES,
        HUBCLIENTINFO,
    )
}
"""The modules of 2.2.1. `versions` is among them, though version details never list it."""

VERSIONS: Mapping[str, Mapping[ModuleID, ModuleSpec]] = {"2.2.1": MODULES}
"""The versions this project speaks, oldest first."""


def module(version: str, id: ModuleID) -> ModuleSpec:
    """The table of one module in one version; raises UnsupportedVersion (3002)."""
    try:
        return CUSTOM if id is ModuleID.custom and version in VERSIONS else VERSIONS[version][id]
    except KeyError:
        raise UnsupportedVersion(
            f"There is no module {id} in OCPI {version} here; spoken is {', '.join(VERSIONS)}."
        ) from None
