"""Run the packaged checks as plain functions: fixtures by name, against an in-process server."""

import inspect
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from mlgate.artifacts.signature import parse_signature
from mlgate.check_id import format_check_id, parse_check_id
from mlgate.evaluation.engines.interface import find_engine
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Finding
from mlgate.failure import Failure, Origin
from mlgate.generation.input_space import Unsupported, input_space
from mlgate.policy import Policy
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import equality_for
from mlgate_suites import accuracy, cold_start, load, properties, schema
from mlgate_suites.search import Search
from tests.inprocess import InProcessServer

SUITES: dict[str, ModuleType] = {
    "schema": schema, "properties": properties, "accuracy": accuracy, "cold_start": cold_start, "load": load,
}  # fmt: skip


@dataclass
class ServedChampion:
    """The champion's side, on a server of its own."""

    server: InProcessServer
    signature: Any
    artifact_digest: str = ""
    recipe: str = ""
    served: int = 0
    replica: Any = None

    def recipe_digest(self) -> str:
        return self.recipe

    @contextmanager
    def serving(self):
        self.served += 1
        self.server.start()
        client = ScoringClient(self.server, timeout_s=5)
        yield client
        client.close()
        self.server.stop()


@dataclass
class Bench:
    """One model under test, and what the fixtures of the suites give."""

    server: InProcessServer
    signature: Any  # MLflow's
    policy: Policy
    output: Path
    data: EvaluationData | None = None
    champion: ServedChampion | None = None
    example: bytes | None = None
    timeout_s: float = 5.0
    seed: int = 1234
    challengers: frozenset[str] = frozenset()
    digest: str = "sha256:challenger"
    told: list[str] = field(default_factory=list)
    parts: dict[str, Finding] = field(default_factory=dict)
    known: dict[str, Failure] = field(default_factory=dict)
    only_known: bool = False
    _made: dict[str, Any] = field(default_factory=dict)

    def findings(self, suite: str, *only: str) -> dict[str, Finding]:
        """Run every check of *suite* that the policy expects, or *only* these; return text id to finding."""
        expected = only or self.policy.expected_checks(champion=self.champion is not None)[suite]
        found: dict[str, Finding] = {}
        for key in expected:
            check, params = parse_check_id(key)
            function = _function_of(SUITES[suite], check)
            recorded: list[Finding] = []
            arguments = {
                name: self.search(key, suite)
                if name == "mlgate_search"
                else params.get(name) or self._fixture(SUITES[suite], name, recorded.append)
                for name in _names(function)
            }
            function(**arguments)
            assert len(recorded) == 1, f"{key} recorded {len(recorded)} findings"
            found[format_check_id(check, params)] = recorded[0]
        return found

    def search(self, key: str, suite: str) -> Search:
        """The search of one check; `known` and `only_known` come from the bench."""
        return Search(
            check=key,
            suite=suite,
            client=self._fixture(properties, "mlgate_client", lambda finding: None),
            examples=self.policy.values.properties.examples,
            tolerate=self.policy.values.properties.tolerate,
            seed=self.seed,
            folder=self.output,
            origin=Origin(uri="models:/churn/1", artifact_digest=self.digest, policy_digest=self.policy.digest),
            known={name: failure for name, failure in self.known.items() if failure.check == key},
            only_known=self.only_known,
            data=self.data,
            store_rows=self.policy.values.evidence.rows == "full",
        )

    def outcomes(self, suite: str, *only: str) -> dict[str, str]:
        return {key: str(finding.outcome) for key, finding in self.findings(suite, *only).items()}

    def _fixture(self, module: ModuleType, name: str, record: Callable[[Finding], None]) -> Any:
        if name == "mlgate_record":
            return lambda finding, parts=(): (
                record(finding),
                self.parts.update({part.key: part.finding for part in parts}),
            )
        if name not in self._made:
            self._made[name] = self._make(module, name, record)
        return self._made[name]

    def _make(self, module: ModuleType, name: str, record: Callable[[Finding], None]) -> Any:
        signature = parse_signature({"signature": self.signature.to_dict()} if self.signature is not None else {})
        own = {
            "mlgate_policy": self.policy,
            "mlgate_seed": self.seed,
            "mlgate_example": self.example,
            "mlgate_data": self.data,
            "mlgate_champion": self.champion,
            "mlgate_output": self.output,
            "mlgate_digest": self.digest,
            "mlgate_challengers": self.challengers,
        }
        if name in own:
            return own[name]
        match name:
            case "mlgate_client":
                return ScoringClient(self.server, timeout_s=self.timeout_s)
            case "mlgate_signature":
                return signature
            case "mlgate_inputs":
                properties = self.policy.values.properties
                return input_space(
                    signature.inputs,
                    rules=properties.inputs,
                    order=properties.order,
                    data=self.data.head(len(self.data)) if self.data else None,
                    keys=self.data.keys if self.data else None,
                    seed=self.seed,
                )
            case "mlgate_equality":
                return equality_for(signature.outputs, tolerance=self.policy.values.properties.tolerance)
            case "mlgate_checks":
                return self.policy.expected_checks(champion=self.champion is not None)
            case "mlgate_tell":
                return self.told.append
            case "mlgate_show":
                return None
            case "mlgate_scoring_engine":
                return find_engine(self.policy.values.accuracy.engine)
            case "mlgate_replica":
                return None
            case _:
                fixture = getattr(module, name).__wrapped__
                arguments = {needed: self._fixture(module, needed, record) for needed in _names(fixture)}
                return fixture(**arguments)


def _names(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _function_of(module: ModuleType, check: str) -> Callable[..., Any]:
    for value in vars(module).values():
        marks = getattr(value, "pytestmark", [])
        if any(mark.name == "mlgate_check" and mark.args == (check,) for mark in marks):
            return value
    raise AssertionError(f"no check {check} in {module.__name__}")


__all__ = ["Bench", "ServedChampion", "Unsupported"]
