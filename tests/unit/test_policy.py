"""The policy's values: what is expected, and what its digest covers."""

import json
from dataclasses import FrozenInstanceError

import pytest
from pydantic import ValidationError

from mlgate.errors import PolicyError
from mlgate.evaluation.metric_names import METRICS, Better
from mlgate.policy import ENVIRONMENT_CHECKS, Policy, PolicyValues
from mlgate.policy_file import load_policy, parse_policy
from mlgate.statistics.shares import requests_needed
from tests.unit.builders import WITH_ACCURACY


def test_the_built_in_policy_is_as_the_design_says():
    """Everything but accuracy, 20/s for 30 s, p95 250 ms, 1 % errors, 10 s, 1 GiB."""
    policy = Policy()
    assert policy.requires == ("schema", "properties", "cold_start", "load")
    load, cold = policy.values.load, policy.values.cold_start
    assert (load.rate, load.duration, load.p95, load.p99, load.error_rate) == (20, 30, 0.25, None, 0.01)
    assert (cold.ready, cold.first_prediction, cold.repeats) == (10, 10, 5)
    assert policy.values.runtime.memory == 2**30
    assert policy.values.sandbox == ("container",)
    assert policy.values.evidence.max_age == 7 * 86400


def test_accuracy_is_required_as_soon_as_metrics_are_known():
    """Without data of its own, the policy means those that are logged on the source run."""
    assert "accuracy" in parse_policy(WITH_ACCURACY).requires
    assert "accuracy" in parse_policy("accuracy: {metrics: {f1: {min: 0.5}}}\n").requires
    assert "accuracy" not in parse_policy("accuracy: {data: a.csv, label: y}\n").requires


def test_the_environment_is_expected_first_and_always():
    """It is implicit: no policy lists it."""
    for text in ("", "requires: [load]\n", "requires: [mine]\nown_checks: [mine.py]\n"):
        expected = parse_policy(text).expected_checks(champion=False)
        assert next(iter(expected)) == "environment"
        assert expected["environment"] == ENVIRONMENT_CHECKS


def test_expected_checks_follow_the_values():
    """One id a metric, a percentile and a case; regressions only with a champion."""
    policy = parse_policy(
        "accuracy: {data: a.csv, label: y, metrics: {rmse: {max: 2, margin: 0.1}, accuracy: {margin: 0.01}}}\n"
        "load: {p95: null, p99: 1s}\n"
    )
    floors, regressions = (
        ("accuracy.floor[metric=rmse]",),
        ("accuracy.regression[metric=accuracy]", "accuracy.regression[metric=rmse]"),
    )
    assert policy.expected_checks(champion=False)["accuracy"] == floors
    assert policy.expected_checks(champion=True)["accuracy"] == (*floors, *regressions)
    names = ("p99_latency", "error_rate", "rate", "memory", "drift")
    assert policy.expected_checks(champion=True)["load"] == tuple(f"load.{name}" for name in names)
    assert "schema.rejects[case=empty_body]" in policy.expected_checks(champion=True)["schema"]


@pytest.mark.parametrize(
    ("section", "champion", "more"),
    [
        ("{}", True, ()),
        ("{peak_memory: 900MiB}", False, ("peak_memory",)),
        ("{max_ratio_to_champion: 1.25}", False, ()),
        ("{max_ratio_to_champion: 1.25}", True, ("regression",)),
        ("{peak_memory: 900MiB, max_ratio_to_champion: 2}", True, ("peak_memory", "regression")),
    ],
)
def test_memory_and_regression_are_expected_where_the_policy_limits_them(section, champion, more):
    """And the regression with a champion only: there is nothing to be slower than."""
    expected = parse_policy(f"cold_start: {section}\n").expected_checks(champion=champion)["cold_start"]
    assert expected == tuple(f"cold_start.{name}" for name in ("ready", "first_prediction", *more))


def test_a_suite_of_the_users_own_has_no_ids_in_advance():
    """It must have at least one check; the verdict sees to that."""
    assert parse_policy("requires: [mine]\nown_checks: [a.py]\n").expected_checks(champion=False)["mine"] == ()


@pytest.mark.parametrize(("key", "share"), [("p95", 0.05), ("p99", 0.01), ("error_rate", 0.001)])
def test_a_limit_is_decidable_exactly_from_the_needed_requests_on(key, share):
    """One request fewer is an error: 0.1 % needs 2 995."""
    needed = requests_needed(share, 0.95)
    values = {"p95": None, "p99": None, "error_rate": "50%"} | {key: "0.1%" if key == "error_rate" else "1s"}
    load = PolicyValues.model_validate({"load": {**values, "rate": f"{needed}/s", "duration": "1s"}}).load
    assert load.requests == needed
    with pytest.raises(ValidationError, match=f"{key} can not be decided: .* needs {needed} clean requests"):
        PolicyValues.model_validate({"load": {**values, "rate": f"{needed - 1}/s", "duration": "1s"}})


BASE = parse_policy(WITH_ACCURACY).digest


@pytest.mark.parametrize(
    "text",
    [
        WITH_ACCURACY + "# a comment\n",
        "\n\n" + WITH_ACCURACY,
        "version: 1\n" + WITH_ACCURACY,
        WITH_ACCURACY + "evidence: {max_age: 1d}\n",
        WITH_ACCURACY + "model: churn\n",
        WITH_ACCURACY + "requires: [schema, properties, accuracy, cold_start, load]\n",
        WITH_ACCURACY + "load: {rate: 20/s, duration: 30s}\n",
        WITH_ACCURACY + "load: {rate: 1200/min, duration: 0.5m}\n",
        WITH_ACCURACY + "runtime: {memory: 1024MiB}\n",
        WITH_ACCURACY.replace("accuracy: {margin: 0.1}", "accuracy: {margin: 1.0e-1}"),
    ],
)
def test_what_does_not_change_a_run_does_not_change_the_digest(text):
    """Comments, `evidence`, and the same value in other words."""
    assert parse_policy(text).digest == BASE


@pytest.mark.parametrize(
    "text",
    [
        "load: {p95: 251ms}",
        "load: {rate: 21/s}",
        "requires: [schema, properties, accuracy, cold_start]",
        "sandbox: [container, process]",
        "runtime: {memory: 2GiB}",
        "runtime: {env: {A: b}}",
        "runtime: {allow_requirements: ['--pre']}",
        "schema: {rejects: basic}\nproperties: {examples: 501}",
        "properties: {inputs: {age: {max: 120}}}",
        "cold_start: {ready: 9s}",
        "own_checks: [mine.py]",
    ],
)
def test_a_limit_that_changes_a_run_changes_the_digest(text):
    """Each section that decides what a run does."""
    assert parse_policy(f"{WITH_ACCURACY}{text}\n").digest != BASE


def test_the_bytes_of_an_own_check_are_in_the_digest(tmp_path):
    """Also of a file deep in a folder; compiled files and other files are not."""
    (tmp_path / "mlgate.yaml").write_text("own_checks: [mine/]\n")
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    file = tmp_path / "mine" / "deep" / "test_mine.py"

    def digest():
        return load_policy(tmp_path / "mlgate.yaml").digest

    seen = [digest()]
    file.write_text("assert True\n")
    seen.append(digest())
    file.write_text("assert False\n")
    seen.append(digest())
    assert len(set(seen)) == 3
    (file.parent / "__pycache__").mkdir()
    (file.parent / "__pycache__" / "x.py").write_text("x")
    (tmp_path / "mine" / "notes.txt").write_text("x")
    assert digest() == seen[-1]
    file.write_text("assert True\n")
    assert digest() == seen[1]


@pytest.mark.parametrize(
    "policy", ["own_checks: [mine/]\n", "accuracy: {label: y, metrics: {'mine:f': {min: 0, better: more}}}\n"]
)
def test_a_file_that_moves_to_another_folder_changes_the_digest(tmp_path, policy):
    """A conftest.py is about what lies beside it: the whole path is digested, and not the name alone."""
    digests = []
    for number, name in enumerate(("mine/a/conftest.py", "mine/b/conftest.py", "mine/a/conftest.py")):
        folder = tmp_path / str(number)
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x = 1\n")
        (folder / "mlgate.yaml").write_text(policy)
        digests.append(load_policy(folder / "mlgate.yaml").digest)
    assert digests[0] == digests[2] != digests[1]


def test_the_digest_does_not_depend_on_where_the_policy_lies(tmp_path):
    """A laptop and a runner judge by the same policy."""
    digests = set()
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mlgate.yaml").write_text("own_checks: [mine.py]\n")
        (folder / "mine.py").write_text("x = 1\n")
        digests.add(load_policy(folder / "mlgate.yaml").digest)
    assert len(digests) == 1


def test_a_policy_never_changes():
    """Neither the values nor what holds them."""
    policy = Policy()
    with pytest.raises(ValidationError):
        policy.values.load.rate = 1.0
    with pytest.raises(FrozenInstanceError):
        policy.text = ""


def section(name, **metric):
    """A policy with one metric, its parameter and group where it needs them."""
    at = METRICS[name].at
    given = {"at": (at.low + at.high) / 2} if at is not None and at.default is None else {}
    return json.dumps({"accuracy": {"group": "query", "metrics": {name: {**given, **metric}}}})


@pytest.mark.parametrize("metric", METRICS)
def test_a_floor_is_on_the_side_that_is_better(metric):
    """A `max` on F1 would pass the worse model. What is best near its parameter has both sides."""
    if METRICS[metric].better is Better.NEAR:
        both = parse_policy(section(metric, min=0.4, max=0.6)).values.accuracy.metrics[metric]
        assert (both.min, both.max) == (0.4, 0.6)
        return
    wrong, right = ("min", "max") if METRICS[metric].better is Better.LESS else ("max", "min")
    parse_policy(section(metric, **{right: 0.5}))
    with pytest.raises(PolicyError, match=rf"metrics\.{metric}\.{wrong} can not be a floor"):
        parse_policy(section(metric, **{wrong: 0.5}))


def test_slices_and_gaps_have_a_check_that_is_always_there():
    """Their values are known from the data only: a slice that was lost on the way is missed by this name."""
    policy = parse_policy(
        "accuracy:\n  data: a.csv\n  label: y\n  metrics: {f1: {min: 0.5, margin: 0.1}}\n"
        "  slices: [region, age >= 65, {column: age, bins: [18, 30]}, {cross: [region, plan]}]\n"
        "  gaps: [{column: region, metric: recall, max: 0.1}]\n"
    )
    with_champion = policy.expected_checks(champion=True)["accuracy"]
    assert with_champion == (
        "accuracy.floor[metric=f1]",
        "accuracy.regression[metric=f1]",
        "accuracy.slices[slice=region]",
        "accuracy.slices[slice=age%20%3E%3D%2065]",
        "accuracy.slices[slice=age%20%5B18%2C%2030%5D]",
        "accuracy.slices[slice=region%20x%20plan]",
        "accuracy.gap[column=region,metric=recall]",
    )
    assert policy.expected_checks(champion=False)["accuracy"] == (with_champion[0], with_champion[-1])
    assert policy.values.accuracy.context_columns == ("region", "age", "plan")


def test_a_metric_of_ones_own_is_named_by_module_and_function():
    """With the side that is better, told or by its floor."""
    text = "accuracy: {metrics: {'my_pkg.metrics:cost': {max: 3.5}, 'm:gain': {margin: 0.1, better: more}}}\n"
    accuracy = parse_policy(text).values.accuracy
    assert accuracy.own_metrics == ("my_pkg.metrics:cost", "m:gain")
    assert (
        "accuracy.floor[metric=my_pkg.metrics%3Acost]" in parse_policy(text).expected_checks(champion=False)["accuracy"]
    )


def test_the_bytes_of_ones_own_metric_are_in_the_digest(tmp_path):
    """Also of the modules beside it in its package, which it may call."""
    (tmp_path / "mlgate.yaml").write_text(
        "accuracy: {metrics: {'mine.metrics:cost': {max: 1}, 'single:f': {max: 1}}}\n"
    )
    (tmp_path / "mine").mkdir()
    seen = set()
    for file, text in (("mine/metrics.py", "a"), ("mine/costs.py", "b"), ("single.py", "c"), ("single.py", "d")):
        (tmp_path / file).write_text(text)
        seen.add(load_policy(tmp_path / "mlgate.yaml").digest)
    assert len(seen) == 4
    (tmp_path / "other.py").write_text("x")
    assert load_policy(tmp_path / "mlgate.yaml").digest in seen


@pytest.mark.parametrize("port", [0, 65536, "http"])
def test_a_port_that_is_none_is_refused(port):
    """The one that a given image listens on."""
    with pytest.raises(PolicyError, match=r"runtime\.port"):
        parse_policy(f"runtime: {{port: {port}}}\n")
    assert parse_policy("runtime: {port: 9000}\n").values.runtime.port == 9000
    assert parse_policy("").values.runtime.port == 8080


def test_the_server_is_one_of_two():
    """What was tested on one server says nothing of the other, so the choice is in the digest."""
    policy = parse_policy("runtime: {server: mlserver}\n")
    assert policy.values.runtime.server == "mlserver"
    assert policy.digest != parse_policy("runtime: {server: mlflow}\n").digest
    with pytest.raises(PolicyError, match="mlserver"):
        parse_policy("runtime: {server: torchserve}\n")
