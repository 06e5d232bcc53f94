"""Who may connect, and what a refusal looks like (R1, R4, R5, R11, R12, S-45 to S-49)."""

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from cpo_adapter.csms.socket import Listener
from tests.cpo_adapter.csms.conftest import QUICK
from tests.cpo_adapter.csms.recorder import (
    PASSWORD,
    RawCharger,
    Recorder,
    bare_charger,
    basic,
    eventually,
    now,
    raw_charger,
)


async def refusal(port: int, **options: Any) -> tuple[int, dict[str, str], bytes]:
    with pytest.raises(InvalidStatus) as refused:
        async with raw_charger(port, **options):
            pass
    response = refused.value.response
    return response.status_code, dict(response.headers.raw_items()), response.body or b""


async def flood(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()


async def test_a_known_charger_is_connected_under_its_stored_spelling(listener: Listener, facts: Recorder) -> None:
    async with raw_charger(listener.port, "cp-1") as charger:
        assert charger.socket.subprotocol == "ocpp1.6"
        await eventually(lambda: listener.registry.is_online("CP-1"))
    await eventually(lambda: facts.presence == [("connected", "CP-1"), ("disconnected", "CP-1")])
    assert not listener.registry.is_online("CP-1")


@pytest.mark.promise("S-47", "S-45")
async def test_an_unknown_id_a_wrong_password_and_no_password_are_refused_alike(
    listener: Listener, facts: Recorder
) -> None:
    unknown = await refusal(listener.port, charger_id="CP-9")
    asked_for_unknown, facts.asked_known = facts.asked_known, []
    wrong = await refusal(listener.port, password="b-password-of-20-byt")
    asked_for_wrong, facts.asked_known = facts.asked_known, []
    missing = await refusal(listener.port, password=None)
    other_user = await refusal(listener.port, user="CP-2")
    answers = []
    for status, headers, body in (unknown, wrong, missing, other_user):
        headers.pop("Date", None)
        answers.append((status, headers, body))
    assert answers[0][0] == 401
    assert answers[0][1]["WWW-Authenticate"].startswith("Basic ")
    assert all(answer == answers[0] for answer in answers)
    assert len(asked_for_unknown) == len(asked_for_wrong)
    assert facts.presence == []


async def test_the_charger_id_is_the_last_path_segment_decoded(facts: Recorder) -> None:
    facts.chargers = {"Ladesäule 7/b": PASSWORD}
    async with Listener(facts, now, QUICK) as listener:
        path = "/ocpp/site/Lades%C3%A4ule%207%2Fb?x=1"
        async with raw_charger(listener.port, path=path, user="Ladesäule 7/b"):
            await eventually(lambda: listener.registry.online() == ["Ladesäule 7/b"])


async def test_a_charger_id_may_have_colons_and_a_password_too(facts: Recorder) -> None:
    facts.chargers = {"NL:ABC:7": "a:password-of-20:byt", "CP-1": ":a:password-of-20:b"}
    async with Listener(facts, now, QUICK) as listener:
        for path in ("/ocpp/NL:ABC:7", "/ocpp/NL%3AABC%3A7", "/ocpp/nl:abc:7/"):
            async with raw_charger(listener.port, path=path, user="NL:ABC:7", password="a:password-of-20:byt"):
                await eventually(lambda: listener.registry.is_online("NL:ABC:7"))
        async with raw_charger(listener.port, password=":a:password-of-20:b"):
            await eventually(lambda: listener.registry.is_online("CP-1"))
        assert (await refusal(listener.port, path="/ocpp/NL:ABC:7", user="NL:ABC"))[0] == 401


@pytest.mark.parametrize("stored", ["ff00a1b2c3d4e5f60718293a4b5c6d7e", "FF00A1B2C3D4E5F60718293A4B5C6D7E"])
@pytest.mark.parametrize("as_raw_bytes", [True, False])
async def test_a_key_given_as_hex_is_known_as_raw_bytes_and_as_literal_hex(
    facts: Recorder, stored: str, as_raw_bytes: bool
) -> None:
    facts.chargers = {"CP-1": stored}
    async with Listener(facts, now, QUICK) as listener:
        password = bytes.fromhex(stored) if as_raw_bytes else stored.lower()
        async with raw_charger(listener.port, password=password):
            await eventually(lambda: listener.registry.is_online("CP-1"))


async def test_a_charger_without_a_password_connects_only_when_it_needs_none(facts: Recorder) -> None:
    facts.chargers = {"open": None, "closed": PASSWORD}
    async with Listener(facts, now, QUICK) as listener:
        async with raw_charger(listener.port, "open", password=None):
            await eventually(lambda: listener.registry.is_online("open"))
        assert (await refusal(listener.port, charger_id="closed", password=None))[0] == 401


async def test_a_charger_that_offers_no_subprotocol_is_told_which_one(listener: Listener) -> None:
    status, _, body = await refusal(listener.port, subprotocols=[])
    assert status == 400
    assert b"ocpp1.6" in body
    status, _, body = await refusal(listener.port, subprotocols=["ocpp2.0.1"])
    assert status == 400
    assert b"ocpp2.0.1" in body


async def test_a_charger_may_be_let_in_without_a_subprotocol_and_no_other_is(facts: Recorder) -> None:
    async with Listener(facts, now, replace(QUICK, assume_ocpp16=frozenset({"cp-1"}))) as listener:
        async with raw_charger(listener.port, "CP-1", subprotocols=[]) as charger:
            assert (await charger.ask("Heartbeat", {}))[0] == 3
    async with Listener(facts, now, replace(QUICK, assume_ocpp16=frozenset({"cp-2"}))) as listener:
        status, _, body = await refusal(listener.port, charger_id="CP-1", subprotocols=[])
    assert (status, b"`assume_ocpp16`" in body) == (400, True)


async def test_when_chargers_cannot_be_looked_up_they_are_asked_to_come_back(
    listener: Listener, facts: Recorder
) -> None:
    async def away() -> None:
        raise ConnectionError("the storage is away")

    facts.hooks["knows"] = away
    status, headers, _ = await refusal(listener.port)
    assert status == 503
    assert int(headers["Retry-After"]) > 0


@pytest.mark.promise("S-46")
async def test_the_newest_socket_wins_and_the_old_ones_end_changes_nothing(listener: Listener, facts: Recorder) -> None:
    async with raw_charger(listener.port) as old:
        await eventually(lambda: listener.registry.is_online("CP-1"))
        async with raw_charger(listener.port) as new:
            with pytest.raises(ConnectionClosed) as ended:
                await asyncio.wait_for(old.socket.recv(), 5)
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 1001
            assert (await new.ask("Heartbeat", {}))[0] == 3
            assert listener.registry.is_online("CP-1")
            assert ("disconnected", "CP-1") not in facts.presence
    await eventually(lambda: ("disconnected", "CP-1") in facts.presence)


@pytest.mark.promise("S-46")
async def test_more_than_three_replacements_raise_an_alert(listener: Listener) -> None:
    with capture_logs() as logs:
        for count in range(5):
            async with raw_charger(listener.port) as first:
                await first.ask("Heartbeat", {})
                async with raw_charger(listener.port) as charger:
                    await charger.ask("Heartbeat", {})
                if count == 2:
                    assert not [entry for entry in logs if entry["event"] == "connections_replaced_often"]
    assert [entry for entry in logs if entry["event"] == "connections_replaced_often"]


@pytest.mark.promise("S-47")
async def test_failed_logins_of_one_charger_are_slowed_down_but_not_the_charger_that_once_logged_in(
    listener: Listener, facts: Recorder
) -> None:
    facts.chargers["CP-2"] = PASSWORD
    async with raw_charger(listener.port, "CP-2"):
        pass
    for _ in range(10):
        assert (await refusal(listener.port, password="wrong"))[0] == 401
        assert (await refusal(listener.port, charger_id="CP-2", password="wrong"))[0] == 401
    assert (await refusal(listener.port, password="wrong"))[0] == 429
    async with raw_charger(listener.port, "CP-2") as charger:
        assert (await charger.ask("Heartbeat", {}))[0] == 3


@pytest.mark.promise("S-49")
async def test_a_frame_over_one_megabyte_ends_the_connection(listener: Listener) -> None:
    async with raw_charger(listener.port, max_size=None) as charger:
        await charger.write([2, "big", "DataTransfer", {"vendorId": "x", "data": "y" * 900_000}])
        assert (await charger.read())[:2] == [3, "big"]
    reader, writer = await bare_charger(listener.port)
    writer.write(b"\x81\xff" + (1_000_001).to_bytes(8, "big") + b"\0\0\0\0")
    frame = (await asyncio.wait_for(reader.read(), 5)).rpartition(b"\r\n\r\n")[2]
    assert (frame[0], int.from_bytes(frame[2:4], "big")) == (0x88, 1009)
    writer.close()


@pytest.mark.promise("S-49")
async def test_a_charger_that_never_answers_a_ping_is_given_up(facts: Recorder) -> None:
    async with Listener(facts, now, replace(QUICK, ping_seconds=0.1, pong_seconds=0.1)) as listener:
        _, writer = await bare_charger(listener.port)
        await eventually(lambda: listener.registry.is_online("CP-1"))
        await eventually(lambda: not listener.registry.is_online("CP-1"))
        writer.close()
    assert facts.presence[-1] == ("disconnected", "CP-1")


@pytest.mark.rule("F-46")
async def test_a_charger_that_floods_pings_and_never_reads_is_given_up(listener: Listener) -> None:
    _, writer = await bare_charger(listener.port)
    await eventually(lambda: listener.registry.is_online("CP-1"))
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(flood(writer, (b"\x89\xfd\0\0\0\0" + b"x" * 125) * 1000), 20)
    await eventually(lambda: not listener.registry.is_online("CP-1"))
    writer.close()


async def test_a_charger_that_answers_pings_stays(facts: Recorder) -> None:
    async with Listener(facts, now, replace(QUICK, ping_seconds=0.1, pong_seconds=0.1)) as listener:
        async with raw_charger(listener.port, ping_interval=None) as charger:
            await eventually(lambda: listener.registry.is_online("CP-1"))
            with pytest.raises(TimeoutError):
                await charger.read(0.8)
            assert listener.registry.is_online("CP-1")


async def test_chargers_connect_over_tls(facts: Recorder, tmp_path: Path) -> None:
    server, client = certified(tmp_path)
    async with Listener(facts, now, QUICK, tls=server) as listener:
        async with connect(
            f"wss://localhost:{listener.port}/ocpp/CP-1",
            ssl=client,
            host="127.0.0.1",
            port=listener.port,
            subprotocols=[Subprotocol("ocpp1.6")],
            additional_headers=basic("CP-1", PASSWORD),
            proxy=None,
        ) as socket:
            assert (await RawCharger(socket).ask("Heartbeat", {}))[0] == 3


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server named localhost with a certificate of its own making, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now(), now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_stopping_the_listener_tells_chargers_that_the_service_restarts(facts: Recorder) -> None:
    listener = Listener(facts, now, QUICK)
    await listener.start()
    async with raw_charger(listener.port) as charger:
        await eventually(lambda: listener.registry.is_online("CP-1"))
        await listener.stop()
        with pytest.raises(ConnectionClosed) as ended:
            await charger.read()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1012
