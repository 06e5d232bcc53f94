"""CDRs with numbers worked out by hand."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cpo_adapter.charging.cdr import CdrHeld, is_worth_a_cdr, ready_for_cdr, to_cdr, to_credit_cdr
from cpo_adapter.charging.events import Orphaned, Sample
from cpo_adapter.charging.session import to_session
from cpo_adapter.charging.transaction import Fact
from ocpi_modules import json
from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.sessions.schemas import Session
from tests.cpo_adapter.charging.examples import (
    LOCATION,
    PARTY,
    UPDATED,
    at,
    component,
    opening,
    power,
    register,
    sampled,
    started,
    status,
    stopped,
    tariff,
    transaction,
)

EVERYTHING = tariff(
    component("FLAT", "0.50", vat="20"),
    component("ENERGY", "0.30", step_size=500, vat="10"),
    component("PARKING_TIME", "6.00", step_size=300, vat="25"),
)


def cdr_of(*facts: Fact, **members: Any) -> dict[str, Any]:
    return to_cdr(transaction(*facts, **members), "CDR1", PARTY, UPDATED)


def energies(cdr: dict[str, Any]) -> list[Decimal]:
    return [d["volume"] for period in cdr["charging_periods"] for d in period["dimensions"] if d["type"] == "ENERGY"]


@pytest.mark.rule("D-25", "D-30", "D-31", "D-43")
def test_flat_energy_and_parking_with_steps_and_vat_cost_what_the_hand_says() -> None:
    facts = (
        started(1000),
        sampled(register(40, 9200)),
        status(40, "SuspendedEV"),
        stopped(52, 9200),
    )
    cdr = cdr_of(*facts, tariffs=[EVERYTHING])
    # 8.2 kWh -> 8.5 kWh x 0.30 = 2.55 (+10 % = 2.805); 12 min -> 15 min x 6.00 = 1.50 (+25 % = 1.875); 0.50 (+20 % = 0.60)
    assert cdr["total_fixed_cost"] == {"excl_vat": Decimal("0.5"), "incl_vat": Decimal("0.6")}
    assert cdr["total_energy_cost"] == {"excl_vat": Decimal("2.55"), "incl_vat": Decimal("2.805")}
    assert cdr["total_parking_cost"] == {"excl_vat": Decimal("1.5"), "incl_vat": Decimal("1.875")}
    assert cdr["total_time_cost"] == {"excl_vat": Decimal(0), "incl_vat": Decimal(0)}
    assert cdr["total_cost"] == {"excl_vat": Decimal("4.55"), "incl_vat": Decimal("5.28")}
    assert cdr["total_energy"] == Decimal("8.2")
    assert cdr["total_time"] == Decimal("0.8667")
    assert cdr["total_parking_time"] == Decimal("0.2")
    assert "total_reservation_cost" not in cdr
    assert [p["start_date_time"] for p in cdr["charging_periods"]] == [
        "2026-03-02T10:00:00.000Z",
        "2026-03-02T10:40:00.000Z",
    ]
    assert energies(cdr) == [Decimal("8.2"), Decimal(0)]


@pytest.mark.rule("S-14", "D-25", "D-34", "D-35", "D-36")
def test_session_and_cdr_are_valid_ocpi_and_agree_on_the_cost() -> None:
    facts = (started(1000), sampled(register(30, 5000)), status(30, "SuspendedEV"), stopped(60, 5000))
    done = transaction(*facts, tariffs=[EVERYTHING], meter_id="M1", authorization_reference="REF")
    session, cdr = to_session(done, PARTY, UPDATED), to_cdr(done, "CDR1", PARTY, UPDATED)
    Session.model_validate(json.decode(json.encode(session)))
    CDR.model_validate(json.decode(json.encode(cdr)))
    assert session["total_cost"] == cdr["total_cost"]
    assert session["charging_periods"] == cdr["charging_periods"]
    assert session["kwh"] == cdr["total_energy"] == sum(energies(cdr)) == 4
    assert cdr["cdr_location"]["address"] == LOCATION["address"][:45]
    assert cdr["cdr_location"]["evse_id"] == "NL*ABC*E1"
    assert cdr["session_id"] == session["id"]


@pytest.mark.rule("D-43", "G-45")
def test_a_charger_that_withholds_power_makes_no_parking_time() -> None:
    cdr = cdr_of(started(), status(10, "SuspendedEVSE"), stopped(60, 2000), tariffs=[EVERYTHING])
    assert cdr["total_parking_time"] == 0
    assert len(cdr["charging_periods"]) == 1


def test_a_status_of_the_transaction_before_is_not_parking_of_this_one() -> None:
    usual = (started(), status(1, "Charging"), stopped(60, 2000))
    for earlier in ((status(-10, "SuspendedEV"),), (status(-4, "SuspendedEV"), status(-1, "Preparing"))):
        assert cdr_of(*earlier, *usual)["total_parking_time"] == 0
    assert cdr_of(status(-1, "SuspendedEV"), *usual)["total_parking_time"] == Decimal("0.0167")


@pytest.mark.rule("D-30")
def test_parking_too_short_to_be_shown_is_not_billed() -> None:
    at_once, shown = 52 - 0.179 / 60, 52 - 0.18 / 60
    unshown = cdr_of(started(), status(at_once, "SuspendedEV"), stopped(52, 2000), tariffs=[EVERYTHING])
    assert (unshown["total_parking_time"], unshown["total_parking_cost"]["excl_vat"]) == (0, 0)
    cdr = cdr_of(started(), status(shown, "SuspendedEV"), stopped(52, 2000), tariffs=[EVERYTHING])
    assert (cdr["total_parking_time"], cdr["total_parking_cost"]["excl_vat"]) == (Decimal("0.0001"), Decimal("0.5"))
    waits = (
        status(0.001, "SuspendedEV"),
        status(20, "Charging"),
        status(30, "SuspendedEV"),
        status(30.001, "Charging"),
    )
    parked_first = cdr_of(started(), *waits, stopped(52, 2000), tariffs=[EVERYTHING])
    assert [period["start_date_time"][14:16] for period in parked_first["charging_periods"]] == ["00", "20"]


def test_power_after_a_pause_ends_the_parking_although_no_status_says_so() -> None:
    cdr = cdr_of(started(), status(10, "SuspendedEV"), sampled(power(20, 7000)), stopped(60, 2000))
    assert cdr["total_parking_time"] == Decimal("0.1667")
    of_the_other_connector = replace(power(20, 7000), location="Inlet")
    cdr = cdr_of(started(), status(10, "SuspendedEV"), sampled(of_the_other_connector), stopped(60, 2000))
    assert cdr["total_parking_time"] == Decimal("0.8333")


def test_a_limit_of_current_goes_by_the_outlet_not_by_what_feeds_the_whole_charger() -> None:
    strong = {"price_components": [component("TIME", "9")], "restrictions": {"min_current": Decimal(32)}}
    weak = {"price_components": [component("TIME", "1")]}
    outlet = Sample(at(10), "Current.Import", Decimal(16), "A", "16")
    inlet = Sample(at(20), "Current.Import", Decimal(100), "A", "100", location="Inlet")
    cdr = cdr_of(started(), sampled(outlet, inlet), stopped(60, 2000), tariffs=[tariff(elements=[strong, weak])])
    assert cdr["total_time_cost"] == {"excl_vat": 1}


@pytest.mark.rule("D-10", "T-59")
def test_a_tariff_that_changes_at_a_time_of_day_starts_a_period_there() -> None:
    late = {
        "price_components": [component("ENERGY", "0.50")],
        "restrictions": {"start_time": "11:30", "end_time": "23:00"},
    }
    early = {"price_components": [component("ENERGY", "0.20")]}
    facts = (started(0), sampled(register(30, 4000), register(20, 2000)), stopped(60, 10_000))
    # 11:30 in Amsterdam is 10:30 UTC in March; there a sample says 4 kWh: 4 x 0.20 + 6 x 0.50
    cdr = cdr_of(*facts, tariffs=[tariff(elements=[late, early])])
    assert cdr["total_cost"] == {"excl_vat": Decimal("3.8")}
    assert [p["start_date_time"][11:16] for p in cdr["charging_periods"]] == ["10:00", "10:30"]
    assert energies(cdr) == [4, 6]


@pytest.mark.rule("D-10", "T-26")
def test_a_price_above_a_number_of_kwh_begins_where_the_meter_was() -> None:
    cheap = {"price_components": [component("ENERGY", "0.20")], "restrictions": {"max_kwh": Decimal(2)}}
    dear = {"price_components": [component("ENERGY", "0.40")]}
    facts = (started(0), sampled(register(10, 1000)), sampled(register(20, 3000)), stopped(60, 3000))
    cdr = cdr_of(*facts, tariffs=[tariff(elements=[cheap, dear])])
    assert cdr["total_cost"] == {"excl_vat": Decimal("0.8")}
    assert [p["start_date_time"][11:16] for p in cdr["charging_periods"]] == ["10:00", "10:15"]
    assert energies(cdr) == [2, 1]


def test_many_samples_make_one_period() -> None:
    dear = {"price_components": [component("ENERGY", "0.40")], "restrictions": {"min_kwh": Decimal(90)}}
    cheap = {"price_components": [component("ENERGY", "0.20")]}
    samples = [sampled(register(n, n * 100)) for n in range(1, 60)]
    cdr = cdr_of(started(0), *samples, stopped(60, 6000), tariffs=[tariff(elements=[dear, cheap])])
    assert energies(cdr) == [6]


@pytest.mark.rule("D-29")
def test_a_reservation_before_the_start_is_priced_and_named_apart() -> None:
    reserved = {"price_components": [component("TIME", "2.00")], "restrictions": {"reservation": "RESERVATION"}}
    usage = {"price_components": [component("ENERGY", "0.20")]}
    cdr = cdr_of(started(0), stopped(60, 5000), tariffs=[tariff(elements=[reserved, usage])], reserved_at=at(-30))
    assert cdr["total_reservation_cost"] == {"excl_vat": Decimal(1)}
    assert cdr["total_cost"] == {"excl_vat": Decimal(2)}
    assert cdr["start_date_time"] == "2026-03-02T09:30:00.000Z"
    assert cdr["total_time"] == 1
    assert cdr["charging_periods"][0]["dimensions"] == [{"type": "RESERVATION_TIME", "volume": Decimal("0.5")}]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"tariffs": []}, "No tariff"),
        ({"tariffs": [tariff(elements=[{"price_components": [{"type": "WHAT"}]}])]}, "cannot be applied"),
        ({"location": {**LOCATION, "evses": [{"uid": "E1"}]}}, "evse_id"),
        ({"refused": True}, "INVALID"),
    ],
)
def test_a_cdr_that_would_be_a_guess_is_held_with_a_reason(members: dict[str, Any], reason: str) -> None:
    with pytest.raises(CdrHeld, match=reason):
        cdr_of(started(), stopped(60, 9000), **members)


def test_an_open_transaction_has_no_cdr() -> None:
    with pytest.raises(CdrHeld, match="still open"):
        cdr_of(started())


def test_a_power_limit_without_momentary_power_holds_the_cdr() -> None:
    fast = {"price_components": [component("ENERGY", "0.60")], "restrictions": {"min_power": Decimal(11)}}
    with pytest.raises(CdrHeld, match="min_power"):
        cdr_of(started(0), stopped(60, 9000), tariffs=[tariff(elements=[fast])])


@pytest.mark.rule("D-45", "D-46", "D-47")
def test_signed_values_pass_untouched() -> None:
    begin = 'OCMF|{"RV":"1.0 "}|{"SD":"30=="} '
    end = 'OCMF|{"RV":"9.0é"}|{"SD":"31=="}'
    samples = tuple(
        Sample(at(m), "Energy.Active.Import.Register", None, "Wh", text, context=context, format="SignedData")
        for m, text, context in ((0, begin, "Transaction.Begin"), (60, end, "Transaction.End"))
    )
    cdr = cdr_of(started(), stopped(60, 9000, samples=samples), public_key="KEY")
    assert cdr["signed_data"] == {
        "encoding_method": "OCMF",
        "public_key": "KEY",
        "signed_values": [
            {"nature": "Start", "plain_data": begin, "signed_data": begin},
            {"nature": "End", "plain_data": end, "signed_data": end},
        ],
    }
    assert cdr["total_energy"] == 8


def test_a_signed_value_in_a_wrapper_keeps_its_key_and_its_text() -> None:
    text = "T0NNRnx7fXx7fQ=="
    wrapped = '{"signedMeterData": "' + text + '", "encodingMethod": "OCMF", "publicKey": "PK"}'
    sample = Sample(at(60), "Energy.Active.Import.Register", None, "Wh", wrapped, format="SignedData")
    data = cdr_of(started(), stopped(60, 9000, samples=(sample,)))["signed_data"]
    assert data["public_key"] == "PK"
    assert data["signed_values"] == [{"nature": "End", "plain_data": "OCMF|{}|{}", "signed_data": text}]


def test_a_signed_value_too_long_for_ocpi_is_left_out_whole_and_said() -> None:
    sample = Sample(at(60), "Energy.Active.Import.Register", None, "Wh", "x" * 5001, format="SignedData")
    cdr = cdr_of(started(), stopped(60, 9000, samples=(sample,)))
    assert "signed_data" not in cdr
    assert "signed values were left out" in cdr["remark"]


@pytest.mark.rule("D-04", "D-06", "D-08", "G-50")
def test_a_credit_cdr_negates_the_total_cost_only() -> None:
    cdr = cdr_of(started(), stopped(60, 9000), tariffs=[EVERYTHING])
    credit = to_credit_cdr(cdr, "CDR1-C", UPDATED)
    assert {name for name in credit if credit[name] != cdr.get(name)} == {
        "id",
        "total_cost",
        "credit",
        "credit_reference_id",
    }
    assert (credit["credit"], credit["credit_reference_id"]) == (True, "CDR1")
    assert credit["total_cost"]["excl_vat"] == -cdr["total_cost"]["excl_vat"] < 0
    CDR.model_validate(json.decode(json.encode(credit)))


def test_a_cdr_waits_for_the_settle_window_only_when_something_is_missing() -> None:
    settle = timedelta(seconds=60)
    complete, unknown = transaction(started(), stopped(60, 9000)), transaction(started(), stopped(60, -1))
    assert ready_for_cdr(complete, at(60), settle)
    assert not ready_for_cdr(unknown, at(60), settle)
    assert ready_for_cdr(unknown, at(62), settle)
    assert not ready_for_cdr(transaction(started()), at(1000), settle)
    orphan = transaction(started(), sampled(register(30, 3000)), Orphaned("C1", at(90), at(91)))
    assert not ready_for_cdr(orphan, at(91), settle)
    assert ready_for_cdr(orphan, at(93), settle)


def test_nothing_charged_for_nothing_is_worth_no_cdr() -> None:
    assert not is_worth_a_cdr(cdr_of(started(1000), stopped(5, 1049), tariffs=[tariff(component("FLAT", "0"))]))
    assert is_worth_a_cdr(cdr_of(started(1000), stopped(5, 1050), tariffs=[tariff(component("FLAT", "0"))]))
    assert is_worth_a_cdr(cdr_of(started(1000), stopped(5, 1000), tariffs=[tariff(component("FLAT", "1"))]))


def test_an_orphan_is_billed_from_its_last_sample_and_says_so() -> None:
    assert opening().transaction_id == 7
    cdr = cdr_of(started(), sampled(register(30, 3000)), Orphaned("C1", at(90), at(91)))
    assert cdr["end_date_time"] == "2026-03-02T10:30:00.000Z"
    assert cdr["total_energy"] == 2
    assert "end estimated" in cdr["remark"]
    assert "last meter sample" in cdr["remark"]
