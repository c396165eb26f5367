"""`examples/verify`: its image built, and its init container run as its manifest says, by a real engine."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from mlgate.attest.keys import KeyKind, generate
from mlgate.quantities import parse_size
from tests.unit.attest.delivered import evidence_about, flip, listed, signed, written

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "verify"
BASE = "mlgate/base:3.11"
KEY = generate(KeyKind.ED25519)


@pytest.fixture(scope="module")
def verifier(engine, tmp_path_factory):
    """The image of the example's Dockerfile, with the wheel of this checkout and the versions of this environment."""
    context = tmp_path_factory.mktemp("verify") / "context"
    shutil.copytree(EXAMPLE, context)
    wheel = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(context), str(ROOT)]
    subprocess.run(wheel, check=True, capture_output=True)
    names = [line for line in (context / "requirements.txt").read_text().split("\n") if line and line[0] != "#"]
    pins = [f"{name}=={version(name)}" for name in names if name != "mlgate"]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*download, "--dest", str(context), *pins], check=True, capture_output=True)
    images = engine.client.images
    base = BASE if images.list(BASE) else "python:3.11-slim"
    tag = f"mlgate-test/verify:{uuid.uuid4().hex[:8]}"
    images.build(
        path=str(context), tag=tag, buildargs={"BASE": base, "PIP_NO_INDEX": "1"}, network_mode="none", rm=True
    )
    yield tag
    images.remove(tag, force=True)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The example's init container, with folders of this host in the place of its volumes."""

    volumes: dict[str, Path]
    run: Callable[[], tuple[int, str]]

    @property
    def version(self) -> Path:
        """Where model and envelope lie side by side."""
        return self.volumes["models"] / "churn" / "3"

    @property
    def signers(self) -> Path:
        """The ConfigMap, as a cluster mounts it: links to links."""
        return self.volumes["signers"] / "..1"

    def deliver(self, evidence) -> None:
        """Put an envelope beside the model."""
        (self.version / "evidence.dsse.json").write_bytes(signed(evidence, KEY))


@pytest.fixture
def pod(engine, verifier, tmp_path):
    """A pod whose volumes hold a model that passed, its envelope, and the key that CI signs with."""
    spec = yaml.safe_load((EXAMPLE / "init-container.yaml").read_text())["spec"]
    (container,) = spec["initContainers"]
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    volumes = {mount["name"]: tmp_path / mount["name"] for mount in container["volumeMounts"]}

    def run() -> tuple[int, str]:
        security = container["securityContext"]
        box = engine.client.containers.create(
            verifier,
            entrypoint=container["command"],
            command=container.get("args", []),
            user=user,
            network_mode="none",
            read_only=security["readOnlyRootFilesystem"],
            cap_drop=security["capabilities"]["drop"],
            security_opt=[] if security["allowPrivilegeEscalation"] else ["no-new-privileges"],
            mem_limit=int(parse_size(container["resources"]["limits"]["memory"] + "B")),
            volumes={
                str(volumes[mount["name"]]): {"bind": mount["mountPath"], "mode": "ro" if mount["readOnly"] else "rw"}
                for mount in container["volumeMounts"]
            },
            labels={"mlgate-test": "verify"},
        )
        try:
            box.start()
            status = box.wait(timeout=120)["StatusCode"]
            return status, box.logs().decode()
        finally:
            box.remove(force=True)

    pod = Pod(volumes=volumes, run=run)
    pod.deliver(evidence_about(written(pod.version / "model")))
    pod.signers.mkdir(parents=True)
    listed(pod.signers, KEY)
    (pod.volumes["signers"] / "..data").symlink_to("..1")
    (pod.volumes["signers"] / "ci.pub").symlink_to("..data/ci.pub")
    return pod


def test_a_good_model_passes(pod):
    """Offline, as nobody in particular, on a read-only file system, in 256 MiB: one line, exit status 0."""
    status, log = pod.run()
    assert (status, log) == (
        0,
        "/models/churn/3/model: verified: models:/churn/3, 4 files, signed by /signers/ci.pub\n",
    )


def older(pod):
    """A complete older pair of model and envelope."""
    evidence = evidence_about(pod.version / "model")
    pod.deliver(replace(evidence, subject=replace(evidence.subject, uri="models:/churn/2", version="2")))


def failed(pod):
    """A newer run, which did not pass."""
    evidence = evidence_about(pod.version / "model")
    pod.deliver(replace(evidence, verdict=replace(evidence.verdict, outcome="failed", reasons=("slow",))))


REFUSED = {
    "flipped byte": (lambda pod: flip(pod.version / "model/model.pkl"), "model.pkl is not what was tested"),
    "another file beside the tested ones": (
        lambda pod: (pod.version / "model/sitecustomize.py").write_text(""), "sitecustomize.py is there and was never tested",
    ),
    "missing envelope": (lambda pod: (pod.version / "evidence.dsse.json").unlink(), "no envelope at /models/churn/3/"),
    "wrong key": (lambda pod: listed(pod.signers, generate(KeyKind.ED25519)), "not signed by any of '/signers/ci.pub'"),
    "revoked key": (lambda pod: listed(pod.signers, KEY, "revoked: 2026-01-01"), "revoked on 2026-01-01"),
    "older version": (older, "the evidence is about models:/churn/2, not models:/churn/3"),
    "failed run": (failed, "did not pass: slow"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "says"), REFUSED.values(), ids=REFUSED)
def test_any_other_model_keeps_the_server_from_starting(pod, spoil, says):
    """Exit status 1, and the reason in the log of the container."""
    spoil(pod)
    status, log = pod.run()
    assert status == 1
    first = log.splitlines()[0]
    assert first.startswith("/models/churn/3/model: refused: ")
    assert says in first
