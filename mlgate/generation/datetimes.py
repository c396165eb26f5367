"""Domains of points in time. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np

from mlgate.generation.domain import ValueDomain, distinct
from mlgate.generation.number import Numbers

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (MLflow refuses times with a zone)
_DAY = 86_400
# Where nothing is known: within reach of any calendar, with the leap days of 2000 and 2024.
_FIRST, _LAST = "2000-01-01T00:00:00", "2031-12-31T23:59:59"
# numpy's nanoseconds, which MLflow converts to, end in 1677 and 2262.
FIRST_POSSIBLE, LAST_POSSIBLE = "1677-09-22T00:00:00", "2262-04-11T00:00:00"
_MARKS = ("1970-01-01T00:00:00", "2000-02-29T00:00:00", "2024-02-29T23:59:59", "2023-12-31T23:59:59", "2024-01-01T00:00:00")  # fmt: skip


def moment(text: object) -> datetime | None:
    """Return ISO 8601 text as a time without a zone (in UTC where it had one), or `None` where it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatetimeDomain(ValueDomain):
    """Times from *low* to *high*, all spelled alike: pandas reads a column in the format of its first value.

    Attributes:
        low: Earliest, in *unit* since 1970.
        high: Latest.
        grid: Times are whole multiples of it, in *unit*: a day where all known times are dates.
        unit: `s` or `us`.
    """

    low: float
    high: float
    grid: int = 1
    unit: str = "s"

    @property
    def edges(self) -> Sequence[Any]:
        """Both ends, their neighbours, leap days, the turn of a year."""
        ends = np.array([self.low, self.high, self.low + self.grid, self.high - self.grid])
        inside = self.listed(ends[(ends >= self.low) & (ends <= self.high)])
        return distinct([*inside, *(mark for mark in map(self.spelled, _MARKS) if self.valid(mark))])

    def valid(self, value: Any) -> bool:
        """Whether it is a time inside, spelled as all others."""
        found = moment(value)
        if found is None or value != self.spelled(value):
            return False
        number = self._number(found)
        return self.low <= number <= self.high and number % self.grid == 0

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw uniformly."""
        first, last = int(self.low) // self.grid, int(self.high) // self.grid
        return self._texts(rng.integers(first, last, n, endpoint=True) * self.grid)

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield the year, the month and the day of it."""
        found = moment(value) or _EPOCH
        day = found.replace(hour=0, minute=0, second=0, microsecond=0)
        for time in (day.replace(month=1, day=1), day.replace(day=1), day, found.replace(second=0, microsecond=0)):
            yield self._text(time)

    def spelled(self, value: Any) -> Any:
        """Return a time in this column's one format."""
        found = moment(value)
        return value if found is None else self._text(found)

    @property
    def second(self) -> int:
        """One second, in *unit*."""
        return 10**6 if self.unit == "us" else 1

    def finer(self) -> "DatetimeDomain":
        """Return the same times in microseconds, to be compared with a column that has such."""
        if self.unit == "us":
            return self
        finer = replace(self, unit="us", low=self.low * 10**6, high=self.high * 10**6, grid=self.grid * 10**6)
        return replace(finer, default=finer.spelled(self.default))

    def narrowed(self, low: float, high: float) -> Self | None:
        """Return the part from *low* to *high*, or `None` where that holds no time."""
        first, last = (
            max(np.ceil(low / self.grid) * self.grid, self.low),
            min(np.floor(high / self.grid) * self.grid, self.high),
        )
        if first > last:
            return None
        default = float(np.clip(self.numbers([self.default])[0], first, last))
        return replace(self, low=float(first), high=float(last), default=self.listed(np.array([default]))[0])

    def numbers(self, values: Sequence[Any]) -> Numbers:
        """Return times as numbers, null as NaN."""
        times = np.array(
            [np.datetime64("NaT") if value is None else value for value in values], dtype=f"datetime64[{self.unit}]"
        )
        return np.where(np.isnat(times), np.nan, times.astype(np.int64).astype(np.float64))

    def listed(self, numbers: Numbers) -> list[Any]:
        """Return numbers as times."""
        return self._texts(numbers.astype(np.int64))

    def raised(self, numbers: Numbers, floor: Numbers) -> Numbers:
        """Return *numbers* with those below their *floor* moved between it and the upper end."""
        width = max(self.high - self.low, 1)
        moved = floor + (numbers - self.low) / width * (self.high - floor)
        moved = np.clip(np.ceil(moved / self.grid) * self.grid, None, self.high)
        return np.where(numbers < floor, moved, numbers)

    def _number(self, time: datetime) -> int:
        return (time - _EPOCH) // timedelta(**{"seconds" if self.unit == "s" else "microseconds": 1})

    def _text(self, time: datetime) -> str:
        return time.isoformat(timespec="seconds" if self.unit == "s" else "microseconds")

    def _texts(self, numbers: "np.ndarray[Any, np.dtype[np.int64]]") -> list[Any]:
        texts: list[Any] = numbers.astype(f"datetime64[{self.unit}]").astype(str).tolist()
        return texts


def datetime_domain(
    name: str | int | None, *, after: str | None = None, before: str | None = None, seen: Iterable[Any] = ()
) -> DatetimeDomain | None:
    """Return the domain of a time: declared bounds, else what was seen with its range widened once, else 2000 to 2031.

    Args:
        name: The column's.
        after: Earliest, ISO 8601.
        before: Latest; a date without a time means all of that day.
        seen: Values of known rows; the first is the default.

    Returns:
        `None` where no time lies between the bounds.
    """
    times = [time for time in map(moment, seen) if time is not None]
    days = bool(times) and all(time == time.replace(hour=0, minute=0, second=0, microsecond=0) for time in times)
    everything = every_time(name, times)
    grid = _DAY * everything.second if days else 1
    low, high = _range(everything, times, after, before)
    first = everything.low + -everything.low % grid
    wide = replace(everything, grid=grid, low=first, high=everything.high // grid * grid)
    # The middle where nothing is known; it has to be on the grid before the domain is cut to the bounds.
    middle = np.clip((low + high) // 2, first, wide.high) // grid * grid
    default = everything.spelled(times[0].isoformat()) if times else wide.listed(np.array([middle]))[0]
    return replace(wide, default=default).narrowed(low, high)


def every_time(name: str | int | None, seen: Iterable[datetime] = ()) -> DatetimeDomain:
    """Return the domain of all times that MLflow takes, as fine as the *seen* ones are."""
    fine = any(time.microsecond for time in seen)
    blank = DatetimeDomain(name=name, low=0, high=0, unit="us" if fine else "s", default=FIRST_POSSIBLE)
    first, last = blank.numbers([FIRST_POSSIBLE, LAST_POSSIBLE]).tolist()
    return replace(blank, low=first, high=last, default=blank.spelled(FIRST_POSSIBLE))


def _range(
    domain: DatetimeDomain, seen: Sequence[datetime], after: str | None, before: str | None
) -> tuple[float, float]:
    ends = [_time(_FIRST), _time(_LAST)]
    low, high = (float(domain._number(time)) for time in ends)  # noqa: SLF001  (the same module's)
    if seen:
        numbers = [domain._number(time) for time in seen]  # noqa: SLF001  (as above)
        year = 365 * _DAY * domain.second
        width = max(numbers) - min(numbers) or year  # one value shows no range
        low, high = min(numbers) - width, max(numbers) + width
    span = high - low
    least = None if after is None else domain._number(_time(after))  # noqa: SLF001  (as above)
    most = None if before is None else domain._number(_end(before))  # noqa: SLF001  (as above)
    low, high = low if least is None else least, high if most is None else most
    if low > high and least is not None:
        high = low + span if most is None else high
    elif low > high:
        low = high - span
    return low, high


def _end(text: str) -> datetime:
    date_only = len(text) <= len("2024-01-01")
    return _time(text) + (timedelta(days=1, microseconds=-1) if date_only else timedelta())


def _time(text: str) -> datetime:
    found = moment(text)
    if found is None:
        raise ValueError(f"'{text}' is no ISO 8601 date")
    return found
