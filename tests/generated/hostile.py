"""What is broken on purpose in a generated call: tokens, headers, paths, queries, bodies, and values deep inside a body."""

from collections.abc import Callable
from random import Random
from typing import Any

from ocpi_modules import headers as names
from tests.generated.calls import Call
from tests.generated.spell import spell

JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, "", "x" * 6000, "\x00", "\ud800", "2026-99-99T99:99:99Z", "0000-00-00T00:00:00Z", "９", [], [[]],
    [None], {}, {"a": {}}, "9999-12-31T23:59:60Z", "http://[", "http://127.0.0.1:99999/x", "javascript:1", "NaN", "١٢",
)  # fmt: skip
BODIES = (
    b"", b"null", b"[]", b'"text"', b"1", b"{", b"}", b"\xff\xfe", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999999999}',
    b'{"a":' + b"9" * 5000 + b"}", b'{"id":"\\u0000"}', b'{"id":"\\ud800"}', b"[" * 5000, b'{"a":' * 70 + b"1" + b"}" * 70,
    b"\xef\xbb\xbf{}", b"{}", b'{"last_updated":5}', b'{"evses":[null]}', b'{"evses":[{"uid":null}],"last_updated":"x"}',
    b'{"a":-0.0e-400}', b'{"\\u0000":1}', b"{}{}", b'{"id":"' + b"x" * 300_000 + b'"}', b" " * 1000, b'{"a":01}', b"'{}'",
)  # fmt: skip
QUERIES = (
    "offset=-1", "limit=0", "limit=99999999999999999999", "offset=99999999999999999999", "offset=1&offset=2", "limit=%00",
    "date_from=yesterday", "date_to=2026-01-01T00:00:00%2B02:00", "date_from=0001-01-01T00:00:00Z&date_to=9999-12-31T23:59:59Z",
    "%ff=%fe", "a=" + "b" * 5000, "&&&===", "hub_after=AAAA", "hub_after=%F0%9F%9A%97", "hub_to=NL*CPO", "hub_to=***",
    "hub_link=x",
    "type=", "type=NOTHING", "duration=x&response_url=http://127.0.0.1/", "response_url=", "limit=%D9%A1",
    "hub_link=%00&offset=1",
    "offset=9223372036854775807&limit=100", "offset=2147483648", "date_from=9999-12-31T23:59:59.999999999Z", "hub_link=%E2%82%AC",
    "type=%00", "hub_to=%00*CPO",
    "date_from=%00", "hub_to=N%00*C%01P", "type=%F0%9F%9A%97",
)  # fmt: skip
SEGMENTS = (
    "..",
    ".",
    "",
    "%2e%2e",
    "%00",
    "%ff",
    "%2F",
    "%F0%9F%9A%97",
    "%C2%80",
    "x" * 3000,
    "nothing",
    "%",
    "%zz",
    "\\",
    "*",
)
TOKENS = (
    "",
    "Token",
    "Token ",
    "Token Zm9v",
    "Bearer x",
    "Token ====",
    "Basic Zm9vOmJhcg==",
    "Token " + "x" * 5000,
    "Token \x80",
)
CREDENTIALS = "/ocpi/2.2.1/credentials"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get")
PARTIES = (
    ("NL", "HUB"),
    ("XX", "XXX"),
    ("DE", "MSP"),
    ("NL", "CPO"),
    ("N", "CPO"),
    ("NL", "CPOO"),
    ("nl", "cpo"),
    ("NL", ""),
)
HEADERS = (
    ("X-Request-ID", ""), ("X-Request-ID", "x" * 300), ("X-Correlation-ID", "a b"), ("Content-Type", "text/plain"),
    ("Content-Type", "application/json; charset=utf-16"), ("Content-Encoding", "gzip"), ("Accept", "text/html"),
    ("OCPI-to-party-id", "\x80\x81\x82"), ("OCPI-from-country-code", "\u00e9"), ("Expect", "100-continue"),
    ("X-Forwarded-For", "1.2.3.4"), ("Content-Type", ""), ("Accept-Encoding", "br"), ("Cookie", "a=b"),
)  # fmt: skip


def break_it(call: Call, random: Random) -> None:
    """One or two faults, but never the end of a registration: all that came after it would be refused for want of a token."""
    for _ in range(random.choice((1, 1, 1, 2))):
        fault = random.choice(FAULTS)
        call.faults.append(fault.__name__)
        fault(call, random)
    if call.method == "DELETE" and call.path.rstrip("/") == CREDENTIALS:
        call.method = "GET"


def no_good_token(call: Call, random: Random) -> None:
    call.headers["Authorization"] = random.choice(TOKENS)


def other_parties(call: Call, random: Random) -> None:
    side = random.choice(("to", "from"))
    country, party = random.choice(PARTIES)
    call.headers[f"OCPI-{side}-country-code"], call.headers[f"OCPI-{side}-party-id"] = country, party


def half_a_pair(call: Call, random: Random) -> None:
    call.headers.pop(
        random.choice((names.TO_COUNTRY_CODE, names.TO_PARTY_ID, names.FROM_COUNTRY_CODE, names.FROM_PARTY_ID)), ""
    )


def odd_header(call: Call, random: Random) -> None:
    name, value = random.choice(HEADERS)
    call.headers[name] = value


def header_twice(call: Call, random: Random) -> None:
    name = random.choice(list(call.headers))
    call.more_headers.append((name.lower(), call.headers[name]))


def other_body(call: Call, random: Random) -> None:
    call.body = random.choice(BODIES)
    call.headers["Content-Type"] = "application/json"


def damaged_body(call: Call, random: Random) -> None:
    if call.body:
        place = random.randrange(len(call.body))
        junk = bytes(random.getrandbits(8) for _ in range(random.randint(0, 3)))
        call.body = call.body[:place] + junk + call.body[place + random.randint(0, 3) :]


def junk_inside(call: Call, random: Random) -> None:
    """A value somewhere in the document becomes something else, or goes."""
    if not isinstance(call.document, dict) or not call.document:
        return
    holder, key = random.choice(list(_places(call.document)))
    if random.random() < 0.2:
        del holder[key]
    else:
        holder[key] = random.choice(JUNK)
    call.body = spell(call.document, random).replace(b"\xed\xa0\x80", b"\\ud800")


def other_query(call: Call, random: Random) -> None:
    call.raw_query = random.choice(QUERIES)


def other_path(call: Call, random: Random) -> None:
    parts = call.path.split("/")
    place = random.randrange(1, len(parts) + 1)
    parts[place : place + random.randint(0, 1)] = [random.choice(SEGMENTS)]
    call.path = "/".join(parts)


def other_method(call: Call, random: Random) -> None:
    call.method = random.choice(METHODS)


def other_owner(call: Call, random: Random) -> None:
    for code in ("/NL/CPO", "/DE/MSP", "/FR/ROA"):
        call.path = call.path.replace(code, random.choice(("/FR/ROA", "/nl/cpo", "/XX/XXX")))


def slash_behind(call: Call, random: Random) -> None:
    call.path += "/"


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in a document."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        item = pending.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], dict | list):
                pending.append(item[key])
    return found


FAULTS: tuple[Callable[[Call, Random], None], ...] = (
    no_good_token, other_parties, half_a_pair, odd_header, header_twice, other_body, damaged_body, junk_inside, junk_inside,
    junk_inside, other_query, other_path, other_method, other_owner, slash_behind,
)  # fmt: skip
