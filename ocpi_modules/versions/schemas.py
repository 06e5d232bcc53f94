"""The two documents of the versions module (E-02 to E-07)."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ocpi_modules.spec import InterfaceRole
from ocpi_modules.types import OcpiObject, String255, Url


class VersionNumber(StrEnum):
    """E-07. `2.1` and `2.2` are deprecated."""

    V2_0 = "2.0"
    V2_1 = "2.1"
    V2_1_1 = "2.1.1"
    V2_2 = "2.2"
    V2_2_1 = "2.2.1"


class Version(OcpiObject):
    """One line of the versions list. `version` stays a string: a number nobody knows is skipped, not refused (E-13)."""

    version: String255
    url: Url


class Endpoint(OcpiObject):
    """One line of version details. A module id nobody knows is skipped, not refused (E-04, E-12, E-13)."""

    identifier: String255
    role: InterfaceRole
    url: Url


class VersionDetails(OcpiObject):
    """Version details (E-03)."""

    version: String255
    endpoints: Annotated[list[Endpoint], Field(min_length=1)]
