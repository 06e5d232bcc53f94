"""OCPP 1.6 meterValue lists as Samples: defaults filled in, units folded, signed values untouched (R35, R36, R41, R44, R45)."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from ocpp.v16.enums import Location, Measurand, Phase, ReadingContext, UnitOfMeasure, ValueFormat

from cpo_adapter.charging.events import Sample
from cpo_adapter.csms.readings import instant_or_arrival, known, number, text

MAXIMUM_SAMPLES = 5_000
ENERGY_REGISTER = "Energy.Active.Import.Register"


def read_samples(meter_values: Any, received_at: datetime) -> tuple[Sample, ...]:
    """Every readable sampledValue, in the order sent. An entry without a readable time gets `received_at`."""
    samples = []
    for sample in _each(meter_values, received_at):
        samples.append(sample)
        if len(samples) == MAXIMUM_SAMPLES:
            break
    return tuple(samples)


def _each(meter_values: Any, received_at: datetime) -> Iterator[Sample]:
    for entry in _objects(meter_values):
        at, raw_at = instant_or_arrival(entry.get("timestamp"), received_at)
        for sampled in _objects(entry.get("sampledValue")):
            sample = _sample(sampled, at, raw_at)
            if sample is not None:
                yield sample


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; a lone object where the list belongs is read as a list of one."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _sample(sampled: dict[str, Any], at: datetime, raw_at: datetime | None) -> Sample | None:
    raw_value = _raw(sampled.get("value"))
    if raw_value is None:
        return None
    measurand = known(sampled.get("measurand"), _MEASURANDS) or ENERGY_REGISTER
    format = known(sampled.get("format"), _FORMATS) or "Raw"
    unit, factor = _unit(known(sampled.get("unit"), _UNITS), measurand)
    value = number(raw_value) if format == "Raw" else None
    return Sample(
        at=at,
        measurand=measurand,
        value=None if value is None else value * factor,
        unit=unit,
        raw_value=raw_value,
        context=known(sampled.get("context"), _CONTEXTS) or "Sample.Periodic",
        location=known(sampled.get("location"), _LOCATIONS) or "Outlet",
        phase=known(sampled.get("phase"), _PHASES) or "",
        format=format,
        raw_at=raw_at,
    )


def _raw(value: Any) -> str | None:
    """The value as received; a JSON object in its place (signed data) as its JSON text."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _ENCODER.encode(value).decode()
    return text(value)


def _unit(unit: str | None, measurand: str) -> tuple[str, Decimal]:
    """The folded unit and what the value is multiplied by."""
    if unit is None:
        return next((usual for start, usual in _USUAL_UNITS if measurand.startswith(start)), ""), Decimal(1)
    return _FOLDED_UNITS.get(unit, (unit, Decimal(1)))


def _folding(names: Any) -> dict[str, str]:
    return {str(name.value).casefold(): str(name.value) for name in names}


_MEASURANDS, _FORMATS, _CONTEXTS = _folding(Measurand), _folding(ValueFormat), _folding(ReadingContext)
_LOCATIONS, _PHASES = _folding(Location), _folding(Phase)
_UNITS = _folding(UnitOfMeasure) | {"%": "Percent"}
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_THOUSAND = Decimal(1000)
_FOLDED_UNITS = {
    "kWh": ("Wh", _THOUSAND),
    "kvarh": ("varh", _THOUSAND),
    "kW": ("W", _THOUSAND),
    "kVA": ("VA", _THOUSAND),
    "kvar": ("var", _THOUSAND),
}
_USUAL_UNITS = (
    ("Energy.Reactive", "varh"),
    ("Energy", "Wh"),
    ("Power.Reactive", "var"),
    ("Power.Factor", ""),
    ("Power", "W"),
    ("Current", "A"),
    ("Voltage", "V"),
    ("SoC", "Percent"),
    ("Temperature", "Celsius"),
)
