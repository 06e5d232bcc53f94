"""When a Tariff Element is active (mod_tariffs TariffRestrictions, T-24 to T-37).

Every limit is half-open: min and start include the value, max and end exclude it. So a restriction's answer can only
change at a cut point, and asking at the start of a stretch without cut points answers for the whole stretch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from ocpi_modules.tariffs.amounts import Unpriceable
from ocpi_modules.tariffs.reading import Json, exact, read_number, read_pattern, read_whole

DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
LOCAL = ("start_time", "end_time", "start_date", "end_date", "day_of_week")
USAGE = ("min_kwh", "max_kwh", "min_current", "max_current", "min_power", "max_power", "min_duration", "max_duration")


class Reservation(StrEnum):
    """ReservationRestrictionType."""

    RESERVATION = "RESERVATION"
    RESERVATION_EXPIRES = "RESERVATION_EXPIRES"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is true at one instant: kWh and seconds since charging began, local wall clock, momentary power (kW) and
    current (A, summed over the phases). None is unknown."""

    energy: Fraction
    duration: Fraction
    local: datetime | None
    power: Decimal | None
    current: Decimal | None


@dataclass(frozen=True, slots=True)
class Restrictions:
    """TariffRestrictions in comparable types. `day_of_week` holds 0 (Monday) to 6; empty is every day."""

    path: str
    start_time: time | None = None
    end_time: time | None = None
    start_date: date | None = None
    end_date: date | None = None
    min_kwh: Fraction | None = None
    max_kwh: Fraction | None = None
    min_current: Decimal | None = None
    max_current: Decimal | None = None
    min_power: Decimal | None = None
    max_power: Decimal | None = None
    min_duration: int | None = None
    max_duration: int | None = None
    day_of_week: frozenset[int] = frozenset()
    reservation: Reservation | None = None

    @classmethod
    def from_ocpi(cls, json: Json, path: str) -> "Restrictions":
        """Read a TariffRestrictions object; a member that is not known here could change the price: Unpriceable."""
        known = {field.name for field in fields(cls)} - {"path"}
        for key, value in json.items():
            if key not in known and value is not None:
                raise Unpriceable(f"{path}{key} is not a known restriction")
        return cls(
            path,
            start_time=read_pattern(json, "start_time", path, _clock, "HH:MM"),
            end_time=read_pattern(json, "end_time", path, _clock, "HH:MM"),
            start_date=read_pattern(json, "start_date", path, _date, "YYYY-MM-DD"),
            end_date=read_pattern(json, "end_date", path, _date, "YYYY-MM-DD"),
            min_kwh=exact(read_number(json, "min_kwh", path)),
            max_kwh=exact(read_number(json, "max_kwh", path)),
            min_current=read_number(json, "min_current", path),
            max_current=read_number(json, "max_current", path),
            min_power=read_number(json, "min_power", path),
            max_power=read_number(json, "max_power", path),
            min_duration=read_whole(json, "min_duration", path),
            max_duration=read_whole(json, "max_duration", path),
            day_of_week=_days(json, path),
            reservation=_reservation(json, path),
        )

    @property
    def local(self) -> bool:
        """Whether the answer depends on the wall clock of the Location."""
        return bool(self.names(LOCAL))

    def names(self, among: Iterable[str]) -> list[str]:
        """Those of the given restrictions that are set, with their path."""
        return [self.path + name for name in among if getattr(self, name) not in (None, frozenset())]

    def match(self, moment: Moment) -> bool:
        """Whether all restrictions hold (AND, T-21). Unpriceable when only an unknown value could tell."""
        if not (
            _within(moment.energy, self.min_kwh, self.max_kwh)
            and _within(moment.duration, self.min_duration, self.max_duration)
        ):
            return False
        unknown: list[str] = []
        for value, names, holds in (
            (moment.power, ("min_power", "max_power"), self._match_power),
            (moment.current, ("min_current", "max_current"), self._match_current),
            (moment.local, LOCAL, self._match_local),
        ):
            named = self.names(names)
            if named and value is None:
                unknown += named
            elif named and not holds(moment):
                return False
        if unknown:
            raise Unpriceable(f"{', '.join(unknown)}: cannot be judged, {_missing(unknown)}")
        return True

    def _match_power(self, moment: Moment) -> bool:
        return moment.power is not None and _within(moment.power, self.min_power, self.max_power)

    def _match_current(self, moment: Moment) -> bool:
        return moment.current is not None and _within(moment.current, self.min_current, self.max_current)

    def _match_local(self, moment: Moment) -> bool:
        """Dates and days are those of the instant itself, also after midnight in a wrapped window (T-35)."""
        if moment.local is None:
            return False
        today = moment.local.date()
        return (
            _within(today, self.start_date, self.end_date)
            and (not self.day_of_week or today.weekday() in self.day_of_week)
            and self._match_clock(moment.local.time())
        )

    def _match_clock(self, now: time) -> bool:
        """00:00 as end is the end of the day; end before start wraps; equal is the whole day (T-24, T-36)."""
        start, end = self.start_time or time(0), self.end_time or time(0)
        if start == end:
            return True
        return start <= now < end if start < end else now >= start or now < end


def _within(value: object, least: object | None, below: object | None) -> bool:
    return (least is None or value >= least) and (below is None or value < below)  # type: ignore[operator]


def _missing(unknown: list[str]) -> str:
    ends = [name.rpartition(".")[2] for name in unknown]
    needs = {
        "the time_zone of the Location": any(name in LOCAL for name in ends),
        "the momentary power of the period": any(name.endswith("power") for name in ends),
        "the momentary current of the period": any(name.endswith("current") for name in ends),
    }
    return " and ".join(need for need, needed in needs.items() if needed) + " is not known"


def _clock(text: str) -> time:
    if text[2] != ":" or not (text[:2] + text[3:]).isdecimal():
        raise ValueError(text)
    return time(int(text[:2]), int(text[3:]))


def _date(text: str) -> date:
    if text[4] != "-" or text[7] != "-":
        raise ValueError(text)
    return date.fromisoformat(text)


def _days(json: Json, path: str) -> frozenset[int]:
    names = json.get("day_of_week") or ()
    if not isinstance(names, list | tuple) or any(name not in DAYS for name in names):
        raise Unpriceable(f"{path}day_of_week must be a list of MONDAY to SUNDAY, got {names!r}")
    return frozenset(DAYS.index(name) for name in names)


def _reservation(json: Json, path: str) -> Reservation | None:
    value = json.get("reservation")
    if value is not None and value not in tuple(Reservation):
        raise Unpriceable(f"{path}reservation must be RESERVATION or RESERVATION_EXPIRES, got {value!r}")
    return None if value is None else Reservation(value)
