"""What `mlflow.models.build_docker` needs of a base image, and images of it, on the same base as ours."""

import io
import os
import secrets
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import docker.errors

from mlgate.images.environment import with_pip_config
from mlgate.images.uv import ca_bundle
from mlgate.sandbox.engine import Engine

LABEL = "mlgate.benchmark"
# nginx and the link to Python are what its entry point and its Dockerfile take for granted; Debian's Python refuses a pip
# install outside of a virtual environment without the variable.
DOCKERFILE = """
FROM {base}
COPY ca.pem /etc/ssl/mlgate-benchmark.pem
ENV SSL_CERT_FILE={ca} PIP_CERT={ca} REQUESTS_CA_BUNDLE={ca} PIP_BREAK_SYSTEM_PACKAGES=1 {index}
RUN apt-get -o Acquire::https::CAInfo={ca} -q update \\
 && DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::https::CAInfo={ca} -q install -y --no-install-recommends nginx ca-certificates \\
 && (command -v pip || DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::https::CAInfo={ca} -q install -y --no-install-recommends python3-pip) \\
 && (command -v python || ln -s "$(command -v python3)" /usr/local/bin/python)
"""
CA = "/etc/ssl/mlgate-benchmark.pem"
_INDEX = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")  # fmt: skip


def peer_base(engine: Engine, base: str) -> str:
    """Build and return a base image that build_docker can work on; the engine's build cache keeps it."""
    environ = with_pip_config(os.environ)
    index = " ".join(f"{name}={environ[name]}" for name in _INDEX if environ.get(name))
    bundle = ca_bundle(environ) or "/etc/ssl/certs/ca-certificates.crt"
    text = DOCKERFILE.format(base=base, ca=CA, index=index)
    return _build(engine, text, {"ca.pem": Path(bundle).read_bytes()})


def fresh(engine: Engine, base: str) -> str:
    """Return the same image under another digest, so that no layer built on it before is found again."""
    return _build(engine, f"FROM {base}\nLABEL {LABEL}.once={secrets.token_hex(8)}\n", {})


def build_docker(model: Path, name: str, base: str, log: Path) -> None:
    """Run `mlflow.models.build_docker`; its output goes to *log*."""
    from mlflow.models import build_docker as build

    with log.open("a") as stream, _descriptors(stream.fileno()), redirect_stdout(stream), redirect_stderr(stream):
        build(model_uri=str(model), name=name, env_manager="local", base_image=base)


def forget(engine: Engine, *names: str) -> None:
    """Remove images that the benchmark made."""
    for name in names:
        with suppress(docker.errors.DockerException):
            engine.client.images.remove(name, force=True)


def forget_nameless(engine: Engine) -> None:
    """Remove images that lost their name to a newer build of the benchmark: they inherited its label."""
    for image in engine.client.images.list(filters={"dangling": True, "label": LABEL}):
        forget(engine, image.id or "")


def _build(engine: Engine, dockerfile: str, files: dict[str, bytes]) -> str:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, content in {"Dockerfile": dockerfile.encode(), **files}.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    raw.seek(0)
    tag = f"mlgate-benchmark:{secrets.token_hex(6)}"
    labels = {LABEL: "peer"}
    engine.patient.images.build(fileobj=raw, custom_context=True, rm=True, forcerm=True, labels=labels, tag=tag)
    return tag


@contextmanager
def _descriptors(target: int) -> Iterator[Any]:
    """Send what child processes print to *target*, too."""
    saved = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
