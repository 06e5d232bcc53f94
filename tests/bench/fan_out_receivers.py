"""A hundred receivers for B-5 and B-8, each a port of its own, and a slow one: `python -m tests.bench.fan_out_receivers`.

It prints the ports, the slow one last. Every PUT is answered with OCPI 1000 and counted, but by the slow one, which takes its
time and counts nothing; a GET answers how many there were.
"""

import asyncio
import json
import re
import sys

from tests.bench.rounds import pin

RECEIVERS = 100
SLOW_SECONDS = 10.0
BODY = b'{"status_code":1000,"timestamp":"2026-03-01T12:30:00Z"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
ANSWER = HEAD % len(BODY) + BODY
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
COUNTED = [0]


class Receiver(asyncio.Protocol):
    """HTTP/1.1 as far as a PUT with a length needs it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self.data, 0, end)
            length = int(found.group(1)) if found else 0
            if len(self.data) < end + 4 + length:
                return
            asked, self.data = self.data[:end], self.data[end + 4 + length :]
            if asked.startswith(b"GET"):
                count = str(COUNTED[0]).encode()
                self.transport.write(HEAD % len(count) + count)  # type: ignore[attr-defined]
            else:
                self.taken(asked)

    def taken(self, asked: bytes) -> None:
        """`asked`: request line and headers."""
        COUNTED[0] += 1
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


class Slow(Receiver):
    def taken(self, asked: bytes) -> None:
        asyncio.get_running_loop().call_later(SLOW_SECONDS, self.transport.write, ANSWER)  # type: ignore[attr-defined]


async def main() -> None:
    loop = asyncio.get_running_loop()
    kinds = [Receiver] * RECEIVERS + [Slow]
    servers = [await loop.create_server(kind, "127.0.0.1", 0) for kind in kinds]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    pin(0)
    asyncio.run(main())
