"""TLS for chargers in the process itself: real sockets, real certificates, renewed while it listens (S-45, S-61)."""

import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage
from websockets.typing import Subprotocol

from cpo_adapter.csms.socket import Listener
from cpo_adapter.csms.tls import CertificateUnusable, Tls
from tests.cpo_adapter.csms.conftest import QUICK
from tests.cpo_adapter.csms.recorder import PASSWORD, RawCharger, Recorder, basic, now, raw_charger
from tests.support.certificates import Authority, Certificate


@asynccontextmanager
async def charger(port: int, client: ssl.SSLContext) -> AsyncIterator[RawCharger]:
    async with connect(
        f"wss://localhost:{port}/ocpp/CP-1", ssl=client, host="127.0.0.1", port=port, subprotocols=[Subprotocol("ocpp1.6")],
        additional_headers=basic("CP-1", PASSWORD), proxy=None,
    ) as socket:  # fmt: skip
        yield RawCharger(socket)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def installed(made: Certificate, place: Certificate) -> None:
    """At the place the listener reads, newer than what was there."""
    for source, target in ((made.certificate, place.certificate), (made.key, place.key)):
        before = target.stat().st_mtime_ns if target.exists() else 0
        shutil.copy(source, target)
        os.utime(target, ns=(before + 10**9, before + 10**9))


@pytest.mark.promise("S-45", "S-61")
async def test_a_charger_connects_with_tls_of_today_and_with_nothing_less(facts: Recorder, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    made = authority.certify("localhost")
    tls = Tls(made.certificate, made.key)
    tls.load()
    async with Listener(facts, now, QUICK, tls=tls.context) as listener:
        async with charger(listener.port, trusting(authority)) as connected:
            assert (await connected.ask("Heartbeat", {}))[0] == 3
        old = trusting(authority)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            async with charger(listener.port, old):
                pass
        with pytest.raises(InvalidMessage):
            async with raw_charger(listener.port):
                pass
    assert facts.asked_known == [("CP-1", PASSWORD)]
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.promise("S-45")
async def test_a_renewed_certificate_counts_for_new_connections_and_a_broken_one_does_not(
    facts: Recorder, tmp_path: Path
) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    place = Certificate(tmp_path / "chain.pem", tmp_path / "key.pem")
    former = first.certify("localhost")
    installed(former, place)
    tls = Tls(place.certificate, place.key)
    tls.load()
    async with Listener(facts, now, QUICK, tls=tls.context) as listener:
        async with charger(listener.port, trusting(first)) as before:
            renewed = second.certify("localhost", days=2)
            installed(renewed, place)
            await tls.renew()
            assert (await before.ask("Heartbeat", {}))[0] == 3
        async with charger(listener.port, trusting(second)) as after:
            assert (await after.ask("Heartbeat", {}))[0] == 3
        installed(Certificate(former.certificate, renewed.key), place)
        with capture_logs() as logs:
            await tls.renew()
        assert [line["event"] for line in logs] == ["certificate_not_renewed"]
        async with charger(listener.port, trusting(second)) as still:
            assert (await still.ask("Heartbeat", {}))[0] == 3


@pytest.mark.parametrize("broken", ["missing", "no pem", "another's key", "locked"])
def test_files_that_cannot_be_used_are_named(tmp_path: Path, broken: str) -> None:
    authority = Authority(tmp_path)
    made, other = authority.certify("localhost"), authority.certify("other")
    key = made.key
    match broken:
        case "missing":
            key = tmp_path / "none.key"
        case "no pem":
            key.write_bytes(b"x")
        case "another's key":
            key = other.key
        case "locked":
            from cryptography.hazmat.primitives import serialization as form

            opened = form.load_pem_private_key(made.key.read_bytes(), None)
            locked = form.BestAvailableEncryption(b"secret")
            key.write_bytes(opened.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked))
    with pytest.raises(CertificateUnusable, match=f"ADAPTER_OCPP_KEY {key} cannot be used"):
        Tls(made.certificate, key).load()
