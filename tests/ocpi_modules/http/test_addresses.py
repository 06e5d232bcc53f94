"""Which URLs and addresses are never called."""

import pytest

from ocpi_modules.http.addresses import Origin, Resolver, check_address, split_url
from ocpi_modules.http.client import OcpiClient, OutgoingRequest
from ocpi_modules.http.failures import AddressRefused, Unreachable
from tests.support.raw_http import RawConnection, raw_server

REFUSED = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "nonsense",
]
ALSO_IN_DEVELOPMENT = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "::1",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
)


@pytest.mark.parametrize("address", REFUSED)
def test_no_address_but_a_public_one_is_connected(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_are_connected(address: str) -> None:
    check_address(address)


def test_development_permits_loopback_and_private_addresses_and_no_others() -> None:
    for address in REFUSED:
        if address in ALSO_IN_DEVELOPMENT or address.startswith("127."):
            check_address(address, allow_insecure=True)
        else:
            with pytest.raises(AddressRefused):
                check_address(address, allow_insecure=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/ocpi",
        "ftp://partner.example/",
        "//partner.example/",
        "/ocpi",
        "",
        "https://",
        "https:///x",
        "https://user@partner.example/",
        "https://user:secret@partner.example/",
        "https://partner.example\\@evil.example/",
        "https://partner.example:22/",
        "https://partner.example:0/",
        "https://partner.example:99999/",
        "https://partner.example:/",
        "https://partner.example/a b",
        "https://partner.example/\r\nX: y",
        "https://partner.example/\u00e9",
        "https://[::1/",
        "https://a\tb/",
        "https://\ud800/",
        "https://partner.example/" + "x" * 2000,
    ],
)
@pytest.mark.rule("X-01")
def test_urls_that_are_not_plain_https_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        split_url(url)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://Partner.Example/A?b=%2F#c", Origin("https", "partner.example", 443), "/A?b=%2F"),
        ("HTTPS://partner.example:8443", Origin("https", "partner.example", 8443), "/"),
        ("https://partner.example?x=1", Origin("https", "partner.example", 443), "/?x=1"),
        ("https://b\u00fccher.example/", Origin("https", "xn--bcher-kva.example", 443), "/"),
        ("https://[2606:4700::1111]:8443/x", Origin("https", "2606:4700::1111", 8443), "/x"),
    ],
)
def test_a_url_is_split_into_origin_and_target(url: str, origin: Origin, target: str) -> None:
    assert split_url(url) == (origin, target)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "192.0.0.8",
        "2130706433",
        "127.1",
        "017700000001",
    ],
)
async def test_no_spelling_of_a_local_address_gets_a_connection(host: str) -> None:
    connections = 0

    async def count(connection: RawConnection) -> None:
        nonlocal connections
        connections += 1

    async with raw_server(count) as port, OcpiClient() as client:
        with pytest.raises((AddressRefused, Unreachable)) as failure:
            await client.send(OutgoingRequest("GET", f"https://{host}:{port}/"), 5)
        assert not failure.value.request_was_sent
    assert connections == 0


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"]])
async def test_a_name_that_leads_to_a_private_address_is_refused_whole(answers: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return answers

    async with OcpiClient(resolve=resolve) as client:
        with pytest.raises(AddressRefused, match="not a public one"):
            await client.send(OutgoingRequest("GET", "https://rebinding.example/"), 5)


async def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    async def nothing(host: str, port: int) -> list[str]:
        return []

    async def broken(host: str, port: int) -> list[str]:
        raise OSError("no name server")

    for resolve in (nothing, broken):
        async with OcpiClient(resolve=resolve) as client:
            with pytest.raises(Unreachable, match="does not resolve"):
                await client.send(OutgoingRequest("GET", "https://partner.example/"), 5)


async def test_the_systems_resolver_knows_this_machine() -> None:
    resolver = Resolver()
    assert set(await resolver("localhost", 80)) <= {"127.0.0.1", "::1"}
    resolver.close()
