"""Links of destinations, taken onto the hub's endpoint."""

import pytest

from hub.routing.links import BehindTicket, OnOurEndpoint, rewrite, without_our_parameters
from tests.hub.routing.requests import EMSP

THEIRS = "https://peer.example/ocpi/2.2.1/tokens"
OURS = "https://hub.example/ocpi/2.2.1/sender/tokens"


def rewritten(link: str) -> OnOurEndpoint | BehindTicket | None:
    return rewrite(link, endpoint=THEIRS, ours=OURS, receiver=EMSP)


@pytest.mark.rule("R-68", "R-69", "R-71")
@pytest.mark.parametrize(
    ("target", "query", "repaired"),
    [
        (f"{THEIRS}?offset=50&limit=50", "offset=50&limit=50", False),
        (
            f"{THEIRS}/?offset=50&date_from=2026-01-01T00:00:00%2B00:00",
            "offset=50&date_from=2026-01-01T00:00:00%2B00:00",
            False,
        ),
        (f"{THEIRS}?offset=50&cursor=a%2Fb", "offset=50&cursor=a%2Fb", False),
        ("?offset=50&limit=50", "offset=50&limit=50", False),
        (f"{THEIRS}?offset=50&date_from=None", "offset=50", False),
        ("http://peer.example/ocpi/2.2.1/tokens?offset=50&key=1", "offset=50", True),
        ("https://peer.example/ocpi/tokens/page?offset=50&limit=2", "offset=50&limit=2", True),
        ("https://evil.example/x?offset=50", "offset=50", True),
    ],
)
def test_offset_limit_and_filters_lie_on_our_endpoint(target: str, query: str, repaired: bool) -> None:
    assert rewritten(f'<{target}>; rel="next"') == OnOurEndpoint(f"{OURS}?{query}&hub_to=DE*MSP", repaired)


def test_a_link_without_offset_waits_behind_a_ticket() -> None:
    assert rewritten(f'<{THEIRS}/page/2>; rel="next"') == BehindTicket(f"{THEIRS}/page/2")


@pytest.mark.rule("R-71")
def test_a_link_to_another_host_that_cannot_be_repaired_is_an_error() -> None:
    with pytest.raises(ValueError, match="another host"):
        rewritten('<https://evil.example/page/2>; rel="next"')


def test_only_the_next_relation_counts() -> None:
    assert rewritten(f'<{THEIRS}?offset=0>; rel="prev"') is None
    both = f'<{THEIRS}?offset=0>; rel="prev", <{THEIRS}?offset=100>; rel="next"'
    assert rewritten(both) == OnOurEndpoint(f"{OURS}?offset=100&hub_to=DE*MSP")


@pytest.mark.parametrize("link", ['<>; rel="next"', f'<{THEIRS}?offset=0>; title="a, b"; rel="prev"', "", "null"])
def test_a_link_that_names_no_next_page_is_none(link: str) -> None:
    """An empty one would lead round to the page it stands on (X-46)."""
    assert rewritten(link) is None


@pytest.mark.rule("R-71")
def test_a_link_without_a_rel_is_the_next_page_and_one_too_long_to_read_an_error() -> None:
    assert rewritten(f"<{THEIRS}?offset=50>") == OnOurEndpoint(f"{OURS}?offset=50&hub_to=DE*MSP")
    with pytest.raises(ValueError, match="longer than 8192"):
        rewritten(f'<{THEIRS}?offset=50&x={"y" * 8192}>; rel="next"')


def test_our_parameters_leave_no_trace_in_the_query() -> None:
    assert without_our_parameters("offset=1&hub_to=DE*MSP&x=%20") == "offset=1&x=%20"
    assert without_our_parameters("a=%2f&&b") == "a=%2f&&b"
