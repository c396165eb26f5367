"""The Open Inference Protocol (V2) as MLServer speaks it: requests from batches, rows from answers. Pure."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeGuard, assert_never

from mlgate.artifacts.signature import ColumnSchema, ColumnType, DataType, Schema, Signature, TensorSchema
from mlgate.scoring.answers import NotAPrediction
from mlgate.scoring.payloads import JSON_TYPE, Batch, Encoding
from mlgate.serving.v2_request import (
    JSON_CELLS,
    TABLE,
    TENSOR,
    TENSORS,
    UNNAMED,
    InputSpec,
    example_values,
    flat,
    request,
)

MODEL_NAME = "model"
_AXES = 32  # numpy's limit before 2.0
# mlserver_mlflow/metadata.py: the types that MLflow's schema takes without a conversion that it calls unsafe.
_COLUMNS = {
    DataType.BOOLEAN: InputSpec("BOOL", "np"),
    DataType.INTEGER: InputSpec("INT32", "np"),
    DataType.LONG: InputSpec("INT64", "np"),
    DataType.FLOAT: InputSpec("FP32", "np"),
    DataType.DOUBLE: InputSpec("FP64", "np"),
    DataType.STRING: InputSpec("BYTES", "str"),
    DataType.BINARY: InputSpec("BYTES", "base64"),
    DataType.DATETIME: InputSpec("BYTES", "datetime"),
}


class V2:
    """`POST /v2/models/model/infer`, for one model.

    Null stands for NaN and infinity in an answer: MLServer's codecs and its JSON know no other word for them.

    Args:
        signature: The model's. Requests state each input's type by it; answers get the shape that it declares, since
            MLServer sends n scalars and n rows of one scalar as the same shape.
    """

    path = f"/v2/models/{MODEL_NAME}/infer"

    def __init__(self, signature: Signature) -> None:
        self._specs = _specs(signature.inputs)
        self._kind = _kind(signature.inputs)
        self._outputs = signature.outputs
        self._single = _without_axes(signature.inputs)

    @property
    def null_is_an_error(self) -> bool:
        """Whether no output may be null, so that one in an answer stands for a number that is not finite."""
        return not isinstance(self._outputs, ColumnSchema) or all(column.required for column in self._outputs.columns)

    def encode(self, batch: Batch, encoding: Encoding | None = None) -> tuple[bytes, str]:
        """Return body and content type of a request.

        Raises:
            ValueError: A value that strict JSON does not have, or an encoding: V2 has one.
        """
        if encoding is not None:
            raise ValueError(f"V2 has one encoding, and '{encoding}' is none of its")
        if batch.columns is not None:
            columns = zip(*batch.rows, strict=True) if batch.rows else [()] * len(batch.columns)
            values = {name: list(column) for name, column in zip(self._names(batch.columns), columns, strict=True)}
            return self._body(TABLE, values)
        if batch.rows and isinstance(batch.rows[0], dict):
            first = batch.rows[0]
            values = {name: first[name] if name in self._single else batch.column(name) for name in first}
            return self._body(TENSORS, values)
        if self._kind == TABLE:  # columns without names
            columns = zip(*batch.rows, strict=True)
            return self._body(TABLE, dict(zip(self._specs, map(list, columns), strict=True)))
        return self._body(TENSOR, {next(iter(self._specs), f"{UNNAMED}0"): list(batch.rows)})

    def encode_example(self, raw: bytes) -> tuple[bytes, str]:
        """Return the request for a logged `serving_input_example.json`.

        Raises:
            ValueError: It is none.
        """
        kind, values = example_values(json.loads(raw), list(self._specs))
        return self._body(self._kind or kind, values)

    def rows(self, document: Any) -> list[Any]:
        """Return one prediction a row, as MLflow's server would give it.

        Raises:
            NotAPrediction: No outputs, data that does not fit its shape, or outputs of different lengths.
        """
        outputs = document.get("outputs") if isinstance(document, dict) else None
        if not isinstance(outputs, list) or not outputs or not all(isinstance(output, dict) for output in outputs):
            raise NotAPrediction("200 without 'outputs'")
        try:
            columns = {str(output.get("name")): self._values(output) for output in outputs}
        except RecursionError as error:
            raise NotAPrediction("an output nests too deep") from error
        if len(columns) != len(outputs) or len({len(values) for values in columns.values()}) != 1:
            raise NotAPrediction("the named outputs have different lengths, or one name twice")
        if len(outputs) == 1 and _content_type(document) not in {TABLE, TENSORS}:
            return next(iter(columns.values()))
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _names(self, labels: Sequence[str | int]) -> list[str]:
        # A table without names is drawn with the places of its columns as labels.
        unnamed = f"{UNNAMED}0" in self._specs
        return [f"{UNNAMED}{label}" if unnamed and isinstance(label, int) else str(label) for label in labels]

    def _body(self, kind: str, values: Mapping[str, Any]) -> tuple[bytes, str]:
        text = json.dumps(request(kind, self._specs, values), allow_nan=False, ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass"), JSON_TYPE

    def _values(self, output: Mapping[str, Any]) -> list[Any]:
        name, shape, data = str(output.get("name")), output.get("shape"), output.get("data")
        leaves = flat(data) if isinstance(data, list) else []
        if not _is_shape(shape) or math.prod(shape) != len(leaves):
            raise NotAPrediction(f"output '{name}' has {len(leaves)} values for shape {shape}")
        if _content_type(output) == JSON_CELLS:
            leaves = [_parsed(leaf) for leaf in leaves]
        scalars = shape[1:] == [1] and not _declared_row_shape(self._outputs, name)
        return _nested(leaves, shape[:1] if scalars else shape)


def holds_null(body: bytes) -> bool:
    """Return whether some output of the answer *body* holds null."""
    if b"null" not in body:
        return False
    try:
        outputs = json.loads(body)["outputs"]
        return any(None in flat(output["data"]) for output in outputs)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False  # no prediction at all; the schema suite judges that


def _specs(inputs: Schema | None) -> dict[str, InputSpec]:
    match inputs:
        case ColumnSchema(columns):
            return {_name(column.name, place): _column_spec(column.type) for place, column in enumerate(columns)}
        case TensorSchema(tensors):
            return {_name(tensor.name, place): _tensor_spec(tensor.dtype) for place, tensor in enumerate(tensors)}
        case None:
            return {}
        case _:
            assert_never(inputs)


def _name(name: str | None, place: int) -> str:
    return f"{UNNAMED}{place}" if name is None else name


def _column_spec(kind: ColumnType) -> InputSpec:
    return _COLUMNS[kind] if isinstance(kind, DataType) else InputSpec("BYTES", JSON_CELLS)


def _tensor_spec(dtype: str) -> InputSpec:
    if dtype == "bool":
        return InputSpec("BOOL", TENSOR)
    for prefix, datatype in (("float", "FP"), ("uint", "UINT"), ("int", "INT")):
        if dtype.startswith(prefix):
            return InputSpec(datatype + dtype.removeprefix(prefix), TENSOR)
    return InputSpec("BYTES", TENSOR)


def _kind(inputs: Schema | None) -> str | None:
    match inputs:
        case ColumnSchema():
            return TABLE
        case TensorSchema(tensors):
            return TENSOR if tensors[0].name is None else TENSORS
        case None:
            return None
        case _:
            assert_never(inputs)


def _without_axes(inputs: Schema | None) -> frozenset[str | None]:
    """Return the tensors that travel once a request."""
    tensors = inputs.tensors if isinstance(inputs, TensorSchema) else ()
    return frozenset(tensor.name for tensor in tensors if not tensor.shape)


def _declared_row_shape(outputs: Schema | None, name: str) -> tuple[int, ...]:
    if not isinstance(outputs, TensorSchema):
        return ()
    alone = outputs.tensors[0] if len(outputs.tensors) == 1 else None
    tensor = next((tensor for tensor in outputs.tensors if tensor.name == name), alone)
    return tensor.shape[1:] if tensor else ()


def _content_type(parametrised: Mapping[str, Any]) -> str | None:
    parameters = parametrised.get("parameters")
    return parameters.get("content_type") if isinstance(parameters, dict) else None


def _is_shape(shape: object) -> TypeGuard[list[int]]:
    return isinstance(shape, list) and 0 < len(shape) <= _AXES and all(type(n) is int and n >= 0 for n in shape)


def _nested(leaves: list[Any], shape: Sequence[int]) -> list[Any]:
    for size in reversed(shape[1:]):
        leaves = [leaves[start : start + size] for start in range(0, len(leaves), size)] if size else []
    return leaves


def _parsed(leaf: object) -> Any:
    try:
        return json.loads(str(leaf), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotAPrediction(f"a cell is not the JSON that it is said to be ({str(error)[:120]})") from error


def _refuse(token: str) -> NoReturn:
    raise NotAPrediction(f"the answer holds {token}, which is not JSON")
