"""Which lists are read, and when."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hub.parties.platforms import Party, Platform, PlatformState, Switches
from hub.pulls.schedule import NIGHT, forbidden, is_due, is_whole, period
from ocpi_modules.message import PartyId
from ocpi_modules.spec import InterfaceRole, ModuleID, Role
from tests.hub.pulls.world import World, location, locations, running, world
from tests.support.postgres import FreshDatabase

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def standing(**fields: Any) -> dict[str, Any]:
    never = dict.fromkeys(("began_at", "pushed_at", "succeeded_at", "whole_at"))
    own = {"party": "NL*CPO", "module": "locations", "known_since": MIDNIGHT - timedelta(days=30)}
    return never | own | fields


def platform(role: Role = Role.CPO, pull: str = "nightly", state: PlatformState = PlatformState.REGISTERED) -> Platform:
    return Platform(
        id=uuid4(),
        name="X",
        state=state,
        endpoints={(module, InterfaceRole.SENDER): "https://x.example" for module in ("locations", "tokens")},
        parties=(Party("NL", "CPO", role),),
        switches=Switches(pull=pull),
    )


@pytest.mark.parametrize(
    ("switch", "hours"),
    [("nightly", 24), ("1h", 1), ("168h", 168), ("never", None), ("169h", None), ("0h", None), ("6", None), ("", None)],
)
def test_the_switch_is_nightly_hours_or_never(switch: str, hours: int | None) -> None:
    assert period(switch) == (None if hours is None else hours * HOUR)


@pytest.mark.rule("U-51")
def test_only_lists_of_owners_that_offer_and_permit_them_are_read() -> None:
    party, module = PartyId("NL", "CPO"), ModuleID.locations
    assert forbidden(platform(), party, module) is None
    assert forbidden(platform(Role.EMSP), party, ModuleID.tokens) is None
    refused = {
        "not registered": forbidden(platform(), PartyId("NL", "XXX"), module),
        "is not registered": forbidden(platform(state=PlatformState.SUSPENDED), party, module),
        "switched off": forbidden(platform(pull="never"), party, module),
        "owns no locations": forbidden(platform(Role.EMSP), party, module),
        "does not offer": forbidden(platform(), party, ModuleID.tariffs),
        "owns no sessions": forbidden(platform(Role.EMSP), party, ModuleID.sessions),
    }
    assert {words: words in str(reason) for words, reason in refused.items()} == dict.fromkeys(refused, True)


@pytest.mark.rule("X-24")
def test_a_night_holds_one_moment_for_each_list_and_they_are_spread() -> None:
    def moment(party: str) -> timedelta:
        last = MIDNIGHT - HOUR
        late = next(
            minutes
            for minutes in range(24 * 60)
            if is_due(standing(party=party, began_at=last), "nightly", MIDNIGHT + timedelta(minutes=minutes))
        )
        return timedelta(minutes=late)

    moments = [moment(f"NL*{number:03}") for number in range(60)]
    assert all(late <= NIGHT for late in moments)
    assert len(set(moments)) > 40
    assert moments == [moment(f"NL*{number:03}") for number in range(60)]


@pytest.mark.parametrize(
    ("switch", "fields", "due"),
    [
        ("nightly", {}, True),
        ("nightly", {"began_at": MIDNIGHT + 6 * HOUR}, False),
        ("nightly", {"began_at": MIDNIGHT - HOUR}, True),
        ("nightly", {"known_since": MIDNIGHT + 6 * HOUR}, False),
        ("nightly", {"pushed_at": MIDNIGHT - 2 * HOUR}, False),
        ("nightly", {"pushed_at": MIDNIGHT - 24 * HOUR}, True),
        ("6h", {"pushed_at": MIDNIGHT + 7 * HOUR}, True),
        ("6h", {"began_at": MIDNIGHT + 8 * HOUR}, False),
        ("6h", {"began_at": MIDNIGHT + HOUR}, True),
        ("never", {}, False),
    ],
)
def test_who_pushed_in_the_last_day_is_not_read_at_night(switch: str, fields: dict[str, Any], due: bool) -> None:
    """At eight in the morning, when the night and at least one moment of every six hours are over."""
    assert is_due(standing(**fields), switch, MIDNIGHT + 8 * HOUR) is due


def test_the_whole_list_is_read_once_a_week_and_after_what_never_ended_well() -> None:
    now, ago = MIDNIGHT, MIDNIGHT - timedelta(days=6)
    assert is_whole(standing(), now)
    assert not is_whole(standing(succeeded_at=ago, whole_at=ago), now)
    assert is_whole(standing(succeeded_at=ago, whole_at=now - timedelta(days=7)), now)


@pytest.fixture
async def here(hub_database: FreshDatabase) -> AsyncIterator[World]:
    async with world(hub_database) as built:
        yield built


@pytest.mark.rule("U-10")
async def test_a_night_reads_who_did_not_push_and_leaves_who_did(here: World) -> None:
    here.listing.bodies = locations(2)
    body = location("P1")
    answer = await here.net.call(here.net.cpo, "PUT", "/receiver/locations/NL/CPO/P1", body)
    assert answer.status_code == 1000
    [fresh] = here.net.delivery._fresh
    here.net.time[0] += timedelta(hours=12)
    await here.worker.beat()
    here.worker.told(fresh)
    here.net.time[0] += timedelta(hours=12)
    await here.worker.beat()
    await here.worker.plan()
    rows = await here.net.rows("SELECT party, module, wanted_at IS NOT NULL AS wanted FROM pull ORDER BY 1, 2")
    assert [(row["party"], row["module"], row["wanted"]) for row in rows] == [
        ("DE*MSP", "tokens", True),
        ("NL*CPO", "locations", False),
        ("NL*CPO", "tariffs", True),
    ]
    async with running(here.worker.run):
        assert (await here.ended("tariffs"))["whole"]
    assert {seen.target.partition("?")[0].rpartition("/")[2] for seen in here.net.cpo.seen} == {"tariffs"}
    here.net.time[0] += timedelta(days=1)
    await here.worker.plan()
    async with running(here.worker.run):
        assert (await here.ended())["objects"] == 2
