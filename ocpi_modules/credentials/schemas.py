"""Credentials and CredentialsRole (C-14 to C-18)."""

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from ocpi_modules.locations.schemas import BusinessDetails
from ocpi_modules.spec import Role
from ocpi_modules.types import CountryCode, OcpiObject, PartyCode, Url, wrong

CredentialsToken = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[\x21-\x7e]*$")
]
"""string(64) of characters that survive in a header (C-14); never encoded inside the object (X-05)."""


class CredentialsRole(OcpiObject):
    """C-17."""

    role: Role
    business_details: BusinessDetails
    party_id: PartyCode
    country_code: CountryCode


class Credentials(OcpiObject):
    """C-16."""

    token: CredentialsToken
    url: Url
    roles: Annotated[list[CredentialsRole], Field(min_length=1)]

    @field_validator("roles")
    @classmethod
    def _each_combination_once(cls, roles: list[CredentialsRole]) -> list[CredentialsRole]:
        seen = {(role.role, role.country_code.upper(), role.party_id.upper()) for role in roles}
        if len(seen) != len(roles):
            raise wrong("must name each combination of role, country_code and party_id only once")  # C-18
        return roles
