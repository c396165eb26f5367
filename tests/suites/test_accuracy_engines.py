"""`accuracy.engine`: the same suite on the same models, wherever their rows are scored."""

import os
import sys

import pyarrow.parquet as pq

from mlgate.evaluation.score_table import FILE
from tests.suites.conftest import POLICY, healthy
from tests.suites.test_accuracy_mutants import flipped

RAY = POLICY.replace("  confidence: 95%\n", "  confidence: 95%\n  engine: ray\n")


def test_ray_comes_to_the_findings_and_the_scores_of_local(bench, monkeypatch):
    """Of both models; only the engine's name and the times differ."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    here = bench(flipped(0.02), champion=healthy)
    findings, table = here.findings("accuracy"), pq.read_table(here.output / FILE)
    there = bench(flipped(0.02), champion=healthy, policy=RAY)
    others, other = there.findings("accuracy"), pq.read_table(there.output / FILE)
    assert len(other) == len(there.data)
    assert other.column_names == table.column_names
    assert other.equals(table)
    assert others.keys() == findings.keys()
    for key, found in others.items():
        local = findings[key]
        assert (found.outcome, found.reason, found.measured, found.interval) == (
            local.outcome,
            local.reason,
            local.measured,
            local.interval,
        )
        assert {side["engine"] for side in found.details["scoring"].values()} == {"ray"}
        assert {side["engine"] for side in local.details["scoring"].values()} == {"local"}
    assert "ray" not in sys.modules, "its driver is a process of its own"
