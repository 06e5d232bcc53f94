"""A tenant: a CPO and an eMSP with an agreement, and what they told each other and everybody entitled, all of it marked.

`canary-<MARK>` stands in what every agreed party may see, `secret-<MARK>` in what is between these two alone. Objects whose ids
begin with one of the two are never named by an attacker; those whose ids begin with the mark are.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ocpi_modules import headers as header_names
from ocpi_modules import json
from tests.scenarios.conftest import HUB, Answer, World
from tests.support import objects
from tests.support.objects import Document
from tests.support.party import Party, Scripted
from tests.tenants.documents import written
from tests.tenants.names import Names

ALSO_FOR_ONE = "canary-{}-"
"""Of these objects the partner got a copy of its own, with a secret in it."""
LISTS = {"locations": "cpo", "tariffs": "cpo", "sessions": "cpo", "cdrs": "cpo", "tokens": "emsp"}
"""The paginated functional modules, and who owns their objects."""
SINGLE = {
    "locations": ("Location", "location_id"),
    "tariffs": ("Tariff", "tariff_id"),
    "tokens": ("Token", "token_uid"),
    "sessions": ("Session", "session_id"),
}


@dataclass
class Tenant:
    """`handed_out` are tickets, Locations and Links the hub gave these two, `read` what they saw of their own at last."""

    mark: str
    cpo: Party
    emsp: Party
    handed_out: dict[str, str] = field(default_factory=dict)
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    read: dict[str, bytes] = field(default_factory=dict)

    @property
    def canary(self) -> str:
        return f"canary-{self.mark}"

    @property
    def secret(self) -> str:
        return f"secret-{self.mark}"

    @property
    def parties(self) -> tuple[Party, Party]:
        return self.cpo, self.emsp

    @property
    def secrets(self) -> list[str]:
        """What no byte of an answer to anybody else may hold: marked texts, what the hub handed out, URLs, tokens."""
        urls = [party.url.removeprefix("http://") for party in self.parties]
        tokens = [token for party in self.parties for token in (party.hub_token, *party.our_tokens)]
        links = [link for links in self.links.values() for link in links]
        keys = [pair.partition("=")[2] for link in links for pair in link.split("&") if pair.startswith("hub_")]
        opaque = [key for key in keys if "*" not in key]
        return [self.canary, self.secret, *self.handed_out.values(), *urls, *tokens, *opaque]

    def ids(self, shape: str) -> dict[str, str]:
        """`shape` is `{}-` for what attackers know, or a prefix of what they do not."""
        short = {
            "location_id": "LOC",
            "evse_uid": "EVS",
            "connector_id": "CON",
            "tariff_id": "TAR",
            "token_uid": "TOK",
            "session_id": "SES",
            "cdr_id": "CDR",
            "reservation_id": "RES",
        }
        return {name: f"{shape.format(self.mark)}{id_}" for name, id_ in short.items()}

    def names(self, shape: str = "{}-") -> Names:
        ids = self.ids(shape) | self.handed_out

        def document(name: str, own_id: str | None) -> Document:
            return self.written(name, ids, self.secret, own_id)

        return Names(self.mark, self.cpo.id, self.emsp.id, ids, self.links, document)

    def written(self, name: str, ids: dict[str, str], text: str, own_id: str | None = None) -> Document:
        by_emsp = name == "Token"
        sender = self.emsp if by_emsp else self.cpo
        if name == "Credentials":
            return sender.credentials(text)
        url = f"{self.emsp.url}/ocpi/2.2.1/sender/commands/{text}"
        owner, driver = sender.id, self.emsp.id
        return written(name, ids, owner=owner, driver=driver, text=text, response_url=url, own_id=own_id)


class Seeding:
    """Tells the hub everything of a tenant through its real API."""

    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    async def all(self) -> None:
        tenant = self._tenant
        for party in tenant.parties:
            party.business_name = tenant.secret
            assert (await party.update()).http_status == 200
        for shape, text in (("{}-", tenant.canary), ("canary-{}-", tenant.canary)):
            await self._push(tenant.ids(shape), text, broadcast=True)
        for shape, text in (("{}-UNI-", tenant.secret), ("secret-{}-", tenant.secret)):
            await self._push(tenant.ids(shape), text, broadcast=False)
        await self._push(tenant.ids(ALSO_FOR_ONE), tenant.secret, broadcast=False)
        for shape in ("{}-", "secret-{}-"):
            await self._between(tenant.ids(shape))
        await self._requests()
        await self._links()

    async def _push(self, ids: dict[str, str], text: str, *, broadcast: bool) -> None:
        for module in ("tariffs", "locations", "tokens"):
            name, variable = SINGLE[module]
            sender, receiver = self._sides(module)
            path = f"/receiver/{module}/{'/'.join(sender.id)}/{ids[variable]}"
            document = self._tenant.written(name, ids, text, ids[variable])
            await self._done(sender, "PUT", path, document, to=HUB if broadcast else receiver.id)

    async def _between(self, ids: dict[str, str]) -> None:
        """What is for these two alone by its nature."""
        cpo, emsp, text = self._tenant.cpo, self._tenant.emsp, self._tenant.secret
        session = self._tenant.written("Session", ids, text, ids["session_id"])
        await self._done(cpo, "PUT", f"/receiver/sessions/{'/'.join(cpo.id)}/{ids['session_id']}", session, to=emsp.id)
        cdr = self._tenant.written("CDR", ids, text, ids["cdr_id"])
        answer = await self._done(cpo, "POST", "/receiver/cdrs", cdr, to=emsp.id)
        self._tenant.handed_out["cdrs.reference"] = answer.headers["location"].rpartition("/")[2]

    async def _requests(self) -> None:
        """Commands and charging profiles whose results are still awaited, and an authorization."""
        tenant, names = self._tenant, self._tenant.names()
        info = objects.authorization_info(authorization_reference=tenant.secret, token=names.document("Token", None))
        tenant.emsp.script("POST", "tokens", Scripted(data=info))
        await self._done(tenant.cpo, "POST", f"/sender/tokens/{names.ids['token_uid']}/authorize", to=tenant.emsp.id)
        for command in ("START_SESSION", "RESERVE_NOW"):
            name = {"START_SESSION": "StartSession", "RESERVE_NOW": "ReserveNow"}[command]
            body = names.document(name, None)
            await self._done(tenant.emsp, "POST", f"/receiver/commands/{command}", body, to=tenant.cpo.id)
        tenant.handed_out["commands.ticket"] = self._ticket("commands")
        path = f"/receiver/chargingprofiles/{names.ids['session_id']}"
        body = names.document("SetChargingProfile", None)
        await self._done(tenant.emsp, "PUT", path, body, to=tenant.cpo.id)
        tenant.handed_out["chargingprofiles.ticket"] = self._ticket("chargingprofiles")
        query = f"?duration=900&response_url={quote(body['response_url'], safe='')}"
        await self._done(tenant.emsp, "GET", path + query, to=tenant.cpo.id)

    def _ticket(self, module: str) -> str:
        """Of the last request that reached the CPO."""
        url = self._tenant.cpo.received(module=module)[-1].document["response_url"]
        return str(url).rpartition("/")[2]

    async def _links(self) -> None:
        """Of the hub's own lists, of a list behind a ticket, and of one with an offset of the owner's own."""
        for module in LISTS:
            owner, reader = self._sides(module)
            await self._let_list(module, owner)
            path = f"/sender/{module}?limit=1&date_from=2020-01-01T00:00:00Z"
            answers = [await self._done(reader, "GET", path, to=to) for to in (HUB, owner.id, owner.id)]
            self._tenant.links[module] = tuple(link_of(answer).partition("?")[2] for answer in answers)
            assert [name for name, link in zip(LINKS, self._tenant.links[module], strict=True) if name in link] == [
                "hub_after=",
                "hub_link=",
                "hub_to=",
            ]

    async def _let_list(self, module: str, owner: Party) -> None:
        """What an owner answers whoever asks it for a list: something only its own partner may see."""
        data, url = [{"id": self._tenant.secret}], f"{owner.url}/ocpi/2.2.1/sender/{module}"
        queries = (f"?cursor={self._tenant.secret}", "?offset=1&limit=1")
        links = [{"X-Total-Count": "77", "Link": f'<{url}{query}>; rel="next"'} for query in queries]
        owner.script("GET", module, *(Scripted(data=data, headers=link) for link in links), Scripted(data=data))

    def _sides(self, module: str) -> tuple[Party, Party]:
        """(owner, reader)."""
        cpo, emsp = self._tenant.parties
        return (emsp, cpo) if LISTS[module] == "emsp" else (cpo, emsp)

    async def _done(self, sender: Party, method: str, path: str, body: Any = b"", **options: Any) -> Answer:
        answer = await self._world.call(sender, method, path, body, **options)
        assert answer.status_code == 1000, (method, path, answer.body)
        return answer


LINKS = ("hub_after=", "hub_link=", "hub_to=")


def link_of(answer: Answer) -> str:
    """The URL of the next page, "" on the last."""
    return answer.headers.get(header_names.LINK.lower(), "").partition(">")[0].removeprefix("<")


async def read_own(world: World, tenant: Tenant) -> dict[str, bytes]:
    """What the two see of their own: every object by itself and in the lists, as bytes."""
    seen: dict[str, bytes] = {}
    for shape in ("{}-", "{}-UNI-", "canary-{}-", "secret-{}-"):
        ids = tenant.ids(shape)
        for module, (_, variable) in SINGLE.items():
            owner = tenant.emsp if LISTS[module] == "emsp" else tenant.cpo
            path = f"/receiver/{module}/{'/'.join(owner.id)}/{ids[variable]}"
            answer = await world.call(owner, "GET", path, to=HUB)
            found = json.members(answer.body).get("data") if answer.http_status == 200 else b""
            seen[f"{module} {ids[variable]}"] = bytes(found or b"")
    for module in LISTS:
        for party in tenant.parties:
            answer = await world.call(party, "GET", f"/sender/{module}", to=HUB)
            marked = [item for item in answer.data if tenant.mark in json.encode(item).decode()] if answer.data else []
            theirs = [item for item in marked if party_of(item) in (party.id for party in tenant.parties)]
            seen[f"list of {module} for {party.id}"] = json.encode(theirs)
    return seen


def party_of(item: Document) -> tuple[str, str]:
    return item["country_code"], item["party_id"]
