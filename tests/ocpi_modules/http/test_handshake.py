"""One call of a registration, to a partner that says no."""

import pytest

from ocpi_modules import headers
from ocpi_modules.http.client import OcpiClient
from ocpi_modules.http.handshake import RefusedThere, call
from ocpi_modules.spec import Method
from tests.support.raw_http import RawConnection, raw_server

TOKEN = "hubA_" + "c4nary" * 6


@pytest.mark.promise("S-07")
async def test_a_refusal_that_repeats_our_token_is_told_without_it() -> None:
    encoded = headers.authorization(TOKEN).removeprefix("Token ")

    async def refuse(connection: RawConnection) -> None:
        await connection.request()
        said = f"Unknown token {TOKEN} ({encoded}) {'!' * 5000}"
        body = f'{{"status_code":2004,"status_message":"{said}","timestamp":"2026-01-01T00:00:00Z"}}'.encode()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with raw_server(refuse) as port, OcpiClient(allow_insecure=True) as client:
        with pytest.raises(RefusedThere, match=r"was refused: 2004 Unknown token \.\.\. \(\.\.\.\) !") as raised:
            await call(client, Method.GET, f"http://127.0.0.1:{port}/versions", TOKEN)
    assert len(str(raised.value)) < 400
