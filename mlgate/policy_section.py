"""What the sections of `mlgate.yaml` are made of: quantities with units, and a base that takes no unknown key."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from mlgate.quantities import parse_duration, parse_percent, parse_rate, parse_size


def _quantity(parse: Any, example: str) -> Any:
    return BeforeValidator(parse), WithJsonSchema({"type": "string", "examples": [example]})


Duration = Annotated[float, *_quantity(parse_duration, "250ms")]
Share = Annotated[float, *_quantity(parse_percent, "0.5%")]
Rate = Annotated[float, *_quantity(parse_rate, "100/s")]
Size = Annotated[int, *_quantity(parse_size, "1GiB")]


class Section(BaseModel):
    """A section of the file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
