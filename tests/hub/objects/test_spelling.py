"""Opening JSON only as far as needed keeps every byte that is not touched."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.objects import spelling
from ocpi_modules import json

TEXTS = ("uid", "last_updated")
SCALARS = st.sampled_from(
    [b"1.10", b"1E2", b"-0", b"null", b"true", b'"\\u00e9\\/"', b'"x"', b"[ ]", b'{"a":1.0}', b"[1.50,2e1]"]
)
NAMES = st.sampled_from(["uid", "last_updated", "kwh", "x", "evses"])


@st.composite
def bodies(draw: Any) -> bytes:
    members = draw(
        st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS).map(lambda v: b"[" + b",".join(v) + b"]")))
    )
    return b"{" + b",".join(json.encode(name) + b":" + value for name, value in members.items()) + b"}"


@settings(max_examples=200, deadline=None)
@given(bodies())
def test_what_is_opened_and_closed_again_differs_in_white_space_only(body: bytes) -> None:
    again = spelling.write(spelling.read(body, ("evses",), TEXTS))
    assert again.replace(b" ", b"") == body.replace(b" ", b"")


def test_entries_are_opened_and_strings_remember_their_bytes() -> None:
    opened = spelling.read(b'{"evses":[{"uid":"\\u0041","kwh":1.10}]}', ("evses",), TEXTS)
    assert opened["evses"][0]["uid"] == "A"
    assert opened["evses"][0]["kwh"] == b"1.10"
    assert spelling.write(opened) == b'{"evses":[{"uid":"\\u0041","kwh":1.10}]}'
