"""What environments are made from, on a real engine with a real package index: settings, refusals, pins, MLflow's eras."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from gzip import GzipFile
from hashlib import sha256
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests

from mlgate.artifacts.directory import read_directory
from mlgate.errors import EngineError, InstallError
from mlgate.images import docker as images
from mlgate.images.docker import ImageBuilder
from mlgate.images.facts import BuiltImage
from mlgate.images.recipe import foundation
from mlgate.images.version_recipe import version_recipe
from mlgate.policy import Policy
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import connect
from mlgate.sandbox.interface import ServerLimits
from mlgate_suites import environment as suite
from pytest_mlgate import wiring
from tests.integration.company import WHEEL

pytestmark = pytest.mark.engine

ANSWERS_WITH_MLFLOW = """
class Model:
    def predict(self, data):
        import mlflow
        return [mlflow.__version__] * len(data)
"""
EXAMPLE = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.1, 0.9], [0.9, 0.1]]}}


@pytest.fixture
def build(engine, session) -> Iterator[Callable[..., BuiltImage]]:
    """Build images that nobody else uses, and remove them."""
    made = []

    def make(recipe, **settings) -> BuiltImage:
        made.append(ImageBuilder(engine, session=session, **settings).build(recipe))
        return made[-1]

    yield make
    for image in reversed(made):
        with suppress(docker.errors.ImageNotFound):
            engine.client.images.remove(image.reference, force=True)


@pytest.fixture
def serve(engine, session) -> Iterator[Callable[..., ContainerServer]]:
    """Start servers; whatever comes of the test, they are removed."""
    servers = []

    def start(image, model, **limits) -> ContainerServer:
        servers.append(ContainerServer(engine, image, model, ServerLimits(**limits), session))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def predictions(server, body):
    response = requests.post(f"{server.url}/invocations", json=body, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()["predictions"]


# --- the host's settings


@pytest.fixture
def own_cache(engine, session, monkeypatch) -> Iterator[None]:
    """A cache of downloads of this test alone: pages of an index on a random port are of use to nobody else."""
    name = f"mlgate-test-cache-{session.id}"
    monkeypatch.setattr(images, "CACHE_VOLUME", name)
    yield
    engine.client.volumes.get(name).remove(force=True)


@dataclass(frozen=True)
class Exported:
    """An image as `docker save` gives it: each file of the archive, and of each layer in it, by path."""

    parts: dict[str, bytes]
    paths: frozenset[str]

    @classmethod
    def of(cls, stream) -> "Exported":
        parts, paths = {}, set()
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            for entry in archive:
                if not entry.isfile():
                    continue
                content = archive.extractfile(entry).read()
                if content.startswith(b"\x1f\x8b"):
                    content = GzipFile(fileobj=io.BytesIO(content)).read()
                parts[entry.name] = content
                with suppress(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(content)) as layer:
                    paths |= {inner.name for inner in layer}
        return cls(parts=parts, paths=frozenset(paths))

    def holding(self, word: str) -> list[str]:
        """Return the parts that hold *word*: layers are not compressed here, so their files' contents count."""
        return [name for name, content in self.parts.items() if word.encode() in content]


def test_the_hosts_settings_are_used_and_none_of_them_stays(engine, build, make_recipe, company, own_cache):
    """Index, proxy and certificates serve the build, apt included; no layer, configuration or history knows them."""
    url = f"http://{company.index.address}/files/{WHEEL}"
    recipe = make_recipe(
        requirements=["mlflow-skinny==3.1.0", f"mlgate-probe @ {url}"], allow=[f"mlgate-probe @ {url}"]
    )
    recipe = replace(recipe, apt=("libgomp1",))
    forget(engine, foundation(recipe))
    image = build(recipe, environ=company.environ)
    log = company.index.log
    assert "index /simple/mlflow-skinny/ 200" in log
    assert f"file /files/{WHEEL} 200" in log
    assert any(line.startswith("connect ") and line.endswith(" 200") for line in log)
    assert any(line.startswith("proxy ") and "libgomp1" in line and line.endswith(" 200") for line in log)
    assert f"mlgate-probe @ {url}" in image.pins

    # All of its layers, those of the foundation among them, which came from the same index.
    exported = Exported.of(engine.patient.images.get(image.reference).save())
    # The search finds what is there: a file of the environment, and a word of the image's configuration.
    assert exported.holding("def load_model(")
    assert exported.holding("mlgate.recipe_key")
    # The wheel's URL is what the version and the policy say, and is recorded: the host's address is in it, not more.
    secrets = [word for word in company.secrets if word != company.index.address]
    assert {word: exported.holding(word) for word in secrets if exported.holding(word)} == {}
    assert not exported.holding(f"@{company.index.address}")
    assert not exported.holding(f"{company.index.address}/simple")
    assert in_the_cache(engine, image, ["Name: mlflow-skinny"])
    assert not in_the_cache(engine, image, secrets)
    left = ("var/lib/apt/lists/deb", "var/cache/apt/archives/lib", "opt/mlgate", "tmp/", "var/log/apt/h", "root/.cache")
    assert [path for path in exported.paths - base_paths(engine, image) if path.startswith(left)] == []
    bytecode_is_there(exported.paths)


def forget(engine, recipe) -> None:
    """Take the name from the image of *recipe*, so that it is built again."""
    found = ImageBuilder(engine).find(recipe)
    for tag in engine.client.images.get(found.reference).tags if found else ():
        engine.client.images.remove(tag)


def in_the_cache(engine, image, words) -> str:
    """Return the files of the cache of downloads, which outlives the build, that hold one of *words*."""
    found = engine.client.containers.run(
        image.base,
        entrypoint=["sh", "-c", 'grep -rlaF "$@" /cache || true', "-"],
        command=[option for word in words for option in ("-e", word)],
        volumes={images.CACHE_VOLUME: {"bind": "/cache", "mode": "ro"}},
        network="none",
        remove=True,
    )
    return str(found.decode())


def base_paths(engine, image) -> frozenset[str]:
    """Return the paths of the base image alone."""
    return Exported.of(engine.patient.images.get(image.base).save()).paths


def bytecode_is_there(paths) -> None:
    """Every module is compiled, but for the few that are no Python at all (templates, tests of parsers)."""
    sources = {path for path in paths if path.startswith("opt/venv/lib/") and path.endswith(".py")}
    compiled = {
        path for path in sources if f"{path.rpartition('/')[0]}/__pycache__/{Path(path).stem}.cpython-311.pyc" in paths
    }
    assert len(sources) > 500
    assert {path for path in sources if "mlgate_serving" in path or "/mlflow/pyfunc/" in path} <= compiled
    assert len(compiled) > 0.99 * len(sources)


def test_without_the_password_the_environment_is_to_blame(engine, session, make_recipe, company, own_cache):
    """A version is not failed for a password that expired."""
    environ = company.environ | {"UV_DEFAULT_INDEX": f"http://{company.index.address}/simple/", "UV_HTTP_RETRIES": "0"}
    recipe = make_recipe(requirements=["mlflow-skinny==3.1.0"])
    forget(engine, recipe)
    with pytest.raises(EngineError, match="401"):
        ImageBuilder(engine, session=session, environ=environ).build(recipe)


# --- what was asked for, and what was installed


@pytest.fixture(scope="module")
def clashing(code_model) -> Path:
    """A version that pins a server older than the one it is served with, and bounds another package."""
    model = code_model(ANSWERS_WITH_MLFLOW, example=EXAMPLE)
    lines = [*ERAS["2.22"], "uvicorn==0.10.0", "six  # bounded below", "-c constraints.txt"]
    (model / "requirements.txt").write_text("\n".join(lines))
    (model / "constraints.txt").write_text("six==1.15.0\n")
    (model / "python_env.yaml").write_text("python: 3.11.99\n")
    return model


@pytest.mark.slow
def test_a_pin_that_the_servers_needs_changed_fails_the_pins_check_with_the_diff(engine, session, clashing):
    """It installs and it serves; what serves is not what was asked for, and both versions are said."""
    directory = read_directory(clashing)
    make = partial(wiring.make_server, directory, Policy(), sandbox="container", session=session, tell=print)
    environment = wiring.open_environment(make, directory.requirements)
    try:
        found = {}
        for name in ("install", "pins", "load"):
            getattr(suite, f"test_{name}")(environment, partial(found.__setitem__, name))
        assert {name: str(finding.outcome) for name, finding in found.items()} == {
            "install": "passed",
            "pins": "failed",
            "load": "passed",
        }
        (difference,) = found["pins"].details["differences"]
        assert difference.startswith("uvicorn: asked ==0.10.0, installed 0.")
        assert difference in found["pins"].reason
        assert "six==1.15.0" in environment.pins
        assert found["pins"].details["python"].startswith("Python 3.11.99 asked, 3.11.")
        assert environment.server.image.python_asked == "3.11.99"
    finally:
        environment.server.stop()
        engine.client.images.remove(environment.server.image.image_digest, force=True)


def test_what_can_not_be_installed_without_the_server_either_fails_the_version(engine, session, make_recipe):
    """The clash with the server does not hide the real reason."""
    recipe = make_recipe(requirements=["mlflow-skinny==3.1.0", "uvicorn==0.10.0", "numpy==99.0"])
    with pytest.raises(InstallError, match=r"numpy==99\.0"):
        ImageBuilder(engine, session=session).build(recipe)


def test_a_requirement_for_another_platform_fails_the_version_in_one_line(engine, session, make_recipe):
    """With the installer's own reason."""
    with pytest.raises(InstallError, match="pywin32==306 has no wheels with a matching platform tag"):
        ImageBuilder(engine, session=session).build(make_recipe(requirements=["mlflow-skinny==3.1.0", "pywin32==306"]))


def test_git_that_is_not_there_is_said(engine, session, make_recipe):
    """The policy let the line through; the image can not follow it."""
    line = "mlgate-probe @ git+https://example.org/probe.git"
    with pytest.raises(EngineError, match="no git where it is installed") as caught:
        ImageBuilder(engine, session=session).build(make_recipe(requirements=["mlflow", line], allow=[line]))
    assert "runtime.apt" in caught.value.hint


# --- what is no requirement at all


def test_a_version_with_a_conda_environment_alone_fails_with_what_to_do(sklearn_model, tmp_path):
    """The whole way, from the command line to the evidence."""
    model = Path(shutil.copytree(sklearn_model, tmp_path / "model"))
    (model / "requirements.txt").unlink()
    (model / "conda.yaml").write_text("dependencies: [python=3.11, pip: [mlflow]]\n")
    done = gate(model, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    check = finding(tmp_path, "environment.install")
    assert check["outcome"] == "failed"
    assert check["reason"] == "the version has a conda.yaml and no requirements.txt"
    assert "pip_requirements" in check["details"]["advice"]


def test_a_refused_line_fails_the_version_and_the_policy_records_the_one_it_allows(sklearn_model, pins, tmp_path):
    """By file and line; the policy's text, with the allowed line, is part of the evidence."""
    model = Path(shutil.copytree(sklearn_model, tmp_path / "model"))
    lines = [*pins, "--extra-index-url https://example.org/simple", "git+https://example.org/x.git"]
    (model / "requirements.txt").write_text("\n".join(lines))
    (tmp_path / "mlgate.yaml").write_text(f"version: 1\nruntime:\n  allow_requirements: ['{lines[-2]}', 'other']\n")
    done = gate(model, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    reason = finding(tmp_path, "environment.install")["reason"]
    assert reason.startswith(
        f"requirements.txt:{len(lines)}: '{lines[-1]}' is refused: it fetches from version control"
    )
    assert lines[-2] in json.loads((tmp_path / "out" / "evidence.json").read_text())["policy"]["text"]


def gate(model: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Test the environment of *model* alone, without an engine."""
    options = ["--mlgate-sandbox", "process", "--mlgate-suite", "schema", "--mlgate-champion", "none"]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--mlgate",
            str(model),
            *options,
            "--mlgate-output",
            "out",
            "-p",
            "no:cacheprovider",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def finding(folder: Path, check: str) -> dict[str, Any]:
    """Return a check of the evidence that a run wrote."""
    document = json.loads((folder / "out" / "evidence.json").read_text())
    (found,) = [found for found in document["suites"]["environment"]["checks"] if found["id"] == check]
    return found


# --- platforms


def test_an_engine_of_another_architecture_is_refused_in_one_line(recipe):
    """An emulated model would be measured at the emulator's speed."""
    engine = connect()
    engine.__dict__["facts"] = replace(engine.facts, platform="linux/arm64")
    with pytest.raises(EngineError, match=r"the container engine is linux/arm64, the policy.*linux/amd64"):
        ImageBuilder(engine).build(recipe)
    engine.close()


def test_a_base_image_of_another_architecture_is_refused_in_one_line(engine, session, recipe):
    """With the command that brings the right one."""
    name = f"mlgate-test/arm64:{session.id}"
    engine.client.images.load(arm64_image(name))
    try:
        with pytest.raises(EngineError, match=r"is linux/arm64, the policy.*linux/amd64"):
            ImageBuilder(engine, session=session).build(replace(recipe, base_image=name, base_is_default=False))
    finally:
        engine.client.images.remove(name, force=True)


def arm64_image(name: str) -> bytes:
    """Return an image of nothing for another architecture, as `docker save` would write it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    digest = sha256(layer.getvalue()).hexdigest()
    config = {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {"config.json": json.dumps(config).encode(), "layer.tar": layer.getvalue()}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in (files | {"manifest.json": json.dumps(manifest).encode()}).items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


# --- what models are made of

ERAS = {
    "2.9": ["mlflow==2.9.2"],
    "2.22": ["mlflow-skinny==2.22.0", "pandas", "numpy"],
}


@pytest.mark.slow
@pytest.mark.parametrize("era", [*ERAS, "3"])
def test_every_era_of_mlflow_is_served(era, engine, build, serve, code_model, make_recipe, pins):
    """Flask before 2.20, FastAPI since: the version's own MLflow answers, and it is the one that was asked for."""
    requirements = ERAS.get(era, pins)
    model = code_model(ANSWERS_WITH_MLFLOW, example=EXAMPLE)
    recipe = make_recipe(requirements=requirements)
    # That of MLflow 3 is everybody's, and stays.
    image = build(recipe) if era in ERAS else ImageBuilder(engine).build(recipe)
    answered = predictions(serve(image, model), EXAMPLE)
    assert answered == [requirements[0].partition("==")[2]] * 2


TRAINING = """
import sys, numpy, pandas, mlflow, lightgbm, xgboost
rows = pandas.DataFrame(numpy.random.default_rng(1).random((200, 2)), columns=["a", "b"])
labels = (rows.a > rows.b).astype(int)
signature = mlflow.models.infer_signature(rows, labels)
common = {"signature": signature, "pip_requirements": sys.argv[1:]}
mlflow.lightgbm.save_model(lightgbm.LGBMClassifier(n_estimators=20).fit(rows, labels), "/out/lightgbm", **common)
mlflow.xgboost.save_model(xgboost.XGBClassifier(n_estimators=20).fit(rows, labels), "/out/xgboost", **common)
"""
BOOSTED = ["mlflow-skinny==3.1.0", "lightgbm==4.6.0", "xgboost==2.1.4", "scikit-learn==1.7.2", "pandas==2.3.3"]


@pytest.mark.slow
def test_boosted_trees_work_out_of_the_box(engine, session, build, serve, make_recipe, tmp_path):
    """Both flavours: trained in the image, saved by MLflow, served from it; nobody named the OpenMP runtime."""
    image = build(make_recipe(requirements=BOOSTED, flavors=["lightgbm", "python_function"]))
    assert image.apt == ("libgomp1",)
    tmp_path.chmod(0o777)
    engine.client.containers.run(
        image.reference,
        entrypoint=["/opt/venv/bin/python", "-c", TRAINING],
        command=BOOSTED,
        volumes={str(tmp_path): {"bind": "/out", "mode": "rw"}},
        environment={"HOME": "/tmp"},
        network="none",
        labels=session.labels(),
        user=f"{os.getuid()}:{os.getgid()}",
        remove=True,
    )
    for flavor in ("lightgbm", "xgboost"):
        directory = read_directory(tmp_path / flavor)
        assert version_recipe(directory, Policy()).apt == ("libgomp1",)
        assert predictions(serve(image, directory.path), EXAMPLE) == [0, 1]


def test_versions_share_a_foundation_and_a_changed_pin_changes_nothing_below_it(engine, build, make_recipe):
    """What is installed is what each asked for: a pin of the foundation's own is replaced, too."""
    line = "mlflow-skinny==3.1.0"
    plain = build(make_recipe(requirements=[line]))
    assert "foundation" not in plain.seconds
    first = build(make_recipe(requirements=[line, "tabulate==0.9.0"]))
    second = build(make_recipe(requirements=[line, "tabulate==0.10.0", "cachetools==5.5.0"]))
    layers = [engine.client.images.get(image.reference).attrs["RootFS"]["Layers"] for image in (plain, first, second)]
    assert layers[1][:-1] == layers[2][:-1] == layers[0]
    assert set(first.pins) - set(plain.pins) == {"tabulate==0.9.0"}
    assert set(second.pins) - set(plain.pins) == {"tabulate==0.10.0", "cachetools==5.5.0"}
    assert {pin for pin in plain.pins if pin.startswith("cachetools")} == set(plain.pins) - set(second.pins)
    script = "import cachetools, tabulate; print(cachetools.__version__, tabulate.__version__)"
    command = {"entrypoint": ["/opt/venv/bin/python", "-c", script], "network": "none", "remove": True}
    assert engine.client.containers.run(second.reference, **command).decode().split() == ["5.5.0", "0.10.0"]


def test_what_the_list_of_packages_says_on_standard_error_is_in_no_pin(chatty_freeze, build, make_recipe):
    """An engine hands out both streams, and a line of the one can begin in the middle of a line of the other."""
    assert chatty_freeze(build(make_recipe(requirements=["mlflow-skinny==3.1.0", "six==1.16.0"])).pins)
