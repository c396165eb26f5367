"""`mlgate report` beside runs that anybody may have logged."""

import pytest

from mlgate.cli import app, report
from mlgate.registry.interface import GateRun
from mlgate.registry.memory import MemoryRegistry
from tests.promotable import POLICY_TEXT, evidence_about, model, publish_evidence


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Version 1 of churn, in a project with a policy."""
    made = MemoryRegistry()
    monkeypatch.setattr(report, "open_registry", lambda: made)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlgate.yaml").write_text(POLICY_TEXT)
    return made


def broken(registry, version, folder):
    """Log a run with something else in the place of its evidence."""
    folder.mkdir()
    (folder / "evidence.json").write_bytes(b"{")
    return registry.publish(GateRun(version=version, name="x", tags={}, metrics={}, folder=folder))


def test_a_broken_run_keeps_nobody_from_reading_the_others(registry, tmp_path, capsys):
    """It is named where there is nothing else."""
    place = model(tmp_path / "model", "1")
    version = registry.add("churn", place)
    run_id = broken(registry, version, tmp_path / "a")
    assert app.run(["report", version.uri]) == 1
    assert f"run {run_id}: evidence is not JSON" in capsys.readouterr().err
    publish_evidence(registry, version, evidence_about(version, place))
    broken(registry, version, tmp_path / "b")
    assert app.run(["report", version.uri]) == 0
    assert f"Gate report: `{version.uri}`" in capsys.readouterr().out
