"""What a partner may declare about itself (pure): approved roles, free parties, the approved host."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from hub.parties.platforms import Party
from hub.parties.repository import PartyEntry
from ocpi_modules.credentials.schemas import CredentialsRole
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Role
from ocpi_modules.status import InvalidParameters

Approved = tuple[PartyId, Role]


def approved_roles(parties: Iterable[Party]) -> frozenset[Approved]:
    """What the operator let a platform register, whatever became of it since (C-40)."""
    return frozenset((party.id, party.role) for party in parties)


def entries(roles: Sequence[CredentialsRole], approved: Iterable[Approved], hub_party: PartyId) -> list[PartyEntry]:
    """The declared roles as they are stored. Raises InvalidParameters (2001): the hub's own party (R-81), role HUB (R-80), or
    a role outside the invitation, which is also how a party of another platform is refused (C-39, C-40, S-12)."""
    allowed = frozenset(approved)
    for declared in roles:
        party = PartyId.of(declared.country_code, declared.party_id)
        if party == hub_party:
            raise InvalidParameters(f"roles: {party} is the hub's own party; register your own.")
        if declared.role is Role.HUB:
            raise InvalidParameters("roles: a platform with the role HUB cannot register; only one hub is passed.")
        if (party, declared.role) not in allowed:
            raise InvalidParameters(
                f"roles: {declared.role} {party} is not within your invitation; ask the hub's operator to "
                "approve it (`ocpi-hub platform approve`)."
            )
    return [_entry(declared) for declared in roles]


def _entry(declared: CredentialsRole) -> PartyEntry:
    party = PartyId.of(declared.country_code, declared.party_id)
    return PartyEntry(*party, declared.role.value, declared.business_details.to_document())


def host_of(url: str) -> str:
    """The host in lower case; InvalidParameters (2001) when there is none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise InvalidParameters("url: the versions URL must be complete, like https://ocpi.example.com/versions.")
    return host


def check_host(url: str, approved_host: str | None) -> str:
    """The host our token may go to: the approved one, or the first that is named (S-25, S-27). InvalidParameters (2001)."""
    host = host_of(url)
    if approved_host is not None and host != approved_host:
        raise InvalidParameters(
            f"url: the host {host} is not the one this platform registered with; ask the hub's operator to "
            "approve it first (`ocpi-hub platform approve-host`)."
        )
    return host
