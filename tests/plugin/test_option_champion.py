"""--mlgate-champion: which version the challenger is compared with."""

import numpy as np
import pytest

from tests.plugin.seam import EXAMPLE, score


@pytest.fixture
def compared(gated):
    """Two versions; the first is the champion, and rows to compare them on."""
    rows = EXAMPLE.sample(400, replace=True, random_state=1, ignore_index=True)
    rows["age"] += rows.index * 0.01
    noise = np.random.default_rng(1).normal(0, 0.05, len(rows))
    rows["truth"] = score(rows)["score"] + noise
    rows.to_csv(gated.pytester.path / "rows.csv", index=False)
    metrics = "metrics: {rmse: {max: 0.5, margin: 0.1}}"
    gated.policy("accuracy", f"accuracy: {{data: rows.csv, label: truth, prediction: score, {metrics}}}")
    gated.register()
    gated.register("random")
    gated.register()
    gated.world.registry.set_alias("churn", "champion", "1")
    gated.world.registry.writes.clear()
    return gated


def test_the_champion_alias_is_compared_with_by_default(compared):
    """The evidence names it by version and digest, and so do header and tags."""
    result = compared.run(uri="models:/churn/3")
    result.stdout.fnmatch_lines(["mlgate: models:/churn/3 *, champion models:/churn/1"])
    result.stdout.fnmatch_lines(["*accuracy.regression*, n = *, shows a loss of *, margin needs *"])
    evidence = compared.evidence(".mlgate/churn-3")
    assert evidence.champion.version == "1"
    assert evidence.champion.artifact_digest.startswith("sha256:")
    assert "accuracy.regression[metric=rmse]" in [check.key for check in evidence.checks()]


def test_none_compares_with_nobody(compared):
    """Floors only; the evidence says that there is no champion."""
    assert compared.run("--mlgate-champion", "none", uri="models:/churn/3").ret == 0
    evidence = compared.evidence(".mlgate/churn-3")
    assert evidence.champion is None
    assert [check.key for check in evidence.checks() if check.id.startswith("accuracy")] == [
        "accuracy.floor[metric=rmse]"
    ]


def test_a_named_champion_wins_over_the_alias(compared):
    """Any URI can stand here."""
    compared.run("--mlgate-champion", "models:/churn/2", uri="models:/churn/3")
    assert compared.evidence(".mlgate/churn-3").champion.version == "2"


def test_a_worse_challenger_fails_the_regression(compared):
    """The comparison is really made."""
    assert compared.run(uri="models:/churn/2").ret == 1
    outcomes = {check.key: str(check.outcome) for check in compared.evidence(".mlgate/churn-2").checks()}
    assert outcomes["accuracy.regression[metric=rmse]"] == "failed"


def test_a_champion_that_can_not_be_scored_never_passes(compared):
    """A comparison that could not be made is inconclusive."""
    compared.register("unloadable")
    assert compared.run("--mlgate-champion", "models:/churn/4", uri="models:/churn/3").ret == 20
    check = compared.evidence(".mlgate/churn-3").check("accuracy.regression[metric=rmse]")
    assert check.outcome == "inconclusive"


def test_the_champion_itself_is_compared_with_nobody(compared):
    """A comparison with itself says nothing."""
    assert compared.run(uri="models:/churn/1").ret == 0
    assert compared.evidence(".mlgate/churn-1").champion is None


@pytest.mark.parametrize("uri", ["models:/churn/99", "nonsense", "models:/churn@gold"])
def test_a_champion_that_does_not_exist_is_refused_with_one_line(compared, uri):
    """A misspelt champion is not "no champion"."""
    compared.refusal(compared.run("--mlgate-champion", uri, uri="models:/churn/3"))
