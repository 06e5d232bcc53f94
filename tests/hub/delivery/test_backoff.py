"""How long delivery waits, how much it does at once, and what it makes of an outcome."""

from uuid import UUID

import pytest

from hub.delivery import backoff
from hub.delivery.backoff import Concurrency
from hub.delivery.outcome import TimedOut, Unreachable, classify
from hub.delivery.sharing import winner
from hub.delivery.verdict import Failed, Rejected, Taken, Verdict, judge
from ocpi_modules.http.connection import IncomingAnswer
from ocpi_modules.spec import Method

OK = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'
NO = b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}'
BROKEN = b'{"status_code":3000,"timestamp":"2026-01-01T00:00:00Z"}'
UNKNOWN, SILENT, AWAY = (b'{"status_code":%d,"timestamp":"2026-01-01T00:00:00Z"}' % code for code in (4001, 4002, 4003))


@pytest.mark.rule("Q-01")
def test_the_steps_grow_to_five_minutes_and_after_an_hour_to_fifteen() -> None:
    steps = [backoff.destination_delay(failures, 0, 0.5) for failures in (1, 2, 3, 4, 12, 13, 40)]
    assert steps == [1, 2, 30, 60, 300, 300, 300]
    assert backoff.destination_delay(40, 3600, 0.5) == 900
    assert [backoff.destination_delay(3, 0, chance) for chance in (0, 0.999999)] == pytest.approx([24, 36], abs=0.01)


@pytest.mark.rule("F-23")
def test_what_the_receiver_asks_for_is_obeyed_up_to_an_hour() -> None:
    assert [backoff.destination_delay(1, 0, 0.5, asked) for asked in (0, 120, 86_400)] == [1, 120, 3600]


@pytest.mark.rule("Q-10")
def test_concurrency_grows_slowly_and_halves_at_a_timeout() -> None:
    one = Concurrency()
    for _ in range(19):
        one.succeeded()
    assert one.limit == 4
    one.succeeded()
    assert one.limit == 5
    for _ in range(1000):
        one.succeeded()
    assert one.limit == 20
    for expected in (10, 5, 2, 1, 1):
        one.timed_out()
        assert one.limit == expected


@pytest.mark.rule("Q-11")
def test_wakes_after_an_outage_are_spread_over_at_most_thirty_seconds() -> None:
    assert [backoff.spread(count, 1.0) for count in (20, 300, 3000)] == [2, 30, 30]


@pytest.mark.rule("Q-08", "F-23")
@pytest.mark.parametrize(
    ("status", "body", "method", "expected"),
    [
        (200, OK, Method.PUT, Taken),
        (404, NO, Method.DELETE, Taken),
        (404, b"", Method.DELETE, Taken),
        (404, UNKNOWN, Method.DELETE, Failed),
        (404, AWAY, Method.DELETE, Failed),
        (404, NO, Method.PUT, Rejected),
        (200, NO, Method.PUT, Rejected),
        (400, b"<html>", Method.PUT, Rejected),
        (401, b"", Method.PUT, Failed),
        (200, BROKEN, Method.PUT, Failed),
        (500, b"", Method.PUT, Failed),
        (200, b"<html>", Method.PUT, Failed),
        (503, b"", Method.PUT, Failed),
        (429, b"", Method.PUT, Failed),
        (408, NO, Method.PUT, Failed),
        (408, b"", Method.PUT, Failed),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, method: Method, expected: type[Verdict]) -> None:
    assert isinstance(judge(classify(IncomingAnswer(status, {}, body)), method), expected)


@pytest.mark.promise("S-07", "S-36")
@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
@pytest.mark.parametrize("enveloped", [True, False])
def test_what_goes_into_a_log_holds_no_word_of_the_receivers(status: int, enveloped: bool) -> None:
    words = b"04AABBCC is unknown to token-of-yours"
    body = (
        b'{"status_code":2004,"status_message":"%s","timestamp":"2026-01-01T00:00:00Z"}' % words if enveloped else words
    )
    verdict = judge(classify(IncomingAnswer(status, {}, body)), Method.PUT)
    assert isinstance(verdict, Failed | Rejected)
    assert words.decode() in verdict.reason
    assert verdict.plain.startswith(f"HTTP {status}")
    assert not any(word in verdict.plain for word in ("04AABBCC", "token-of-yours"))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("body", [b"", NO])
def test_retry_after_is_read_with_and_without_an_envelope(status: int, body: bytes) -> None:
    verdict = judge(classify(IncomingAnswer(status, {"retry-after": "17"}, body)), Method.PUT)
    assert isinstance(verdict, Failed)
    assert (verdict.retry_after, verdict.its_own) == (17, True)


@pytest.mark.parametrize("value", ["", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "1e9", "9" * 40])
def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(value: str) -> None:
    verdict = judge(classify(IncomingAnswer(503, {"retry-after": value}, b"")), Method.PUT)
    assert isinstance(verdict, Failed)
    assert verdict.retry_after is None


def test_what_may_be_the_objects_fault_is_told_from_what_is_the_receivers() -> None:
    broken = judge(classify(IncomingAnswer(500, {}, b"")), Method.PUT)
    assert isinstance(broken, Failed)
    assert not broken.its_own
    away = [judge(outcome, Method.PUT) for outcome in (Unreachable("gone"), TimedOut(10))]
    assert [(isinstance(verdict, Failed) and verdict.its_own) for verdict in away] == [True, True]


@pytest.mark.rule("R-22", "R-23", "Q-08")
@pytest.mark.parametrize("status", [200, 404, 502])
@pytest.mark.parametrize("body", [UNKNOWN, SILENT, AWAY])
def test_a_receiver_that_another_hub_did_not_reach_says_nothing_of_the_object(status: int, body: bytes) -> None:
    verdict = judge(classify(IncomingAnswer(status, {}, body)), Method.PUT)
    assert isinstance(verdict, Failed)
    assert (verdict.passing, verdict.its_own, verdict.timed_out) == (True, False, body is SILENT)
    broken = judge(classify(IncomingAnswer(status, {}, BROKEN)), Method.PUT)
    assert isinstance(broken, Failed)
    assert not broken.passing


@pytest.mark.rule("Q-01", "Q-08")
def test_what_was_not_reached_is_tried_as_seldom_as_who_fails_and_for_five_days() -> None:
    delays = [backoff.passing_delay(attempts, 0.5) for attempts in range(1, 496)]
    assert delays[:3] == [2, 30, 300]
    assert (delays.count(300), delays.count(900)) == (12, 480)
    assert delays[-1] is None
    assert backoff.passing_delay(10, 0.0) == 240


@pytest.mark.promise("N-5")
def test_only_the_share_of_a_worker_that_left_moves() -> None:
    workers = [UUID(int=number) for number in range(1, 5)]
    parties = [f"NL*P{number:02}" for number in range(100)]
    before = {party: winner(party, workers) for party in parties}
    after = {party: winner(party, workers[:-1]) for party in parties}
    assert {before[party] for party in parties} == set(workers)
    assert all(after[party] == before[party] for party in parties if before[party] != workers[-1])
