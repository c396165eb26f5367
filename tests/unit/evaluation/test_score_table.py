"""The scores file: what is judged from it is what was judged in the run."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlgate.errors import EvidenceError
from mlgate.evaluation.columns import KeyColumn
from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.metric_set import metrics_of
from mlgate.evaluation.paired_scores import RUN_ONLY, PairedScores, cut, same_judgement
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.score_table import FORMAT, TableFacts, read_scores, write_scores
from mlgate.evaluation.scored import ScoredModel
from mlgate.evaluation.slices import Column
from mlgate.policy_accuracy import Accuracy
from mlgate.policy_file import parse_policy
from mlgate.scoring.payloads import Batch

N = 400
FACTS = {"data": "sha256:data", "challenger": "sha256:new", "champion": "sha256:old"}
BINARY = """
accuracy:
  data: x.csv
  label: y
  confidence: 97.3%
  positive: yes it is
  metrics:
    accuracy: {min: 0.6, margin: 0.05}
    roc_auc: {min: 0.7, margin: 0.05}
    log_loss: {max: 0.9}
  slices: [region, "age >= 65", {column: age, bins: [30, 60]}, {cross: [region, plan]}]
  gaps: [{column: plan, metric: recall, max: 0.3}]
"""
THREE = """
accuracy:
  data: x.csv
  label: y
  group: household
  classes: [a, b, c]
  metrics: {f1_macro: {margin: 0.1}, roc_auc_ovr: {min: 0.5}, accuracy: {margin: 0.1}}
"""
NUMBERS = """
accuracy:
  data: x.csv
  label: y
  metrics: {rmse: {max: 3, margin: 0.2}, median_absolute_error: {margin: 0.2}, r2: {min: -1}}
"""


def data(labels, keys=None, group=None):
    """Rows with their truth, and three columns to slice by."""
    rng = np.random.default_rng(3)
    found = EvaluationData.of(
        source="x.csv",
        digest="sha256:data",
        features=Batch(columns=("a",), rows=tuple([float(index)] for index in range(len(labels)))),
        labels=labels,
        keys=keys,
    )
    context = {
        "region": Column.of([None if value == 3 else ["EU", "US", "APAC"][value] for value in rng.integers(0, 4, N)]),
        "plan": Column.of(rng.choice(["pro", "basic"], N).tolist()),
        "age": Column.of(rng.integers(18, 90, N).tolist()),
    }
    return replace(found, context=context, group=group)


def paired(policy, rows, answer, *, champion=True, seed=11):
    """Both models' scores of *rows*; *answer(rng, side)* gives the fields of a sample."""
    accuracy = parse_policy(policy).values.accuracy
    numbers = "rmse" in accuracy.metrics
    names = () if numbers else accuracy.classes or rows.truth.classes
    positive = names.index(accuracy.positive) if accuracy.positive else None
    truth = rows.truth.numbers if numbers else rows.truth.codes_in(names)
    base = Sample(truth=truth, classes=tuple(names), positive=positive, group=rows.group)
    ours, theirs = (
        ScoredModel(
            sample=replace(base, **answer(np.random.default_rng(side), truth)), scored_at="2026-01-01T00:00:00Z"
        )
        for side in (1, 2)
    )
    return PairedScores(
        accuracy=accuracy,
        metrics=metrics_of(accuracy, ".", classification=not numbers),
        challenger=replace(ours, unknown={"maybe": 3}, unknown_rows=3) if not numbers else ours,
        champion=theirs if champion else NoChampion(absence=Absence.BROKEN, reason="it raises: x"),
        slices=cut(accuracy, rows.context),
        seed=seed,
        context=rows.context,
    )


def binary(rng, truth):
    """A model of two classes."""
    score = np.clip(0.5 * truth + rng.normal(0.25, 0.2, len(truth)), 0, 1)
    return {"score": score, "labels": np.where(rng.random(len(truth)) < 0.01, -1, score > 0.5).astype(np.int8)}


def three(rng, truth):
    """A model of three classes."""
    scores = rng.dirichlet([1, 1, 1], len(truth))
    scores[np.arange(len(truth)), truth] += 0.5
    scores /= scores.sum(axis=1, keepdims=True)
    return {"scores": scores, "labels": scores.argmax(axis=1)}


def regression(rng, truth):
    """A model of numbers."""
    return {"numbers": truth + rng.normal(0, 1, len(truth))}


def cases():
    """Name to policy, rows and model."""
    rng = np.random.default_rng(8)
    texts = rng.choice(["no", "yes it is"], N).tolist()
    keys = [f"key-{index}" for index in rng.permutation(N)]
    return {
        "binary": (BINARY, data(texts, keys=keys), binary),
        "three": (THREE, data(rng.choice(list("abc"), N).tolist(), group=np.arange(N) // 3), three),
        "numbers": (NUMBERS, data(rng.normal(0, 2, N).tolist()), regression),
    }


def checks_of(policy, *, champion=True):
    """Ids of the checks that the policy expects."""
    return parse_policy(policy).expected_checks(champion=champion)["accuracy"]


@pytest.fixture(params=["binary", "three", "numbers"])
def case(request):
    """A policy, rows and a model."""
    return cases()[request.param]


def written(tmp_path, policy, rows, answer, **more):
    """Write the file; return scores, file and digest."""
    scores = paired(policy, rows, answer, **more)
    path = tmp_path / "accuracy" / "scores.parquet"
    facts = TableFacts(**FACTS, checks=checks_of(policy))
    return scores, path, write_scores(path, scores, rows, facts)


@pytest.mark.parametrize("champion", [True, False])
def test_the_findings_from_the_file_are_those_of_the_run(tmp_path, case, champion):
    """To the last digit: reasons, bounds and details."""
    policy, rows, answer = case
    scores, path, digest = written(tmp_path, policy, rows, answer, champion=champion)
    stored = read_scores(path)
    again = replace(stored.scores, metrics=scores.metrics)
    first, second = scores.judge_all(checks_of(policy)), again.judge_all(stored.facts.checks)
    assert first == second
    assert all(same_judgement(*pair) for pair in zip(first, second, strict=True))
    assert stored.digest == digest
    assert stored.facts == TableFacts(**FACTS, checks=checks_of(policy))
    assert stored.scores.accuracy == scores.accuracy
    assert stored.scores.accuracy.confidence == scores.accuracy.confidence


@pytest.mark.parametrize("pieces", [1, 3])
def test_keys_that_were_read_from_a_file_are_written_as_they_are(tmp_path, pieces):
    """They come in as many pieces as the file had batches."""
    policy, rows, answer = cases()["binary"]
    texts = list(map(str, rows.keys))
    cuts = np.array_split(np.array(texts, dtype=object), pieces)
    read = replace(rows, keys=KeyColumn(pa.chunked_array([pa.array(cut.tolist()) for cut in cuts])))
    _, path, _ = written(tmp_path, policy, read, answer)
    assert pq.read_table(path)["key"].to_pylist() == texts


def test_the_file_holds_keys_truth_slices_and_answers_and_no_features(tmp_path):
    """Whoever opens it with any Parquet reader finds the columns by their names."""
    policy, rows, answer = cases()["binary"]
    _, path, _ = written(tmp_path, policy, rows, answer)
    table = pq.read_table(path)
    assert table.column_names == [
        "key",
        "label",
        "slice.region",
        "slice.age >= 65",
        "slice.age [30, 60]",
        "slice.region x plan",
        "slice.plan",
        "challenger.label",
        "challenger.score",
        "champion.label",
        "champion.score",
    ]
    assert table["key"].to_pylist() == list(rows.keys)
    assert table["label"].to_pylist() == list(rows.labels)
    assert set(table["slice.region"].to_pylist()) == {f"region={name}" for name in ("EU", "US", "APAC", "null")}
    assert set(table["challenger.label"].to_pylist()) == {"no", "yes it is", None}
    facts = json.loads(table.schema.metadata[b"mlgate"])
    assert facts["format"] == FORMAT
    assert facts["mapping"]["positive"] == "yes it is"
    assert facts["versions"].keys() >= {"mlgate", "numpy", "scipy", "python"}


def test_a_label_that_is_no_class_is_named_in_the_findings_that_count_it_as_an_error(tmp_path):
    """Also in those that come from the file."""
    policy, rows, answer = cases()["binary"]
    scores, path, _ = written(tmp_path, policy, rows, answer)
    again = replace(read_scores(path).scores, metrics=scores.metrics)
    for judged in (scores, again):
        found = {check.key: check.finding.details for check in judged.judge_all(checks_of(policy))}
        assert found["accuracy.floor[metric=accuracy]"]["unknown_labels"] == {"rows": 3, "labels": {"maybe": 3}}
        assert found["accuracy.slice[metric=accuracy,region=EU]"]["unknown_labels"]["rows"] == 3
        assert "unknown_labels" not in found["accuracy.floor[metric=roc_auc]"]


def test_a_need_that_is_not_met_makes_only_its_metrics_errored(tmp_path):
    """And the reason, with its row, is in the file."""
    policy, rows, answer = cases()["binary"]
    scores = paired(policy, rows, answer)
    sample = replace(scores.challenger.sample, score=None)
    broken = replace(scores.challenger, sample=sample, problems={Need.SCORE: "row 3 (id 7): 'x' is not a number"})
    scores = replace(scores, challenger=broken)
    write_scores(tmp_path / "x", scores, rows, TableFacts(**FACTS, checks=checks_of(policy)))
    again = replace(read_scores(tmp_path / "x").scores, metrics=scores.metrics)
    first, second = scores.judge_all(checks_of(policy)), again.judge_all(checks_of(policy))
    assert first == second
    found = {check.key: check.finding for check in first}
    for key, finding in found.items():
        errored = "roc_auc" in key or "log_loss" in key or "slices" in key
        assert (finding.outcome == "errored") == errored, (key, finding.reason)
    reason = "log_loss: the output mapping does not fit the answers: row 3 (id 7): 'x' is not a number"
    assert found["accuracy.floor[metric=log_loss]"].reason == reason


def test_findings_are_compared_without_what_only_a_run_knows(tmp_path):
    """A digest, a rate and tables are no part of the judgement; a bound is."""
    policy, rows, answer = cases()["binary"]
    check = paired(policy, rows, answer).judge_all(checks_of(policy))[0]
    told = replace(
        check, finding=replace(check.finding, details={**check.finding.details, **dict.fromkeys(RUN_ONLY, 1)})
    )
    assert same_judgement(check, told)
    assert not same_judgement(check, replace(check, finding=replace(check.finding, measured=0.1234)))
    assert not same_judgement(check, replace(check, finding=replace(check.finding, details={})))


def test_a_file_that_is_missing_foreign_damaged_or_older_is_one_clear_line(tmp_path):
    """Never a traceback, and never a verdict."""
    policy, rows, answer = cases()["binary"]
    _, path, _ = written(tmp_path, policy, rows, answer)
    good = path.read_bytes()
    with pytest.raises(EvidenceError, match=r"nowhere.parquet: there is no such file"):
        read_scores(tmp_path / "nowhere.parquet")
    for raw in (b"", b"hello", good[: len(good) // 2]):
        path.write_bytes(raw)
        with pytest.raises(EvidenceError, match="no scores of mlgate, or damaged"):
            read_scores(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(EvidenceError, match="its format is none of mlgate's; this mlgate reads mlgate-scores/1"):
        read_scores(path)
    path.write_bytes(good)
    table = pq.read_table(path)
    older = table.schema.metadata[b"mlgate"].replace(b"mlgate-scores/1", b"mlgate-scores/0")
    pq.write_table(table.replace_schema_metadata({b"mlgate": older}), path)
    with pytest.raises(EvidenceError, match="its format is mlgate-scores/0; this mlgate reads mlgate-scores/1"):
        read_scores(path)
    lacking = table.drop_columns(["challenger.score"]).slice(0, 10)
    pq.write_table(lacking, path)
    with pytest.raises(EvidenceError, match=r"damaged \(10 rows, and 400 were written\)"):
        read_scores(path)


def test_every_flipped_byte_is_noticed_by_the_digest_and_none_raises_anything_else(tmp_path):
    """The digest is in the evidence; pages have checksums of their own."""
    policy, rows, answer = cases()["numbers"]
    _, path, digest = written(tmp_path, policy, rows, answer)
    good = path.read_bytes()
    rng = np.random.default_rng(1)
    lines = []
    for place in rng.choice(len(good), 150, replace=False).tolist():
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        try:
            assert read_scores(path).digest != digest
        except EvidenceError as error:
            lines.append(str(error))
    assert len(lines) > 100
    assert not any("\n" in line for line in lines)


def test_reading_imports_neither_pandas_nor_scipy_stats(tmp_path):
    """They take a second and 80 MB, and no metric of these needs them."""
    policy, rows, answer = cases()["binary"]
    _, path, _ = written(tmp_path, policy, rows, answer)
    program = """
import sys
from pathlib import Path
from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.score_table import read_scores
scores = read_scores(Path(sys.argv[1])).scores
for name in ("accuracy", "f1", "roc_auc"):
    metric, samples = find_metric(name), (scores.challenger.sample, scores.champion.sample)
    assert metric.interval(samples[0], confidence=0.95, seed=0).width > 0
    assert metric.difference(*samples, confidence=0.95, seed=0).width > 0
print(sorted({"pandas", "scipy.stats"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_digest_is_the_same_for_the_same_scores(tmp_path):
    """A rerun with the same seed and the same cache writes the same bytes."""
    policy, rows, answer = cases()["three"]
    first = written(tmp_path / "a", policy, rows, answer)[2]
    assert first == written(tmp_path / "b", policy, rows, answer)[2]
    assert first != written(tmp_path / "c", policy, rows, answer, seed=12)[2]


def test_a_policy_section_survives_the_file(tmp_path):
    """Limits of every kind, and slices in all their forms."""
    policy, rows, answer = cases()["binary"]
    _, path, _ = written(tmp_path, policy, rows, answer)
    stored = read_scores(path).scores.accuracy
    assert isinstance(stored, Accuracy)
    assert [spec.name for spec in stored.slice_specs] == ["region", "age >= 65", "age [30, 60]", "region x plan"]
