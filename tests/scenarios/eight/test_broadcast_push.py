"""transport_and_format, Broadcast Push, among eight platforms."""

import pytest

from tests.scenarios.eight.platforms import (
    AAA,
    BBB,
    CCC,
    DUO,
    HUB,
    NSP,
    OTH,
    QUI,
    RAW,
    SLO,
    Eight,
    at,
    fresh,
    got,
    location,
    pair,
    until,
)
from tests.support import objects
from tests.support.party import Scripted


@pytest.mark.rule("X-91", "R-37", "R-38", "R-40", "R-48", "R-49", "G-23", "U-20")
async def test_a_location_is_pushed_once_to_each_party_and_by_the_hub(eight: Eight) -> None:
    id = fresh("L")
    body = location(DUO, id)
    sent = {"X-Request-ID": "from-duo", "X-Correlation-ID": f"all-of-{id}"}
    answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), body, to=HUB, extra=sent)
    assert (answer.http_status, answer.status_code, pair(answer)) == (201, 1000, ("FR*DUO", "NL*HUB"))
    expected = {eight.three: {AAA, BBB, CCC}, eight.nsp: {NSP}, eight.other: {OTH}, eight.raw: {RAW}, eight.slow: {SLO}}
    await until(lambda: all(len(got(platform, id)) >= len(parties) for platform, parties in expected.items()))
    seen = [item for platform in expected for item in got(platform, id)]
    for platform, parties in expected.items():
        assert sorted(item.to or HUB for item in got(platform, id)) == sorted(parties)
    assert {(item.method, item.sender, item.body) for item in seen} == {("PUT", HUB, body)}
    assert {item.raw_path for item in seen} == {f"/ocpi/2.2.1/receiver/locations/FR/DUO/{id}"}
    assert {item.headers["x-correlation-id"] for item in seen} == {f"all-of-{id}"}
    assert len({item.headers["x-request-id"] for item in seen} - {"from-duo"}) == 7
    assert [got(platform, id) for platform in (eight.duo, eight.quiet)] == [[], []]
    assert [line for line in eight.away if "versions" not in line] == []


@pytest.mark.rule("R-46", "R-47")
async def test_the_pusher_is_answered_before_the_slow_and_whatever_a_receiver_says(eight: Eight) -> None:
    id = fresh("L")
    eight.hold.clear()
    eight.nsp.script("PUT", "locations", Scripted(status_code=2001, message="not with me"))
    try:
        answer = await eight.call(eight.duo, "PUT", "locations", "RECEIVER", at(DUO, id), location(DUO, id))
        assert (answer.status_code, answer.message) == (1000, "Success")
        await until(lambda: len(got(eight.three, id)) == 3 and got(eight.other, id) and got(eight.raw, id))
        await until(lambda: got(eight.slow, id) and got(eight.nsp, id))
        assert ("locations", at(DUO, id)) not in eight.slow.kept
    finally:
        eight.hold.set()
        eight.nsp.unscript("PUT", "locations")
    await until(lambda: ("locations", at(DUO, id)) in eight.slow.kept)


@pytest.mark.rule("R-06", "R-36", "U-07", "U-46")
@pytest.mark.parametrize("publish", [True, False], ids=["published", "not to be published"])
async def test_who_writes_no_headers_broadcasts_as_its_one_party(eight: Eight, publish: bool) -> None:
    id = fresh("L")
    body = location(QUI, id, publish=publish, publish_allowed_to=None)
    answer = await eight.call(eight.quiet, "PUT", "locations", "RECEIVER", at(QUI, id), body)
    assert (answer.status_code, pair(answer)) == (1000, ("NL*QUI", "NL*HUB"))
    await until(lambda: len(got(eight.three, id)) == 3 and got(eight.duo, id))
    assert {(item.to, item.sender) for item in got(eight.duo, id)} == {(DUO, HUB)}


@pytest.mark.rule("R-41", "R-49")
async def test_a_token_reaches_the_cpos_and_no_emsp(eight: Eight) -> None:
    uid = fresh("T")
    document = objects.token(country_code="DE", party_id="BBB", uid=uid, type="RFID")
    answer = await eight.call(eight.three, "PUT", "tokens", "RECEIVER", at(BBB, uid), document, sender=BBB)
    assert answer.status_code == 1000, answer.message
    await until(lambda: got(eight.duo, uid) and got(eight.quiet, uid))
    assert {item.raw_path.rpartition("/tokens")[2] for item in got(eight.duo, uid)} == {at(BBB, uid)}
    rest = (eight.three, eight.nsp, eight.other, eight.raw, eight.slow)
    assert [got(platform, uid) for platform in rest] == [[]] * len(rest)
