"""The door out against partners that are slow, broken, huge or hostile."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from ocpi_modules import envelope
from ocpi_modules.http.client import (
    AnswerTooLarge,
    BadAnswer,
    IncomingAnswer,
    OcpiClient,
    OutgoingRequest,
    RequestRefused,
    SendFailed,
    TimedOut,
    Unreachable,
    join_url,
    ocpi_headers,
)
from ocpi_modules.http.connection import Caps
from ocpi_modules.http.httpx_transport import PoolTransport
from ocpi_modules.http.listener import running
from ocpi_modules.message import PartyId
from tests.ocpi_modules.http.conftest import NOW, Recorder, Serving, wrapped
from tests.support.certificates import Authority
from tests.support.raw_http import RawConnection, raw_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Behaviour = Callable[[RawConnection], Awaitable[None]]


def answering(*answers: bytes) -> Behaviour:
    """Each request gets the next of these answers; then the connection is closed."""

    async def behave(connection: RawConnection) -> None:
        for answer in answers:
            await connection.request()
            await connection.send(answer)

    return behave


def silent_below(path: str) -> Behaviour:
    async def behave(connection: RawConnection) -> None:
        while path not in (await connection.request())[0]:
            await connection.send(OK)
        await silent(connection)

    return behave


async def fetch(
    port: int, method: str = "GET", seconds: float = 5, body: bytes = b"", **options: object
) -> IncomingAnswer:
    async with OcpiClient(allow_insecure=True, **options) as client:  # type: ignore[arg-type]
        return await client.send(OutgoingRequest(method, f"http://127.0.0.1:{port}/x", {}, body), seconds)


async def test_a_request_arrives_byte_for_byte() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def keep(connection: RawConnection) -> None:
        seen.append(await connection.request())
        await connection.send(OK)

    body = b'{ "a" : 1.10 }'
    headers = ocpi_headers(
        "example-token",
        request_id="r",
        correlation_id="c",
        to=PartyId("NL", "TNM"),
        sender=PartyId("DE", "ABC"),
    )
    async with raw_server(keep) as port, OcpiClient(allow_insecure=True) as client:
        url = join_url(f"http://127.0.0.1:{port}/ocpi/", "/a%2Fb%2a?x=%31&y=+")
        answer = await client.send(OutgoingRequest("PUT", url, headers, body))
    line, received, sent_body = seen[0]
    assert (answer.http_status, answer.body, sent_body) == (200, b"ok", body)
    assert line == "PUT /ocpi/a%2Fb%2a?x=%31&y=+ HTTP/1.1"
    assert received["host"] == f"127.0.0.1:{port}"
    assert received["authorization"] == "Token ZXhhbXBsZS10b2tlbg=="
    assert received["content-type"] == "application/json"
    assert (received["ocpi-to-country-code"], received["ocpi-from-party-id"]) == ("NL", "ABC")
    assert (received["x-request-id"], received["x-correlation-id"]) == ("r", "c")


@pytest.mark.parametrize(
    ("endpoint", "suffix", "url"),
    [
        ("https://a/x", "", "https://a/x"),
        ("https://a/x/", "", "https://a/x/"),
        ("https://a/x", "y", "https://a/x/y"),
        ("https://a/x/", "/y/z", "https://a/x/y/z"),
        ("https://a/x", "/y%2F", "https://a/x/y%2F"),
        ("https://a/x", "?limit=1", "https://a/x?limit=1"),
    ],
)
@pytest.mark.rule("X-100")
def test_an_endpoint_and_a_suffix_are_joined_by_one_slash(endpoint: str, suffix: str, url: str) -> None:
    assert join_url(endpoint, suffix) == url


async def test_connections_are_used_again_and_bounded() -> None:
    connections, busiest, busy = 0, 0, 0

    async def count(connection: RawConnection) -> None:
        nonlocal connections, busiest, busy
        connections += 1
        while True:
            await connection.request()
            busy += 1
            busiest = max(busy, busiest)
            await asyncio.sleep(0.001)
            busy -= 1
            await connection.send(OK)

    async with raw_server(count) as port, OcpiClient(allow_insecure=True, connections=4) as client:
        request = OutgoingRequest("GET", f"http://127.0.0.1:{port}/")
        for _ in range(5):
            await client.send(request)
        assert connections == 1
        answers = await asyncio.gather(*(client.send(request) for _ in range(40)))
    assert {answer.body for answer in answers} == {b"ok"}
    assert (connections, busiest) == (4, 4)


async def test_more_waiting_requests_than_there_is_room_for_are_refused() -> None:
    async with raw_server(silent) as port, OcpiClient(allow_insecure=True, connections=1, waiting=1) as client:
        request = OutgoingRequest("GET", f"http://127.0.0.1:{port}/")
        sent = (client.send(request, seconds) for seconds in (0.5, 0.2, 0.2))
        results = await asyncio.gather(*sent, return_exceptions=True)
    kinds = [type(result) for result in results]
    assert kinds == [TimedOut, TimedOut, RequestRefused]
    assert [result.request_was_sent for result in results if isinstance(result, SendFailed)] == [True, False, False]


async def silent(connection: RawConnection) -> None:
    await asyncio.sleep(60)


@pytest.mark.promise("Q-10")
async def test_lanes_to_one_host_wait_for_each_other_neither_for_a_connection_nor_in_the_queue() -> None:
    async with (
        raw_server(silent_below("/slow")) as port,
        OcpiClient(allow_insecure=True, connections=1, waiting=1) as client,
    ):
        url = f"http://127.0.0.1:{port}"
        held = [client.send(OutgoingRequest("PUT", f"{url}/slow", lane="a"), 0.5) for _ in range(2)]
        waiting = asyncio.gather(*held, return_exceptions=True)
        await asyncio.sleep(0)  # both have begun
        with pytest.raises(RequestRefused):
            await client.send(OutgoingRequest("PUT", f"{url}/quick", lane="a"), 5)
        for lane in ("b", ""):
            assert (await client.send(OutgoingRequest("PUT", f"{url}/quick", lane=lane), 5)).body == b"ok"
        assert {type(outcome) for outcome in await waiting} == {TimedOut}


async def test_a_partner_that_never_answers_is_cut_at_the_deadline() -> None:
    async with raw_server(silent) as port:
        began = time.monotonic()
        with pytest.raises(TimedOut) as failure:
            await fetch(port, seconds=0.2)
    assert failure.value.request_was_sent
    assert time.monotonic() - began < 2


async def test_the_deadline_is_a_total_and_not_renewed_by_every_byte() -> None:
    async def drip(connection: RawConnection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await connection.send(b"x")
            await asyncio.sleep(0.02)

    async with raw_server(drip) as port:
        with pytest.raises(TimedOut) as failure:
            await fetch(port, seconds=0.3)
    assert failure.value.request_was_sent


async def test_a_blackhole_is_given_up_after_the_connect_timeout() -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    try:
        began = time.monotonic()
        with pytest.raises(Unreachable) as failure:
            await fetch(full.getsockname()[1], "PUT", connect_seconds=0.3)
        assert not failure.value.request_was_sent
        assert time.monotonic() - began < 2
    finally:
        for one in (*waiting, full):
            one.close()


async def test_a_closed_port_is_unreachable_and_nothing_was_sent() -> None:
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    with pytest.raises(Unreachable) as failure:
        await fetch(free.getsockname()[1], "POST", body=b"{}")
    free.close()
    assert not failure.value.request_was_sent


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
@pytest.mark.parametrize("reset", [True, False])
async def test_a_connection_that_breaks_is_a_failure_of_a_request_that_was_sent(before: bytes, reset: bool) -> None:
    requests = 0

    async def breaking(connection: RawConnection) -> None:
        nonlocal requests
        await connection.request()
        requests += 1
        await connection.send(before)
        if reset:
            own = connection.writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with raw_server(breaking) as port:
        with pytest.raises(Unreachable) as failure:
            await fetch(port, "POST", body=b"{}")
    assert failure.value.request_was_sent
    assert requests == 1


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
async def test_a_write_is_never_sent_twice_on_its_own(method: str) -> None:
    requests = 0

    async def once_then_close(connection: RawConnection) -> None:
        nonlocal requests
        while True:
            await connection.request()
            requests += 1
            if requests == 2:
                return
            await connection.send(OK)

    async with raw_server(once_then_close) as port, OcpiClient(allow_insecure=True) as client:
        request = OutgoingRequest(method, f"http://127.0.0.1:{port}/", {}, b"{}")
        assert (await client.send(request)).body == b"ok"
        with pytest.raises(Unreachable) as failure:
            await client.send(request)
    assert failure.value.request_was_sent
    assert requests == 2


async def test_a_kept_connection_found_closed_is_replaced_before_anything_is_sent() -> None:
    connections = 0
    closed = asyncio.Event()

    async def one_each(connection: RawConnection) -> None:
        nonlocal connections
        connections += 1
        await connection.request()
        await connection.send(OK)
        connection.writer.close()
        await connection.writer.wait_closed()
        closed.set()

    async with raw_server(one_each) as port, OcpiClient(allow_insecure=True) as client:
        for _ in range(3):
            closed.clear()
            request = OutgoingRequest("POST", f"http://127.0.0.1:{port}/", {}, b"{}")
            assert (await client.send(request)).body == b"ok"
            await asyncio.wait_for(closed.wait(), 5)
            await asyncio.sleep(0)
    assert connections == 3


async def test_a_get_on_a_kept_connection_that_just_ended_is_sent_once_more() -> None:
    requests = 0

    async def second_goes_unanswered(connection: RawConnection) -> None:
        nonlocal requests
        for _ in range(2):
            await connection.request()
            requests += 1
            if requests == 2:
                return
            await connection.send(OK)

    async with raw_server(second_goes_unanswered) as port, OcpiClient(allow_insecure=True) as client:
        request = OutgoingRequest("GET", f"http://127.0.0.1:{port}/")
        for _ in range(2):
            assert (await client.send(request)).body == b"ok"
    assert requests == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 100,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    ],
)
async def test_an_answer_over_the_caps_is_cut(answer: bytes) -> None:
    async def send(connection: RawConnection) -> None:
        await connection.request()
        await connection.send(answer)
        await asyncio.sleep(60)

    async with raw_server(send) as port:
        with pytest.raises(AnswerTooLarge) as failure:
            await fetch(port, caps=Caps(headers=10_000, body=50_000))
    assert failure.value.request_was_sent


async def test_a_hundred_megabytes_are_cut_at_ten() -> None:
    sent = 0

    async def endless(connection: RawConnection) -> None:
        nonlocal sent
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        for _ in range(100):
            await connection.send(chunk)
            sent += 1

    async with raw_server(endless) as port:
        with pytest.raises(AnswerTooLarge):
            await fetch(port)
    assert 10 <= sent < 40


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
async def test_what_is_not_plain_http_is_a_bad_answer(answer: bytes) -> None:
    async with raw_server(answering(answer)) as port:
        with pytest.raises(BadAnswer):
            await fetch(port)


async def test_behind_the_last_request_of_a_connection_comes_no_other() -> None:
    seen: list[tuple[int, str | None]] = []

    async def behave(connection: RawConnection) -> None:
        number = len({serving for serving, _ in seen})
        while True:
            _, headers, _ = await connection.request()
            seen.append((number, headers.get("connection")))
            await connection.send(OK.replace(b"OK\r\n", b"OK\r\nConnection: keep-alive\r\n"))

    async with raw_server(behave) as port, OcpiClient(allow_insecure=True) as client:
        for last in (False, True, False):
            request = OutgoingRequest("POST", f"http://127.0.0.1:{port}/", {}, b"{}", last=last)
            assert (await client.send(request, 5)).body == b"ok"
    assert seen == [(0, None), (0, "close"), (1, None)]


@pytest.mark.parametrize("coding", ["gzip", "UTF-8"])
async def test_a_coding_is_declined_in_the_request_and_named_where_it_comes_all_the_same(coding: str) -> None:
    """A request that says nothing of it accepts every coding (RFC 9110, 12.5.3)."""
    seen: list[dict[str, str]] = []

    async def behave(connection: RawConnection) -> None:
        seen.append((await connection.request())[1])
        await connection.send(OK.replace(b"OK\r\n", b"OK\r\nContent-Encoding: %b\r\n" % coding.encode()))

    async with raw_server(behave) as port:
        with pytest.raises(BadAnswer, match=f"Content-Encoding '{coding}'"):
            await fetch(port)
    assert seen[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", b"ab"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_every_plain_way_to_end_an_answer_is_understood(answer: bytes, body: bytes) -> None:
    async with raw_server(answering(answer)) as port:
        assert (await fetch(port)).body == body


async def test_bytes_after_an_answer_never_become_the_next_answer() -> None:
    async with raw_server(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", OK)) as port:
        async with OcpiClient(allow_insecure=True) as client:
            request = OutgoingRequest("PUT", f"http://127.0.0.1:{port}/", {}, b"{}")
            assert [(await client.send(request)).body for _ in range(2)] == [b"ok", b"evil"][:1] * 2


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_on_the_same_origin_is_followed_once_with_everything(status: int) -> None:
    seen = []

    async def redirecting(connection: RawConnection) -> None:
        while True:
            line, headers, body = await connection.request()
            seen.append((line, headers["authorization"], body))
            if line.startswith("PUT /x "):
                await connection.send(b"HTTP/1.1 %d R\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n" % status)
            else:
                await connection.send(b"HTTP/1.1 %d R\r\nLocation: /z\r\nContent-Length: 0\r\n\r\n" % status)

    async with raw_server(redirecting) as port, OcpiClient(allow_insecure=True) as client:
        request = OutgoingRequest("PUT", f"http://127.0.0.1:{port}/x", {"Authorization": "Token a"}, b"{}")
        answer = await client.send(request)
    assert (answer.http_status, answer.headers["location"]) == (status, "/z")
    assert seen == [("PUT /x HTTP/1.1", "Token a", b"{}"), ("PUT /y HTTP/1.1", "Token a", b"{}")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_returned_and_never_followed(status: int) -> None:
    reached = 0

    async def other(connection: RawConnection) -> None:
        nonlocal reached
        reached += 1

    async with raw_server(other) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere}/y"
        answer_bytes = f"HTTP/1.1 {status} R\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        async with raw_server(answering(answer_bytes)) as port:
            answer = await fetch(port)
    assert (answer.http_status, answer.headers["location"], reached) == (status, location, 0)


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\r\nY": "b"}, {"X": "\u20ac"}, {"X": "\x00"}])
async def test_headers_that_would_break_the_request_are_not_sent(headers: dict[str, str]) -> None:
    async with OcpiClient(allow_insecure=True) as client:
        with pytest.raises(RequestRefused):
            await client.send(OutgoingRequest("GET", "http://127.0.0.1:1/", headers))


async def to_this_machine(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def over_tls(port: int, authority: Path | None) -> IncomingAnswer:
    async with OcpiClient(allow_insecure=True, extra_ca=authority, resolve=to_this_machine) as client:
        return await client.send(OutgoingRequest("PUT", f"https://partner.example:{port}/x", {}, b"{}"), 5)


async def test_a_certificate_of_a_trusted_authority_is_accepted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    signed = authority.certify("partner.example")
    async with running(wrapped, certificate=signed.certificate, key=signed.key) as listening:
        assert listening.url.startswith("https://")
        assert (await over_tls(listening.port, authority.file)).body == b"wrapped /x"


@pytest.mark.parametrize(
    ("host", "days", "trusted", "said"),
    [
        ("partner.example", -1, True, "certificate has expired"),
        ("other.example", 1, True, "Hostname mismatch"),
        ("partner.example", 1, False, "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_cannot_be_trusted_is_refused_with_its_reason(
    tmp_path: Path, host: str, days: int, trusted: bool, said: str
) -> None:
    authority = Authority(tmp_path)
    signed = authority.certify(host, days=days)
    async with running(wrapped, certificate=signed.certificate, key=signed.key) as listening:
        with pytest.raises(Unreachable, match=said) as failure:
            await over_tls(listening.port, authority.file if trusted else None)
    assert not failure.value.request_was_sent


async def test_tls_below_1_2_and_a_handshake_cut_short_are_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    signed = authority.certify("partner.example")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(signed.certificate, signed.key)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def cut(connection: RawConnection) -> None:
        await connection.reader.read(10)

    async with raw_server(silent, ssl=old) as port:
        with pytest.raises(Unreachable, match=r"No (trusted TLS )?connection"):
            await over_tls(port, authority.file)
    async with raw_server(cut) as port:
        with pytest.raises(Unreachable, match=r"No (trusted TLS )?connection"):
            await over_tls(port, authority.file)


async def test_httpx_leaves_through_the_same_door(serving: Serving, recorder: Recorder) -> None:
    recorder.answer = lambda request: envelope.success([1], now=NOW)
    async with serving() as listening, OcpiClient(allow_insecure=True) as client:
        async with httpx.AsyncClient(transport=PoolTransport(client)) as api:
            answer = await api.get(f"{listening.url}/ocpi/2.2.1/sender/locations", params={"limit": 5})
            assert answer.json()["data"] == [1]
            assert recorder.last.params == {"limit": "5"}
            with pytest.raises(httpx.UnsupportedProtocol):
                await api.get("http://169.254.169.254/")
            with pytest.raises(httpx.ReadTimeout):
                async with raw_server(silent) as port:
                    await api.get(f"http://127.0.0.1:{port}/", timeout=0.2)


async def test_a_cancelled_request_gives_its_place_to_the_next() -> None:
    requests = 0

    async def first_hangs(connection: RawConnection) -> None:
        nonlocal requests
        await connection.request()
        requests += 1
        if requests == 1:
            await asyncio.sleep(60)
        await connection.send(OK)

    async with raw_server(first_hangs) as port, OcpiClient(allow_insecure=True, connections=1) as client:
        request = OutgoingRequest("GET", f"http://127.0.0.1:{port}/")
        hanging = asyncio.create_task(client.send(request))
        waiting = asyncio.create_task(client.send(request))
        gone = asyncio.create_task(client.send(request))
        async with asyncio.timeout(5):
            while not requests:
                await asyncio.sleep(0.01)
        gone.cancel()
        hanging.cancel()
        assert (await waiting).body == b"ok"
        assert (await client.send(request)).body == b"ok"
        await asyncio.gather(hanging, gone, return_exceptions=True)


async def test_a_name_server_that_does_not_answer_holds_up_its_own_name_only() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        if host == "slow.example":
            await asyncio.sleep(60)
        return ["127.0.0.1"]

    async with raw_server(answering(OK)) as port:
        async with OcpiClient(allow_insecure=True, resolve=resolve, connect_seconds=0.3) as client:
            slow = asyncio.create_task(client.send(OutgoingRequest("PUT", "https://slow.example/", {}, b"{}")))
            assert (await client.send(OutgoingRequest("GET", f"http://quick.example:{port}/"), 0.2)).body == b"ok"
            with pytest.raises(Unreachable, match="not resolved within") as failure:
                await slow
    assert not failure.value.request_was_sent


async def test_a_second_address_is_tried_when_the_first_refuses() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with raw_server(answering(OK)) as port:
        assert (await fetch_by_name(port, resolve)).body == b"ok"


async def fetch_by_name(port: int, resolve: Callable[[str, int], Awaitable[list[str]]]) -> IncomingAnswer:
    async with OcpiClient(allow_insecure=True, resolve=resolve) as client:
        return await client.send(OutgoingRequest("GET", f"http://partner.example:{port}/"), 5)
