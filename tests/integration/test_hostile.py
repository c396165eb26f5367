"""A model that attacks its sandbox from inside: contained, the host unharmed, and the verdict names what happened."""

import json
import os
import queue
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import requests
import yaml

from mlgate.errors import FailureKind, ServerError
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import remove_session

pytestmark = pytest.mark.engine

ATTACKS = Path(__file__).parent / "hostile" / "attacks.py"
LIMITS = ServerLimits(memory=512 << 20, pids=128, tmp_size=32 << 20, request_timeout_s=110)
# What a container has of its own to write on: all of it in memory, bounded, and gone with it.
WRITABLE = {"/tmp", "/dev/shm", "/dev/mqueue", "/run/mlgate"}


@pytest.fixture(scope="module")
def tag(engine):
    """Labels of this module's containers."""
    made = SessionTag.new()
    yield made
    remove_session(engine, made)


@pytest.fixture(scope="module")
def server(engine, image, tag, code_model):
    """The hostile model, served."""
    made = ContainerServer(engine, image, code_model(ATTACKS.read_text()), LIMITS, tag)
    made.start()
    yield made
    made.stop()


def attack(server, name, **facts):
    """Let the model make one attack, and return what it saw."""
    body = {"inputs": [json.dumps({"attack": name, **facts})]}
    response = requests.post(f"{server.url}/invocations", json=body, timeout=120)
    assert response.status_code == 200, response.text
    return json.loads(response.json()["predictions"])


def container(server):
    """Return the engine's facts of the server's container."""
    server._server.reload()
    return server._server.attrs


class Canary:
    """A port of this host that remembers who came."""

    def __init__(self):
        self._came = queue.SimpleQueue()
        self._socket = socket.create_server(("0.0.0.0", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                connection, address = self._socket.accept()
            except OSError:
                return
            connection.close()
            self._came.put(address)

    def visitors(self):
        """Return how many came since the last question: connections are accepted in their order, ours is the last."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as ours:
            return sum(1 for _ in iter(partial(self._came.get, timeout=30), ours.getsockname()))

    def close(self):
        self._socket.close()


@pytest.fixture
def canary():
    """A port on every address of this host."""
    with closing(Canary()) as made:
        yield made


def addresses():
    """Return every address of this host, those of its bridges among them."""
    shown = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    return [host for host in [*shown, "172.17.0.1", "127.0.0.1"] if ":" not in host]


def refused(found):
    """Return whether every attempt of a mapping ended in an error."""
    return [what for what, outcome in found.items() if str(outcome).startswith("did it")] == []


@pytest.mark.parametrize("when", ["at_load", "in_predict"])
def test_no_name_no_address_and_no_socket_leads_out(server, when):
    """DNS, the internet over both protocols, the cloud's metadata address; at load as much as in predict."""
    names = ("dns", "internet", "metadata")
    seen = attack(server, "at_load") if when == "at_load" else {name: attack(server, name) for name in names}
    assert seen["internet"].pop("interfaces") == ["lo"]
    for name in names:
        assert refused(seen[name]), seen[name]
    assert "Temporary failure in name resolution" in seen["dns"]["pypi.org"]
    assert "Network is unreachable" in seen["internet"]["1.1.1.1 tcp"]
    assert "Network is unreachable" in seen["metadata"]["169.254.169.254"]
    assert "Operation not permitted" in seen["internet"]["raw"]


def test_the_host_can_not_be_reached_on_any_of_its_addresses(server, canary):
    """Its gateway address on the bridge among them; a port that is open to everybody has no visitor."""
    seen = attack(server, "gateway", places=[(host, canary.port) for host in addresses()])
    assert refused(seen), seen
    assert canary.visitors() == 0
    socket.create_connection(("127.0.0.1", canary.port)).close()
    assert canary.visitors() == 1  # The canary does sing.


def test_other_containers_can_not_be_reached(server, engine):
    """Not even the forwarder that stands before it."""
    boxes = engine.client.containers.list(filters={"label": "mlgate.role=forwarder"}, ignore_removed=True)
    networks = [box.attrs["NetworkSettings"]["Networks"].values() for box in boxes]
    places = [(network["IPAddress"], 8080) for found in networks for network in found if network["IPAddress"]]
    assert places, "no container to be reached"
    seen = attack(server, "gateway", places=places)
    assert refused(seen), seen


def test_the_engines_socket_is_nowhere(server):
    """Neither where engines put it, nor among the mounts."""
    assert refused(attack(server, "engine"))
    assert not [mount for mount in container(server)["Mounts"] if "docker" in mount["Destination"]]


@pytest.mark.parametrize("when", ["at_load", "in_predict"])
def test_nothing_can_be_written_but_memory_of_its_own(server, when):
    """Every folder of the file system was tried; what gives way is a bounded tmpfs."""
    seen = attack(server, "at_load")["write"] if when == "at_load" else attack(server, "write")
    assert "/tmp" in seen["folders"]
    assert set(seen["folders"]) <= WRITABLE
    assert refused(seen["files"]), seen["files"]
    assert refused({name: seen[name] for name in ("mount", "unshare", "setuid")}), seen
    shown = server._engine.client.api.inspect_container(server._server.id)
    assert shown["HostConfig"]["ReadonlyRootfs"]


def test_nothing_of_the_host_can_be_read(server, tmp_path):
    """No file, no device, no process, no variable."""
    secret = tmp_path / "secret"
    secret.write_text("swordfish")
    secret.chmod(0o644)
    paths = [
        str(secret),
        "/proc/kcore",
        "/dev/mem",
        "/dev/vda",
        "/dev/sda",
        f"/proc/1/root{secret}",
        str(Path.home() / ".ssh"),
    ]
    seen = attack(server, "host", paths=paths)
    assert refused({path: seen[path] for path in paths}), seen
    assert seen["processes"] < 10
    assert not {"HOME_OF_HOST", "DOCKER_HOST", "SSL_CERT_FILE", "MLFLOW_TRACKING_URI"} & set(seen["environment"])
    real = [
        mount
        for mount in seen["mounts"]
        if mount[1] in {"ext4", "xfs", "btrfs", "overlay", "zfs"} and mount[0].startswith("/")
    ]
    assert all(options.startswith("ro") for _, _, options in real), real


def test_a_fork_bomb_ends_at_the_limit(server):
    """Every child forks for ever; the container never holds more than its share, and lives."""
    seen = attack(server, "fork_bomb")
    assert seen["made"] < LIMITS.pids
    assert "Resource temporarily unavailable" in seen["error"]
    assert seen["running"] <= LIMITS.pids
    assert server.failure() is None
    assert any("processes or threads" in words and "128" in words for words in server.limits_met())


def test_threads_count_as_processes(server):
    """Python's own word for it is named as the limit that it is."""
    seen = attack(server, "thread_bomb")
    assert seen["made"] < LIMITS.pids
    assert "processes or threads" in server.limits_met(seen["error"])[0]


@pytest.mark.parametrize(
    ("folder", "size"), [("/tmp", LIMITS.tmp_size), ("/dev/shm", 64 << 20), ("/run/mlgate", 1 << 20)]
)
def test_a_disk_can_not_be_filled(server, folder, size):
    """What can be written to is small, and none of it is the host's disk."""
    seen = attack(server, "disk", folder=folder)
    assert seen["bytes"] <= size
    assert "No space left on device" in seen["error"]
    assert server.limits_met(seen["error"])[-1] == "/tmp is full (32 MiB)"
    (box,) = server._engine.client.api.containers(size=True, filters={"id": server._server.id})
    assert box.get("SizeRw", 0) == 0


def test_the_socket_volume_can_not_be_filled_with_empty_files(server):
    """An inode is kernel memory, and this volume outlives the server's container."""
    seen = attack(server, "many_files")
    assert seen["made"] < 100
    assert "No space left on device" in seen["error"]
    assert attack(server, "dns", names=["x"])  # new connections are still let in


def test_a_memory_bomb_meets_the_limit(server):
    """It is killed, the host and the other processes are not, and it is named."""
    assert attack(server, "memory_bomb") == {"status": 9}
    assert server.peak_memory() <= LIMITS.memory
    failure = server.failure()
    assert failure.kind is FailureKind.OOM_WORKER
    assert "512 MiB" in failure.message
    server.restart()
    assert server.failure() is None


def test_a_crash_leaves_no_core_dump(server):
    """Where the host pipes them to a collector, a limit of zero would not hold it back."""
    assert attack(server, "core") == {"signal": 11, "dumped": False}
    ulimits = container(server)["HostConfig"]["Ulimits"]
    assert [(limit["Name"], limit["Soft"], limit["Hard"]) for limit in ulimits] == [("core", 1, 1)]


def test_a_log_of_a_gigabyte_leaves_five_megabytes(server):
    """The driver keeps the end of it, and whoever reads it gets a bounded text."""
    assert attack(server, "flood", megabytes=1024) == {"written": 1 << 30}
    path = Path(container(server)["LogPath"])
    if path.exists():  # the engine runs on this machine
        # 5 MiB, and what was on its way when the driver began the file anew.
        assert sum(file.stat().st_size for file in path.parent.glob("*-json.log*")) < 8 << 20
    assert len(server.log(lines=100_000)) <= 1 << 16
    assert server.failure() is None


def test_a_port_of_its_own_is_reached_by_itself_only(server, engine, image, tag, code_model):
    """It has no address: neither the host nor a container can knock."""
    with closing(socket.create_server(("", 0))) as free:
        port = free.getsockname()[1]
    assert attack(server, "listen", port=port) == {"own": "did it: connected"}
    assert container(server)["NetworkSettings"]["IPAddress"] == ""
    assert list(container(server)["NetworkSettings"]["Networks"]) == ["none"]
    for host in addresses():
        with pytest.raises(OSError), socket.create_connection((host, port), timeout=1):  # noqa: PT011  (any of them)
            pass
    other = server.another()
    try:
        other.start()
        assert refused(attack(other, "gateway", places=[("127.0.0.1", port)]))
    finally:
        other.stop()


def test_a_model_that_takes_the_servers_place_is_waited_for_no_longer_than_the_deadline(server):
    """It can lie about itself; it can not hold the harness."""
    from mlgate.scoring.client import ScoringClient

    assert attack(server, "poison") == "listening"
    client = ScoringClient(server, timeout_s=2)
    answer = client.post(b"{}", content_type="application/json")
    assert answer.problem == "timeout"
    assert client.why(answer).kind is FailureKind.HANG_AT_PREDICT
    client.close()
    server.restart()
    assert attack(server, "dns", names=["x"])


LIAR = """
import json, socket, threading, time
READY = {ready!r}
path = "/run/mlgate/server.sock"
def serve():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    while True:
        connection = listener.accept()[0]
        threading.Thread(target=answer, args=(connection,), daemon=True).start()
def answer(connection):
    try:
        connection.recv(65536)
        {answer}
        connection.close()
    except OSError:
        pass
print(json.dumps({{"mlgate_boot": 1, "started_at": 1e999, "phases": {{"x": 1e999}}}}), flush=True)
serve()
class Model: pass
"""
FORGED = 'connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(READY) + READY.encode())'
TRICKLE = "[(connection.sendall(b'H'), time.sleep(0.5)) for _ in range(1000)]"
ENDLESS = (
    'connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n"), [connection.sendall(b"[" * 65536) for _ in range(100000)]'
)


def test_forged_boot_facts_are_left_out(engine, image, session, code_model):
    """A model that listens in the server's place says it is ready, and lies: what we measured stands alone."""
    ready = '{"started_at": 1e999, "phases": {"ready": 1e999, "load": -1e999}}'
    source = LIAR.format(ready=ready, answer=FORGED)
    server = ContainerServer(engine, image, code_model(source), ServerLimits(ready_timeout_s=60), session)
    boot = server.start()
    server.stop()
    assert dict(boot.phases).keys() <= {"create", "start"}
    assert 0 < boot.ready_s < 60


@pytest.mark.parametrize("answer", [TRICKLE, ENDLESS], ids=["byte_by_byte", "without_end"])
def test_an_answer_that_never_ends_does_not_hold_the_start(engine, image, session, code_model, answer):
    """Each look has a deadline and a size, and so has the whole wait."""
    source = LIAR.format(ready="", answer=answer)
    server = ContainerServer(engine, image, code_model(source), ServerLimits(ready_timeout_s=8), session)
    with pytest.raises(ServerError, match="not ready within 8 s") as caught:
        server.start()
    assert caught.value.kind is FailureKind.HANG_AT_LOAD
    server.stop()


# --- the whole road: the gate's own verdict, from a command line


@pytest.fixture
def gate(code_model, tmp_path):
    """Test a model by `pytest --mlgate DIR`; return the run and its evidence's findings by check."""

    def run(source, *, suites=("schema",), policy=""):
        path = code_model(source, example={"dataframe_split": {"columns": ["x"], "data": [[1.0]]}})
        document = yaml.safe_load((path / "MLmodel").read_text())
        number = {"type": "double", "required": True}
        document["signature"] = {"inputs": json.dumps([{**number, "name": "x"}]), "outputs": json.dumps([number])}
        (path / "MLmodel").write_text(yaml.safe_dump(document))
        (tmp_path / "mlgate.yaml").write_text(f"requires: [schema, properties, cold_start, load]\n{policy}")
        words = [word for suite in suites for word in ("--mlgate-suite", suite)]
        command = [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", str(path)]
        environment = {**os.environ, "MLGATE_CACHE": str(tmp_path / "cache"), "PYTEST_ADDOPTS": ""}
        done = subprocess.run(
            [*command, *words, "--mlgate-output", str(tmp_path / "out")],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        evidence = json.loads((tmp_path / "out" / "evidence.json").read_bytes()) if (tmp_path / "out").exists() else {}
        suites_found = evidence.get("suites", {}).values()
        return done, evidence, {check["id"]: check for suite in suites_found for check in suite["checks"]}

    return run


def test_the_verdict_on_a_memory_bomb_at_load_names_it(gate):
    """With the limit, as the model's fault."""
    done, evidence, checks = gate(
        "class Model:\n    def __init__(self):\n        self.x = [bytearray(b'x' * (64 << 20)) for _ in range(64)]",
        policy="runtime: {memory: 600MiB}",
    )
    assert done.returncode == 1, done.stdout
    load = checks["environment.load"]
    assert (load["outcome"], load["cause"], load["details"]["kind"]) == ("failed", "model", "oom")
    assert "went over the memory limit (600 MiB)" in load["reason"]
    assert evidence["verdict"]["outcome"] == "failed"
    assert "memory limit (600 MiB)" in done.stdout


BOMBS = {
    "no more processes or threads could be created (limit 256)": """
        children = []
        try:
            while True:
                # Without a copy of the server's memory map, which takes seconds 256 times over on a busy machine.
                children.append(os.posix_spawn("/bin/sleep", ["sleep", "100"], {}))
        finally:
            for child in children:
                os.kill(child, 9)
                os.waitpid(child, 0)
    """,
    "/tmp is full (256 MiB)": """
        with open("/tmp/x", "wb") as file:
            while True:
                file.write(bytes(1 << 20))
    """,
    "the sandbox has no network": """
        import urllib.request
        urllib.request.urlopen("http://169.254.169.254/latest/meta-data", timeout=5)
    """,
}


@pytest.mark.parametrize("words", BOMBS)
def test_the_verdict_on_a_prediction_that_meets_a_limit_names_the_limit(gate, words):
    """The reader learns which limit, not which error number."""
    bomb = textwrap.indent(textwrap.dedent(BOMBS[words]), " " * 12)
    # The warm-up and the logged example; on every row it would only take longer.
    source = f"""
class Model:
    asked = 0
    def predict(self, rows):
        Model.asked += 1
        if Model.asked <= 2:{bomb}
        return [1.0] * len(rows)
"""
    done, _, checks = gate(source)
    assert done.returncode == 1, done.stdout
    example = checks["schema.example"]
    assert example["outcome"] == "failed"
    assert words in example["reason"]
    assert words in example["details"]["limits"]
    assert words in done.stdout


def test_a_log_flood_changes_no_verdict(gate):
    """Twenty megabytes at load and half a one at each prediction: the checks are judged on the answers."""
    source = """
    import sys
    sys.stdout.write("\\x1b[31mred\\x1b[0m " * 2_000_000)
    class Model:
        def predict(self, rows):
            sys.stdout.write("flood " * 100_000)
            return [1.0] * len(rows)
    """
    done, evidence, checks = gate(source)
    assert done.returncode == 0, done.stdout
    assert evidence["verdict"]["outcome"] == "passed"
    assert len(json.dumps(evidence)) < 1 << 20
    assert checks["environment.load"]["outcome"] == "passed"
