"""The champion's answers, kept: found again by all that they depend on, and by nothing less."""

import json
import os
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlgate.evaluation.answer_columns import Classes
from mlgate.evaluation.champion_scores import ChampionScores, ScoresKey
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.scored import Question, ScoredModel
from mlgate.policy_accuracy import Accuracy
from mlgate.scoring.payloads import Batch

N = 300
DATA = EvaluationData.of(
    source="x.csv",
    digest="sha256:data",
    features=Batch(columns=("a",), rows=tuple([float(index)] for index in range(N))),
    labels=["stay", "churn"] * (N // 2),
)


def question(data=DATA, needs=frozenset({Need.LABELS, Need.SCORE}), **values):
    """What is asked."""
    mapping = OutputMapping.of(Accuracy.model_validate({"classes": ("stay", "churn"), **values}))
    return Question(data=data, mapping=mapping, classes=Classes.of(data.truth.found, mapping), needs=needs)


def key(asked=None, **changed):
    """What the answers are kept under."""
    facts = {"champion": "sha256:m", "recipe": "sha256:r", "label": "y", "environment": {}, **changed}
    return ScoresKey.of(asked or question(), **facts)


def scored(asked=None, seed=0):
    """A champion's answers."""
    asked = asked or question()
    rng = np.random.default_rng(seed)
    sample = Sample(
        truth=asked.truth,
        classes=asked.classes.names,
        positive=asked.classes.positive,
        score=rng.random(N),
        labels=rng.integers(-1, 2, N).astype(np.int8),
    )
    return ScoredModel(sample=sample, unknown={"x": 2}, unknown_rows=2, scored_at="2026-01-01T00:00:00Z")


@pytest.fixture
def cache(tmp_path):
    """An empty cache."""
    return ChampionScores(tmp_path / "scores")


def test_what_was_put_is_found_and_says_when_it_was_scored(cache):
    """Bit by bit."""
    assert cache.get(key(), question()) is None
    assert cache.put(key(), scored())
    found = cache.get(key(), question())
    assert found.cached
    assert found.scored_at == "2026-01-01T00:00:00Z"
    assert (found.unknown, found.unknown_rows) == ({"x": 2}, 2)
    for name in ("truth", "labels", "score"):
        np.testing.assert_array_equal(getattr(found.sample, name), getattr(scored().sample, name))
    assert found.sample.numbers is None
    assert found.to_json() == {"scored_at": "2026-01-01T00:00:00Z", "cached": True}


def test_anything_that_the_answers_depend_on_is_another_key():
    """Model, data, environment, and how a row is asked and read."""
    other = EvaluationData.of(source="x", digest="sha256:other", features=DATA.features.batch, labels=DATA.labels)
    columns = EvaluationData.of(
        source="x",
        digest="sha256:data",
        features=Batch(columns=("b",), rows=DATA.features.batch.rows),
        labels=DATA.labels,
    )
    keys = [
        key(),
        key(champion="sha256:n"),
        key(recipe="sha256:s"),
        key(label="z"),
        key(environment={"THREADS": "1"}),
        key(question(data=other)),
        key(question(data=columns)),
        key(question(threshold=0.3)),
        key(question(positive="stay")),
        key(question(score="p")),
        key(question(classes=("churn", "stay"))),
        key(question(needs=frozenset({Need.SCORE}))),
    ]
    assert len({found.file_name for found in keys}) == len(keys)


def test_without_a_digest_of_model_or_environment_nothing_is_kept():
    """An empty digest would be every model's."""
    assert key(champion="") is None
    assert key(recipe="") is None


def damage(path, how):
    """Spoil the file in one way."""
    raw = path.read_bytes()
    match how:
        case "cut":
            path.write_bytes(raw[: len(raw) // 2])
        case "empty":
            path.write_bytes(b"")
        case "foreign":
            path.write_bytes(b"PAR1 hello PAR1")
        case "bit":
            path.write_bytes(raw[:200] + bytes([raw[200] ^ 1]) + raw[201:])
        case "values":
            table = pq.read_table(path)
            at = table.column_names.index("champion.score")
            values = table["champion.score"].to_numpy().copy()
            values[7] += 1e-9
            spoiled = table.set_column(at, "champion.score", [values])
            pq.write_table(spoiled.replace_schema_metadata(table.schema.metadata), path)
        case "other question":
            table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[b"mlgate"])
            facts["key"]["champion"] = "sha256:another"
            pq.write_table(table.replace_schema_metadata({b"mlgate": json.dumps(facts).encode()}), path)
        case "format":
            table = pq.read_table(path)
            pq.write_table(table.replace_schema_metadata({}), path)


@pytest.mark.parametrize("how", ["cut", "empty", "foreign", "bit", "values", "other question", "format"])
def test_a_damaged_or_foreign_file_is_ignored_and_written_anew(cache, how):
    """The champion is asked again; nobody is told a number of another model."""
    cache.put(key(), scored())
    damage(cache.folder / key().file_name, how)
    assert cache.get(key(), question()) is None
    assert cache.put(key(), scored())
    assert cache.get(key(), question()) is not None


def test_answers_to_another_number_of_rows_are_ignored(cache):
    """A data digest that lies, say."""
    cache.put(key(), scored())
    fewer = replace(DATA, truth=type(DATA.truth).of(list(DATA.labels)[:-1]))
    assert cache.get(key(), question(data=fewer)) is None


def test_answers_with_a_hole_are_not_kept(cache):
    """Every run that asks the same has to see why."""
    assert not cache.put(key(), replace(scored(), problems={Need.SCORE: "row 1: x"}))
    assert not list(cache.folder.glob("*"))


def test_those_used_longest_ago_go_when_the_size_is_reached(tmp_path):
    """The newest stays whatever its size."""
    cache = ChampionScores(tmp_path, kept_bytes=1)
    big = ChampionScores(tmp_path)
    keys = [key(champion=f"sha256:{index}") for index in range(4)]
    for index, each in enumerate(keys[:3]):
        big.put(each, scored(seed=index))
        os.utime(tmp_path / each.file_name, (index, index))
    size = (tmp_path / keys[0].file_name).stat().st_size
    assert big.get(keys[0], question()) is not None  # used now, so that the second one is the oldest
    two = ChampionScores(tmp_path, kept_bytes=int(3.5 * size))
    two.put(keys[3], scored(seed=3))
    assert [big.get(each, question()) is not None for each in keys] == [True, False, True, True]
    cache.put(keys[1], scored(seed=1))
    assert {path.name for path in tmp_path.iterdir()} == {keys[1].file_name}


def test_a_cache_that_can_not_be_written_costs_nothing_but_time(tmp_path):
    """The run has its scores."""
    (tmp_path / "file").write_text("")
    cache = ChampionScores(tmp_path / "file" / "scores")
    assert not cache.put(key(), scored())
    assert cache.get(key(), question()) is None


def test_the_folder_is_in_the_cache_that_the_user_names(tmp_path, monkeypatch):
    """Beside the models."""
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path))
    assert ChampionScores().folder == tmp_path / "scores"
