"""`--mlgate-image`: images that mlgate did not build, on a real engine."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import requests

from mlgate.artifacts.directory import read_directory
from mlgate.artifacts.tar import tar_stream
from mlgate.errors import ConfigError, EngineError, FailureKind, ServerError
from mlgate.images.deployable import DeployableBuilder
from mlgate.images.facts import KEY_LABEL
from mlgate.images.inspection import find_image, find_trusted, look_into
from mlgate.images.labels import MODEL_PATH, ROLE_LABEL
from mlgate.images.reference import ImageReference
from mlgate.model_version import ModelVersion
from mlgate.sandbox.given import GivenImageServer
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL
from mlgate.scoring.protocols import Invocations
from tests.integration.own_engine import own_registry

pytestmark = pytest.mark.engine

PLATFORM = "linux/amd64"
PYTHON = "/opt/venv/bin/python"
ROWS = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.1, 0.9], [0.9, 0.1]]}}
MLFLOW = [PYTHON, "-m", "mlflow", "models", "serve", "--env-manager", "local", "-h", "0.0.0.0", "-p", "8080", "-m"]
# Answers every path with 200: as little of a server as there can be. `{bind}` and `{port}` are to be filled in.
SMALL = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"[]")
    do_POST = do_GET
http.server.ThreadingHTTPServer(("{bind}", {port}), Handler).serve_forever()
"""
# Of the labels that a commit inherits, those by which an environment image is found again: this is none.
NOT_OURS = {KEY_LABEL: "", ROLE_LABEL: "test"}
LOOK = """
import json, socket
def tried(act):
    try:
        return str(act())
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"
class Model:
    def predict(self, rows):
        others = [tried(lambda: socket.create_connection((f"172.17.0.{n}", 8080), 1)) for n in range(2, 8)]
        return json.dumps({
            "uid": os.getuid(), "environment": sorted(os.environ), "home": os.environ["HOME"],
            "internet": tried(lambda: socket.create_connection(("1.1.1.1", 53), 1)),
            "gateway": tried(lambda: socket.create_connection(("172.17.0.1", 22), 1)),
            "metadata": tried(lambda: socket.create_connection(("169.254.169.254", 80), 1)),
            "others": sorted(set(others)),
            "resolve": tried(lambda: socket.getaddrinfo("pypi.org", 443)),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "routes": open("/proc/net/route").read().count("\\n") - 1,
            "root": tried(lambda: open("/opt/x", "w")), "tmp": tried(lambda: open("/tmp/x", "w").close()),
            "volume": tried(lambda: open("/data/x", "w")), "kept": tried(lambda: open("/data/kept").read()),
            "docker": os.path.exists("/var/run/docker.sock"),
            "status": [line.split() for line in open("/proc/self/status") if line[:3] in ("Cap", "NoN", "Sec")],
        })
"""


@pytest.fixture(scope="module")
def make_image(engine, image):
    """Make images as a stranger would: something with Python and MLflow, a model or none, an entry point."""
    made = []

    def make(model=None, *, entrypoint, command=(), at=MODEL_PATH, setup=None, **config):
        container = engine.client.containers.create(
            image.reference, entrypoint=["sh", "-c"], command=[setup or ":"], network_mode="none", user="0"
        )
        try:
            if setup:
                container.start()
                assert container.wait()["StatusCode"] == 0, container.logs()
            if model is not None:
                assert container.put_archive("/", tar_stream(read_directory(model), prefix=at))
            conf = {"Entrypoint": entrypoint, "Cmd": list(command), "User": "", "Labels": NOT_OURS, **config}
            made.append(container.commit(conf=conf).id)
        finally:
            container.remove(force=True)
        return made[-1]

    yield make
    for reference in made:
        engine.client.images.remove(reference, force=True)


@pytest.fixture(scope="module")
def mlflow_image(make_image, sklearn_model):
    """`mlflow models serve` as entry point, listening on TCP, with the model where MLflow puts it."""
    return make_image(sklearn_model, entrypoint=MLFLOW, command=[MODEL_PATH])


@pytest.fixture
def looked_into(engine, session):
    """Look into an image as a run does before it starts."""

    def look(reference, model):
        found = find_image(engine, reference, platform=PLATFORM, tell=print)
        return look_into(engine, found, read_directory(model), session)

    return look


@pytest.fixture
def serve(engine, session, looked_into):
    """Start servers of given images; whatever comes of the test, they are removed."""
    servers = []

    def start(reference, model, *, port=8080, **limits):
        server = GivenImageServer(
            engine,
            looked_into(reference, model),
            ServerLimits(**limits),
            session,
            protocol=Invocations(),
            port=port,
            example=read_directory(model).serving_example,
            trusted=find_trusted(engine, base_image=None, tell=print),
        )
        servers.append(server)
        server.boot = server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def small(bind="0.0.0.0", port=8080):
    return [PYTHON, "-c", SMALL.format(bind=bind, port=port)]


def ask(server, body=ROWS):
    return requests.post(f"{server.url}/invocations", json=body, timeout=30)


def left_on(engine, session_id):
    label = {"label": f"{SESSION_LABEL}={session_id}" if session_id else SESSION_LABEL}
    client = engine.client
    lists = (client.containers.list(all=True, filters=label, ignore_removed=True), client.networks.list(filters=label))
    return [thing.name for found in (*lists, client.volumes.list(filters=label)) for thing in found]


# --- a stranger's image


def test_mlflows_own_server_is_served(serve, mlflow_image, sklearn_model):
    """With its own entry point, on the port that it listens on; ready means that it answered the example."""
    server = serve(mlflow_image, sklearn_model)
    assert server.boot.phases == {}
    assert server.boot.ready_s > 0
    assert ask(server).json() == {"predictions": [0, 1]}
    facts = server.image
    assert (facts.origin, facts.image_digest, facts.registry_digest) == ("given", mlflow_image, "")
    assert facts.model_digest == read_directory(sklearn_model).digest
    assert server.sandbox.network == "none"
    assert server.failure() is None


def test_a_given_image_is_restarted_and_started_again_beside_itself(engine, session, serve, make_image, sklearn_model):
    """Same URL after a restart, another for a second one; each listens on the same port, in a namespace of its own."""
    server = serve(make_image(sklearn_model, entrypoint=small(port=9000)), sklearn_model, port=9000)
    url = server.url
    server.restart()
    assert server.url == url
    second = server.another()
    try:
        second.start()
        assert second.url != url
        assert ask(server).json() == ask(second).json() == []
        server.stop()
        assert ask(second).json() == []
    finally:
        second.stop()
    assert left_on(engine, session.id) == []


def test_a_model_in_a_given_image_sees_no_network_no_host_and_nothing_to_write_on(
    serve, make_image, code_model, monkeypatch
):
    """Neither gateway nor internet nor neighbours: there is loopback and no route. A declared volume can be read only."""
    monkeypatch.setenv("MLGATE_TEST_SECRET", "swordfish")
    model = code_model(LOOK, example={"inputs": [1]})
    reference = make_image(
        model,
        entrypoint=MLFLOW,
        command=[MODEL_PATH],
        setup="mkdir /data && echo -n there > /data/kept && chmod 777 /data",
        Volumes={"/data": {}},
        Env=["PATH=/opt/venv/bin:/usr/bin:/bin", "OWN=1"],
    )
    server = serve(reference, model, env={"GIVEN": "1"})
    seen = json.loads(ask(server, {"inputs": [1]}).json()["predictions"])
    assert seen["uid"] == 65534
    assert seen["internet"] == seen["gateway"] == seen["metadata"] == "OSError 101"
    assert seen["others"] == ["OSError 101"]
    assert seen["resolve"].startswith("gaierror")
    assert (seen["interfaces"], seen["routes"]) == (["lo"], 0)
    assert seen["root"] == seen["volume"] == "OSError 30"
    assert (seen["tmp"], seen["kept"], seen["docker"]) == ("None", "there", False)
    status = dict(seen["status"])
    assert {int(status[name], 16) for name in ("CapEff:", "CapPrm:", "CapBnd:", "CapInh:")} == {0}
    assert (status["NoNewPrivs:"], status["Seccomp:"]) == ("1", "2")
    assert {"OWN", "GIVEN", "HOME"} <= set(seen["environment"])
    assert seen["home"] == "/tmp"
    assert not {"MLGATE_TEST_SECRET", "SSL_CERT_FILE", "DOCKER_HOST", "PIP_CERT"} & set(seen["environment"])


# --- what is wrong with an image is said, by its name

FAILURES = {
    "writes outside of /tmp": (
        ["sh", "-c", "echo starting; mkdir /var/log/nginx/x || exit 3"], {}, FailureKind.EXITED,
        r"exited with status 3.*may write to /tmp only, and runs as nobody: mkdir: .*(Read-only|No such)",
    ),
    "exits": (["sh", "-c", "echo last words; exit 7"], {}, FailureKind.EXITED, "exited with status 7"),
    "listens on another port": (
        small(port=9000), {"ExposedPorts": {"9000/tcp": {}}}, FailureKind.NO_LISTENER,
        r"nobody listens where it should \(port 8080\)\. Hint: the image declares port 9000: set runtime\.port",
    ),
    "listens on loopback only": (
        small(bind="127.0.0.1"), {}, FailureKind.NO_LISTENER, "loopback only .*Hint: have it listen on 0\\.0\\.0\\.0",
    ),
    "outgrows its memory": (
        [PYTHON, "-c", "x = bytearray(1 << 30)"], {}, FailureKind.OOM, "went over the memory limit",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entrypoint", "config", "kind", "words"), FAILURES.values(), ids=FAILURES)
def test_a_given_image_that_does_not_get_ready_is_named_with_the_reason(
    engine, session, serve, make_image, sklearn_model, entrypoint, config, kind, words
):
    """As one of ours would be, and with what a stranger's image is likely to have got wrong."""
    setup = "mkdir -p /var/log/nginx"
    # Only a server that lives is waited for to the end, on a machine that may take some of it to start the interpreter.
    within_s = 10 if kind is FailureKind.NO_LISTENER else 120
    with pytest.raises(ServerError) as caught:
        serve(make_image(sklearn_model, entrypoint=entrypoint, setup=setup, **config), sklearn_model,
              ready_timeout_s=within_s, memory=256 * 2**20)  # fmt: skip
    assert re.search(words, str(caught.value)), str(caught.value)
    assert caught.value.kind is kind


# --- the model in the image is the version's, or there is none


def test_an_image_with_another_model_is_refused_with_the_file_that_differs(
    looked_into, make_image, sklearn_model, code_model, engine, session
):
    """Before anything of it runs."""
    reference = make_image(code_model("class Model:\n    pass"), entrypoint=["sh", "-c", "touch /tmp/ran"])
    with pytest.raises(ConfigError, match=rf"holds another model at {MODEL_PATH}: MLmodel differs"):
        looked_into(reference, sklearn_model)
    assert left_on(engine, session.id) == []


def test_an_image_with_the_model_elsewhere_has_no_model_to_compare(looked_into, make_image, sklearn_model):
    """It is tested, and never promotable. What is installed is found all the same."""
    found = looked_into(make_image(sklearn_model, entrypoint=MLFLOW, at="/srv/model"), sklearn_model)
    assert found.model_digest == ""
    assert found.facts(threads=1).python.startswith("3.11.")
    assert any(pin.startswith("mlflow==") for pin in found.facts(threads=1).pins)


def test_what_is_installed_is_asked_inside_and_not_read_from_a_label(looked_into, make_image, sklearn_model):
    """A package that was added by hand is found; the environment's labels are inherited and not believed any more."""
    site = "$(echo /opt/venv/lib/python3.*/site-packages)/added-1.5.dist-info"
    setup = f'mkdir "{site}" && printf "Metadata-Version: 2.1\\nName: added\\nVersion: 1.5\\n" > "{site}/METADATA"'
    facts = looked_into(make_image(sklearn_model, entrypoint=MLFLOW, setup=setup), sklearn_model).facts(threads=1)
    assert "added==1.5" in facts.pins
    assert (facts.recipe_digest, facts.base_digest) == ("", "")


def test_an_image_without_python_tells_nothing_and_is_no_error(looked_into, make_image, sklearn_model, engine, session):
    """The checks that need it are inconclusive then."""
    setup = "rm -rf /opt/venv /usr/bin/python3* /usr/local/bin/python*"
    found = looked_into(make_image(sklearn_model, entrypoint=["/bin/sh"], setup=setup), sklearn_model)
    assert (found.contents.python, found.contents.pins) == ("", ())
    assert found.model_digest
    assert left_on(engine, session.id) == []


@pytest.mark.parametrize(
    ("name", "platform", "error", "words"),
    [
        ("localhost:1/mlgate-none:1", PLATFORM, EngineError, "localhost:1/mlgate-none:1 is not on this engine and can not be pulled"),
        ("Not An Image", PLATFORM, ConfigError, "'Not An Image' is not an image reference"),
        (None, "linux/arm64", ConfigError, "is linux/amd64, the policy's runtime.platform is linux/arm64"),
    ],
)  # fmt: skip
def test_an_image_that_can_not_be_tested_is_said_in_one_line(engine, image, name, platform, error, words):
    """With what to do about it."""
    with pytest.raises(error, match=words) as caught:
        find_image(engine, name or image.reference, platform=platform, tell=print)
    assert "\n" not in str(caught.value)


def test_an_image_in_a_registry_is_pulled_and_named_by_the_digest_that_a_cluster_pulls(
    engine, session, looked_into, sklearn_model, tmp_path
):
    """Out of a real registry; one that holds nothing but the model, neither Python nor a command."""
    archive = b"".join(tar_stream(read_directory(sklearn_model), prefix=MODEL_PATH))
    with own_registry(tmp_path / "registry") as address:
        name = f"{address}/team/given"
        try:
            engine.client.api.import_image_from_data(archive, repository=name, tag="1")
            engine.client.images.push(name, tag="1")
            engine.client.images.remove(f"{name}:1", force=True)
            found = looked_into(f"{name}:1", sklearn_model)
            accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
            answer = requests.head(f"http://{address}/v2/team/given/manifests/1", headers=accept, timeout=10)
            assert found.registry_digest == answer.headers["Docker-Content-Digest"]
            assert (
                looked_into(f"{name}@{found.registry_digest}", sklearn_model).registry_digest == found.registry_digest
            )
            assert found.facts(threads=1).registry_digest == found.registry_digest
            assert found.model_digest == read_directory(sklearn_model).digest
            assert found.contents.pins == ()
        finally:
            for image in engine.client.images.list(name=name):
                engine.client.images.remove(image.id, force=True)
    assert left_on(engine, session.id) == []


# --- the whole road

POLICY = """
requires: [schema, properties, cold_start, load]
properties: {examples: 40, inputs: {a: {min: 0, max: 1}, b: {min: 0, max: 1}}}
cold_start: {ready: 60s, first_prediction: 60s}
load: {rate: 20/s, duration: 10s, p95: 5s, error_rate: 2%}
"""
REGISTER = """
import sys, mlflow
mlflow.set_experiment("given")
with mlflow.start_run() as run:
    mlflow.log_artifacts(sys.argv[1], "model")
client = mlflow.MlflowClient()
client.create_registered_model("given")
client.create_model_version("given", f"{run.info.artifact_uri}/model", run.info.run_id)
"""


@pytest.fixture(scope="module")
def desk(mlflow_server, sklearn_model, tmp_path_factory):
    """A folder with a policy, an environment for commands, and `models:/given/1` in a real registry."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "mlgate.yaml").write_text(POLICY)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTEST"))}
    environment = clean | {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MLGATE_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", textwrap.dedent(REGISTER), str(sklearn_model)]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

    def run(*words):
        command = [sys.executable, "-m", "mlgate", *words]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    run.folder, run.environment = folder, environment
    return run


def test_a_deployable_image_passes_every_suite_and_the_gate_names_what_to_pull(
    desk, engine, image, session, sklearn_model
):
    """The one that `mlgate image build` makes: what was tested is what is deployed."""
    version = ModelVersion(
        uri="models:/given/1", name="given", version="1", model_id=None, source_run_id=None, location=""
    )
    built = DeployableBuilder(engine, session=session).build(
        image, read_directory(sklearn_model), version, ServerLimits(), ImageReference.parse("mlgate-given/test:1")
    )
    try:
        done = desk("test", "models:/given/1", "--image", "mlgate-given/test:1")
        assert done.returncode == 0, done.stdout + done.stderr
        evidence = json.loads((desk.folder / ".mlgate" / "given-1" / "evidence.json").read_text())
        facts = evidence["image"]
        assert (facts["origin"], facts["image_digest"]) == ("given", built.image_digest)
        assert facts["model_digest"] == evidence["subject"]["artifact_digest"]
        assert (facts["recipe_digest"], facts["pins"]) == (image.recipe_digest, list(image.pins))
        assert evidence["sandbox"]["network"] == "none"
        gate = desk("gate", "models:/given/1")
        assert gate.returncode == 0, gate.stdout + gate.stderr
        assert f"image: {built.image_digest} (in no registry)" in gate.stdout
    finally:
        engine.client.images.remove("mlgate-given/test:1", force=True)


def test_a_run_of_another_versions_image_ends_before_it_begins(desk, make_image, code_model):
    """Exit status 2 of the command, one line, and the version's tags stay as they were."""
    reference = make_image(code_model("class Model:\n    pass"), entrypoint=["sh"])
    done = desk("test", "models:/given/1", "--image", reference, "--folder", "refused")
    assert done.returncode == 2
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "holds another model" in line]
    assert len(lines) == 1
    assert not (desk.folder / "refused").exists()


def test_a_run_with_a_given_image_that_is_killed_leaves_nothing(desk, engine, scratch_of, mlflow_image, sklearn_model):
    """SIGKILL while it serves: forwarder, namespace, server and volume go."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:locust",
        "-p",
        "no:cacheprovider",
        "--mlgate",
        str(sklearn_model),
    ]
    with (desk.folder / "run.log").open("wb") as log:
        run = subprocess.Popen([*command, "--mlgate-image", mlflow_image, "--mlgate-output", "killed"],
                               cwd=desk.folder, env=desk.environment, stdout=log, stderr=log)  # fmt: skip

    def owned():
        found = engine.client.containers.list(all=True, filters={"label": SESSION_LABEL}, ignore_removed=True)
        ours = [box for box in found if box.labels.get(OWNER_LABEL, "").split(":")[0] == str(run.pid)]
        return {box.labels["mlgate.role"]: box.labels[SESSION_LABEL] for box in ours}

    wait_for(lambda: {"forwarder", "enclosure", "server"} <= set(owned()) or run.poll() is not None, within_s=120)
    assert run.poll() is None, (desk.folder / "run.log").read_text()
    (session_id,) = set(owned().values())
    scratch = scratch_of(run.pid)
    assert scratch.exists()
    run.send_signal(signal.SIGKILL)
    assert run.wait(60) == -signal.SIGKILL
    wait_for(lambda: left_on(engine, session_id) == [], within_s=60)
    wait_for(lambda: not scratch.exists(), within_s=60)


def wait_for(condition, *, within_s):
    """Wait until *condition* holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.1)
