"""The valid inputs of a model: what the signature, the policy and known rows say, and rows drawn from there. Pure."""

import json
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.artifacts.signature import Column, DataType, Schema, Tensor, TensorSchema
from mlgate.errors import PolicyError
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.policy import InputRule

# Where nothing is known of a column: a healthy scikit-learn forest raises on 3.5e38, so the dtype's edge is no domain.
UNKNOWN_RANGE = 1e6
# MLflow's integer and long, and what a JSON number carries without loss.
_INTEGER_EDGE = {DataType.INTEGER: 2**31 - 1, DataType.LONG: 2**53 - 1}
# Types whose edge is nearer than what is tried where nothing is known; float16 beyond its edge is infinite.
_TENSOR_EDGE = {"uint8": 255.0, "int8": 127.0, "int16": 32767.0, "uint16": 65535.0, "float16": 65504.0}
# What a known row may show; the width of doubles beyond 1e300 would have no end.
_LARGEST_SEEN = {**_INTEGER_EDGE, DataType.FLOAT: float(np.finfo(np.float32).max), DataType.DOUBLE: 1e300}
_NULL_SHARE = 0.1
_EDGE_SHARE = 0.25
_DYNAMIC_AXIS = 3  # length drawn for an axis of -1 beyond the rows
_LETTERS = string.ascii_letters + string.digits + " -_." + "äöüßéñçøłλπЖあ漢字🙂\u0301\u202e"
_NUMBERS = (DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE)
# What `properties.inputs.<column>.values` may hold, by column type.
_VALUE_KINDS: Mapping[DataType, tuple[type, ...]] = {
    DataType.BOOLEAN: (bool,),
    DataType.INTEGER: (int,),
    DataType.LONG: (int,),
    DataType.FLOAT: (int, float),
    DataType.DOUBLE: (int, float),
    DataType.STRING: (str,),
    DataType.DATETIME: (str,),
}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAYS = 12_000  # from 2000 to 2032


class Mode(StrEnum):
    """How one column is filled in one batch."""

    SPREAD = "spread"
    EDGES = "edges"
    DEFAULT = "default"


class Unsupported(ValueError):
    """A type that rows can not be generated for yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Valid values of one column or tensor.

    Attributes:
        name: Column or tensor name; `None` for the only, unnamed tensor.
        kind: Column type, or numpy's name of the tensor's dtype.
        low: Smallest valid number.
        high: Largest valid number.
        values: All valid values, where they are listed.
        nullable: Whether null is valid.
        default: A valid value: the logged example's, else the middle.
        shape: Shape of a row's tensor; `None` for a column.
    """

    name: str | int | None
    kind: DataType | str
    low: float = -UNKNOWN_RANGE
    high: float = UNKNOWN_RANGE
    values: tuple[Any, ...] | None = None
    nullable: bool = False
    default: Any = None
    shape: tuple[int, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return self.kind in {DataType.INTEGER, DataType.LONG} or (self.shape is not None and "int" in str(self.kind))

    def simpler(self, value: object) -> list[Any]:
        """Return valid values that a reader finds simpler than *value*, simplest first."""
        candidates: list[Any] = [self.default, None] if self.nullable else [self.default]
        if isinstance(value, float):
            candidates += [0.0, 1.0, float(round(value)), round(value, 1), round(value, 3)]
        elif isinstance(value, int) and not isinstance(value, bool):
            candidates += [0, 1]
        elif isinstance(value, str) and self.values is None:
            candidates += ["", value[:1]]
        valid = [candidate for candidate in candidates if self._holds(candidate)]
        before = valid[: valid.index(value)] if value in valid else valid
        return [candidate for candidate in before if candidate != value]

    def _holds(self, value: object) -> bool:
        if value is None:
            return self.nullable
        if self.values is not None:
            return value in self.values
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self.low <= value <= self.high
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpace:
    """The domains of all inputs, in the signature's order."""

    domains: tuple[Domain, ...]
    tensors: bool

    def sample(self, n: int, *, seed: int, modes: Mapping[str | int | None, Mode] | None = None) -> Batch:
        """Draw *n* valid rows.

        Args:
            n: Rows.
            seed: The same seed gives the same rows.
            modes: How to fill each column; default: spread over the domain, a quarter of it edges.
        """
        rng = np.random.default_rng(seed)
        filled = [_fill(domain, n, (modes or {}).get(domain.name), rng) for domain in self.domains]
        if not self.tensors:
            labels = tuple(domain.name for domain in self.domains if domain.name is not None)
            rows = tuple(list(row) for row in zip(*filled, strict=True))
            return Batch(columns=labels if len(labels) == len(self.domains) else None, rows=rows)
        if len(self.domains) == 1 and self.domains[0].name is None:
            return Batch(columns=None, rows=tuple(filled[0]))
        names = tuple(str(domain.name) for domain in self.domains)
        return Batch(columns=None, rows=tuple(dict(zip(names, row, strict=True)) for row in zip(*filled, strict=True)))


def input_space(inputs: Schema | None, *, rules: Mapping[str, "InputRule"], known: Sequence[Batch] = ()) -> InputSpace:
    """Return what is valid: policy rules first, else what known rows show with their range widened once, else the type.

    Args:
        inputs: The input signature.
        rules: `properties.inputs` of the policy.
        known: Rows that are valid: the evaluation data, the logged example.

    Raises:
        Unsupported: No input signature, or a type that can not be generated yet; names it.
        PolicyError: A rule for what is no input column.
    """
    if inputs is None:
        raise Unsupported("no input signature: nothing says what a valid row is")
    if isinstance(inputs, TensorSchema):
        if rules:
            raise Unsupported(f"properties.inputs names '{min(rules)}', and rules for tensors are not built yet")
        return InputSpace(domains=tuple(_tensor_domain(tensor) for tensor in inputs.tensors), tensors=True)
    names = {column.name for column in inputs.columns}
    strangers = sorted(set(rules) - names)
    if strangers:
        have = ", ".join(str(column.name) for column in inputs.columns[:20])
        raise PolicyError(
            f"properties.inputs names '{strangers[0]}', which is no input column", hint=f"columns: {have}"
        )
    return InputSpace(domains=tuple(_column_domain(column, rules, known) for column in inputs.columns), tensors=False)


def _column_domain(column: Column, rules: Mapping[str, "InputRule"], known: Sequence[Batch]) -> Domain:
    if not isinstance(column.type, DataType) or column.type is DataType.BINARY:
        name = str(column.type) if isinstance(column.type, DataType) else type(column.type).__name__
        raise Unsupported(f"column '{column.name}' has type {name}, which can not be generated yet")
    seen = [value for batch in known for value in _column_values(batch, column.label)]
    rule = rules.get(column.name or "")
    domain = Domain(name=column.label, kind=column.type, nullable=not column.required)
    if rule is not None:
        _check_rule(column.name, column.type, rule)
    if rule is not None and rule.values is not None:
        first = seen[0] if seen and seen[0] in rule.values else rule.values[0]
        return _with(domain, values=rule.values, default=first)
    if column.type is DataType.BOOLEAN:
        return _with(domain, values=(False, True), default=seen[0] if seen and seen[0] is True else False)
    if column.type in _NUMBERS:
        return _number_domain(domain, rule, [value for value in seen if _is_number(value, column.type)])
    if column.type is DataType.DATETIME:
        return _with(domain, default=str(seen[0]) if seen else _EPOCH.isoformat())
    distinct = tuple(dict.fromkeys(str(value) for value in seen))
    if distinct:  # unknown words are as invalid to an encoder as unknown columns: only a rule may widen this
        return _with(domain, values=distinct, default=distinct[0])
    return _with(domain, default="a")


def _check_rule(name: str | None, kind: DataType, rule: "InputRule") -> None:
    for value in rule.values or ():
        if not isinstance(value, _VALUE_KINDS[kind]) or (isinstance(value, bool) and kind is not DataType.BOOLEAN):
            raise Unsupported(f"properties.inputs.{name}: {value!r} is no {kind}")
    if (rule.min is not None or rule.max is not None) and kind not in _NUMBERS:
        raise Unsupported(f"properties.inputs.{name}: min and max are for numbers, the column is {kind}")


def _number_domain(domain: Domain, rule: "InputRule | None", seen: Sequence[float]) -> Domain:
    lowest, highest = (None, None) if rule is None else (rule.min, rule.max)
    low, high = -UNKNOWN_RANGE, UNKNOWN_RANGE
    if seen:
        width = max(seen) - min(seen)
        low, high = min(seen) - width, max(seen) + width
    span = high - low
    low, high = low if lowest is None else lowest, high if highest is None else highest
    # One declared bound beyond everything seen: the other follows it, or every value would be against the rule.
    if low > high and lowest is not None:
        high = low + span
    elif low > high:
        low = high - span
    low, high = _representable(DataType(domain.kind), low, high)
    if low > high:
        raise Unsupported(f"properties.inputs.{domain.name}: no {domain.kind} lies between min and max")
    middle: float = low + (high - low) / 2 if math.isfinite(high - low) else 0.0
    default = seen[0] if seen and low <= seen[0] <= high else middle
    if DataType(domain.kind) in _INTEGER_EDGE:
        return _with(domain, low=low, high=high, default=math.floor(default))
    default = float(np.float32(default)) if domain.kind is DataType.FLOAT else float(default)
    return _with(domain, low=low, high=high, default=default)


def _representable(kind: DataType, low: float, high: float) -> tuple[float, float]:
    """Return the smallest and largest number of a column type between *low* and *high*."""
    edge = _INTEGER_EDGE.get(kind)
    if edge is not None:
        return max(math.ceil(max(low, -edge)), -edge), min(math.floor(min(high, edge)), edge)
    most = float(np.finfo(np.float32 if kind is DataType.FLOAT else np.float64).max)
    low, high = max(float(low), -most), min(float(high), most)
    if kind is DataType.FLOAT and low <= high:
        narrow_low, narrow_high = np.float32(low), np.float32(high)
        low = float(narrow_low if float(narrow_low) >= low else np.nextafter(narrow_low, np.float32(np.inf)))
        high = float(narrow_high if float(narrow_high) <= high else np.nextafter(narrow_high, np.float32(-np.inf)))
    return low, high


def _is_number(value: object, kind: DataType) -> bool:
    # A logged example may hold NaN, or what the column's type does not.
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= _LARGEST_SEEN[kind]:
        return False
    return kind not in _INTEGER_EDGE or value == math.floor(value)


def _tensor_domain(tensor: Tensor) -> Domain:
    if tensor.dtype.startswith(("float", "int", "uint", "bool", "str")):
        high = _TENSOR_EDGE.get(tensor.dtype, UNKNOWN_RANGE)
        low = 0.0 if tensor.dtype.startswith("u") else -high
        return Domain(name=tensor.name, kind=tensor.dtype, low=low, high=high, shape=tensor.shape[1:])
    raise Unsupported(f"tensor '{tensor.name or 0}' has dtype {tensor.dtype}, which can not be generated yet")


def _with(domain: Domain, **changes: Any) -> Domain:
    current = {name: getattr(domain, name) for name in Domain.__slots__}
    return Domain(**{**current, **changes})


def _column_values(batch: Batch, name: str | int | None) -> list[Any]:
    if batch.columns is None or name not in batch.columns:
        return []
    place = batch.columns.index(name)
    return [row[place] for row in batch.rows if row[place] is not None]


def _fill(domain: Domain, n: int, mode: Mode | None, rng: np.random.Generator) -> list[Any]:
    if domain.shape is not None:
        shape = tuple(size if size != -1 else _DYNAMIC_AXIS for size in domain.shape)
        return _tensor_values(domain, (n, *shape), rng)
    if mode is Mode.DEFAULT:
        values = [domain.default] * n
    elif domain.values is not None:
        values = [domain.values[index] for index in rng.integers(0, len(domain.values), n)]
    elif domain.kind in _NUMBERS:
        values = _numbers(domain, n, mode, rng)
    elif domain.kind is DataType.DATETIME:
        values = [(_EPOCH + timedelta(days=int(day))).isoformat() for day in rng.integers(0, _DAYS, n)]
    else:
        values = _texts(n, mode, rng)
    if domain.nullable and mode is not Mode.DEFAULT:
        return [None if null else value for value, null in zip(values, rng.random(n) < _NULL_SHARE, strict=True)]
    return values


def _numbers(domain: Domain, n: int, mode: Mode | None, rng: np.random.Generator) -> list[Any]:
    edges = _edges(domain)
    picks = [edges[index] for index in rng.integers(0, len(edges), n)]
    share = {Mode.EDGES: 1.0, Mode.SPREAD: 0.0}.get(mode or Mode.DEFAULT, _EDGE_SHARE)
    at_edge = rng.random(n) < share
    if domain.whole:
        spread: list[Any] = rng.integers(int(domain.low), int(domain.high), n, endpoint=True).tolist()
    else:
        # Not rng.uniform: the width of [-1.7e308, 1.7e308] is more than a double holds.
        share_high = rng.random(n)
        spread = np.clip(domain.low * (1 - share_high) + domain.high * share_high, domain.low, domain.high).tolist()
    values = [edge if choose else value for edge, value, choose in zip(picks, spread, at_edge, strict=True)]
    if domain.kind is DataType.FLOAT:
        # A float column holds 32 bits: sending more would compare the server's rounding, not its answer.
        return [float(np.float32(value)) for value in values]
    return values


def _edges(domain: Domain) -> list[Any]:
    middle = domain.low + (domain.high - domain.low) / 2
    candidates = [domain.low, domain.high, 0, 1, -1, middle]
    if domain.whole:
        return [int(value) for value in candidates if domain.low <= int(value) <= domain.high]
    candidates += [math.nextafter(domain.low, domain.high), 1e-9, -1e-9]
    return [float(value) for value in candidates if domain.low <= value <= domain.high]


def _texts(n: int, mode: Mode | None, rng: np.random.Generator) -> list[str]:
    longest = 300 if mode is Mode.EDGES else 12
    lengths = rng.integers(0, longest, n, endpoint=True)
    return ["".join(_LETTERS[index] for index in rng.integers(0, len(_LETTERS), length)) for length in lengths]


def _tensor_values(domain: Domain, shape: tuple[int, ...], rng: np.random.Generator) -> list[Any]:
    kind = str(domain.kind)
    if kind == "bool":
        values: Any = rng.integers(0, 2, shape).astype(bool)
    elif "int" in kind:
        values = rng.integers(int(domain.low), int(domain.high), shape, endpoint=True)
    elif kind.startswith("str"):
        flat = _texts(math.prod(shape), None, rng)
        values = np.array(flat, dtype=object).reshape(shape)
    else:
        values = rng.uniform(domain.low, domain.high, shape).astype(kind).astype(float)
    listed: list[Any] = values.tolist()
    return listed


def example_batch(raw: bytes | None) -> Batch | None:
    """Return the rows of a logged `serving_input_example.json`, or `None` where it holds no named columns."""
    try:
        document = json.loads(raw or b"null")
    except (ValueError, RecursionError):
        return None
    split = document.get("dataframe_split") if isinstance(document, dict) else None
    columns, rows = (split.get("columns"), split.get("data")) if isinstance(split, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(rows, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    return Batch(columns=tuple(columns), rows=tuple(rows))
