"""Crawling pages of partners whose Links are right, odd or endless."""

from itertools import pairwise

import pytest

from ocpi_modules.http.client import BadAnswer, IncomingAnswer, OcpiClient, OutgoingRequest
from ocpi_modules.http.crawl import crawl
from tests.support.raw_http import RawConnection, raw_server

HOME = "https://partner.example/ocpi/locations"


class Pages:
    """A partner that answers each URL with the Link it has for it."""

    def __init__(self, links: dict[str, str]) -> None:
        self.links = links
        self.asked: list[str] = []

    async def fetch(self, url: str) -> IncomingAnswer:
        self.asked.append(url)
        link = self.links.get(url)
        return IncomingAnswer(200, {"link": f'<{link}>; rel="next"'} if link else {}, b"{}")

    async def crawl(self, **options: int) -> list[str]:
        async for _ in crawl(self.fetch, HOME, **options):
            pass
        return self.asked


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        (f"{HOME}?offset=2&limit=2&key=%2F%61+b", f"{HOME}?offset=2&limit=2&key=%2F%61+b"),
        (f"{HOME}/?offset=2", f"{HOME}/?offset=2"),
        (f"{HOME}/page/2", f"{HOME}/page/2"),
        ("?offset=2", f"{HOME}?offset=2"),
        ("/ocpi/locations?offset=2", f"{HOME}?offset=2"),
        ("http://partner.example/ocpi/locations?offset=2", f"{HOME}?offset=2"),
        ("http://10.0.0.7:8080/ocpi/locations?offset=2", f"{HOME}?offset=2"),
        ("https://internal/locations?offset=2", f"{HOME}?offset=2"),
    ],
)
@pytest.mark.rule("X-46", "G-08")
async def test_links_are_followed_on_the_registered_endpoint(link: str, followed: str) -> None:
    assert await Pages({HOME: link}).crawl() == [HOME, followed]


@pytest.mark.parametrize("link", ["https://evil.example/x", "/admin", "/ocpi/locations/../../admin", "http://[bad"])
async def test_a_link_that_leads_away_is_an_error_and_not_the_end(link: str) -> None:
    pages = Pages({HOME: link})
    with pytest.raises(BadAnswer):
        await pages.crawl()
    assert pages.asked == [HOME]


@pytest.mark.rule("X-46")
async def test_a_link_to_a_page_that_was_read_ends_the_crawl() -> None:
    second = f"{HOME}?offset=2"
    assert await Pages({HOME: second, second: HOME}).crawl() == [HOME, second]
    assert await Pages({HOME: HOME}).crawl() == [HOME]


async def test_a_list_without_end_is_cut() -> None:
    urls = [HOME, *(f"{HOME}?offset={n}" for n in range(1, 50))]
    pages = Pages(dict(pairwise(urls)))
    with pytest.raises(BadAnswer, match="more than 20 pages"):
        await pages.crawl(maximum_pages=20)
    assert len(pages.asked) == 20


async def test_a_partner_on_the_network_is_crawled_to_its_last_page() -> None:
    async def three_pages(connection: RawConnection) -> None:
        while True:
            line, _, _ = await connection.request()
            offset = int(line.split("offset=")[1].split(" ")[0]) if "offset=" in line else 0
            link = f'Link: <http://internal:1/locations?offset={offset + 1}>; rel="next"\r\n' if offset < 2 else ""
            await connection.send(f"HTTP/1.1 200 OK\r\n{link}Content-Length: 1\r\n\r\n{offset}".encode())

    async with raw_server(three_pages) as port, OcpiClient(allow_insecure=True) as client:

        async def fetch(url: str) -> IncomingAnswer:
            return await client.send(OutgoingRequest("GET", url))

        bodies = [page.body async for page in crawl(fetch, f"http://127.0.0.1:{port}/locations")]
    assert bodies == [b"0", b"1", b"2"]
