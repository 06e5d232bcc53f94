"""Energy from registers that behave, and from those that do not (R35 to R45)."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from cpo_adapter.charging.cdr import CdrHeld, to_cdr
from cpo_adapter.charging.energy import POWER, Energy, measure
from cpo_adapter.charging.events import Orphaned, Sample
from cpo_adapter.charging.flags import Flag
from cpo_adapter.charging.transaction import Fact
from tests.cpo_adapter.charging.examples import (
    PARTY,
    UPDATED,
    at,
    power,
    register,
    sampled,
    started,
    stopped,
    transaction,
)


def energy_of(*facts: Fact) -> Energy:
    return measure(transaction(*facts))


def hourly(*values: int) -> list[Fact]:
    """A register value every 10 minutes from the tenth on."""
    return [sampled(register(10 * n, value)) for n, value in enumerate(values, start=1)]


def test_the_stop_value_minus_the_start_value_is_the_energy() -> None:
    energy = energy_of(started(1000), *hourly(2000, 3000), stopped(60, 9000))
    assert (energy.total, energy.flags) == (8000, frozenset())
    assert [energy.until(at(m)) for m in (-1, 0, 5, 10, 40, 60, 99)] == [0, 0, 500, 1000, 5000, 8000, 8000]


def test_a_stop_value_a_little_below_the_last_sample_is_taken_as_it_is() -> None:
    energy = energy_of(started(0), *hourly(2000, 3000, 4004), stopped(60, 4000))
    assert (energy.total, energy.flags) == (4000, frozenset())
    assert energy.until(at(30)) == 4000


def test_a_register_that_restarts_is_counted_in_segments() -> None:
    energy = energy_of(started(100_000), *hourly(101_000, 102_000, 20, 1020), stopped(60, 3020))
    assert energy.total == 2000 + 3000
    assert energy.flags == {Flag.register_reset}


def test_one_wrong_value_among_good_ones_is_left_out() -> None:
    for wrong in (0, 50, 999_999):
        energy = energy_of(started(100_000), *hourly(101_000, wrong, 103_000), stopped(60, 106_000))
        assert (energy.total, energy.flags) == (6000, {Flag.sample_dropped}), wrong


@pytest.mark.parametrize("scale", [lambda v: v * 1000, lambda v: Decimal(v) / 1000])
def test_a_wrong_unit_is_corrected_when_start_and_stop_confirm_it(scale: Callable[[int], Decimal]) -> None:
    samples = [sampled(register(10 * n, str(scale(1_000_000 + n * 1000)))) for n in (1, 2, 3)]
    energy = energy_of(started(1_000_000), *samples, stopped(60, 1_006_000))
    assert (energy.total, energy.flags) == (6000, {Flag.unit_corrected})
    assert energy.until(at(20)) == 2000


def test_samples_per_session_and_a_lifetime_start_value_are_brought_together() -> None:
    energy = energy_of(started(500_000), *hourly(1000, 2000, 3000), stopped(31, 503_100))
    assert energy.total == 3100
    assert energy.flags == {Flag.other_basis}


def test_a_last_sample_at_the_stop_tells_what_was_charged_before_the_first() -> None:
    """Per session registers whose last value is the stop's own moment: the difference of start and stop holds (R39)."""
    energy = energy_of(started(100_000), *hourly(1000, 2000, 3000), stopped(30, 103_000))
    assert (energy.total, energy.flags) == (3000, {Flag.other_basis})
    assert [energy.until(at(m)) for m in (10, 20)] == [1000, 2000]


def test_samples_and_stop_value_on_one_basis_are_not_torn_apart() -> None:
    """A start value of the lifetime, everything after it per session: a new segment begins at the first sample (R38)."""
    energy = energy_of(started(100_000), *hourly(1000, 2000), stopped(30, 4000))
    assert (energy.total, energy.flags) == (3000, {Flag.register_reset})


@pytest.mark.parametrize("meter_start", [0, 100])
def test_whether_samples_or_start_and_stop_are_in_kwh_is_not_guessed(meter_start: int) -> None:
    """Samples of 1 kWh each on a start and stop that may as well be kWh: 3 Wh or 3 kWh, so the CDR is held (R37)."""
    samples = hourly(*(1000 * meter_start + value for value in (1000, 2000)))
    for meter_stop in (meter_start + 3, meter_start + 1, meter_start):
        facts = (started(meter_start), *samples, stopped(30, meter_stop))
        assert Flag.samples_conflict in energy_of(*facts).flags
        with pytest.raises(CdrHeld, match="contradict"):
            to_cdr(transaction(*facts), "CDR1", PARTY, UPDATED)


@pytest.mark.parametrize("meter_stop", [0, 617])
def test_a_stop_value_near_zero_without_any_sample_is_no_charge_of_nothing(meter_stop: int) -> None:
    """The register began anew, or the stop is per session: nobody knows what was charged (R38, R39)."""
    for nothing in ([], hourly(100_000)):
        with pytest.raises(CdrHeld, match="no meter value"):
            to_cdr(transaction(started(100_000), *nothing, stopped(30, meter_stop)), "CDR1", PARTY, UPDATED)
    energy = energy_of(started(100_000), *hourly(101_000, 102_000), stopped(60, meter_stop))
    assert (energy.total, energy.flags) == (2000, {Flag.register_reset})


def test_a_lifetime_stop_value_on_a_session_start_value_is_no_bill_of_939_kwh() -> None:
    facts = (started(0), *hourly(937_000, 938_000, 939_000), stopped(31, 939_100))
    assert Flag.energy_implausible in energy_of(*facts).flags
    with pytest.raises(CdrHeld, match="Held for an operator"):
        to_cdr(transaction(*facts), "CDR1", PARTY, UPDATED)


def test_more_energy_than_the_connector_can_deliver_holds_the_cdr() -> None:
    with pytest.raises(CdrHeld, match="more energy"):
        to_cdr(transaction(started(0), stopped(60, 100_000)), "CDR1", PARTY, UPDATED)


def test_samples_that_contradict_the_stop_value_hold_the_cdr() -> None:
    for stop in (3000, 900):
        with pytest.raises(CdrHeld, match="contradict"):
            to_cdr(transaction(started(0), *hourly(2000, 4000, 6000), stopped(31, stop)), "CDR1", PARTY, UPDATED)


@pytest.mark.parametrize("meter_stop", ["-1", "NaN", "Infinity"])
def test_an_unknown_stop_value_leaves_the_last_sample(meter_stop: str) -> None:
    stop = replace(stopped(60, 0), meter_stop=Decimal(meter_stop))
    energy = energy_of(started(1000), *hourly(2000, 3000), stop)
    assert (energy.total, energy.flags) == (2000, {Flag.last_sample})


def test_without_any_value_the_energy_is_unknown_and_not_zero_billed() -> None:
    facts = (started(1000), stopped(60, -1))
    assert energy_of(*facts).flags == {Flag.energy_unknown}
    with pytest.raises(CdrHeld, match="no meter value"):
        to_cdr(transaction(*facts), "CDR1", PARTY, UPDATED)


def test_intervals_are_added_and_power_is_integrated_only_as_an_estimate() -> None:
    intervals = [
        sampled(Sample(at(m), "Energy.Active.Import.Interval", Decimal(500), "Wh", "500")) for m in (10, 20, 30)
    ]
    assert energy_of(started(0), *intervals, stopped(30, -1)).total == 1500
    powers = [sampled(power(m, 6000)) for m in (0, 30, 60)]
    energy = energy_of(started(0), *powers, stopped(60, -1))
    assert (energy.total, energy.flags) == (6000, {Flag.energy_estimated})


@pytest.mark.parametrize("members", [{"unit": "MWh"}, {"location": "Inlet"}])
@pytest.mark.parametrize("measurand", ["Energy.Active.Import.Interval", "Power.Active.Import"])
def test_what_is_not_of_the_outlet_or_in_an_unknown_unit_is_no_estimate(
    measurand: str, members: dict[str, str]
) -> None:
    """An inlet feeds all connectors of a charger, and nobody knows what another unit means: no bill of it (R35, R40)."""
    ordinary = {"unit": "W" if measurand == POWER else "Wh"}
    values = [Sample(at(m), measurand, Decimal(500), raw_value="500", **{**ordinary, **members}) for m in (10, 20, 30)]
    assert energy_of(started(0), sampled(*values), stopped(30, -1)).flags == {Flag.energy_unknown}


def test_phases_are_added_only_without_a_total() -> None:
    phases = [register(30, 1000, phase=phase) for phase in ("L1", "L2", "L3")]
    assert energy_of(started(0), sampled(*phases)).total == 3000
    assert energy_of(started(0), sampled(*phases, register(30, 2900))).total == 2900
    assert energy_of(started(0), sampled(*phases[:2])).total == 0


def test_a_message_without_energy_changes_no_total() -> None:
    charge = sampled(Sample(at(30), "SoC", Decimal(80), "Percent", "80"))
    assert energy_of(started(0), *hourly(2000), charge).total == 2000


def test_signed_data_and_blanks_are_no_numbers() -> None:
    signed = Sample(at(20), "Energy.Active.Import.Register", None, "Wh", "OCMF|{}|{}", format="SignedData")
    empty = Sample(at(25), "Energy.Active.Import.Register", None, "Wh", "")
    assert energy_of(started(0), *hourly(2000), sampled(signed, empty)).total == 2000


def test_samples_without_a_transaction_show_progress_but_never_decide() -> None:
    loose = sampled(register(30, 3000), transaction_id=None)
    assert energy_of(started(0), loose).total == 3000
    assert energy_of(started(0), loose, stopped(60, -1)).flags == {Flag.energy_unknown}


def test_late_values_count_within_five_minutes_and_clock_samples_only_inside() -> None:
    begin, unknown = started(1000), stopped(60, -1)
    assert energy_of(begin, sampled(register(64, 9000)), unknown).total == 8000
    assert energy_of(begin, sampled(register(66, 9000)), unknown).flags == {Flag.energy_unknown}
    assert Flag.energy_unknown in energy_of(begin, sampled(register(64, 9000, context="Sample.Clock")), unknown).flags


def test_an_orphan_ends_at_its_last_value_before_the_next_start() -> None:
    energy = energy_of(started(0), *hourly(1000, 2000, 9000), Orphaned("C1", at(25), at(26)))
    assert energy.total == 2000


def test_an_unknown_start_value_is_an_estimate_or_no_bill_at_all() -> None:
    assert energy_of(started(-1), *hourly(2000, 3000), stopped(60, 9000)).flags == {Flag.energy_estimated}
    with pytest.raises(CdrHeld, match="no meter value"):
        to_cdr(transaction(started(-1), stopped(60, 9000)), "CDR1", PARTY, UPDATED)


def test_an_export_register_is_not_import() -> None:
    export = Sample(at(30), "Energy.Active.Export.Register", Decimal(5000), "Wh", "5000")
    assert energy_of(started(0), sampled(export), *hourly(100)).total == 100
