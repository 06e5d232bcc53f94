"""Pagination: the query of a request, the headers of an answer, the Link of a partner."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from ocpi_modules.paging import PageRequest, headers, link_header, parse, parse_link
from ocpi_modules.status import InvalidParameters

URL = "https://hub.example/ocpi/2.2.1/sender/locations"
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.rule("X-30", "X-33", "X-34")
def test_everything_may_be_left_out_and_the_server_lowers_the_limit() -> None:
    assert parse("", cap=100) == PageRequest(cap=100, limit=100)
    assert parse("limit=2000&offset=7&other=x", cap=100) == PageRequest(cap=100, limit=100, offset=7)
    assert parse("limit=5", cap=100).limit == 5


@pytest.mark.rule("G-10", "X-31", "X-32")
@pytest.mark.parametrize(
    "text",
    ["2026-03-01T00:00:00Z", "2026-03-01T00%3A00%3A00", "2026-03-01T00:00:00+00:00", "2026-03-01T00:00:00%2B00:00"],
)
def test_dates_are_read_with_every_spelling_of_utc(text: str) -> None:
    page = parse(f"date_from={text}&date_to={text}", cap=10)
    assert (page.date_from, page.date_to) == (MARCH, MARCH)


@pytest.mark.rule("X-47")
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e3", "limit"),
        ("limit=٣", "limit"),
        ("limit=" + "9" * 40, "limit"),
        ("offset=-1", "offset"),
        ("offset=1.5", "offset"),
        ("offset=1&offset=2", "offset"),
        ("date_from=yesterday", "date_from"),
        ("date_to=2026-03-01T00:00:00%2B02:00", "date_to"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(query: str, name: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        parse(query, cap=100)
    assert refusal.value.message.startswith(name)
    assert (refusal.value.status_code, refusal.value.http_status) == (2001, 200)


def test_a_query_of_very_many_parameters_is_refused() -> None:
    with pytest.raises(InvalidParameters):
        parse("&".join(f"a{number}=1" for number in range(500)), cap=100)


@pytest.mark.rule("X-38", "X-39", "X-40", "X-41", "X-42")
def test_a_link_repeats_the_filters_and_the_headers_carry_the_cap() -> None:
    page = parse("date_from=2026-03-01T00:00:00+00:00&limit=2000&date_to=2026-04-01T00:00:00Z", cap=100)
    link = link_header(URL, page, offset=100, extra=[("after", "NL*MIL*LOC 1")])
    values = headers(page, total=250, link=link)
    assert values["X-Total-Count"] == "250"
    assert values["X-Limit"] == "100"
    url = parse_link(values["Link"])
    assert url is not None
    assert url.startswith(URL + "?")
    assert dict(parse_qsl(urlsplit(url).query)) == {
        "date_from": "2026-03-01T00:00:00+00:00",
        "date_to": "2026-04-01T00:00:00Z",
        "offset": "100",
        "limit": "100",
        "after": "NL*MIL*LOC 1",
    }
    again = parse(urlsplit(url).query, cap=100)
    assert (again.date_from, again.date_to, again.limit) == (page.date_from, page.date_to, 100)


@pytest.mark.rule("X-38", "G-07")
def test_the_last_page_has_no_link_and_x_limit_is_not_the_clients_limit() -> None:
    assert headers(parse("limit=10", cap=50), total=3) == {"X-Total-Count": "3", "X-Limit": "50"}


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://a.example/x?offset=5>; rel="next"', "https://a.example/x?offset=5"),
        ("<https://a.example/x>;rel=next", "https://a.example/x"),
        ('</x?offset=5>; title="a, b"; rel="prev next"', "/x?offset=5"),
        ('<https://a.example/1>; rel="prev", <https://a.example/2>; REL="NEXT"', "https://a.example/2"),
        ('<https://a.example/1,2>; rel="next"', "https://a.example/1,2"),
        ('<https://a.example/1>; rel="last"', None),
        ("<https://a.example/1>", "https://a.example/1"),
        ("https://a.example/1", None),
        ('<>; rel="next"', None),
        ("", None),
        ("<" * 9000, None),
    ],
)
def test_the_next_link_is_found_in_every_spelling(header: str, url: str | None) -> None:
    assert parse_link(header) == url
