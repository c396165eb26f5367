"""From a tensor's dtype and shape, its rule and known values to its domain. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlgate.artifacts.signature import DataType, Tensor
from mlgate.generation.columns import choice, number_or_choice, scalar_domain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.interface import Unsupported
from mlgate.generation.known import elements, lengths_seen
from mlgate.generation.rules import check_tensor_rule
from mlgate.generation.tensor import TensorDomain, constant
from mlgate.generation.text import TextDomain

if TYPE_CHECKING:
    from mlgate.policy_properties import InputRule

# Where nothing is known: beyond a handful, a length changes the time of an answer and not the answer's shape.
_LONGEST = 8
_USUAL = 3
_NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
# numpy reads these from JSON's numbers; the imaginary part stays zero.
_AS_NUMBERS = {"complex64": "float32", "complex128": "float64"}


def tensor_domain(
    tensor: Tensor, *, key: str, rule: "InputRule | None" = None, seen: Sequence[Any] = (), shared: bool = False
) -> TensorDomain:
    """Return what is valid in one row of *tensor*.

    Args:
        tensor: Of the signature; its first axis is the rows.
        key: Name in `properties.inputs`.
        rule: Of the elements, and the lengths of open axes.
        seen: Known rows of it.
        shared: Its open axes have the lengths of other tensors' axes at the same place.

    Raises:
        Unsupported: A dtype that JSON can not carry; names it.
        PolicyError: The rule does not fit, or no value meets it.
    """
    element = _element(tensor, key, rule, elements(seen))
    shape = tensor.shape[1:]
    known = [
        row for row in lengths_seen(seen, len(shape)) if all(a in (-1, b) for a, b in zip(shape, row, strict=True))
    ]
    found = [size for row in known for size, declared in zip(row, shape, strict=True) if declared == -1]
    longest = max([*found, _LONGEST]) if rule is None or rule.max_length is None else rule.max_length
    shortest = 1 if rule is None or rule.min_length is None else rule.min_length
    if rule is not None and rule.max_length is None:
        longest = max(longest, shortest)
    shortest = min(shortest, longest)
    first = [size for size, declared in zip(known[0], shape, strict=True) if declared == -1] if known else []
    usual = tuple(min(max(size, shortest), longest) for size in first or [_USUAL] * shape.count(-1))
    domain = TensorDomain(
        name=tensor.name,
        element=element,
        shape=shape,
        shortest=shortest,
        longest=longest,
        usual=usual,
        shared=shared,
        whole=not tensor.shape,
    )
    given = [value for value in map(domain.spelled, seen[:1]) if domain.valid(value)]
    return replace(domain, default=given[0] if given else constant(element.default, domain.sized(())))


def _element(tensor: Tensor, key: str, rule: "InputRule | None", seen: Sequence[Any]) -> ValueDomain:
    dtype = _AS_NUMBERS.get(tensor.dtype, tensor.dtype)
    kind = _scalar(dtype)
    if kind is None and dtype not in _NUMBERS:
        raise Unsupported(f"tensor '{tensor.name or 0}' has dtype {tensor.dtype}, which JSON can not carry")
    if rule is not None:
        check_tensor_rule(key, tensor, kind, rule)
        rule = rule.model_copy(update={"min_length": None, "max_length": None})
    if kind is None:
        return number_or_choice(key, dtype, rule, seen)
    if kind is DataType.BOOLEAN and (rule is None or rule.values is None):
        return choice(key, (False, True), [value for value in seen if isinstance(value, bool)])
    domain = scalar_domain(key, kind, rule, seen)
    if isinstance(domain, TextDomain) and dtype.startswith(("bytes", "S", "|S")):
        return replace(domain, plain=True)  # numpy makes bytes of ASCII only
    return domain


def _scalar(dtype: str) -> DataType | None:
    if dtype in {"bool", "boolean"}:
        return DataType.BOOLEAN
    if dtype.startswith(("str", "object", "<U", "bytes", "S", "|S")):
        return DataType.STRING
    return DataType.DATETIME if dtype.startswith("datetime64") else None
