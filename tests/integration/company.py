"""Fixtures: a host behind a company's network, whose settings must serve a build and never leave it."""

import base64
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from mlgate.images.environment import with_pip_config
from mlgate.images.uv import ca_bundle, index_settings
from tests.integration.package_index import PackageIndex

__all__ = ["company", "gateway"]


@pytest.fixture(scope="session")
def gateway(engine) -> str:
    """The address under which build containers reach this host."""
    return str(engine.client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])


@dataclass(frozen=True)
class Company:
    """A host behind a company's network, and everything that must stay on it."""

    index: PackageIndex
    environ: dict[str, str]
    secrets: tuple[str, ...]


WHEEL = "mlgate_probe-1.0-py3-none-any.whl"


def wheel() -> bytes:
    """A package of one module, that no index has."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        info = "mlgate_probe-1.0.dist-info"
        archive.writestr("mlgate_probe.py", "ANSWER = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mlgate-probe\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return raw.getvalue()


@pytest.fixture(scope="module")
def company(gateway, tmp_path_factory) -> Iterator[Company]:
    """An index and a proxy with passwords, certificates with a comment, and credentials of everything else."""
    host = with_pip_config(os.environ)
    own = index_settings(host)
    upstream = own.get("UV_DEFAULT_INDEX") or own.get("UV_INDEX_URL") or "https://pypi.org/simple"
    certificates = tmp_path_factory.mktemp("company") / "ca.pem"
    known = Path(ca_bundle(host) or requests.certs.where()).read_text()
    certificates.write_text(f"{known}\n# planted-certificate-comment\n")
    logins = ("planted-index-user:planted-index-password", "planted-proxy-user:planted-proxy-password")
    with PackageIndex(
        gateway, upstream=upstream, index_login=logins[0], proxy_login=logins[1], files={WHEEL: wheel()}
    ) as index:
        proxy = f"http://{logins[1]}@{index.address}"
        unused = ("planted-tracking", "planted-cloud", "planted-publish", "planted-other", "planted-corp")
        yield Company(
            index=index,
            environ={
                "PATH": os.environ["PATH"],
                "MLGATE_CACHE": str(certificates.parent / "cache"),
                "UV_DEFAULT_INDEX": f"http://{logins[0]}@{index.address}/simple/",
                "HTTP_PROXY": proxy,
                "HTTPS_PROXY": proxy,
                "NO_PROXY": gateway,
                "SSL_CERT_FILE": str(certificates),
                "UV_INDEX_CORP_PASSWORD": unused[4],
                "MLFLOW_TRACKING_PASSWORD": unused[0],
                "AWS_SECRET_ACCESS_KEY": unused[1],
                "UV_PUBLISH_TOKEN": unused[2],
                "PLANTED_OTHER": unused[3],
            },
            secrets=(
                *(word for login in logins for word in login.split(":")),
                *(base64.b64encode(login.encode()).decode() for login in logins),
                *unused,
                "planted-certificate-comment",
                index.address,
            ),
        )
