"""Follow a partner's pages from Link to Link (transport_and_format, Pagination)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.http.failures import BadAnswer
from ocpi_modules.paging import parse_link

MAXIMUM_PAGES = 10_000

Fetch = Callable[[str], Awaitable[IncomingAnswer]]
"""GET one URL, with fresh message ids and the partner's token."""


async def crawl(fetch: Fetch, url: str, *, maximum_pages: int = MAXIMUM_PAGES) -> AsyncIterator[IncomingAnswer]:
    """Every page from `url` on, each as it came; whoever reads them judges their status and stops where it is not a success.

    Links are followed as they are, but never away from the endpoint of `url` (G-08, S-25). A Link to a page that was read ends
    the crawl (X-46). Raises BadAnswer for a Link that leads elsewhere and after `maximum_pages`, and what `fetch` raises.
    """
    home = urlsplit(url)
    read: set[str] = set()
    while url not in read:
        if len(read) >= maximum_pages:
            raise BadAnswer(f"The list has more than {maximum_pages} pages.", request_was_sent=True)
        read.add(url)
        answer = await fetch(url)
        yield answer
        link = parse_link(answer.headers.get("link", ""))
        if link is None:
            return
        url = repaired(link, home, url)


def repaired(link: str, home: SplitResult, current: str) -> str:
    """The URL of a Link on the origin of the registered endpoint, `home`.

    Relative Links are resolved against the page they stand on; another scheme or an internal host is replaced (G-08). A Link
    to another path is taken onto the endpoint when it says where the page begins. Raises BadAnswer otherwise (S-25).
    """
    try:
        target = urlsplit(urljoin(current, link))
    except ValueError:
        raise BadAnswer("The Link of a page is not a URL.", request_was_sent=True) from None
    within = f"{target.path.rstrip('/')}/".startswith(f"{home.path.rstrip('/')}/")
    if within and "/.." not in target.path:
        path = target.path
    elif any(name == "offset" for name, _ in parse_qsl(target.query)):
        path = home.path
    else:
        raise BadAnswer("The Link of a page leads away from its endpoint.", request_was_sent=True)
    return target._replace(scheme=home.scheme, netloc=home.netloc, path=path, fragment="").geturl()
