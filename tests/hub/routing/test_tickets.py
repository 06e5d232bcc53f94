"""response_url: commands and charging profiles, and their results, through the hub."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from hub.agreements.policy import DefaultPolicy
from hub.delivery.send import Deadlines
from hub.parties import repository as parties
from hub.routing import repository
from ocpi_modules import json
from tests.hub.network import CPO, EMSP, Network, Outage, accepted, eventually, network
from tests.support import objects
from tests.support.postgres import FreshDatabase
from tests.support.raw_http import raw_server

START = "/receiver/commands/START_SESSION"


@pytest.fixture
async def net(hub_database: FreshDatabase) -> AsyncIterator[Network]:
    async with network(hub_database, deadlines=Deadlines(direct=0.5)) as built:
        yield built


def start(net: Network, **fields: Any) -> bytes:
    token = objects.token(country_code="DE", party_id="MSP")
    document = {"response_url": f"{net.emsp.url}/results/1?x=%2F", "token": token, "location_id": "L1"} | fields
    return json.encode(document)


async def started(net: Network, **fields: Any) -> str:
    """START_SESSION, and the response_url the CPO got."""
    answer = await net.call(net.emsp, "POST", START, start(net, **fields), to=CPO)
    assert answer.status_code == 1000, answer.message
    return str(json.decode(net.cpo.seen[-1].body)["response_url"])


async def result(net: Network, url: str, body: bytes = b'{"result":"ACCEPTED"}', **options: Any) -> Any:
    return await net.call(options.pop("sender", net.cpo), "POST", url, body, **options)


@pytest.mark.rule("M-28", "M-29", "R-73", "R-77", "M-34", "Y-19")
async def test_a_command_gets_our_url_and_its_result_reaches_theirs(net: Network) -> None:
    net.cpo.answer = lambda seen: accepted({"result": "ACCEPTED", "timeout": 30})
    url = await started(net)
    assert url.startswith(f"{net.public_url}/ocpi/2.2.1/sender/commands/")
    assert len(url) <= 255
    answer = await result(net, url)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert answer.routing == ("NL*CPO", "DE*MSP")
    seen = net.emsp.seen[-1]
    assert (seen.method, seen.target, seen.body) == ("POST", "/results/1?x=%2F", b'{"result":"ACCEPTED"}')
    assert seen.routing == ("DE*MSP", "NL*CPO")
    assert seen.headers["x-correlation-id"] == "corr-1"
    assert seen.headers["x-request-id"] not in ("", "req-1")
    assert [(line["module"], line["receiver"]) for line in await net.traced()] == [
        ("commands", "NL*CPO"),
        ("commands", "DE*MSP"),
    ]


@pytest.mark.rule("R-25")
async def test_a_cpo_that_reads_on_only_when_the_charger_is_done_gets_what_comes_meanwhile(net: Network) -> None:
    """As Starlette does with a background task: the answer is whole, and the connection stands still."""
    done = asyncio.Event()
    net.cpo.after = lambda seen: done.wait() if "/commands/" in seen.target else None
    await started(net)
    answer = await net.call(net.emsp, "GET", "/sender/locations/L1", to=CPO)
    assert (answer.status_code, answer.routing) == (1000, ("DE*MSP", "NL*CPO"))
    assert [seen.headers.get("connection") for seen in net.cpo.seen] == ["close", None]


@pytest.mark.rule("R-17", "R-73")
async def test_only_the_response_url_changes_in_the_body(net: Network) -> None:
    token = json.encode(objects.token(country_code="DE", party_id="MSP"))
    url = json.encode(f"{net.emsp.url}/r")
    body = b'{"x":1.10,"token":' + token + b',"response_url":' + url + b',"location_id":"\\u004c1","y":[1E2, 2]}'
    await net.call(net.emsp, "POST", START, body, to=CPO)
    ours = json.encode(json.decode(net.cpo.seen[0].body)["response_url"])
    assert net.cpo.seen[0].body == body.replace(url, ours)


async def test_a_result_needs_nothing_but_the_token_of_the_platform(net: Network) -> None:
    """Field 7: no message ids, no routing headers, a bare body."""
    url = await started(net)
    bare = {"OCPI-from-party-id": "", "OCPI-from-country-code": "", "X-Request-ID": "", "X-Correlation-ID": ""}
    assert (await result(net, url, headers=bare)).status_code == 1000
    assert net.emsp.seen[-1].routing == ("DE*MSP", "NL*CPO")


@pytest.mark.rule("R-76", "M-34")
async def test_a_result_from_another_platform_is_404(net: Network) -> None:
    url = await started(net)
    answer = await result(net, url, sender=net.emsp)
    assert (answer.http_status, answer.status_code, net.emsp.seen) == (404, 2001, [])
    assert (await result(net, url[:-1] + ("A" if url[-1] != "A" else "B"))).http_status == 404


@pytest.mark.rule("R-28")
@pytest.mark.promise("Q-13", "S-15")
async def test_a_result_needs_an_agreement_when_it_comes(hub_database: FreshDatabase) -> None:
    async with network(hub_database, policy=DefaultPolicy.agreement) as net:
        net.policy.replace({frozenset((CPO, EMSP)): frozenset()})
        url = await started(net)
        net.policy.replace({})
        ended, unknown = await result(net, url), await result(net, f"{url}x")
        assert (ended.http_status, ended.message, net.emsp.seen) == (404, unknown.message, [])
        net.policy.replace({frozenset((CPO, EMSP)): frozenset()})
        assert (await result(net, url)).status_code == 1000


@pytest.mark.rule("U-25", "M-34")
@pytest.mark.parametrize("who", ["cpo", "emsp"])
async def test_an_odd_result_passes_flagged_and_a_strict_platform_neither_sends_nor_gets_one(
    net: Network, who: str
) -> None:
    url = await started(net)
    odd = b'{"result":"PERHAPS"}'
    assert (await result(net, url, odd)).status_code == 1000
    assert (net.emsp.seen[-1].body, "result" in " ".join((await net.traced())[-1]["flags"])) == (odd, True)
    async with net.database.transaction() as connection:
        strict = {"cpo": net.cpo, "emsp": net.emsp}[who].platform_id
        await parties.set_switches(connection, strict, {"strict": True})
        await parties.touch(connection, strict)
    await net.directory.refresh()
    answer = await result(net, url, b'{"result":"MAYBE"}')
    assert (answer.http_status, answer.status_code, len(net.emsp.seen)) == (200, 2001, 1)
    assert "result" in answer.message
    assert (await result(net, url)).status_code == 1000


@pytest.mark.rule("P-02", "U-25")
async def test_a_parameter_that_is_required_is_missed(net: Network) -> None:
    path = f"/receiver/chargingprofiles/S1?response_url={quote(f'{net.emsp.url}/r', safe='')}"
    assert (await net.call(net.emsp, "GET", path, to=CPO)).status_code == 1000
    assert "duration" in " ".join((await net.traced())[-1]["flags"])
    async with net.database.transaction() as connection:
        await parties.set_switches(connection, net.cpo.platform_id, {"strict": True})
        await parties.touch(connection, net.cpo.platform_id)
    await net.directory.refresh()
    answer = await net.call(net.emsp, "GET", path, to=CPO)
    assert (answer.status_code, len(net.cpo.seen)) == (2001, 1)
    assert "duration" in answer.message
    assert (await net.call(net.emsp, "GET", f"{path}&duration=900", to=CPO)).status_code == 1000


@pytest.mark.rule("R-74", "M-23")
async def test_the_same_result_is_delivered_once_and_a_different_one_again(net: Network) -> None:
    url = await started(net)
    first = await result(net, url)
    again = await result(net, url)
    assert (again.http_status, again.body, len(net.emsp.seen)) == (200, first.body, 1)
    await result(net, url, b'{"result":"CANCELED_RESERVATION"}')
    assert len(net.emsp.seen) == 2


@pytest.mark.rule("R-74", "M-23")
async def test_the_same_result_while_the_first_is_under_way_is_answered_with_it(
    hub_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where who sent the first went away; one that failed is tried again by the next."""
    found, go, answers = [], asyncio.Event(), [(503, {}, b""), accepted()]

    async def slowly(seen: Any) -> Any:
        await go.wait()
        return answers.pop(0)

    async def finding(*arguments: Any) -> Any:
        found.append(await find(*arguments))
        return found[-1]

    async with network(hub_database, deadlines=Deadlines(direct=30)) as net:
        find, net.emsp.answer = net.tickets.find, slowly
        monkeypatch.setattr(net.tickets, "find", finding)
        url = await started(net)
        for said, status in enumerate((4003, 1000), 1):
            go.clear()
            found.clear()
            asked = [asyncio.create_task(result(net, url)) for _ in range(4)]
            await eventually(lambda: len(found) == 4)
            asked[0].cancel()
            go.set()
            statuses = [answer.status_code for answer in await asyncio.gather(*asked[1:])]
            assert (statuses, len(net.emsp.seen)) == ([status] * 3, said)


@pytest.mark.rule("R-74", "U-40")
async def test_a_ticket_lives_a_day_longer_than_its_reservation_and_then_is_404(net: Network) -> None:
    token = objects.token(country_code="DE", party_id="MSP")
    body = {"response_url": f"{net.emsp.url}/r", "token": token, "location_id": "L1", "reservation_id": "R1"}
    expiry = (net.time[0] + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = await net.call(
        net.emsp, "POST", "/receiver/commands/RESERVE_NOW", json.encode(body | {"expiry_date": expiry}), to=CPO
    )
    assert answer.status_code == 1000
    url = json.decode(net.cpo.seen[-1].body)["response_url"]
    net.time[0] += timedelta(days=3, hours=23)
    assert (await result(net, url)).status_code == 1000
    net.time[0] += timedelta(hours=2)
    assert (await result(net, url)).http_status == 404


@pytest.mark.rule("M-31", "U-40")
async def test_a_command_in_doubt_keeps_its_ticket_for_a_late_result(net: Network) -> None:
    async def silence(seen: Any) -> None:
        await asyncio.sleep(5)

    net.cpo.answer = silence
    assert (await net.call(net.emsp, "POST", START, start(net), to=CPO)).status_code == 4002
    assert (await result(net, json.decode(net.cpo.seen[-1].body)["response_url"])).status_code == 1000


@pytest.mark.rule("M-31", "R-23")
async def test_a_command_that_reached_nobody_leaves_no_ticket(net: Network) -> None:
    async with raw_server(net.cpo.behave) as closed_port:
        pass
    async with net.database.transaction() as connection:
        await parties.drop_endpoints(connection, net.cpo.platform_id)
        endpoint = ("commands", "RECEIVER", f"http://127.0.0.1:{closed_port}/commands")
        await parties.add_endpoints(connection, net.cpo.platform_id, [endpoint])
        await parties.touch(connection, net.cpo.platform_id)
    await net.directory.refresh()
    assert (await net.call(net.emsp, "POST", START, start(net), to=CPO)).status_code == 4003
    assert await net.rows("SELECT * FROM ticket") == []


@pytest.mark.rule("M-30")
@pytest.mark.promise("S-26", "S-27")
@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "https://127.0.0.1/x", "http://u@127.0.0.1/x", "ftp://127.0.0.1", "x", ""]
)
async def test_a_response_url_to_another_host_is_refused(net: Network, url: str) -> None:
    answer = await net.call(net.emsp, "POST", START, start(net, response_url=url), to=CPO)
    assert (answer.http_status, answer.status_code, net.cpo.seen) == (200, 2001, [])
    assert "response_url" in answer.message


@pytest.mark.rule("M-33", "M-15")
@pytest.mark.parametrize("owner", [{"country_code": "NL"}, {"party_id": "OTH"}])
async def test_a_driver_is_started_by_its_own_emsp_only(net: Network, owner: dict[str, str]) -> None:
    token = objects.token(**{"country_code": "DE", "party_id": "MSP"} | owner)
    answer = await net.call(net.emsp, "POST", START, start(net, token=token), to=CPO)
    assert (answer.status_code, net.cpo.seen) == (2001, [])


async def test_an_unknown_command_is_refused(net: Network) -> None:
    answer = await net.call(net.emsp, "POST", "/receiver/commands/FLY", start(net), to=CPO)
    assert (answer.status_code, net.cpo.seen) == (2001, [])
    assert "START_SESSION" in answer.message


@pytest.mark.rule("P-22", "R-73", "P-02", "P-04")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("encoded", [True, False])
async def test_a_response_url_in_the_query_is_replaced_and_nothing_else(
    net: Network, method: str, encoded: bool
) -> None:
    url = f"{net.emsp.url}/r?a=1&b=2"
    query = f"duration=900&x=%2f+&response_url={quote(url, safe='') if encoded else url}"
    answer = await net.call(net.emsp, method, f"/receiver/chargingprofiles/S1?{query}", to=CPO)
    assert answer.status_code == 1000, answer.message
    target = net.cpo.seen[0].target
    assert target.startswith("/cpo/receiver/v/chargingprofiles/S1?duration=900&x=%2f+&response_url=http%3A%2F%2F")
    ours = parse_qs(urlsplit(target).query)["response_url"][0]
    assert ours.startswith(f"{net.public_url}/ocpi/2.2.1/sender/chargingprofiles/")
    assert (await result(net, ours, b'{"result":"ACCEPTED"}')).status_code == 1000
    assert net.emsp.seen[0].target == "/r?a=1&b=2"


@pytest.mark.rule("P-03", "P-26")
async def test_a_charging_profile_is_set_with_our_url_in_the_body(net: Network) -> None:
    body = json.encode(objects.set_charging_profile(response_url=f"{net.emsp.url}/r"))
    assert (await net.call(net.emsp, "PUT", "/receiver/chargingprofiles/S1", body, to=CPO)).status_code == 1000
    ours = json.decode(net.cpo.seen[0].body)["response_url"]
    assert (await result(net, ours)).status_code == 1000


@pytest.mark.rule("Q-04", "F-07")
async def test_without_a_database_a_command_is_503_before_anything_leaves(hub_database: FreshDatabase) -> None:
    async with network(hub_database, wrap=Outage) as net:
        net.seen_database.away = True
        answer = await net.call(net.emsp, "POST", START, start(net), to=CPO)
        assert (answer.http_status, answer.status_code, net.cpo.seen) == (503, 3000, [])
        assert answer.headers["retry-after"]
        assert (await net.call(net.cpo, "POST", "/sender/tokens/T/authorize", to=EMSP)).status_code == 1000


async def test_expired_tickets_are_cleared_with_their_results_in_portions(net: Network) -> None:
    await result(net, await started(net))
    await started(net)
    net.time[0] += timedelta(days=2)
    async with net.database.transaction() as connection:
        assert await repository.delete_expired_tickets(connection, net.time[0], 1) == 1
        assert await repository.delete_expired_tickets(connection, net.time[0], 5) == 1
    assert await net.rows("SELECT reference FROM ticket UNION ALL SELECT reference FROM ticket_result") == []
