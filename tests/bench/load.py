"""The two ends of a forwarding benchmark, as thin as Python allows: a load of so many requests in flight and a receiver.

Each is a loop over epoll with one buffer a connection; neither may be the bottleneck, and both look at every message.
`python -m tests.bench.load` is the receiver: it prints its port and serves until its standard input ends.
"""

import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from tests.bench.messages import ANSWERS, MESSAGES
from tests.bench.rounds import pin

WARM_SECONDS = 0.5
_TAKEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
_WRONG = b"HTTP/1.1 500 Wrong\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class Loaded:
    """`seconds` are those of a request, from its first byte sent to its last byte received; those of the first WARM_SECONDS
    are left out, in which every server connects to the receiver."""

    requests: int
    seconds: list[float]

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


def load(port: int, in_flight: int, for_seconds: float, request: Callable[[int], bytes], answer: bytes) -> Loaded:
    """Keep `in_flight` connections busy; `request` makes the bytes of the nth request, `answer` is the one right body."""
    connections = {}
    ready = select.epoll()
    for _ in range(in_flight):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[connection.fileno()] = connection
        ready.register(connection.fileno(), select.EPOLLIN)
    seconds: list[float] = []
    sent_at = {}
    number = 0
    for descriptor, connection in connections.items():
        number += 1
        sent_at[descriptor] = perf_counter()
        connection.sendall(request(number))
    warm, stop = perf_counter() + WARM_SECONDS, perf_counter() + for_seconds
    requests, waiting = 0, in_flight
    while waiting:
        events = ready.poll(10)
        assert events, "no answer within 10 seconds"
        for descriptor, _ in events:
            connection = connections[descriptor]
            received = connection.recv(65536)
            while not received.endswith(answer):
                more = connection.recv(65536)
                assert more, received
                received += more
            now = perf_counter()
            assert received.startswith(b"HTTP/1.1 200 "), received
            requests += 1
            if sent_at[descriptor] > warm:
                seconds.append(now - sent_at[descriptor])
            if now >= stop:
                waiting -= 1
                continue
            number += 1
            sent_at[descriptor] = now
            connection.send(request(number))
    for connection in connections.values():
        connection.close()
    return Loaded(requests, seconds)


def receive() -> None:
    """Answer each PUT of MESSAGES whose body arrived byte for byte, and the GET of a hub that asks whether we are alive."""
    bodies = {name: message.body for name, message in MESSAGES.items()}
    answers = {name: _TAKEN % (len(answer), answer) for name, answer in ANSWERS.items()}
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    ready = select.epoll()
    ready.register(listening.fileno(), select.EPOLLIN)
    ready.register(sys.stdin.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    held: dict[int, bytes] = {}
    while True:
        for descriptor, _ in ready.poll():
            if descriptor == listening.fileno():
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                ready.register(connection.fileno(), select.EPOLLIN)
                continue
            if descriptor == sys.stdin.fileno():
                return
            connection = connections[descriptor]
            data = connection.recv(65536)
            if not data:
                ready.unregister(descriptor)
                connections.pop(descriptor).close()
                held.pop(descriptor, None)
                continue
            data = held.pop(descriptor, b"") + data
            name = next((name for name, body in bodies.items() if data.endswith(body)), None)
            if name is None and not _whole(data):
                held[descriptor] = data
                continue
            taken = name if name and data.startswith(b"PUT /") else "session" if data.startswith(b"GET /") else None
            connection.send(answers[taken] if taken else _WRONG)


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return bool(end) and len(body) >= int(length)


if __name__ == "__main__":
    pin(1)
    receive()
