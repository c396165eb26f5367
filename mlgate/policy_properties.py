"""The section `properties` of `mlgate.yaml`: what the signature can not say about inputs, and what must hold for all of them."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mlgate.check_id import format_check_id
from mlgate.generation.relation import parse_order
from mlgate.policy_section import Section, Share
from mlgate.quantities import format_share
from mlgate.statistics.shares import requests_needed

# Confidence of the bound on the share of rows that break a property.
TOLERATED_AT = 0.95
Plain = str | int | float | bool


def _as_text(value: Any) -> Any:
    """Return a date as text: YAML makes dates of what looks like one and has no quotes."""
    return value.isoformat() if isinstance(value, date) else value


Moment = Annotated[str, BeforeValidator(_as_text)]


class InputRule(Section):
    """What the signature can not say about one input column."""

    min: float | None = Field(default=None, description="smallest number; of an array or a tensor: of its elements")
    max: float | None = Field(default=None, description="largest number")
    step: float | None = Field(default=None, gt=0, description="values are min (else 0) plus a multiple of it")
    values: tuple[Plain, ...] | None = Field(default=None, strict=False, description="all values that are valid")
    pattern: str | None = Field(default=None, description="regular expression that the whole text matches")
    min_length: int | None = Field(
        default=None, ge=0, description="of a text (code points), bytes, an array, a map, a tensor's open axes"
    )
    max_length: int | None = Field(default=None, ge=0, le=1_000_000)
    after: Moment | None = Field(default=None, description="earliest date or time, ISO 8601")
    before: Moment | None = Field(
        default=None, description="latest date or time, ISO 8601; a date means all of that day"
    )
    nullable: bool | None = Field(default=None, description="default: as the signature says")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        others = {name for name in type(self).model_fields if name not in {"values", "nullable"}}
        if self.values is not None and (not self.values or any(getattr(self, name) is not None for name in others)):
            raise ValueError("values must be a list with at least one value, and stands alone")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no input could be generated")
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")
        if self.after is not None and self.before is not None and _time("after", self.after) > _end(self.before):
            raise ValueError(f"after {self.after} is later than before {self.before}: no input could be generated")
        for name in ("after", "before"):
            _time(name, getattr(self, name) or "2000-01-01")
        return self

    @model_validator(mode="after")
    def _pattern_is_one(self) -> Self:
        if self.pattern is None:
            return self
        try:
            re.compile(self.pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"pattern is no regular expression ({error})") from error
        if (self.min_length, self.max_length) != (None, None):
            raise ValueError("pattern stands without min_length and max_length: say {2,8} in it")
        return self


def _time(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{name}: '{text}' is no date or time (write 2024-01-31 or 2024-01-31T12:00:00)") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _end(text: str) -> datetime:
    """Return the end of a day that is given without a time."""
    found = _time("before", text)
    return found.replace(hour=23, minute=59, second=59) if len(text) <= len("2024-01-01") else found


class OutputRule(Section):
    """What every answer keeps to: a range, labels, or probabilities that sum to 1; and where in the answer that stands."""

    min: float | None = None
    max: float | None = None
    labels: tuple[Plain, ...] | None = Field(default=None, strict=False)
    simplex: bool = Field(default=False, description="an array of numbers from 0 to 1 that sum to 1")
    place: str | int | None = Field(
        default=None, description="output column, index, or dotted path into one; default: every output"
    )

    @property
    def judges(self) -> bool:
        """Whether it asks anything of the answers; else it only says which output monotonic is about."""
        return self.simplex or any(asked is not None for asked in (self.min, self.max, self.labels))

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [self.min is not None or self.max is not None, self.labels is not None, self.simplex]
        if sum(asked) > 1 or (not any(asked) and self.place is None) or self.labels == ():
            raise ValueError("give min and max, or labels, or simplex: true")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no answer could be inside")
        return self


class UnitChange(Section):
    """A change of units that must not change the answer: `{multiply: {distance: 0.621371}, set: {unit: mi}, where: {unit: km}}`."""

    name: str | None = Field(
        default=None, description="in the check's id; default: the columns and what is done to them"
    )
    multiply: dict[str, float] = Field(default_factory=dict)
    add: dict[str, float] = Field(default_factory=dict, description="after multiply: Celsius to Fahrenheit adds 32")
    set_: dict[str, Plain] = Field(default_factory=dict, alias="set")
    where: dict[str, Plain] = Field(default_factory=dict, description="rows that it starts from have these values")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose numbers change."""
        return tuple(dict.fromkeys((*self.multiply, *self.add)))

    @property
    def label(self) -> str:
        """How the check's id calls it."""
        return self.name or " ".join(map(self._words, self.columns))

    def _words(self, column: str) -> str:
        factor, shift = self.multiply.get(column), self.add.get(column)
        return f"{column}{'' if factor is None else f'*{factor:g}'}{'' if shift is None else f'{shift:+g}'}"

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.columns:
            raise ValueError("multiply is missing: name the column whose unit changes, and the factor")
        zero = [column for column, factor in self.multiply.items() if factor == 0]
        if zero:
            raise ValueError(f"multiply.{zero[0]} is 0: every value would become the same")
        if all(factor == 1 for factor in self.multiply.values()) and not any(self.add.values()):
            raise ValueError("it multiplies by 1 and adds nothing: no unit changes")
        twice = sorted(set(self.columns) & (self.set_.keys() | self.where.keys()))
        if twice:
            raise ValueError(f"{twice[0]} is multiplied, and stands under set or where as well")
        return self


class Properties(Section):
    """The property suite."""

    examples: int = Field(default=500, ge=20, le=1_000_000, description="rows generated per property")
    inputs: dict[str, InputRule] = Field(default_factory=dict)
    order: tuple[str, ...] = Field(
        default=(), strict=False, description="relations between inputs: start <= end, low < mid < high"
    )
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

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        needed = requests_needed(self.tolerate, TOLERATED_AT) if self.tolerate is not None else 0
        if needed > self.examples:
            raise ValueError(
                f"tolerate can not be decided: {format_share(self.tolerate or 0)} at {format_share(TOLERATED_AT)} needs "
                f"{needed} rows without a failure, examples is {self.examples}"
            )
        return self

    @field_validator("order")
    @classmethod
    def _orders_can_be_read(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            parse_order(text)
        return texts

    @model_validator(mode="after")
    def _relations_are_distinct(self) -> Self:
        pairs = [frozenset(pair) for pair in self.symmetric]
        same = next((pair for pair in self.symmetric if pair[0] == pair[1]), None)
        if same is not None:
            raise ValueError(f"symmetric [{same[0]}, {same[1]}]: a column is always its own mirror")
        lists: dict[str, list[str]] = {
            "invariant_to": list(self.invariant_to),
            "symmetric": [" x ".join(sorted(pair)) for pair in pairs],
            "scale": [change.label for change in self.scale],
        }
        for key, names in lists.items():
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                hint = "; give one a name" if key == "scale" else ""
                raise ValueError(f"{key} has '{twice}' twice{hint}")
        return self

    def checks(self) -> tuple[str, ...]:
        """Return the ids that must be in the evidence."""
        judged = ("properties.output_range",) if self.output is not None and self.output.judges else ()
        relations = [
            *(("invariant", "column", column) for column in self.invariant_to),
            *(("monotonic", "column", column) for column in self.monotonic),
            *(("symmetric", "columns", pair_label(pair)) for pair in self.symmetric),
            *(("scale", "change", change.label) for change in self.scale),
        ]
        return (
            "properties.total",
            "properties.deterministic",
            "properties.batch",
            *judged,
            *(format_check_id(f"properties.{name}", {param: value}) for name, param, value in relations),
            "properties.null_handling",
            "properties.unseen_category",
            "properties.concurrent",
        )


def pair_label(pair: tuple[str, str]) -> str:
    """Return how the id of `properties.symmetric` calls two columns."""
    return f"{pair[0]} x {pair[1]}"
