"""The energy of one transaction from its register values (R35 to R45): a total in Wh and the curve that leads to it.

Never negative, never NaN. What cannot be decided is a flag, and the flags of `flags.HOLDING` keep the CDR back.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise

from cpo_adapter.charging.events import Sample
from cpo_adapter.charging.flags import Flag
from cpo_adapter.charging.transaction import Transaction, place

REGISTER = "Energy.Active.Import.Register"
INTERVAL = "Energy.Active.Import.Interval"
POWER = "Power.Active.Import"
WINDOW = timedelta(minutes=5)
DEFAULT_MAX_POWER = Decimal(1_000_000)
NOTHING = Decimal(0)
_MICROSECOND = timedelta(microseconds=1)
SLACK = Decimal(100)
TOLERANCE = Decimal(50)
FACTORS = (Decimal("0.001"), Decimal(1000))
PHASES = (("L1", "L2", "L3"), ("L1-N", "L2-N", "L3-N"))


@dataclass(frozen=True)
class Reading:
    """A register value in Wh at an instant."""

    at: datetime
    value: Decimal


@dataclass(frozen=True)
class Energy:
    """`curve` holds the Wh since the start, never falling, from (start, 0) to (last known, `total`)."""

    total: Decimal
    curve: tuple[Reading, ...]
    flags: frozenset[Flag]

    def until(self, at: datetime) -> Decimal:
        """Wh since the start at an instant, in a straight line between two readings (T-59)."""
        after = bisect_right(self.curve, at, key=lambda point: point.at)
        if after == 0:
            return NOTHING
        if after == len(self.curve):
            return self.total
        before, following = self.curve[after - 1], self.curve[after]
        share = Decimal((at - before.at) // _MICROSECOND) / ((following.at - before.at) // _MICROSECOND)
        return before.value + (following.value - before.value) * share


@dataclass(frozen=True)
class _Meter:
    """What one pass over the register works with."""

    max_power: Decimal
    flags: set[Flag]

    def reach(self, since: datetime, until: datetime) -> Decimal:
        """The most Wh that can have flowed between two instants (R37)."""
        return self.max_power * max(hours(since, until), NOTHING) * Decimal("1.2") + SLACK

    def follows(self, earlier: Reading, later: Reading) -> bool:
        """Whether the register can have gone from one value to the other."""
        return earlier.value <= later.value <= earlier.value + self.reach(earlier.at, later.at)


def hours(begin: datetime, until: datetime) -> Decimal:
    """The time between two instants in hours."""
    return Decimal((until - begin) // _MICROSECOND) / 3_600_000_000


def measure(transaction: Transaction) -> Energy:
    """The energy known so far; after the stop the final one, in the order of trust of R40."""
    start, end = transaction.start, transaction.last_known
    meter = _Meter(transaction.opening.max_power_w or DEFAULT_MAX_POWER, set())
    samples = _within(transaction, start, end)
    begin = None if transaction.started is None else _valid(start, transaction.started.meter_start)
    stop = None if transaction.stopped is None else _valid(end, transaction.stopped.meter_stop)
    readings = registers(samples)
    if begin is None and not readings and stop is None:
        return _estimated(samples, start, end, meter)
    readings = _rebased(begin, _rescaled(begin, readings, stop, meter), stop, meter)
    if stop is None and not readings:
        return _estimated(samples, start, end, meter)
    if begin is None:
        meter.flags.add(Flag.energy_estimated if readings else Flag.energy_unknown)
    steps = _steps(begin, readings, stop, meter)
    if stop is None and end == transaction.end:
        meter.flags.add(Flag.last_sample)
    return _curve(steps, start, end, meter)


def registers(samples: Iterable[Sample]) -> list[Reading]:
    """Outlet register values in the order of time: the total, or the sum of the phases where no total exists (R40)."""
    finite = _of_outlet(samples, REGISTER, "Wh")
    totals = [s for s in finite if not s.phase]
    result: list[Reading] = []
    for at, group in groupby(totals or finite, key=lambda s: s.at):
        value = _total(list(group))
        if value is not None and value >= 0:
            result.append(Reading(at, value))
    return result


def _of_outlet(samples: Iterable[Sample], measurand: str, unit: str) -> list[Sample]:
    """The numbers of one measurand at the outlet; an inlet feeds other connectors too, and other units mean nothing (R35)."""
    wanted = (measurand, "Raw", "Outlet", unit)
    alike = (s for s in samples if (s.measurand, s.format, s.location, s.unit) == wanted)
    return [s for s in alike if s.value is not None and s.value.is_finite()]


def _total(group: Sequence[Sample]) -> Decimal | None:
    totals = sorted(s.value for s in group if not s.phase and s.value is not None)
    if totals:
        return totals[0]
    by_phase = {s.phase: s.value for s in reversed(group) if s.value is not None}
    for phases in PHASES:
        values = [by_phase[phase] for phase in phases if phase in by_phase]
        if len(values) == len(phases):
            return sum(values, NOTHING)
    return None


def _within(transaction: Transaction, start: datetime, end: datetime) -> list[Sample]:
    """The samples of this transaction, also those up to 5 minutes outside it; clock samples only inside (R43)."""
    running = transaction.end is None
    own: list[Sample] = [*transaction.samples, *transaction.stop_samples]
    if running and not own:
        own = list(transaction.information)

    def belongs(sample: Sample) -> bool:
        margin = timedelta(0) if sample.context == "Sample.Clock" else WINDOW
        return start - margin <= sample.at <= end + margin

    return sorted((s for s in set(own) if belongs(s)), key=place)


def _valid(at: datetime, value: Decimal) -> Reading | None:
    """A meter value; -1 and the like mean unknown."""
    return Reading(at, value) if value.is_finite() and value >= 0 else None


def _rescaled(begin: Reading | None, readings: list[Reading], stop: Reading | None, meter: _Meter) -> list[Reading]:
    """Values that only fit when divided or multiplied by 1000 are repaired (R37): only when then every value fits between
    its neighbours and the start and stop values, which are Wh by definition. Values that move believably as they are are never
    divided: as well start and stop may be kWh, or frozen, and that cannot be decided."""
    if begin is None or not readings:
        return readings
    factors = FACTORS[1:] if _leads(readings[0], readings[1:], meter) else FACTORS
    result, last = [], begin
    for reading in readings:
        as_it_is = meter.follows(last, reading) and _fits(reading, begin, stop, meter)
        scaled = [] if as_it_is else [replace(reading, value=reading.value * factor) for factor in factors]
        fitting = [each for each in scaled if meter.follows(last, each) and _fits(each, begin, stop, meter)]
        if not as_it_is and len(fitting) != 1:
            return readings
        last = reading if as_it_is else fitting[0]
        result.append(last)
    if result != readings:
        meter.flags.add(Flag.unit_corrected)
    return result


def _leads(begin: Reading, readings: list[Reading], meter: _Meter) -> bool:
    """Whether the register can have gone from `begin` through all readings."""
    return all(meter.follows(earlier, later) for earlier, later in pairwise([begin, *readings]))


def _fits(reading: Reading, begin: Reading, stop: Reading | None, meter: _Meter) -> bool:
    if not meter.follows(begin, reading):
        return False
    if stop is None or not meter.follows(begin, stop):
        return True
    most = stop.value + _tolerance(stop.value - begin.value)
    return stop.value - meter.reach(reading.at, stop.at) <= reading.value <= most


def _rebased(begin: Reading | None, readings: list[Reading], stop: Reading | None, meter: _Meter) -> list[Reading]:
    """Samples of another basis (lifetime or per session) moved onto that of the start value (R39).

    They stand far from the start value, yet move believably. What was charged before the first and after the last of them
    is known from the stop value and shared by time; without a stop it counts as nothing. A stop value that continues them,
    and not the start value, says that the start value is the odd one: then nothing is moved.
    """
    if begin is None or not readings:
        return readings
    first, last = readings[0], readings[-1]
    near = begin.value - TOLERANCE <= first.value <= begin.value + meter.reach(begin.at, first.at)
    if near or len(readings) == 1 or not _leads(first, readings[1:], meter):
        return readings
    if stop is not None and meter.follows(last, stop) and not meter.follows(begin, stop):
        return readings
    meter.flags.add(Flag.other_basis)
    unseen = NOTHING
    if stop is not None and meter.follows(begin, stop):
        before, after = (max(hours(*gap), NOTHING) for gap in ((begin.at, first.at), (last.at, stop.at)))
        unseen = max((stop.value - begin.value) - (last.value - first.value), NOTHING)
        unseen = unseen * before / (before + after) if before else NOTHING
    return [replace(reading, value=reading.value - first.value + begin.value + unseen) for reading in readings]


def _tolerance(energy: Decimal) -> Decimal:
    return max(TOLERANCE, abs(energy) / 100)


def _steps(begin: Reading | None, readings: list[Reading], stop: Reading | None, meter: _Meter) -> list[Reading]:
    """Wh since the start after each believable value, from the forward steps of the register (R38)."""
    values = [*([begin] if begin else []), *readings]
    if begin is None or stop is None or not meter.follows(begin, stop):
        return _walk([*values, *([stop] if stop else [])], meter, stop)
    walked = _walk(values, meter, None)
    final, seen = stop.value - begin.value, walked[-1].value
    if Flag.register_reset in meter.flags and seen > final + _tolerance(final):
        return _walk([*values, stop], meter, stop)
    missing = final - seen > meter.reach(walked[-1].at, stop.at)
    if missing or seen > final + _tolerance(final):
        meter.flags.add(Flag.samples_conflict)
    return [*(replace(step, value=min(step.value, final)) for step in walked), replace(stop, value=final)]


def _walk(values: list[Reading], meter: _Meter, stop: Reading | None) -> list[Reading]:
    last, energy = values[0], NOTHING
    steps = [replace(last, value=energy)]
    for number, reading in enumerate(values[1:], start=1):
        following = values[number + 1] if number + 1 < len(values) else None
        if meter.follows(last, reading):
            energy += reading.value - last.value
        elif last.value - _tolerance(energy) <= reading.value <= last.value:
            continue
        elif _restarts(last, reading, following, meter):
            meter.flags.add(Flag.register_reset)
            if reading is stop and not energy:
                meter.flags.add(Flag.energy_unknown)
        else:
            meter.flags.add(Flag.energy_implausible if reading is stop else Flag.sample_dropped)
            continue
        last = reading
        steps.append(replace(reading, value=energy))
    return steps


def _restarts(last: Reading, reading: Reading, following: Reading | None, meter: _Meter) -> bool:
    """Whether the register began anew near zero, rather than one value being wrong."""
    if reading.value > meter.reach(last.at, reading.at) or reading.value > last.value / 2:
        return False
    return following is None or not meter.follows(last, following)


def _curve(steps: list[Reading], start: datetime, end: datetime, meter: _Meter) -> Energy:
    """The steps moved into the time of the transaction: what was read up to 5 minutes outside counts at its edge."""
    total = steps[-1].value
    by_time = {start: NOTHING}
    for step in steps:
        at = min(max(step.at, start), end)
        by_time[at] = max(by_time.get(at, NOTHING), step.value)
    by_time[end] = total
    if start < end:
        by_time[start] = NOTHING
    points = tuple(Reading(at, value) for at, value in sorted(by_time.items()))
    return Energy(total, points, frozenset(meter.flags))


def _estimated(samples: list[Sample], start: datetime, end: datetime, meter: _Meter) -> Energy:
    """Without a register: intervals added up, else power over time, both flagged (R40)."""
    steps = _summed(samples, start) or _integrated(samples, start)
    if steps and steps[-1].value <= meter.reach(start, end):
        meter.flags.add(Flag.energy_estimated)
        return _curve(steps, start, end, meter)
    meter.flags.add(Flag.energy_unknown)
    return _curve([Reading(start, NOTHING)], start, end, meter)


def _summed(samples: list[Sample], start: datetime) -> list[Reading]:
    intervals = _series(samples, INTERVAL, "Wh")
    steps, energy = [Reading(start, NOTHING)], NOTHING
    for reading in intervals:
        energy += reading.value
        steps.append(Reading(reading.at, energy))
    return steps if intervals else []


def _integrated(samples: list[Sample], start: datetime) -> list[Reading]:
    powers = _series(samples, POWER, "W")
    steps, energy = [Reading(start, NOTHING)], NOTHING
    for earlier, later in pairwise(powers):
        energy += (earlier.value + later.value) / 2 * hours(earlier.at, later.at)
        steps.append(Reading(later.at, energy))
    return steps if len(powers) > 1 else []


def _series(samples: list[Sample], measurand: str, unit: str) -> list[Reading]:
    totals = (s for s in _of_outlet(samples, measurand, unit) if not s.phase)
    by_time = {s.at: Reading(s.at, s.value) for s in totals if s.value is not None and s.value >= 0}
    return list(by_time.values())
