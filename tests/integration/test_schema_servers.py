"""What MLflow's and MLServer's own servers do with wrong requests: the tables of docs/schema.md, measured."""

import textwrap
from contextlib import chdir

import pytest
import yaml

from mlgate.artifacts.signature import parse_signature
from mlgate.generation.input_space import input_space
from mlgate.images.environment import EnvironmentBuilder
from mlgate.images.recipe import server_identity
from mlgate.policy_schema import REJECT_CASES, STRICT_CASES
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.process import ProcessServer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import equality_for
from mlgate.scoring.protocols import protocol_of
from mlgate_suites import schema_encodings, schema_limits, schema_params
from mlgate_suites.schema_leak import judge_leaks
from mlgate_suites.schema_rejects import judge_case
from mlgate_suites.schema_trial import Trial

# Raises on zero rows, as scikit-learn's models do.
SOURCE = """
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

    class Sums(PythonModel):
        def predict(self, context, model_input, params=None):
            if len(model_input) == 0:
                raise ValueError("Found array with 0 sample(s)")
            factor = params["factor"] if params else 1.0
            lengths = model_input["plan"].map(lambda text: len(str(text)))
            return (model_input["age"] * factor + model_input["tenure"] + lengths).to_numpy(dtype=float)

    set_model(Sums())
"""
# Cases that are not refused as they should be.
LETS_THROUGH = {
    "mlflow": {
        "wrong_type", "lossy_number", "null_required", "nan_token", "duplicate_keys", "deep_nesting",
        "no_content_type", "slow_body",
    },
    "mlserver": {"wrong_type", "lossy_number", "null_required", "duplicate_keys", "slow_body"},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory, pins):
    """A number, a whole number and a text; a param and a list of them."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    folder = tmp_path_factory.mktemp("schema")
    (folder / "source.py").write_text(textwrap.dedent(SOURCE))
    columns = [ColSpec("double", "age"), ColSpec("long", "tenure"), ColSpec("string", "plan")]
    params = [ParamSpec("factor", "double", 1.0), ParamSpec("ids", "long", [1, 2], shape=(-1,))]
    signature = ModelSignature(Schema(columns), Schema([ColSpec("double")]), ParamSchema(params))
    with chdir(folder):
        mlflow.pyfunc.save_model(
            folder / "model", python_model=str(folder / "source.py"), signature=signature, pip_requirements=pins
        )
    return folder / "model"


@pytest.fixture(scope="module", params=["mlflow", "mlserver"])
def served(request, model, make_recipe, pins, tmp_path_factory):
    """Each of the two servers as a process, and a trial on it."""
    name = request.param
    environment = EnvironmentBuilder().build(make_recipe(requirements=pins, server=server_identity(name)))
    signature = parse_signature(yaml.safe_load((model / "MLmodel").read_text()))
    limits = ServerLimits(ready_timeout_s=120, request_timeout_s=5.0, memory=2**32)
    protocol = protocol_of(environment.server, signature)
    server = ProcessServer(environment, model, limits, tmp_dir=tmp_path_factory.mktemp("tmp"), protocol=protocol)
    try:
        server.start()
        client = ScoringClient(server, timeout_s=7.0)
        space = input_space(signature.inputs, rules={})
        yield name, Trial(client, signature, space, equality_for(signature.outputs), 1)
    finally:
        server.stop()


def test_the_documented_cases_get_through_and_no_others(served):
    """Each with the cause `server`; what always gates is refused."""
    name, trial = served
    found = {case: judge_case(case, trial, extra="ignore", whole=True) for case in (*REJECT_CASES, *STRICT_CASES)}
    told = {case: f"{finding.outcome}: {finding.reason}" for case, finding in found.items()}
    through = {case for case, finding in found.items() if str(finding.outcome) == "failed"}
    assert through == LETS_THROUGH[name], told
    assert not through & set(REJECT_CASES)
    assert {str(found[case].cause) for case in through} <= {"server"}


def test_params_are_held_to_their_types(served):
    """By MLflow's own schema, behind either protocol."""
    _, trial = served
    finding = schema_params._judge(trial, trial.signature.params)
    assert str(finding.outcome) == "passed", finding.reason


def test_zero_rows_that_the_model_raises_on_are_told_of(served):
    """As 400 by MLflow and 500 by MLServer, and under `strict` the latter is no clear 4xx."""
    name, trial = served
    finding = schema_limits._judge(trial, None, strict=False)
    assert str(finding.outcome) == "passed", finding.reason
    assert "0 sample(s)" in finding.details["warning"]
    strict = schema_limits._judge(trial, None, strict=True)
    assert str(strict.outcome) == ("passed" if name == "mlflow" else "failed")


def test_neither_server_has_a_limit_on_bodies(served):
    """Whoever declares one needs something in front that holds it."""
    _, trial = served
    finding = schema_limits._judge(trial, 2**20, strict=False)
    assert (str(finding.outcome), "one byte over" in finding.reason) == ("failed", True), finding.reason


def test_encodings_agree(served):
    """Five over MLflow's protocol."""
    name, trial = served
    recorded = []
    schema_encodings.test_encodings(
        trial.client, trial.signature, trial.inputs, trial.equality, trial.seed, recorded.append
    )
    assert str(recorded[0].outcome) == "passed", recorded[0].reason
    assert (recorded[0].n > 0) is (name == "mlflow")


def test_errors_repeat_what_was_sent(served):
    """Advice, and the servers' doing."""
    _, trial = served
    sent = []
    for case in REJECT_CASES:
        judge_case(case, trial, extra="ignore", whole=False, sent=sent)
    finding = judge_leaks(sent)
    assert str(finding.outcome) == "failed"
    assert "sent values" in finding.details["leaks"]
