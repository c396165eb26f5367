"""The section `properties` of `mlgate.yaml`: what the signature can not say about inputs, and what must hold for all of them."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlgate.policy_section import Section, Share

Plain = str | int | float | bool
# `start <= end`: two columns, or parts of the same kind.
ORDER = re.compile(r"\s*(?P<first>[^<>=]+?)\s*(?P<sign><=|<)\s*(?P<second>[^<>=]+?)\s*")


class InputRule(Section):
    """What the signature can not say about one input column."""

    min: float | None = None
    max: float | None = None
    step: float | None = Field(default=None, gt=0, description="values are min plus a multiple of it")
    values: tuple[Plain, ...] | None = Field(default=None, strict=False)
    pattern: str | None = Field(default=None, description="regular expression that the whole text matches")
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    after: str | None = Field(default=None, description="earliest date, ISO 8601")
    before: str | None = Field(default=None, description="latest date, ISO 8601")
    nullable: bool | None = Field(default=None, description="default: as the signature says")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        others = {name for name in type(self).model_fields if name not in {"values", "nullable"}}
        if self.values is not None and (not self.values or any(getattr(self, name) is not None for name in others)):
            raise ValueError("values must be a list with at least one value, and stands alone")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no input could be generated")
        return self


class OutputRule(Section):
    """What every answer keeps to: a range, labels, or probabilities that sum to 1."""

    min: float | None = None
    max: float | None = None
    labels: tuple[Plain, ...] | None = Field(default=None, strict=False)
    simplex: bool = Field(default=False, description="an array of numbers from 0 to 1 that sum to 1")
    place: str | int | None = Field(default=None, description="output column or index; default: every one")

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [self.min is not None or self.max is not None, self.labels is not None, self.simplex]
        if sum(asked) != 1 or self.labels == ():
            raise ValueError("give min and max, or labels, or simplex: true")
        return self


class UnitChange(Section):
    """A change of units that must not change the answer: `{multiply: {distance: 0.621371}, set: {unit: mi}, where: {unit: km}}`."""

    multiply: dict[str, float] = Field(min_length=1)
    set_: dict[str, Plain] = Field(default_factory=dict, alias="set")
    where: dict[str, Plain] = Field(default_factory=dict, description="rows that it starts from have these values")


class Properties(Section):
    """The property suite."""

    examples: int = Field(default=500, ge=20, le=1_000_000, description="rows generated per property")
    inputs: dict[str, InputRule] = Field(default_factory=dict)
    order: tuple[str, ...] = Field(default=(), strict=False, description="relations between inputs: start <= end")
    output: OutputRule | None = None
    tolerance: float | None = Field(default=None, ge=0, description="default: 1e-6 for double, 1e-4 for float")
    tolerate: Share | None = Field(
        default=None, gt=0, lt=1, description="share of rows that may break a property; default: none may"
    )
    invariant_to: tuple[str, ...] = Field(default=(), strict=False, description="columns that no answer depends on")
    monotonic: dict[str, Literal["increasing", "decreasing"]] = Field(default_factory=dict)
    symmetric: tuple[Annotated[tuple[str, str], Field(strict=False)], ...] = Field(
        default=(), strict=False, description="pairs of columns that may be swapped"
    )
    scale: tuple[UnitChange, ...] = Field(default=(), strict=False, description="unit changes that keep the answer")
    unseen_category: Literal["any", "answer", "refuse"] = Field(
        default="any", description="what a value that no known row has may get: an answer, a clean 4xx, or either"
    )
    regressions: str | None = Field(default=None, description="folder of saved failures, tried again at every run")

    def checks(self) -> tuple[str, ...]:
        """Return the ids that must be in the evidence."""
        return ("properties.total", "properties.deterministic", "properties.batch")
