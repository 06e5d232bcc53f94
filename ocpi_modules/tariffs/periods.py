"""What happened in a session, and where it must be cut so that one price holds in each stretch (T-59)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from ocpi_modules.tariffs.amounts import Unpriceable
from ocpi_modules.tariffs.elements import Dimension, Tariff
from ocpi_modules.tariffs.restrictions import Moment, Restrictions

LONGEST = timedelta(days=366)
MOST_PERIODS = 10_000
MOST_CLOCK_TIMES = 10_000
MOST_LOOKUPS = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PeriodKind(StrEnum):
    """What the time of a period is: PARKING only while the vehicle requests no power (D-43)."""

    CHARGING = "CHARGING"
    PARKING = "PARKING"
    RESERVATION = "RESERVATION"

    @property
    def dimension(self) -> Dimension:
        """The dimension the time of such a period counts for."""
        by_kind = {"CHARGING": Dimension.TIME, "PARKING": Dimension.PARKING_TIME}
        return by_kind.get(self.value, Dimension.RESERVATION_TIME)


@dataclass(frozen=True, slots=True)
class Period:
    """Facts between two aware instants: `energy` in kWh of this period alone, taken as flowing evenly; `power_kw` and
    `current_a` (sum over the phases) as they were throughout. `tariff_id` may be None when there is one tariff."""

    start: datetime
    end: datetime
    energy: Decimal = Decimal(0)
    kind: PeriodKind = PeriodKind.CHARGING
    power_kw: Decimal | None = None
    current_a: Decimal | None = None
    tariff_id: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """An instant (seconds since 1970, exact) and the kWh charged until then."""

    at: Fraction
    energy: Fraction


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of one period in which no restriction can change its answer."""

    period: Period
    tariff: Tariff
    begin: Point
    end: Point
    moment: Moment

    @property
    def hours(self) -> Fraction:
        """Duration in hours."""
        return (self.end.at - self.begin.at) / 3600

    @property
    def energy(self) -> Fraction:
        """Energy in kWh."""
        return self.end.energy - self.begin.energy


def seconds(instant: datetime) -> Fraction:
    """Seconds since 1970, exact to the microsecond."""
    return Fraction((instant - _EPOCH) // _MICROSECOND, 1_000_000)


def instant(at: Fraction) -> datetime:
    """The UTC instant, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=int(at * 1_000_000 // 1))


def check(periods: Sequence[Period]) -> None:
    """Refuse periods that cannot be a session: reservation first, then charging and parking without gap or overlap."""
    if not periods:
        raise Unpriceable("periods is empty, there is nothing to price")
    if len(periods) > MOST_PERIODS:
        raise Unpriceable(f"periods has {len(periods)} entries, at most {MOST_PERIODS} are priced")
    for number, period in enumerate(periods):
        _check_one(period, f"periods[{number}].")
    for number, (earlier, later) in enumerate(pairwise(periods), start=1):
        _check_pair(earlier, later, f"periods[{number}].")
    if periods[-1].end - periods[0].start > LONGEST:
        raise Unpriceable(f"periods span more than {LONGEST.days} days")


def _check_one(period: Period, path: str) -> None:
    if period.start.utcoffset() is None or period.end.utcoffset() is None:
        raise Unpriceable(f"{path}start and end must have a time zone")
    if not 1970 <= period.start.year <= period.end.year < 9000:
        raise Unpriceable(f"{path}start and end must lie between the years 1970 and 9000, start first")
    if period.end < period.start:
        raise Unpriceable(f"{path}end is before its start")
    if not period.energy.is_finite() or period.energy < 0:
        raise Unpriceable(f"{path}energy must be a number of kWh of at least 0, got {period.energy}")
    if period.kind is PeriodKind.RESERVATION and period.energy:
        raise Unpriceable(f"{path}energy must be 0 during a reservation")
    for name in ("power_kw", "current_a"):
        value = getattr(period, name)
        if value is not None and not value.is_finite():
            raise Unpriceable(f"{path}{name} must be a finite number")


def _check_pair(earlier: Period, later: Period, path: str) -> None:
    was, now = earlier.kind is PeriodKind.RESERVATION, later.kind is PeriodKind.RESERVATION
    if now and not was:
        raise Unpriceable(f"{path}kind: a reservation must come before charging")
    if later.start < earlier.end:
        raise Unpriceable(f"{path}start is before the end of the period before it")
    if later.start > earlier.end and was is now:
        raise Unpriceable(f"{path}start leaves a gap to the end of the period before it")


def stretches(periods: Sequence[Period], tariffs: Sequence[Tariff], zone: tzinfo | None) -> list[list[Stretch]]:
    """For each period (with its tariff) its stretches, cut at every clock, duration and kWh limit of that tariff."""
    begun = next((seconds(p.start) for p in periods if p.kind is not PeriodKind.RESERVATION), Fraction(0))
    limits = {
        t.id: _limits(t, periods[0].start, periods[-1].end, begun, zone) for t in {t.id: t for t in tariffs}.values()
    }
    result: list[list[Stretch]] = []
    energy, left = Fraction(0), MOST_LOOKUPS
    for period, tariff in zip(periods, tariffs, strict=True):
        start = Point(seconds(period.start), energy)
        energy += Fraction(period.energy)
        end = Point(seconds(period.end), energy)
        points = [start, *_cuts(start, end, limits[tariff.id]), end]
        left -= len(points) * len(tariff.elements)
        if left < 0:
            raise Unpriceable("elements: too many for a session with so many periods and changes of price")
        moments = ((a, b, _moment(period, a, begun, zone)) for a, b in pairwise(points))
        result.append([Stretch(period, tariff, a, b, moment) for a, b, moment in moments])
    return result


def _moment(period: Period, point: Point, begun: Fraction, zone: tzinfo | None) -> Moment:
    local = None if zone is None else instant(point.at).astimezone(zone).replace(tzinfo=None)
    return Moment(point.energy, point.at - begun, local, period.power_kw, period.current_a)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a tariff may change its price, sorted: instants (seconds since 1970) and kWh."""

    instants: Sequence[Fraction]
    energies: Sequence[Fraction]


def _limits(tariff: Tariff, start: datetime, end: datetime, begun: Fraction, zone: tzinfo | None) -> Limits:
    restrictions = [element.restrictions for element in tariff.elements]
    durations = {begun + d for r in restrictions for d in (r.min_duration, r.max_duration) if d is not None}
    energies = {kwh for r in restrictions for kwh in (r.min_kwh, r.max_kwh) if kwh is not None}
    return Limits(sorted(durations | _walls(restrictions, start, end, zone)), sorted(energies))


def _cuts(start: Point, end: Point, limits: Limits) -> list[Point]:
    """The points strictly between; there time and energy grow together."""
    lasts, energy = end.at - start.at, end.energy - start.energy
    shares = {(at - start.at) / lasts for at in _between(limits.instants, start.at, end.at)}
    shares |= {(kwh - start.energy) / energy for kwh in _between(limits.energies, start.energy, end.energy)}
    return [Point(start.at + share * lasts, start.energy + share * energy) for share in sorted(shares)]


def _between(values: Sequence[Fraction], low: Fraction, high: Fraction) -> Sequence[Fraction]:
    return values[bisect_right(values, low) : bisect_left(values, high)]


def _walls(restrictions: list[Restrictions], start: datetime, end: datetime, zone: tzinfo | None) -> set[Fraction]:
    """Every instant at which a local clock restriction may change: the times named, midnight, and clock changes."""
    if zone is None or not any(r.local for r in restrictions):
        return set()
    times = {t for r in restrictions for t in (r.start_time, r.end_time) if t is not None} | {time(0)}
    first = start.astimezone(zone).date() - timedelta(days=2)
    days = (end.astimezone(zone).date() - first).days + 2
    if days * len(times) > MOST_CLOCK_TIMES:
        raise Unpriceable("elements: too many times of day for so long a session")
    instants = {x for n in range(days) for x in _of_day(first + timedelta(days=n), times, zone)}
    return {seconds(x) for x in instants if start < x < end}


def _of_day(day: date, times: set[time], zone: tzinfo) -> Iterator[datetime]:
    for clock in times:
        for fold in (0, 1):
            yield datetime.combine(day, clock).replace(tzinfo=zone, fold=fold).astimezone(UTC)
    noon = datetime.combine(day, time(12), UTC)
    yield from _clock_changes(noon, noon + timedelta(days=1), zone)


def _clock_changes(before: datetime, after: datetime, zone: tzinfo) -> Iterator[datetime]:
    """The instant between the two (UTC, whole seconds) at which the offset from UTC changes, if it does."""
    old = before.astimezone(zone).utcoffset()
    if old == after.astimezone(zone).utcoffset():
        return
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    yield after
