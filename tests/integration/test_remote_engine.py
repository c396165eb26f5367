"""An engine on another machine: over TCP with TLS, as GitLab's docker-in-docker. Its files and loopback are not ours."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mlgate.artifacts.directory import read_directory
from mlgate.errors import EngineError
from mlgate.images.docker import ImageBuilder
from mlgate.sandbox import isolation
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import Engine
from mlgate.sandbox.front import Front
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.model_volume import ModelVolume
from mlgate.sandbox.reach import Reach, open_to_all
from mlgate.sandbox.session import SESSION_LABEL, SessionTag
from mlgate.sandbox.shared_files import sees
from mlgate.sandbox.watchdog import remove_session, sweep
from tests.integration.remote_engine import RemoteEngine, running

# The whole job alone takes minutes where the cores are shared.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

HERE = Path(__file__).parent
# Enough for every limit to be decided, and no more.
POLICY = """
requires: [schema, properties, accuracy, cold_start, load]
properties:
  examples: 50
  inputs: {age: {min: 18, max: 90}, tenure: {min: 0, max: 40}}
accuracy:
  data: holdout.parquet
  label: churned
  metrics: {accuracy: {min: 0.6, margin: 0.05}, f1: {margin: 0.1}}
cold_start: {ready: 60s, first_prediction: 60s}
load: {rate: 10/s, duration: 12s, p95: 5s, error_rate: 3%}
"""


@pytest.fixture(scope="module")
def place() -> Iterator[RemoteEngine]:
    """The engine, speaking TLS."""
    with running("--tls") as engine:
        yield engine


@pytest.fixture(scope="module")
def remote(place) -> Iterator[Engine]:
    """A connection to it."""
    engine = place.connect()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def remote_image(remote, recipe):
    """The environment image, built there."""
    return ImageBuilder(remote).build(recipe)


@pytest.fixture
def remote_session(remote) -> Iterator[SessionTag]:
    """Labels of one test, whose containers are removed at its end."""
    tag = SessionTag.new()
    yield tag
    remove_session(remote, tag)


def left_on(engine, session_id=None):
    """Return what carries a session's labels, as (kind, id)."""
    label = {"label": SESSION_LABEL if session_id is None else f"{SESSION_LABEL}={session_id}"}
    lists = (engine.client.containers.list(all=True, filters=label, ignore_removed=True), engine.client.networks.list(filters=label), engine.client.volumes.list(filters=label))  # fmt: skip
    return [thing.id for things in lists for thing in things]


def test_it_shares_neither_files_nor_loopback_with_this_machine(remote, remote_image, remote_session, tmp_path):
    """Found out by trying: the same question to the local engine is answered with yes, below."""
    assert not sees(remote, remote_image.reference, tmp_path, remote_session)
    serve = "import socket; s = socket.create_server(('', 8080)); print('listening', flush=True); s.accept(); print('reached')"
    box = remote.client.containers.create(
        remote_image.reference,
        ["-c", serve],
        entrypoint="/opt/venv/bin/python",
        ports={"8080/tcp": ("127.0.0.1",)},
        labels=remote_session.labels(),
    )
    box.start()
    wait_for(lambda: b"listening" in box.logs(), "it listens")
    box.reload()
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", int(box.ports["8080/tcp"][0]["HostPort"])), timeout=3).close()
    box.reload()
    assert box.status == "running"
    assert b"reached" not in box.logs()


def test_the_local_engine_shares_both(engine, image, session, tmp_path):
    """The same probe; nothing of it stays."""
    assert sees(engine, image.reference, tmp_path / "model", session)
    assert list(tmp_path.iterdir()) == []


# --- the whole main job


@pytest.fixture(scope="module")
def tested(place, remote, mlflow_server, tmp_path_factory):
    """A registered version, tested by all five suites on the remote engine."""
    folder = tmp_path_factory.mktemp("desk")
    clean = {key: value for key, value in place.environment().items() if not key.startswith(("MLFLOW_", "PYTEST"))}
    environment = clean | {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MLGATE_CACHE": str(folder / "cache")}
    register = [sys.executable, str(HERE / "register_models.py"), str(folder), "remote"]
    subprocess.run(register, env=environment, check=True, capture_output=True)
    (folder / "mlgate.yaml").write_text(POLICY)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:locust",
        "-p",
        "no:cacheprovider",
        "--mlgate",
        "models:/remote/2",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, environment, left_on(remote)


def test_the_whole_main_job_passes_there(tested):
    """Build, start, five suites with load, evidence in MLflow; and the gate admits."""
    folder, environment, _ = tested
    document = json.loads((folder / ".mlgate" / "remote-2" / "evidence.json").read_bytes())
    assert document["verdict"]["outcome"] == "passed"
    assert set(document["suites"]) == {"environment", "schema", "properties", "accuracy", "cold_start", "load"}
    assert document["champion"]["version"] == "1"
    sandbox = document["sandbox"]
    assert sandbox["network"] == "none"
    assert "engine at tcp://" in sandbox["host"]
    assert "model by volume" in sandbox["host"]
    assert re.search(r"its clock [+-]\d+\.\d{3} s \(± \d+\.\d{3} s\), corrected", sandbox["host"])
    gate = [sys.executable, "-m", "mlgate", "gate", "models:/remote/2"]
    assert subprocess.run(gate, cwd=folder, env=environment, capture_output=True, check=False).returncode == 0


def test_it_leaves_caches_there_and_nothing_else(tested, remote):
    """Images, the packages, and one volume for each of the two models."""
    _, _, left = tested
    assert left == []
    assert remote.client.containers.list(all=True, ignore_removed=True) == []
    models = remote.client.volumes.list(filters={"label": "mlgate.role=model"})
    assert {volume.attrs["Labels"]["mlgate.artifact_digest"][:7] for volume in models} == {"sha256:"}
    assert len(models) >= 2


# --- the way in


def test_the_published_port_demands_the_token(remote, remote_image, remote_session, sklearn_model, monkeypatch):
    """From anywhere in its network the port can be connected to; without the token it says nothing and hangs up."""
    token = "0123456789abcdef" * 4
    monkeypatch.setattr("mlgate.sandbox.front.secrets.token_hex", lambda _: token)
    server = ContainerServer(remote, remote_image, sklearn_model, ServerLimits(), remote_session)
    server.start()
    try:
        assert requests.get(f"{server.url}/ping", timeout=10).status_code == 200
        assert server.url.startswith("http://127.0.0.1:")
        boxes = remote.client.containers.list(
            filters={"label": f"{SESSION_LABEL}={remote_session.id}"}, ignore_removed=True
        )
        (box,) = [box for box in boxes if box.labels["mlgate.role"] == "forwarder"]
        ((published,),) = [bound for bound in box.ports.values() if bound]
        assert published["HostIp"] == "0.0.0.0"
        (way,) = remote.ways
        for said in (b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100, b"0" * 64 + b"GET /ping HTTP/1.1\r\n\r\n"):
            with socket.create_connection((way.host, int(published["HostPort"])), timeout=20) as stranger:
                stranger.sendall(said)
                assert heard(stranger) == b""
        assert server.failure() is None
        # Whoever may ask the engine sees command line, environment and labels, and no token in them.
        assert token not in json.dumps([other.attrs for other in boxes])
    finally:
        server.stop()


def heard(connection):
    """Return all that is said until the connection ends, however it does."""
    said = b""
    try:
        while chunk := connection.recv(1 << 16):
            said += chunk
    except ConnectionError:
        pass
    return said


def test_a_host_override_is_where_ports_are_reached_and_turns_the_token_on(
    engine, image, session, monkeypatch, sklearn_model
):
    """`TESTCONTAINERS_HOST_OVERRIDE`, here with an address of this machine that is not loopback."""
    from mlgate.sandbox.engine import connect

    gateway = engine.client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    monkeypatch.setenv("TESTCONTAINERS_HOST_OVERRIDE", gateway)
    overridden = connect()
    server = ContainerServer(overridden, image, sklearn_model, ServerLimits(), session)
    try:
        server.start()
        assert overridden.ways == (open_to_all(gateway),)
        assert requests.get(f"{server.url}/ping", timeout=10).status_code == 200
    finally:
        server.stop()
        overridden.close()


def test_a_port_that_can_not_be_reached_is_said_in_one_line(place, remote_image, remote_session):
    """A wrong override, for instance."""
    wrong = place.connect(TESTCONTAINERS_HOST_OVERRIDE="127.0.0.1")
    front = Front(wrong, remote_image.reference, remote_session)
    try:
        with pytest.raises(EngineError, match=r"can not be reached \(tried 127\.0\.0\.1\)\. Hint: .*HOST_OVERRIDE"):
            front.start()
    finally:
        front.stop()
        wrong.close()
    assert left_on(wrong, remote_session.id) == []


def test_the_next_way_is_taken_where_the_first_leads_nowhere(engine, image, session):
    """As for a job that was given its host's socket: loopback is tried, then the host below."""
    gateway = engine.client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    before = engine.ways
    # Published on another address than the one that is tried.
    engine.ways = (Reach(host="127.0.0.1", interface=gateway, guarded=False), open_to_all(gateway))
    front = Front(engine, image.reference, session)
    try:
        front.start()
        assert engine.ways == (open_to_all(gateway),)
    finally:
        front.stop()
        engine.ways = before


JOB = """
import sys
from pathlib import Path
import requests
from mlgate.images.docker import ImageBuilder
from mlgate.images.recipe import recipe_for, server_identity
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import connect
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.reach import candidates
from mlgate.sandbox.session import SessionTag
engine = connect()
engine.ways = candidates(engine.url, {{}}, gateway="10.213.252.1")
recipe = recipe_for(requirements={pins!r}, python_version="3.11.7", flavors=["python_function"], base_image=None,
                    platform="linux/amd64", apt=None, server=server_identity())
server = ContainerServer(engine, ImageBuilder(engine).build(recipe), Path({model!r}), ServerLimits(), SessionTag.new())
try:
    server.start()
    print(requests.get(server.url + "/ping", timeout=10).status_code, engine.ways[0].host, server.sandbox.host)
finally:
    server.stop()
"""
# Its own loopback, one way out, and a folder that nobody else sees.
INSIDE = """
mount -t tmpfs tmpfs {folder} && cp -r {model} {folder}/model && ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip addr add 10.213.252.2/30 dev eth0 && ip link set eth0 up && ip route add default via 10.213.252.1
exec {python} -c "$JOB"
"""


def test_a_job_that_was_given_its_hosts_socket(engine, image, pins, sklearn_model, tmp_path):
    """As in GitLab's socket binding: `unix://`, and all the same neither files nor loopback are shared."""
    job = JOB.format(pins=pins, model=f"{tmp_path}/model")
    inside = INSIDE.format(folder=tmp_path, model=sklearn_model, python=sys.executable)
    command = ["unshare", "--net", "--mount", "--propagation", "private", "bash", "-euc", inside]
    environment = {**os.environ, "JOB": job, "PYTHONPATH": str(HERE.parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        network = Path(f"/proc/{process.pid}/ns/net")
        wait_for(lambda: network.readlink() != Path("/proc/self/ns/net").readlink(), "it is in its namespace")
        for words in (
            f"link add mlgatejob type veth peer name eth0 netns {process.pid}",
            "addr add 10.213.252.1/30 dev mlgatejob",
            "link set mlgatejob up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert said.startswith("200 10.213.252.1 ")
    assert "model by volume" in said
    for volume in engine.client.volumes.list(
        filters={"label": f"mlgate.artifact_digest={read_directory(sklearn_model).digest}"}
    ):
        volume.remove(force=True)


# --- the model in a volume


@pytest.fixture
def directory(sklearn_model, tmp_path):
    """A model of this test's own, and so a volume of its own."""
    shutil.copytree(sklearn_model, tmp_path / "model")
    (tmp_path / "model" / "weights" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "weights" / "deep" / "größe.bin").write_bytes(os.urandom(3_000_001))
    (tmp_path / "model" / "empty").touch()
    return read_directory(tmp_path / "model")


@pytest.fixture
def volume(remote, remote_image, directory, remote_session):
    """Its volume, not opened."""
    volume = ModelVolume(remote, remote_image.reference, directory, remote_session)
    yield volume
    volume.close()
    for found in remote.client.volumes.list(filters={"label": "mlgate.role=model"}):
        if found.name.startswith(volume.name):
            found.remove(force=True)


def in_volume(remote, image, name, script):
    """Run a shell command on a volume, as root and as nobody of ours would."""
    mounts = {name: {"bind": "/model", "mode": "rw"}}
    return remote.client.containers.run(
        image.reference, ["-c", script], entrypoint="sh", user="0:0", volumes=mounts, remove=True, network="none"
    ).decode()


def again(remote, volume):
    """Forget what this connection has verified, as a new run would not know it."""
    volume.close()
    remote.filled.clear()
    return volume


def test_a_volume_is_filled_once_and_is_a_cache(remote, remote_image, volume, directory):
    """Labelled as one, with no session's labels; held against tidying while it is used."""
    name = volume.open()
    found = remote.client.volumes.get(name)
    assert found.attrs["Labels"] == {"mlgate.role": "model", "mlgate.artifact_digest": directory.digest}
    listed = in_volume(remote, remote_image, name, "cd /model && find . -type f -printf '%P %m %U\\n' | sort")
    assert listed.splitlines() == sorted(f"{file.path} 644 0" for file in directory.files)
    with pytest.raises(Exception, match="in use"):
        found.remove(force=True)
    in_volume(remote, remote_image, name, "touch -d 2001-01-01 /model/MLmodel")
    again(remote, volume).open()
    assert "2001" in in_volume(remote, remote_image, name, "ls -l /model/MLmodel"), "it was filled a second time"


@pytest.mark.parametrize(
    "harm",
    [
        "echo 'import os' >> /model/MLmodel",
        "rm /model/empty",
        "touch /model/more.py",
        "rm /model/MLmodel && ln -s /etc/passwd /model/MLmodel",
        "rm -r /model/*",
        "mkfifo /model/pipe",
    ],
)
def test_what_is_not_the_model_is_never_used(remote, remote_image, volume, directory, harm):
    """Another's hand, or a fill that was killed half-way: it is filled anew."""
    name = volume.open()
    volume.close()
    in_volume(remote, remote_image, name, harm)
    assert again(remote, volume).open() == name
    said = in_volume(remote, remote_image, name, "cd /model && find . ! -type d | sort && sha256sum MLmodel")
    assert [line[2:] for line in said.splitlines()[:-1]] == sorted(file.path for file in directory.files)
    (mlmodel,) = [file for file in directory.files if file.path == "MLmodel"]
    assert said.splitlines()[-1].startswith(mlmodel.sha256)


def test_a_wrong_volume_that_a_server_holds_open_is_not_taken_from_it(
    remote, remote_image, volume, remote_session, monkeypatch
):
    """This run then has one of its own, which goes with it."""
    monkeypatch.setattr("mlgate.sandbox.model_volume.LOOKERS_S", 0.5)
    name = volume.open()
    in_volume(remote, remote_image, name, "touch /model/more.py")
    holder = remote.client.containers.create(
        remote_image.reference, volumes={name: {"bind": "/model"}}, labels=remote_session.labels()
    )
    private = again(remote, volume).open()
    assert private == f"{name}-{remote_session.id}"
    volume.close()
    assert private not in {found.name for found in remote.client.volumes.list()}
    holder.remove(force=True)


def test_several_fills_at_once_all_get_the_model(place, remote_image, directory, volume, remote_session):
    """Each over a connection of its own, as runs on several machines."""
    names, errors = [], []
    # Before the threads: to connect changes the environment for a moment.
    engines = [place.connect() for _ in range(4)]

    def fill(engine):
        mine = ModelVolume(engine, remote_image.reference, directory, remote_session)
        try:
            names.append(mine.open())
        except Exception as error:  # noqa: BLE001  (told by the assertion below)
            errors.append(error)
        finally:
            mine.close()
            engine.close()

    threads = [threading.Thread(target=fill, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert names == [volume.name] * 4


def test_a_fill_whose_owner_was_killed_holds_nobody_up(remote, remote_image, volume):
    """Its lock is swept away."""
    with subprocess.Popen([sys.executable, "-c", "from mlgate.sandbox.session import SessionTag; print(SessionTag.new().owner)"], stdout=subprocess.PIPE, text=True) as dead:  # fmt: skip
        owner = dead.stdout.read().strip()
    labels = SessionTag(id="0" * 16, owner=owner).labels()
    remote.client.containers.create(remote_image.reference, name=volume.name.replace("model", "fill"), labels=labels)
    assert volume.open() == volume.name


def test_a_model_that_changes_while_it_is_sent_is_refused(remote, volume, directory):
    """In one line; and what arrived is not used."""
    (directory.path / "MLmodel").write_text("other: bytes")
    with pytest.raises(Exception, match="changed while it was copied"):
        volume.open()


# --- isolation, cleaning up


def test_the_isolation_is_the_same(engine, remote, image, remote_image, session, remote_session):
    """Looked at from inside, on both."""
    there = isolation.look(remote, remote_image.reference, remote_session, python="/opt/venv/bin/python")
    here = isolation.look(engine, image.reference, session, python="/opt/venv/bin/python")
    assert there == here
    assert there.missing == ()


OWNER = """
import tempfile, threading
from pathlib import Path
from mlgate.images.docker import ImageBuilder
from mlgate.images.recipe import recipe_for, server_identity
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import connect
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import Watchdog
engine, session = connect(), SessionTag.new()
recipe = recipe_for(requirements={pins!r}, python_version="3.11.7", flavors=["python_function"], base_image=None,
                    platform="linux/amd64", apt=None, server=server_identity())
Watchdog.start(session, Path(tempfile.mkdtemp(prefix="mlgate-test-")), address=engine.address)
server = ContainerServer(engine, ImageBuilder(engine).build(recipe), Path({model!r}), ServerLimits(), session)
server.start()
print(session.id, flush=True)
threading.Event().wait()
"""


def test_nothing_outlives_a_run_that_is_killed(place, remote, remote_image, pins, sklearn_model, tmp_path):
    """The watchdog knows the engine and its certificates, whatever the directory it runs in; the model's volume stays."""
    # Relative, as people write it.
    relative = os.path.relpath(place.settings["DOCKER_CERT_PATH"], tmp_path)
    environment = place.environment(DOCKER_CERT_PATH=relative, PYTHONPATH=str(HERE.parents[1]))
    source = OWNER.format(pins=pins, model=str(sklearn_model))
    run = subprocess.Popen(
        [sys.executable, "-c", source], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    session = run.stdout.readline().strip()
    # Server, forwarder, the model's holder, and the socket's volume.
    assert len(left_on(remote, session)) == 4
    run.kill()
    run.communicate(timeout=30)
    wait_for(lambda: left_on(remote, session) == [], "everything is gone")
    digest = read_directory(sklearn_model).digest
    assert len(remote.client.volumes.list(filters={"label": f"mlgate.artifact_digest={digest}"})) == 1


def wait_for(condition, what):
    """Wait until *condition* holds."""
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.2)
    pytest.fail(f"not within two minutes: {what}")


def test_a_sweep_from_another_machine_leaves_a_living_run_alone(remote):
    """Its boot id is not ours, and neither is our past's: on a shared engine nobody can tell them apart."""
    tag = SessionTag.new()
    pid, start, _, namespace = tag.owner.split(":")
    foreign = SessionTag(id=tag.id, owner=f"{pid}:{start}:6f1c7a52-0000-4000-8000-000000000000:{namespace}")
    made = remote.client.volumes.create(labels=foreign.labels())
    try:
        sweep(remote)
        assert left_on(remote, tag.id) == [made.id]
    finally:
        made.remove()


# --- TLS, and what people see


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}, "wants TLS"),
        ({"DOCKER_CERT_PATH": "nothing"}, "ca.pem, cert.pem, key.pem missing"),
        ({"DOCKER_CERT_PATH": "stranger"}, "ca.pem did not sign its certificate"),
        ({"DOCKER_CERT_PATH": "unsigned"}, "refuses or fails the TLS check"),
    ],
)
def test_wrong_certificates_are_said_in_one_line(place, tmp_path, monkeypatch, wrong, words):
    """And never a traceback of the HTTP library's."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x", "-keyout", "key.pem", "-out", "cert.pem"], check=True, capture_output=True)  # fmt: skip
    for name in ("stranger", "unsigned"):
        (tmp_path / name).mkdir()
        for file in ("cert.pem", "key.pem"):
            shutil.copy(file, tmp_path / name / file)
    shutil.copy("cert.pem", tmp_path / "stranger" / "ca.pem")
    shutil.copy(Path(place.settings["DOCKER_CERT_PATH"]) / "ca.pem", tmp_path / "unsigned" / "ca.pem")
    with pytest.raises(EngineError) as caught:
        place.connect(**wrong)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Hint: " in str(caught.value)


def test_a_bundle_of_this_machine_does_not_take_the_place_of_the_engines(place, tmp_path, monkeypatch):
    """`REQUESTS_CA_BUNDLE` and a proxy are for other connections."""
    empty = tmp_path / "none.pem"
    empty.touch()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(empty))
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    place.connect().close()


def test_doctor_says_what_was_resolved(place, remote, tmp_path):
    """One line a thing; the same for machines."""
    environment = place.environment(MLGATE_CACHE=str(tmp_path), MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    command = [sys.executable, "-m", "mlgate", "doctor", "--output"]
    said = subprocess.run([*command, "json"], env=environment, capture_output=True, text=True, check=False)
    found = json.loads(said.stdout)
    url = place.settings["DOCKER_HOST"]
    assert found["engine"]["found"].endswith(f"at {url} (DOCKER_HOST, TLS verified)")
    details = found["engine"]["details"]
    assert details["model_files"] == "volume"
    assert details["published_ports"] == {"host": remote.ways[0].host, "guarded": True}
    assert details["isolation"]["memory"] is True
    assert found["isolation"]["ok"]
    assert "clock" in "".join(found)
    wait_for(lambda: left_on(remote) == [], "doctor has tidied up")


def test_without_tls_it_is_the_same(place, remote_image, sklearn_model):
    """`tcp://` alone, as an older docker-in-docker or one that was told `DOCKER_TLS_CERTDIR: ""`."""
    place.stop("--keep")
    place.start()
    assert set(place.settings) == {"DOCKER_HOST"}
    engine, tag = place.connect(), SessionTag.new()
    server = ContainerServer(engine, remote_image, sklearn_model, ServerLimits(), tag)
    try:
        server.start()
        assert requests.get(f"{server.url}/ping", timeout=10).status_code == 200
    finally:
        server.stop()
        assert left_on(engine, tag.id) == []
        engine.close()
