"""The canonical content of a CDR: golden vectors that must never change for version 1."""

import hashlib

import pytest

from hub.clearing.canonical import HASH_VERSION, canonical_bytes, content_hash
from ocpi_modules import json

PLAIN = b'{"id":"cdr-1","country_code":"NL","total_cost":{"excl_vat":4.10,"incl_vat":5},"start_date_time":"2026-03-01T12:00:00Z"}'
GOLDEN = (
    b'{"country_code":"NL","id":"CDR-1","start_date_time":"2026-03-01T12:00:00+00:00",'
    b'"total_cost":{"excl_vat":{"#":"41e-1"},"incl_vat":{"#":"5e0"}}}'
)


def content(body: bytes) -> bytes:
    return content_hash(json.decode(body))


@pytest.mark.rule("D-22", "Q-07")
def test_the_golden_vector_of_version_1() -> None:
    assert HASH_VERSION == 1
    assert canonical_bytes(json.decode(PLAIN)) == GOLDEN
    assert content(PLAIN) == hashlib.sha256(GOLDEN).digest()
    assert content(PLAIN).hex() == "07608c929d363a8f4567846c94f59e6e590aebb8d5d3c1031cc0c7fc8ca64f04"


@pytest.mark.parametrize(
    "same",
    [
        b'{ "country_code" : "nl", "id":"CDR-1","start_date_time":"2026-03-01T12:00:00.000Z",'
        b'"total_cost":{"incl_vat":5.00,"excl_vat":41E-1}}',
        PLAIN[:-1] + b',"remark":null,"tariffs":[],"x":{},"y":"","last_updated":"2026-03-01T13:00:00Z"}',
        PLAIN.replace(b"4.10", b"4.1").replace(b"cdr-1", b"\\u0063dr-1"),
        PLAIN.replace(b"00Z", b"00"),
    ],
)
def test_another_spelling_is_the_same_cdr(same: bytes) -> None:
    assert content(same) == content(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(b"4.10", b"4.11"),
        PLAIN.replace(b"4.10", b"-4.10"),
        PLAIN.replace(b"4.10", b'"4.10"'),
        PLAIN.replace(b"12:00:00Z", b"12:00:01Z"),
        PLAIN.replace(b'"incl_vat":5', b'"incl_vat":0'),
        PLAIN.replace(b',"incl_vat":5', b""),
        PLAIN[:-1] + b',"x_unknown":1}',
        PLAIN[:-1] + b',"credit":false}',
    ],
)
def test_another_content_is_another_cdr(other: bytes) -> None:
    assert content(other) != content(PLAIN)


def test_zero_and_the_order_of_a_list_matter_and_the_sign_of_zero_does_not() -> None:
    assert content(b'{"a":0}') == content(b'{"a":-0.00}') != content(b"{}")
    assert content(b'{"a":[1,2]}') != content(b'{"a":[2,1]}')
    assert content(b'{"a":100}') == content(b'{"a":1E2}')
