"""mlgate: acceptance tests for registered models, and the gate between the registry and traffic.

Importing this package imports nothing heavy: the names below are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlgate.errors import MlgateError
    from mlgate.evidence import CheckResult, Evidence, Finding, Outcome
    from mlgate.policy import Policy
    from mlgate.relations import Answered, relation
    from mlgate.verdict import Verdict, assess

__all__ = [
    "Answered",
    "CheckResult",
    "Evidence",
    "Finding",
    "MlgateError",
    "Outcome",
    "Policy",
    "Verdict",
    "__version__",
    "assess",
    "relation",
]

_HOMES = {
    "Answered": "mlgate.relations",
    "CheckResult": "mlgate.evidence",
    "Evidence": "mlgate.evidence",
    "Finding": "mlgate.evidence",
    "MlgateError": "mlgate.errors",
    "Outcome": "mlgate.evidence",
    "Policy": "mlgate.policy",
    "Verdict": "mlgate.verdict",
    "assess": "mlgate.verdict",
    "relation": "mlgate.relations",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  (15 ms that `import mlgate` need not pay)

        return version("mlgate")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mlgate' has no attribute '{name}'")
