"""Suites that the user's own check files declare, read as text: nothing is imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mlgate.policy import Policy

_DECLARE = {"mlgate_check", "relation"}


def undecided_suites(policy: Policy) -> tuple[str, ...]:
    """Return the suites of the policy's own checks that it does not require, sorted: recorded, and not judged.

    A suite whose name is computed is not seen here. A gate run, which collects the checks, says it of every one.
    """
    found = {
        suite
        for path in policy.own_checks
        for file in ([path] if path.is_file() else path.rglob("*.py"))
        for suite in _declared(file)
    }
    return tuple(sorted(found - {"environment", *policy.requires}))


def words(suite: str) -> str:
    """Return what is said of such a suite."""
    return f"suite {suite} is not in requires: its checks are recorded, and decide nothing"


def _declared(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # the run that imports it says what is wrong
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        for keyword in node.keywords:
            if name in _DECLARE and keyword.arg == "suite" and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value)
