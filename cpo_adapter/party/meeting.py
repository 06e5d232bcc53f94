"""Meeting the hub after joining and after a start: our address if it changed, then who is behind it (contracts 6, H-26)."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from cpo_adapter.party.join import Registrar
from cpo_adapter.party.link import HubLink, NotReached
from cpo_adapter.party.neighbours import Neighbours
from ocpi_modules.message import Clock
from ocpi_modules.status import OcpiError

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=5)
AFTER_FAILURE = timedelta(seconds=3)


class Meeting:
    """`met` is called when new receivers may be known."""

    def __init__(
        self, link: HubLink, registrar: Registrar, neighbours: Neighbours, met: Callable[[], None], clock: Clock
    ) -> None:
        self._link = link
        self._registrar = registrar
        self._neighbours = neighbours
        self._told = met
        self._clock = clock
        self._with: tuple[str, str] | None = None
        self._again_at = clock()

    async def meet_when_due(self) -> None:
        """Once for each registration and each start, then every few minutes; soon again after a failure. Raises DatabaseAway."""
        self._link.forget()
        joined = await self._link.joined()
        now = self._clock()
        if joined is None or ((joined.versions_url, joined.token) == self._with and now < self._again_at):
            return
        self._with, self._again_at = (joined.versions_url, joined.token), now + AFTER_FAILURE
        try:
            await self._registrar.tell_new_url()
            await self._neighbours.refresh()
        except (NotReached, OcpiError) as error:
            log.warning("hub_not_reached", reason=str(error))
            return
        self._again_at = now + EVERY
        self._told()
