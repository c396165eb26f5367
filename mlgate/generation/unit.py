"""A column of numbers in two units: those of its values that are valid in both. Pure."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlgate.errors import PolicyError
from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.number import NumberDomain

_NEAR = 1e-9  # relative: a listed value is met by a product that has lost a few digits


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledColumn:
    """A column whose unit changes.

    Attributes:
        start: Values that are valid before and after.
        factor: What they are multiplied by.
        shift: What is added then.
        whole: The domain of the column, for the values after.
    """

    start: ValueDomain
    factor: float
    shift: float
    whole: NumberDomain | ChoiceDomain

    def end(self, value: Any) -> Any:
        """Return a value of *start* in the other unit."""
        number = value * self.factor + self.shift
        if isinstance(self.whole, ChoiceDomain):
            return min(self.whole.values, key=lambda listed: abs(listed - number))
        # Rounding may carry an end of the range an ulp beyond it.
        inside = np.clip(np.array([number], dtype=np.float64), self.whole.low, self.whole.high)
        return self.whole.listed(inside)[0]


def scaled_column(domain: ValueDomain, factor: float, shift: float, *, place: str) -> ScaledColumn:
    """Return the column's values that are valid in both units.

    Args:
        domain: Of the column.
        factor: Not zero.
        shift: Added after multiplying.
        place: Key of the policy, for the message.

    Raises:
        PolicyError: It holds no numbers, or none that is valid in both.
    """
    if isinstance(domain, ChoiceDomain) and domain.ranks is not None and not isinstance(domain.values[0], str):
        return _listed(domain, factor, shift, place)
    if not isinstance(domain, NumberDomain):
        raise PolicyError(f"{place}: '{domain.name}' holds no numbers")
    _check_grid(domain, factor, shift, place)
    ends = sorted(((domain.low - shift) / factor, (domain.high - shift) / factor))
    start = domain.narrowed(max(ends[0], domain.low), min(ends[1], domain.high)) if _meet(domain, ends) else None
    if start is None:
        raise _nothing(domain, place)
    return ScaledColumn(start=start, factor=factor, shift=shift, whole=domain)


def _meet(domain: NumberDomain, ends: list[float]) -> bool:
    return max(ends[0], domain.low) <= min(ends[1], domain.high)


def _listed(domain: ChoiceDomain, factor: float, shift: float, place: str) -> ScaledColumn:
    def is_listed(number: float) -> bool:
        return any(abs(number - other) <= _NEAR * max(1.0, abs(other)) for other in domain.values)

    kept = [n for n, value in enumerate(domain.values) if is_listed(value * factor + shift)]
    if not kept:
        raise _nothing(domain, place)
    values, ranks = (tuple(each[n] for n in kept) for each in (domain.values, domain.ranks or ()))
    default = domain.default if domain.default in values else values[0]
    start = replace(domain, values=values, ranks=ranks, default=default)
    return ScaledColumn(start=start, factor=factor, shift=shift, whole=domain)


def _check_grid(domain: NumberDomain, factor: float, shift: float, place: str) -> None:
    step = domain.step or (1.0 if domain.whole else None)
    if step is None:
        return
    moved = factor * domain.base + shift - domain.base
    if not (
        float(factor).is_integer() and abs(moved / step - round(moved / step)) <= _NEAR * max(1.0, abs(moved / step))
    ):
        what = f"steps of {step:g}" if domain.step else "whole numbers"
        raise PolicyError(f"{place}: '{domain.name}' holds {what}, and not every one of them is one in the other unit")


def _nothing(domain: ValueDomain, place: str) -> PolicyError:
    return PolicyError(
        f"{place}: no value of '{domain.name}' is valid in both units", hint="widen its properties.inputs"
    )
