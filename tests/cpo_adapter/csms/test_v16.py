"""OCPP 1.6 payloads as facts, lenient in (R9, R20, R22, R33, R35, R36, R38, R44, R45), and answers, strict out (R23, R52)."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from cpo_adapter.charging.events import Decision, Sample, TokenAnswer
from cpo_adapter.csms.frames import Call, NotAnswerable
from cpo_adapter.csms.readings import instant, integer, number
from cpo_adapter.csms.samples16 import read_samples
from cpo_adapter.csms.v16 import Ocpp16, write_instant
from cpo_adapter.csms.validation16 import findings
from tests.cpo_adapter.csms.recorder import Recorder

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TIME = "2026-03-01T11:59:00Z"
AT_TIME = datetime(2026, 3, 1, 11, 59, tzinfo=UTC)


@pytest.fixture
def facts() -> Recorder:
    return Recorder()


@pytest.fixture
def ocpp16(facts: Recorder) -> Ocpp16:
    return Ocpp16(facts, lambda: AT, heartbeat_seconds=100, spread=lambda least, most: most)


async def ask(ocpp16: Ocpp16, action: str, payload: Any) -> dict[str, Any]:
    answer = await ocpp16.answer("CP-1", Call("id", action, payload))
    assert findings(f"{action}Response", answer) == []
    return answer


def sample(value: Any, **fields: Any) -> Sample:
    samples = read_samples([{"timestamp": TIME, "sampledValue": [{"value": value, **fields}]}], AT)
    assert len(samples) == 1
    return samples[0]


async def test_a_boot_is_accepted_with_a_spread_interval_and_utc_in_milliseconds(
    ocpp16: Ocpp16, facts: Recorder
) -> None:
    answer = await ask(ocpp16, "BootNotification", {"chargePointVendor": "V", "chargePointModel": 7, "surplus": 1})
    assert answer == {"status": "Accepted", "currentTime": "2026-03-01T12:00:00.123Z", "interval": 120}
    assert (facts.boots[0].vendor, facts.boots[0].model) == ("V", "7")
    intervals = {
        (await Ocpp16(facts, lambda: AT, 1000).answer("CP-1", Call("id", "BootNotification")))["interval"]
        for _ in range(20)
    }
    assert len(intervals) > 1
    assert all(800 <= interval <= 1200 for interval in intervals)


async def test_text_padded_with_nuls_ends_at_the_first(ocpp16: Ocpp16, facts: Recorder) -> None:
    await ask(ocpp16, "BootNotification", {"chargePointVendor": "V\0\0", "chargePointModel": "\0"})
    await ask(ocpp16, "Authorize", {"idTag": "TAG\0\x01\x02"})
    await ask(
        ocpp16,
        "StatusNotification",
        {"connectorId": "1\0", "status": "Charging\0", "errorCode": "NoError", "info": "\0"},
    )
    assert (facts.boots[0].vendor, facts.boots[0].model, facts.tokens[-1]) == ("V", "", "TAG")
    assert (facts.statuses[0].connector_id, facts.statuses[0].status, facts.statuses[0].info) == (1, "Charging", "")


async def test_a_heartbeat_is_answered_in_utc(facts: Recorder) -> None:
    abroad = AT.astimezone(timezone(timedelta(hours=5)))
    answer = await ask(Ocpp16(facts, lambda: abroad), "Heartbeat", {})
    assert answer == {"currentTime": "2026-03-01T12:00:00.123Z"}


async def test_a_status_keeps_its_time_and_an_unknown_one_its_name(ocpp16: Ocpp16, facts: Recorder) -> None:
    await ask(ocpp16, "StatusNotification", {"connectorId": "1", "status": "charging", "errorCode": "noerror"})
    await ask(
        ocpp16, "StatusNotification", {"connectorId": 0, "status": "Melting", "timestamp": TIME, "info": "x" * 99}
    )
    first, second = facts.statuses
    assert (first.connector_id, first.status, first.error_code, first.at) == (1, "Charging", "NoError", None)
    assert (second.connector_id, second.status, second.at, second.info) == (0, "Melting", AT_TIME, "x" * 99)


async def test_a_start_is_read_and_answered(ocpp16: Ocpp16, facts: Recorder) -> None:
    payload = {"connectorId": 2, "idTag": "TAG", "meterStart": 100, "timestamp": TIME, "reservationId": 5}
    answer = await ask(ocpp16, "StartTransaction", payload)
    assert answer == {"transactionId": 1001, "idTagInfo": {"status": "Accepted"}}
    fact = facts.starts[0]
    assert (fact.connector_id, fact.id_tag, fact.meter_start, fact.reservation_id) == (2, "TAG", Decimal(100), 5)
    assert (fact.at, fact.received_at) == (AT_TIME, AT)


async def test_the_same_start_twice_gets_the_same_answer(ocpp16: Ocpp16, facts: Recorder) -> None:
    payload = {"connectorId": 2, "idTag": "TAG", "meterStart": 100, "timestamp": TIME}
    assert await ask(ocpp16, "StartTransaction", payload) == await ask(ocpp16, "StartTransaction", payload)
    assert facts.starts[0] == facts.starts[1]


async def test_a_refused_token_still_gets_a_transaction(ocpp16: Ocpp16, facts: Recorder) -> None:
    facts.token = TokenAnswer(Decision.Blocked)
    answer = await ask(ocpp16, "StartTransaction", {"connectorId": 1, "meterStart": 0, "timestamp": TIME})
    assert answer == {"transactionId": 1001, "idTagInfo": {"status": "Blocked"}}
    assert facts.starts[0].id_tag == ""


async def test_a_start_that_breaks_the_schema_is_repaired_and_flagged_without_its_values(
    ocpp16: Ocpp16, facts: Recorder
) -> None:
    payload = {"connectorId": "1", "idTag": "SECRET-" * 9, "meterStart": "12,5", "timestamp": "yesterday", "vendor": {}}
    with capture_logs() as logs:
        await ask(ocpp16, "StartTransaction", payload)
    fact = facts.starts[0]
    assert (fact.connector_id, fact.id_tag, fact.meter_start, fact.at) == (1, "SECRET-" * 9, Decimal("12.5"), AT)
    flagged = next(entry for entry in logs if entry["event"] == "call_repaired")
    assert {finding.partition(":")[0] for finding in flagged["findings"]} >= {
        "connectorId",
        "idTag",
        "timestamp",
        "payload",
    }
    assert "SECRET" not in str(logs)


async def test_a_right_message_is_not_flagged(ocpp16: Ocpp16) -> None:
    with capture_logs() as logs:
        await ask(ocpp16, "StartTransaction", {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": TIME})
    assert logs == []


async def test_a_stop_is_always_understood(ocpp16: Ocpp16, facts: Recorder) -> None:
    assert await ask(ocpp16, "StopTransaction", {}) == {}
    fact = facts.stops[0]
    assert (fact.transaction_id, fact.meter_stop, fact.at, fact.reason, fact.id_tag) == (
        -1,
        Decimal(-1),
        AT,
        "Local",
        None,
    )
    data = [{"timestamp": TIME, "sampledValue": [{"value": "7", "context": "Transaction.End"}]}]
    stop = {"transactionId": 0, "meterStop": "1200.5", "timestamp": TIME, "reason": "remote", "transactionData": data}
    await ask(ocpp16, "StopTransaction", stop)
    fact = facts.stops[1]
    assert (fact.transaction_id, fact.meter_stop, fact.at, fact.reason) == (0, Decimal("1200.5"), AT_TIME, "Remote")
    assert (fact.samples[0].context, fact.samples[0].value) == ("Transaction.End", Decimal(7))


async def test_meter_values_keep_every_sample_of_every_entry(ocpp16: Ocpp16, facts: Recorder) -> None:
    values = [
        {"timestamp": TIME, "sampledValue": [{"value": "50", "measurand": "SoC"}, {"value": 10}]},
        {"sampledValue": {"value": "11"}},
        "noise",
    ]
    await ask(ocpp16, "MeterValues", {"connectorId": 1, "transactionId": "1001", "meterValue": values})
    fact = facts.samples[0]
    assert (fact.connector_id, fact.transaction_id) == (1, 1001)
    assert [(sample.at, sample.value, sample.unit) for sample in fact.samples] == [
        (AT_TIME, Decimal(50), "Percent"),
        (AT_TIME, Decimal(10), "Wh"),
        (AT, Decimal(11), "Wh"),
    ]


async def test_meter_values_without_a_transaction_name_none(ocpp16: Ocpp16, facts: Recorder) -> None:
    entry = {"timestamp": TIME, "sampledValue": [{"value": "1"}]}
    await ask(ocpp16, "MeterValues", {"connectorId": 0, "meterValue": [entry]})
    assert facts.samples[0].transaction_id is None


def test_missing_fields_of_a_sample_have_their_defaults() -> None:
    assert sample("12.5") == Sample(
        at=AT_TIME,
        measurand="Energy.Active.Import.Register",
        value=Decimal("12.5"),
        unit="Wh",
        raw_value="12.5",
        context="Sample.Periodic",
        location="Outlet",
        phase="",
        format="Raw",
    )


@pytest.mark.parametrize(
    ("measurand", "unit", "value", "expected"),
    [
        (None, "kWh", "1.2345", ("Wh", "1234.5")),
        (None, " KWH ", " 1 ", ("Wh", "1000")),
        (None, "wh", "7", ("Wh", "7")),
        ("Power.Active.Import", "kw", "11.04", ("W", "11040")),
        ("power.active.import", None, "230", ("W", "230")),
        ("Current.Import", None, "16", ("A", "16")),
        ("Voltage", "v", "230", ("V", "230")),
        ("SoC", "%", "80", ("Percent", "80")),
        ("Energy.Reactive.Import.Register", "kvarh", "2", ("varh", "2000")),
        ("Temperature", "Celcius", "20", ("Celcius", "20")),
        ("Vendor.Thing", None, "1", ("", "1")),
    ],
)
def test_units_are_folded_in_any_case(
    measurand: str | None, unit: str | None, value: str, expected: tuple[str, str]
) -> None:
    fields = {name: text for name, text in (("measurand", measurand), ("unit", unit)) if text is not None}
    read = sample(value, **fields)
    assert (read.unit, read.value) == (expected[0], Decimal(expected[1]))
    assert read.raw_value == value


@pytest.mark.parametrize(
    "value", ["", "  ", "NaN", "nan", "Infinity", "-inf", "12 kWh", "1e99", "9" * 40, "1,234", True]
)
def test_what_is_no_number_is_no_value_and_never_zero(value: Any) -> None:
    assert sample(value).value is None


def test_a_signed_value_is_kept_untouched_and_is_no_number() -> None:
    signed = ' OCMF|{"RD":[{"RV":1.10}]}|{"SD":"3045"} \n' + "A" * 12_000
    read = sample(signed, format="signeddata", measurand="Energy.Active.Import.Register")
    assert (read.value, read.raw_value, read.format) == (None, signed, "SignedData")
    assert sample("42", format="SignedData").value is None
    nested = sample({"signedMeterData": "AA==", "x": Decimal("1.10")}, format="SignedData")
    assert nested.raw_value == '{"signedMeterData":"AA==","x":1.10}'


def test_phases_and_contexts_are_kept() -> None:
    read = sample("1", phase="l1-n", context="transaction.begin", location="INLET")
    assert (read.phase, read.context, read.location) == ("L1-N", "Transaction.Begin", "Inlet")


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("StatusNotification", {"status": "Available"}, "OccurenceConstraintViolation"),
        ("StatusNotification", {"connectorId": "one", "status": "Available"}, "TypeConstraintViolation"),
        ("StatusNotification", {"connectorId": 1}, "OccurenceConstraintViolation"),
        ("Authorize", {}, "OccurenceConstraintViolation"),
        ("StartTransaction", {"idTag": "TAG", "meterStart": 0}, "OccurenceConstraintViolation"),
        ("StartTransaction", {"connectorId": 1.5}, "TypeConstraintViolation"),
        ("MeterValues", {"connectorId": 1}, "OccurenceConstraintViolation"),
        ("Reset", {}, "NotSupported"),
        ("Nonsense", {}, "NotImplemented"),
    ],
)
async def test_what_cannot_be_understood_is_refused_with_the_field(
    ocpp16: Ocpp16, action: str, payload: dict[str, Any], code: str
) -> None:
    with pytest.raises(NotAnswerable) as refused:
        await ocpp16.answer("CP-1", Call("id", action, payload))
    assert refused.value.code == code
    assert str(refused.value)


async def test_a_token_is_answered_with_its_group_when_it_fits(ocpp16: Ocpp16, facts: Recorder) -> None:
    facts.token = TokenAnswer(Decision.Accepted, "g" * 20, AT)
    assert await ask(ocpp16, "Authorize", {"idTag": 12345}) == {
        "idTagInfo": {"status": "Accepted", "parentIdTag": "g" * 20, "expiryDate": "2026-03-01T12:00:00.123Z"}
    }
    assert facts.tokens == ["12345"]
    facts.token = TokenAnswer(Decision.Expired, "g" * 21)
    assert await ask(ocpp16, "Authorize", {"idTag": " f6 CA "}) == {"idTagInfo": {"status": "Expired"}}
    assert facts.tokens[1] == " f6 CA "


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("DataTransfer", {"vendorId": "acme"}, {"status": "UnknownVendorId"}),
        ("FirmwareStatusNotification", {"status": "Installed"}, {}),
        ("DiagnosticsStatusNotification", {"status": "Idle"}, {}),
        ("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": TIME}, {}),
        ("LogStatusNotification", {"status": "Idle"}, {}),
        ("SignedFirmwareStatusNotification", {"status": "Idle", "requestId": 1}, {}),
        ("SignCertificate", {"csr": "x"}, {"status": "Rejected"}),
    ],
)
async def test_the_other_reports_are_answered(
    ocpp16: Ocpp16, action: str, payload: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert await ask(ocpp16, action, payload) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-01T11:59:00Z", AT_TIME),
        (" 2026-03-01t11:59:00.000000000z ", AT_TIME),
        ("2026-03-01T13:59:00+02:00", AT_TIME),
        ("2026-03-01T13:59:00 +0200", AT_TIME),
        ("2026-03-01 11:59:00", AT_TIME),
        ("2026-03-01T11:59", AT_TIME),
        (1772366340, AT_TIME),
        (1772366340000, AT_TIME),
        ("1970-01-01T00:00:05Z", datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)),
        ("2026-03-01", None),
        ("2026-13-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
        (True, None),
        (10**30, None),
        ([], None),
    ],
)
def test_a_time_is_read_in_every_usual_spelling(written: Any, expected: datetime | None) -> None:
    assert instant(written) == expected


def test_numbers_are_read_from_text_and_integers_only_when_whole() -> None:
    assert number("-0.5") == Decimal("-0.5")
    assert number(Decimal("1.10")) == Decimal("1.10")
    assert number("16,0") == Decimal(16)
    for written in ("0.15003999999999998", "0.30000000000000004", "1.2345678901234567e-05", "2.5E+03"):
        assert number(written) == Decimal(written)
    assert number("0.1" + "0" * 40) == Decimal("0.1")
    assert number("123456789012.12345678901234567") == Decimal("123456789012.1234567890123457")
    assert number("123456789012.1234567890123456") == Decimal("123456789012.1234567890123456")
    assert sample("123456789012.1234567890123456", unit="kWh").value == Decimal("123456789012123.4567890123456")
    assert (integer("12"), integer("12.0"), integer(12), integer("12.5"), integer({}), integer(False)) == (
        12, 12, 12, None, None, None,
    )  # fmt: skip


def test_times_are_written_with_milliseconds_and_z() -> None:
    assert write_instant(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-01T00:00:00.000Z"
