"""Findings in sentences, rules between fields, PATCH."""

import time
from decimal import Decimal
from typing import Any

import pytest

from ocpi_modules.cdrs.schemas import CDR, CdrToken
from ocpi_modules.chargingprofiles.spec import CHARGINGPROFILES
from ocpi_modules.commands.schemas import StartSession
from ocpi_modules.commands.spec import COMMANDS
from ocpi_modules.credentials.schemas import Credentials
from ocpi_modules.locations.schemas import EVSE, GeoLocation, Hours, Location, PublishTokenType, RegularHours
from ocpi_modules.sessions.enums import ChargingPreferencesResponse, SessionStatus
from ocpi_modules.sessions.schemas import Session
from ocpi_modules.spec import Page, Partial
from ocpi_modules.status import InvalidParameters
from ocpi_modules.tariffs.schemas import Tariff
from ocpi_modules.tokens.schemas import Token
from ocpi_modules.types import DisplayText
from ocpi_modules.validation import MAXIMUM_FINDINGS, findings, read, require
from tests.support import objects
from tests.support.objects import WHEN


def messages(object_type: Any, document: Any) -> list[str]:
    return [finding.message for finding in findings(object_type, document)]


@pytest.mark.rule("Y-13", "R-53")
def test_a_refusal_names_every_wrong_field_with_its_path_in_a_sentence() -> None:
    document = objects.location(
        publish="yes",
        country="Netherlands",
        city="Z" * 46,
        evses=[objects.evse(connectors=[objects.connector(standard="TYPE_2", max_voltage="230")])],
        last_updated=None,
    )
    with pytest.raises(InvalidParameters) as refusal:
        require(Location, document)
    message = refusal.value.message
    assert "publish must be true or false." in message
    assert "city has 46 characters; at most 45 are allowed." in message
    assert "country must be a country code of three letters (ISO 3166-1 alpha-3)." in message
    assert "evses[0].connectors[0].standard is 'TYPE_2', but must be one of 'CHADEMO'" in message
    assert "evses[0].connectors[0].max_voltage must be a whole number." in message
    assert "last_updated is required but missing." in message
    assert len(findings(Location, document)) == 6


@pytest.mark.parametrize("document", [None, [], "x", 7, True])
def test_a_body_that_is_no_object_is_said_to_be_none(document: Any) -> None:
    [message] = messages(Token, document)
    assert message in ("The body must be a JSON object.", "The body is required and must not be null.")


def test_a_hostile_body_yields_a_bounded_answer() -> None:
    started = time.monotonic()
    with pytest.raises(InvalidParameters) as refusal:
        require(Location, objects.location(facilities=["X" * 1000] * 5000))
    assert len(findings(Location, objects.location(facilities=["X" * 1000] * 5000))) == MAXIMUM_FINDINGS
    assert len(refusal.value.message) < 20_000
    assert time.monotonic() - started < 10


@pytest.mark.rule("L-31")
def test_publish_allowed_to_is_only_for_what_is_not_published() -> None:
    assert messages(Location, objects.location(publish=True)) == [
        "publish_allowed_to must be left out when publish is true."
    ]
    assert messages(Location, objects.location(publish=True, publish_allowed_to=None)) == []
    assert messages(Location, objects.location(publish=True, publish_allowed_to=[])) == []


@pytest.mark.rule("L-50")
def test_regular_hours_and_always_open_exclude_each_other() -> None:
    assert messages(Hours, objects.hours(twentyfourseven=True)) == [
        "regular_hours must be left out when twentyfourseven is true."
    ]
    wanted = ["regular_hours must hold at least one entry when twentyfourseven is false."]
    assert messages(Hours, objects.hours(regular_hours=[])) == wanted
    assert messages(Hours, objects.hours(regular_hours=None)) == wanted


@pytest.mark.rule("L-51", "G-80")
def test_regular_hours_do_not_pass_midnight() -> None:
    assert messages(RegularHours, objects.regular_hours(period_end="07:00")) != []
    assert messages(RegularHours, objects.regular_hours(period_end="24:00")) != []
    assert messages(RegularHours, objects.regular_hours(weekday=8)) == ["weekday must be at most 7."]


@pytest.mark.rule("L-56")
def test_a_publish_token_needs_an_id_and_what_belongs_to_it() -> None:
    assert messages(PublishTokenType, {}) == ["group_id is required when neither uid nor visual_number is set."]
    assert messages(PublishTokenType, {"uid": "1"}) == ["type is required when uid is set."]
    assert messages(PublishTokenType, {"visual_number": "1"}) == ["issuer is required when visual_number is set."]
    for right in ({"group_id": "G"}, {"uid": "1", "type": "RFID"}, {"visual_number": "1", "issuer": "I"}):
        assert messages(PublishTokenType, right) == []


@pytest.mark.rule("D-32")
def test_a_credit_cdr_says_what_it_credits() -> None:
    assert messages(CDR, objects.cdr(credit_reference_id=None)) == [
        "credit_reference_id is required when credit is true."
    ]
    assert messages(CDR, objects.cdr(credit=False, credit_reference_id=None)) == []


@pytest.mark.rule("D-42")
def test_a_cdr_holds_no_session_dimension_but_a_session_may() -> None:
    periods = [objects.charging_period(dimensions=[objects.cdr_dimension(type="STATE_OF_CHARGE")])]
    assert messages(CDR, objects.cdr(charging_periods=periods)) == [
        "charging_periods must not hold STATE_OF_CHARGE, which is for Sessions only."
    ]
    assert messages(Session, objects.session(charging_periods=periods)) == []


@pytest.mark.rule("M-13")
def test_a_connector_to_start_at_needs_its_evse() -> None:
    assert "connector_id needs evse_uid" in messages(StartSession, objects.start_session(evse_uid=None))[0]
    assert messages(StartSession, objects.start_session(evse_uid=None, connector_id=None)) == []


@pytest.mark.rule("C-16", "C-18")
def test_a_party_has_each_role_once() -> None:
    twice = objects.credentials(roles=[objects.credentials_role(), objects.credentials_role(party_id="mil")])
    assert "only once" in messages(Credentials, twice)[0]


@pytest.mark.rule("L-45", "L-46")
def test_coordinates_are_strings_with_5_to_7_decimals() -> None:
    for right in ("-12.1234567", "0.12345"):
        assert messages(GeoLocation, objects.geo_location(latitude=right)) == []
    for wrong in ("12.1234", "12,123456", "123.123456", "12.12345678", Decimal("12.123456")):
        assert messages(GeoLocation, objects.geo_location(latitude=wrong)) != []


@pytest.mark.rule("L-37")
@pytest.mark.parametrize("name", ["Europe/Mill", "", "../../etc/passwd", "Europe", "+02:00"])
def test_a_time_zone_is_one_of_the_database(name: str) -> None:
    assert [finding.path for finding in findings(Location, objects.location(time_zone=name))] == ["time_zone"]


@pytest.mark.rule("G-15")
def test_a_reserved_session_is_read_as_a_reservation() -> None:
    assert read(Session, objects.session(status="RESERVED")).status is SessionStatus.RESERVATION


@pytest.mark.rule("G-51", "D-34")
def test_a_cdr_token_without_its_emsp_is_a_finding() -> None:
    paths = [finding.path for finding in findings(CdrToken, objects.cdr_token(country_code=None, party_id=None))]
    assert paths == ["country_code", "party_id"]


@pytest.mark.rule("X-95", "S-17")
def test_what_cannot_exist_may_be_said_so() -> None:
    assert messages(Session, objects.session(evse_uid="#NA", connector_id="#NA", status="RESERVATION")) == []


@pytest.mark.rule("T-16", "T-46")
def test_a_free_tariff_has_one_flat_component_of_nothing() -> None:
    flat = {"type": "FLAT", "price": Decimal("0.00"), "step_size": 0}
    assert messages(Tariff, objects.tariff(elements=[{"price_components": [flat]}])) == []


@pytest.mark.rule("X-50", "S-12", "K-06", "L-21")
def test_a_patch_needs_last_updated_and_nothing_else() -> None:
    for object_type in (Location, EVSE, Session, Token):
        assert messages(Partial[object_type], {"last_updated": WHEN}) == []
        assert messages(Partial[object_type], {}) == ["last_updated is required but missing."]


@pytest.mark.rule("G-54", "L-22")
def test_a_patch_may_clear_what_is_optional_but_not_what_is_required() -> None:
    patch = {"last_updated": WHEN, "evse_id": None, "status": None, "connectors": None}
    assert messages(Partial[EVSE], patch) == [
        "status is required and must not be null.",
        "connectors is required and must not be null.",
    ]


def test_a_patch_is_judged_by_its_given_fields() -> None:
    patch = {"last_updated": WHEN, "status": "OPEN", "connectors": [objects.connector(id=None)], "floor": "new"}
    assert [finding.path for finding in findings(Partial[EVSE], patch)] == ["status", "connectors[0].id"]


def test_a_list_and_a_single_word_can_be_judged_too() -> None:
    assert [finding.path for finding in findings(Page[Token], [objects.token(), objects.token(uid=None)])] == [
        "[1].uid"
    ]
    assert messages(ChargingPreferencesResponse, "ACCEPTED") == []
    assert messages(ChargingPreferencesResponse, "MAYBE") != []


def test_of_several_possible_bodies_the_closest_one_speaks() -> None:
    result = CHARGINGPROFILES.endpoints[3].body
    profile = objects.active_charging_profile(start_date_time=None)
    assert [f.path for f in findings(result, {"result": "ACCEPTED", "profile": profile})] == ["profile.start_date_time"]
    assert findings(result, {"result": "REJECTED"}) == []
    assert [f.path for f in findings(COMMANDS.endpoints[0].body, objects.stop_session(response_url="x"))] == [
        "response_url"
    ]


@pytest.mark.rule("X-95", "X-96", "S-17", "D-37")
def test_what_cannot_exist_stands_only_where_its_three_characters_fit() -> None:
    assert messages(Session, objects.session(evse_uid="#NA", connector_id="#NA")) == []
    assert messages(CDR, objects.cdr(cdr_location=objects.cdr_location(evse_uid="#NA", evse_id="#NA"))) == []
    assert messages(Session, objects.session(country_code="#NA")) != []
    assert messages(Session, objects.session(currency="#NA")) != []
    assert messages(Session, objects.session(start_date_time="#NA")) != []
    assert messages(Session, objects.session(auth_method="#NA")) != []


@pytest.mark.rule("Y-21")
@pytest.mark.parametrize("currency", ["eur", "EURO", "EU", "E U", "€UR", "978"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    for schema, document in (
        (Session, objects.session(currency=currency)),
        (CDR, objects.cdr(currency=currency)),
        (Tariff, objects.tariff(currency=currency)),
    ):
        [message] = messages(schema, document)
        assert message.startswith("currency ")


@pytest.mark.rule("Y-20", "Y-12")
def test_languages_and_countries_have_codes_of_two_and_three_letters() -> None:
    assert messages(DisplayText, objects.display_text(language="eng")) != []
    assert messages(DisplayText, objects.display_text(language="e1")) != []
    assert messages(Location, objects.location(country="NL")) != []
    assert messages(Location, objects.location(country_code="NLD")) != []
    assert messages(CDR, objects.cdr(cdr_location=objects.cdr_location(country="NL"))) != []


@pytest.mark.rule("G-78", "D-39")
def test_a_session_may_have_no_periods_but_a_cdr_has_one() -> None:
    assert messages(Session, objects.session(charging_periods=None)) == []
    assert messages(Session, objects.session(charging_periods=[])) == []
    assert messages(CDR, objects.cdr(charging_periods=[])) == ["charging_periods must hold at least 1 entry."]
    assert messages(CDR, objects.cdr(charging_periods=None)) != []


@pytest.mark.rule("G-47", "D-35", "D-38")
def test_an_evse_may_have_no_evse_id_but_a_cdr_needs_one() -> None:
    assert messages(Location, objects.location(evses=[objects.evse(evse_id=None)])) == []
    assert messages(CDR, objects.cdr(cdr_location=objects.cdr_location(evse_id=None))) == [
        "cdr_location.evse_id is required but missing."
    ]


@pytest.mark.rule("G-81", "L-51", "T-24")
def test_midnight_ends_a_tariff_window_but_no_regular_hours() -> None:
    restrictions = objects.tariff_restrictions(start_time="17:00", end_time="00:00")
    assert messages(Tariff, objects.tariff(elements=[objects.tariff_element(restrictions=restrictions)])) == []
    assert messages(RegularHours, objects.regular_hours(period_begin="17:00", period_end="00:00")) != []
