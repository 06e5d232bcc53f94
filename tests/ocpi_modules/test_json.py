"""The one codec: what is refused because two parsers could read it differently, and what keeps every digit."""

from decimal import Decimal

import pytest

from ocpi_modules import json
from ocpi_modules.status import NotJson


@pytest.mark.rule("F-33")
@pytest.mark.parametrize("depth", [65, 200, 1_100, 100_000])
def test_what_is_nested_deeper_than_64_levels_is_refused(depth: int) -> None:
    assert json.decode(b"[" * 64 + b"]" * 64)
    with pytest.raises(NotJson):
        json.decode(b"[" * depth + b"]" * depth)
    with pytest.raises(NotJson):
        json.decode(b'{"a":' * depth + b"1" + b"}" * depth)


@pytest.mark.rule("F-34", "F-37")
@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,}',
        b"{}{}",
        b"",
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\x00"}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"id":"a","id":"b"}',
        b'{"a":[{"b":1,"b":1}]}',
    ],
)
def test_what_is_not_one_plain_document_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        json.decode(body)


def test_a_byte_order_mark_is_named_as_nobody_sees_it() -> None:
    with pytest.raises(NotJson, match="begins with a byte order mark; send UTF-8 without one"):
        json.decode(b'\xef\xbb\xbf{"a":1}')


@pytest.mark.rule("F-35")
def test_an_escaped_nul_is_refused_before_postgresql_has_to() -> None:
    for body in (b'{"a":"\\u0000"}', b'{"\\u0000":1}'):
        with pytest.raises(NotJson):
            json.decode(body)


@pytest.mark.rule("F-36")
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1" * 5_000, b"0." + b"1" * 5_000])
def test_a_number_nobody_can_mean_is_refused(number: bytes) -> None:
    with pytest.raises(NotJson):
        json.decode(b'{"a":%b}' % number)


@pytest.mark.rule("F-36")
@pytest.mark.parametrize("number", ["18446744073709551616", "1.10", "0.30000000000000004", "-0.0", "0.1"])
def test_a_number_keeps_every_digit(number: str) -> None:
    read = json.decode(b'{"a":%b}' % number.encode())["a"]
    assert read == Decimal(number)
    assert str(read) == number
    assert json.encode({"a": read}) == b'{"a":%b}' % number.encode()
