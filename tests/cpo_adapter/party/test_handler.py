"""What the hub may ask of the adapter, and who sees what."""

from pathlib import Path
from typing import Any

import pytest

from ocpi_modules import envelope, headers, json
from ocpi_modules.http.client import OutgoingRequest
from ocpi_modules.message import PartyId
from ocpi_modules.spec import Method
from tests.cpo_adapter.fake_hub import CPO, EMSP, HUB, TOKEN_A, FakeHub
from tests.cpo_adapter.running_adapter import (
    charger_of,
    eventually,
    free_port,
    joined_adapter,
    running_adapter,
    settings_of,
    token,
)
from tests.support.postgres import FreshDatabase

OTHER = PartyId("FR", "OTH")
PATH = "/DE/EMS/DRIVER01?type=APP_USER"


async def test_nobody_but_the_hub_is_answered(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        for shown in ("", "Token x", headers.authorization(TOKEN_A), headers.authorization(hub.token_c)):
            for url in (hub.platform.url("locations", "SENDER"), hub.partner["url"]):
                answer = await hub.client.send(OutgoingRequest("GET", url, {"Authorization": shown}), 5)
                assert answer.http_status == 401, (shown, url)


@pytest.mark.rule("K-04")
async def test_a_token_is_kept_as_it_came_and_patched(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        status, answer, _ = await hub.call(Method.GET, "tokens", "RECEIVER", PATH)
        assert (status, answer.status_code) == (404, 2004)
        document = token(extra={"kept": True})
        assert (await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, document))[0] == 201
        assert (await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, document, sender=HUB))[0] == 200
        assert (await hub.call(Method.GET, "tokens", "RECEIVER", PATH))[1].data == document
        stolen = (await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, document, sender=OTHER))[1]
        assert stolen.status_code == 2001
        renamed = (await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, token(uid="OTHER")))[1]
        assert renamed.status_code == 2001
        patch = {"valid": False, "last_updated": "2026-02-01T00:00:00Z"}
        assert (await hub.call(Method.PATCH, "tokens", "RECEIVER", PATH, patch))[1].status_code == 1000
        assert (await hub.call(Method.GET, "tokens", "RECEIVER", PATH))[1].data == {**document, **patch}
        assert (await hub.call(Method.GET, "tokens", "RECEIVER", "/DE/EMS/driver01"))[0] == 404


@pytest.mark.rule("R-39", "G-24", "G-25")
async def test_a_token_the_hub_broadcasts_is_taken_and_answered_to_the_hub(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    """Its owner stands in the URL; FROM is the hub, and so the answer's TO."""
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        status, answer, found = await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, token(), sender=HUB)
        assert (status, answer.status_code) == (201, 1000)
        to = (found["ocpi-to-country-code"], found["ocpi-to-party-id"])
        sender = (found["ocpi-from-country-code"], found["ocpi-from-party-id"])
        assert (to, sender) == (HUB, CPO)
        assert (await hub.call(Method.GET, "tokens", "RECEIVER", PATH, sender=EMSP))[1].data == token()


@pytest.mark.rule("R-52", "H-10")
async def test_objects_of_parties_that_only_client_info_names_are_taken(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    """The hub's credentials name the hub alone; whose objects come through it is told by HubClientInfo."""
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        info = {**hub.client_info(), "country_code": "FR", "party_id": "OTH"}
        await hub.call(Method.PUT, "hubclientinfo", "RECEIVER", "/FR/OTH", info, sender=None)
        document = token(country_code="FR", party_id="OTH", uid="STRANGER")
        path = "/FR/OTH/STRANGER?type=APP_USER"
        for sender in (OTHER, HUB):
            _, answer, _ = await hub.call(Method.PUT, "tokens", "RECEIVER", path, document, sender=sender)
            assert answer.status_code == 1000
        _, kept, _ = await hub.call(Method.GET, "tokens", "RECEIVER", path, sender=OTHER)
        assert kept.data == document


async def test_sessions_and_cdrs_are_shown_to_their_emsp_only(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        await hub.call(Method.PUT, "tokens", "RECEIVER", PATH, token())
        async with charger_of(adapter) as charger:
            await charger.wait_online()
            await charger.plug_in_and_charge("DRIVER01")
            cdr = (await eventually(lambda: hub.of("cdrs")))[0]
        for module in ("sessions", "cdrs"):
            _, mine, counts = await hub.call(Method.GET, module, "SENDER", "?date_from=2020-01-01T00:00:00Z")
            assert (len(mine.data), counts["x-total-count"]) == (1, "1")
            for sender in (OTHER, HUB, None):
                _, theirs, counts = await hub.call(Method.GET, module, "SENDER", "?limit=5", sender=sender)
                assert (theirs.data, counts["x-total-count"]) == ([], "0")
        _, kept, _ = await hub.call(Method.GET, "cdrs", "SENDER", "")
        assert kept.data == [cdr.document]
        _, later, _ = await hub.call(Method.GET, "cdrs", "SENDER", "?date_from=2999-01-01T00:00:00Z")
        assert later.data == []


async def test_locations_and_tariffs_are_listed_in_pages_and_read_one_by_one(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        _, listed, _ = await hub.call(Method.GET, "locations", "SENDER", "?limit=1")
        assert [location["id"] for location in listed.data] == ["LOC1"]
        for suffix, key, id in (("/loc1", "id", "LOC1"), ("/LOC1/E2", "uid", "E2"), ("/LOC1/E2/1", "id", "1")):
            _, one, _ = await hub.call(Method.GET, "locations", "SENDER", suffix)
            assert one.data[key] == id
        status, missing, _ = await hub.call(Method.GET, "locations", "SENDER", "/LOC1/E9")
        assert (status, missing.status_code) == (404, 2003)
        _, tariffs, _ = await hub.call(Method.GET, "tariffs", "SENDER", "", sender=OTHER)
        assert [tariff["id"] for tariff in tariffs.data] == ["T1"]


async def test_a_party_that_comes_gets_what_is_public(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub):
        await eventually(lambda: hub.of("locations") and hub.of("tariffs"))
        info = {**hub.client_info(), "country_code": "FR", "party_id": "OTH"}
        _, answer, _ = await hub.call(Method.PUT, "hubclientinfo", "RECEIVER", "/FR/OTH", info, sender=None)
        assert answer.status_code == 1000
        await eventually(lambda: [r for r in hub.of("locations", "PUT") if r.to == OTHER])
        await eventually(lambda: [r for r in hub.of("tariffs", "PUT") if r.to == OTHER])
        assert len([r for r in hub.of("tariffs", "PUT") if r.to == EMSP]) == 1


@pytest.mark.rule("C-21", "C-24")
async def test_the_hub_may_read_renew_and_end_the_registration(adapter_database: FreshDatabase, tmp_path: Path) -> None:
    async with FakeHub() as hub, joined_adapter(settings_of(adapter_database, tmp_path), hub) as adapter:
        url, old = hub.platform.url("credentials", "SENDER"), hub.partner["token"]
        assert (await ask(hub, "GET", url, old)).data["token"] == old
        theirs = {"token": "token-c-2", "url": hub.versions_url, "roles": hub_role()}
        assert (await ask(hub, "POST", url, old, theirs)).status_code == 2000
        fresh = (await ask(hub, "PUT", url, old, theirs)).data["token"]
        hub.token_c = "token-c-2"
        assert (await ask(hub, "GET", url, old)).data["token"] == old
        assert (await ask(hub, "GET", url, fresh)).data["token"] == fresh
        assert (await ask(hub, "GET", url, old)).status_code == 2000
        hub.partner["token"] = fresh
        await eventually(lambda: hub.of("locations"))
        adapter.pusher.due.set()
        assert (await ask(hub, "DELETE", url, fresh)).status_code == 1000
        assert (await ask(hub, "GET", url, fresh)).status_code == 2000


@pytest.mark.rule("C-07")
async def test_a_registration_that_failed_is_repeated_with_the_same_token(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    async with FakeHub() as hub, running_adapter(settings_of(adapter_database, tmp_path)) as adapter:
        genuine = hub._credentials

        async def cut(request: Any) -> Any:
            await genuine(request)
            raise RuntimeError("the answer is lost")

        hub._credentials = cut  # type: ignore[method-assign]
        with pytest.raises(Exception, match="refused"):
            await adapter.registrar.join(hub.versions_url, TOKEN_A)
        hub._credentials = genuine  # type: ignore[method-assign]
        assert await adapter.registrar.join(hub.versions_url, TOKEN_A) == HUB
        _, answer, _ = await hub.call(Method.GET, "locations", "SENDER", "")
        assert len(answer.data) == 1


async def test_a_changed_address_is_told_to_the_hub_at_the_next_start(
    adapter_database: FreshDatabase, tmp_path: Path
) -> None:
    settings = settings_of(adapter_database, tmp_path)
    async with FakeHub() as hub:
        async with joined_adapter(settings, hub):
            await eventually(lambda: hub.of("locations"))
        before, token_c = dict(hub.partner), hub.token_c
        async with running_adapter(settings.model_copy(update={"ocpi_port": free_port()})):
            await eventually(lambda: hub.token_c != token_c)
            assert hub.partner["url"] != before["url"]
            _, answer, _ = await hub.call(Method.GET, "locations", "SENDER", "")
            assert len(answer.data) == 1


def hub_role() -> list[dict[str, Any]]:
    return [{"role": "HUB", "country_code": "NL", "party_id": "HUB", "business_details": {"name": "A hub"}}]


async def ask(hub: FakeHub, method: str, url: str, token: str, document: Any = None) -> Any:

    sent = {"Authorization": headers.authorization(token), "X-Request-ID": "1", "X-Correlation-ID": "2"}
    body = b"" if document is None else json.encode(document)
    answer = await hub.client.send(OutgoingRequest(method, url, sent, body), 10)
    return envelope.read(answer.body)
