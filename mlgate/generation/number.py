"""Domains of numbers: MLflow's four column types, and the elements of tensors. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Self, TypeGuard

import numpy as np
import numpy.typing as npt

from mlgate.artifacts.signature import DataType
from mlgate.generation.domain import ValueDomain, distinct

# Where nothing is known of a column: a healthy scikit-learn forest raises on 3.5e38, so the dtype's edge is no domain.
UNKNOWN_RANGE = 1e6
# What a double's known rows may show: the width of a range beyond it would have no end.
_LARGEST_SEEN = 1e300
# Fewer equal values than these do not show that a column is constant; the logged example often has one row.
_SHOWS_A_CONSTANT = 30
_DTYPES = {
    DataType.INTEGER: "int32",
    DataType.LONG: "int64",
    DataType.FLOAT: "float32",
    DataType.DOUBLE: "float64",
}
_LARGEST_FLOAT = float(np.finfo(np.float64).max)
_JSON_EDGE = 2**53 - 1  # what a JSON number carries without loss
# np.round multiplies by ten to that; a double has no more digits anyway.
_MOST_DIGITS = 15
Numbers = npt.NDArray[np.float64]


def limits(dtype: str) -> tuple[float, float]:
    """Return the smallest and largest finite number of a numpy dtype that JSON carries without loss."""
    if "int" not in dtype:
        most = float(np.finfo(dtype).max)
        return -most, most
    info = np.iinfo(dtype)
    # -2^31 and -2^53 are left out: a reader that takes the absolute value overflows, and no input is lost by it.
    return max(int(info.min) + (info.min < 0), -_JSON_EDGE), min(int(info.max), _JSON_EDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberDomain(ValueDomain):
    """Finite numbers from *low* to *high*, representable in *dtype*.

    Attributes:
        dtype: numpy's name.
        low: Smallest valid number; valid itself.
        high: Largest valid number; valid itself.
        step: Valid are *base* plus its multiples; `None` for all.
        base: See *step*.
    """

    dtype: str
    low: float
    high: float
    step: float | None = None
    base: float = 0

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return "int" in self.dtype

    @property
    def edges(self) -> Sequence[Any]:
        """Both ends, their neighbours, the middle, and what is near zero."""
        middle = _middle(self.low, self.high)
        numbers = [self.low, self.high, 0, 1, -1, middle, *self._neighbours()]
        numbers += [] if self.whole else [1e-9, -1e-9]
        return distinct(
            self._json(number)
            for number in self._snapped(np.array(numbers, dtype=np.float64))
            if self.valid(self._json(number))
        )

    def valid(self, value: Any) -> bool:
        """Whether it is a finite number inside, of the right type and on the grid."""
        if not _is_number(value, whole=self.whole) or not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.base) / self.step
        return abs(steps - round(steps)) <= self.slack(steps)

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw uniformly."""
        if self.whole and self.step is None:
            values: list[Any] = rng.integers(int(self.low), int(self.high), n, endpoint=True).tolist()
            return values
        if self.step is not None:
            return self.listed(self._at(rng.integers(*self._ends(), n, endpoint=True).astype(np.float64)))
        # Not rng.uniform: the width of [-1.7e308, 1.7e308] is more than a double holds.
        share = rng.random(n)
        return self.listed(np.clip(self.low * (1 - share) + self.high * share, self.low, self.high))

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield zero, one, and fewer digits."""
        for number in (0.0, 1.0, float(round(value)), round(value, 1), round(value, 3)):
            yield self._json(number)

    def spelled(self, value: Any) -> Any:
        """Return the number in the type of the column."""
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= _LARGEST_SEEN:
            return value
        if self.whole:
            return int(value) if value == math.floor(value) else value
        with np.errstate(over="ignore"):
            return float(np.dtype(self.dtype).type(value))

    def narrowed(self, low: float, high: float, *, exact: bool = False) -> Self | None:
        """Return the part from *low* to *high*, or `None` where that holds no number of this domain.

        Args:
            low: Smallest.
            high: Largest.
            exact: Bounds are met to the last digit; else as declared decimal numbers are.
        """
        low = _bound(self, max(low, self.low), up=True, exact=exact)
        high = _bound(self, min(high, self.high), up=False, exact=exact)
        if low > high:
            return None
        default = self._json(min(max(self.default, low), high))
        return replace(self, low=low, high=high, default=default if self.valid(default) else self._json(low))

    def numbers(self, values: Sequence[Any]) -> Numbers:
        """Return *values* as an array, null as NaN."""
        return np.array(values, dtype=np.float64)  # numpy reads None as NaN

    def listed(self, numbers: Numbers) -> list[Any]:
        """Return *numbers*, inside already, as valid values."""
        snapped = self._snapped(numbers)
        listed: list[Any] = (snapped.astype(np.int64) if self.whole else snapped).tolist()
        return listed

    def raised(self, numbers: Numbers, floor: Numbers) -> Numbers:
        """Return *numbers* with those below their *floor* moved between it and the upper end, in their order.

        Some valid number at or above each floor must exist.
        """
        width = self.high - self.low
        share = (numbers - self.low) / width if width > 0 else np.zeros_like(numbers)
        below = numbers < floor
        with np.errstate(over="ignore", invalid="ignore"):
            moved = (floor + share * (self.high - floor))[below]
        moved = np.where(np.isfinite(moved), moved, floor[below])  # the width of all doubles is more than a double
        raised = numbers.copy()
        exact = [_bound(self, number, up=True, exact=True) for number in moved.tolist()]
        raised[below] = np.clip(exact, None, self.high)
        return raised

    def on_step(self, steps: int) -> float:
        """Return the number that many steps from the base, as the type holds it."""
        return self._json(float(self._at(np.array(float(steps)))))

    def slack(self, steps: float) -> float:
        """Return how far from a whole number of steps a number on the grid may be: a float32 holds seven digits."""
        return max(1.0, abs(steps), abs(self.base / (self.step or 1))) * (2e-7 if self.dtype == "float32" else 1e-9)

    def _snapped(self, numbers: Numbers) -> Numbers:
        if self.step is not None:
            steps = np.clip(np.round((numbers - self.base) / self.step), *self._ends())
            numbers = self._at(steps)
        if self.whole:
            return np.round(numbers)
        return numbers.astype(self.dtype).astype(np.float64)

    def _ends(self) -> tuple[int, int]:
        step = self.step or 1.0
        return round((self.low - self.base) / step), round((self.high - self.base) / step)

    def _at(self, steps: Numbers) -> Numbers:
        # 3 * 0.1 is 0.30000000000000004, and nobody's declared value.
        digits = max(_digits(self.step or 1), _digits(self.base))
        numbers = self.base + steps * (self.step or 1)
        return np.round(numbers, digits) if digits <= _MOST_DIGITS else numbers

    def _neighbours(self) -> list[float]:
        step = self.step or 1
        if self.whole or self.step is not None:
            return [self.low + step, self.high - step]
        kind = np.dtype(self.dtype).type
        up, down = np.nextafter(kind(self.low), kind(np.inf)), np.nextafter(kind(self.high), kind(-np.inf))
        return [float(up), float(down)]

    def _json(self, number: float) -> int | float:
        if self.whole:
            return int(number)
        return float(np.dtype(self.dtype).type(number))


def _bound(domain: NumberDomain, number: float, *, up: bool, exact: bool = False) -> float:
    """Return the nearest number of the domain's grid at or beyond *number*; may lie outside its ends.

    Args:
        domain: Says the grid.
        number: Any.
        up: Whether the number above is looked for; else the one below.
        exact: Else a declared 0.3 is three steps of 0.1, though the floats differ.
    """
    if domain.step is None:
        if domain.whole:
            return math.ceil(number) if up else math.floor(number)
        return representable(domain.dtype, number, up=up)
    if not math.isfinite(number):
        return number
    steps = (number - domain.base) / domain.step
    found = domain.on_step(round(steps))
    room = 0.0 if exact else domain.slack(steps) * domain.step
    if up and found < number - room:
        return domain.on_step(round(steps) + 1)
    return domain.on_step(round(steps) - 1) if not up and found > number + room else found


def _digits(number: float) -> int:
    exponent = Decimal(str(float(number))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def representable(dtype: str, number: float, *, up: bool) -> float:
    """Return the nearest number of a float dtype at or above (else below) *number*."""
    kind = np.dtype(dtype).type
    with np.errstate(over="ignore"):
        near = kind(number)
    if up and float(near) < number:
        near = np.nextafter(near, kind(np.inf))
    elif not up and float(near) > number:
        near = np.nextafter(near, kind(-np.inf))
    return float(near)


def number_domain(
    name: str | int | None,
    kind: DataType | str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    seen: Sequence[Any] = (),
) -> NumberDomain | None:
    """Return the domain of a number: declared bounds, else what was seen with its range widened once, else a million.

    Args:
        name: The column's.
        kind: Column type, or numpy's name of a tensor's dtype.
        low: Declared smallest; `None` where there is none.
        high: Declared largest.
        step: Declared grid: *low*, or zero, plus multiples of it.
        seen: Values of known rows; what is no number of this type says nothing. The first is the default.

    Returns:
        `None` where no number of that type lies between the bounds.
    """
    domain = replace(every_number(name, kind), step=step, base=0 if low is None else low)
    numbers = [value for value in map(domain.spelled, seen) if _is_seen(value, domain)]
    least, most = _range(low, high, numbers)
    inside = [number for number in numbers[:1] if least <= number <= most]
    middle = _middle(max(least, domain.low), min(most, domain.high))
    return replace(domain, default=inside[0] if inside else middle).narrowed(least, most)


def every_number(name: str | int | None, kind: DataType | str) -> NumberDomain:
    """Return the domain of all finite numbers of a type."""
    dtype = _DTYPES[kind] if isinstance(kind, DataType) else kind
    low, high = limits(dtype)
    return NumberDomain(name=name, dtype=dtype, low=low, high=high, default=0 if "int" in dtype else 0.0)


def _range(low: float | None, high: float | None, seen: Sequence[float]) -> tuple[float, float]:
    least, most = -UNKNOWN_RANGE, UNKNOWN_RANGE
    if seen:
        width = max(seen) - min(seen)
        if width == 0 and len(seen) < _SHOWS_A_CONSTANT:
            width = abs(seen[0]) or 1  # one value shows no range, and its sign
        least, most = min(seen) - width, max(seen) + width
    span = most - least
    least, most = least if low is None else low, most if high is None else high
    # One declared bound beyond everything seen: the other follows it, or every value would be against the rule.
    if least > most and low is not None:
        most = least + span
    elif least > most:
        least = most - span
    return least, most


def _middle(low: float, high: float) -> float:
    return low + (high - low) / 2 if math.isfinite(high - low) else 0.0


def _is_seen(value: Any, domain: NumberDomain) -> TypeGuard[float]:
    return _is_number(value, whole=domain.whole) and domain.low <= value <= domain.high and abs(value) <= _LARGEST_SEEN


def _is_number(value: Any, *, whole: bool) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return False
    return abs(value) <= _LARGEST_FLOAT  # not math.isfinite: an int of 400 digits is no float
