"""How uv is called, what it may know of the host, and what its complaints mean. Pure."""

import re
from collections.abc import Mapping

from mlgate.errors import EngineError, InstallError, MlgateError

FLAGS = ("--no-config", "--color", "never", "--no-progress")
LOG_LINES = 40
MESSAGE_LENGTH = 400
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_PASSED = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "UV_REQUEST_TIMEOUT",
    "UV_HTTP_RETRIES",
)
# What pip's settings are called in uv, where uv's own are absent (pip: "Configuration", environment variables).
_PIP = (
    ("UV_DEFAULT_INDEX", ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("PIP_INDEX_URL",)),
    ("UV_EXTRA_INDEX_URL", ("UV_INDEX", "UV_EXTRA_INDEX_URL"), ("PIP_EXTRA_INDEX_URL",)),
    ("UV_FIND_LINKS", ("UV_FIND_LINKS",), ("PIP_FIND_LINKS",)),
    ("UV_INSECURE_HOST", ("UV_INSECURE_HOST",), ("PIP_TRUSTED_HOST",)),
    ("UV_HTTP_TIMEOUT", ("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT"), ("PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT")),
    ("UV_HTTP_RETRIES", ("UV_HTTP_RETRIES",), ("PIP_RETRIES",)),
)
_CA_NAMES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")

# uv's own words (0.13) for what is no fault of the requirement. Looked for outside the build backends' output, where a
# setup.py may print whatever it likes.
_DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_ENVIRONMENT = re.compile(
    r"read-only file system"
    r"|request failed after|failed to fetch|failed to download\b(?! and build)|error sending request"
    r"|client error \(connect\)|connection (refused|reset)|dns error|temporary failure in name resolution"
    r"|invalid peer certificate|certificate verif|timed out|operation timed out"
    r"|http status (server|client) error|network (was|is) disabled|network connectivity is disabled"
    r"|git executable not found|could not resolve host|(couldn't|could not|failed to) connect to"
    r"|lack of valid authentication credentials|returned a (401|403|407|5\d\d)|could not be queried",
    re.IGNORECASE,
)
_NEEDS_BUILD = re.compile(
    r"no usable wheels|building (from source|source distributions) is disabled|--no-build\b", re.IGNORECASE
)
_REQUIREMENT = re.compile(
    r"no solution found|requirements are unsatisfiable|failed to build|failed to download and build"
    r"|build backend returned an error|failed to parse|couldn't parse|hash mismatch|not a valid|is not compatible"
    r"|failed to read metadata|invalid wheel|metadata field|because .* was not found in the package registry",
    re.IGNORECASE,
)


def index_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the host's settings of package index and proxy under uv's names, and nothing else of *environ*.

    Settings under pip's names count where uv's are absent. Indexes on the host's disk are left out: nothing in a
    container could read them.
    """
    found = {name: environ[name] for name in _PASSED if environ.get(name)}
    found |= {name: value for name, value in environ.items() if re.fullmatch(r"UV_INDEX_\w+_(USERNAME|PASSWORD)", name)}
    for name in _PROXIES:
        found |= {spelt: environ[spelt] for spelt in (name, name.lower()) if environ.get(spelt)}
    for name, own, theirs in _PIP:
        value = next((environ[pip] for pip in theirs if environ.get(pip)), None)
        if value and not found.keys() & set(own):
            found[name] = value
    if environ.get("PIP_PROXY") and not {name.upper() for name in found} & set(_PROXIES[:3]):
        found |= dict.fromkeys(_PROXIES[:2], environ["PIP_PROXY"])
    return found | _remote_only(found)


def _remote_only(found: dict[str, str]) -> dict[str, str]:
    kept = {}
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        urls = re.split(r"[\s,]+" if name == "UV_FIND_LINKS" else r"\s+", found.pop(name, ""))
        remote = [url for url in urls if "://" in url and "file://" not in url]
        if remote:
            kept[name] = ("," if name == "UV_FIND_LINKS" else " ").join(remote)
    return kept


def ca_bundle(environ: Mapping[str, str]) -> str | None:
    """Return the path of the host's certificate bundle, where one is named."""
    return next((environ[name] for name in _CA_NAMES if environ.get(name)), None)


def install_command(
    uv: str,
    python: str,
    requirements: str,
    server_requirements: tuple[str, ...],
    *,
    builds: bool,
    constraints: str | None = None,
) -> list[str]:
    """Return the command that installs the version's requirements together with the server's.

    Args:
        uv: The binary.
        python: The environment's interpreter.
        requirements: File of the version's requirements.
        server_requirements: The server's.
        builds: Whether source distributions may be built, which runs their code; else wheels only.
        constraints: File of the version's constraints.
    """
    bounds = ["-c", constraints] if constraints else []
    where = ["--python", python, *(() if builds else ("--no-build",)), "-r", requirements]
    return [uv, *FLAGS, "pip", "install", *where, *bounds, *server_requirements]


def needs_build(output: str) -> bool:
    """Whether an installation from wheels only failed because something has none."""
    return _NEEDS_BUILD.search(output) is not None


def disk_full(output: str) -> bool:
    """Whether *output* says so."""
    return _DISK.search(output) is not None


def venv_command(uv: str, python: str, folder: str) -> list[str]:
    """Return the command that makes a virtual environment, in place of one, of a Python that is there already."""
    return [uv, *FLAGS, "venv", "--clear", "--no-managed-python", "--no-python-downloads", "--python", python, folder]


def freeze_command(uv: str, python: str, site_packages: str) -> list[str]:
    """Return the command that lists what is installed in *site_packages*, asked of another interpreter."""
    return [uv, *FLAGS, "pip", "freeze", "--python", python, "--path", site_packages]


def complaint(output: str, exit_code: int) -> MlgateError:
    """Return the error that uv's *output* stands for.

    An unsatisfiable requirement or a package that does not build is the version's fault (`InstallError`). An index that
    does not answer, refuses the credentials or is not trusted, and a full disk are the environment's (`EngineError`). What
    is not recognised is the environment's too: a version is not failed for something we can not read.
    """
    own = _without_build_output(output)
    told = _telling_line(own)
    log = "\n".join(output.splitlines()[-LOG_LINES:])
    if exit_code in (137, -9):
        return EngineError("the installer was killed, probably for memory")
    if _DISK.search(own):
        return EngineError(
            f"the disk is full where the environment is installed: {told}",
            hint="make room on the engine: `mlgate image prune`, `docker system df`",
        )
    if _ENVIRONMENT.search(own) and "hash mismatch" not in own.lower():
        return EngineError(
            f"the environment could not be installed, and not for the version's sake: {told}",
            hint="look at the package index (UV_DEFAULT_INDEX), proxy, certificates and disk of this host, then try again",
        )
    if _REQUIREMENT.search(own):
        return InstallError(f"the environment can not be installed: {told}", log=log)
    return EngineError(f"the installer failed with status {exit_code}: {told or 'it said nothing'}")


def _without_build_output(output: str) -> str:
    kept, quoted = [], False
    for line in output.splitlines():
        if line.strip() in ("[stdout]", "[stderr]"):
            quoted = True
        elif quoted and line.strip() and not line.startswith(" "):
            quoted = False
        if not quoted:
            kept.append(line)
    return "\n".join(kept)


def _telling_line(own: str) -> str:
    """Join what follows `error:` to one line, without uv's drawing and without credentials in URLs."""
    # Older versions of uv draw the chain of causes with box characters and a cross.
    lines = [re.sub(r"^[^\w`]+", "", line).strip() for line in own.splitlines()]
    start = next((n for n, line in enumerate(lines) if line.startswith("error:")), None)
    if start is None:
        start = next((n for n, line in enumerate(lines) if re.match(r"(No solution|Failed|Request)", line)), 0)
    words = [re.sub(r"^(error|cause|Caused by): ?", "", line) for line in lines[start:] if line]
    text = re.sub(r"://[^/@\s]+@", "://", "; ".join(words))
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"
