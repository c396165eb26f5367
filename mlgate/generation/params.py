"""Inference parameters: valid `params` objects. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.artifacts.signature import ArrayType, Param
from mlgate.generation.columns import column_domain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.interface import Mode, Unsupported

_LEFT_OUT = 0.25
_ONE_AXIS = (-1,)  # MLflow knows no other shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamsSpace:
    """The domains of all parameters, in the signature's order; each may be left out, for its default."""

    domains: tuple[ValueDomain, ...]

    def sample(self, n: int, *, seed: int, modes: Mapping[str, Mode] | None = None) -> list[dict[str, Any]]:
        """Draw *n* valid objects; now and then a parameter is left out.

        Args:
            n: Objects.
            seed: The same seed gives the same objects.
            modes: How to fill each parameter; one that is named is never left out. Default: `MIXED`.
        """
        rng = np.random.default_rng(seed)
        objects: list[dict[str, Any]] = [{} for _ in range(n)]
        for domain in self.domains:
            name = str(domain.name)
            mode = (modes or {}).get(name)
            kept = np.ones(n, dtype=bool) if mode is not None else rng.random(n) >= _LEFT_OUT
            values = domain.fill(n, mode or Mode.MIXED, rng)
            for one, value, there in zip(objects, values, kept.tolist(), strict=True):
                if there:
                    one[name] = value
        return objects

    def defaults(self) -> dict[str, Any]:
        """Return the object that says what leaving everything out says."""
        return {str(domain.name): domain.default for domain in self.domains}


def params_space(params: Sequence[Param]) -> ParamsSpace:
    """Return the valid values of *params*: near the default, which is all that is known of them.

    Raises:
        Unsupported: A type or shape that MLflow does not know; names the parameter.
    """
    return ParamsSpace(domains=tuple(map(_domain, params)))


def _domain(param: Param) -> ValueDomain:
    if param.shape not in (None, _ONE_AXIS):
        raise Unsupported(f"parameter '{param.name}' has shape {param.shape}; MLflow knows (-1,)")
    kind = ArrayType(param.type) if param.shape is not None else param.type
    seen = [] if param.default is None else [param.default]
    try:
        domain = column_domain(param.name, kind, seen=seen, nullable=param.default is None)
    except Unsupported as error:
        raise Unsupported(f"params.{param.name}: {error}") from error
    return domain
