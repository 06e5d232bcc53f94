"""Which lists may be read, and when. Pure (U-51, X-24).

The switch `pull` of a platform says how often: `nightly` (the default) for a list of which the party pushed nothing to the hub in
the last day; hours like `6h`, pushed or not; `never`. Each list has a moment of its own, so that a night's work is spread.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from hub.parties.platforms import Platform
from ocpi_modules import roles
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID

MODULES = (ModuleID.locations, ModuleID.tariffs, ModuleID.tokens)
"""What the hub reads on its own account; sessions and CDRs are personal and come with their pushes (U-51)."""

NEVER, NIGHTLY = "never", "nightly"
DAY = timedelta(days=1)
NIGHT = timedelta(hours=5)
"""From midnight UTC on."""
WHOLE_EVERY = timedelta(days=7)
OVERLAP = timedelta(hours=1)
"""How far a reading of changes reaches back before the one before: clocks differ, and `last_updated` may be late."""

_HOURS = re.compile(r"([1-9][0-9]{0,2})h", re.ASCII)
_MOST_HOURS = 168


def period(switch: str) -> timedelta | None:
    """How often the switch wants a list read; None for never, and for a word that is none of the switch's."""
    if switch == NIGHTLY:
        return DAY
    match = _HOURS.fullmatch(switch)
    return timedelta(hours=int(match[1])) if match and int(match[1]) <= _MOST_HOURS else None


def forbidden(platform: Platform | None, party: PartyId, module: ModuleID) -> str | None:
    """Why this list is not to be read, one sentence; None when it may be. Says nothing about whether the party is there now."""
    if platform is None or not platform.serves(party):
        return f"{party} is not registered here; `ocpi-hub party list` shows who is."
    if period(platform.switches.pull) is None:
        return f"Pulls of {party} are switched off: `platform set --party {party} pull=nightly` permits them."
    if not platform.roles_of(party) & roles.owners(module):
        return f"{party} owns no {module}: it is registered as {', '.join(sorted(platform.roles_of(party)))}."
    if platform.endpoint(module, InterfaceRole.SENDER) is None:
        return f"{party} does not offer the SENDER interface of {module}."
    return None


def is_due(standing: Mapping[str, Any], switch: str, now: datetime) -> bool:
    """Whether it is time; `standing` has party, module, known_since, began_at and pushed_at of a list."""
    every = period(switch)
    if every is None:
        return False
    if switch == NIGHTLY and standing["pushed_at"] is not None and standing["pushed_at"] > now - DAY:
        return False
    last = max(standing["began_at"] or standing["known_since"], standing["known_since"])
    share = _share(f"{standing['party']} {standing['module']}")
    return bool(last < _moment(now, every, share * (NIGHT if switch == NIGHTLY else every)))


def is_whole(standing: Mapping[str, Any], now: datetime) -> bool:
    """Whether the next run reads the whole list: once a week, and whenever there is nothing to go on from."""
    whole_at = standing["whole_at"]
    return whole_at is None or standing["succeeded_at"] is None or bool(whole_at <= now - WHOLE_EVERY)


def _moment(now: datetime, every: timedelta, late: timedelta) -> datetime:
    """The newest moment that lies `late` after a multiple of `every`, counted from a midnight."""
    midnight = datetime(2000, 1, 1, tzinfo=now.tzinfo)
    return now - (now - midnight - late) % every


def _share(text: str) -> float:
    """A number from 0 to 1 that stays with a list."""
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) / 2**32
