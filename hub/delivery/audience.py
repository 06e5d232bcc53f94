"""Who gets what, asked when it is sent and not before: an agreement that ended a moment ago holds (Q-13, R-41, R-48)."""

from functools import lru_cache

from hub.agreements.policy import Policy
from hub.objects.listing import EVERYBODY
from hub.objects.repository import ObjectKey
from hub.parties.directory import Directory
from hub.parties.platforms import Platform
from ocpi_modules import roles
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID, Role

_NO_ROLES: frozenset[Role] = frozenset()


class Audience:
    """Reads the directory and the agreements of this process."""

    def __init__(self, directory: Directory, policy: Policy) -> None:
        self._directory = directory
        self._policy = policy
        self.hub_party = directory.hub_party

    def platform_of(self, party: PartyId) -> Platform | None:
        """The platform a party can be reached on now; None while it is away."""
        platform = self._directory.known_platform_of(party)
        return platform if platform is not None and party in platform.reachable else None

    def includes(self, receiver: PartyId, platform: Platform, key: ObjectKey) -> bool:
        """Whether this object goes to this party: not its own, offered, of the right roles, agreed."""
        owner, module, broadcast = key.owner, key.module, key.audience == EVERYBODY
        if owner == receiver or (module, InterfaceRole.RECEIVER) not in platform.endpoints:
            return False
        if not broadcast and key.audience != str(receiver):
            return False
        home = self._directory.known_platform_of(owner)
        heard = _hearers(home.roles_of(owner) if home is not None else _NO_ROLES, module, broadcast)
        return not heard.isdisjoint(platform.roles_of(receiver)) and self._policy.allows(owner, receiver, module)


@lru_cache(maxsize=1024)
def _hearers(own: frozenset[Role], module: ModuleID, broadcast: bool) -> frozenset[Role]:
    """The roles that hear what a party of these roles pushes; asked for every push, the same few times."""
    return roles.audience(own, module) if broadcast else roles.callees(own, module, InterfaceRole.RECEIVER)
