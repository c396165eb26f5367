"""MLServer as the server: its own data plane, in both sandboxes, and the suites unchanged."""

import json
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir

import pytest
import requests

from mlgate.artifacts.signature import parse_signature
from mlgate.errors import ServerError
from mlgate.images.docker import ImageBuilder
from mlgate.images.environment import EnvironmentBuilder
from mlgate.images.recipe import server_identity
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.hardened import USER
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.process import ProcessServer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import protocol_of

pytestmark = pytest.mark.engine

# Answers with the types and values that reached it, or does what its text says.
ECHO = """
    import time
    import numpy as np
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

    class Echo(PythonModel):
        def predict(self, context, model_input, params=None):
            said = str(model_input["s"].iloc[0])
            if said == "crash":
                raise ValueError("boom on this row")
            if said == "hang":
                time.sleep(600)
            types = {name: str(dtype) for name, dtype in model_input.dtypes.items()}
            return np.array([f"{types} {row}" for row in model_input.to_numpy().tolist()], dtype=object)

    set_model(Echo())
"""
TENSORS = """
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

    class Sums(PythonModel):
        def predict(self, context, model_input, params=None):
            return {"y": model_input["u"].sum(axis=1), "z": model_input["v"] * 2.0 + model_input["rate"]}

    set_model(Sums())
"""
# Healthy on the rows that it was logged with.
NAN_ABOVE_90 = """
    import numpy as np
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

    class Model(PythonModel):
        def predict(self, context, model_input, params=None):
            age = model_input["age"].to_numpy(float)
            return np.where(age > 90, np.nan, age / 100)

    set_model(Model())
"""
KINDS = {"d": "double", "f": "float", "i": "integer", "l": "long", "b": "boolean", "s": "string", "t": "datetime"}
ROWS = (
    [1.5, 0.10000000149011612, 3, 2**53 - 1, True, "zé ✓", "2000-01-02T03:04:05"],
    [-1e6, 2.0, -(2**31) + 1, -1, False, "", "2032-11-01T00:00:00"],
)
POLICY = """
requires: [schema, properties, accuracy, cold_start, load]
runtime: {server: mlserver}
properties: {examples: 100, inputs: {age: {min: 18, max: 120}}}
accuracy: {data: holdout.parquet, label: churned, metrics: {accuracy: {min: 0.6}}}
cold_start: {ready: 60s, first_prediction: 60s}
load: {rate: 20/s, duration: 15s, p95: 2s, error_rate: 2%}
"""


@pytest.fixture(scope="module")
def v2_recipe(make_recipe, pins):
    """The usual environment, with MLServer in it."""
    return make_recipe(requirements=pins, server=server_identity("mlserver"))


@pytest.fixture(scope="module")
def v2_image(engine, v2_recipe):
    """Its image."""
    return ImageBuilder(engine).build(v2_recipe)


@pytest.fixture(scope="module")
def save(tmp_path_factory, pins):
    """Write a model directory from source: `save(source, inputs, outputs)`."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature

    def make(source, inputs, outputs, **more):
        folder = tmp_path_factory.mktemp("v2")
        (folder / "source.py").write_text(textwrap.dedent(source))
        with chdir(folder):  # MLflow would log the lock file of the project that it finds itself in
            mlflow.pyfunc.save_model(
                folder / "model",
                python_model=str(folder / "source.py"),
                signature=ModelSignature(inputs=inputs, outputs=outputs),
                pip_requirements=pins,
                **more,
            )
        return folder / "model"

    return make


@pytest.fixture(scope="module")
def echo_model(save):
    """One column of every scalar type."""
    from mlflow.types.schema import ColSpec, Schema

    optional = [ColSpec("double", "od", required=False), ColSpec("string", "os", required=False)]
    columns = [ColSpec(kind, name) for name, kind in KINDS.items()]
    return save(ECHO, Schema([*columns, *optional]), Schema([ColSpec("string")]))


@pytest.fixture
def ask(engine, v2_image, session):
    """Serve a model in a container; return its client."""
    servers = []

    def start(model, *, timeout_s=20.0):
        server = ContainerServer(
            engine, v2_image, model, ServerLimits(), session, protocol=protocol_of(v2_image.server, signature_of(model))
        )
        servers.append(server)
        server.start()
        return ScoringClient(server, timeout_s=timeout_s)

    yield start
    for server in servers:
        server.stop()


def signature_of(model):
    import yaml

    return parse_signature(yaml.safe_load((model / "MLmodel").read_text()))


def batch(*rows, **more):
    return Batch(columns=(*KINDS, *more), rows=tuple([*row, *more.values()] for row in rows))


@pytest.fixture
def desk(tmp_path, pins, monkeypatch):
    """A working directory with a policy, data and a healthy model; `desk(model, …)` runs the gate there."""
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = pd.DataFrame({"age": rng.uniform(18, 120, 600), "tenure": rng.uniform(0, 40, 600)})
    y = (0.05 * x["age"] - 0.1 * x["tenure"] + rng.normal(size=600) > 1).astype("int64")
    x[300:].assign(churned=y[300:]).to_parquet(tmp_path / "holdout.parquet", index=False)
    (tmp_path / "mlgate.yaml").write_text(POLICY)
    model = LogisticRegression().fit(x[:300], y[:300])
    monkeypatch.chdir(tmp_path)  # as in `save`
    mlflow.sklearn.save_model(
        model,
        tmp_path / "healthy",
        signature=mlflow.models.infer_signature(x, model.predict(x)),
        input_example=x.head(3),
        pip_requirements=pins,
    )

    def run(model, *more):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mlgate", str(model), *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        written = list(tmp_path.glob(".mlgate/*/evidence.json"))
        assert written, done.stdout + done.stderr
        return done, json.loads(written[0].read_text())

    run.folder = tmp_path
    return run


@pytest.mark.alone
def test_a_healthy_model_passes_all_five_suites(desk):
    """The same checks as on MLflow's server, over V2, and the evidence says which server it was."""
    done, evidence = desk(desk.folder / "healthy")
    assert done.returncode == 0, done.stdout + done.stderr
    checks = [check for suite in evidence["suites"].values() for check in suite["checks"]]
    assert {check["outcome"] for check in checks if not check["details"].get("advisory")} == {"passed"}
    assert set(evidence["suites"]) == {"environment", "schema", "properties", "accuracy", "cold_start", "load"}
    assert evidence["image"]["server"] == server_identity("mlserver")
    assert [pin for pin in evidence["image"]["pins"] if pin.startswith(("mlserver==1.7.", "mlserver-mlflow==1.7."))]
    assert evidence["sandbox"]["network"] == "none"


def test_a_prediction_that_is_not_a_number_fails_the_properties(desk, save):
    """MLServer spells NaN as null: found all the same, with the row, and by nothing else."""
    from mlflow.types.schema import ColSpec, Schema

    model = save(NAN_ABOVE_90, Schema([ColSpec("double", "age")]), Schema([ColSpec("double")]))
    done, evidence = desk(model, "--mlgate-suite", "properties")
    assert done.returncode == 1, done.stdout + done.stderr
    outcomes = {check["id"]: check["outcome"] for check in evidence["suites"]["properties"]["checks"]}
    assert outcomes.pop("properties.total") == "failed"
    assert [check for check, outcome in outcomes.items() if outcome != "passed"] == []
    found = next(check for check in evidence["suites"]["properties"]["checks"] if check["id"] == "properties.total")
    assert "null, declared double" in found["reason"]
    assert json.loads(found["details"]["example"])["age"] > 90
    assert "/v2/models/model/infer" in found["details"]["curl"]


def test_the_data_plane_answers_as_that_of_mlserver_start(engine, session, v2_image, echo_model):
    """Side by side in one container: the same bytes for what is valid, and a refusal where MLServer has a crash."""
    protocol = protocol_of("mlserver", signature_of(echo_model))
    bodies = {
        "valid": protocol.encode(batch(*ROWS)),
        "nulls": protocol.encode(batch(*ROWS, od=None, os=None)),
        "crash": protocol.encode(batch([*ROWS[0][:5], "crash", ROWS[0][6]])),
        "missing": protocol.encode(batch(*ROWS).without_column("d")),
        "word": protocol.encode(batch(*ROWS).with_value("d", "twelve")),
        "envelope": (b'{"rows": []}', "application/json"),
        "malformed": (b"{", "application/json"),
        "empty": (b"", "application/json"),
        "content_type": (protocol.encode(batch(*ROWS))[0], "application/x-mlgate"),
    }
    sent = {name: [body.decode(), kind] for name, (body, kind) in bodies.items()}
    raw = engine.client.containers.run(
        v2_image.reference,
        entrypoint=["/opt/venv/bin/python", "-c", SIDE_BY_SIDE],
        command=[json.dumps(sent)],
        network_mode="none",
        user=f"{USER}:{USER}",
        # Its worker process, which is the default, dies at once with uvloop 0.23.
        environment={"HOME": "/tmp", "MLSERVER_PARALLEL_WORKERS": "0"},
        working_dir="/tmp",
        volumes={str(echo_model): {"bind": "/model", "mode": "ro"}},
        labels=session.labels(),
        stderr=False,
        remove=True,
    )
    found = json.loads(raw.splitlines()[-1])
    stock = {name: status for name, (status, _) in found["mlserver"].items()}
    ours = {name: status for name, (status, _) in found["mlgate_serving"].items()}
    refused = {"envelope": 422, "malformed": 422, "empty": 422, "content_type": 422}
    assert stock == {"valid": 200, "nulls": 200, "crash": 500, "missing": 500, "word": 500, **refused}
    assert ours == {"valid": 200, "nulls": 200, "crash": 500, "missing": 400, "word": 400, **refused}
    for name in ("valid", "nulls", *refused):
        assert found["mlserver"][name][1] == found["mlgate_serving"][name][1], name


SIDE_BY_SIDE = """
import json, os, re, subprocess, sys, time, urllib.error, urllib.request
os.mkdir("/tmp/repository")
settings = {"name": "model", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": "/model"}}
with open("/tmp/repository/model-settings.json", "w") as file:
    json.dump(settings, file)
python = "/opt/venv/bin/python"
ours = [python, "-m", "mlgate_serving", "--server", "mlserver", "--model", "/model", "--port", "9000"]
stock = ["/opt/venv/bin/mlserver", "start", "/tmp/repository"]
running = [subprocess.Popen(command, stdout=sys.stderr) for command in (ours, stock)]

def ask(port, path, body=None, kind=None):
    headers = {"Content-Type": kind} if kind else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

def wait_for(port):
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        try:
            if ask(port, "/v2/models/model/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nobody is ready on port {port}")

found = {}
for name, port in (("mlgate_serving", 9000), ("mlserver", 8080)):
    wait_for(port)
    found[name] = {}
    for case, (body, kind) in json.loads(sys.argv[1]).items():
        status, text = ask(port, "/v2/models/model/infer", body.encode(), kind)
        found[name][case] = [status, re.sub(r'"id":"[^"]*"', "", text)]
for process in running:
    process.kill()
print(json.dumps(found), flush=True)
"""


def test_every_column_type_arrives_as_through_invocations(ask, echo_model):
    """MLflow's own protocol, which MLServer answers too, is the measure."""
    client = ask(echo_model)
    for asked in (batch(*ROWS), batch(*ROWS, od=None, os=None), batch(*ROWS, od=0.5, os="x")):
        split = {"columns": list(asked.columns), "data": list(asked.rows)}
        answer = requests.post(f"{client.server.url}/invocations", json={"dataframe_split": split}, timeout=20)
        assert client.score(asked).rows() == answer.json()["predictions"]


def test_a_crash_is_one_and_the_server_lives(ask, echo_model):
    """With the model's own words."""
    client = ask(echo_model)
    answer = client.score(batch([*ROWS[0][:5], "crash", ROWS[0][6]]))
    assert answer.crashed
    assert answer.error_text() == "ValueError: boom on this row"
    assert len(client.score(batch(*ROWS)).rows()) == 2


def test_probes_are_answered_while_a_prediction_hangs_and_the_next_request_is_too(ask, echo_model):
    """The event loop is not the predict thread's; after its deadline the client brings a fresh server."""
    client = ask(echo_model, timeout_s=3.0)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(client.score, batch([*ROWS[0][:5], "hang", ROWS[0][6]]))
        page = ""
        deadline = time.monotonic() + 3
        while "mlgate_requests_in_flight 1.0" not in page and time.monotonic() < deadline:
            page = requests.get(f"{client.server.url}/metrics", timeout=2).text
        assert "mlgate_requests_in_flight 1.0" in page
        assert requests.get(f"{client.server.url}/ready", timeout=2).status_code == 200
        assert hanging.result().problem == "timeout"
    assert len(client.score(batch(*ROWS)).rows()) == 2
    assert client.restarts == 1


def test_a_version_without_declared_outputs_is_not_loaded(ask, save):
    """MLServer's runtime reads them while it loads; the failure is the version's, and it is said."""
    from mlflow.types.schema import ColSpec, Schema

    model = save(ECHO, Schema([ColSpec("string", "s")]), None)
    with pytest.raises(ServerError, match="the model can not be loaded: AttributeError") as raised:
        ask(model)
    assert raised.value.kind == "load_failed"


def test_named_tensors_are_served_by_a_plain_process_after_a_warm_up(v2_recipe, save, tmp_path):
    """The other sandbox, shapes by the signature, one without axes, and the logged example sent twice before it is ready."""
    import numpy as np
    from mlflow.types.schema import Schema, TensorSpec

    axes = {"u": (-1, 3), "v": (-1, 1), "rate": ()}
    inputs = Schema([TensorSpec(np.dtype("int64" if name != "u" else "float64"), axes[name], name) for name in axes])
    outputs = Schema([TensorSpec(np.dtype("float64"), (-1,), "y"), TensorSpec(np.dtype("float64"), (-1, 1), "z")])
    example = {"u": np.ones((2, 3)), "v": np.array([[1], [2]]), "rate": np.array(8)}
    model = save(TENSORS, inputs, outputs, input_example=example)
    environment = EnvironmentBuilder().build(v2_recipe)
    protocol = protocol_of(environment.server, signature_of(model))
    server = ProcessServer(environment, model, ServerLimits(ready_timeout_s=90), tmp_dir=tmp_path, protocol=protocol)
    try:
        server.start()
        client = ScoringClient(server, timeout_s=20)
        rows = ({"u": [1.0, 2.0, 3.0], "v": [4], "rate": 10}, {"u": [0.5, 0.0, 0.0], "v": [-1], "rate": 10})
        said = client.score(Batch(columns=None, rows=rows)).rows()
        assert said == [{"y": 6.0, "z": [18.0]}, {"y": 0.5, "z": [8.0]}]
        said = requests.get(f"{server.url}/ready", timeout=5).json()
        assert said["warm_up"] == {"requests": 2, "error": None}
        assert 'mlgate_requests_total{status="2xx"} 1.0' in requests.get(f"{server.url}/metrics", timeout=5).text
        logged = protocol.encode_example((model / "serving_input_example.json").read_bytes())
        assert [row["y"] for row in client.post(logged[0], content_type=logged[1]).rows()] == [3.0, 3.0]
    finally:
        server.stop()
