"""A directory to run `pytest --mlgate` in, with a registry and a server of this process behind it."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401  (pytester forgets what a run imports; what is here already is not imported again)
import pytest

import mlgate.load.locust
import mlgate_suites.accuracy
import mlgate_suites.cold_start
import mlgate_suites.environment
import mlgate_suites.load_run
import mlgate_suites.properties
import mlgate_suites.schema
import pytest_mlgate.gate  # noqa: F401
from mlgate.evidence import Evidence
from mlgate.policy_file import load_policy
from tests.plugin.seam import VARIABLE, World, write_model

ROOT = Path(__file__).parents[2]
OUTPUT = Path(".mlgate/churn-1")
FAST = """\
version: 1
requires: [{requires}]
properties: {{examples: 40}}
cold_start: {{repeats: 5}}
load: {{rate: 100/s, duration: 3s, p95: 2s, error_rate: 1%}}
{more}
"""


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Model directories by behaviour, each written once."""
    folder = tmp_path_factory.mktemp("models")
    written: dict[str, Path] = {}

    def model(behaviour: str = "good") -> Path:
        if behaviour not in written:
            written[behaviour] = write_model(folder / behaviour, behaviour)
        return written[behaviour]

    return model


@dataclass
class Gated:
    """A user's project with a policy, and one registered version `models:/churn/1`."""

    pytester: pytest.Pytester
    world: World
    models: Any
    options: tuple[str, ...] = ("-p", "no:locust", "-p", "no:cacheprovider", "-p", "no:randomly")
    told: dict[str, Any] = field(default_factory=dict)

    def policy(self, requires: str = "schema", more: str = "", name: str = "mlgate.yaml") -> Path:
        path = self.pytester.path / name
        path.write_text(FAST.format(requires=requires, more=more))
        return path

    def register(self, behaviour: str = "good") -> None:
        self.world.registry.add("churn", self.models(behaviour))

    def own_check(self, body: str = "mlgate_record(PASSED)", *, id_: str = "rules.one", suite: str = "rules") -> str:
        """Return the text of a file with one check of the user's own."""
        return (
            "import pytest\nfrom mlgate.evidence import Finding, Outcome\n"
            "PASSED = Finding(outcome=Outcome.PASSED, reason='fine')\n\n"
            f"@pytest.mark.mlgate_check('{id_}', suite='{suite}')\n"
            f"def test_one(mlgate_record):\n    {body}\n"
        )

    def acceptance(self, body: str = "mlgate_record(PASSED)", *, name: str = "test_rules.py", **options: str) -> None:
        """Write `acceptance/test_rules.py` with a check of the user's own."""
        folder = self.pytester.path / "acceptance"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(self.own_check(body, **options))

    def ini(self, text: str) -> None:
        (self.pytester.path / "pytest.ini").write_text(f"[pytest]\n{text}\n")

    def run(self, *arguments: str, uri: str | None = "models:/churn/1", plugins: tuple[object, ...] = ()) -> Any:
        """Run in this process."""
        if not self.world.registry._models:
            self.register()
        given = [f"--mlgate={uri}"] if uri is not None else []
        # pytester would hand a Ctrl-C of the run on to us.
        return self.pytester.runpytest_inprocess(
            *self.options, *given, *arguments, plugins=plugins, no_reraise_ctrlc=True
        )

    def run_subprocess(self, *arguments: str, at: dict[str, str] | None = None, champion: str | None = None,
                       versions: tuple[str, ...] = ("good",), uri: str = "models:/churn/1") -> Any:  # fmt: skip
        """Run in a process of its own; what became of the world is in `told`."""
        told = self.pytester.path / "told.json"
        orders = {
            "versions": [str(self.models(behaviour)) for behaviour in versions],
            "champion": champion,
            "at": at or {},
            "told": str(told),
        }
        os.environ[VARIABLE] = json.dumps(orders)
        try:
            result = self.pytester.runpytest_subprocess(
                *self.options, "-p", "tests.plugin.seam", f"--mlgate={uri}", *arguments, timeout=120
            )
        finally:
            del os.environ[VARIABLE]
        self.told = json.loads(told.read_text()) if told.exists() else {}
        return result

    def evidence(self, folder: Path = OUTPUT) -> Evidence:
        return Evidence.from_bytes((self.pytester.path / folder / "evidence.json").read_bytes())

    def outcomes(self) -> dict[str, str]:
        """Return text id to outcome of the checks that decide."""
        checks = self.evidence().checks()
        return {check.key: str(check.outcome) for check in checks if not check.finding.details.get("advisory")}

    def expected(self) -> int:
        """Return how many checks its policy expects, without a champion and without a user's own."""
        policy = load_policy(self.pytester.path / "mlgate.yaml")
        return sum(map(len, policy.expected_checks(champion=False).values()))

    def tags(self) -> dict[str, str]:
        registry = self.world.registry
        return dict(registry.tags(registry._models["churn"]["1"].version))

    def last_line(self, result: Any) -> str:
        """Return the last line printed that holds anything."""
        return next(line for line in reversed(result.outlines) if line.strip())

    def refusal(self, result: Any) -> str:
        """Assert that the run was refused with one line and nothing else went on; return that line."""
        said = [line for line in result.outlines + result.errlines if line.strip()]
        assert result.ret == 4, said
        refusals = [line for line in said if line.startswith("ERROR: ")]
        assert len(refusals) == 1, said
        assert not [line for line in said if "Traceback" in line or "INTERNALERROR" in line]
        assert self.world.registry.writes == []
        return str(refusals[0])

    @property
    def leftovers(self) -> list[str]:
        """Temporary files of ours that are still there."""
        return [path.name for path in (self.pytester.path / "tmp").glob("mlgate-*")]


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """What `raised` leaves behind: the run is made once."""
    return tmp_path_factory.mktemp("raised") / ".mlgate"


@pytest.fixture
def raised(gated, once):
    """A project after the failed run of a version that raises above fifty, and the failure that the run saved."""
    gated.policy("properties")
    gated.register("raises")
    if not once.exists():
        assert gated.run().ret == 1
        shutil.copytree(gated.pytester.path / ".mlgate", once)
        gated.world.registry.writes.clear()
    else:
        shutil.copytree(once, gated.pytester.path / ".mlgate")
    (path,) = (gated.pytester.path / OUTPUT / "failures").glob("properties.total-*.json")
    return gated, path


@pytest.fixture
def gated(pytester, monkeypatch, models):
    """A project with a fast policy that requires the schema suite, and the seam in place."""
    world = World()
    world.install(monkeypatch.setattr)
    monkeypatch.setattr(mlgate_suites.load_run, "run_load", mlgate.load.locust.run_load)
    temporary = pytester.path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("MLGATE_CACHE", str(pytester.path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    project = Gated(pytester=pytester, world=world, models=models)
    project.policy()
    yield project
    assert world.running == 0, "a server still runs"
    assert not project.leftovers, "temporary folders are left"
