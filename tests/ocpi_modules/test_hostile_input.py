"""Whatever a partner sends, reading it ends in a value or in a refusal that says why."""

import contextlib
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ocpi_modules import json
from ocpi_modules.paging import parse, parse_link
from ocpi_modules.registry import MODULES
from ocpi_modules.status import InvalidParameters, NotJson
from ocpi_modules.types import format_datetime, parse_datetime
from ocpi_modules.validation import findings
from tests.support.objects import BUILDERS

BODIES = [endpoint.body for spec in MODULES.values() for endpoint in spec.endpoints if endpoint.body is not None]
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


@given(body=st.sampled_from(BODIES), document=ANYTHING)
@settings(max_examples=150, deadline=None)
def test_any_json_gets_findings_and_no_crash(body: Any, document: Any) -> None:
    for finding in findings(body, document):
        assert finding.message.startswith(finding.path or "The body")
        assert finding.message.endswith(".")


@given(data=st.data(), name=st.sampled_from(sorted(BUILDERS)))
@settings(max_examples=150, deadline=None)
def test_any_value_in_any_field_gets_findings_and_no_crash(data: st.DataObject, name: str) -> None:
    document = BUILDERS[name]()
    field = data.draw(st.sampled_from(sorted(document)))
    value = data.draw(ANYTHING)
    for body in BODIES[:8]:
        findings(body, document | {field: value})


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))
def test_a_written_time_reads_back_to_the_millisecond(instant: datetime) -> None:
    assert parse_datetime(format_datetime(instant)) == instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@given(st.text() | st.from_regex(r"(limit|offset|date_from)=.*"))
def test_any_query_is_read_or_refused(query: str) -> None:
    with contextlib.suppress(InvalidParameters):
        page = parse(query, cap=100)
        assert 1 <= page.limit <= 100
        assert page.offset >= 0


@given(st.text() | st.from_regex(r"<[^>]*>; ?rel=.*"))
def test_any_link_header_is_read(header: str) -> None:
    url = parse_link(header)
    assert url is None or url in header


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    with contextlib.suppress(NotJson):
        json.decode(body)
