"""Where the engine listens, who said so, and with which certificates. Pure, but for the environment it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlgate.errors import EngineError
from mlgate.registry.urls import without_credentials

DEFAULT_URL = "unix:///var/run/docker.sock"
CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
_SCHEMES = ("unix://", "tcp://")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAddress:
    """One engine's address.

    Attributes:
        url: `unix://…` or `tcp://…`.
        source: Who named it: `DOCKER_HOST`, `docker context NAME` or `default`.
        cert_path: Folder of `ca.pem`, `cert.pem` and `key.pem`; `None` speaks without TLS.
        verify: The engine's certificate is checked against `ca.pem`.
    """

    url: str
    source: str
    cert_path: Path | None = None
    verify: bool = False

    def environment(self) -> dict[str, str]:
        """Return docker's environment variables that name this engine and no other; an empty one is unset."""
        return {
            "DOCKER_HOST": self.url,
            "DOCKER_TLS_VERIFY": "1" if self.verify else "",
            "DOCKER_CERT_PATH": str(self.cert_path.absolute()) if self.cert_path is not None else "",
        }

    @property
    def shown(self) -> str:
        """The URL as it may be printed."""
        return without_credentials(self.url)

    @property
    def tls(self) -> str:
        """One word: `none`, `verified` or `not verified`."""
        return "none" if self.cert_path is None else "verified" if self.verify else "not verified"


def address_of(url: str, source: str, environ: Mapping[str, str]) -> EngineAddress:
    """Return the address for *url* with the TLS settings that docker reads from the environment.

    Raises:
        EngineError: A kind of URL that is not supported, or certificates are missing.
    """
    shown = without_credentials(url)
    if not url.startswith(_SCHEMES):
        scheme = shown.partition("://")[0]
        raise EngineError(
            f"a container engine at {shown} is not supported ({scheme} is neither unix nor tcp)",
            hint="set DOCKER_HOST to unix://… or tcp://…, or pass --mlgate-sandbox process",
        )
    # Docker's own reading: empty is unset, and any other word, also "0", is yes.
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    named = environ.get("DOCKER_CERT_PATH")
    if url.startswith("unix://") or not (verify or named):
        return EngineAddress(url=url, source=source)
    folder = Path(named) if named else Path(environ.get("HOME", "~")).expanduser() / ".docker"
    missing = [name for name in CERTIFICATES if not (folder / name).is_file()]
    if missing:
        raise EngineError(
            f"no TLS with the engine at {shown}: {', '.join(missing)} missing in {folder}",
            hint="set DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem",
        )
    return EngineAddress(url=url, source=source, cert_path=folder, verify=verify)
