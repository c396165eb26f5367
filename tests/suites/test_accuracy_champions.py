"""Champions of every kind: kept, broken, of another signature, of other labels; and answers in every shape."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from mlgate.artifacts.signature import parse_signature
from tests.suites.conftest import POLICY, healthy, holdout
from tests.suites.test_accuracy_mutants import flipped


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own."""
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scores"


def known(put, digest="sha256:champion", recipe="sha256:recipe"):
    """Give the champion on the bench its digests."""
    put.champion.artifact_digest, put.champion.recipe = digest, recipe
    return put


def test_the_second_challenger_of_a_day_does_not_ask_the_champion_again(bench, cache):
    """Nor is it started; the findings are the same, and say since when its scores are kept."""
    first = known(bench(flipped(0.02), champion=healthy))
    before = first.findings("accuracy")
    second = known(bench(flipped(0.02), champion=healthy))
    after = second.findings("accuracy")
    assert (first.champion.served, second.champion.served) == (1, 0)
    key = "accuracy.regression[metric=accuracy]"
    assert before[key].reason == after[key].reason
    kept = after[key].details["scoring"]["champion"]
    assert kept == {"cached": True, "scored_at": before[key].details["scoring"]["champion"]["scored_at"]}
    assert any("not asked again" in line for line in second.told)
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("other", [{"digest": "sha256:other"}, {"recipe": "sha256:other"}, {"recipe": ""}])
def test_another_champion_or_environment_is_asked(bench, cache, other):
    """What is kept of one is nothing of the other."""
    known(bench(champion=healthy)).findings("accuracy")
    second = known(bench(champion=healthy), **other)
    second.findings("accuracy")
    assert second.champion.served == 1


def test_a_damaged_file_in_the_cache_is_no_reason_to_fail(bench, cache):
    """The champion is asked again."""
    known(bench(champion=healthy)).findings("accuracy")
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    second = known(bench(champion=healthy))
    assert set(second.outcomes("accuracy").values()) == {"passed"}
    assert second.champion.served == 1


def test_a_champion_that_does_not_install_makes_the_comparison_inconclusive(bench, cache):
    """Before anything of it is started."""
    from mlgate.errors import InstallError

    put = known(bench(champion=healthy))

    def recipe_digest():
        raise InstallError("no such package: sklearn==0.1")

    put.champion.recipe_digest = recipe_digest
    findings = put.findings("accuracy")
    regressions = [found for key, found in findings.items() if "regression" in key]
    assert {str(found.outcome) for found in regressions} == {"inconclusive"}
    assert all("no such package" in found.reason for found in regressions)
    assert {str(found.outcome) for key, found in findings.items() if "floor" in key} == {"passed"}


def test_a_nan_of_the_champion_is_no_gift_to_the_challenger(bench):
    """Peers compare with NaN, and every comparison with NaN is false."""

    def predict(frame, params=None):
        return np.where(frame["age"].to_numpy() > 89.5, np.nan, healthy(frame))

    findings = bench(champion=predict).findings("accuracy")
    assert {str(found.outcome) for key, found in findings.items() if "regression" in key} == {"inconclusive"}


def signed(frame, outputs):
    """MLflow's signature as ours."""
    return parse_signature({"signature": infer_signature(frame, outputs).to_dict()})


def test_a_champion_that_reads_fewer_columns_is_compared_with(bench, signature):
    """A challenger with a new feature is the usual case."""
    frame, _ = holdout()
    put = bench(champion=healthy)
    put.champion.signature = signed(frame[["plan", "age"]], healthy(frame))
    put.champion.server._signature = infer_signature(frame[["plan", "age"]], healthy(frame))
    seen = []

    def predict(asked, params=None):
        seen.append(list(asked.columns))
        return healthy(asked.assign(tenure=15))

    put.champion.server._make = lambda: predict
    findings = put.findings("accuracy")
    assert "inconclusive" not in {str(found.outcome) for found in findings.values()}
    assert seen[-1] == ["plan", "age"]


def test_a_champion_that_reads_a_column_which_the_data_lack_is_inconclusive(bench):
    """Named with its column, and it is not even started."""
    frame, _ = holdout()
    put = bench(champion=healthy)
    put.champion.signature = signed(frame.assign(income=1.5), healthy(frame))
    findings = put.findings("accuracy")
    regressions = [found for key, found in findings.items() if "regression" in key]
    assert {str(found.outcome) for found in regressions} == {"inconclusive"}
    assert all("another signature" in found.reason and "income" in found.reason for found in regressions)
    assert put.champion.served == 0


def test_a_champion_that_answers_without_a_score_is_inconclusive_before_it_is_started(bench):
    """What the policy maps is not in its outputs."""
    frame, _ = holdout()
    put = bench(champion=healthy)
    put.champion.signature = signed(frame, (healthy(frame) > 0.5).astype(int))
    findings = put.findings("accuracy")
    regressions = [found for key, found in findings.items() if "regression" in key]
    assert {str(found.outcome) for found in regressions} == {"inconclusive"}
    assert "another signature" in regressions[0].reason
    assert put.champion.served == 0


def both_signed(put):
    """Give the champion the challenger's signature."""
    put.champion.signature = parse_signature({"signature": put.signature.to_dict()})
    put.champion.server._signature = put.signature
    return put


TEXTS = POLICY.replace("    roc_auc: {min: 0.70, margin: 0.04}\n", "").replace("classes: [0, 1]", "positive: 1")


def test_a_champion_with_other_labels_is_inconclusive_and_a_challenger_with_them_fails(bench):
    """Each of its labels would count as wrong: of the champion a gift, of the challenger its fault."""
    frame, _ = holdout()

    def right(asked, params=None):
        return (healthy(asked) > 0.5).astype(int)

    def words(asked, params=None):
        return np.where(healthy(asked) > 0.5, 7, 8)

    outputs = infer_signature(frame, right(frame))
    findings = both_signed(bench(right, champion=words, policy=TEXTS, signed=outputs)).findings("accuracy")
    assert {str(found.outcome) for key, found in findings.items() if "regression" in key} == {"inconclusive"}
    assert {str(found.outcome) for key, found in findings.items() if "floor" in key} == {"passed"}
    findings = both_signed(bench(words, champion=right, policy=TEXTS, signed=outputs)).findings("accuracy")
    assert str(findings["accuracy.floor[metric=accuracy]"].outcome) == "failed"
    assert findings["accuracy.floor[metric=accuracy]"].details["unknown_labels"]["labels"].keys() == {"7", "8"}


def shapes():
    """Name to model of the same answers in another shape, and the policy's words for it."""

    def one(asked):
        return 0.98 * healthy(asked) + 0.013  # never 0.5: of two equal scores the first class is the larger

    def both(asked):
        return np.stack([1 - one(asked), one(asked)], axis=1)

    def labelled(asked):
        return pd.DataFrame({"churned": (one(asked) >= 0.5).astype(int), "p": one(asked)})

    def a_column_a_class(asked):
        return pd.DataFrame({"1": one(asked), "0": 1 - one(asked)})

    return {
        "one probability": (one, "classes: [0, 1]"),
        "array": (both, "classes: [0, 1]"),
        "named columns": (labelled, "prediction: churned\n  score: p"),
        "column a class": (a_column_a_class, "classes: [0, 1]"),
    }


@pytest.mark.parametrize("shape", list(shapes()))
def test_the_same_answers_in_any_shape_come_to_the_same_findings(bench, shape):
    """Labels, scores and bounds; through MLflow's own server."""
    frame, _ = holdout()
    answer, words = shapes()[shape]

    def predict(asked, params=None):
        return answer(asked)

    def reference(asked, params=None):
        return shapes()["one probability"][0](asked)

    plain = bench(reference, champion=flipped(0.02)).findings("accuracy")
    policy = POLICY.replace("classes: [0, 1]", words)
    put = bench(predict, champion=flipped(0.02), policy=policy, signed=infer_signature(frame, answer(frame)))
    if shape == "named columns":  # the champion answers a probability and nothing else
        put = replace(put, champion=None)
    findings = put.findings("accuracy")
    assert findings
    for key, found in findings.items():
        assert (found.outcome, found.measured, found.interval) == (
            plain[key].outcome,
            plain[key].measured,
            plain[key].interval,
        )
