"""A container engine and image registries that belong to one test: small disks, and nobody else's images."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlgate.images import labels
from mlgate.images.facts import FACTS_LABEL, KEY_LABEL, BuiltImage, facts_text
from mlgate.sandbox.engine import Engine, connect

START_TIMEOUT_S = 60.0
# bcrypt of "secret", the only kind that docker-registry reads.
PASSWORD = "secret"
_HTPASSWD = "ci:$2b$05$8A406LUCn/AbzMUIFWFeb.j52BAYlUGJCgDPhcqAj9IFK.03buCN6\n"


@dataclass(frozen=True, kw_only=True)
class OwnEngine:
    """An engine, and the way into its namespaces."""

    engine: Engine
    pid: int
    data: Path

    def free(self) -> int:
        """Return the free bytes of its disk."""
        return shutil.disk_usage(f"/proc/{self.pid}/root{self.data}").free


@contextmanager
def own_engine(folder: Path, *, size: str) -> Iterator[OwnEngine]:
    """Run a dockerd whose disk holds *size*, and connect to it.

    It has a network namespace of its own because a dockerd that is told to make no bridge removes the `docker0` that it
    finds, which belongs to the engine of this machine. In a mount namespace of its own, its disk goes when it does.
    """
    if shutil.which("dockerd") is None or os.geteuid():
        pytest.fail("a dockerd of its own needs root and docker.io: run .ci/engine")
    data, sock, log = folder / "data", folder / "sock", folder / "log"
    data.mkdir(parents=True)
    dockerd = ["dockerd", "--data-root", data, "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    dockerd += ["-H", f"unix://{sock}", "--bridge", "none", "--iptables=false", "--ip-masq=false"]
    prepare = f"ip link set lo up && mount -t tmpfs -o size={size} tmpfs {data} && exec {shlex.join(map(str, dockerd))}"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", prepare], stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        _await(lambda: "API listen on" in log.read_text(errors="replace"), process, log)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", f"unix://{sock}")
            engine = connect()
        yield OwnEngine(engine=engine, pid=process.pid, data=data)
        engine.close()
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def own_registry(folder: Path, *, beside: OwnEngine | None = None, password: bool = False) -> Iterator[str]:
    """Run a docker-registry on a loopback port of its own, and give its `host:port`.

    Args:
        folder: Where it keeps everything.
        beside: On this engine's loopback; default: on this machine's.
        password: It wants the login `ci` with `PASSWORD`.
    """
    if shutil.which("docker-registry") is None:
        pytest.fail("docker-registry is missing: run .ci/registry")
    folder.mkdir(parents=True)
    config = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    # JSON is YAML.
    (folder / "config.yml").write_text(json.dumps(config))
    log = folder / "log"
    inside = ["nsenter", f"--net=/proc/{beside.pid}/ns/net"] if beside else []
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*inside, "docker-registry", "serve", folder / "config.yml"],
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        _await(lambda: "listening on" in log.read_text(errors="replace"), process, log)
        found = re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text(errors="replace"))
        assert found is not None
        yield found.group(1)
    finally:
        process.kill()
        process.wait(30)


def _await(condition, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{process.args[0]} did not start: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(0.02)


def bare_environment(engine: Engine, *, name: str, content: Mapping[str, bytes] | None = None) -> BuiltImage:
    """Make an image that is an environment by its labels and holds next to nothing: two layers, the upper one ours."""
    base = engine.client.api.import_image_from_data(_tar({"opt/base": b"base"}), repository="bare/base", tag="1")
    assert "errorDetail" not in base
    facts = {"base": "bare/base:1", "base_digest": "sha256:" + "b" * 64, "python": "3.11.8", "pins": ("numpy==2.0.0",)}
    container = engine.client.containers.create("bare/base:1", command=["none"], network_mode="none")
    container.put_archive("/", _tar({f"opt/{name}": name.encode(), **(content or {})}))
    config = {
        "Labels": {
            labels.ROLE_LABEL: labels.ENVIRONMENT,
            KEY_LABEL: f"sha256:{name}",
            FACTS_LABEL: facts_text(**facts),
        },
        "Env": ["PATH=/opt/venv/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"],
        "Entrypoint": ["/opt/venv/bin/python", "-m", "mlgate_serving"],
    }
    image = container.commit("mlgate/environment", name, conf=config, message=labels.MADE_BY).id
    container.remove()
    return BuiltImage(
        reference=image,
        image_digest=image,
        recipe_digest="sha256:" + "c" * 64,
        platform="linux/amd64",
        apt=(),
        server="mlflow+mlgate.serving@sha256:0123456789ab",
        **facts,
    )


def _tar(files: Mapping[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()
