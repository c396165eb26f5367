"""Requests of the Open Inference Protocol (V2) for MLServer: on the host for the checks, in the image for the warm-up. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

# What MLServer calls inputs that have no name, by position (mlserver_mlflow/metadata.py).
UNNAMED = "input-"
TABLE = "pd"
TENSOR = "np"
TENSORS = "dict"
JSON_CELLS = "pd_json"
_EXAMPLE_KEYS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class InputSpec(NamedTuple):
    """How one input travels.

    Attributes:
        datatype: `FP64`, `INT32`, `BYTES` …
        content_type: MLServer's codec of the input: `np`, `str`, `datetime`, `base64`, `pd_json`.
    """

    datatype: str
    content_type: str


def request(content_type: str, specs: Mapping[str, InputSpec], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an inference request.

    Args:
        content_type: MLServer's codec of the whole: `pd` for a table, `np` for one tensor, `dict` for named ones.
        specs: Input name to how it travels; an input without an entry travels as its values look.
        values: Input name to one value a row; a tensor's value is a nested list. One value alone is that of the only row,
            or a tensor without axes.
    """
    tensors = content_type != TABLE
    inputs = [_input(name, specs.get(name) or _look(column), column, tensors) for name, column in values.items()]
    return {"parameters": {"content_type": content_type}, "inputs": inputs}


def example_values(document: Any, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return codec and input values of a logged MLflow example, in whichever of the four encodings it is.

    Args:
        document: The parsed `serving_input_example.json`.
        names: The declared inputs, in order; empty where none are.

    Raises:
        ValueError: It is in none of the four.
    """
    try:
        return _example_values(document, names)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"the example is malformed ({error})") from error


def _example_values(document: Any, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    key = next((key for key in _EXAMPLE_KEYS if isinstance(document, dict) and key in document), None)
    if key is None:
        raise ValueError("the example is in none of MLflow's encodings")
    value = document[key]
    if key == "dataframe_split":
        labels = value.get("columns") or range(len(value["data"][0]))
        return TABLE, _named([str(label) for label in labels], list(zip(*value["data"], strict=True)), names)
    if isinstance(value, dict):
        return TENSORS, {str(name): column for name, column in value.items()}
    if value and isinstance(value[0], dict):
        labels = list(dict.fromkeys(label for row in value for label in row))
        return TABLE, {str(label): [row.get(label) for row in value] for label in labels}
    return TENSOR, {names[0] if names else f"{UNNAMED}0": value}


def shape_of(value: Any) -> list[int]:
    """Return the shape of a nested list."""
    shape = []
    while isinstance(value, (list, tuple)):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def flat(value: Any) -> list[Any]:
    """Return the leaves of a nested list, in order."""
    if not isinstance(value, (list, tuple)):
        return [value]
    return [leaf for inner in value for leaf in flat(inner)] if any(map(_is_list, value)) else list(value)


def _named(labels: list[str], columns: list[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    # Columns that the signature does not name are told apart by position.
    known = labels if set(labels) & set(names) or len(labels) != len(names) else names
    return {name: list(column) for name, column in zip(known, columns, strict=True)}


def _input(name: str, spec: InputSpec, values: Any, tensor: bool) -> dict[str, Any]:
    rows = values if _is_list(values) else [values]
    cells = flat(values) if tensor else [_cell(value, spec.content_type) for value in rows]
    return {
        "name": name,
        "datatype": spec.datatype,
        "shape": shape_of(values) if tensor else [len(rows), 1],
        "parameters": {"content_type": spec.content_type},
        "data": cells,
    }


def _cell(value: Any, content_type: str) -> Any:
    if content_type == JSON_CELLS:
        return json.dumps(value, allow_nan=False)
    if content_type == "datetime" and isinstance(value, str):
        return _naive(value)
    return value


def _naive(text: str) -> str:
    """MLflow's schema takes UTC without saying so, and refuses an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text  # No time at all: the server's to refuse.
    if moment.tzinfo is None:
        return text
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat()  # noqa: UP017  (Python 3.10 has no `UTC`)


def _look(values: Any) -> InputSpec:
    leaves = [leaf for leaf in flat(values) if leaf is not None]
    kinds = {type(leaf) for leaf in leaves}
    if kinds == {bool}:
        return InputSpec("BOOL", "np")
    if kinds == {int}:
        return InputSpec("INT64", "np")
    if kinds and kinds <= {int, float}:
        return InputSpec("FP64", "np")
    return InputSpec("BYTES", "str" if kinds <= {str} else JSON_CELLS)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
