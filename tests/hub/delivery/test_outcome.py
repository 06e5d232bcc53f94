"""What an HTTP answer stands for."""

import pytest

from hub.clearing.journal import CdrState, state_of
from hub.delivery.outcome import (
    Delivered,
    Garbled,
    Refused,
    TimedOut,
    TokenRefused,
    Unreachable,
    classify,
    excerpt,
    may_have_arrived,
)
from hub.routing.notes import was_taken
from ocpi_modules import envelope
from ocpi_modules.http.connection import IncomingAnswer


def received(status: int, code: int | None) -> IncomingAnswer:
    body = b"<html>sorry</html>" if code is None else b'{"status_code":%d,"timestamp":"2026-01-01T00:00:00Z"}' % code
    return IncomingAnswer(status, {}, body)


@pytest.mark.rule("R-20", "F-23", "X-81")
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (200, 1000, Delivered),
        (201, 1000, Delivered),
        (202, 1999, Delivered),
        (200, 2001, Refused),
        (200, 3000, Refused),
        (404, 2004, Refused),
        (405, 2000, Refused),
        (400, 2001, Refused),
        (422, 2001, Refused),
        (500, 3000, Refused),
        (503, 3000, Refused),
        (500, 1000, Garbled),
        (302, 1000, Garbled),
        (307, None, Garbled),
        (401, 2000, TokenRefused),
        (401, None, TokenRefused),
        (403, 1000, TokenRefused),
        (200, None, Garbled),
        (404, None, Garbled),
        (422, None, Garbled),
        (500, None, Garbled),
        (429, None, Garbled),
        (502, None, Unreachable),
        (503, None, Unreachable),
        (504, None, Unreachable),
    ],
)
def test_an_answer_has_one_meaning(status: int, code: int | None, kind: type) -> None:
    assert type(classify(received(status, code))) is kind


TIME = b'"timestamp":"2026-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    "body",
    [
        b'{"status_code":1000,%s}' % TIME,
        b'{"status_code":1999,"status_message":"Success",%s}' % TIME,
        b'{"status_code": 1000, "status_message": "", "timestamp": "x"}',
        b'{"status_code":1000,"status_message":"a\\u0041",%s}' % TIME,
        b'{"status_code":1000,"status_message":"a\tb",%s}' % TIME,
        '{"status_code":1000,"status_message":"\u00e4","timestamp":"x"}'.encode(),
        b'{"status_code":1000,"status_message":"\xff",%s}' % TIME,
        b'{"status_code":1000,"status_code":1001,%s}' % TIME,
        b'{"status_code":1000,"timestamp":"x",%s}' % TIME,
        b'{"status_code":1000,%s}}' % TIME,
        b'{"status_code":1000,%s} \n' % TIME,
        b'{"status_code":1000,%s,"data":{"a":1.50}}' % TIME,
        b'{"status_code":01000,%s}' % TIME,
        b'{"status_code":1000.0,%s}' % TIME,
        b'{"status_code":10000,%s}' % TIME,
        b'{"status_code":"1000",%s}' % TIME,
        b'{"status_code":1000,"timestamp":"x" "y"}',
        b'{"status_code":1000}',
    ],
)
@pytest.mark.rule("F-23")
def test_an_answer_says_what_its_envelope_says(body: bytes) -> None:
    """Also where the usual ones are recognised without being decoded."""
    expected, outcome = envelope.read(body), classify(IncomingAnswer(200, {}, body))
    assert (outcome.answer if isinstance(outcome, Delivered | Refused) else None) == expected


@pytest.mark.promise("S-28")
def test_an_excerpt_is_short_and_cannot_carry_markup() -> None:
    shown = excerpt(b"<script>alert('x')</script>\x1b[31m\n" * 100)
    assert len(shown) < 130
    assert not set("<>&\x1b\n") & set(shown)
    assert excerpt(b"") == "an empty body"


def test_only_an_unsent_request_or_one_turned_away_certainly_did_nothing() -> None:
    assert not may_have_arrived(Unreachable("refused"))
    assert may_have_arrived(Unreachable("reset", request_was_sent=True))
    assert may_have_arrived(TimedOut(30))
    assert not may_have_arrived(TimedOut(3, request_was_sent=False))
    for status in (0, 200, 204, 302, 303, 408, 409, 500):
        assert may_have_arrived(Garbled(status, "?")), status
    for status in (307, 308, 400, 404, 413, 422, 429):
        assert not may_have_arrived(Garbled(status, "?")), status
    assert not may_have_arrived(classify(received(200, 2001)))
    assert not may_have_arrived(classify(received(200, 4003)))


@pytest.mark.rule("R-22", "D-22")
def test_what_another_hub_had_no_answer_to_in_time_may_have_arrived() -> None:
    outcome = classify(received(200, 4002))
    assert may_have_arrived(outcome)
    assert state_of(outcome) is CdrState.IN_DOUBT
    assert was_taken(outcome)
