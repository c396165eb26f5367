"""Inference params beside the rows of a request, and values that are wrong for them. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlgate.artifacts.signature import DataType, Param
from mlgate.scoring.wrong_values import of_another_kind

# MLflow's server reads them beside the rows; MLServer among the request's own parameters.
_BESIDE = "params"
_AMONG = "parameters"


def with_params(body: bytes, params: object, *, path: str) -> bytes:
    """Return a JSON request with inference params.

    Args:
        body: Without any.
        params: Name to value; anything else is wrong, and only MLflow's protocol can say it.
        path: Of the protocol, which tells the two apart.

    Raises:
        ValueError: V2 with what is no mapping.
    """
    document = json.loads(body)
    if path == "/invocations":
        document[_BESIDE] = params
    elif isinstance(params, Mapping):
        document[_AMONG] = {**document.get(_AMONG, {}), **params}
    else:
        raise ValueError("V2 has no place for params that are no mapping")
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def wrong_params(param: Param) -> Iterator[tuple[str, Any]]:
    """Yield values that are wrong for *param*, and what is wrong with each: its type, its shape, one element's type."""
    wrong = of_another_kind(param.type, param.default)
    if param.type in {DataType.INTEGER, DataType.LONG}:
        wrong = (*wrong, 1.5)
    if param.shape is None:
        yield from ((f"{json.dumps(value)[:60]} in '{param.name}'", value) for value in wrong)
        yield f"a list in '{param.name}'", [param.default]
        return
    yield f"no list in '{param.name}'", param.default[0] if isinstance(param.default, list) and param.default else 0
    for value in (value for value in wrong if not isinstance(value, list)):
        elements = [*(param.default if isinstance(param.default, list) else []), value]
        yield f"{json.dumps(value)[:60]} among the elements of '{param.name}'", elements
    yield f"a list of lists in '{param.name}'", [param.default]
