"""What a strict reader of a signature takes: written without the code that is tested by it."""

import base64
import json
from datetime import datetime

import numpy as np

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
)

ENVELOPES = {"dataframe_split", "dataframe_records", "inputs", "instances"}


def once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def no_constant(token):
    raise ValueError(token)


def strict_json(raw):
    """Return a document that every JSON parser reads alike.

    Raises:
        ValueError: It is none.
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=once, parse_constant=no_constant)
    except RecursionError as error:
        raise ValueError("too deep") from error


def is_valid(raw, signature, *, extra):
    """Return whether *raw* is a request to `/invocations` that the signature declares."""
    try:
        document = strict_json(raw)
    except ValueError:
        return False
    if not isinstance(document, dict) or len(document) != 1 or not set(document) <= ENVELOPES:
        return False
    (envelope, value) = next(iter(document.items()))
    if isinstance(signature.inputs, ColumnSchema):
        return table_is_valid(envelope, value, signature.inputs.columns, extra=extra)
    return tensors_are_valid(value, signature.inputs.tensors, extra=extra)


def table_is_valid(envelope, value, columns, *, extra):
    if envelope == "dataframe_split":
        if not isinstance(value, dict) or any(len(row) != len(value["columns"]) for row in value["data"]):
            return False
        rows = [dict(zip(value["columns"], row, strict=True)) for row in value["data"]]
    else:
        rows = value
    if not isinstance(rows, list):
        return False
    labels = {column.label for column in columns}
    needed = {column.label for column in columns if column.required}
    if any(not isinstance(row, dict) or not needed <= row.keys() for row in rows):
        return False
    if not extra and any(not row.keys() <= labels for row in rows):
        return False
    return all(
        (row[column.label] is None and (not column.required or isinstance(column.type, AnyType)))
        or is_a(row[column.label], column.type)
        for row in rows
        for column in columns
        if column.label in row
    )


def is_a(value, kind):
    match kind:
        case DataType.BOOLEAN:
            return isinstance(value, bool)
        case DataType.INTEGER | DataType.LONG:
            bits = 31 if kind is DataType.INTEGER else 63
            return type(value) is int and -(2**bits) <= value < 2**bits
        case DataType.FLOAT | DataType.DOUBLE:
            largest = float(np.finfo(np.float32 if kind is DataType.FLOAT else np.float64).max)
            return type(value) in {int, float} and abs(value) <= largest
        case DataType.STRING:
            return isinstance(value, str)
        case DataType.BINARY:
            return isinstance(value, str) and is_base64(value)
        case DataType.DATETIME:
            return isinstance(value, str) and is_time(value)
        case ArrayType(items):
            return isinstance(value, list) and all(is_a(item, items) for item in value)
        case MapType(values):
            return isinstance(value, dict) and all(is_a(item, values) for item in value.values())
        case ObjectType(parts):
            known = {part.name: part for part in parts}
            needed = {part.name for part in parts if part.required}
            return (
                isinstance(value, dict)
                and needed <= value.keys() <= known.keys()
                and all(is_a(item, known[name].type) for name, item in value.items())
            )
    return isinstance(kind, AnyType)


def is_base64(text):
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def is_time(text):
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def tensors_are_valid(value, tensors, *, extra):
    if tensors[0].name is None:
        return tensor_is_valid(value, tensors[0])
    names = {tensor.name for tensor in tensors}
    if not isinstance(value, dict) or not names <= value.keys() or (not extra and value.keys() != names):
        return False
    return all(tensor_is_valid(value[tensor.name], tensor) for tensor in tensors)


def tensor_is_valid(value, tensor):
    try:
        array = np.array(value, dtype=object)
    except ValueError:
        return False
    if array.ndim != len(tensor.shape):
        return False
    sizes = zip(array.shape, tensor.shape, strict=True)
    return all(want in {-1, size} for size, want in sizes) and all(
        leaf_is_valid(leaf, tensor.dtype) for leaf in array.flat
    )


def leaf_is_valid(leaf, dtype):
    if dtype == "str":
        return isinstance(leaf, str)
    if dtype == "bool":
        return isinstance(leaf, bool)
    if dtype.startswith("float"):
        return type(leaf) in {int, float} and abs(leaf) <= float(np.finfo(dtype).max)
    info = np.iinfo(dtype)
    return type(leaf) is int and info.min <= leaf <= info.max
