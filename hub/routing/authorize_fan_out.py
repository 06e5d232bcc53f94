"""Real-time authorization of a token the hub was never shown: ask every eMSP with an agreement at once (R-60, field 2.8).

Off by default: it shows a uid to eMSPs it does not belong to. The first that knows the token wins; an answer about somebody
else's token is passed over. Asked are connected parties only, at most `most`, and all of them within `within`.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hub.delivery.outcome import Delivered, Outcome, TimedOut
from hub.parties.directory import Directory
from hub.parties.platforms import Caller
from hub.routing.party_to_party import PartyToPartyRoute
from ocpi_modules import envelope
from ocpi_modules.message import OcpiRequest, OcpiResponse, PartyId
from ocpi_modules.status import OcpiError, RequestTimedOut

Asked = asyncio.Task[Outcome]
WITHIN = timedelta(seconds=8)


class AuthorizeFanOut:
    def __init__(
        self, *, directory: Directory, route: PartyToPartyRoute, most: int, within: timedelta = WITHIN
    ) -> None:
        self._directory = directory
        self._route = route
        self._most = most
        self._seconds = within.total_seconds()

    async def ask(self, request: OcpiRequest, caller: Caller, sender: PartyId) -> OcpiResponse | None:
        """The answer of the eMSP that knows the token, None when all say they do not.

        Raises RequestTimedOut (4002) when somebody who might know it did not answer.
        """
        asked = {
            asyncio.create_task(self._route.ask(request, caller, sender, party)): party
            for party in await self._candidates(request, caller, sender)
        }
        try:
            return await self._first(request, sender, asked)
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _candidates(self, request: OcpiRequest, caller: Caller, sender: PartyId) -> list[PartyId]:
        parties = {
            party
            for platform in self._directory.platforms()
            if platform.connected and platform.endpoint(request.module, request.interface) is not None
            for party in platform.party_ids
            if party != sender
        }
        able = [party for party in sorted(parties) if await self._route.may_reach(request, caller, sender, party)]
        return able[: self._most]

    async def _first(
        self, request: OcpiRequest, sender: PartyId, asked: Mapping[Asked, PartyId]
    ) -> OcpiResponse | None:
        end = asyncio.get_running_loop().time() + self._seconds
        waiting, silent = set(asked), False
        while waiting:
            left = end - asyncio.get_running_loop().time()
            done, waiting = await asyncio.wait(waiting, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda finished: asked[finished]):
                outcome = _outcome(task)
                if isinstance(outcome, Delivered) and _is_theirs(outcome.answer.data, request, asked[task]):
                    return self._route.answer(request, sender, asked[task], outcome)
                silent = silent or isinstance(outcome, TimedOut)
            if not done:
                silent = True
                break
        if silent:
            raise RequestTimedOut(f"Not every eMSP that may know this token answered within {self._seconds:g} seconds.")
        return None


def _outcome(task: Asked) -> Outcome | None:
    """None when the party could not even be asked."""
    failure = task.exception()
    if failure is None:
        return task.result()
    if isinstance(failure, OcpiError):
        return None
    raise failure


def _is_theirs(data: Any, request: OcpiRequest, party: PartyId) -> bool:
    """Whether an AuthorizationInfo is about the token asked for, and that token belongs to who answers."""
    info = envelope.sole(data)
    token = info.get("token") if isinstance(info, dict) else None
    if not isinstance(token, dict):
        return False
    given = [token.get(name) for name in ("country_code", "party_id", "uid")]
    expected = [*party, request.variables["token_uid"]]
    return all(
        isinstance(one, str) and one.upper() == other.upper() for one, other in zip(given, expected, strict=True)
    )
