"""The closed sets of words of the Sessions module (S-20, S-26)."""

from enum import StrEnum


class ProfileType(StrEnum):
    """S-26."""

    CHEAP = "CHEAP"
    FAST = "FAST"
    GREEN = "GREEN"
    REGULAR = "REGULAR"


class SessionStatus(StrEnum):
    """S-20. The prose of the specification also says RESERVED, which is read as RESERVATION (G-15)."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INVALID = "INVALID"
    PENDING = "PENDING"
    RESERVATION = "RESERVATION"

    @classmethod
    def _missing_(cls, value: object) -> "SessionStatus | None":
        return cls.RESERVATION if value == "RESERVED" else None


class ChargingPreferencesResponse(StrEnum):
    """S-26."""

    ACCEPTED = "ACCEPTED"
    DEPARTURE_REQUIRED = "DEPARTURE_REQUIRED"
    ENERGY_NEED_REQUIRED = "ENERGY_NEED_REQUIRED"
    NOT_POSSIBLE = "NOT_POSSIBLE"
    PROFILE_TYPE_NOT_SUPPORTED = "PROFILE_TYPE_NOT_SUPPORTED"
