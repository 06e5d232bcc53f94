"""Whether a token may charge: expected starts, the kept tokens, and the eMSP in real time (charging 3.5, R51 to R57)."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import structlog

from cpo_adapter.charging.events import Decision, TokenAnswer
from cpo_adapter.config import Site
from cpo_adapter.party.link import HubLink, NotReached
from cpo_adapter.storage import token_repository
from cpo_adapter.storage.engine import Database, Row
from ocpi_modules import envelope, json
from ocpi_modules.message import Clock, PartyId
from ocpi_modules.spec import InterfaceRole, Method, ModuleID
from ocpi_modules.status import UnknownToken
from ocpi_modules.types import parse_datetime

log = structlog.get_logger(__name__)

REAL_TIME_SECONDS = 5.0
EXPECTED = timedelta(seconds=180)
LATE = timedelta(hours=1)
LONGEST_ID_TAG = 20
DECISIONS = {
    "ALLOWED": Decision.Accepted,
    "BLOCKED": Decision.Blocked,
    "EXPIRED": Decision.Expired,
    "NO_CREDIT": Decision.Blocked,
}


@dataclass(frozen=True)
class Authorized:
    """A decision about a token; `token` is the OCPI Token, None when nobody knows it."""

    answer: TokenAnswer
    token: dict[str, Any] | None = None
    auth_method: str = "WHITELIST"
    authorization_reference: str | None = None


REFUSED = Authorized(TokenAnswer(Decision.Invalid))


def id_tag_of(uid: str) -> str:
    """The uid, or where it is longer than OCPP 1.6 allows an alias of 20 characters (R52)."""
    if len(uid) <= LONGEST_ID_TAG:
        return uid
    return base64.b32encode(hashlib.sha256(uid.casefold().encode()).digest()).decode()[:LONGEST_ID_TAG]


def cdr_token(token: dict[str, Any]) -> dict[str, Any]:
    """The CdrToken of a Token (D-28)."""
    return {name: token[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")}


class Authorizer:
    """Decides for `asked` (Authorize) and for starts."""

    def __init__(self, database: Database, link: HubLink, site: Site, clock: Clock) -> None:
        self._database = database
        self._link = link
        self._site = site
        self._clock = clock

    async def decide(self, charger_key: str, id_tag: str, *, live: bool = True) -> Authorized:
        """`live` is False for what happened before it was reported: nobody is asked in real time then (R32).

        Raises DatabaseAway.
        """
        now = self._clock()
        async with self._database.connection() as connection:
            expected = await token_repository.expected_start(connection, charger_key, id_tag.casefold(), now - LATE)
            rows = await token_repository.tokens_by_uid(connection, id_tag.casefold())
        if expected is not None and (expected["expires_at"] > now or not rows):
            return _expected(expected)
        tokens = _preferred(rows)
        if not tokens:
            return REFUSED
        return await self._by_whitelist(charger_key, id_tag, tokens[0], live)

    async def owner(self, id_tag: str, charged_at: datetime) -> dict[str, Any] | None:
        """The kept Token of this uid, for what was charged then; None where nobody or more than one party has it, or where it
        was changed since, as that may be how it came to be anybody's: nobody is billed by a guess. An expected start says
        nothing of the past. Raises DatabaseAway."""
        async with self._database.connection() as connection:
            rows = await token_repository.tokens_by_uid(connection, id_tag.casefold())
        parties = {(row["country_code"], row["party_id"]) for row in rows}
        then = [token for token in _preferred(rows) if parse_datetime(token["last_updated"]) <= charged_at]
        return then[0] if then and len(parties) == 1 else None

    async def _by_whitelist(self, charger_key: str, id_tag: str, token: dict[str, Any], live: bool) -> Authorized:
        known = Authorized(_answer(token, Decision.Accepted if token["valid"] else Decision.Blocked), token)
        if not live or token["whitelist"] in ("ALWAYS", "ALLOWED"):
            return known
        try:
            return await self._in_real_time(charger_key, id_tag, token)
        except NotReached as error:
            log.warning("authorization_not_answered", uid_length=len(id_tag), reason=str(error))
            return known if token["whitelist"] == "ALLOWED_OFFLINE" else Authorized(REFUSED.answer, token)

    async def _in_real_time(self, charger_key: str, id_tag: str, token: dict[str, Any]) -> Authorized:
        owner = PartyId.of(token["country_code"], token["party_id"])
        suffix = f"/{quote(token['uid'], safe='')}/authorize?type={token['type']}"
        body = json.encode(self._references(charger_key)) if self._references(charger_key) else b""
        reply = await self._link.send(
            Method.POST, ModuleID.tokens, InterfaceRole.SENDER, suffix, to=owner, body=body, seconds=REAL_TIME_SECONDS
        )
        if reply.status_code == UnknownToken.status_code or reply.http_status == 404:
            return Authorized(REFUSED.answer, token)
        info = envelope.sole(reply.answer.data) if reply.succeeded and reply.answer is not None else None
        if not isinstance(info, dict):
            raise NotReached(reply.reason)
        decision = DECISIONS.get(str(info.get("allowed")), Decision.Invalid)
        reference = info.get("authorization_reference")
        reference = reference if isinstance(reference, str) else None
        if decision is Decision.Accepted:
            await self.expect(charger_key, id_tag, token, "AUTH_REQUEST", reference)
        return Authorized(_answer(token, decision, self._expiry(token)), token, "AUTH_REQUEST", reference)

    async def expect(
        self, charger_key: str, id_tag: str, token: dict[str, Any], auth_method: str, reference: str | None
    ) -> None:
        """A start of this tag is allowed for 180 s from now (R53)."""
        async with self._database.connection() as connection:
            await token_repository.expect_start(
                connection,
                charger_key=charger_key,
                id_tag_key=id_tag.casefold(),
                token_document=json.encode(token),
                authorization_reference=reference,
                auth_method=auth_method,
                expires_at=self._clock() + EXPECTED,
            )

    def _references(self, charger_key: str) -> dict[str, Any] | None:
        places = [place for place in self._site.places if place.charger_key == charger_key]
        if not places:
            return None
        uids = [place.evse_uid for place in places if place.location_id == places[0].location_id]
        return {"location_id": places[0].location_id, "evse_uids": list(dict.fromkeys(uids))}

    def _expiry(self, token: dict[str, Any]) -> Any:
        """NEVER: not into the charger's cache (R54)."""
        return self._clock() if token["whitelist"] == "NEVER" else None


def _preferred(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return sorted((json.decode(row["document"]) for row in rows), key=_preference)


def _preference(token: dict[str, Any]) -> tuple[bool, bool]:
    return not token["valid"], token["type"] != "RFID"


def _answer(token: dict[str, Any], decision: Decision, expires_at: Any = None) -> TokenAnswer:
    return TokenAnswer(decision, token.get("group_id"), expires_at)


def _expected(row: Row) -> Authorized:
    token = json.decode(row["token"])
    return Authorized(_answer(token, Decision.Accepted), token, row["auth_method"], row["authorization_reference"])
