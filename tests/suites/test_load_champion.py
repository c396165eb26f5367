"""`load.regression`: the challenger beside the champion, in blocks that take turns on the same host."""

import pytest

from mlgate.evidence import Cause
from tests.suites.conftest import healthy
from tests.suites.under_load import fails_alone, policy_of, taking

pytestmark = pytest.mark.alone
CHECK = "load.regression"


@pytest.fixture(autouse=True)
def short_blocks(quiet_host, monkeypatch):
    """Half a second shows a difference that the test makes itself; the second that a policy needs is for a real one's."""
    monkeypatch.setattr("mlgate.policy_load.MIN_BLOCK_S", 0.5)


def beside(bench, *, challenger_s, champion_s):
    """Return a bench with both sides, each of which takes its seconds more than the healthy model.

    So many that a neighbour who stalls one side for a tenth of a second is no 1.25 times.
    """
    return bench(
        app=taking(lambda _: challenger_s),
        champion=healthy,
        champion_app=taking(lambda _: champion_s),
        policy=policy_of("rate: 62/s, duration: 5s, p95: 2s, max_ratio_to_champion: 1.25"),
    )


@pytest.mark.slow
def test_a_challenger_that_is_slower_than_the_champion_fails_the_regression_check_and_only_it(bench):
    """1.6 times as slow, where 1.25 times is allowed, and well within the limit of p95."""
    findings = beside(bench, challenger_s=0.64, champion_s=0.4).findings("load")
    assert fails_alone(findings, CHECK), findings
    assert 1.3 < findings[CHECK].measured < 1.8
    assert findings[CHECK].cause is Cause.MODEL


@pytest.mark.slow
def test_a_challenger_as_fast_as_the_champion_passes(bench):
    """And the evidence holds both sides' percentile curves, for the report."""
    put = beside(bench, challenger_s=0.4, champion_s=0.4)
    found = put.findings("load", CHECK)[CHECK]
    assert found.outcome == "passed", found
    assert {"percentile_curve", "champion_percentile_curve"} <= found.details.keys()
    assert (put.output / found.details["samples"]).stat().st_size > 0


def test_a_champion_that_does_not_start_is_never_a_pass(bench):
    """Nothing to compare with: inconclusive, and not the model's fault."""
    put = beside(bench, challenger_s=0.0, champion_s=0.0)

    def dies():
        raise RuntimeError("no module named churn")

    put.champion.server._make = dies
    found = put.findings("load", CHECK)[CHECK]
    assert found.outcome == "inconclusive"
    assert found.cause is Cause.ENVIRONMENT
    assert "no module named churn" in found.reason
