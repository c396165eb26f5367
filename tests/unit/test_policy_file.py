"""Reading `mlgate.yaml`: every mistake gets one line that teaches."""

import itertools
import json
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlgate.errors import PolicyError
from mlgate.policy import PolicyValues
from mlgate.policy_file import (
    MAX_POLICY_BYTES,
    NOT_BUILT,
    find_policy,
    json_schema,
    load_policy,
    parse_policy,
    with_origins,
)

INIT = files("mlgate.cli").joinpath("mlgate.yaml").read_text(encoding="utf-8")


def error_of(text):
    """The one line that a policy is refused with."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    return line


# Input, the line it stands on, the key, and what the message says of it.
BAD = {
    "unknown key": ("version: 1\nload:\n  p95_latancy: 1s\n", 3, "load.p95_latancy", "is not a key. Hint: did you mean p95? keys: rate,"),
    "unknown section": ("laod: {}\n", 1, "laod", "did you mean load?"),
    "unknown key of an input": ("properties:\n  inputs:\n    age: {minn: 0}\n", 3, "properties.inputs.age.minn", "did you mean min?"),
    "bare number": ("load:\n  p95: 250\n", 2, "load.p95", "'250' has no unit; write it like 250ms, 10s or 7d"),
    "bare share": ("load:\n  error_rate: 0.01\n", 2, "load.error_rate", "'0.01' has no unit; write it like 0.5%"),
    "bare size": ("runtime:\n  memory: 1024\n", 2, "runtime.memory", "has no unit; write it like 900MiB"),
    "wrong unit": ("load:\n  rate: 100ms\n", 2, "load.rate", "is not a quantity in /s, /min, /h"),
    "empty requires": ("version: 1\nrequires: []\n", 2, "requires", "is empty: nothing would be checked. Hint: list at least one suite"),
    "suite twice": ("version: 1\nrequires: [load, load]\n", 2, "requires", "load twice"),
    "implicit suite": ("version: 1\nown_checks: [a]\nrequires: [environment, load]\n", 3, "requires", "always required: leave it out"),
    "no such suite": ("version: 1\nrequires: [laod]\n", 2, "requires", "'laod', which is no suite (schema, properties,"),
    "requires is text": ("requires: load\n", 1, "requires", 'should be a list, got "load"'),
    "requires a number": ("requires: [1]\n", 1, "requires.0", "should be text, got 1"),
    "errors that n can not decide": ("load:\n  rate: 20/s\n  error_rate: 0.1%\n", 3, "load.error_rate", "needs 2995 clean requests, 20/s for 30 s sends 600"),
    "p99 that n can not decide": ("load:\n  rate: 1/s\n  p95: null\n  p99: 1s\n", 4, "load.p99", "needs 299 clean requests, 1/s for 30 s sends 30"),
    "default that n can not decide": ("load:\n  rate: 1/s\n", 1, "load", "p95 can not be decided"),
    "too few repeats": ("cold_start:\n  ready: 1s\n  repeats: 4\n", 3, "cold_start.repeats", "4 can not decide"),
    "all errors allowed": ("load:\n  error_rate: 100%\n", 2, "load.error_rate", "less than 1"),
    "no errors allowed": ("load:\n  error_rate: 0%\n", 2, "load.error_rate", "greater than 0"),
    "accuracy without data": ("version: 1\nrequires: [accuracy]\n", 2, "requires", "needs accuracy.metrics"),
    "accuracy without label": ("accuracy:\n  data: a.csv\n  metrics: {f1: {min: 0.5}}\n", 1, "accuracy", "label is missing"),
    "metric that asks nothing": ("accuracy:\n  metrics:\n    f1: {}\n", 3, "accuracy.metrics.f1", "asks nothing; give min, max or margin"),
    "unknown metric": ("accuracy:\n  metrics:\n    f1: {min: 0.5}\n    auc: {min: 0.5}\n", 4, "accuracy.metrics.auc", "is no metric; did you mean roc_auc? there are accuracy, balanced_accuracy,"),
    "metric misspelt": ("accuracy:\n  metrics:\n    acuracy: {min: 0.5}\n", 3, "accuracy.metrics.acuracy", "did you mean accuracy?"),
    "parameter missing": ("accuracy:\n  metrics:\n    pinball: {max: 0.5}\n", 3, "accuracy.metrics.pinball", "at is missing: the quantile that is predicted, from 0 to 1"),
    "parameter out of range": ("accuracy:\n  metrics:\n    pinball:\n      max: 0.5\n      at: 2\n", 5, "accuracy.metrics.pinball.at", "2 is not the quantile that is predicted, from 0 to 1"),
    "parameter not whole": ("accuracy:\n  group: q\n  metrics:\n    ndcg:\n      min: 0.5\n      at: 2.5\n", 6, "accuracy.metrics.ndcg.at", "a whole number from 1 to 10000"),
    "parameter of none": ("accuracy:\n  metrics:\n    f1:\n      min: 0.5\n      at: 2\n", 5, "accuracy.metrics.f1.at", "has no parameter"),
    "ranking without a group": ("accuracy:\n  metrics:\n    mrr: {min: 0.5}\n", 3, "accuracy.metrics.mrr", "name its column in accuracy.group"),
    "better of a known metric": ("accuracy:\n  metrics:\n    f1: {min: 0.5, better: more}\n", 3, "accuracy.metrics.f1.better", "is for metrics of your own"),
    "own metric without a side": ("accuracy:\n  metrics:\n    m:f: {margin: 0.5}\n", 3, "accuracy.metrics.m:f", "say whether more or less of it is better"),
    "own metric on the wrong side": ("accuracy:\n  metrics:\n    m:f: {min: 0.5, better: less}\n", 3, "accuracy.metrics.m:f", "min can not be a floor: better is less"),
    "own metric with a parameter": ("accuracy:\n  metrics:\n    m:f: {min: 0.5, at: 1}\n", 3, "accuracy.metrics.m:f", "put it into the function"),
    "floor above the ceiling": ("accuracy:\n  metrics:\n    quantile_coverage: {min: 0.9, max: 0.8, at: 0.85}\n", 3, "accuracy.metrics.quantile_coverage", "min 0.9 is above max 0.8"),
    "slice that is no condition": ("accuracy:\n  slices:\n    - region\n    - age >=\n", 4, "accuracy.slices.1", "'age >=' at character 6"),
    "slice that calls": ("accuracy:\n  slices: ['f(x) > 3']\n", 2, "accuracy.slices.0", "at character 1: the name of a column is expected here"),
    "slice of a number": ("accuracy:\n  slices: [5]\n", 2, "accuracy.slices.0", "5 is no slice"),
    "bins that fall": ("accuracy:\n  slices:\n    - {column: age, bins: [65, 18]}\n", 3, "accuracy.slices.0", "bins must rise: 65, 18 do not"),
    "slice twice": ("accuracy:\n  slices: [a, b, a]\n", 2, "accuracy.slices", "'a' stands there twice"),
    "bins twice": ("accuracy:\n  slices: [{column: a, bins: [1]}, {column: a, bins: [2]}]\n", 2, "accuracy.slices", "write one list of edges"),
    "slices without a margin": ("accuracy:\n  metrics: {f1: {min: 0.5}}\n  slices: [a]\n", 3, "accuracy.slices", "no metric has a margin"),
    "unknown key of a gap": ("accuracy:\n  gaps:\n    - column: a\n      metrc: f1\n      max: 0.1\n", 4, "accuracy.gaps.0.metrc", "did you mean metric?"),
    "further key of a gap": ("accuracy:\n  gaps:\n    - {column: a, metric: f1, max: 0.1}\n    - column: a\n      metric: recall\n      max: 0.1\n      margn: 1\n", 7, "accuracy.gaps.1.margn", "is not a key"),
    "gap of no metric": ("accuracy:\n  gaps:\n    - {column: a, metric: auc, max: 0.1}\n", 3, "accuracy.gaps.0.metric.auc", "did you mean roc_auc?"),
    "gap without its parameter": ("accuracy:\n  gaps:\n    - {column: a, metric: pinball, max: 0.1}\n", 3, "accuracy.gaps.0.metric", "list it under metrics with at"),
    "gap of ones own": ("accuracy:\n  gaps:\n    - {column: a, metric: 'm:f', max: 0.1}\n", 3, "accuracy.gaps.0.metric", "list it under metrics, too"),
    "gap twice": ("accuracy:\n  gaps:\n    - {column: a, metric: f1, max: 0.1}\n    - {column: a, metric: f1, max: 0.2}\n", 4, "accuracy.gaps.1", "a second time"),
    "no challengers": ("accuracy:\n  max_challengers: 0\n", 2, "accuracy.max_challengers", "greater than or equal to 1"),
    "engine that can be no name": ("accuracy:\n  engine: Ray 2\n", 2, "accuracy.engine", "should match pattern"),
    "floor on the wrong side": ("accuracy:\n  metrics:\n    f1:\n      max: 1\n", 4, "accuracy.metrics.f1.max", "larger is better"),
    "input that none can meet": ("properties:\n  inputs:\n    age: {min: 3, max: 2}\n", 3, "properties.inputs.age", "min 3 is above max 2"),
    "no values": ("properties:\n  inputs:\n    plan: {values: []}\n", 3, "properties.inputs.plan", "at least one value"),
    "unknown key of the output": ("properties:\n  output: {minn: 0}\n", 2, "properties.output.minn", "did you mean min?"),
    "infinity": ("accuracy:\n  metrics:\n    f1: {min: .inf}\n", 3, "accuracy.metrics.f1.min", "should be a finite number"),
    "not a number": ("accuracy:\n  threshold: .nan\n", 2, "accuracy.threshold", "should be a finite number"),
    "date for text": ("accuracy:\n  label: 2024-01-01\n", 2, "accuracy.label", 'should be text, got "2024-01-01"'),
    "date for a value": ("properties:\n  inputs:\n    d: {values: [2024-01-01]}\n", 3, "properties.inputs.d.values.0", "should be text"),
    "list for an output": ("accuracy:\n  prediction: [1]\n", 2, "accuracy.prediction", "got [1]"),
    "truth for a number": ("properties:\n  inputs:\n    a: {min: true}\n", 3, "properties.inputs.a.min", "got true"),
    "text for a number": ("properties:\n  examples: many\n", 2, "properties.examples", 'got "many"'),
    "fraction for a count": ("properties:\n  examples: 1.5\n", 2, "properties.examples", "got 1.5"),
    "number for the environment": ("runtime:\n  env: {A: 1}\n", 2, "runtime.env.A", "should be text, got 1"),
    "empty section": ("version: 1\nload:\n", 2, "load", "should be a section of keys, got null"),
    "number for a section": ("load: 5\n", 1, "load", "should be a section of keys, got 5"),
    "unknown sandbox": ("sandbox: [docker]\n", 1, "sandbox.0", "'container' or 'process'"),
    "another version": ("version: 2\n", 1, "version", "should be 1, got 2"),
    "malformed digest": ("accuracy:\n  digest: abc\n", 2, "accuracy.digest", "^sha256:"),
    "overflowing size": (f"runtime:\n  memory: {'9' * 400}GiB\n", 2, "runtime.memory", "more than a number can hold"),
    "number as key": ("1: 2\n", 1, "1", "is not a key"),
    "text for signers": ("evidence:\n  signers: ci.pub\n", 2, "evidence.signers", 'should be a list, got "ci.pub"'),
    "a signer without a name": ("evidence:\n  signers: [ci.pub, '']\n", 2, "evidence.signers.1", 'at least 1 character, got ""'),
    "a pipeline with an unknown claim": ("evidence:\n  signers:\n    - {gitlab: 'https://gitlab.com', project: g/p, ref: main}\n", 3, "evidence.signers.0.project", "did you mean project_path?"),
    "a pipeline without a project": ("evidence:\n  signers:\n    - {gitlab: 'https://gitlab.com', ref: main}\n", 3, "evidence.signers.0.project_path", "Field required"),
    "a pipeline without its GitLab": ("evidence:\n  signers: [{project_path: g/p, ref: main}]\n", 2, "evidence.signers.0.gitlab", "Field required"),
    "a pipeline without a ref": ("evidence:\n  signers: [{gitlab: 'https://gitlab.com', project_path: g/p}]\n", 2, "evidence.signers.0.ref", "Field required"),
    "an issuer with a slash at its end": ("evidence:\n  signers: [{gitlab: 'https://gitlab.com/', project_path: g/p, ref: main}]\n", 2, "evidence.signers.0.gitlab", "no slash at its end"),
    "an issuer without encryption": ("evidence:\n  signers: [{gitlab: 'http://gitlab.com', project_path: g/p, ref: main}]\n", 2, "evidence.signers.0.gitlab", "https://gitlab.com"),
    "a project that is a group": ("evidence:\n  signers: [{gitlab: 'https://gitlab.com', project_path: g, ref: main}]\n", 2, "evidence.signers.0.project_path", "pattern"),
    "a ref of a merge request": ("evidence:\n  signers: [{gitlab: 'https://gitlab.com', project_path: g/p, ref: refs/merge-requests/1/head}]\n", 2, "evidence.signers.0.ref", "neither a branch nor"),
    "protection as text": ("evidence:\n  signers: [{gitlab: 'https://gitlab.com', project_path: g/p, ref: main, ref_protected: 'true'}]\n", 2, "evidence.signers.0.ref_protected", "boolean"),
    "a short sha": ("evidence:\n  signers: [{gitlab: 'https://gitlab.com', project_path: g/p, ref: main, sha: abc1234}]\n", 2, "evidence.signers.0.sha", "pattern"),
    "a pipeline twice": ("evidence:\n  signers:\n    - {gitlab: 'https://gitlab.com', project_path: g/p, ref: main}\n    - {gitlab: 'https://gitlab.com', project_path: g/p, ref: refs/heads/main, ref_protected: false}\n", 2, "evidence.signers", "twice"),
    "a signer of two lines": ('evidence:\n  signers: ["a\\nb"]\n', 2, "evidence.signers.0", "pattern"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "says"), BAD.values(), ids=BAD)
def test_a_mistake_is_named_with_its_line_key_and_a_hint(text, line, key, says):
    """Whatever pydantic calls it."""
    message = error_of(text)
    assert message.startswith(f"mlgate.yaml:{line}: {key}")
    assert says in message
    assert "Hint: " in message


def test_the_needed_requests_are_printed_for_a_tenth_of_a_percent():
    """The number of the design: 0.1 % errors needs 2 995 clean requests at 95 %."""
    assert "needs 2995 clean requests" in error_of("load: {error_rate: 0.1%}\n")
    assert parse_policy("load: {error_rate: 0.1%, rate: 2995/s, duration: 1s}\n").values.load.requests == 2995


SAMPLES = ["true", "1s", "[a]", "{a: b}", "false", "null", "0"]


@pytest.mark.parametrize("key", NOT_BUILT)
@pytest.mark.parametrize("value", SAMPLES)
def test_a_key_that_nothing_would_check_is_an_error(key, value):
    """With any value: accepting one silently would look like a check that passed."""
    section, _, inner = key.partition(".")
    text = f"# first\n{section}:\n  {inner}: {value}\n" if inner else f"# first\n{section}: {value}\n"
    line = 3 if inner else 2
    assert error_of(text) == f"mlgate.yaml:{line}: {key} is not built yet. Hint: remove the key; nothing would check it"


def test_a_key_that_is_not_built_is_no_key_of_the_schema():
    """The day it is built, it leaves the list."""
    properties = json_schema()["properties"]
    for key in NOT_BUILT:
        section, _, inner = key.partition(".")
        known = properties if not inner else json_schema()["$defs"][_definition(properties[section])]["properties"]
        assert (inner or section) not in known


def _definition(reference):
    return json.dumps(reference).partition("#/$defs/")[2].partition('"')[0]


def alias_bomb():
    """Nine levels of ten aliases each: a billion values in 300 bytes."""
    names = "abcdefghi"
    rows = [f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in itertools.pairwise(names)]
    return "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", "mlgate.yaml:1: a policy is a mapping of keys, this is a list"),
        ("hello\n", "mlgate.yaml:1: a policy is a mapping of keys, this is a single value"),
        ("5\n", "this is a single value"),
        ("version: 1\nload: {}\nload: {}\n", 'mlgate.yaml:3: not YAML (found duplicate key "load"'),
        ("load:\n\trate: 1/s\n", "mlgate.yaml:2: not YAML (found character '\\t'"),
        ("a: [1\nb: 2\n", "mlgate.yaml:2: not YAML"),
        ("---\na: 1\n---\nb: 2\n", "mlgate.yaml:3: not YAML"),
        ("a: \x01\n", "not YAML"),
        ("a: *nowhere\n", "mlgate.yaml:1: not YAML"),
        (f"properties: {{examples: {'9' * 5000}}}\n", "not YAML"),
        ("[" * 5000 + "]" * 5000, "nests too deep"),
        (alias_bomb(), "more than 50000 values"),
        ("load: &a\n  rate: *a\n", "mlgate.yaml"),
        ("properties: &a {inputs: *a}\n", "mlgate.yaml"),
    ],
    ids=["list", "text", "number", "twice", "tab", "open", "two documents", "control", "alias of nothing", "digits",
         "deep", "alias bomb", "own alias", "own alias in a flow"],
)  # fmt: skip
def test_what_is_no_mapping_of_keys_is_refused_in_one_line(text, says):
    """And at once, however much it asks for."""
    assert says in error_of(text)


def test_an_alias_and_a_merge_are_read_like_what_they_stand_for():
    """A key that a merge brings has the line of the merge."""
    policy = parse_policy("cold_start: &limits\n  ready: 3s\n")
    assert policy.values.cold_start.ready == 3.0
    text = "properties:\n  inputs:\n    a: &range {min: 0, max: 1}\n    b: *range\n    c:\n      <<: *range\n      max: 2\n"
    inputs = parse_policy(text).values.properties.inputs
    assert inputs["b"] == inputs["a"]
    assert (inputs["c"].min, inputs["c"].max) == (0, 2)
    assert error_of("load: &l {rate: 100/s}\ncold_start:\n  <<: *l\n").startswith(
        "mlgate.yaml:3: cold_start.rate is not a key"
    )


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path):
    """Not a traceback from a codec."""
    file = tmp_path / "mlgate.yaml"
    file.write_bytes(b"model: caf\xe9\n")
    with pytest.raises(PolicyError, match=r"mlgate\.yaml: can not be read \('utf-8' codec"):
        load_policy(file)


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_file_that_can_not_be_read_is_refused_with_what_to_do(tmp_path, name):
    """Missing, or a folder."""
    with pytest.raises(PolicyError, match=r"can not be read .*Hint: mlgate init"):
        load_policy(tmp_path / name)


def test_a_huge_file_is_not_even_read(tmp_path):
    """A policy is a page of text."""
    file = tmp_path / "mlgate.yaml"
    with file.open("wb") as stream:
        stream.truncate(MAX_POLICY_BYTES + 1)
    with pytest.raises(PolicyError, match="larger than"):
        load_policy(file)


def test_the_nearest_policy_upward_is_found(tmp_path):
    """Else the built-in one, which is no file."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert load_policy(None, start=deep).path is None
    (tmp_path / "mlgate.yaml").write_text("model: far\n")
    (tmp_path / "a" / "mlgate.yaml").write_text("model: near\n")
    assert find_policy(deep) == tmp_path / "a" / "mlgate.yaml"
    assert load_policy(None, start=deep).values.model == "near"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}\n", "\ufeffversion: 1\n", "version: 1\r\n"])
def test_an_empty_file_is_the_built_in_policy(text):
    """Nothing set is nothing weakened."""
    assert parse_policy(text).digest == parse_policy("").digest
    assert parse_policy(text).requires == ("schema", "properties", "cold_start", "load")


def test_the_parser_takes_what_init_writes():
    """At 100/s for a minute, with every limit decidable."""
    policy = parse_policy(INIT)
    assert policy.values.load.requests == 6000
    assert policy.requires == ("schema", "properties", "cold_start", "load")


def test_the_json_schema_takes_what_init_writes():
    """Else an editor would mark the very file that we wrote."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(YAML(typ="safe").load(INIT), json_schema())


ACCURACY = INIT[INIT.index("# accuracy:") : INIT.index("cold_start:")]


def test_the_section_that_init_comments_out_is_valid_once_it_is_commented_in():
    """For the parser and for the schema: every line of it."""
    lines = [
        line.replace("# ", "", 1).replace(" # ", " ", 1) if " # " in line[:9] else line[2:]
        for line in ACCURACY.splitlines()
    ]
    text = "\n".join(lines) + "\n"
    accuracy = parse_policy(text).values.accuracy
    assert accuracy.decides
    assert (accuracy.positive, accuracy.group) == (1, "household")
    assert accuracy.own_metrics == ("my_pkg.metrics:cost",)
    assert [spec.name for spec in accuracy.slice_specs] == ["region", "age >= 65", "age [18, 30, 65]", "region x plan"]
    assert [gap.metric for gap in accuracy.gaps] == ["recall"]
    jsonschema.validate(YAML(typ="safe").load(text), json_schema())


def commented_out(section):
    """The lines of a section of the file that `mlgate init` comments out."""
    text = INIT[INIT.index(f"\n{section}:") + 1 :].partition("\n\n")[0]
    return [line.partition("# ")[2] for line in text.splitlines() if line.startswith("  # ")]


@pytest.mark.parametrize("line", commented_out("evidence"))
def test_each_line_of_evidence_that_init_comments_out_is_valid_once_it_is_commented_in(line):
    """And sets something."""
    text = f"evidence: {{{line.partition('  #')[0]}}}\n"
    assert parse_policy(text).values.evidence != parse_policy("").values.evidence
    jsonschema.validate(YAML(typ="safe").load(text), json_schema())


@pytest.mark.parametrize("line", commented_out("load"))
def test_each_line_of_load_that_init_comments_out_is_valid_once_it_is_commented_in(line):
    """For the parser and for the schema; with a minute's worth of soak left out."""
    own = "rate: 100/s, duration: 60s, " if "trace" not in line else ""
    text = f"load: {{{own}{line.partition('  #')[0]}}}\n"
    assert parse_policy(text).digest != parse_policy(f"load: {{{own.rstrip(', ')}}}\n").digest or "max_drift" in line
    jsonschema.validate(YAML(typ="safe").load(text.replace("{1:", '{"1":')), json_schema())


@pytest.mark.parametrize(
    "document",
    [{"laod": {}}, {"load": {"p95": 250}}, {"load": {"p59": "1s"}}, {"requires": []}, {"version": 2}, {"sandbox": ["docker"]},
     {"accuracy": {"metrics": {"f1": {"margin": 0}}}}, {"accuracy": {"slices": [{"colum": "a"}]}}, {"accuracy": {"gaps": [{"column": "a"}]}}, {"properties": {"examples": 5}},
     {"load": {"batch": 0}}, {"load": {"batch": {"min": 1}}}, {"load": {"batch": {"a": "100%"}}}, {"load": {"profile": "steps"}}, {"load": {"profile": {"ramp": {"to": "5/s"}}}}, {"load": {"workers": 65}}],
    ids=str,
)  # fmt: skip
def test_the_json_schema_refuses_what_the_parser_refuses(document):
    """As far as a schema can say it."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json_schema())
    with pytest.raises(PolicyError):
        parse_policy(json.dumps(document))


def test_every_section_and_key_of_the_schema_has_a_type_or_a_choice():
    """A key that an editor knows nothing of is of no help."""
    schema = json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        for name, spec in definition["properties"].items():
            assert spec.keys() & {"type", "anyOf", "oneOf", "$ref", "enum", "const"}, name


def test_each_value_is_shown_with_its_origin():
    """File and line where the file sets it, else the word default."""
    policy = parse_policy(
        "version: 1\n\nload:\n  rate: 100/s\nrequires:\n  - load\nproperties:\n  inputs:\n    age: {max: 120}\n"
    )
    shown = {key: (value, origin) for key, value, origin in with_origins(policy)}
    assert shown["load.rate"] == (100.0, "mlgate.yaml:4")
    assert shown["load.duration"] == (30.0, "default")
    assert shown["requires"] == (["load"], "mlgate.yaml:5")
    assert shown["properties.inputs.age.max"] == (120.0, "mlgate.yaml:9")
    assert shown["properties.inputs.age.min"] == (None, "default")
    assert shown["version"] == (1, "mlgate.yaml:1")


def test_every_value_of_the_policy_is_shown_once():
    """None is left out, and none is there twice."""
    keys = [key for key, _, _ in with_origins(parse_policy(""))]
    assert len(keys) == len(set(keys))
    sections = {info.alias or name for name, info in PolicyValues.model_fields.items()}
    assert {key.partition(".")[0] for key in keys} == sections


def test_the_origin_names_the_file_that_was_read(tmp_path):
    """Its own name, not the default one."""
    file = tmp_path / "strict.yaml"
    file.write_text("model: churn\n")
    assert ("model", "churn", "strict.yaml:1") in list(with_origins(load_policy(file)))


yaml_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1s", "5%", "100/s", "load"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rate", "p95", "metrics", "f1", "min", "inputs", "a", "values", "env"])
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*json_schema()["properties"], "x"]), yaml_values, max_size=3))
@example({"requires": None})
@example({"requires": {"load": 1}})
@example({"evidence": {"signers": "x"}})
def test_any_document_is_a_policy_or_one_line(document):
    """No value of any type at any key makes the parser raise anything else."""
    try:
        text = json.dumps(document)
        policy = parse_policy(text)
    except PolicyError as error:
        line = str(error)
    else:
        line = policy.digest
    assert "\n" not in line


@given(st.text(max_size=60))
@example("a: &a {b: *a}")
@example("? [a, b]\n: c\n")
@example("load: !!python/object/apply:os.system [ls]\n")
def test_any_text_is_a_policy_or_one_line(text):
    """Also with tags, anchors and odd keys."""
    try:
        policy = parse_policy(text)
    except PolicyError as error:
        line = str(error)
    else:
        line = policy.digest
    assert "\n" not in line
