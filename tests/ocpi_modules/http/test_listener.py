"""The guarded listener against clients that are slow, endless or ambiguous."""

import asyncio
import json
import socket
from typing import Any

import pytest

from ocpi_modules import envelope
from ocpi_modules.http.guarded_protocol import GuardedProtocol, Limits
from ocpi_modules.http.listener import Listener, bind, plain_bind, running, shared_sockets
from ocpi_modules.http.server import STOPPING, OcpiEdge
from ocpi_modules.message import OcpiRequest, OcpiResponse
from tests.ocpi_modules.http.conftest import MODULES, NOW, Recorder, Serving, wrapped
from tests.support.raw_http import RawConnection, connected

QUICK = Limits(
    header_seconds=0.3, body_seconds=0.3, body_rate=1_000_000, write_seconds=0.3, linger_seconds=0.3, body=200_000
)
VERSIONS = b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /ocpi/2.2.1/credentials HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def test_a_slow_header_is_cut_with_408(serving: Serving, recorder: Recorder) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(b"GET /ocpi/versions HTTP/1.1\r\nX-Slow: ")
        drip = asyncio.create_task(dripping(raw))
        status, headers, body = await raw.answer(3)
        drip.cancel()
        assert (status, headers["connection"]) == (408, "close")
        assert json.loads(body)["status_code"] == 2000
        assert await raw.rest(3) == b""
    assert recorder.requests == []


async def dripping(raw: RawConnection) -> None:
    while True:
        await raw.send(b"x")
        await asyncio.sleep(0.05)


@pytest.mark.rule("F-06")
async def test_a_request_there_is_no_memory_for_is_not_called_wrong(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(protocol: GuardedProtocol) -> None:
        raise MemoryError

    monkeypatch.setattr(GuardedProtocol, "on_headers_complete", fails)
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(VERSIONS)
        assert await raw.rest(3) == b""


async def test_a_connection_that_says_nothing_is_closed(serving: Serving) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        assert await raw.rest(3) == b""


async def test_a_slow_body_is_cut_with_408(serving: Serving, recorder: Recorder) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(POST + b"Content-Length: 1000\r\n\r\n{}")
        drip = asyncio.create_task(dripping(raw))
        assert (await raw.answer(3))[0] == 408
        drip.cancel()
        assert await raw.rest(3) == b""
    assert recorder.requests == []


async def test_empty_lines_without_end_are_cut(serving: Serving) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:

        async def lines() -> None:
            while True:
                await raw.send(b"\r\n")
                await asyncio.sleep(0.05)

        task = asyncio.create_task(lines())
        assert await raw.rest(3) == b""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 200_000 + b"\r\n\r\n", 431),
        (b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 5000 + b"\r\n", 431),
        (b"GET /ocpi/versions?" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: -2\r\n\r\n{}", 400),
        (POST + b"Content-Length: +2\r\n\r\n{}", 400),
        (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n", 400),
        (b"GET /ocpi/versions HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
        (b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
    ],
)
async def test_ambiguous_or_oversized_requests_are_refused_and_nothing_after_them_is_served(
    serving: Serving, recorder: Recorder, request_bytes: bytes, status: int
) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(request_bytes + VERSIONS)
        answered, _, body = await raw.answer(3)
        assert answered == status
        assert json.loads(body)["status_code"] in (2000, 2001)
        assert await raw.rest(3) == b""
    assert recorder.requests == []


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"


@pytest.mark.parametrize("parts", [1, 3], ids=["at once", "in parts"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_an_offer_of_another_protocol_is_ignored_and_its_body_is_read(
    serving: Serving, recorder: Recorder, chunked: bool, parts: int
) -> None:
    """As the JDK's HTTP client asks over http. What looks like a request in the body stays a part of the body."""
    body = VERSIONS + b"{}"
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    offered = POST + OFFER + length + b"\r\n\r\n"
    async with serving() as listening, connected(listening.port) as raw:
        for _ in range(2):
            for piece in [offered + framed] if parts == 1 else [offered[:60], offered[60:], framed]:
                await raw.send(piece)
                await asyncio.sleep(0)
            assert (await raw.answer(3))[0] == 200
    assert [(request.method, request.body) for request in recorder.requests] == [("POST", body)] * 2


async def test_many_offers_behind_each_other_are_bounded_as_any_requests(serving: Serving, recorder: Recorder) -> None:
    offered = VERSIONS[:-2] + OFFER + b"\r\n"
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(offered * 20)
        assert [(await raw.answer(3))[0] for _ in range(20)] == [200] * 20
        await raw.send(offered * 500)
        statuses = (await raw.rest(5)).count(b"HTTP/1.1 200")
        assert 0 < statuses <= QUICK.pipelined + 1
    assert len(recorder.requests) == 20 + statuses


async def test_a_header_too_long_is_refused_also_behind_an_offer(serving: Serving, recorder: Recorder) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(VERSIONS[:-2] + OFFER + b"X-Many: 1\r\n" * 2000 + b"\r\n")
        assert (await raw.answer(3))[0] == 431
    assert recorder.requests == []


async def test_a_header_without_end_is_cut_after_some_kilobytes(serving: Serving) -> None:
    sent = 0
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(b"GET /ocpi/versions HTTP/1.1\r\nX: ")
        reading = asyncio.create_task(raw.answer(5))
        while not reading.done() and sent < 50_000_000:
            try:
                await raw.send(b"x" * 10_000)
            except ConnectionError:
                break
            sent += 10_000
        assert (await reading)[0] == 431
    assert sent < 20_000_000


async def test_a_body_without_end_is_cut_also_where_the_application_has_no_limit() -> None:
    read = 0

    async def greedy(scope: object, receive: object, send: object) -> None:
        nonlocal read
        more = True
        while more:
            message = await receive()  # type: ignore[operator]
            read += len(message.get("body", b""))
            more = message.get("more_body", False)

    async with running(greedy, limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        reading = asyncio.create_task(raw.answer(5))
        while not reading.done():
            try:
                await raw.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
            except ConnectionError:
                break
        assert (await reading)[0] == 413
    assert read <= QUICK.body


async def test_pipelined_requests_are_answered_in_their_order(serving: Serving, recorder: Recorder) -> None:
    recorder.answer = lambda request: envelope.success(request.params["n"], now=NOW)
    requests = b"".join(b"GET /ocpi/versions?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20))
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(requests)
        answers = [json.loads((await raw.answer())[2])["data"] for _ in range(20)]
    assert answers == [str(n) for n in range(20)]


async def test_large_answers_between_small_ones_come_whole_and_in_their_order(
    serving: Serving, recorder: Recorder
) -> None:
    data = [f"{n} " * (30_000 if n % 2 else 1) for n in range(8)]
    recorder.answer = lambda request: envelope.success(data[int(request.params["n"])], now=NOW)
    requests = b"".join(b"GET /ocpi/versions?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(len(data)))
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(requests)
        assert [json.loads((await raw.answer())[2])["data"] for _ in data] == data


async def test_more_pipelined_requests_than_anybody_needs_end_the_connection(
    serving: Serving, recorder: Recorder
) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(VERSIONS * 5000)
        got = await raw.rest(5)
    assert 1 <= got.count(b"HTTP/1.1 200") <= 2 * QUICK.pipelined


async def test_a_bad_request_behind_a_good_one_does_not_take_its_answer(serving: Serving, recorder: Recorder) -> None:
    async with serving(limits=QUICK) as listening, connected(listening.port) as raw:
        await raw.send(VERSIONS + b"RUBBISH\r\n\r\n" + VERSIONS)
        got = await raw.rest(5)
    assert got.count(b"HTTP/1.1 ") == 1
    assert got.startswith(b"HTTP/1.1 200")


async def test_a_client_that_never_reads_is_cut(recorder: Recorder) -> None:
    ended = asyncio.Event()

    async def talkative(scope: object, receive: object, send: object) -> None:
        if scope["type"] == "lifespan":  # type: ignore[index]
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        for _ in range(2000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})  # type: ignore[operator]
        ended.set()

    async with running(talkative, limits=QUICK) as listening:
        client = socket.create_connection(("127.0.0.1", listening.port))
        try:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(ended.wait(), 5)
        finally:
            client.close()


async def test_idle_connections_are_closed_and_active_ones_are_kept(serving: Serving) -> None:
    async with serving(limits=QUICK, keep_alive_seconds=1) as listening, connected(listening.port) as raw:
        for _ in range(3):
            await raw.send(VERSIONS)
            assert (await raw.answer())[0] == 200
        assert await raw.rest(3) == b""


async def test_there_is_a_cap_on_connections_of_one_address(serving: Serving) -> None:
    async with serving(limits=Limits(connections_per_address=2)) as listening:
        async with connected(listening.port) as first, connected(listening.port):
            async with connected(listening.port) as third:
                assert await third.rest(3) == b""
            await first.send(VERSIONS)
            assert (await first.answer())[0] == 200
            first.writer.close()
            await first.writer.wait_closed()
            await until_served(listening.port)


async def until_served(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            async with connected(port) as raw:
                try:
                    await raw.send(VERSIONS)
                    await raw.answer()
                except (ConnectionError, asyncio.IncompleteReadError):
                    await asyncio.sleep(0.01)
                    continue
                return


async def test_the_whole_body_of_a_refused_request_may_still_be_on_its_way(serving: Serving) -> None:
    """The answer to an oversized request is not lost to a reset while its sender is still writing."""
    async with serving(body_limit=1000) as listening, connected(listening.port) as raw:
        await raw.send(POST + b"Content-Length: 300000\r\n\r\n")
        sending = asyncio.create_task(raw.send(b" " * 300_000))
        assert (await raw.answer())[0] == 413
        await sending


async def test_stopping_answers_what_is_under_way() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: object, receive: object, send: object) -> None:
        if scope["type"] == "lifespan":  # type: ignore[index]
            return
        began.set()
        await go_on.wait()
        await wrapped(scope, receive, send)

    listener = Listener(slow, signals=False)
    serving = asyncio.create_task(listener.serve())
    async with asyncio.timeout(5):
        while not listener.started:
            await asyncio.sleep(0.01)
        async with connected(listener.port) as raw:
            await raw.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            await began.wait()
            listener.stop()
            go_on.set()
            assert (await raw.answer())[2] == b"wrapped /x"
        await serving


@pytest.mark.rule("F-05", "Q-02")
async def test_what_is_not_done_when_the_time_is_up_is_answered_503_in_an_envelope() -> None:
    """As far as somebody still listens and no answer has begun."""
    stuck = Stuck()
    listener = Listener(OcpiEdge(wrapped, stuck, MODULES, lambda: NOW), graceful_seconds=1)
    serving = asyncio.create_task(listener.serve())
    async with asyncio.timeout(10):
        while not listener.started:
            await asyncio.sleep(0.01)
        async with connected(listener.port) as raw:
            async with connected(listener.port) as gone:
                for connection in (raw, gone):
                    await connection.send(POST + b"Content-Length: 2\r\nX-Request-ID: r-1\r\n\r\n{}")
                while stuck.asked < 2:
                    await asyncio.sleep(0.01)
            listener.stop()
            status, headers, body = await raw.answer()
            assert (status, headers["retry-after"], headers["x-request-id"]) == (503, "5", "r-1")
            content = json.loads(body)
            assert (content["status_code"], content["status_message"]) == (3000, STOPPING)
            assert await raw.rest() == b""
        await serving
    assert stuck.ended == 2


class Stuck:
    """A handler that never answers; `ended` by being cancelled."""

    def __init__(self) -> None:
        self.asked = self.ended = 0

    async def handle(self, request: OcpiRequest) -> OcpiResponse:
        self.asked += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
        raise AssertionError


async def test_a_taken_port_is_an_error_and_not_an_exit(serving: Serving) -> None:
    async with serving() as listening:
        with pytest.raises(OSError, match="in use"):
            async with running(wrapped, port=listening.port):
                pass


async def test_an_application_that_fails_to_start_is_an_error_and_not_an_exit() -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        await receive()  # type: ignore[operator]
        await send({"type": "lifespan.startup.failed", "message": "no database"})  # type: ignore[operator]

    with pytest.raises(RuntimeError, match="did not start"):
        async with running(broken):
            pass


async def test_workers_share_a_port_by_inherited_sockets_which_a_second_copy_is_refused(recorder: Recorder) -> None:
    sockets = shared_sockets("127.0.0.1", 0, 2)
    port = sockets[0].getsockname()[1]
    assert {bound.getsockname()[1] for bound in sockets} == {port}
    with pytest.raises(OSError, match="in use"):
        shared_sockets("127.0.0.1", port, 1)
    with pytest.raises(OSError, match="in use"):
        plain_bind("127.0.0.1", port)
    async with running(wrapped, sockets=[sockets[0].dup()]), running(wrapped, sockets=[sockets[1].dup()]):
        for _ in range(8):
            async with connected(port) as raw:
                await raw.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await raw.answer())[0] == 200
    for bound in sockets:
        bound.close()
    bind("127.0.0.1", port).close()


async def test_an_answer_given_before_the_whole_body_came_says_that_it_ends_the_connection(serving: Serving) -> None:
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(b"POST /ocpi/2.2.1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 1000)
        status, headers, _ = await raw.answer(3)
        assert (status, headers.get("connection")) == (404, "close")
        await raw.send(b"x" * 1000)
        assert await raw.rest(15) == b""


async def test_an_answer_after_the_whole_body_keeps_the_connection(serving: Serving) -> None:
    async with serving() as listening, connected(listening.port) as raw:
        for _ in range(2):
            await raw.send(b"POST /ocpi/2.2.1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd")
            status, headers, _ = await raw.answer(3)
            assert (status, headers.get("connection")) == (404, None)


async def test_no_part_of_an_answer_waits_for_an_acknowledgement() -> None:
    accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
    bound = bind("127.0.0.1", 0)
    server = await asyncio.start_server(
        lambda _, writer: accepted.put_nowait(writer.get_extra_info("socket")), sock=bound
    )
    async with server, connected(bound.getsockname()[1]):
        at_once = (await asyncio.wait_for(accepted.get(), 5)).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert at_once


async def test_a_header_that_comes_in_parts_is_measured_whole(serving: Serving, recorder: Recorder) -> None:
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 900)
        await asyncio.sleep(0.05)
        await raw.send(b"X-Many: 1\r\n" * 900 + b"\r\n" + VERSIONS)
        assert (await raw.answer(3))[0] == 431
        assert await raw.rest(3) == b""
    assert recorder.requests == []


async def test_the_body_of_one_request_does_not_count_for_the_header_of_the_next(serving: Serving) -> None:
    body = b'{"a":"' + b"x" * 40_000 + b'"}'
    async with serving() as listening, connected(listening.port) as raw:
        await raw.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + VERSIONS[:20])
        assert (await raw.answer(3))[0] == 200
        await raw.send(VERSIONS[20:])
        assert (await raw.answer(3))[0] == 200


@pytest.mark.parametrize("header", [(b"x two", b"a"), (b"x:", b"a"), (b"x", b"a\r\nb: c"), (b"x", b"\0")])
async def test_a_header_that_would_break_an_answer_apart_is_not_sent(header: tuple[bytes, bytes]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await wrapped(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2"), header]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with running(app) as listening, connected(listening.port) as raw:
        await raw.send(VERSIONS)
        status, headers, body = await raw.answer(3)
        assert (status, headers["connection"], body) == (500, "close", b"Internal Server Error")
