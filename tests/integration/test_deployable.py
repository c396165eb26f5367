"""The deployable image on a real engine: what is in it, that it serves by itself, and that it gets to a registry."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import docker.errors
import pytest
import requests

from mlgate.artifacts.directory import read_directory
from mlgate.cli import app
from mlgate.errors import EngineError, ModelDirectoryError
from mlgate.images import labels
from mlgate.images.deployable import DeployableBuilder
from mlgate.images.facts import FACTS_LABEL, KEY_LABEL
from mlgate.images.inventory import STAGING, PruneRequest, plan_prune
from mlgate.images.push import push
from mlgate.images.reference import ImageReference
from mlgate.images.storage import read_inventory, sweep_staging
from mlgate.model_version import ModelVersion
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.readiness import server_environment
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL
from tests.integration.own_engine import PASSWORD, bare_environment, own_engine, own_registry

pytestmark = pytest.mark.engine

ROWS = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.1, 0.9], [0.9, 0.1]]}}
REPOSITORY = "mlgate-tests/deployable"
READY_TIMEOUT_S = 120.0
# What Kubernetes gives between SIGTERM and SIGKILL, unless told otherwise.
KUBERNETES_GRACE_S = 30


def churn(number="3"):
    return ModelVersion(
        uri=f"models:/churn/{number}",
        name="churn",
        version=number,
        model_id=None,
        source_run_id=None,
        location="",
    )


def tagged(tag):
    return ImageReference.parse(f"{REPOSITORY}:{tag}")


def build(engine, environment, folder, tag, *, version=None, session=None, **limits):
    """Build from a model directory on this host."""
    return DeployableBuilder(engine, session=session).build(
        environment, read_directory(folder), version or churn(), ServerLimits(**limits), tagged(tag)
    )


def remove_tag(engine, reference):
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.client.images.remove(str(reference), force=True)


def leftovers(engine):
    """Return what a build that failed could have left: containers, images without a tag, images under way."""
    client = engine.client
    containers = client.containers.list(all=True, filters={"label": f"{labels.ROLE_LABEL}=build"}, ignore_removed=True)
    return [*containers, *client.images.list(filters={"dangling": True}), *client.images.list(name=STAGING)]


@contextlib.contextmanager
def by_hand(engine, image):
    """Run an image as a careful operator would, and nothing else: no environment, no mount, no writable place."""
    container = engine.client.containers.run(
        image,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        ports={f"{labels.PORT}/tcp": ("127.0.0.1",)},
        use_config_proxy=False,
    )
    try:
        container.reload()
        url = f"http://127.0.0.1:{container.ports[f'{labels.PORT}/tcp'][0]['HostPort']}"
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_ready(url):
            container.reload()
            assert container.status == "running", container.logs().decode()
            assert time.monotonic() < deadline, container.logs().decode()
        yield container, url
    finally:
        container.remove(force=True)


def is_ready(url):
    try:
        return requests.get(f"{url}/ready", timeout=2).ok
    except requests.RequestException:
        time.sleep(0.05)
        return False


def stop(container):
    """Stop as Kubernetes does; return the seconds that it took and the exit status."""
    began = time.monotonic()
    container.stop(timeout=KUBERNETES_GRACE_S)
    return time.monotonic() - began, container.wait()["StatusCode"]


def handles_sigterm(container):
    """Return whether process 1 handles SIGTERM by now: until its interpreter is there, nothing can."""
    caught = container.exec_run(["grep", "SigCgt", "/proc/1/status"]).output.split()[-1]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture(scope="module")
def deployable(engine, image, sklearn_model):
    made = build(engine, image, sklearn_model, "3")
    yield made
    remove_tag(engine, made.reference)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """An engine of our own with 48 MiB of disk."""
    with own_engine(tmp_path_factory.mktemp("engine"), size="48m") as machine:
        yield machine


@pytest.fixture(scope="module")
def small(machine):
    """The connection to it."""
    return machine.engine


@pytest.fixture
def bare(small):
    """An environment of next to nothing on that engine, which is empty again afterwards."""
    yield bare_environment(small, name="bare")
    for container in small.client.containers.list(all=True, ignore_removed=True):
        container.remove(force=True)
    # What stands on another goes first; two may have the same layers, and then only the engine knows which is below.
    for _ in small.client.images.list():
        for found in small.client.images.list():
            for name in (*found.tags, found.id):
                with contextlib.suppress(docker.errors.APIError):
                    remove_tag(small, name)
    assert small.client.images.list() == []


# --- what is in it


def test_it_is_the_environment_image_and_one_layer(engine, image, deployable):
    """The same environment layer that was tested, byte for byte, and the model."""
    below = engine.client.images.get(image.reference).attrs["RootFS"]["Layers"]
    assert engine.client.images.get(deployable.reference).attrs["RootFS"]["Layers"] == [*below, deployable.layer]


def test_it_says_what_it_is(engine, image, deployable, sklearn_model):
    """OCI labels, ours, and those that the environment's facts are read from."""
    found = engine.client.images.get(deployable.reference)
    assert found.id == deployable.image_digest
    assert found.labels[labels.ARTIFACT_DIGEST_LABEL] == read_directory(sklearn_model).digest
    assert found.labels[labels.RECIPE_DIGEST_LABEL] == image.recipe_digest
    assert (found.labels[labels.MODEL_NAME_LABEL], found.labels[labels.MODEL_VERSION_LABEL]) == ("churn", "3")
    assert (found.labels[labels.OCI_TITLE], found.labels[labels.OCI_VERSION]) == ("churn", "3")
    assert found.labels[labels.MLGATE_VERSION_LABEL]
    below = engine.client.images.get(image.reference).labels
    assert {name: found.labels[name] for name in (KEY_LABEL, FACTS_LABEL)} == {
        name: below[name] for name in (KEY_LABEL, FACTS_LABEL)
    }
    assert (found.labels[SESSION_LABEL], found.labels[OWNER_LABEL]) == ("", "")


def test_the_settings_are_those_of_the_test(engine, image, sklearn_model):
    """Threads, request timeout and the policy's `runtime.env`, and nothing else."""
    limits = {"cpus": 1.5, "request_timeout_s": 7.0, "env": {"GREETING": "hello world"}}
    made = build(engine, image, sklearn_model, "settings", **limits)
    try:
        config = engine.client.images.get(made.reference).attrs["Config"]
        told = dict(line.split("=", 1) for line in config["Env"])
        below = engine.client.images.get(image.reference).attrs["Config"]["Env"]
        assert told == {**dict(line.split("=", 1) for line in below), **server_environment(ServerLimits(**limits))}
        assert config["Cmd"][-2:] == ["--threads", "2"]
        assert config["ExposedPorts"] == {"8080/tcp": {}}
        assert config["User"] == "65534:65534"
    finally:
        remove_tag(engine, made.reference)


def test_the_same_again_is_the_same_image(engine, image, deployable, sklearn_model):
    """By whatever name: a digest that was tested stays the digest."""
    again = build(engine, image, sklearn_model, "again")
    try:
        assert again.hit
        assert again.image_digest == deployable.image_digest
    finally:
        remove_tag(engine, again.reference)


def test_what_is_built_on_an_environment_is_not_taken_for_it(engine, recipe, image, deployable):
    """A deployable image and a user's own carry the same labels, and are newer."""
    from mlgate.images.docker import ImageBuilder

    container = engine.client.containers.create(image.reference)
    own = container.commit("mlgate-tests/own", "1", conf={"Entrypoint": ["false"]})
    container.remove()
    try:
        assert own.labels[KEY_LABEL] == engine.client.images.get(image.reference).labels[KEY_LABEL]
        assert ImageBuilder(engine).build(recipe).reference == image.reference
        assert ImageBuilder(engine).find(recipe).reference == image.reference
    finally:
        remove_tag(engine, "mlgate-tests/own:1")


def test_what_a_user_builds_on_our_images_is_the_users(small, bare, sklearn_model):
    """It inherits every label; yet it is not found, not listed, not removed, and what lies below it stays."""
    made = build(small, bare, sklearn_model, "1")
    container = small.client.containers.create(made.reference)
    own = container.commit("users/own", "1", conf={"Env": ["MINE=1"]})
    container.remove()
    assert build(small, bare, sklearn_model, "2").image_digest == made.image_digest
    inventory = read_inventory(small)
    assert own.id not in {image.id for image in inventory.images}
    plan = plan_prune(inventory, PruneRequest(unused_for=None, deployable=True), datetime.now(UTC))
    assert plan.images == ()
    assert set(dict(plan.kept).values()) == {"another image stands on it"}


def test_the_layer_depends_on_the_content_only(small, bare, sklearn_model, tmp_path):
    """Other times, modes and owners of the files, another version number: the same layer."""
    copy = tmp_path / "copy"
    shutil.copytree(sklearn_model, copy, copy_function=shutil.copyfile)
    for path in copy.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    one = build(small, bare, sklearn_model, "one")
    other = build(small, bare, copy, "other", version=churn("4"))
    assert one.image_digest != other.image_digest
    assert one.layer == other.layer


def test_nothing_of_the_host_is_in_it(small, bare, sklearn_model, tmp_path, monkeypatch):
    """No proxy of docker's own configuration, no credential, no index: in no layer, configuration or history."""
    token = "t0ken-of-the-host"
    (tmp_path / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpProxy": f"http://user:{token}@proxy:3128"}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in (
        "HTTPS_PROXY",
        "UV_DEFAULT_INDEX",
        "PIP_INDEX_URL",
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_PASSWORD",
    ):
        monkeypatch.setenv(name, f"http://user:{token}@host")
    monkeypatch.setenv("DOCKER_HOST", small.url)
    monkeypatch.setenv("NO_PROXY", "*")
    from mlgate.sandbox.engine import connect

    with contextlib.closing(connect()) as engine:
        made = build(engine, bare, sklearn_model, "clean")
        saved = b"".join(engine.client.images.get(made.reference).save())
    assert b"sklearn" in saved
    assert token.encode() not in saved


def test_a_tag_that_moves_is_told(small, bare, sklearn_model):
    """The image that had it stays, and the caller learns which that is."""
    before = build(small, bare, sklearn_model, "moves")
    after = build(small, bare, sklearn_model, "moves", version=churn("4"))
    assert (before.replaced, after.replaced) == ("", before.image_digest)
    assert small.client.images.get(before.image_digest).tags == []
    small.client.images.remove(before.image_digest)


# --- it serves


def test_it_serves_by_hand(engine, deployable):
    """Read-only, without capabilities, without anything of the host: predictions, readiness, metrics."""
    with by_hand(engine, deployable.reference) as (container, url):
        answer = requests.post(f"{url}/invocations", json=ROWS, timeout=30)
        assert answer.json() == {"predictions": [0, 1]}
        assert requests.get(f"{url}/ready", timeout=5).json()["warm_up"] == {"requests": 2, "error": None}
        assert 'mlgate_requests_total{status="2xx"} 1.0' in requests.get(f"{url}/metrics", timeout=5).text
        seen = container.exec_run(["sh", "-c", "id -u; env"]).output.decode()
        assert seen.splitlines()[0] == "65534"
        names = {line.partition("=")[0] for line in seen.splitlines()[1:]}
        assert names <= {*server_environment(ServerLimits()), "PATH", "PYTHONDONTWRITEBYTECODE", "HOSTNAME", "PWD"}
        took, status = stop(container)
        assert took < KUBERNETES_GRACE_S
        assert status == 128 + signal.SIGTERM


def test_sigterm_lets_the_answer_under_way_out_and_a_hang_does_not_keep_it(engine, image, code_model):
    """A rollout loses no request, and ends within the grace period whatever the model does."""
    source = """
        import time
        class Model:
            def predict(self, data, params=None):
                time.sleep(float(data["s"].iloc[0]))
                return ["slept"] * len(data)
    """
    # Two predict threads, so that one can hang beside the other.
    made = build(engine, image, code_model(source), "slow", request_timeout_s=4.0, cpus=2.0)

    def ask(url, seconds):
        body = {"dataframe_split": {"columns": ["s"], "data": [[seconds]]}}
        return requests.post(f"{url}/invocations", json=body, timeout=60)

    try:
        with by_hand(engine, made.reference) as (container, url), ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(ask, url, seconds) for seconds in (2, 3600)]
            while "mlgate_requests_in_flight 2.0" not in requests.get(f"{url}/metrics", timeout=5).text:
                assert not any(answer.done() for answer in answers)
            took, status = stop(container)
            assert [answer.result().status_code for answer in answers] == [200, 504]
            assert took < KUBERNETES_GRACE_S
            assert status == 128 + signal.SIGTERM
    finally:
        remove_tag(engine, made.reference)


def test_sigterm_ends_it_while_it_still_loads(engine, deployable):
    """Process 1 of a container that handles no SIGTERM would take the whole grace period."""
    container = engine.client.containers.run(deployable.reference, detach=True, network_mode="none")
    try:
        while not handles_sigterm(container):
            container.reload()
            assert container.status == "running"
        took, status = stop(container)
        assert b"mlgate_boot" not in container.logs(), "it was ready already"
        assert took < KUBERNETES_GRACE_S
        assert status == 128 + signal.SIGTERM
    finally:
        container.remove(force=True)


# --- what goes wrong leaves nothing


def test_a_directory_that_changes_meanwhile_fails_the_build(small, bare, sklearn_model, tmp_path):
    """What is deployed is what was digested, or nothing."""
    copy = tmp_path / "model"
    shutil.copytree(sklearn_model, copy)
    directory = read_directory(copy)
    (copy / "MLmodel").write_bytes(b"x" * (copy / "MLmodel").stat().st_size)
    with pytest.raises(ModelDirectoryError, match="MLmodel changed while it was copied"):
        DeployableBuilder(small).build(bare, directory, churn(), ServerLimits(), tagged("changed"))
    assert leftovers(small) == []
    assert small.client.images.list(name=REPOSITORY) == []


@pytest.mark.parametrize(("megabytes", "where"), [(64, "did not take the model"), (30, "layer can not be made")])
def test_a_full_disk_fails_the_build_in_one_line(machine, small, bare, sklearn_model, tmp_path, megabytes, where):
    """While the model is copied in, and while the layer is committed; the disk is as free as before."""
    copy = tmp_path / "model"
    shutil.copytree(sklearn_model, copy)
    (copy / "weights.bin").write_bytes(os.urandom(megabytes * 2**20))
    before = machine.free()
    with pytest.raises(EngineError, match=f"disk is full.*{where}") as caught:
        build(small, bare, copy, "full")
    assert "mlgate image prune" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert leftovers(small) == []
    assert small.client.images.list(name=REPOSITORY) == []
    assert before - machine.free() < 2**20


INTERRUPTED = """
import json, sys
from pathlib import Path
from mlgate.artifacts.directory import read_directory
from mlgate.cli.guard import guarded
from mlgate.images.deployable import DeployableBuilder
from mlgate.images.facts import BuiltImage
from mlgate.images.reference import ImageReference
from mlgate.model_version import ModelVersion
from mlgate.sandbox.engine import connect
from mlgate.sandbox.interface import ServerLimits
image, folder = sys.argv[1:]
environment = BuiltImage(reference=image, image_digest=image, recipe_digest="sha256:c", base="b", base_digest="sha256:b",
                         python="3.11.8", platform="linux/amd64", pins=(), apt=(), server="s")
version = ModelVersion(uri=folder, name=None, version=None, model_id=None, source_run_id=None, location=folder)
engine = connect()
with guarded(engine) as session:
    DeployableBuilder(engine, session=session).build(
        environment, read_directory(Path(folder)), version, ServerLimits(), ImageReference.parse("interrupted:1"))
"""


@pytest.fixture
def interrupted(small, bare, sklearn_model, tmp_path):
    """Start a build in a process of its own and signal it at an event of the engine; return its exit status."""
    copy = tmp_path / "model"
    shutil.copytree(sklearn_model, copy)
    (copy / "weights.bin").write_bytes(os.urandom(8 * 2**20))

    def run(event, number):
        seen = small.client.events(decode=True, filters={"event": event, "label": f"{labels.ROLE_LABEL}=build"})
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, bare.reference, copy],
            env={**os.environ, "DOCKER_HOST": small.url},
            stderr=subprocess.DEVNULL,
            # A job in the background of a shell starts with it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (no thread runs here)
        )
        waiting = threading.Thread(target=next, args=(iter(seen),))
        waiting.start()
        waiting.join(60)
        process.send_signal(number)
        seen.close()
        return process.wait(60)

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("event", ["create", "extract-to-dir"])
def test_an_interrupt_leaves_nothing(small, interrupted, event, number):
    """Before the model is copied, and while the layer is committed, which the engine does not break off."""
    assert interrupted(event, number) == -signal.SIGINT
    assert leftovers(small) == []
    assert small.client.images.list(name="interrupted") == []


def test_what_a_killed_build_leaves_is_gone_after_the_next(small, interrupted):
    """The watchdog removes the container; the engine may still name the image, and whoever builds next sweeps."""
    assert interrupted("extract-to-dir", signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while small.client.containers.list(all=True, ignore_removed=True):
        assert time.monotonic() < deadline, "the watchdog did not remove the container"
    sweep_staging(small)
    assert leftovers(small) == []


# --- the command


@pytest.fixture
def registered(mlflow_server, sklearn_model, monkeypatch, tmp_path):
    """The model as version 1 of a name of its own in a real MLflow; return its URI."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.chdir(tmp_path)
    client = MlflowClient(mlflow_server.uri)
    name = f"deployable-{time.time_ns()}"
    client.create_registered_model(name)
    run = client.create_run("0")
    logged = client.create_logged_model("0", name="model", source_run_id=run.info.run_id)
    client.log_model_artifacts(logged.model_id, str(sklearn_model))
    client.finalize_logged_model(logged.model_id, "READY")
    client.create_model_version(name, f"models:/{logged.model_id}", run.info.run_id, model_id=logged.model_id)
    return f"models:/{name}/1"


def run_json(capsys, *words):
    """Run a command with JSON output; return its exit status and the document."""
    capsys.readouterr()
    status = app.run([*words, "--output", "json"])
    return status, json.loads(capsys.readouterr().out)


def gate_run(uri, image, folder):
    """Test *image* as that version with the quickest suite; return the evidence."""
    command = [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", uri]
    command += ["--mlgate-image", image, "--mlgate-suite", "schema", "--mlgate-output", folder / "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "out" / "evidence.json").read_text())


def test_from_the_registry_to_a_cluster(engine, registered, tmp_path, capsys):
    """Build, push, forget, pull by the digest that was printed, run: what a cluster does.

    The evidence of a gate run on it carries that digest.
    """
    with own_registry(tmp_path / "registry") as address:
        tag = f"{address}/team/churn:1"
        status, planned = run_json(capsys, "image", "build", registered, "--tag", tag, "--push", "--dry-run")
        assert (status, planned["reference"], planned["push"]) == (0, tag, True)
        assert engine.client.images.list(name=f"{address}/team/churn") == []

        try:
            status, made = run_json(capsys, "image", "build", registered, "--tag", tag, "--push")
            assert status == 0
            assert made["artifact_digest"] == planned["artifact_digest"]
            assert made["registry_reference"] == f"{address}/team/churn@{made['registry_digest']}"
            accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
            answer = requests.head(f"http://{address}/v2/team/churn/manifests/1", headers=accept, timeout=10)
            assert answer.headers["Docker-Content-Digest"] == made["registry_digest"]

            engine.client.images.remove(made["image_digest"], force=True)
            pulled = engine.client.images.pull(made["registry_reference"])
            assert pulled.id == made["image_digest"]
            assert pulled.labels[labels.MODEL_URI_LABEL] == registered
            with by_hand(engine, made["registry_reference"]) as (_, url):
                assert requests.post(f"{url}/invocations", json=ROWS, timeout=30).json() == {"predictions": [0, 1]}

            evidence = gate_run(registered, made["registry_reference"], tmp_path)
            assert evidence["image"]["registry_digest"] == made["registry_digest"]
            assert evidence["image"]["image_digest"] == made["image_digest"]
            assert evidence["image"]["recipe_digest"] == made["recipe_digest"]
            assert evidence["subject"]["artifact_digest"] == made["artifact_digest"]
            assert evidence["verdict"]["outcome"] == "passed"
        finally:
            for found in engine.client.images.list(name=f"{address}/team/churn"):
                engine.client.images.remove(found.id, force=True)


def test_a_policy_for_another_model_is_refused(registered, tmp_path, capsys):
    """As in a gate run: nothing is built under a policy that was not meant for it."""
    (tmp_path / "mlgate.yaml").write_text("model: fraud\n")
    assert app.run(["image", "build", registered, "--tag", "churn:1"]) == 2
    assert "the policy is for model 'fraud'" in capsys.readouterr().err


# --- registries that do not take it


def test_a_registry_is_asked_with_the_credentials_that_docker_has(
    machine, small, bare, sklearn_model, tmp_path, monkeypatch
):
    """Without them one line that says what to do; with them the digest."""
    config = tmp_path / "docker"
    config.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    monkeypatch.setenv("DOCKER_HOST", small.url)
    from mlgate.sandbox.engine import connect

    with own_registry(tmp_path / "registry", beside=machine, password=True) as address:
        reference = ImageReference.parse(f"{address}/team/churn:1")
        made = build(small, bare, sklearn_model, "private")
        small.client.api.tag(made.image_digest, reference.name, reference.tag)
        with contextlib.closing(connect()) as stranger, pytest.raises(EngineError, match="does not allow it") as caught:
            push(stranger, reference)
        assert f"docker login {address}" in str(caught.value)

        login = base64.b64encode(f"ci:{PASSWORD}".encode()).decode()
        (config / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
        with contextlib.closing(connect()) as known:
            digest = push(known, reference)
        assert small.client.images.get(str(reference)).attrs["RepoDigests"] == [f"{reference.name}@{digest}"]


def test_a_registry_that_is_not_there_is_one_line(machine, small, bare, sklearn_model, tmp_path):
    """The engine's own words, and who it is that could not connect."""
    with own_registry(tmp_path / "registry", beside=machine) as address:
        reference = ImageReference.parse(f"{address}/team/churn:1")
    made = build(small, bare, sklearn_model, "nowhere")
    small.client.api.tag(made.image_digest, reference.name, reference.tag)
    with pytest.raises(EngineError, match="can not be reached") as caught:
        push(small, reference)
    assert "\n" not in str(caught.value)


# --- list and prune


@pytest.fixture
def stored(small, bare, sklearn_model, monkeypatch):
    """The engine of our own with two environments, a deployable image on one of them, and both kinds of cache."""
    bare_environment(small, name="unused")
    build(small, bare, sklearn_model, "1")
    small.client.volumes.create("mlgate-uv-cache")
    small.client.volumes.create("mlgate-model-1", labels={labels.ROLE_LABEL: "model"})
    monkeypatch.setenv("DOCKER_HOST", small.url)
    yield small
    for volume in small.client.volumes.list():
        volume.remove()


def names_on(engine):
    found = read_inventory(engine)
    return {thing.name for thing in (*found.images, *found.volumes)}


BARE, UNUSED, DEPLOYED = "mlgate/environment:bare", "mlgate/environment:unused", f"{REPOSITORY}:1"
CACHES = {"mlgate-uv-cache", "mlgate-model-1"}


def test_list_shows_what_there_is_with_sizes(stored, capsys):
    """What each image takes for itself, and what it shares."""
    status, found = run_json(capsys, "image", "list")
    assert status == 0
    images = {image["tags"][0]: image for image in found["images"]}
    assert set(images) == {BARE, UNUSED, DEPLOYED}
    assert images[DEPLOYED]["kind"] == "deployable"
    assert (images[DEPLOYED]["model"], images[DEPLOYED]["version"]) == ("churn", "3")
    assert all(image["python"] == "3.11.8" and image["pins"] == 1 for image in images.values())
    sizes = {name: (image["size"], image["shared"], image["own"]) for name, image in images.items()}
    size, shared, own = sizes[DEPLOYED]
    assert size == shared + own
    assert (shared, sizes[BARE][2]) == (sizes[BARE][0], 0)
    assert sizes[UNUSED][2] == len("unused")
    assert {cache["name"]: cache["kind"] for cache in found["caches"]} == {
        "mlgate-uv-cache": "packages",
        "mlgate-model-1": "model",
    }
    assert app.run(["image", "list"]) == 0
    text = capsys.readouterr().out
    assert "churn 3" in text
    assert "mlgate-uv-cache" in text


def test_prune_takes_nothing_that_was_used_lately(stored, capsys):
    """The default is 30 days; finding an image again is using it."""
    before = names_on(stored)
    status, told = run_json(capsys, "image", "prune", "--yes")
    assert (status, told["removed"], told["freed"]) == (0, [], 0)
    assert names_on(stored) == before


def test_prune_takes_environments_that_nothing_needs(stored, capsys):
    """Not the one that a deployable image stands on, not that image, no cache; a dry run says so and takes none."""
    status, planned = run_json(capsys, "image", "prune", "--all", "--dry-run")
    assert (status, planned["dry_run"]) == (0, True)
    assert names_on(stored) == {BARE, UNUSED, DEPLOYED, *CACHES}
    status, told = run_json(capsys, "image", "prune", "--all", "--yes")
    assert told == {**planned, "dry_run": False}
    assert told["removed"] == [{"name": UNUSED, "kind": "environment"}]
    assert told["freed"] == len("unused")
    assert names_on(stored) == {BARE, DEPLOYED, *CACHES}


def test_prune_never_takes_what_a_container_uses(stored, capsys):
    """Stopped or not: and so what lies below it stays, too."""
    container = stored.client.containers.create(DEPLOYED, volumes={"mlgate-model-1": {"bind": "/model", "mode": "ro"}})
    status, told = run_json(capsys, "image", "prune", "--all", "--deployable", "--caches", "--yes")
    assert status == 0
    assert {thing["name"] for thing in told["removed"]} == {UNUSED, "mlgate-uv-cache"}
    assert {thing["name"]: thing["reason"] for thing in told["kept"]} == {
        DEPLOYED: "in use by 1 container",
        BARE: "another image stands on it",
        "mlgate-model-1": "in use by 1 container",
    }
    container.remove()


def test_prune_takes_everything_when_told_so(stored, capsys):
    """And what it frees is what the engine has less."""
    before = stored.client.df()["LayersSize"]
    status, told = run_json(capsys, "image", "prune", "--all", "--deployable", "--caches", "--yes")
    assert status == 0
    assert names_on(stored) == set()
    assert before - stored.client.df()["LayersSize"] == told["freed"]
    assert told["kept"] == []


def test_an_environment_that_is_found_counts_as_used(engine, recipe, image):
    """The engine notes when an image was tagged: finding it again tags it again."""
    from mlgate.images.docker import ImageBuilder

    before = datetime.now(UTC)
    ImageBuilder(engine).build(recipe)
    found = {thing.id: thing for thing in read_inventory(engine).images}[image.reference]
    assert found.used >= before
