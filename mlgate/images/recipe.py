"""What an environment image is made from, and the digests that name it. Pure."""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlgate.errors import InstallError, PolicyError
from mlgate.evidence import canonical_digest

DEFAULT_BASE_IMAGE = "python:{python}-slim"
# For a model that names no Python: a constant, so that the same version gives the same image on every host.
DEFAULT_PYTHON = "3.11"
# Wheels of these load the OpenMP runtime, which slim base images lack.
_APT_BY_FLAVOR = {"lightgbm": "libgomp1", "xgboost": "libgomp1"}
# What the serving wrapper imports besides the version's own mlflow. a2wsgi serves the Flask app of mlflow < 2.20.
SERVER_REQUIREMENTS = ("a2wsgi>=1.10", "prometheus-client>=0.19", "uvicorn>=0.23")
# MLflow before that imports pkg_resources, which it takes for granted and setuptools 81 no longer brings.
_NEEDS_PKG_RESOURCES = Version("2.20")
_PKG_RESOURCES = "setuptools<81"
# Counts up when the same recipe is built another way, so that images of the old way are not taken for new ones.
BUILD_REVISION = 2
_MLFLOW_NAMES = frozenset({"mlflow", "mlflow-skinny"})
_APT_NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]+(=[A-Za-z0-9.+:~\-]+)?")
_HASH_OPTION = re.compile(r"\s--hash=[A-Za-z0-9]+:[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make the environment of one model version.

    Attributes:
        python: Minor version: `3.11`.
        base_image: Reference of the base image, filled in: `python:3.11-slim`.
        base_is_default: Nobody asked for this base, so mlgate's own local base may stand in for it.
        platform: `linux/amd64`.
        apt: Debian packages, sorted.
        requirements: The version's requirement lines, without comments; each is safe to hand to an installer.
        server: Identity of the serving code, see `server_identity`.
    """

    python: str
    base_image: str
    base_is_default: bool
    platform: str
    apt: tuple[str, ...]
    requirements: tuple[str, ...]
    server: str


def recipe_for(
    *,
    requirements: Sequence[str],
    python_version: str | None,
    flavors: Collection[str],
    base_image: str | None,
    platform: str,
    apt: Sequence[str] | None,
    server: str,
) -> Recipe:
    """Decide what the environment is made from.

    Args:
        requirements: Lines of the version's `requirements.txt`.
        python_version: The version's Python, such as `3.11.8`; only the minor counts. `None`: it names none, 3.11.
        flavors: The version's MLflow flavours; decide the default of *apt*.
        base_image: Image reference, in which `{python}` stands for the minor. `None`: `python:{python}-slim`.
        platform: `linux/amd64`.
        apt: Debian packages; `None`: what the flavours need.
        server: See `server_identity`.

    Raises:
        InstallError: A line would fetch or run something that no index vouches for, or nothing here could serve it.
        PolicyError: *apt* holds something that is not a package name.
    """
    python = _minor(python_version)
    lines = requirement_lines(requirements)
    if not any(canonicalize_name(Requirement(_without_hashes(line)).name) in _MLFLOW_NAMES for line in lines):
        raise InstallError(
            "requirements.txt names no mlflow: there is nothing to serve the model with",
            hint="log the model again with mlflow among its pip_requirements",
        )
    if apt is None:
        apt = [_APT_BY_FLAVOR[flavor] for flavor in flavors if flavor in _APT_BY_FLAVOR]
    for name in apt:
        if not _APT_NAME.fullmatch(name):
            raise PolicyError(f"runtime.apt: '{name}' is not a Debian package name")
    return Recipe(
        python=python,
        base_image=(DEFAULT_BASE_IMAGE if base_image is None else base_image).replace("{python}", python),
        base_is_default=base_image is None or base_image == DEFAULT_BASE_IMAGE,
        platform=platform,
        apt=tuple(sorted(set(apt))),
        requirements=lines,
        server=server,
    )


def requirement_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the requirements among *lines*, or refuse.

    Raises:
        InstallError: A line is an option, a URL, a path, continues on the next line or is not PEP 508.
    """
    found = []
    for number, raw in enumerate(lines, start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw.strip()).strip()
        if not line:
            continue
        why = _objection(line)
        if why:
            raise InstallError(
                f"requirements.txt:{number}: '{line}' is refused: {why}",
                hint="name the package and its version, and let the index be set by the host (UV_DEFAULT_INDEX)",
            )
        found.append(line)
    return tuple(found)


def server_requirements(lines: Sequence[str]) -> tuple[str, ...]:
    """Return what is installed for the server's sake, besides the version's own requirement *lines*."""
    for line in lines:
        requirement = Requirement(_without_hashes(line))
        if canonicalize_name(requirement.name) in _MLFLOW_NAMES and any(
            _is_old(clause) for clause in requirement.specifier
        ):
            return (*SERVER_REQUIREMENTS, _PKG_RESOURCES)
    return SERVER_REQUIREMENTS


def _is_old(clause: Specifier) -> bool:
    bounds_above = clause.operator in ("==", "===", "<", "<=", "~=")
    return bounds_above and Version(clause.version.removesuffix(".*")) < _NEEDS_PKG_RESOURCES


def _objection(line: str) -> str:
    if line.endswith("\\"):
        return "it continues on the next line"
    if line.startswith("-"):
        option = re.split(r"[\s=]", line)[0]
        return f"the option {option} may fetch or run something else"
    try:
        requirement = Requirement(_without_hashes(line))
    except InvalidRequirement:
        if re.match(r"(git|hg|svn|bzr)\+", line):
            return "it fetches from version control"
        return "it is a URL" if "://" in line else "it is a path, or not a requirement (PEP 508)"
    return "it names a URL in place of a version" if requirement.url else ""


def _without_hashes(line: str) -> str:
    return _HASH_OPTION.sub("", line)


def _minor(version: str | None) -> str:
    if version is None:
        return DEFAULT_PYTHON
    match = re.match(r"(3\.\d+)(\.|$)", version.strip())
    if match is None:
        raise InstallError(f"'{version}' is not a version of Python 3")
    return match.group(1)


def recipe_key(recipe: Recipe, base_digest: str) -> str:
    """Return the cache key: what is asked for, before anything is resolved."""
    return canonical_digest(
        {
            "base_digest": base_digest,
            "platform": recipe.platform,
            "apt": sorted(recipe.apt),
            "python": recipe.python,
            "requirements": sorted(set(recipe.requirements)),
            "server": recipe.server,
            "server_requirements": sorted(server_requirements(recipe.requirements)),
            "build": BUILD_REVISION,
        }
    )


def recipe_digest(
    *, base_digest: str, platform: str, apt: Sequence[str], python: str, pins: Sequence[str], server: str
) -> str:
    """Return the digest over what came of it. The gate computes it again from the evidence's image facts.

    Args:
        base_digest: Digest of the base image.
        platform: `linux/amd64`.
        apt: Debian packages asked for.
        python: Full version of the interpreter: `3.11.8`.
        pins: `name==version` of everything installed.
        server: See `server_identity`.
    """
    return canonical_digest(
        {
            "base_digest": base_digest,
            "platform": platform,
            "apt": sorted(apt),
            "python": python,
            "pins": sorted(pins),
            "server": server,
        }
    )


def serving_source() -> dict[str, bytes]:
    """Return the source files of `mlgate/serving`, by name."""
    folder = Path(__file__).parent.parent / "serving"
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}


@cache
def server_identity() -> str:
    """Return the name of the server with a digest over its source: `mlflow+mlgate.serving@sha256:0123456789ab`."""
    digest = hashlib.sha256()
    for name, source in serving_source().items():
        digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return f"mlflow+mlgate.serving@sha256:{digest.hexdigest()[:12]}"
