"""A healthy model passes every check of every suite."""

import pytest

from tests.suites.conftest import healthy


@pytest.mark.parametrize("suite", ["schema", "properties", "accuracy", "cold_start", "load"])
def test_a_healthy_model_passes_every_check(bench, suite):
    """No check of ours cries wolf: not at a champion with the same answers either."""
    findings = bench(champion=healthy).findings(suite)
    assert findings
    assert {key: str(found.outcome) for key, found in findings.items()} == dict.fromkeys(findings, "passed"), findings


def test_a_suite_that_is_expected_has_checks(bench):
    """The five suites have at least two checks each, so that no table above is empty."""
    expected = bench(champion=healthy).policy.expected_checks(champion=True)
    assert all(len(checks) >= 2 for checks in expected.values())
