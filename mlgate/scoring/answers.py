"""Answers of a model server: strict JSON, rows, conformance to the output signature. Pure."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Schema, Tensor, TensorSchema

# 2**31 and 2**63: the ranges of MLflow's integer and long.
_INTEGER_BITS = {DataType.INTEGER: 31, DataType.LONG: 63}


class NotAPrediction(ValueError):
    """The answer is not a prediction; the text says why, in one line."""


def prediction_rows(document: object) -> list[Any]:
    """Return one prediction a row out of what MLflow's `/invocations` answers.

    Raises:
        NotAPrediction: No `predictions`, or named outputs of different lengths.
    """
    if not isinstance(document, dict) or "predictions" not in document:
        raise NotAPrediction("200 without a 'predictions' key")
    predictions = document["predictions"]
    if isinstance(predictions, list):
        return predictions
    if isinstance(predictions, dict) and predictions and all(isinstance(value, list) for value in predictions.values()):
        if len({len(value) for value in predictions.values()}) != 1:
            raise NotAPrediction("the named outputs have different lengths")
        return [dict(zip(predictions, values, strict=True)) for values in zip(*predictions.values(), strict=True)]
    raise NotAPrediction(f"'predictions' is {type(predictions).__name__}, not a list of rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response, or the lack of one.

    Attributes:
        status: HTTP status; 0 where there was no complete answer.
        content_type: As sent, in lower case, without parameters.
        body: At most the client's cap.
        elapsed_s: Seconds from send to last byte.
        problem: `timeout`, `connection` or `too_large` where there was no complete answer; else empty.
        read: Gets the rows out of the body's JSON; the protocol's.
    """

    status: int
    content_type: str
    body: bytes
    elapsed_s: float
    problem: str = ""
    read: Callable[[Any], list[Any]] = prediction_rows

    def rows(self) -> list[Any]:
        """Return one prediction a row.

        Raises:
            NotAPrediction: No answer, not 200, not strict JSON (a NaN token), or not what the protocol calls one.
        """
        if self.problem:
            raise NotAPrediction(f"no answer ({self.problem}) after {self.elapsed_s:.2f} s")
        if self.status != 200:
            raise NotAPrediction(f"answered {self.status}: {self.error_text()}")
        return self.read(self.json())

    def bad_rows(self, outputs: Schema | None) -> tuple[int, ...]:
        """Return the places of the rows that do not conform, NaN tokens read as numbers; empty where it does not say."""
        try:
            rows = self.read(json.loads(self.body)) if self.status == 200 and not self.problem else []
        except (ValueError, RecursionError):
            return ()
        return bad_rows(rows, outputs)

    def json(self) -> Any:
        """Return the body as strict JSON.

        Raises:
            NotAPrediction: Not JSON, or a token that JSON does not have (NaN, Infinity).
        """
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except NotAPrediction:
            raise
        except (ValueError, RecursionError) as error:
            raise NotAPrediction(f"body is not JSON ({str(error)[:120]})") from error

    def error_text(self, limit: int = 240) -> str:
        """Return the telling part of an error body.

        MLflow answers 400 for a crash, with the stack trace inside; MLServer 500, with nothing but the trace.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            text = self.body.decode("utf-8", "replace")
            return _last_line(text)[:limit] if text.startswith("Traceback") else text[:limit]
        if not isinstance(document, dict):
            return str(document)[:limit]
        trace = _last_line(str(document.get("stack_trace") or ""))
        text = trace or str(document.get("message") or document.get("error") or document)
        return " ".join(text.split())[:limit]

    @property
    def crashed(self) -> bool:
        """Whether the model raised: a 5xx, or MLflow's 400 that carries a stack trace."""
        return self.status >= 500 or (self.status == 400 and b'"stack_trace"' in self.body)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _refuse_constant(token: str) -> NoReturn:
    raise NotAPrediction(f"the answer holds {token}, which is not JSON")


def nonconformities(rows: Sequence[Any], outputs: Schema | None, *, expected_rows: int) -> list[str]:
    """Return what in *rows* is against the output signature; empty where all conforms.

    Without an output signature only the row count and the finiteness of numbers are held.
    """
    problems = list(_row_problems(rows, outputs))
    if len(rows) != expected_rows:
        problems.insert(0, f"{len(rows)} predictions for {expected_rows} rows")
    return problems


def first_bad_row(rows: Sequence[Any], outputs: Schema | None) -> tuple[int, str] | None:
    """Return index and problem of the first row that does not conform."""
    for index, row in enumerate(rows):
        for problem in _problems_of(row, outputs):
            return index, problem
    return None


def bad_rows(rows: Sequence[Any], outputs: Schema | None) -> tuple[int, ...]:
    """Return the index of every row that does not conform."""
    return tuple(index for index, row in enumerate(rows) if next(iter(_problems_of(row, outputs)), None) is not None)


def _row_problems(rows: Sequence[Any], outputs: Schema | None) -> Iterator[str]:
    for index, row in enumerate(rows):
        for problem in _problems_of(row, outputs):
            yield f"row {index}: {problem}"
            return  # one row is enough to name; a list of thousands helps nobody


def _problems_of(row: object, outputs: Schema | None) -> Iterator[str]:
    match outputs:
        case ColumnSchema(columns=columns):
            yield from _column_problems(row, columns)
        case TensorSchema(tensors=tensors):
            yield from _tensor_problems(row, tensors)
        case _:
            yield from (f"{value!r} is not finite" for value in _scalars(row) if _not_finite(value))


def _column_problems(row: object, columns: Sequence[Column]) -> Iterator[str]:
    if isinstance(row, dict):
        names = [column.name for column in columns]
        if len(columns) == 1 and len(row) == 1 and (columns[0].name is None or set(row) == {"0"}):
            values: list[Any] = list(row.values())
        else:
            missing = [column.name for column in columns if column.required and column.name not in row]
            extra = [name for name in row if name not in names]
            if missing or extra:
                yield f"names are {sorted(map(str, row))[:8]}, declared are {names[:8]}"
                return
            values = [row.get(name) for name in names]
    elif isinstance(row, list):
        values = row
    else:
        values = [row]
    if len(values) != len(columns):
        yield f"{len(values)} values for {len(columns)} declared outputs"
        return
    for column, value in zip(columns, values, strict=True):
        if value is None and not column.required:
            continue
        if isinstance(column.type, DataType) and not _is_a(value, column.type):
            yield f"output '{column.name or 0}' is {_show(value)}, declared {column.type}"


def _is_a(value: object, kind: DataType) -> bool:
    match kind:
        case DataType.BOOLEAN:
            return isinstance(value, bool)
        case DataType.INTEGER | DataType.LONG:
            whole = isinstance(value, int) and not isinstance(value, bool)
            return whole and -(2 ** _INTEGER_BITS[kind]) <= int(value) < 2 ** _INTEGER_BITS[kind]  # type: ignore[call-overload]  # whole says it is an int
        case DataType.FLOAT | DataType.DOUBLE:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and not _not_finite(value)
        case DataType.STRING | DataType.BINARY:
            return isinstance(value, str)
        case DataType.DATETIME:
            return isinstance(value, str) and _is_time(value)


def _tensor_problems(row: object, tensors: Sequence[Tensor]) -> Iterator[str]:
    if len(tensors) > 1 or isinstance(row, dict):
        if not isinstance(row, dict) or set(row) != {tensor.name for tensor in tensors}:
            yield f"is {_show(row)}, declared are tensors {[tensor.name for tensor in tensors]}"
            return
        for tensor in tensors:
            yield from _one_tensor(row[tensor.name], tensor)
        return
    yield from _one_tensor(row, tensors[0])


def _one_tensor(value: object, tensor: Tensor) -> Iterator[str]:
    shape = tensor.shape[1:]
    level: list[Any] = [value]
    for depth, size in enumerate(shape):
        for inner in level:
            if not isinstance(inner, list) or (size != -1 and len(inner) != size):
                yield f"axis {depth + 1} is {_show(inner)}, declared size {size}"
                return
        level = [leaf for inner in level for leaf in inner]
    for leaf in level:
        if not _is_dtype(leaf, tensor.dtype):
            yield f"{_show(leaf)} is not {tensor.dtype}"
            return


def _is_dtype(value: object, dtype: str) -> bool:
    if dtype.startswith("float"):
        return isinstance(value, (int, float)) and not isinstance(value, bool) and not _not_finite(value)
    if dtype.startswith(("int", "uint")):
        return isinstance(value, int) and not isinstance(value, bool) and (value >= 0 or dtype[0] == "i")
    if dtype == "bool":
        return isinstance(value, bool)
    if dtype.startswith(("str", "object", "<U")):
        return isinstance(value, (str, int, float, bool)) if dtype == "object" else isinstance(value, str)
    return value is not None


def _scalars(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner)
    else:
        yield value


def _not_finite(value: object) -> bool:
    # 1e999 is valid JSON and reads as infinity.
    if not isinstance(value, (int, float)):
        return value is None
    try:
        return not math.isfinite(value)
    except OverflowError:  # a JSON integer beyond 1.8e308
        return True


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _show(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
