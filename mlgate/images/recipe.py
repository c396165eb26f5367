"""What an environment image is made from, and the digests that name it. Pure."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlgate.errors import InstallError, PolicyError
from mlgate.evidence import canonical_digest
from mlgate.images.requirements import requirement_of, vet

DEFAULT_BASE_IMAGE = "python:{python}-slim"
# For a model that names no Python: a constant, so that the same version gives the same image on every host.
DEFAULT_PYTHON = "3.11"
# Wheels of these load the OpenMP runtime, which slim base images lack. By flavour, and by requirement for a pyfunc or
# scikit-learn pipeline that brings them along.
_APT_BY_FLAVOR = {"lightgbm": "libgomp1", "xgboost": "libgomp1"}
_APT_BY_PACKAGE = _APT_BY_FLAVOR | {"xgboost-cpu": "libgomp1"}
# What the serving wrapper imports besides the version's own mlflow. a2wsgi serves the Flask app of mlflow < 2.20.
SERVER_REQUIREMENTS = ("a2wsgi>=1.10", "prometheus-client>=0.19", "uvicorn>=0.23")
# The minor that `mlgate.serving.mlserver` was written against: it takes MLServer apart and puts it together again.
MLSERVER_REQUIREMENTS = ("mlserver>=1.7,<1.8", "mlserver-mlflow>=1.7,<1.8")
# MLflow before that imports pkg_resources, which it takes for granted and setuptools 81 no longer brings.
_NEEDS_PKG_RESOURCES = Version("2.20")
_PKG_RESOURCES = "setuptools<81"
# MLflow before that, and from 2.20 on, calls `FastAPI.route`, which starlette 1 removed, and bounds neither of the two.
_NEEDS_ROUTE = Version("3.11")
_ROUTE = "starlette<1"
# Counts up when the same recipe is built another way, so that images of the old way are not taken for new ones.
BUILD_REVISION = 5
_MLFLOW_NAMES = frozenset({"mlflow", "mlflow-skinny"})
_APT_NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]+(=[A-Za-z0-9.+:~\-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make the environment of one model version.

    Attributes:
        python: Minor version: `3.11`.
        python_asked: Full version that the model version names: `3.11.8`; empty where it names none.
        base_image: Reference of the base image, filled in: `python:3.11-slim`.
        base_is_default: Nobody asked for this base, so mlgate's own local base may stand in for it.
        platform: `linux/amd64`.
        apt: Debian packages, sorted.
        requirements: The version's requirement lines, without comments; each is safe to hand to an installer.
        allowed: URLs and options among its lines that the policy lets through.
        constraints: Bounds on versions that the version sets with `-c`.
        server: Identity of the serving code, see `server_identity`.
    """

    python: str
    base_image: str
    base_is_default: bool
    platform: str
    apt: tuple[str, ...]
    requirements: tuple[str, ...]
    server: str
    allowed: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    python_asked: str = ""


def recipe_for(
    *,
    requirements: Sequence[str],
    python_version: str | None,
    flavors: Collection[str],
    base_image: str | None,
    platform: str,
    apt: Sequence[str] | None,
    server: str,
    allow: Iterable[str] = (),
    constraint_files: Mapping[str, Sequence[str]] | None = None,
) -> Recipe:
    """Decide what the environment is made from.

    Args:
        requirements: Lines of the version's `requirements.txt`.
        python_version: The version's Python, such as `3.11.8`; the patch is taken where the base image has it. `None`:
            it names none, 3.11.
        flavors: The version's MLflow flavours; with its requirements they decide the default of *apt*.
        base_image: Image reference, in which `{python}` stands for the minor. `None`: `python:{python}-slim`.
        platform: `linux/amd64`.
        apt: Debian packages; `None`: what the flavours need.
        server: See `server_identity`.
        allow: Requirement lines that the policy lets through, see `mlgate.images.requirements.vet`.
        constraint_files: Lines of the files that `-c` may name, by path below the model directory.

    Raises:
        InstallError: A line would fetch or run something that no index vouches for, or nothing here could serve it.
        PolicyError: *apt* holds something that is not a package name.
    """
    python = _minor(python_version)
    vetted = vet(requirements, python=python, allow=allow, constraint_files=constraint_files)
    packages = {_package(line) for line in (*vetted.named, *vetted.allowed)}
    if not packages & _MLFLOW_NAMES:
        raise InstallError(
            "requirements.txt names no mlflow: there is nothing to serve the model with",
            hint="log the model again with mlflow among its pip_requirements",
        )
    if apt is None:
        by_flavor = [_APT_BY_FLAVOR[flavor] for flavor in flavors if flavor in _APT_BY_FLAVOR]
        apt = [*by_flavor, *(_APT_BY_PACKAGE[package] for package in packages & _APT_BY_PACKAGE.keys())]
    for name in apt:
        if not _APT_NAME.fullmatch(name):
            raise PolicyError(f"runtime.apt: '{name}' is not a Debian package name")
    return Recipe(
        python=python,
        base_image=(DEFAULT_BASE_IMAGE if base_image is None else base_image).replace("{python}", python),
        base_is_default=base_image is None or base_image == DEFAULT_BASE_IMAGE,
        platform=platform,
        apt=tuple(sorted(set(apt))),
        requirements=vetted.named,
        server=server,
        allowed=vetted.allowed,
        constraints=vetted.constraints,
        python_asked=python_version.strip() if python_version and python_version.count(".") > 1 else "",
    )


def foundation(recipe: Recipe) -> Recipe:
    """Return what many versions share: MLflow as *recipe* asks for it, the server, and what those two need.

    Nothing else of a version's is in it, so that no version can plant anything in another's environment.
    """
    lines = tuple(line for line in recipe.requirements if _package(line) in _MLFLOW_NAMES)
    return replace(recipe, requirements=lines, allowed=(), constraints=())


def _package(line: str) -> str:
    """Return the normal name of what *line* installs, as far as it says so."""
    requirement = requirement_of(line)
    named = re.search(r"[#&]egg=([\w.-]+)", line)
    return canonicalize_name(requirement.name if requirement else named[1] if named else "")


def server_requirements(lines: Sequence[str], *, server: str = "mlflow") -> tuple[str, ...]:
    """Return what is installed for the server's sake, besides the version's own requirement *lines*.

    Args:
        lines: The version's.
        server: `mlflow` or `mlserver`, or an identity that starts with it.
    """
    needed = (*SERVER_REQUIREMENTS, *(MLSERVER_REQUIREMENTS if _server_name(server) == "mlserver" else ()))
    for line in lines:
        requirement = requirement_of(line)
        if requirement is None or _package(line) not in _MLFLOW_NAMES:
            continue
        if _is_before(_NEEDS_PKG_RESOURCES, requirement.specifier):
            return (*needed, _PKG_RESOURCES)
        if _is_before(_NEEDS_ROUTE, requirement.specifier):
            return (*needed, _ROUTE)
    return needed


def _is_before(version: Version, specifier: Iterable[Specifier]) -> bool:
    above = (clause for clause in specifier if clause.operator in ("==", "===", "<", "<=", "~="))
    return any(Version(clause.version.removesuffix(".*")) < version for clause in above)


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
            # The default bases hold one Python of a minor; in any other base the patch may decide which is taken.
            "python": recipe.python if recipe.base_is_default else recipe.python_asked or recipe.python,
            "requirements": sorted(set(recipe.requirements)),
            "allowed": list(recipe.allowed),
            "constraints": sorted(set(recipe.constraints)),
            "server": recipe.server,
            "server_requirements": sorted(server_requirements(recipe.requirements, server=recipe.server)),
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
def server_identity(server: str = "mlflow") -> str:
    """Return the name of the server with a digest over its source: `mlflow+mlgate.serving@sha256:0123456789ab`.

    Args:
        server: `mlflow` or `mlserver`.
    """
    digest = hashlib.sha256()
    for name, source in serving_source().items():
        digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return f"{server}+mlgate.serving@sha256:{digest.hexdigest()[:12]}"


def serving_command(server: str) -> list[str]:
    """Return what starts the server, but for the interpreter.

    Args:
        server: See `server_identity`.
    """
    return ["-m", "mlgate_serving", "--server", _server_name(server)]


def _server_name(identity: str) -> str:
    return identity.partition("+")[0]
