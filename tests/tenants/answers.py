"""Answers as an attacker reads them: every byte, what they give away, and what is left when its own words are taken out."""

import re
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from ocpi_modules import headers as header_names
from tests.support.raw_http import RawConnection, connected
from tests.tenants.attempts import Request
from tests.tenants.names import Names

_EACH_TIME = [
    (re.compile(r"^date: .*\r\n", re.MULTILINE | re.IGNORECASE), ""),
    (re.compile(r'"timestamp" ?: ?"[^"]*"'), '"timestamp":""'),
    (re.compile(r"(hub_after|hub_link)=[^&>]+"), r"\1="),
    (re.compile(r"/cdrs/[\w-]{32}"), "/cdrs/"),
]
"""What is made anew for every answer."""


@dataclass(frozen=True)
class Said:
    """One answer of the hub."""

    head: bytes
    body: bytes

    @property
    def text(self) -> str:
        return (self.head + self.body).decode("latin-1")

    @property
    def http_status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def gives_away(self, secrets: Iterable[str], request: Request) -> list[str]:
        """The secrets in it that the asker did not write itself."""
        text = self.text.lower()
        known = [word.lower() for word in request.sent]
        return [
            secret for secret in secrets if secret.lower() in text and not any(secret.lower() in word for word in known)
        ]

    def without(self, *named: Names) -> str:
        """With every name replaced by what it stands for, whosever it is."""
        text = self.text
        for pattern, instead in _EACH_TIME:
            text = pattern.sub(instead, text)
        for names in named:
            text = names.pattern.sub(partial(_label, names), text)
        return text


def _label(names: Names, found: re.Match[str]) -> str:
    return names.labels[found[0].lower()]


class Wire:
    """A connection that is kept while the hub keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._kept = AsyncExitStack()
        self._connection: RawConnection | None = None

    async def ask(self, request: Request, token: str) -> Said:
        headers = [
            ("Host", "hub"),
            ("Authorization", header_names.authorization(token)),
            (header_names.REQUEST_ID, "req-1"),
            (header_names.CORRELATION_ID, "corr-1"),
            *request.headers,
        ]
        if request.body:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(request.body)))]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        connection = await self._open()
        await connection.send(f"{request.method} {request.target} HTTP/1.1\r\n{head}\r\n".encode() + request.body)
        return Said(*await connection.whole_answer(20))

    async def close(self) -> None:
        await self._kept.aclose()
        self._connection = None

    async def _open(self) -> RawConnection:
        if self._connection is None or self._connection.reader.at_eof():
            await self.close()
            self._connection = await self._kept.enter_async_context(connected(self._port))
        return self._connection
