"""What the policy asks for is what the server sees, and a healthy model passes however it is asked."""

import textwrap

import numpy as np
import pytest

from mlgate.evidence import Cause
from tests.suites.misbehaving import answering
from tests.suites.under_load import Seen, one_at_a_time, policy_of

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("quiet_host")]

LIMITS = "p95: 1s"


@pytest.fixture
def load(bench, tmp_path):
    """Put a healthy model under a load; return its outcomes, and when and with how many rows it was asked."""

    def run(section, n):
        seen = Seen()
        put = bench(app=answering(seen.note), policy=policy_of(f"{section}, {LIMITS}"), path=tmp_path / "mlgate.yaml")
        outcomes = put.outcomes("load")
        assert set(outcomes.values()) == {"passed"}, put.findings("load")
        at_s, rows = seen.last(n)
        return np.array(at_s), np.array(rows)

    return run


def test_a_spike_of_poisson_arrivals_in_batches(load):
    """The middle second has three times the requests of any other; one in ten has ten rows; gaps are irregular."""
    profile = "rate: 60/s, duration: 5s, profile: {spike: {to: 180/s, length: 1s}}, arrivals: poisson"
    at_s, rows = load(f"{profile}, batch: {{1: 90%, 10: 10%}}", n=420)
    before, during = ((start <= at_s) & (at_s < start + 1) for start in (0.5, 2.0))
    assert during.sum() > 1.8 * before.sum()
    assert set(rows.tolist()) == {1, 10}
    assert (rows == 10).sum() == pytest.approx(42, abs=1)
    # The gaps of a Poisson process vary by as much as they are long; those of a constant rate not at all.
    gaps = np.diff(at_s[before])
    assert gaps.std() > 0.5 * gaps.mean()


def test_a_ramp_by_two_workers(load):
    """The second half has twice the requests of the first, and nothing is sent twice or left out."""
    at_s, _ = load("rate: 120/s, duration: 4s, profile: {ramp: {from: 40/s}}, workers: 2", n=320)
    assert (at_s > 2).sum() == pytest.approx(200, abs=30)
    assert at_s[-1] < 4.5


def test_a_recorded_trace(load, tmp_path):
    """Two bursts with a pause between them, as recorded."""
    times = np.concatenate([np.linspace(0, 1.2, 170), np.linspace(2.4, 3.6, 170)])
    (tmp_path / "arrivals.csv").write_text("seconds\n" + "\n".join(f"{at:.4f}" for at in times))
    at_s, _ = load("profile: {trace: arrivals.csv}", n=340)
    gaps = np.diff(at_s)
    assert gaps.argmax() == pytest.approx(169, abs=10)
    assert gaps.max() > 5 * np.sort(gaps)[-2]


@pytest.mark.slow
def test_the_capacity_is_reported_and_never_judged(bench, few):
    """One at a time for 40 ms: 25/s, whatever is offered. It is a part of the evidence, and no outcome."""
    section = "rate: 15/s, duration: 4s, p95: 1s, error_rate: 10%"
    put = bench(app=one_at_a_time(0.04), data=few, policy=policy_of(f"{section}, find_capacity: true"))
    assert put.outcomes("load") == dict.fromkeys(("load.p95_latency", "load.error_rate", "load.rate"), "passed")
    found = put.parts["load.capacity"]
    assert found.details["advisory"]
    assert 12 < found.measured < 26


LOCUSTFILE = """
from locust import FastHttpUser, constant, task

class Caller(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def predict(self):
        row = {"columns": ["age", "tenure", "plan"], "data": [[33.0, 4, "pro"]]}
        self.client.post("/invocations", json={"dataframe_split": row})
"""


def with_locustfile(bench, folder, text, *, app=lambda inner: inner):
    """Return the findings of a policy that names *text* as its locustfile."""
    (folder / "locustfile.py").write_text(textwrap.dedent(text))
    own = "locustfile: {file: locustfile.py, users: 4, spawn_rate: 100/s}"
    policy = policy_of(f"rate: 40/s, duration: 3s, {LIMITS}, error_rate: 5%, {own}")
    return bench(app=app, policy=policy, path=folder / "mlgate.yaml").findings("load")


def test_a_locustfile_of_the_users_own_is_judged_as_any_load(bench, tmp_path):
    """A healthy model passes."""
    findings = with_locustfile(bench, tmp_path, LOCUSTFILE)
    assert {str(found.outcome) for found in findings.values()} == {"passed"}, findings


def test_a_locustfile_of_the_users_own_fails_a_model_with_bad_answers(bench, tmp_path):
    """A server that answers one in five with 500 fails the error rate and still carries the rate."""
    calls = iter(range(10**6))
    app = answering(lambda *_: next(calls) % 5 == 0, status=500)
    findings = with_locustfile(bench, tmp_path, LOCUSTFILE, app=app)
    assert findings["load.error_rate"].outcome == "failed", findings
    assert findings["load.rate"].outcome == "passed", findings


def test_a_broken_locustfile_is_an_error_in_one_line(bench, tmp_path):
    """It says which line of theirs it is, and nothing of it is the model's fault."""
    findings = with_locustfile(bench, tmp_path, "import locust\n\nclass Caller(locust.Nobody):\n    pass\n")
    assert {str(found.outcome) for found in findings.values()} == {"errored"}
    for found in findings.values():
        assert found.cause is Cause.HARNESS
        assert "\n" not in found.reason
        assert "locustfile" in found.reason
        assert "Nobody" in found.reason
